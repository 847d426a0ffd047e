"""Pairs: two symbols that move together; sell the dear one and buy the cheap one until they meet again.

It sells short, so both its own limits and the account's must allow that.
"""

from decimal import Decimal

import numpy as np
import pydantic

from tradeplane_engine import strategy
from tradeplane_engine.core import context, table


class Pairs(strategy.Strategy):
    """Trades the logarithm of the ratio of two prices against its own mean."""

    class Parameters(strategy.Strategy.Parameters):
        """Names of both, window in bars, distances in standard deviations, USD per leg."""

        first: str
        second: str
        window: int = pydantic.Field(default=60, ge=3)
        enter: float = pydantic.Field(default=2.0, gt=0)
        leave: float = pydantic.Field(default=0.5, ge=0)
        notional: Decimal = pydantic.Field(default=Decimal(10_000), gt=0)

    parameters: Parameters

    def on_bars(self, ctx: context.Context, bars: table.Bars) -> None:
        """Look only where both symbols have a bar of the same instant."""
        own = self.parameters
        if {own.first, own.second} - {bar.symbol for bar in bars}:
            return
        first, second = ctx.history(own.first, own.window), ctx.history(own.second, own.window)
        if min(len(first), len(second)) < own.window:
            return
        spread = np.log(first) - np.log(second)
        deviation = spread.std(ddof=1)
        distance = (spread[-1] - spread.mean()) / deviation if deviation > 0 else 0.0
        held = ctx.position(own.first)
        if held:
            if abs(distance) < own.leave or (distance > 0) == (held > 0):
                ctx.target(own.first, shares=0)
                ctx.target(own.second, shares=0)
        elif abs(distance) > own.enter:
            side = -1 if distance > 0 else 1
            ctx.target(own.first, notional=side * own.notional)
            ctx.target(own.second, notional=-side * own.notional)
