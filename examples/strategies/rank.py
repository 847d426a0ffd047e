"""Cross-sectional rank: hold the symbols that rose most, in equal parts, and choose anew every so many bars."""

import pydantic

from tradeplane_engine import strategy
from tradeplane_engine.core import context, table


class Rank(strategy.Strategy):
    """Momentum of all symbols, ranked at one instant."""

    class Parameters(strategy.Strategy.Parameters):
        """Bars over which a rise is measured, bars between two choices, names held, and the part of equity invested."""

        lookback: int = pydantic.Field(default=60, ge=1)
        every: int = pydantic.Field(default=20, ge=1)
        top: int = pydantic.Field(default=3, ge=1)
        invested: float = pydantic.Field(default=0.9, gt=0, le=1)

    parameters: Parameters

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        """Choose at the first instant at which enough is known."""
        self.wait = 0

    def on_bars(self, ctx: context.Context, bars: table.Bars) -> None:
        """Rank the symbols of this instant; a symbol without a bar keeps what is held of it."""
        own = self.parameters
        rises = {}
        for bar in bars:
            closes = ctx.history(bar.symbol, own.lookback + 1)
            if len(closes) > own.lookback:
                rises[bar.symbol] = closes[-1] / closes[0]
        if len(rises) < own.top:
            return
        if self.wait > 0:
            self.wait -= 1
            return
        self.wait = own.every - 1
        best = sorted(rises, key=lambda symbol: (-rises[symbol], symbol))[: own.top]
        for symbol in rises:
            ctx.target(symbol, weight=own.invested / own.top if symbol in best else 0.0)
