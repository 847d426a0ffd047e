"""How the venue fills: volume, costs, latency, halts and sessions."""

from fractions import Fraction
from typing import Any

from support.scenarios.making import MINUTE, Case, bars, calendar, minute, plan, run, trade, trading, usd
from tradeplane_engine import simulation
from tradeplane_engine.core import costs

_SECOND = 1_000_000_000
_DAY = bars("100 101 99 100", "100 102 99.5 101.5", "103 104 102 103.5", "103.5 103.6 98 98.5", "96 97 95 96.5")


def _buy(ctx: Any, shares: int = 100, *words: str, **prices: int) -> Any:
    return ctx.order("S", "buy", shares, *words, **prices)


def participation_carries_over() -> Case:
    """A tenth of each bar's volume trades; the rest waits for the next open."""
    data = bars("100 1000", "101 250", "102 500", "103 0", "104 5000", "105")
    return trade(data, {0: _buy}, venue={"participation": Fraction(1, 10)})


def participation_may_cut_shares() -> Case:
    """Without whole shares the cap is exact."""
    data = bars("100 1000", "101 33", "102 34", "103 5000")
    return trade(data, {0: lambda ctx: _buy(ctx, 10)}, venue={"participation": Fraction(1, 7), "whole_shares": False})


def two_strategies_share_a_bars_volume() -> Case:
    """The account's cap is one: orders take of it in the sequence of their ids."""
    data = bars("100 1000", "101 1000", "102 1000", "103 1000")
    made = [plan({0: lambda ctx: _buy(ctx, 80)}, name=name) for name in ("first", "second")]
    both = [simulation.Allocation(one, capital=50_000, limits=simulation.risk_limits.Limits()) for one in made]
    return run(data, both, venue={"participation": Fraction(1, 10)})


def spread_and_commission() -> Case:
    """Half a spread moves the price against the trader; the commission is exact."""
    steps = {0: _buy, 2: lambda ctx: ctx.order("S", "sell", 100)}
    return trade(_DAY, steps, costs=costs.Costs(half_spread_bps=Fraction(5, 2), commission_bps=Fraction(1, 3)))


def slippage_and_volume_share() -> Case:
    """A fixed distance, and one that grows with the square of the share of the bar's volume."""
    steps = {0: lambda ctx: _buy(ctx, 300), 1: lambda ctx: _buy(ctx, 300, "limit", limit=usd(103))}
    return trade(_DAY, steps, venue={"slippage_bps": Fraction(3), "volume_share": Fraction(1, 10)})


def _a_cent_per_hundred(side: int, quantity: int, volume: int, price: int) -> int:  # noqa: ARG001 - the hook's form
    return 100 * (quantity // (100 * 10**9))


def impact_by_a_hook() -> Case:
    """A hook says by how much the trade itself moves its price."""
    return trade(_DAY, {0: lambda ctx: _buy(ctx, 350)}, venue={"impact": _a_cent_per_hundred})


def latency_past_the_next_open() -> Case:
    """An order that is on its way when the next bar opens fills at the one after."""
    return trade(_DAY, {0: _buy}, venue={"latency": 30 * _SECOND})


def latency_that_ends_at_an_open() -> Case:
    """The venue has it at the very instant of an open: that open fills it."""
    return trade(_DAY, {0: _buy}, venue={"latency": MINUTE})


def bars_known_late() -> Case:
    """A bar that is published two minutes late is decided on late, and filled at the open after that."""
    data = bars("100", "101", "102", "103", "104", "105", late=2)
    return trade(data, {0: _buy, 1: lambda ctx: _buy(ctx, 5, "limit", limit=usd("103.5"))})


def halt_takes_open_path_and_close() -> Case:
    """Nothing fills inside of a halt; a market order waits, an ioc order is cancelled."""
    steps = {0: lambda ctx: [_buy(ctx), _buy(ctx, 1, "market", "ioc"), _buy(ctx, 2, "limit", limit=usd(102))]}
    return trade(_DAY, steps, venue={"halts": {"S": [(minute(0.5), minute(3))]}})


def halt_that_ends_within_a_bar() -> Case:
    """A bar that begins in a halt has the reopening's price as its open, and the order fills there."""
    return trade(_DAY, {0: _buy}, venue={"halts": {"S": [(minute(0.5), minute(2.5))]}})


def halt_of_one_symbol_only() -> Case:
    """The other symbol trades on."""
    data = [bars("100", "101", "102", "103", symbol=name) for name in ("A", "B")]
    steps = {("A", 0): lambda ctx: [ctx.order(name, "buy", 10) for name in ("A", "B")]}
    return trade(data, steps, venue={"halts": {"A": [(minute(1), minute(2))]}})


def bars_outside_of_sessions_fill_nothing() -> Case:
    """A bar before the open is seen and decided on; its order waits for the open."""
    data = bars("100", "101", "102", "103", minutes=[-10, -5, 0, 1])
    return trade(data, {0: _buy}, venue={"sessions": trading((0, 10))})


def half_day_before_a_holiday() -> Case:
    """On 29 November 2019 the market closed at 13:00: a day order ends then, and a cls order fills then."""
    data = bars(
        *["100", "101", "102", "103", "104"],
        starts=[f"2019-11-{when}:00Z" for when in ("29T17:30", "29T17:45", "29T18:00", "29T19:00")]
        + ["2019-12-02T14:30:00Z"],
        length=15,
    )
    days = calendar(("2019-11-29T14:30:00Z", "2019-11-29T18:00:00Z"), ("2019-12-02T14:30:00Z", "2019-12-02T21:00:00Z"))
    steps = {0: lambda ctx: [_buy(ctx, 10, "limit", limit=usd(90)), _buy(ctx, 5, "market", "cls")], 2: _buy}
    return trade(data, steps, venue={"sessions": days})


def week_in_which_clocks_change() -> Case:
    """New York moved its clocks on 8 March 2020: the same order for the opening fills an hour earlier in UTC."""
    data = bars(
        *["100", "101", "102", "103", "104", "105"],
        starts=[
            *("2020-03-05T20:59:00Z", "2020-03-06T14:30:00Z", "2020-03-06T20:59:00Z"),
            *("2020-03-09T13:30:00Z", "2020-03-09T14:30:00Z", "2020-03-09T19:59:00Z"),
        ],
    )
    days = calendar(
        ("2020-03-05T14:30:00Z", "2020-03-05T21:00:00Z"),
        ("2020-03-06T14:30:00Z", "2020-03-06T21:00:00Z"),
        ("2020-03-09T13:30:00Z", "2020-03-09T20:00:00Z"),
    )
    steps = {0: lambda ctx: _buy(ctx, 10, "market", "opg"), 2: lambda ctx: _buy(ctx, 10, "market", "opg")}
    steps[4] = lambda ctx: _buy(ctx, 10, "market", "cls")
    return trade(data, steps, venue={"sessions": days})


def weekend_between_decision_and_fill() -> Case:
    """An order of Friday's last bar fills at Monday's open, whatever the gap."""
    data = bars("100", "101", "110", starts=["2020-01-03T20:58:00Z", "2020-01-03T20:59:00Z", "2020-01-06T14:30:00Z"])
    return trade(data, {1: _buy})
