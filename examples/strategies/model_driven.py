"""Model-driven: a model scores every symbol of an instant, and what scores high enough is held.

The score function gets one row of features per symbol and returns one score per row. Here it is a fixed linear rule, so
that the file runs by itself; a trained model goes in the same place: ``score = staticmethod(model.predict)``.
"""

import numpy as np
import numpy.typing as npt
import pydantic

from tradeplane_engine import strategy
from tradeplane_engine.core import context, table

FloatArray = npt.NDArray[np.float64]
_LOOKBACK = 40


def features(closes: npt.NDArray[np.int64]) -> list[float]:
    """Return over 5 and over 20 bars, and the deviation of one-bar returns."""
    returns = np.diff(np.log(closes))
    return [float(returns[-5:].sum()), float(returns[-20:].sum()), float(returns.std(ddof=1))]


def linear(rows: FloatArray) -> FloatArray:
    """Score rows of shape (n, 3): what rose lately and calmly scores high; shape (n,)."""
    weights = np.array([-0.5, 1.0, -1.0])
    # One fixed order of summation: a score must not depend on how a library divides a matrix.
    found: FloatArray = rows[:, 0] * weights[0] + rows[:, 1] * weights[1] + rows[:, 2] * weights[2]
    return found


class ModelDriven(strategy.Strategy):
    """Holds the symbols whose score is above a threshold, the same part of equity each."""

    class Parameters(strategy.Strategy.Parameters):
        """Scores that open and that close a position, and the part of equity per symbol."""

        enter: float = 0.02
        leave: float = 0.0
        weight: float = pydantic.Field(default=0.1, gt=0, le=1)

    parameters: Parameters
    score = staticmethod(linear)

    def on_bars(self, ctx: context.Context, bars: table.Bars) -> None:
        """Score all symbols of the instant at once."""
        histories = {bar.symbol: ctx.history(bar.symbol, _LOOKBACK) for bar in bars}
        known = [symbol for symbol, closes in histories.items() if len(closes) == _LOOKBACK]
        if not known:
            return
        scores = self.score(np.array([features(histories[symbol]) for symbol in known]))
        for symbol, score in zip(known, scores.tolist(), strict=True):
            if ctx.position(symbol):
                if score < self.parameters.leave:
                    ctx.target(symbol, shares=0)
            elif score > self.parameters.enter:
                ctx.target(symbol, weight=self.parameters.weight)
