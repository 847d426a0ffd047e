"""Measures against a benchmark. Arrays have shape (n,), returns of the same periods, fraction."""

import math

import numpy as np

from tradeplane_engine.measures import inputs, returns

FloatArray = inputs.FloatArray


def beta(own: FloatArray, other: FloatArray) -> float | None:
    """Covariance with the benchmark over the benchmark's variance; None where it does not vary."""
    if returns.varying(other) is None:
        return None
    centred = other - other.mean()
    return float(centred @ (own - own.mean())) / float(centred @ centred)


def alpha(own: FloatArray, other: FloatArray, periods_per_year: int, risk_free: float = 0.0) -> float | None:
    """Jensen's alpha: mean excess return not explained by beta, times periods per year (arithmetic)."""
    slope = beta(own, other)
    if slope is None:
        return None
    rate = risk_free / periods_per_year
    return ((float(own.mean()) - rate) - slope * (float(other.mean()) - rate)) * periods_per_year


def correlation(own: FloatArray, other: FloatArray) -> float | None:
    """Pearson correlation; None where a side does not vary."""
    if returns.varying(own) is None or returns.varying(other) is None:
        return None
    one, two = own - own.mean(), other - other.mean()
    return max(-1.0, min(1.0, float(one @ two) / math.sqrt(float(one @ one) * float(two @ two))))


def tracking_error(own: FloatArray, other: FloatArray, periods_per_year: int) -> float | None:
    """Annualised standard deviation (ddof 1) of the active return."""
    return returns.volatility(own - other, periods_per_year)


def information_ratio(own: FloatArray, other: FloatArray, periods_per_year: int) -> float | None:
    """Mean active return over its standard deviation (ddof 1), annualised."""
    return returns.sharpe(own - other, periods_per_year)


def active_return(own: FloatArray, other: FloatArray, periods_per_year: int) -> float | None:
    """Annual return less the benchmark's, fraction per year."""
    mine, theirs = returns.annual(own, periods_per_year), returns.annual(other, periods_per_year)
    return None if mine is None or theirs is None else mine - theirs


def up_capture(own: FloatArray, other: FloatArray) -> float | None:
    """Geometric mean return over the benchmark's, in the periods where the benchmark rose."""
    return _capture(own, other, other > 0)


def down_capture(own: FloatArray, other: FloatArray) -> float | None:
    """Geometric mean return over the benchmark's, in the periods where the benchmark fell; below 1 is good."""
    return _capture(own, other, other < 0)


def treynor(own: FloatArray, other: FloatArray, periods_per_year: int, risk_free: float = 0.0) -> float | None:
    """Annual mean excess return per unit of beta."""
    slope = beta(own, other)
    if slope is None or abs(slope) < returns.NOISE:
        return None
    return (float(own.mean()) * periods_per_year - risk_free) / slope


def modigliani(own: FloatArray, other: FloatArray, periods_per_year: int, risk_free: float = 0.0) -> float | None:
    """Annual mean return that the run would have had at the benchmark's volatility (M squared)."""
    ratio = returns.sharpe(own, periods_per_year, risk_free)
    spread = returns.volatility(other, periods_per_year)
    return None if ratio is None or spread is None else risk_free + ratio * spread


def _capture(own: FloatArray, other: FloatArray, rows: np.typing.NDArray[np.bool_]) -> float | None:
    count = int(rows.sum())
    if count == 0:
        return None
    mine = float(np.prod(1.0 + own[rows])) ** (1 / count) - 1.0
    theirs = float(np.prod(1.0 + other[rows])) ** (1 / count) - 1.0
    return mine / theirs if abs(theirs) > returns.NOISE else None
