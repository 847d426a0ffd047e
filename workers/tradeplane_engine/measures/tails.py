"""Value at risk and expected shortfall, in every convention that users compare with, and the test of a VaR forecast.

Losses are positive fractions of equity. ``tail`` is the probability beyond the measure: 0.05 for a level of 95 %.
Sources: RiskMetrics (1996) for EWMA; Rockafellar and Uryasev (2000) for expected shortfall; Kupiec (1995).
"""

import math
import statistics
from dataclasses import dataclass

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.measures import inputs, returns

FloatArray = inputs.FloatArray
NORMAL = statistics.NormalDist()
DECAY = 0.94
# 0.05 * 60 is 3.0000000000000004 on some pairs: a count must not move by one for that.
_COUNT_NOISE = 1e-9


def var_linear(values: FloatArray, tail: float = 0.05) -> float | None:
    """Historical VaR: minus the quantile with linear interpolation."""
    return -float(np.quantile(values, tail)) if values.size else None


def var_order(values: FloatArray, tail: float = 0.05) -> float | None:
    """Historical VaR: minus the ceil(tail n)-th smallest return, a loss that happened."""
    if values.size == 0:
        return None
    rank = max(1, math.ceil(tail * values.size - _COUNT_NOISE))
    return -float(np.partition(values, rank - 1)[rank - 1])


def var_normal(values: FloatArray, tail: float = 0.05) -> float | None:
    """Parametric VaR: minus (mean + z s), s with ddof 1."""
    spread = returns.deviation(values)
    return None if spread is None else -(float(np.mean(values)) + NORMAL.inv_cdf(tail) * spread)


def var_cornish_fisher(values: FloatArray, tail: float = 0.05) -> float | None:
    """Parametric VaR with the normal quantile corrected for skew and kurtosis (Cornish and Fisher)."""
    skew, kurtosis, spread = returns.skewness(values), returns.kurtosis(values), returns.varying(values)
    if skew is None or kurtosis is None or spread is None:
        return None
    z = NORMAL.inv_cdf(tail)
    corrected = (
        z
        + (z**2 - 1) * skew / 6
        + (z**3 - 3 * z) * (kurtosis - 3) / 24
        - (2 * z**3 - 5 * z) * skew**2 / 36
    )  # fmt: skip
    return -(float(np.mean(values)) + corrected * spread)


def ewma_variance(values: FloatArray, decay: float = DECAY) -> float | None:
    """Variance forecast for the next period: v_0 = r_0^2, v_t = decay v_{t-1} + (1 - decay) r_t^2."""
    if values.size == 0:
        return None
    weights = (1.0 - decay) * decay ** np.arange(values.size - 1, -1, -1, dtype=np.float64)
    weights[0] /= 1.0 - decay
    return float(weights @ values**2)


def var_ewma(values: FloatArray, tail: float = 0.05, decay: float = DECAY) -> float | None:
    """Parametric VaR of the next period from the EWMA variance, mean 0."""
    variance = ewma_variance(values, decay)
    return None if variance is None else -NORMAL.inv_cdf(tail) * math.sqrt(variance)


def es(values: FloatArray, tail: float = 0.05) -> float | None:
    """Expected shortfall after Rockafellar and Uryasev: mean of exactly the worst ``tail`` of the mass."""
    if values.size == 0:
        return None
    mass = tail * values.size
    whole = math.floor(mass + _COUNT_NOISE)
    ordered = np.sort(values)
    rest = (mass - whole) * float(ordered[whole]) if whole < values.size else 0.0
    return -(float(np.sum(ordered[:whole])) + rest) / mass


def es_tail_mean(values: FloatArray, tail: float = 0.05) -> float | None:
    """Expected shortfall as the plain mean of the int((n - 1) tail) + 1 smallest returns."""
    if values.size == 0:
        return None
    count = int((values.size - 1) * tail) + 1
    return -float(np.mean(np.partition(values, count - 1)[:count]))


def es_normal(values: FloatArray, tail: float = 0.05) -> float | None:
    """Expected shortfall of a normal with the sample's mean and deviation (ddof 1)."""
    spread = returns.deviation(values)
    if spread is None:
        return None
    return -(float(np.mean(values)) - spread * NORMAL.pdf(NORMAL.inv_cdf(tail)) / tail)


@dataclass(frozen=True, slots=True, eq=False)
class PortfolioVar:
    """Normal VaR of a portfolio, fraction of equity, and each asset's part of it; the parts sum to the value."""

    value: float
    parts: FloatArray


def portfolio_var(
    weights: FloatArray, covariance: FloatArray, means: FloatArray, *, tail: float = 0.05
) -> PortfolioVar | None:
    """Normal VaR of today's weights; None where the portfolio does not vary.

    Parameters
    ----------
    weights, means : shape (n_assets,), fraction of equity and mean return per period
    covariance : shape (n_assets, n_assets), per period
    """
    pull = covariance @ weights
    variance = float(weights @ pull)
    if variance <= returns.NOISE**2:
        return None
    value = -NORMAL.inv_cdf(tail) * math.sqrt(variance) - float(weights @ means)
    return PortfolioVar(value, weights * pull / variance * value)


@dataclass(frozen=True, slots=True)
class Kupiec:
    """Likelihood ratio of an exception rate (chi-squared, one degree of freedom) and its p-value."""

    ratio: float
    p_value: float


def kupiec(*, periods: int, exceptions: int, tail: float) -> Kupiec:
    """Test whether losses beyond VaR came at the promised rate (proportion of failures, Kupiec 1995).

    Parameters
    ----------
    periods : forecasts made, at least 1
    exceptions : periods whose loss was beyond VaR
    tail : promised rate, in (0, 1)
    """
    if not 0 <= exceptions <= periods or periods < 1:
        raise errors.ValueRefused("exceptions", f"between 0 and the number of periods, {periods}", exceptions)
    if not 0 < tail < 1:
        raise errors.ValueRefused("tail", "between 0 and 1", tail)

    def likelihood(rate: float) -> float:
        """Logarithm of the binomial likelihood, with 0 log 0 = 0."""
        hit = exceptions * math.log(rate) if exceptions else 0.0
        return hit + ((periods - exceptions) * math.log1p(-rate) if exceptions < periods else 0.0)

    ratio = max(0.0, -2.0 * (likelihood(tail) - likelihood(exceptions / periods)))
    return Kupiec(ratio=ratio, p_value=math.erfc(math.sqrt(ratio / 2)))


def var_exceptions(values: FloatArray, *, window: int, tail: float = 0.05) -> int:
    """Periods whose loss was beyond the linear VaR of the ``window`` periods before them: no period sees itself."""
    if not 1 <= window < max(2, values.size):
        raise errors.ValueRefused("window", f"between 1 and {values.size - 1}", window)
    before = np.lib.stride_tricks.sliding_window_view(values, window)[:-1]
    return int(np.sum(values[window:] < np.quantile(before, tail, axis=1)))
