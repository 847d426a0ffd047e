"""The event log of a run: rows of eight integers, and the hash over them that is the run's identity.

A row is ``kind, at (ns), strategy id, symbol id, order id, a, b, c``; absent ids are -1. What a, b and c mean:

==========  ==========================  =====================  ===============================
kind        a                           b                      c
==========  ==========================  =====================  ===============================
ORDER       signed quantity             limit or stop price    kind * 10 + time in force; 100 more for
                                                               one that works in extended hours too,
                                                               1000 for one of an amount of money
REFUSED     signed quantity             reason                 scope
FILL        signed quantity             price                  fee; order -1 is a delisting's
STATUS      status                      reason                 0
ENTRY       amount (money)              reason                 0; strategy -1 is the account's alone
SPLIT       new shares                  old shares             0
STATE       state                       reason                 0
FLAG        0                           reason                 0
END         cash                        equity                 fills
LATE        end of the bar (ns)         its timeframe (ns)     ns after its barrier
==========  ==========================  =====================  ===============================
"""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

ORDER, REFUSED, FILL, STATUS, ENTRY, SPLIT, STATE, END, FLAG, LATE = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
KINDS = ("", "order", "refused", "fill", "status", "entry", "split", "state", "end", "flag", "late bar")
WIDTH = 8
_FIRST = 4096  # rows that a new log has room for
FORMAT = 1  # grows when rows or header change their meaning: hashes of different formats are never compared


class Log:
    """Rows in the order in which things happened."""

    __slots__ = ("_cells", "_room", "_used", "_words", "reasons")

    def __init__(self) -> None:
        self._used = 0
        self._room = _FIRST * WIDTH
        self._words = np.empty(self._room, dtype=np.int64)
        self._cells = self._words.data
        self.reasons: dict[str, int] = {"": 0}

    def write(
        self,
        kind: int,
        at: int,
        strategy: int,
        symbol: int,
        id: int,  # noqa: A002 - the column's name
        a: int,
        b: int,
        c: int,
    ) -> None:
        """Append a row."""
        used = self._used
        if used == self._room:
            self._grow()
        cells = self._cells
        cells[used] = kind
        cells[used + 1] = at
        cells[used + 2] = strategy
        cells[used + 3] = symbol
        cells[used + 4] = id
        cells[used + 5] = a
        cells[used + 6] = b
        cells[used + 7] = c
        self._used = used + 8

    def extend(self, rows: npt.NDArray[np.int64]) -> None:
        """Append rows of another source, shape (n, 8)."""
        while self._used + rows.size > self._room:
            self._grow()
        self._words[self._used : self._used + rows.size] = rows.ravel()
        self._used += rows.size

    def _grow(self) -> None:
        self._room *= 2
        words = np.empty(self._room, dtype=np.int64)
        words[: self._used] = self._words[: self._used]
        self._words = words
        self._cells = words.data

    def reason(self, word: str) -> int:
        """Number of a word in this log; words are part of the hash."""
        return self.reasons.setdefault(word, len(self.reasons))

    def rows(self) -> npt.NDArray[np.int64]:
        """All rows so far, shape (n, 8), read-only."""
        found: npt.NDArray[np.int64] = self._words[: self._used].reshape(-1, WIDTH)
        found.flags.writeable = False
        return found

    def digest(self, header: dict[str, Any]) -> str:
        """Return the sha256 over header, words and rows; rows are hashed as little-endian 64-bit integers."""
        found = hashlib.sha256()
        content = {"format": FORMAT, "header": header, "reasons": list(self.reasons)}
        found.update(orjson.dumps(content, option=orjson.OPT_SORT_KEYS))
        found.update(self.rows().astype("<i8", copy=False).data)
        return found.hexdigest()
