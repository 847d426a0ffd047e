"""Rolling statistics of many windows at once, bit-equal whatever the number of windows.

Arrays have shape (rows, n): row 0 is the newest bar of each of n windows. Every sum runs from the newest row to the
oldest by ``accumulate``, which numpy defines as strictly sequential, and a window of d rows is a snapshot after d
steps; everything else is elementwise. So a column never depends on its neighbours, and one window computed alone has
the same bits as inside a batch; so have logarithms, which are our own (``domain.logarithms``).

A value that is NaN or infinite is missing and is skipped; NaN is the answer where too few values remain.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
_ArgFind = Callable[..., npt.NDArray[np.intp]]

WINDOWS = (5, 10, 20, 30, 60)
LONGEST = WINDOWS[-1]
_AT = [window - 1 for window in WINDOWS]
_SPANS = np.array(WINDOWS, dtype=np.float64)[:, None]


def sums(values: FloatArray) -> FloatArray:
    """Sum the last d rows for each window d; shape (rows, n) to (5, n)."""
    return np.add.accumulate(values[:LONGEST], axis=0)[_AT]


@dataclass(frozen=True)
class Series:
    """One input of the rolling statistics, with its missing values found once."""

    values: FloatArray

    @functools.cached_property
    def valid(self) -> BoolArray:
        """Where a value is there, shape (60, n)."""
        return np.isfinite(self.values[:LONGEST])

    @functools.cached_property
    def filled(self) -> FloatArray:
        """The values with zero in place of the missing ones."""
        return np.where(self.valid, self.values[:LONGEST], 0.0)

    @functools.cached_property
    def count(self) -> FloatArray:
        """Values per window, shape (5, n)."""
        return sums(self.valid.astype(np.float64))

    @functools.cached_property
    def sum(self) -> FloatArray:
        """Sum per window; NaN where none is there."""
        return np.where(self.count > 0, sums(self.filled), np.nan)

    @functools.cached_property
    def mean(self) -> FloatArray:
        """Mean per window; NaN where none is there."""
        return self.sum / self.count

    @functools.cached_property
    def std(self) -> FloatArray:
        """Standard deviation per window, ddof 1; NaN with fewer than two values."""
        squares = np.stack([_last(self._deviations(which) ** 2, window) for which, window in enumerate(WINDOWS)])
        return np.sqrt(np.where(self.count > 1, squares / (self.count - 1), np.nan))

    def flat(self, *, relative: bool) -> BoolArray:
        """Whether the standard deviation is at most 2e-5 of the mean, or (Qlib's rule) in absolute units."""
        scale = np.abs(self.mean) if relative else 1.0
        return self.std <= _FLAT * scale

    def _deviations(self, which: int) -> FloatArray:
        window = WINDOWS[which]
        return np.where(self.valid[:window], self.filled[:window] - self.mean[which], 0.0)


_FLAT = 2e-5


def correlation(left: Series, right: Series, *, relative: bool) -> FloatArray:
    """Pearson correlation over rows where both are there; NaN where either input is about flat."""
    both = left.valid & right.valid
    one = Series(np.where(both, left.filled, np.nan))
    two = Series(np.where(both, right.filled, np.nan))
    columns = []
    for which, window in enumerate(WINDOWS):
        first, second = one._deviations(which), two._deviations(which)  # noqa: SLF001 - same module's class
        spread = np.sqrt(_last(first**2, window)) * np.sqrt(_last(second**2, window))
        columns.append(np.where(one.count[which] > 1, _last(first * second, window) / spread, np.nan))
    return np.where(left.flat(relative=relative) | right.flat(relative=relative), np.nan, np.stack(columns))


@dataclass(frozen=True, slots=True)
class Trend:
    """Least squares of a series on time, one row per window: slope per row, squared correlation, newest residual."""

    slope: FloatArray
    rsquare: FloatArray
    residual: FloatArray


def trend(series: Series) -> Trend:
    """Fit each window on x = d at the newest row, d - 1 before it, gaps kept; NaN with fewer than two values."""
    slopes, rsquares, residuals = [], [], []
    newest = series.values[0]
    for which, window in enumerate(WINDOWS):
        valid, count = series.valid[:window], series.count[which]
        place = np.arange(window, 0, -1, dtype=np.float64)[:, None]
        centre = _last(np.where(valid, place, 0.0), window) / count
        across = np.where(valid, place - centre, 0.0)
        up = series._deviations(which)  # noqa: SLF001 - same module's class
        squares, cross = _last(across**2, window), _last(across * up, window)
        slope = np.where(count > 1, cross / squares, np.nan)
        slopes.append(slope)
        rsquares.append(np.where(count > 1, cross**2 / (squares * _last(up**2, window)), np.nan))
        residuals.append(newest - (series.mean[which] + slope * (window - centre)))
    return Trend(np.stack(slopes), np.stack(rsquares), np.stack(residuals))


def highest(values: FloatArray) -> FloatArray:
    """Largest value per window; NaN where none is there."""
    return np.fmax.accumulate(values[:LONGEST], axis=0)[_AT]


def lowest(values: FloatArray) -> FloatArray:
    """Smallest value per window; NaN where none is there."""
    return np.fmin.accumulate(values[:LONGEST], axis=0)[_AT]


def place_of_highest(values: FloatArray, present: npt.NDArray[np.int64]) -> FloatArray:
    """Place of the first maximum over d, counted from 1 at the oldest row; the first NaN wins where there is one.

    NaN where no value is there. ``present`` is the number of rows of each window that history has; the places start
    at the oldest of them.
    """
    return _place(values, present, np.argmax, -np.inf)


def place_of_lowest(values: FloatArray, present: npt.NDArray[np.int64]) -> FloatArray:
    """Place of the first minimum, as :func:`place_of_highest`."""
    return _place(values, present, np.argmin, np.inf)


def quantiles(series: Series, levels: tuple[float, ...]) -> list[FloatArray]:
    """Quantiles per window by linear interpolation; NaN where no value is there."""
    found: list[list[FloatArray]] = [[] for _ in levels]
    for which, window in enumerate(WINDOWS):
        ordered = np.sort(np.where(series.valid[:window], series.filled[:window], np.inf), axis=0)
        count = series.count[which]
        for level, column in zip(levels, found, strict=True):
            at = level * (np.maximum(count, 1.0) - 1.0)
            low = np.floor(at).astype(np.intp)
            high = np.minimum(low + 1, np.maximum(count, 1.0).astype(np.intp) - 1)
            below = np.take_along_axis(ordered, low[None], axis=0)[0]
            above = np.take_along_axis(ordered, high[None], axis=0)[0]
            column.append(np.where(count > 0, below + (above - below) * (at - low), np.nan))
    return [np.stack(column) for column in found]


def rank(series: Series) -> FloatArray:
    """Percentile rank of the newest value in its window: average rank / count; NaN where the newest is missing."""
    newest = series.values[0]
    less = sums((series.valid & (series.filled < newest)).astype(np.float64))
    equal = sums((series.valid & (series.filled == newest)).astype(np.float64))
    return np.where(np.isfinite(newest), (less + (equal + 1) / 2) / series.count, np.nan)


def rows_in_window(present: npt.NDArray[np.int64]) -> FloatArray:
    """Rows of each window that history has, missing values counted; shape (5, n)."""
    return np.minimum(_SPANS, present.astype(np.float64)[None])


def _last(values: FloatArray, window: int) -> FloatArray:
    total: FloatArray = np.add.accumulate(values[:window], axis=0)[-1]
    return total


def _place(values: FloatArray, present: npt.NDArray[np.int64], find: _ArgFind, fill: float) -> FloatArray:
    columns = []
    for window in WINDOWS:
        rows = np.minimum(window, present)
        there = np.arange(window)[:, None] < rows
        oldest_first = np.where(there, values[:window], fill)[::-1]
        first = find(oldest_first, axis=0) - (window - rows)
        some = np.isfinite(values[:window]).any(axis=0)
        columns.append(np.where(some, (first + 1) / window, np.nan))
    return np.stack(columns)
