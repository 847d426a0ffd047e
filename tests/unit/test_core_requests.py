from fractions import Fraction
from typing import Any

import pytest

from support import engine_orders as given
from tradeplane_engine import errors
from tradeplane_engine.core import limits, order, risk

QUIET = (100, 100, 100, 100)
SECOND = 10**9


def limit_at(price: int, shares: int = 10, side: str = "buy") -> Any:
    """Want a limit order."""
    return lambda ctx: ctx.order("S", side, shares, "limit", "gtc", limit=price)


def first(ctx: Any) -> Any:
    """The oldest open order."""
    return ctx.open_orders()[0]


def test_a_cancel_without_latency_acts_at_once() -> None:
    """The word comes before the next open, which then finds nothing."""
    data = given.bars(QUIET, QUIET, (80, 80, 80, 80))
    _, script = given.run(data, {0: limit_at(90), 1: lambda ctx: ctx.cancel(first(ctx))})
    assert script.heard == [("new", 1, 1), ("canceled", 1, 2)]


def test_a_cancel_with_latency_is_pending_until_the_venue_has_it() -> None:
    """An open in between fills nothing here, and the cancel takes effect at its instant."""
    found, script = given.run(
        given.bars(*[QUIET] * 4), {0: limit_at(90), 1: lambda ctx: ctx.cancel(first(ctx))}, latency=given.MINUTE
    )
    assert script.heard == [("new", 1, 1), ("pending_cancel", 1, 2), ("canceled", 1, 3)]
    assert found.open_orders == []


def test_a_fill_before_the_venue_has_the_cancel_wins() -> None:
    """The bar that is under way when the cancel arrives may fill the order first."""
    data = given.bars(QUIET, QUIET, QUIET, (100, 100, 80, 100), QUIET)
    _, script = given.run(data, {0: limit_at(90), 2: lambda ctx: ctx.cancel(first(ctx))}, latency=30 * SECOND)
    assert [event for event, *_ in script.heard] == ["new", "pending_cancel", "fill"]
    assert script.fills == [(1, 4, 10, 90)]


def test_a_cancel_waits_for_the_bar_under_way_whatever_other_symbols_do() -> None:
    """Instants of another symbol do not decide who wins."""
    data = [
        given.bars(*[QUIET] * 40, symbol="A"),
        given.bars(QUIET, QUIET, (100, 100, 80, 100), QUIET, length=10, minutes=[0, 10, 20, 30]),
    ]
    plan = {("S", 0): limit_at(90), ("S", 1): lambda ctx: ctx.cancel(first(ctx))}
    _, script = given.run(data, plan, latency=SECOND)
    assert [event for event, *_ in script.heard] == ["new", "pending_cancel", "fill"]


def test_a_partial_fill_while_a_cancel_is_pending_leaves_the_rest_to_it() -> None:
    """Filled and open still add up."""
    data = given.bars(QUIET, QUIET, QUIET, (100, 100, 80, 100, 100), QUIET)
    found, script = given.run(
        data,
        {0: limit_at(90), 2: lambda ctx: ctx.cancel(first(ctx))},
        latency=30 * SECOND,
        participation=Fraction(1, 20),
    )
    assert [event for event, *_ in script.heard] == ["new", "pending_cancel", "partial_fill", "canceled"]
    assert found.orders[0].filled == 5 * given.SHARE


def test_cancelling_twice_or_after_the_end_changes_nothing() -> None:
    """A terminal status absorbs."""
    plan = {0: limit_at(90), 1: lambda ctx: [ctx.cancel(one) for one in [first(ctx)] * 2]}
    _, script = given.run(given.bars(*[QUIET] * 3), plan)
    assert script.events(1) == ["new", "canceled"]


def test_an_order_that_is_cancelled_in_the_turn_that_wanted_it_never_leaves() -> None:
    """It gets no number and no row in the log."""

    def plan(ctx: Any) -> Any:
        wanted = [ctx.order("S", "buy", 1), ctx.bracket("S", "buy", 1, take_profit=200)]
        for one in wanted:
            ctx.cancel(one)
        return wanted

    found, script = given.run(given.bars(QUIET, QUIET), {0: plan})
    assert (found.orders, script.heard) == ([], [])
    assert [order.STATUSES[one.status] for one in script.said[0]] == ["canceled", "canceled"]


def test_a_replacement_is_a_new_order_that_takes_the_place_of_the_old() -> None:
    """Other price, next number, what was open; the old one ends replaced."""
    data = given.bars(QUIET, (*QUIET[:2], 80, 100, 80), QUIET, QUIET, (100, 100, 94, 100))
    found, script = given.run(
        data,
        {0: limit_at(90), 2: lambda ctx: ctx.replace(first(ctx), limit=95)},
        participation=Fraction(1, 20),
    )
    assert script.heard == [
        ("new", 1, 1),
        ("partial_fill", 1, 2),
        ("replaced", 1, 3),
        ("new", 2, 3),
        ("fill", 2, 5),
    ]
    assert script.fills == [(1, 2, 4, 90), (2, 5, 6, 95)]
    new = found.orders[1]
    assert (new.replaces.id, new.number, new.limit, new.quantity) == (1, 1, 95, 6 * given.SHARE)


def test_a_replacement_with_latency_keeps_the_old_order_until_then() -> None:
    """The old price works until the venue has the new one."""
    plan = {0: limit_at(90), 1: lambda ctx: ctx.replace(first(ctx), limit=95)}
    _, script = given.run(given.bars(*[QUIET] * 5), plan, latency=given.MINUTE)
    assert [one[0::2] for one in script.heard] == [("new", 1), ("pending_replace", 2), ("replaced", 3), ("new", 3)]


def test_a_replacement_whose_order_filled_first_is_rejected() -> None:
    """The fill won, and nothing is bought twice."""
    data = given.bars(QUIET, QUIET, QUIET, (100, 100, 80, 100), QUIET)
    plan = {0: limit_at(90), 2: lambda ctx: ctx.replace(first(ctx), limit=95)}
    found, script = given.run(data, plan, latency=30 * SECOND)
    assert [event for event, *_ in script.heard] == ["new", "pending_replace", "fill", "rejected"]
    assert given.statuses(found) == ["filled", "rejected"]
    assert found.account.book.ledger.quantities[0] == 10 * given.SHARE


def test_an_order_whose_replacement_is_on_its_way_is_not_cancelled() -> None:
    """The broker refuses that, and so do we, by name."""

    def plan(ctx: Any) -> None:
        one = first(ctx)
        ctx.replace(one, limit=95)
        with pytest.raises(errors.ValueRefused, match=r"order\.status"):
            ctx.cancel(one)

    given.run(given.bars(*[QUIET] * 4), {0: limit_at(90), 1: plan}, latency=SECOND)


def test_a_replaced_exit_stays_the_exit_of_its_pair() -> None:
    """Its fill cancels the other, and the books count the pair once."""
    plan = {
        0: lambda ctx: ctx.bracket("S", "buy", 10, take_profit=110, stop_loss=90, time_in_force="gtc"),
        1: lambda ctx: ctx.replace(ctx.open_orders()[1], stop=97),
    }
    found, script = given.run(given.bars(QUIET, QUIET, (100, 100, 96, 98)), plan, policy=limits.Limits())
    assert given.statuses(found) == ["filled", "canceled", "replaced", "filled"]
    assert script.fills[-1] == (4, 3, 10, 97)
    assert [leg.id for leg in found.orders[0].legs] == [2, 4]


def test_a_replaced_entry_keeps_its_legs() -> None:
    """They are held until the new entry is complete."""
    plan = {
        0: lambda ctx: ctx.bracket("S", "buy", 10, limit=90, take_profit=110, stop_loss=80, time_in_force="gtc"),
        1: lambda ctx: ctx.replace(first(ctx), limit=101),
    }
    found, script = given.run(given.bars(QUIET, QUIET, QUIET, (100, 111, 100, 111)), plan)
    assert given.statuses(found) == ["replaced", "filled", "canceled", "filled"]
    assert script.fills == [(4, 2, 10, 100), (2, 4, 10, 110)]


def test_a_replaced_stop_limit_that_was_reached_stays_a_limit() -> None:
    """Its stop is not asked again."""
    plan = {
        0: lambda ctx: ctx.order("S", "sell", 10, "stop_limit", "gtc", stop=95, limit=94),
        1: lambda ctx: ctx.replace(first(ctx), limit=93),
    }
    _, script = given.run(given.bars(QUIET, (90, 92, 89, 91), (96,) * 4), plan, path="ohlc")
    assert script.fills == [(2, 2, 10, 96)]


def test_a_replaced_trailing_stop_keeps_the_best_price_that_it_has_seen() -> None:
    """A tighter trail counts from there."""
    plan = {
        0: lambda ctx: ctx.order("S", "sell", 10, "trailing_stop", "gtc", trail=20),
        1: lambda ctx: ctx.replace(first(ctx), trail=8),
    }
    data = given.bars(QUIET, (100, 110, 100, 105), (105, 106, 101, 104))
    _, script = given.run(data, plan, path="ohlc")
    assert script.fills == [(2, 3, 10, 102)]


def test_a_replacement_is_judged_without_the_order_that_it_replaces() -> None:
    """The same quantity twice would break the limit, as one share more does."""
    policy = limits.Limits(max_position_notional=10 * 100 * 10**5 + 1)
    seen: list[tuple[str, int]] = []

    def hook(ctx: Any, update: Any) -> None:
        seen.append((update.event, sum(order.open for order in ctx.open_orders("S"))))

    plan = {
        0: limit_at(90),
        1: lambda ctx: ctx.replace(first(ctx), limit=95),
        2: lambda ctx: ctx.order("S", "buy", 1, "limit", limit=96),
    }
    found, _ = given.run(given.bars(*[QUIET] * 4), plan, policy=policy, hook=hook)
    assert [event for event, _ in seen] == ["new", "replaced", "new", "refused"]
    assert {working for _, working in seen} == {10 * given.SHARE}
    assert given.statuses(found) == ["replaced", "new"]


@pytest.mark.parametrize(
    "fields,field",
    [
        *(({}, "replace"), ({"stop": 95}, "stop"), ({"limit": -1}, "limit"), ({"trail": 5}, "trail")),
        *(({"limit": 95.5}, "limit"), ({"stop": 0.5}, "stop"), ({"trail": 0.5}, "trail")),
        ({"trail_bps": 12.5}, "trail_bps"),
    ],
)
def test_a_replacement_that_changes_nothing_or_the_wrong_price_is_refused(fields: dict[str, Any], field: str) -> None:
    """A limit order has a limit."""

    def plan(ctx: Any) -> None:
        with pytest.raises(errors.ValueRefused) as caught:
            ctx.replace(first(ctx), **fields)
        assert caught.value.field == field

    found, _ = given.run(given.bars(*[QUIET] * 3), {0: limit_at(90), 1: plan})
    assert given.statuses(found) == ["new"]


def test_a_held_leg_and_an_ended_order_cannot_be_replaced() -> None:
    """Only what works can."""
    kept: list[Any] = []

    def want(ctx: Any) -> None:
        kept.append(ctx.order("S", "buy", 1, "limit", "gtc", limit=110))
        ctx.bracket("S", "buy", 10, limit=90, take_profit=110, time_in_force="gtc")

    def replace(ctx: Any) -> None:
        for one in (kept[0], ctx.open_orders()[1]):
            with pytest.raises(errors.ValueRefused, match=r"order\.status"):
                ctx.replace(one, limit=95)

    steps = {0: want, 1: replace}
    found, _ = given.run(given.bars(*[QUIET] * 3), steps)
    assert given.statuses(found) == ["filled", "new", "held"]


def test_open_orders_are_the_strategys_own_by_id_and_symbol() -> None:
    """Held legs are among them."""
    listed: list[list[int]] = []

    def look(ctx: Any) -> None:
        listed.extend([[one.id for one in ctx.open_orders(name)] for name in ("A", "B", None)])

    plan = {
        ("B", 0): lambda ctx: [
            ctx.bracket("B", "buy", 1, limit=50, take_profit=200),
            ctx.order("A", "buy", 1, "limit", limit=50),
        ],
        ("B", 1): look,
    }
    given.run([given.bars(*[QUIET] * 3, symbol=name) for name in ("A", "B")], plan)
    assert listed == [[3], [1, 2], [1, 2, 3]]


# Splits.


def run_split(plan: given.Plan, bars: Any, new: int, old: int, at: int, **settings: Any) -> Any:
    """Run a plan with a split after the strategy's turn at a bar."""

    def split(script: given.Script) -> None:
        if script.seen["S"] == at:
            script.kernel.split("S", new, old)  # type: ignore[union-attr]

    return given.run(bars, plan, after=split, **settings)


def test_a_forward_split_restates_quantity_and_prices_against_the_trader() -> None:
    """Three for two: 10 shares become 15, a buy's prices are rounded up, a sell's down."""
    plan = {
        0: lambda ctx: [
            ctx.order("S", "buy", 10, "limit", "gtc", limit=80),
            ctx.order("S", "buy", 10, "stop", "gtc", stop=130),
            ctx.order("S", "sell", 10, "stop_limit", "gtc", stop=80, limit=70),
            ctx.order("S", "sell", 10, "trailing_stop", "gtc", trail=25),
        ]
    }
    found, script = run_split(plan, given.bars(QUIET, QUIET, (67,) * 4), 3, 2, at=1)
    assert [(one.quantity // given.SHARE, one.limit, one.stop) for one in found.orders] == [
        (15, 54, 0),
        (15, 0, 87),
        (15, 46, 53),
        (15, 0, 50),
    ]
    assert (found.orders[3].high_water, found.orders[3].trail) == (67, 17)
    assert [event for event, *_ in script.heard[4:]] == ["restated"] * 4


def test_a_split_keeps_what_was_filled_and_the_legs_of_an_entry() -> None:
    """Filled and open are restated alike, and so are held legs."""
    bars = given.bars(QUIET, (*QUIET, 80), QUIET, QUIET)
    plan = {0: lambda ctx: ctx.bracket("S", "buy", 10, limit=101, take_profit=120, stop_loss=80, time_in_force="gtc")}
    found, script = run_split(plan, bars, 4, 1, at=1, participation=Fraction(1, 20))
    entry, target, stop = found.orders
    assert (entry.quantity, entry.filled, entry.limit) == (40 * given.SHARE, 16 * given.SHARE, 26)
    assert (target.quantity, target.limit, stop.quantity, stop.stop) == (40 * given.SHARE, 30, 40 * given.SHARE, 20)
    assert found.account.book.ledger.quantities[0] == 16 * given.SHARE
    assert script.fills == [(1, 1, 4, 100)]


def test_what_a_split_leaves_nothing_of_is_cancelled() -> None:
    """A stop to sell at one unit cannot be halved."""
    plan = {0: lambda ctx: ctx.order("S", "sell", 10, "stop", "gtc", stop=1)}
    found, script = run_split(plan, given.bars(QUIET, QUIET, (50,) * 4), 2, 1, at=1)
    assert given.statuses(found) == ["canceled"]
    assert script.events(1) == ["new", "canceled"]


def test_a_reverse_split_cancels_open_orders() -> None:
    """As the broker does before most corporate actions."""
    found, _ = run_split({0: limit_at(90)}, given.bars(QUIET, QUIET, QUIET), 1, 4, at=1)
    assert given.statuses(found) == ["canceled"]
    assert found.orders[0].reason == "corporate-action"


def test_a_split_keeps_equity() -> None:
    """Twice the shares at half the price are worth the same."""
    found, _ = run_split({0: lambda ctx: ctx.order("S", "buy", 10)}, given.bars(QUIET, QUIET, (50,) * 4), 2, 1, at=1)
    assert found.account.book.ledger.quantities[0] == 20 * given.SHARE
    assert set(found.equity[: found.instants].tolist()) == {given.CASH}


@pytest.mark.parametrize("action,state", [("reject", risk.ENABLED), ("clip", risk.ENABLED), ("halted", risk.HALTED)])
def test_a_replacement_that_breaks_a_limit_has_the_breachs_consequence(action: str, state: int) -> None:
    """10 shares are worth 900 when ordered and 1,000 when replaced; a smaller order is no replacement."""
    allowed = limits.Limits(max_notional=950 * given.SHARE // 10_000, on_breach={"order": limits.Breach(action)})
    plan: given.Plan = {
        0: lambda ctx: ctx.order("S", "buy", 10, "limit", "gtc", limit=50),
        1: lambda ctx: ctx.replace(ctx.open_orders()[0], limit=60),
    }
    found, script = given.run(given.bars((90,) * 4, (100,) * 4, (100,) * 4), plan, policy=allowed)
    assert [event for event, *_ in script.heard][:2] == (
        ["new", "canceled"] if action == "halted" else ["new", "refused"]
    )
    assert found.slots[0].scope.book.state == state
    assert given.statuses(found) == ["canceled" if action == "halted" else "new"]
