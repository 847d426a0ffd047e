"""Trend: buy a close above the highest high of many bars, leave at one below the lowest low of fewer (a channel)."""

import pydantic

from tradeplane_engine import strategy
from tradeplane_engine.core import context, table


class Breakout(strategy.Strategy):
    """Follows a breakout until it fails."""

    class Parameters(strategy.Strategy.Parameters):
        """Bars before the current one that the channel spans, and the part of equity per symbol."""

        enter: int = pydantic.Field(default=55, ge=2)
        leave: int = pydantic.Field(default=20, ge=2)
        weight: float = pydantic.Field(default=0.1, gt=0, le=1)

    parameters: Parameters

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Compare the close with the channel of the bars before it."""
        symbol, own = bar.symbol, self.parameters
        if ctx.position(symbol):
            lows = ctx.history(symbol, own.leave + 1, "low")[:-1]
            if bar.close < lows.min():
                ctx.target(symbol, shares=0)
            return
        highs = ctx.history(symbol, own.enter + 1, "high")[:-1]
        if len(highs) == own.enter and bar.close > highs.max():
            ctx.target(symbol, weight=own.weight)
