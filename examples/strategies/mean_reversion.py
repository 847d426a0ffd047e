"""Mean reversion: buy what has fallen far below its mean, and sell it when it is back."""

import pydantic

from tradeplane_engine import strategy
from tradeplane_engine.core import context, table


class MeanReversion(strategy.Strategy):
    """Long from ``enter`` deviations below the mean until the mean is reached."""

    class Parameters(strategy.Strategy.Parameters):
        """Window in bars, distance in standard deviations, and the part of equity per symbol."""

        window: int = pydantic.Field(default=20, ge=3)
        enter: float = pydantic.Field(default=2.0, gt=0)
        weight: float = pydantic.Field(default=0.1, gt=0, le=1)

    parameters: Parameters

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Measure the distance of the close from the mean of the last closes."""
        symbol, own = bar.symbol, self.parameters
        closes = ctx.history(symbol, own.window)
        if len(closes) < own.window:
            return
        mean, deviation = closes.mean(), closes.std(ddof=1)
        if ctx.position(symbol):
            if bar.close >= mean:
                ctx.target(symbol, shares=0)
        elif bar.close < mean - own.enter * deviation:
            ctx.target(symbol, weight=own.weight)
