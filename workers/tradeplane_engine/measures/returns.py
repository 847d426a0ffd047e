"""Measures of a series of simple returns: growth, spread, shape and their ratios.

Arrays have shape (n,), one return per period, fraction. A measure that its data cannot define is None.
"""

import math

import numpy as np

from tradeplane_engine.measures import inputs

FloatArray = inputs.FloatArray
# A return is a quotient near 1 of two rounded numbers, so a constant return scatters by a few 1e-16. A spread below
# this is rounding, and a ratio over it would be a huge number that means nothing.
NOISE = 1e-14
_PAIR = 2


def total(returns: FloatArray) -> float | None:
    """Compounded return over all periods, fraction."""
    return float(np.prod(1.0 + returns)) - 1.0 if returns.size else None


def annual(returns: FloatArray, periods_per_year: int) -> float | None:
    """Compound annual growth: the total return raised to ``periods_per_year / n``, fraction per year."""
    if returns.size == 0:
        return None
    with np.errstate(over="ignore"):
        return float(np.prod(1.0 + returns) ** (periods_per_year / returns.size)) - 1.0


def mean(returns: FloatArray) -> float | None:
    """Arithmetic mean, fraction per period."""
    return float(np.mean(returns)) if returns.size else None


def deviation(returns: FloatArray) -> float | None:
    """Sample standard deviation (ddof 1), fraction per square root of a period; None below two values."""
    return float(np.std(returns, ddof=1)) if returns.size >= _PAIR else None


def varying(returns: FloatArray) -> float | None:
    """Like :func:`deviation`, but None also where the values differ by rounding only: what a ratio may divide by."""
    found = deviation(returns)
    return found if found is not None and found > NOISE else None


def volatility(returns: FloatArray, periods_per_year: int) -> float | None:
    """Annualised standard deviation, fraction per square root of a year."""
    found = deviation(returns)
    return None if found is None else found * math.sqrt(periods_per_year)


def downside(returns: FloatArray, periods_per_year: int) -> float | None:
    """Annualised root mean square of the negative returns over all n periods; target 0."""
    if returns.size == 0:
        return None
    return math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2))) * math.sqrt(periods_per_year)


def sharpe(returns: FloatArray, periods_per_year: int, risk_free: float = 0.0) -> float | None:
    """Mean excess return over its standard deviation (ddof 1), annualised; ``risk_free`` is a rate per year."""
    spread = varying(returns)
    if spread is None:
        return None
    return (float(np.mean(returns)) - risk_free / periods_per_year) / spread * math.sqrt(periods_per_year)


def sortino(returns: FloatArray, periods_per_year: int, risk_free: float = 0.0) -> float | None:
    """Annual mean excess return over the downside deviation of that excess."""
    excess = returns - risk_free / periods_per_year
    spread = downside(excess, periods_per_year)
    if not spread or spread <= NOISE:
        return None
    return float(np.mean(excess)) * periods_per_year / spread


def omega(returns: FloatArray) -> float | None:
    """Sum of gains over sum of losses, threshold 0; None without a loss."""
    losses = float(np.sum(np.maximum(-returns, 0.0)))
    return float(np.sum(np.maximum(returns, 0.0))) / losses if losses > NOISE else None


def gain_to_pain(returns: FloatArray) -> float | None:
    """Sum of all returns over the sum of losses; None without a loss."""
    losses = float(np.sum(np.maximum(-returns, 0.0)))
    return float(np.sum(returns)) / losses if losses > NOISE else None


def skewness(returns: FloatArray) -> float | None:
    """Third standardised moment of the population; None where the values do not vary."""
    return _standard_moment(returns, 3)


def kurtosis(returns: FloatArray) -> float | None:
    """Fourth standardised moment of the population, 3 for a normal; None where the values do not vary."""
    return _standard_moment(returns, 4)


def tail_ratio(returns: FloatArray) -> float | None:
    """Size of the 95 % quantile over the size of the 5 % quantile."""
    if returns.size == 0:
        return None
    low, high = (abs(float(value)) for value in np.quantile(returns, (0.05, 0.95)))
    return high / low if low > NOISE else None


def hit_rate(returns: FloatArray) -> float | None:
    """Share of periods with a positive return."""
    return float(np.mean(returns > 0)) if returns.size else None


def best(returns: FloatArray) -> float | None:
    """Highest return, fraction."""
    return float(returns.max()) if returns.size else None


def worst(returns: FloatArray) -> float | None:
    """Lowest return, fraction."""
    return float(returns.min()) if returns.size else None


def autocorrelation(returns: FloatArray) -> float | None:
    """Correlation of each return with the one before it: lag-1 covariance over n, divided by the variance over n."""
    if varying(returns) is None:
        return None
    centred = returns - returns.mean()
    return float(centred[1:] @ centred[:-1]) / float(centred @ centred)


def stability(wealth: FloatArray) -> float | None:
    """Squared correlation of log wealth with time, in [0, 1]; None after ruin or where wealth does not move.

    Parameters
    ----------
    wealth : shape (n,), multiples of the start
    """
    if wealth.size <= _PAIR or float(wealth.min()) <= 0:
        return None
    height = np.log(wealth)
    height = height - height.mean()
    time = np.arange(wealth.size) - (wealth.size - 1) / 2
    spread = float(height @ height) * float(time @ time)
    return float(time @ height) ** 2 / spread if spread > NOISE**2 else None


def _standard_moment(values: FloatArray, order: int) -> float | None:
    if varying(values) is None:
        return None
    centred = values - values.mean()
    return float(np.mean(centred**order)) / math.pow(float(np.mean(centred**2)), order / 2)
