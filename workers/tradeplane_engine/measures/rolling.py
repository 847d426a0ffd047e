"""Measures over a moving window, for pictures. Result at i uses samples i - window + 1 to i; NaN before that.

Each window is summed on its own: running sums lose digits, and would change with the start of history.
"""

import math
from collections.abc import Callable

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.measures import inputs, returns

FloatArray = inputs.FloatArray
_AT_ONCE = 2**20


def volatility(values: FloatArray, *, window: int, periods_per_year: int) -> FloatArray:
    """Annualised standard deviation (ddof 1) per window; shape (n,)."""
    return _each(lambda one: one.std(axis=1, ddof=1) * math.sqrt(periods_per_year), window, values)


def sharpe(values: FloatArray, *, window: int, periods_per_year: int, risk_free: float = 0.0) -> FloatArray:
    """Annualised Sharpe ratio per window; NaN where a window does not vary; shape (n,)."""

    def ratio(one: FloatArray) -> FloatArray:
        spread = one.std(axis=1, ddof=1)
        found = np.full(spread.size, np.nan)
        excess = one.mean(axis=1) - risk_free / periods_per_year
        np.divide(excess, spread, out=found, where=spread > returns.NOISE)
        return found * math.sqrt(periods_per_year)

    return _each(ratio, window, values)


def beta(values: FloatArray, other: FloatArray, *, window: int) -> FloatArray:
    """Beta to the other series per window; NaN where that does not vary; shape (n,)."""

    def slope(one: FloatArray, two: FloatArray) -> FloatArray:
        centred = two - two.mean(axis=1, keepdims=True)
        squares = (centred**2).sum(axis=1)
        found = np.full(squares.size, np.nan)
        np.divide((centred * one).sum(axis=1), squares, out=found, where=squares > window * returns.NOISE**2)
        return found

    return _each(slope, window, values, other)


def _each(statistic: Callable[..., FloatArray], window: int, *series: FloatArray) -> FloatArray:
    if window < 2:  # noqa: PLR2004 - a deviation needs two values
        raise errors.ValueRefused("window", "at least 2", window)
    size = series[0].size
    found = np.full(size, np.nan)
    if size < window:
        return found
    views = [np.lib.stride_tricks.sliding_window_view(one, window) for one in series]
    step = max(1, _AT_ONCE // window)  # windows are copied by the statistics: bound the memory
    for first in range(0, size - window + 1, step):
        parts = [view[first : first + step] for view in views]
        found[first + window - 1 : first + window - 1 + len(parts[0])] = statistic(*parts)
    return found
