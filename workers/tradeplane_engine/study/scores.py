"""Measures of a configuration's daily equity, over all days or over some of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.measures import inputs, periods, registry, sample

FloatArray = inputs.FloatArray
IntArray = inputs.IntArray

SHOWN = ("total_return", "annual_return", "volatility", "sharpe", "max_drawdown")
_NANO = 1e-9
_TRADES, _FILLS = inputs.Trades.none(), inputs.Fills.none()


def objective(name: str) -> str:
    """Return the name of a measure that depends on returns alone and grows with what one wants; raises ValueRefused."""
    known = [one.name for one in registry.MEASURES if one.redrawn]
    if name not in known:
        raise errors.ValueRefused("objective", f"a measure of returns ({', '.join(known)})", name)
    return name


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """Measures curves at the ends of days.

    Parameters
    ----------
    days : at whose ends there is equity
    cash : at the beginning, 1e-9 USD
    objective : the measure that is looked for
    """

    days: periods.Days
    cash: int
    objective: str

    @property
    def ends(self) -> IntArray:
        """The days as they are shown, shape (days,), ns UTC."""
        return self.days.labels

    def returns(self, curves: IntArray) -> FloatArray:
        """Return per day and curve; shape (days, n) from curves of shape (n, days)."""
        found = [self._curve(curve).returns() for curve in curves]
        return np.array(found, dtype=np.float64).reshape(len(found), -1).T

    def sample(self, returns: FloatArray, days: IntArray | None = None) -> sample.Sample:
        """Return what measures look at, from returns of shape (days,), or from those of some days."""
        rows = np.arange(len(self.ends)) if days is None else days
        equity = (self.cash * _NANO * np.cumprod(1.0 + returns[rows])).astype(np.float64)
        curve = inputs.Curve(at=self.ends[rows], equity=equity, start=self.cash * _NANO)
        return sample.Sample(inputs.Run(curve, _TRADES, _FILLS, self.days.per_year))

    def score(self, returns: FloatArray, days: IntArray | None = None) -> float:
        """Return the objective; NaN where it is undefined."""
        found = registry.compute(self.sample(returns, days).run, [self.objective])[self.objective]
        return float("nan") if found is None else found

    def measures(self, returns: FloatArray, days: IntArray | None = None) -> Mapping[str, float | None]:
        """Return what is shown of a curve, the objective first."""
        return registry.compute(self.sample(returns, days).run, dict.fromkeys((self.objective, *SHOWN)))

    def _curve(self, curve: IntArray) -> inputs.Curve:
        equity = curve.astype(np.float64) * _NANO
        return inputs.Curve(at=self.ends, equity=equity, start=self.cash * _NANO)
