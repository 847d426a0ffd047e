"""Which bars may fill what: their session, and what a halt or a closed market takes from them."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors
from tradeplane_engine.core.sessions import Sessions
from tradeplane_engine.core.table import Table

NO_OPEN, NO_PATH, NO_CLOSE, CLOSING, OUTSIDE, EXTENDED = 1, 2, 4, 8, 16, 32


def marks(
    table: Table, sessions: Sessions | None, halts: Mapping[str, Sequence[tuple[int, int]]]
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32]]:
    """Return the flags and the session of each bar, -1 outside of every session.

    A bar belongs to the session that it overlaps; the one that reaches the session's close is ``CLOSING``. Of the
    others those that overlap extended hours are ``EXTENDED``: they are for orders that say so. A halt takes
    a bar's open if the bar starts inside it, its close if the bar ends inside it, and its path if it covers all of it:
    a bar that starts in a halt and ends after it has the reopening's price as its open.

    Returns
    -------
    shape (rows,) each
    """
    start, end = table.columns["start"], table.columns["end"]
    flags = np.zeros(table.rows, dtype=np.int8)
    session = np.full(table.rows, -1, dtype=np.int32)
    if sessions is not None:
        index = np.searchsorted(sessions.closes, start, side="right")
        known = index < len(sessions)
        at = np.where(known, index, 0)
        inside = known & (end > sessions.opens[at]) if len(sessions) else known
        session[inside] = index[inside]
        outside = ~inside
        if sessions.extended:
            index = np.searchsorted(sessions.ends, start, side="right")
            wide = outside & (index < len(sessions))
            wide[wide] = end[wide] > sessions.begins[index[wide]]
            flags[wide] |= EXTENDED
            outside &= ~wide
        flags[outside] |= NO_OPEN | NO_PATH | NO_CLOSE | OUTSIDE
        if len(sessions):
            flags[inside & (end >= sessions.closes[at])] |= CLOSING
    for number, intervals in enumerate(closed(table, halts)):
        rows = slice(int(table.starts[number]), int(table.starts[number + 1]))
        starts, ends = start[rows], end[rows]
        for begin, stop in intervals:
            begun = (begin <= starts) & (starts < stop)
            flags[rows] |= np.where(begun, NO_OPEN, 0).astype(np.int8)
            flags[rows] |= np.where(begun & (ends <= stop), NO_PATH, 0).astype(np.int8)
            flags[rows] |= np.where((begin < ends) & (ends <= stop), NO_CLOSE, 0).astype(np.int8)
    return flags, session


def closed(table: Table, halts: Mapping[str, Sequence[tuple[int, int]]]) -> list[Sequence[tuple[int, int]]]:
    """Return the halts of each symbol by its id; raises ValueRefused for another symbol, and for no interval."""
    for symbol, intervals in halts.items():
        if symbol not in table.ids:
            raise errors.ValueRefused("halts", f"of one of the run's {len(table.symbols)} symbols", symbol)
        for begin, stop in intervals:
            if begin >= stop:
                raise errors.ValueRefused(f"halts.{symbol}", "an interval that ends after it begins", (begin, stop))
    return [halts.get(symbol, ()) for symbol in table.symbols]
