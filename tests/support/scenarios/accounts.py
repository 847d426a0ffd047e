"""Several strategies on one account, timers, and what is left of a ruined one."""

from fractions import Fraction
from typing import Any

from support.scenarios.making import FREE, Case, bars, minute, plan, run, trade, usd, walk
from tradeplane_engine import simulation, strategy
from tradeplane_engine.core import costs

_RISING = bars("100", "101", "102", "103", "104", "105")


def _allocated(*made: type[strategy.Strategy], capital: int = 50_000) -> list[simulation.Allocation]:
    return [simulation.Allocation(one, capital=capital, limits=FREE) for one in made]


def _order(side: str, shares: int, symbol: str = "S") -> Any:
    return lambda ctx: ctx.order(symbol, side, shares)


def two_strategies_on_opposite_sides() -> Case:
    """The account is flat, the sub-ledgers are not; they sum to the account's."""
    long_ = plan({0: _order("buy", 100), 3: _order("sell", 100)}, name="long")
    short = plan({0: _order("sell", 100), 4: _order("buy", 40)}, name="short")
    return run(_RISING, _allocated(long_, short), costs=costs.Costs(commission_bps=Fraction(1)))


def strategies_act_by_name() -> Case:
    """Whatever the order in which they are given."""
    made = [plan({0: _order("buy", number + 1)}, name=name) for number, name in enumerate(("zoe", "ann", "mia"))]
    return run(_RISING, _allocated(*made))


def own_cash_may_run_out() -> Case:
    """One strategy spends beyond its capital while the account's stays positive."""
    big = plan({0: _order("buy", 700)}, name="big")
    return run(_RISING, _allocated(big, plan({}, name="idle")))


def dividend_and_split_reach_every_strategy() -> Case:
    """Each sub-ledger gets its part, and the account the sum."""
    from tradeplane_engine.domain import numbers  # noqa: PLC0415 - only here
    from tradeplane_engine.venue import actions  # noqa: PLC0415 - only here

    made = [plan({0: _order("buy", 30)}, name="holder"), plan({0: _order("sell", 7)}, name="seller")]
    given = [
        actions.Split("S", minute(3), 3, 1),
        actions.Dividend("S", minute(4), numbers.Money(333_333_333)),
    ]
    return run(bars("99", "99", "99", "33", "33"), _allocated(*made), actions=given)


def timers_between_bars_and_at_them() -> Case:
    """A timer rings whether bars come or not; what it orders joins the turn of its instant."""
    rings = {
        "between": lambda ctx: ctx.order("S", "buy", 1),
        "at a close": lambda ctx: ctx.order("S", "buy", 2),
        "in the gap": lambda ctx: [ctx.order("S", "buy", 4), ctx.timer(minute(8), "late")],
        "late": lambda ctx: ctx.order("S", "buy", 8),
    }
    steps = {
        0: lambda ctx: [
            ctx.timer(minute(1.5), "between"),
            ctx.timer(minute(2), "at a close"),
            ctx.timer(minute(6), "in the gap"),
        ]
    }
    return trade(bars("100", "101", "102", "110", "111", minutes=[0, 1, 2, 9, 10]), steps, rings=rings)


def ruin_and_after() -> Case:
    """A short that rises tenfold: equity below zero is kept as it is, and limits that need equity refuse."""
    data = bars("10", "10", "100", "200", "300")
    limited = simulation.risk_limits.Limits(allow_short=True, max_weight=Fraction(10**6))
    return trade(data, {0: _order("sell", 5_000), 3: _order("sell", 1)}, limits=limited)


def ten_symbols_at_one_instant() -> Case:
    """Opens of one instant fill in the sequence of order ids, whatever the symbols' names."""
    names = [f"S{number}" for number in (9, 1, 8, 2, 7, 3, 6, 4, 5, 0)]
    data = [walk(name, 6, seed=number) for number, name in enumerate(names)]
    steps = {("S9", 0): lambda ctx: [ctx.order(name, "buy", 1) for name in names], ("S9", 3): _flat(names)}
    return trade(data, steps)


def _flat(names: list[str]) -> Any:
    return lambda ctx: [ctx.target(name, shares=0) for name in names]


def limit_for_the_whole_equity() -> Case:
    """Weight one of the equity after fees, again and again."""
    steps = {number: (lambda ctx: ctx.target("S", weight=1)) for number in range(6)}
    return trade(_RISING, steps, costs=costs.Costs(half_spread_bps=Fraction(2), commission_bps=Fraction(5)))


def orders_left_at_the_end() -> Case:
    """A gtc limit, a held bracket and a market order of the last bar are all reported."""
    steps = {
        0: lambda ctx: ctx.order("S", "buy", 5, "limit", "gtc", limit=usd(90)),
        1: lambda ctx: ctx.bracket("S", "buy", 6, limit=usd(91), take_profit=usd(120), stop_loss=usd(80)),
        5: _order("buy", 7),
    }
    return trade(_RISING, steps)
