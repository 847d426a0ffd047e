"""Indicators over a whole table, symbol by symbol."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors
from tradeplane_engine.core.table import Table


def batch(
    table: Table, what: Any, window: int | None, parameters: Mapping[str, Any]
) -> tuple[npt.NDArray[np.int64], int, npt.NDArray[np.int64]]:
    """Return values per row, their denominator, and per symbol the first row that is defined; raises ValueRefused."""
    if what not in {"sma", "sum"}:
        raise errors.ValueRefused("indicator", "sma or sum", what)
    if window is None or window < 1:
        raise errors.ValueRefused("indicator.window", "1 or more", window)
    column = table.columns[parameters.get("field", "close")]
    values = np.zeros(table.rows, dtype=np.int64)
    for first, stop in zip(table.starts[:-1], table.starts[1:], strict=True):
        sums = np.cumsum(column[first:stop])
        values[first + window - 1 : stop] = sums[window - 1 :]
        values[first + window : stop] -= sums[: max(stop - first - window, 0)]
    firsts = table.starts[:-1] + window - 1
    return values, window if what == "sma" else 1, firsts
