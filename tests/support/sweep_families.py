"""Families of a sweep that worker processes can import."""

from typing import ClassVar

from tradeplane_engine import rules, strategy
from tradeplane_engine.core import context, table


def cross(fast: int, slow: int, shares: int = 100) -> rules.Rule:
    """Rules of two windows."""
    return rules.when(slow * rules.sum("close", fast) > fast * rules.sum("close", slow)).hold(shares=shares)


class Cross(strategy.Strategy):
    """The same as a class."""

    made: ClassVar[list[int]] = []

    class Parameters(strategy.Strategy.Parameters):
        """Windows in bars, size in shares."""

        fast: int
        slow: int = 13
        shares: int = 100

    parameters: Parameters

    def on_start(self, ctx: context.Context) -> None:
        """Declare both averages."""
        type(self).made.append(self.parameters.fast)
        self.fast = ctx.indicator("sma", self.parameters.fast)
        self.slow = ctx.indicator("sma", self.parameters.slow)

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Say what is wanted."""
        ctx.target(bar.symbol, shares=self.parameters.shares if self.fast > self.slow else 0)
