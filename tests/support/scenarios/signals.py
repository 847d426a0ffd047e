"""What strategies decide from: indicators, rules, functions, barriers, history and parameters."""

from typing import Any

import numpy as np

from support.scenarios.making import Case, bars, run, usd, walk
from tradeplane_engine import rules, simulation, strategy
from tradeplane_engine.core import context, table


class Cross(strategy.Strategy):
    """Long while the fast average is above the slow one."""

    class Parameters(strategy.Strategy.Parameters):
        """Windows."""

        fast: int = 3
        slow: int = 8

    parameters: Parameters

    def on_start(self, ctx: context.Context) -> None:
        """Declare both."""
        self.fast = ctx.indicator("sma", self.parameters.fast)
        self.slow = ctx.indicator("sma", self.parameters.slow)

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Compare them exactly."""
        ctx.target(bar.symbol, shares=100 if self.fast > self.slow else 0)


class Rank(strategy.Strategy):
    """Holds the symbol that rose most since the instant before, once all of an instant's bars are there."""

    def on_bars(self, ctx: context.Context, shown: list[table.Bar]) -> None:
        """Rank them."""
        rise = {bar.symbol: bar.close - bar.open for bar in shown}
        best = max(sorted(rise), key=lambda symbol: rise[symbol])
        for symbol in sorted(rise):
            ctx.target(symbol, shares=10 if symbol == best else 0)


class Reverts(strategy.Strategy):
    """Buys below the lowest of the last five closes that it knows, sells above the highest."""

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Look back."""
        before = ctx.history(bar.symbol, 6)[:-1]
        if len(before) == 5:
            if bar.close < before.min():
                ctx.target(bar.symbol, shares=20)
            elif bar.close > before.max():
                ctx.target(bar.symbol, shares=-20)


class Bands(strategy.Strategy):
    """Trades the bands of a float indicator, with prices rounded to cents by the strategy."""

    def on_start(self, ctx: context.Context) -> None:
        """Declare them."""
        self.bands = ctx.indicator("bbands", 5)

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Rest at the lower band while flat, leave at the middle one."""
        for order in ctx.open_orders():
            ctx.cancel(order)
        if ctx.position(bar.symbol) == 0:
            ctx.order(bar.symbol, "buy", 10, "limit", limit=int(self.bands.lower.value * 100) * 100)
        elif bar.close > self.bands.middle.value * bar.unit:
            ctx.target(bar.symbol, shares=0)


def _mean_of_range(high: Any, low: Any) -> Any:
    return np.mean(high - low, axis=0)


class Calm(strategy.Strategy):
    """Holds while the user's own function of high and low is small."""

    def on_start(self, ctx: context.Context) -> None:
        """Declare it."""
        self.range = ctx.indicator(_mean_of_range, 4, fields=("high", "low"))

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Compare it."""
        ctx.target(bar.symbol, shares=5 if self.range.value < 0.15 else 0)


class Asked(strategy.Strategy):
    """Says what a rule says, bar by bar."""

    evaluated: type[strategy.Strategy] = rules.RuleStrategy

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self.rule = self.evaluated(_RULE)  # type: ignore[call-arg]  # both take a rule

    def on_start(self, ctx: context.Context) -> None:
        """Let it declare."""
        self.rule.on_start(ctx)

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Let it decide."""
        self.rule.on_bar(ctx, bar)


class Followed(strategy.Strategy):
    """Says what the same rule says, as a column."""

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self.rule = rules.ColumnStrategy(_RULE)

    def on_start(self, ctx: context.Context) -> None:
        """Follow the column."""
        self.rule.on_start(ctx)


_RULE = rules.when(8 * rules.sum("close", 3) > 3 * rules.sum("close", 8)).hold(
    shares=100, otherwise=rules.when(rules.column("close") < rules.lowest("low", 5) + 50).hold(shares=-30)
)


def crossing_averages() -> Case:
    """Integer averages that cross, in two symbols."""
    return run([walk("A", 40, seed=1), walk("B", 40, seed=2)], Cross)


def crossing_with_other_parameters() -> Case:
    """Parameters are validated and part of the run's identity."""
    return run(walk("A", 40, seed=1), Cross, parameters={"fast": 2, "slow": 5})


def averages_that_are_equal() -> Case:
    """A tie is flat: exact comparisons have no rounding to decide it."""
    prices = ["100"] * 8 + ["100.0001"] + ["100"] * 8
    return run(bars(*prices), Cross)


def warm_up_of_unequal_lengths() -> Case:
    """A symbol with fewer bars than the window never trades; a late one trades when it has them."""
    late = bars(*[str(100 + number % 5) for number in range(14)], symbol="L", minutes=list(range(10, 24)))
    return run([walk("A", 30, seed=5), bars(*["10"] * 7, symbol="K"), late], Cross)


def ranked_after_the_barrier() -> Case:
    """All bars of an instant at once, in the order of symbols."""
    return run([walk(name, 12, seed=number + 20) for number, name in enumerate("CAB")], Rank)


def reversion_on_history() -> Case:
    """A copy of the last closes, which ends with the bar that is shown."""
    return run(walk("A", 40, seed=7), Reverts)


def bands_with_resting_limits() -> Case:
    """A float indicator, and orders that are cancelled and placed anew at every bar."""
    return run(walk("A", 30, seed=8), Bands)


def function_of_the_users() -> Case:
    """A numpy function over windows of two fields."""
    return run(walk("A", 30, seed=9), Calm)


def rule_bar_by_bar() -> Case:
    """A declarative rule with a second rule where the first is false."""
    return run([walk("A", 40, seed=10), walk("B", 35, seed=11)], Asked)


def rule_as_a_column() -> Case:
    """The same rule and bars, evaluated before the first bar: the same orders and fills."""
    return run([walk("A", 40, seed=10), walk("B", 35, seed=11)], Followed)


def two_of_a_class_with_own_parameters() -> Case:
    """Two allocations of one class do not share what they remember."""
    made = [
        simulation.Allocation(Cross, capital=50_000, name=f"cross-{fast}", parameters={"fast": fast}) for fast in (2, 4)
    ]
    return run([walk("A", 30, seed=12)], made)


def stop_set_from_an_answer() -> Case:
    """A strategy that hears of its fill protects it with a stop at once."""
    return run(walk("A", 30, seed=13), Protects)


class Protects(strategy.Strategy):
    """Buys every tenth bar and protects each fill by a stop below its price."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        """Count bars."""
        self.count = 0

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Buy."""
        self.count += 1
        if self.count % 10 == 1:
            ctx.order(bar.symbol, "buy", 10)

    def on_order_update(self, ctx: context.Context, update: Any) -> None:
        """Protect."""
        if update.event == "fill" and update.order.side > 0:
            ctx.order("A", "sell", 10, "stop", "gtc", stop=update.price - usd("0.25"))
