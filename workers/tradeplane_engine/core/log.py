"""The event log of a run: rows of eight integers, and the hash over them that is the run's identity.

A row is ``kind, at (ns), strategy id, symbol id, order id, a, b, c``; absent ids are -1. What a, b and c mean:

==========  ==========================  =====================  ===============================
kind        a                           b                      c
==========  ==========================  =====================  ===============================
ORDER       signed quantity             limit or stop price    kind * 10 + time in force
REFUSED     signed quantity             reason                 scope
FILL        signed quantity             price                  fee
STATUS      status                      reason                 0
ENTRY       amount (money)              reason                 0
SPLIT       new shares                  old shares             0
STATE       state                       reason                 0
END         cash                        equity                 fills
==========  ==========================  =====================  ===============================
"""

import hashlib
from array import array
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

ORDER, REFUSED, FILL, STATUS, ENTRY, SPLIT, STATE, END = 1, 2, 3, 4, 5, 6, 7, 8
KINDS = ("", "order", "refused", "fill", "status", "entry", "split", "state", "end")
WIDTH = 8
FORMAT = 1  # grows when rows or header change their meaning: hashes of different formats are never compared


class Log:
    """Rows in the order in which things happened."""

    __slots__ = ("reasons", "words")

    def __init__(self) -> None:
        self.words = array("q")
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
        self.words.extend((kind, at, strategy, symbol, id, a, b, c))

    def reason(self, word: str) -> int:
        """Number of a word in this log; words are part of the hash."""
        return self.reasons.setdefault(word, len(self.reasons))

    def rows(self) -> npt.NDArray[np.int64]:
        """All rows, shape (n, 8)."""
        return np.frombuffer(self.words, dtype=np.int64).reshape(-1, WIDTH)

    def digest(self, header: dict[str, Any]) -> str:
        """Return the sha256 over header, words and rows; rows are hashed as little-endian 64-bit integers."""
        found = hashlib.sha256()
        content = {"format": FORMAT, "header": header, "reasons": list(self.reasons)}
        found.update(orjson.dumps(content, option=orjson.OPT_SORT_KEYS))
        found.update(self.rows().astype("<i8", copy=False).tobytes())
        return found.hexdigest()
