"""Falls from the highest wealth so far. The starting wealth 1 counts as a peak; a drawdown is at most 0."""

import math
from dataclasses import dataclass

import numpy as np

from tradeplane_engine.measures import inputs

FloatArray = inputs.FloatArray
# Wealth that came back to its peak may miss it by the rounding of a thousand products.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Episode:
    """One fall: sample of the peak (-1 = the start), of the trough, and of the recovery (None = not yet)."""

    peak: int
    trough: int
    recovery: int | None
    depth: float
    last: int

    @property
    def length(self) -> int:
        """Periods from the peak to the recovery, or to the last sample while it lasts."""
        return (self.last if self.recovery is None else self.recovery) - self.peak


def series(wealth: FloatArray) -> FloatArray:
    """Drawdown at each sample, fraction, at most 0; shape (n,)."""
    peaks = np.maximum(np.maximum.accumulate(wealth), 1.0)
    found = wealth / peaks - 1.0
    return np.where(found > -_ROUNDING, 0.0, found)


def episodes(drawdown: FloatArray) -> tuple[Episode, ...]:
    """Every fall below a peak, in the order of time."""
    under = np.concatenate(([False], drawdown < 0, [False]))
    edges = np.flatnonzero(under[1:] != under[:-1])
    found = []
    for first, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        trough = first + int(np.argmin(drawdown[first:stop]))
        recovery = stop if stop < drawdown.size else None
        found.append(Episode(first - 1, trough, recovery, float(drawdown[trough]), drawdown.size - 1))
    return tuple(found)


def deepest(falls: tuple[Episode, ...]) -> Episode | None:
    """Return the deepest fall, the first of equals."""
    return min(falls, key=lambda fall: fall.depth, default=None)


def maximum(drawdown: FloatArray) -> float | None:
    """Deepest drawdown, at most 0."""
    return float(drawdown.min()) if drawdown.size else None


def average(falls: tuple[Episode, ...]) -> float | None:
    """Mean depth of the falls; None without one."""
    return sum(fall.depth for fall in falls) / len(falls) if falls else None


def longest(falls: tuple[Episode, ...]) -> int:
    """Periods of the longest time below a peak, 0 without a fall."""
    return max((fall.length for fall in falls), default=0)


def ulcer(drawdown: FloatArray) -> float | None:
    """Ulcer index: root mean square of the drawdowns (Martin 1987), fraction."""
    return math.sqrt(float(np.mean(drawdown**2))) if drawdown.size else None


def pain(drawdown: FloatArray) -> float | None:
    """Pain index: mean size of the drawdowns, fraction."""
    return float(np.mean(-drawdown)) if drawdown.size else None


def over(gain: float | None, fall: float | None) -> float | None:
    """Ratio of a gain to the size of a fall (Calmar, recovery, pain and Martin ratios); None without a fall."""
    return gain / abs(fall) if gain is not None and fall else None
