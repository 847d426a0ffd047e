"""Strategies that know nothing but what they are shown, of many kinds."""

# ruff: noqa: D102 - hooks are documented by their base; the class says what it does in them

import math
import random
from collections import deque
from collections.abc import Callable

import numpy as np

from tradeplane_engine import strategy
from tradeplane_engine.core import context, kernel, order, table

MINUTE = 60_000_000_000


class Holds(strategy.Strategy):
    """Buys once and holds."""

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        ctx.target(bar.symbol, shares=100)


class Waits(strategy.Strategy):
    """Does nothing for some bars, then alternates."""

    def __init__(self, bars: int) -> None:
        super().__init__()
        self.left = bars

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        self.left -= 1
        if self.left < 0:
            ctx.target(bar.symbol, shares=10 * (self.left % 2))


class Saves(strategy.Strategy):
    """Buys a little every tenth bar, whatever the price."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        self.seen: dict[str, int] = {}

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        seen = self.seen[bar.symbol] = self.seen.get(bar.symbol, 0) + 1
        if seen % 10 == 0:
            ctx.order(bar.symbol, "buy", 1)


class Alternates(strategy.Strategy):
    """Is long on every other bar."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        self.seen: dict[str, int] = {}

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        seen = self.seen[bar.symbol] = self.seen.get(bar.symbol, 0) + 1
        ctx.target(bar.symbol, shares=10 * (seen % 2))


class Rising(strategy.Strategy):
    """Is long after a bar that closed above the one before."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        self.before: dict[str, int] = {}

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        ctx.target(bar.symbol, shares=10 if bar.close > self.before.get(bar.symbol, bar.close) else 0)
        self.before[bar.symbol] = bar.close


class Reverts(strategy.Strategy):
    """Is short after a bar that closed above its open, and long after one that closed below."""

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        ctx.target(bar.symbol, shares=-10 if bar.close > bar.open else 10)


class OwnSums(strategy.Strategy):
    """Crosses two averages of its own."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        self.closes: dict[str, deque[int]] = {}

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        closes = self.closes.setdefault(bar.symbol, deque(maxlen=30))
        closes.append(bar.close)
        newest = list(closes)[-5:]
        ctx.target(bar.symbol, shares=50 if sum(newest) * len(closes) > sum(closes) * len(newest) else 0)


class Breaks(strategy.Strategy):
    """Buys a new high of its history and sells a new low."""

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        highs, lows = ctx.history(bar.symbol, 20, "high"), ctx.history(bar.symbol, 20, "low")
        if bar.high >= highs.max():
            ctx.target(bar.symbol, shares=20)
        elif bar.low <= lows.min():
            ctx.target(bar.symbol, shares=0)


class Declared(strategy.Strategy):
    """Crosses an indicator with the close."""

    def __init__(self, name: object, window: int = 14, **parameters: object) -> None:
        super().__init__()
        self.wanted = (name, window, parameters)

    def on_start(self, ctx: context.Context) -> None:
        name, window, parameters = self.wanted
        self.signal = ctx.indicator(name, window, **parameters)

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        ctx.target(bar.symbol, shares=10 if self.signal < bar.close / bar.unit else -10)


class Bounds(strategy.Strategy):
    """Buys a low relative strength and sells a high one."""

    def on_start(self, ctx: context.Context) -> None:
        self.strength = ctx.indicator("rsi", 7)

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        if self.strength < 30.0:
            ctx.target(bar.symbol, shares=10)
        elif self.strength > 70.0:
            ctx.target(bar.symbol, shares=0)


class Bands(strategy.Strategy):
    """Trades between Bollinger's bands."""

    def on_start(self, ctx: context.Context) -> None:
        self.bands = ctx.indicator("bbands", 20)

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        if self.bands.lower > bar.close / bar.unit:
            ctx.target(bar.symbol, notional=5_000)
        elif self.bands.upper < bar.close / bar.unit:
            ctx.target(bar.symbol, notional=0)


class Random(strategy.Strategy):
    """Tosses a seeded coin at every bar."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        self.coin = random.Random(7)  # noqa: S311 - no secret

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        if self.coin.random() < 0.3:
            ctx.target(bar.symbol, shares=self.coin.randrange(-5, 6))


class Machine(strategy.Strategy):
    """Flat, armed, long, resting: a machine of four states."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        self.state: dict[str, tuple[str, int]] = {}

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        state, level = self.state.get(bar.symbol, ("flat", bar.close))
        if state == "flat" and bar.close < level:
            state, level = "armed", bar.close
        elif state == "armed" and bar.close > level:
            state, level = "long", bar.close
            ctx.target(bar.symbol, shares=30)
        elif state == "long" and abs(bar.close - level) > 1_500:
            state, level = "resting", 5
            ctx.target(bar.symbol, shares=0)
        elif state == "resting":
            state, level = ("resting", level - 1) if level else ("flat", bar.close)
        self.state[bar.symbol] = (state, level)


class Timed(strategy.Strategy):
    """Changes its position by a timer between the bars."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        self.long = False
        self.symbol = ""

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        if not self.symbol:
            self.symbol = bar.symbol
            ctx.timer(ctx.now + 7 * MINUTE + 1, "turn")

    def on_timer(self, ctx: context.Context, name: str) -> None:
        self.long = not self.long
        ctx.target(self.symbol, shares=10 if self.long else 0)
        ctx.timer(ctx.now + 7 * MINUTE + MINUTE // 3, name)


class Answers(strategy.Strategy):
    """Answers every fill with the opposite order, and starts again when it is flat."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        self.names: dict[int, str] = {}

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        self.names[ctx.symbol_id(bar.symbol)] = bar.symbol
        if ctx.position(bar.symbol) == 0 and bar.volume % 3 == 0:
            ctx.target(bar.symbol, shares=5)

    def on_order_update(self, ctx: context.Context, update: kernel.Update) -> None:
        if update.event == "fill" and update.order.side > 0:
            ctx.order(self.names[update.order.symbol], "sell", update.quantity // 10**9)


class Stops(strategy.Strategy):
    """Buys a rise and sells where its own stop, which follows the highest close, is passed."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        self.stop: dict[str, int] = {}

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        if ctx.position(bar.symbol):
            self.stop[bar.symbol] = max(self.stop[bar.symbol], bar.close * 998 // 1000)
            if bar.close < self.stop[bar.symbol]:
                ctx.target(bar.symbol, shares=0)
        elif bar.close > bar.open:
            self.stop[bar.symbol] = bar.close * 998 // 1000
            ctx.target(bar.symbol, shares=25)


class Ranks(strategy.Strategy):
    """Holds the symbol that rose most, of those that have a bar at this instant."""

    def on_bars(self, ctx: context.Context, bars: table.Bars) -> None:
        best = max(bars, key=lambda bar: (bar.close / bar.open, bar.symbol)).symbol
        for bar in bars:
            ctx.target(bar.symbol, shares=40 if bar.symbol == best else 0)


class Pairs(strategy.Strategy):
    """Trades the spread of two symbols against its mean so far."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        self.spreads: list[float] = []

    def on_bars(self, ctx: context.Context, bars: table.Bars) -> None:
        if {bar.symbol for bar in bars} >= {"A", "B"}:
            self.spreads.append(math.log(ctx.close("A") / ctx.close("B")))
            side = 1 if self.spreads[-1] < sum(self.spreads) / len(self.spreads) else -1
            ctx.target("A", shares=10 * side)
            ctx.target("B", shares=-10 * side)


class Weighs(strategy.Strategy):
    """Keeps a weight that falls with the range of the bar."""

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        ctx.target(bar.symbol, weight=0.3 * bar.low / bar.high if bar.volume % 5 == 0 else 0.1)


class Clock(strategy.Strategy):
    """Is long in the first half of every hour."""

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        ctx.target(bar.symbol, shares=10 if bar.end // MINUTE % 60 < 30 else 0)


class Volumes(strategy.Strategy):
    """Is long after much volume."""

    def on_start(self, ctx: context.Context) -> None:
        self.usual = ctx.indicator("sma", 10, field="volume")

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        ctx.target(bar.symbol, shares=10 if self.usual < bar.volume else 0)


class Learns(strategy.Strategy):
    """Fits a line through the returns so far, again at every bar."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        self.sums: dict[str, list[float]] = {}

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        sums = self.sums.setdefault(bar.symbol, [0.0, 0.0, 0.0, float(bar.close)])
        move = bar.close / sums[3] - 1
        sums[0] += sums[2] * move
        sums[1] += sums[2] * sums[2]
        sums[2:] = [move, float(bar.close)]
        ctx.target(bar.symbol, shares=10 if sums[0] * move > 0 else -10)


class CleansUp(strategy.Strategy):
    """Orders what may stay open at the end, and cancels it when the run is over."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        self.orders: list[order.Order] = []

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        self.orders.append(ctx.order(bar.symbol, "buy" if len(self.orders) % 2 else "sell", 3))

    def on_stop(self, ctx: context.Context) -> None:
        for one in self.orders:
            ctx.cancel(one)


class Rests(strategy.Strategy):
    """Rests a limit below the market, moves it with the market, and protects what it buys by a stop."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        self.order: dict[str, order.Order] = {}

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        mine = self.order.get(bar.symbol)
        if mine is None or mine.ended:
            if ctx.position(bar.symbol) == 0:
                self.order[bar.symbol] = ctx.order(bar.symbol, "buy", 7, "limit", "gtc", limit=bar.close - 150)
            else:
                self.order[bar.symbol] = ctx.order(bar.symbol, "sell", 7, "stop", "gtc", stop=bar.close - 200)
        elif mine.kind == order.LIMIT and mine.limit < bar.close - 900:
            ctx.cancel(mine)


class AtOnce(strategy.Strategy):
    """Orders at a limit that trades at once or never."""

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        side = "sell" if ctx.position(bar.symbol) > 0 else "buy"
        ctx.order(bar.symbol, side, 3, "limit", "ioc", limit=bar.close)


class Brackets(strategy.Strategy):
    """Buys with a bracket whenever nothing is open."""

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        if ctx.position(bar.symbol) == 0 and not ctx.open_orders(bar.symbol):
            ctx.bracket(bar.symbol, "buy", 4, take_profit=bar.close + 600, stop_loss=bar.close - 500)


def weighted(x: np.ndarray) -> np.ndarray:
    """Mean in which newer rows count more."""
    weights = np.arange(len(x), 0, -1.0)
    return (x * weights[:, None]).sum(axis=0) / weights.sum()


def median(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Median of the middles."""
    return np.median((high + low) / 2, axis=0)


MAKERS: dict[str, Callable[[], strategy.Strategy]] = {
    **{one.__name__: one for one in (Holds, Saves, Alternates, Rising, Reverts, OwnSums, Breaks, Bounds, Bands)},
    **{one.__name__: one for one in (Random, Machine, Timed, Answers, Stops, Ranks, Pairs, Weighs, Clock)},
    **{one.__name__: one for one in (Volumes, Learns, CleansUp, Rests, AtOnce, Brackets)},
    **{
        name: lambda name=name: Declared(name) for name in ("sma", "ema", "kama", "highest", "linearreg", "vwap", "hma")
    },
    "weighted": lambda: Declared(weighted, 9),
    "median": lambda: Declared(median, 6, fields=("high", "low")),
}
