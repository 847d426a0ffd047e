"""Indicators over a whole table, symbol by symbol."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import indicators
from tradeplane_engine.core.table import Table
from tradeplane_engine.indicators import columns


def spec(
    what: str | Callable[..., npt.NDArray[np.float64]], window: int | None, parameters: Mapping[str, Any]
) -> indicators.Spec:
    """Return what was asked for by name or as a function; raises ValueRefused."""
    given = dict(parameters) if window is None else {"window": window, **parameters}
    if isinstance(what, str):
        return indicators.named(what)(**given)
    return indicators.function(what, **given)


def batch(
    table: Table, wanted: indicators.Spec, numbers: npt.NDArray[np.int64] | None = None
) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.int64]]:
    """Return each output per row of the table, and per symbol the first row that is defined.

    ``numbers`` has the number of the series per symbol that it is made of; the symbol's shortest unless given.
    """
    kind = np.int64 if wanted.exact else np.float64
    values = {name: np.zeros(table.rows, dtype=kind) for name in wanted.outputs}
    firsts = []
    for symbol, digits in enumerate(table.digits):
        number = symbol if numbers is None else int(numbers[symbol])
        start, stop = int(table.starts[number]), int(table.starts[number + 1])
        history = columns.Columns(digits, **{field: table.columns[field][start:stop] for field in indicators.FIELDS})
        for name, output in indicators.batch(wanted, history).items():
            values[name][start:stop] = output.values
        firsts.append(start + wanted.warmup)
    return values, np.array(firsts, dtype=np.int64)


def shown_from(table: Table, numbers: npt.NDArray[np.int64], first: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return per series the first row at which its symbol's indicator is defined.

    Parameters
    ----------
    numbers : series per symbol that the indicator is made of
    first : first row per symbol that is defined, beyond the series where none is
    """
    known = table.columns["available_at"]
    found = np.full(len(table.timeframes), table.rows, dtype=np.int64)
    for (symbol, _), number in table.numbers.items():
        row, end = int(first[symbol]), int(table.starts[int(numbers[symbol]) + 1])
        if row < end:
            start, stop = int(table.starts[number]), int(table.starts[number + 1])
            found[number] = start + int(np.searchsorted(known[start:stop], known[row]))
    return found
