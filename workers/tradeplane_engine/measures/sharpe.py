"""How sure a Sharpe ratio is: probabilistic Sharpe ratio, minimum track record, and deflation by the trials made.

All ratios here are per period, not annualised; skewness and kurtosis are those of the population (normal = 0, 3).
Sources: Bailey and Lopez de Prado, J. Risk 15 (2012) and J. Portfolio Management 40 (2014).
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.measures import inputs, returns, tails

_EULER = 0.5772156649


@dataclass(frozen=True, slots=True)
class Estimate:
    """A Sharpe ratio per period with what its error depends on."""

    sharpe: float
    periods: int
    skewness: float = 0.0
    kurtosis: float = 3.0

    @classmethod
    def of(cls, values: inputs.FloatArray, sharpe: float | None) -> Self | None:
        """Return the estimate of a series and its ratio per period; None where the series does not vary."""
        skew, kurtosis = returns.skewness(values), returns.kurtosis(values)
        if sharpe is None or skew is None or kurtosis is None:
            return None
        return cls(sharpe, values.size, skew, kurtosis)

    @property
    def spread(self) -> float:
        """Variance of the estimate times (periods - 1)."""
        return 1.0 - self.skewness * self.sharpe + (self.kurtosis - 1.0) / 4.0 * self.sharpe**2


def probabilistic(estimate: Estimate | None, threshold: float = 0.0) -> float | None:
    """Probability that the true ratio is above ``threshold``."""
    if estimate is None or estimate.periods < 2 or estimate.spread <= 0:  # noqa: PLR2004 - one period has no spread
        return None
    distance = (estimate.sharpe - threshold) * math.sqrt(estimate.periods - 1)
    return tails.NORMAL.cdf(distance / math.sqrt(estimate.spread))


def minimum_track_record(estimate: Estimate | None, threshold: float = 0.0, *, error: float = 0.05) -> float | None:
    """Periods needed to say with one-sided error ``error`` that the ratio is above ``threshold``; None if it is not."""
    if estimate is None or estimate.sharpe <= threshold:
        return None
    needed = tails.NORMAL.inv_cdf(1.0 - error) / (estimate.sharpe - threshold)
    return 1.0 + estimate.spread * needed**2


def expected_maximum(trials: int, variance: float) -> float:
    """Sharpe ratio per period that the best of ``trials`` worthless trials has, on average.

    Parameters
    ----------
    trials : number of trials ever made, the forgotten ones too
    variance : variance of the trials' ratios per period (ddof 1)
    """
    if trials < 1:
        raise errors.ValueRefused("trials", "at least 1", trials)
    if not (math.isfinite(variance) and variance >= 0):
        raise errors.ValueRefused("variance", "at least 0", variance)
    if trials == 1:
        return 0.0
    low = tails.NORMAL.inv_cdf(1.0 - 1.0 / trials)
    high = tails.NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - _EULER) * low + _EULER * high)


def deflated(estimate: Estimate | None, *, trials: int, variance: float) -> float | None:
    """Probability that the true ratio is above what luck gives the best of that many trials."""
    return probabilistic(estimate, expected_maximum(trials, variance))


def variance_of_trials(ratios: inputs.FloatArray) -> float | None:
    """Variance (ddof 1) of the trials' ratios per period; None below two trials."""
    return float(np.var(ratios, ddof=1)) if ratios.size > 1 else None
