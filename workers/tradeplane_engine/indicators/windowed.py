"""Functions of a window's rows alone, over many windows at once.

Each takes ``window - 1 + n`` rows of its inputs, oldest first, and returns n values. Sums run from a window's newest
row to its oldest, strictly in sequence, so a value depends on nothing before its window and has the same bits whatever
n is.
"""

import functools
from collections.abc import Callable

import numpy as np

from tradeplane_engine.indicators import nodes

Array = nodes.Array
FloatArray = nodes.FloatArray

_FEW = 16  # up to so many windows one accumulate is quicker than a loop over rows; both add in the same order
_CELLS = 1 << 18  # numbers sorted at once; bounds memory, changes no bit


def rows(values: Array, window: int) -> Array:
    """Show windows as shape (window, n), newest row first, without a copy; ``values`` is contiguous."""
    values = np.ascontiguousarray(values)
    step = values.itemsize
    shape = (window, len(values) - window + 1)
    found: Array = np.ndarray(shape, values.dtype, values, (window - 1) * step, (-step, step))
    found.flags.writeable = False
    return found


def sums(term: Callable[..., Array], *windows: Array) -> Array:
    """Sum an elementwise term over the rows of windows, shape (window, n) or (window, 1) to (n,)."""
    if windows[0].shape[1] <= _FEW:
        found: Array = np.add.accumulate(term(*windows), axis=0)[-1]
        return found
    total = np.array(term(*(one[0] for one in windows)))
    for row in range(1, len(windows[0])):
        total += term(*(one[row] for one in windows))
    return total


def total(x: FloatArray, window: int) -> FloatArray:
    """Sum."""
    return sums(_same, rows(x, window))


def mean(x: FloatArray, window: int) -> FloatArray:
    """Mean."""
    return total(x, window) / window


def weighted_mean(x: FloatArray, window: int) -> FloatArray:
    """Mean with weights n for the newest row down to 1 for the oldest."""
    weights = np.arange(window, 0, -1, dtype=np.float64)[:, None]
    return sums(np.multiply, rows(x, window), weights) / (window * (window + 1) / 2)


def triangular_mean(x: FloatArray, window: int) -> FloatArray:
    """Mean with weights that rise from 1 to the middle row and fall to 1 again."""
    place = np.arange(1, window + 1, dtype=np.float64)
    weights = np.minimum(place, place[::-1])[:, None]
    return sums(np.multiply, rows(x, window), weights) / float(weights.sum())


def squares(x: FloatArray, window: int) -> FloatArray:
    """Sum of the squared deviations from the window's mean, in two passes."""
    view = rows(x, window)
    centre = sums(_same, view) / window
    return sums(lambda row: (row - centre) * (row - centre), view)


def variance(x: FloatArray, window: int, ddof: int = 0) -> FloatArray:
    """Variance."""
    return squares(x, window) / (window - ddof)


def deviation(x: FloatArray, window: int) -> FloatArray:
    """Standard deviation, ddof 0."""
    return np.sqrt(variance(x, window))


def mean_deviation(x: FloatArray, window: int) -> FloatArray:
    """Mean absolute deviation from the window's mean."""
    view = rows(x, window)
    centre = sums(_same, view) / window
    return sums(lambda row: np.abs(row - centre), view) / window


def covariance(x: FloatArray, y: FloatArray, window: int) -> FloatArray:
    """Covariance, ddof 0."""
    one, two = rows(x, window), rows(y, window)
    first, second = sums(_same, one) / window, sums(_same, two) / window
    return sums(lambda a, b: (a - first) * (b - second), one, two) / window


def correlation(x: FloatArray, y: FloatArray, window: int) -> FloatArray:
    """Pearson correlation; NaN where either does not move."""
    return nodes.ratio(covariance(x, y, window), deviation(x, window) * deviation(y, window))


def slope(x: FloatArray, window: int) -> FloatArray:
    """Least-squares slope per row on time."""
    # Places are centred, so that their sum is zero and the mean of x drops out.
    places = (np.arange(window - 1, -1, -1, dtype=np.float64) - (window - 1) / 2)[:, None]
    return sums(np.multiply, rows(x, window), places) / (window * (window * window - 1.0) / 12.0)


def highest(x: Array, window: int) -> Array:
    """Largest value; NaN where one is in the window."""
    return _extreme(np.maximum, x, window)


def lowest(x: Array, window: int) -> Array:
    """Smallest value; NaN where one is in the window."""
    return _extreme(np.minimum, x, window)


def since_highest(x: FloatArray, window: int) -> FloatArray:
    """Rows since the highest value, the newest of equals."""
    return _since(np.greater, np.argmax, x, window)


def since_lowest(x: FloatArray, window: int) -> FloatArray:
    """Rows since the lowest value, the newest of equals."""
    return _since(np.less, np.argmin, x, window)


def share_below(x: FloatArray, window: int) -> FloatArray:
    """Share of the rows before the newest that are below it, from 0 to 1; ``window`` counts the newest too."""
    view = rows(x, window)
    return sums(lambda row: (row < view[0]).astype(np.float64), view[1:]) / (window - 1)


def quantile(x: FloatArray, window: int, level: float) -> FloatArray:
    """Quantile by linear interpolation between order statistics; ``level`` from 0 to 1."""
    view = rows(x, window)
    at = level * (window - 1)
    below = int(at)
    above = min(below + 1, window - 1)
    parts = []
    width = max(1, _CELLS // window)
    for start in range(0, view.shape[1], width):
        ordered = np.sort(view[:, start : start + width], axis=0)
        parts.append(ordered[below] + (ordered[above] - ordered[below]) * (at - below))
    return np.concatenate(parts)


def quantile_at(level: float) -> nodes.Function:
    """Return :func:`quantile` of one level."""
    return functools.partial(quantile, level=level)


def _same(row: Array) -> Array:
    return row


def _extreme(pick: Callable[[Array, Array], Array], x: Array, window: int) -> Array:
    # Extremes of 1, 2, 4, ... rows, then two of these that overlap; the order of comparisons changes no extreme.
    found, span = x, 1
    while 2 * span <= window:
        found = pick(found[:-span], found[span:])
        span *= 2
    rest = window - span
    return found if rest == 0 else pick(found[:-rest], found[rest:])


def _since(beats: Callable[..., Array], find: Callable[..., Array], x: FloatArray, window: int) -> FloatArray:
    view = rows(x, window)
    if view.shape[1] <= _FEW:
        return find(view, axis=0).astype(np.float64)
    best = np.array(view[0])
    place = np.zeros(len(best))
    for back in range(1, window):
        better = beats(view[back], best)
        best = np.where(better, view[back], best)
        place = np.where(better, float(back), place)
    return place
