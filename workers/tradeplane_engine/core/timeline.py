"""The rows of a table in the order of time: by the instants of their closes, their opens or their ends.

Rows of one instant stay in the table's order, by symbol id, and where a symbol has several timeframes in that of their
rank.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine.core.table import Table


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Rows (int32) and their instants (int64 ns), both of shape (n,), oldest first."""

    rows: npt.NDArray[np.int32]
    instants: npt.NDArray[np.int64]


def closes(table: Table) -> Timeline:
    """Return all rows by the instant from which they are known."""
    known = table.columns["available_at"]
    rank = table.rank
    if bool((rank[1:] < rank[:-1]).any()):  # not in the order of timeframes as they lie
        rows = np.lexsort((np.repeat(rank, np.diff(table.starts)), known)).astype(np.int32)
        return Timeline(rows, known[rows])
    return _sorted(known, table.starts)


def opens(table: Table, by_close: Timeline) -> Timeline:
    """Return the rows of the symbols' shortest series by their start; ``by_close`` is what :func:`closes` gave."""
    start = table.columns["start"][: table.base_rows]
    if table.base_rows == table.rows:
        if len(table.symbols) == 1:
            return Timeline(by_close.rows, start)
        lag = table.columns["available_at"] - start
        if len(lag) and bool((lag == lag[0]).all()):
            return Timeline(by_close.rows, by_close.instants - lag[0])
    return _sorted(start, _base_starts(table))


def ends(table: Table) -> Timeline:
    """Return the rows of the symbols' shortest series by their end."""
    return _sorted(table.columns["end"][: table.base_rows], _base_starts(table))


def _base_starts(table: Table) -> Any:
    return table.starts[: len(table.symbols) + 1]


def _sorted(column: npt.NDArray[np.int64], starts: Any) -> Timeline:
    """Sort the rows of series that are sorted themselves and begin at ``starts``."""
    count = len(column)
    if bool((column[1:] >= column[:-1]).all()):
        return Timeline(np.arange(count, dtype=np.int32), column)
    lengths = np.diff(starts)
    if bool((lengths == lengths[0]).all()):
        instants = column.reshape(len(lengths), -1)
        if bool((instants == instants[0]).all()):  # every symbol has the same instants: nothing to sort
            rows = np.arange(count, dtype=np.int32).reshape(len(lengths), -1)
            return Timeline(np.ascontiguousarray(rows.T).ravel(), np.repeat(instants[0], len(lengths)))
    rows = np.argsort(column, kind="stable").astype(np.int32)
    return Timeline(rows, column[rows])
