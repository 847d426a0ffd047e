"""When ``on_bars`` is due: once for all bars of one timeframe that end together.

The barrier of a timeframe and an end passes when the last symbol's bar has become known, and at the latest a given wait
after the first one's. A symbol without a bar until then is absent. A bar that becomes known later is late: an event of
its own, which never reaches ``on_bars``. That is what live has: the process that publishes bars waits for all symbols,
and no longer than that.
"""

from typing import Any

import numpy as np

from tradeplane_engine.core.table import Table

NEVER = 9223372036854775807


class Barriers:
    """The barriers of a run, in the order in which they pass: by instant, timeframe, end.

    Parameters
    ----------
    table : the bars
    wait : from the first bar of a barrier to its passing, where bars are missing, ns

    Attributes
    ----------
    late : shape (rows,), by how much a bar missed its barrier, ns; 0 for none
    next_at : instant of the next one, NEVER for none
    """

    __slots__ = ("_at", "_place", "_rows", "late", "next_at")

    def __init__(self, table: Table, wait: int) -> None:
        counts = np.diff(table.starts)
        length = np.repeat(np.array(table.timeframes, dtype=np.int64), counts)
        order = np.lexsort((np.repeat(table.rank, counts), table.columns["end"], length))
        ends, lengths, known = table.columns["end"][order], length[order], table.columns["available_at"][order]
        first = np.flatnonzero(np.append(True, (ends[1:] != ends[:-1]) | (lengths[1:] != lengths[:-1]))[: len(order)])
        members = np.diff(np.append(first, len(order)))
        deadline, at = np.empty(0, np.int64), np.empty(0, np.int64)
        if len(order):
            deadline = np.minimum.reduceat(known, first) + wait
            whole = members == _expected(table, lengths[first])
            last = np.maximum.reduceat(known, first)
            at = np.where(whole & (last <= deadline), last, deadline)
        self.late = np.zeros(table.rows, dtype=np.int64)
        self.late[order] = np.maximum(known - np.repeat(at, members), 0)
        turns = np.lexsort((ends[first], lengths[first], at))
        bounds = [(int(first[turn]), int(first[turn] + members[turn])) for turn in turns.tolist()]
        self._at: list[int] = at[turns].tolist()
        self._rows = [order[start:stop][self.late[order[start:stop]] == 0].tolist() for start, stop in bounds]
        self._place = 0
        self.next_at = self._at[0] if self._at else NEVER

    def due(self, now: int) -> list[list[int]]:
        """Return the rows of each barrier that passes by an instant, by symbol id, and go on to the next one."""
        start = self._place
        while self._place < len(self._at) and self._at[self._place] <= now:
            self._place += 1
        self.next_at = self._at[self._place] if self._place < len(self._at) else NEVER
        return self._rows[start : self._place]


def punctual(table: Table) -> bool:
    """Say whether every bar is known as long after its end as every other: then none is late."""
    lag = table.columns["available_at"] - table.columns["end"]
    return len(lag) == 0 or bool((lag == lag[0]).all())


def absent(table: Table, rows: Any) -> tuple[str, ...]:
    """Return the symbols, by id, that have bars of a timeframe but none among these rows of one barrier."""
    timeframe = table.timeframe_of(rows[0])
    there = {table.symbol_at(row) for row in rows}
    owners = sorted(symbol for symbol, length in table.numbers if length == timeframe)
    return tuple(table.symbols[symbol] for symbol in owners if symbol not in there)


def _expected(table: Table, lengths: Any) -> Any:
    """Return the number of symbols that have bars of each of these timeframes."""
    known, counts = np.unique(np.array(table.timeframes, dtype=np.int64), return_counts=True)
    return counts[np.searchsorted(known, lengths)]
