"""One run with everything that measures share computed once, and the same run with its returns drawn again."""

import functools
from dataclasses import dataclass

import numpy as np

from tradeplane_engine.measures import drawdowns, inputs, periods

FloatArray = inputs.FloatArray


@dataclass(frozen=True, eq=False)
class Sample:
    """A run as the registry sees it.

    Parameters
    ----------
    run : the run
    rows : shape (n,), the samples that a bootstrap drew, or None for those that happened
    """

    run: inputs.Run
    rows: inputs.IntArray | None = None

    @functools.cached_property
    def returns(self) -> FloatArray:
        """Simple return per period, shape (n,)."""
        found = self.run.curve.returns()
        return found if self.rows is None else found[self.rows]

    @functools.cached_property
    def other(self) -> FloatArray | None:
        """Returns of the benchmark in the same periods, or None."""
        if self.run.benchmark is None:
            return None
        found = self.run.benchmark.returns
        return found if self.rows is None else found[self.rows]

    @functools.cached_property
    def wealth(self) -> FloatArray:
        """Multiples of the starting equity, shape (n,)."""
        if self.rows is None:
            return self.run.curve.wealth()
        return np.multiply.accumulate(1.0 + self.returns)

    @functools.cached_property
    def drawdown(self) -> FloatArray:
        """Drawdown per period, shape (n,)."""
        return drawdowns.series(self.wealth)

    @functools.cached_property
    def falls(self) -> tuple[drawdowns.Episode, ...]:
        """Every fall below a peak."""
        return drawdowns.episodes(self.drawdown)

    @functools.cached_property
    def monthly(self) -> FloatArray:
        """Return per calendar month, the first and last may be partial."""
        return periods.compounded(self.returns, periods.split(self.run.curve.at, "month"))

    @property
    def year(self) -> int:
        """Periods per year."""
        return self.run.periods_per_year

    @property
    def rate(self) -> float:
        """Risk-free rate per year."""
        return self.run.risk_free
