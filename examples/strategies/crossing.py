"""Crossing: hold while a fast moving average is above a slow one.

Both averages are exact: their comparison multiplies integers across, so that a tie is a tie.
"""

import pydantic

from tradeplane_engine import strategy
from tradeplane_engine.core import context, table


class Crossing(strategy.Strategy):
    """Long while the fast average is above the slow one, else flat."""

    class Parameters(strategy.Strategy.Parameters):
        """Windows in bars, size in shares."""

        fast: int = pydantic.Field(default=20, ge=1)
        slow: int = pydantic.Field(default=50, ge=2)
        shares: int = pydantic.Field(default=100, ge=1)

    parameters: Parameters

    def on_start(self, ctx: context.Context) -> None:
        """Declare both averages; bars are shown from the first one on at which both are defined."""
        self.fast = ctx.indicator("sma", self.parameters.fast)
        self.slow = ctx.indicator("sma", self.parameters.slow)

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Want the position; wanting the same again orders nothing."""
        ctx.target(bar.symbol, shares=self.parameters.shares if self.fast > self.slow else 0)
