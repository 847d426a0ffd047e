"""What Alpaca would refuse is refused in a run, with its code and message; what it takes is traded as without rules."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from support import engine_brokers as venue
from support import engine_orders, engine_runs
from tradeplane_engine import errors, simulation, strategy
from tradeplane_engine.core import costs, kernel, limits, risk, sessions, table, venue_settings
from tradeplane_engine.domain import times
from tradeplane_engine.venue import accounts, actions, events

LOW, HIGH = venue.HOURS[1]
CENT = venue.DOLLAR // 100
MARGIN = accounts.Account()
Plan = dict[int, Any]


def order(side: str, shares: Any, kind: str = "market", **how: Any) -> Any:
    """Want an order."""
    return lambda ctx: ctx.order("S", side, shares, kind, **how)


def bracket(side: str, **how: Any) -> Any:
    """Want a bracket of 10 shares."""
    return lambda ctx: ctx.bracket("S", side, 10, **how)


def both(*plans: Any) -> Any:
    """Want several things at once."""
    return lambda ctx: [plan(ctx) for plan in plans]


def test_an_order_till_cancelled_is_cancelled_after_ninety_days() -> None:
    """At 16:15 in New York, which summer time has moved. Without rules it waits for ever."""
    last = 92 * venue.DAY
    data = venue.at(*[100] * 4, minutes=[LOW, LOW + 1, last, last + venue.DAY])
    plan = {0: lambda ctx: ctx.order("S", "buy", 1, "limit", "gtc", limit=DEEP)}
    found, script = venue.run(data, plan, MARGIN, ruled=True)
    assert engine_orders.statuses(found) == ["canceled"]
    assert found.orders[0].reason == "gtc-age"
    # 2020-01-03 and 90 days are April 2, when New York is four hours behind.
    at = times.instant("2020-04-02T20:15:00Z")
    assert [minute for event, _, minute in script.heard if event == "canceled"] == [
        (at - engine_orders.START) / engine_orders.MINUTE
    ]
    found, _ = venue.run(data, plan, MARGIN)
    assert engine_orders.statuses(found) == ["new"]


def refused(plan: Plan, *, minutes: list[int] | None = None, account: accounts.Account = MARGIN) -> list[str]:
    """Refusals of a plan on bars at 100 USD."""
    found, _ = venue.run(
        venue.at(*[100] * 5, minutes=minutes or [LOW + step for step in range(5)]),
        plan,
        account,
        ruled=True,
        sessions=venue.SESSIONS,
    )
    return venue.refused(found)


DEEP = 90 * venue.DOLLAR
LIMIT = {"kind": "limit", "limit": DEEP, "time_in_force": "gtc"}
CASES: list[tuple[Plan, str]] = [
    (
        {0: order("buy", 1, "limit", limit=DEEP + 1)},
        "42210000: invalid limit_price 90.0001. sub-penny increment does not fulfill minimum pricing criteria",
    ),
    (
        {0: order("buy", 1, "stop", stop=110 * venue.DOLLAR + 1)},
        "42210000: invalid stop_price 110.0001. sub-penny increment does not fulfill minimum pricing criteria",
    ),
    ({0: order("buy", Decimal("0.5"), time_in_force="gtc")}, "42210000: fractional orders must be DAY orders"),
    (
        {0: order("buy", Decimal("1.5"), "trailing_stop", trail=CENT)},
        "42210000: fractional orders must be market, limit, stop, or stop_limit orders",
    ),
    ({0: order("sell", Decimal("1.5"))}, "42210000: fractional orders cannot be sold short"),
    ({0: order("buy", Decimal("0.001"))}, "40310000: cost basis must be >= minimal amount of order 1"),
    (
        {0: order("buy", None, notional=Decimal("0.5"))},
        "40310000: cost basis must be >= minimal amount of order 1",
    ),
    ({0: order("sell", None, notional=50)}, "42210000: fractional orders cannot be sold short"),
    (
        {0: order("buy", 10), 2: order("sell", None, notional=1500)},
        "40310000: insufficient qty available for order (requested: 15, available: 10)",
    ),
    (
        {0: both(order("buy", 10, **LIMIT), order("sell", 10))},
        "40310000: potential wash trade detected. use complex orders",
    ),
    (
        {0: order("buy", 10), 2: order("sell", 15)},
        "40310000: insufficient qty available for order (requested: 15, available: 10)",
    ),
    (
        {
            0: order("buy", 10),
            2: order("sell", 10, "limit", limit=120 * venue.DOLLAR, time_in_force="gtc"),
            3: order("sell", 10),
        },
        "40310000: insufficient qty available for order (requested: 10, available: 0)",
    ),
    (
        {0: order("buy", 10), 2: bracket("sell", take_profit=80 * venue.DOLLAR, stop_loss=120 * venue.DOLLAR)},
        "42210000: bracket orders must be entry orders",
    ),
    (
        {0: lambda ctx: ctx.oco("S", "sell", 10, take_profit=120 * venue.DOLLAR, stop_loss=DEEP)},
        "42210000: oco orders must be exit orders",
    ),
    (
        {0: bracket("buy", take_profit=120 * venue.DOLLAR, stop_loss=100 * venue.DOLLAR)},
        "42210000: stop_loss.stop_price must be <= base_price - 0.01",
    ),
    (
        {0: bracket("buy", take_profit=100 * venue.DOLLAR, stop_loss=DEEP)},
        "42210000: take_profit.limit_price must be >= base_price + 0.01",
    ),
    ({0: order("buy", 3000)}, "40310000: insufficient buying power"),
]


@pytest.mark.parametrize("plan,words", CASES, ids=[words for _, words in CASES])
def test_an_order_is_refused_in_alpacas_words(plan: Plan, words: str) -> None:
    """Code and message, in the log under the scope ``venue``."""
    assert refused(plan) == [words]


@pytest.mark.parametrize("plan,words", CASES, ids=[words for _, words in CASES])
def test_without_rules_the_same_order_is_taken(plan: Plan, words: str) -> None:
    """Only money is judged where only an account was asked for."""
    found, _ = venue.run(
        venue.at(*[100] * 5, minutes=[LOW + step for step in range(5)]), plan, MARGIN, sessions=venue.SESSIONS
    )
    assert venue.refused(found) == ([words] if words.endswith("buying power") else [])


@pytest.mark.parametrize(
    "minute,kind,words",
    [
        (LOW - 3, "opg", ""),  # 09:27 and ends at 09:28
        (LOW - 2, "opg", "42210000: opg orders are not accepted between 09:28 and 19:00"),
        (HIGH - 12, "cls", ""),
        (HIGH - 11, "cls", "42210000: cls orders are not accepted between 15:50 and 19:00"),
        (HIGH + 178, "opg", "42210000: opg orders are not accepted between 09:28 and 19:00"),
        (HIGH + 179, "opg", ""),
    ],
)
def test_auctions_have_hours_in_which_they_take_nothing(minute: int, kind: str, words: str) -> None:
    """The order is decided when its bar ends, a minute after it begins; on a Friday."""
    at = minute - 1 if kind == "opg" and not words and minute < LOW else minute
    assert refused({0: order("buy", 1, time_in_force=kind)}, minutes=[at, *(at + step for step in range(1, 5))]) == (
        [words] if words else []
    )


def test_an_auction_of_a_day_without_a_session_takes_orders_at_any_hour() -> None:
    """Saturday noon."""
    minutes = [venue.DAY * 3 + 1000 + step for step in range(5)]
    assert refused({0: order("buy", 1, time_in_force="opg")}, minutes=minutes) == []


def test_only_day_orders_are_taken_of_what_is_hard_to_borrow() -> None:
    """A long's too."""
    account = accounts.Account(hard_to_borrow=frozenset({"S"}))
    words = '42210000: only day orders are allowed for hard-to-borrow asset "S"'
    assert refused({0: order("buy", 1, time_in_force="gtc"), 1: order("buy", 1)}, account=account) == [words]


def test_a_replacement_is_judged_too() -> None:
    """A price with too many decimals, and one that changes nothing."""
    first = order("buy", 10, "limit", limit=DEEP, time_in_force="gtc")

    def replace(price: int) -> Any:
        return lambda ctx: ctx.replace(ctx.open_orders()[0], limit=price)

    words = refused({0: first, 1: replace(DEEP + 1), 2: replace(DEEP), 3: replace(DEEP + CENT)})
    assert words == [
        "42210000: invalid limit_price 90.0001. sub-penny increment does not fulfill minimum pricing criteria",
        "40310000: order parameters are not changed",
    ]


def test_a_replacement_reserves_the_larger_of_the_two() -> None:
    """1,000 shares at 90 USD become 1,000 at 100: 10,000 USD more are there, and 110,000 more are not."""
    plan = {
        0: order("buy", 1000, "limit", limit=DEEP, time_in_force="gtc"),
        1: lambda ctx: ctx.replace(ctx.open_orders()[0], limit=99 * venue.DOLLAR),
        2: lambda ctx: ctx.replace(ctx.open_orders()[0], limit=101 * venue.DOLLAR),
        3: order("buy", 20),
        4: order("buy", 9),
    }
    found, _ = venue.run(venue.at(*[100] * 5), plan, accounts.Account("cash"), ruled=True)
    assert venue.refused(found) == ["40310000: insufficient buying power"] * 2


def test_while_a_replacement_is_on_its_way_the_larger_of_the_two_is_reserved() -> None:
    """90,000 and 99,000 USD are 99,000: 9 shares more at 100 USD pass, and 11 do not."""

    def plan(ctx: Any) -> None:
        ctx.replace(ctx.open_orders()[0], limit=99 * venue.DOLLAR)
        ctx.order("S", "buy", 11)
        ctx.order("S", "buy", 9)

    first = order("buy", 1000, "limit", limit=DEEP, time_in_force="gtc")
    found, _ = venue.run(
        venue.at(*[100] * 5), {0: first, 2: plan}, accounts.Account("cash"), latency=engine_orders.MINUTE
    )
    assert venue.refused(found) == ["40310000: insufficient buying power"]


@pytest.mark.parametrize(
    "tif,words", [("day", []), ("gtc", ["42210000: extended hours order must be DAY limit orders"])]
)
def test_extended_hours_take_limits_for_the_day(tif: str, words: list[str]) -> None:
    """Decided in after-market hours, in which an order that lasts is refused."""
    minute, hour = engine_orders.MINUTE, 60 * engine_orders.MINUTE
    opens, closes = (np.array(one) * minute + engine_orders.START for one in zip(*venue.HOURS, strict=True))
    found, _ = venue.run(
        venue.at(*[100] * 4, minutes=[HIGH + 5 + step for step in range(4)]),
        {0: order("buy", 10, "limit", limit=DEEP, time_in_force=tif, extended_hours=True), 1: order("buy", 1000)},
        MARGIN,
        ruled=True,
        sessions=sessions.Sessions(opens, closes, opens - hour, closes + hour),
    )
    assert venue.refused(found) == words


def test_exits_of_a_position_are_no_wash_trade() -> None:
    """Complex orders are exempt: more is bought while a pair of exits waits."""
    plan = {
        0: order("buy", 10),
        2: lambda ctx: ctx.oco("S", "sell", 10, take_profit=120 * venue.DOLLAR, stop_loss=DEEP, time_in_force="gtc"),
        3: order("buy", 5),
    }
    assert refused(plan) == []


def test_what_alpaca_takes_trades_as_without_rules() -> None:
    """The same fills to the last unit."""
    data = engine_runs.walk("S", 600, seed=7)
    limits_ = simulation.risk_limits.Limits()
    runs = [
        simulation.Backtest(
            [data],
            engine_runs.Cross,
            cash=10**6,
            limits=limits_,
            venue=venue_settings.Venue(rules=rules),
            examine=False,
        ).run()
        for rules in (None, "alpaca")
    ]
    assert len(runs[0].fills) > 5
    assert runs[0].fills.equals(runs[1].fills)
    assert runs[0].hash != runs[1].hash


def test_rules_need_somebody_who_knows_them() -> None:
    """A kernel alone does not."""
    policy = risk.Policy("free", limits.Limits())
    alone = kernel.Kernel(
        table.Table([venue.at(100)]), costs.Costs(), engine_orders.CASH, policy, venue_settings.Venue(rules="alpaca")
    )
    alone.add("script", engine_orders.Script({}), engine_orders.CASH, policy)
    with pytest.raises(errors.ValueRefused, match="rules"):
        alone.run()
    with pytest.raises(errors.ValueRefused, match="rules"):
        venue_settings.Venue(rules="nyse")


@pytest.mark.parametrize(
    "side,kind,dollars,kept",
    [
        ("buy", "limit", 60, True),
        ("sell", "stop", 60, True),
        ("sell", "limit", 140, False),
        ("buy", "stop", 140, False),
    ],
)
@pytest.mark.parametrize("ruled", [False, True])
def test_a_forward_split_cancels_what_alpaca_cancels(
    side: str, kind: str, dollars: int, kept: bool, ruled: bool
) -> None:
    """It restates buy limits and sell stops; sell limits and buy stops go. Without rules all are restated."""
    price = {kind: dollars * venue.DOLLAR}
    found = split_at(
        {0: order("buy", 30, time_in_force="gtc"), 1: order(side, 10, kind, time_in_force="gtc", **price)}, ruled=ruled
    )
    assert engine_orders.statuses(found) == ["filled", "new" if kept or not ruled else "canceled"]
    if kept:
        assert found.orders[1].limit + found.orders[1].stop == dollars * venue.DOLLAR // 2


def split_at(plan: Plan, *, ruled: bool) -> kernel.Kernel:
    """Run a plan on bars with a split of two for one before the fourth."""
    policy = risk.Policy("free", limits.Limits(allow_short=True))
    found = kernel.Kernel(
        table.Table([venue.at(100, 100, 100, 50, 50)]),
        costs.Costs(),
        engine_orders.CASH,
        policy,
        venue_settings.Venue(rules="alpaca" if ruled else None),
    )
    script = engine_orders.Script(plan)
    script.kernel = found
    found.add("script", script, engine_orders.CASH, policy)
    simulation.brokers.install(found, MARGIN, ruled=ruled)
    events.schedule(found, [actions.Split("S", times.Nanos(engine_orders.instant(3)), 2, 1)])
    found.run()
    return found


@pytest.mark.parametrize("ruled", [False, True])
def test_a_rename_keeps_open_orders_where_no_rules_cancel_them(ruled: bool) -> None:
    """Alpaca cancels them before most corporate actions."""

    class Waits(strategy.Strategy):
        """Buys far below the market."""

        def on_bar(self, ctx: Any, bar: Any) -> None:
            if not ctx.open_orders() and ctx.now == first:
                ctx.order(bar.symbol, "buy", 1, "limit", "gtc", limit=60 * venue.DOLLAR)

    bars = [venue.at(100, 100, symbol="S"), venue.at(100, 100, symbol="T", minutes=[2, 3])]
    first = engine_orders.instant(1)
    found = simulation.Backtest(
        bars,
        Waits,
        actions=[actions.Rename("S", times.Nanos(engine_orders.instant(2)), "T")],
        venue=venue_settings.Venue(rules="alpaca" if ruled else None),
        examine=False,
    ).run()
    assert found.orders["symbol"].to_list() == ["T"]
    assert found.orders["status"].to_list() == ["canceled" if ruled else "new"]
