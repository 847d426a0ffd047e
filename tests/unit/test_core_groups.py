from fractions import Fraction
from typing import Any

import pytest

from support import engine_orders as given
from tradeplane_engine import errors
from tradeplane_engine.core import limits, order

QUIET = (100, 100, 100, 100)


def bracket(shares: int = 10, **rest: Any) -> Any:
    """Want a bracket around 100."""
    prices = {"take_profit": 110, "stop_loss": 95, "time_in_force": "gtc"} | rest
    return lambda ctx: ctx.bracket("S", "buy", shares, **prices)


def test_the_exits_of_a_bracket_are_held_until_the_entry_is_complete() -> None:
    """A partial entry leaves them held; the last part lets them work."""
    data = given.bars(QUIET, *[(100, 100, 100, 100, 100)] * 3)
    states: list[tuple[str, list[str]]] = []

    def hook(_: Any, update: Any) -> None:
        if update.quantity:
            states.append((update.event, [order.STATUSES[leg.status] for leg in update.order.legs]))

    found, script = given.run(data, {0: bracket()}, hook=hook, participation=Fraction(1, 20))
    assert states == [("partial_fill", ["held", "held"]), ("fill", ["held", "held"])]
    assert given.statuses(found) == ["filled", "new", "new"]
    assert script.events(2) == ["held", "new"]


@pytest.mark.parametrize(
    "bar,ends",
    [((100, 120, 99, 100), ["filled", "filled", "canceled"]), ((100, 101, 90, 100), ["filled", "canceled", "filled"])],
)
def test_one_exits_fill_cancels_the_other(bar: tuple[int, int, int, int], ends: list[str]) -> None:
    """Target and stop of a bracket."""
    found, script = given.run(given.bars(QUIET, QUIET, bar), {0: bracket()})
    assert given.statuses(found) == ends
    assert found.account.book.ledger.quantities[0] == 0
    assert script.heard[-1][0] == "canceled"


def test_a_partial_take_profit_shrinks_the_stop() -> None:
    """What the limit has sold the stop can no longer sell."""
    data = given.bars(QUIET, (*QUIET, 200), (100, 112, 100, 100, 80), (100, 100, 90, 92, 200))
    found, script = given.run(data, {0: bracket()}, participation=Fraction(1, 20), path="ohlc")
    assert [fill[0::2] for fill in script.fills] == [(1, 10), (2, 4), (3, 6)]
    assert (found.orders[2].quantity, found.orders[2].filled) == (6 * given.SHARE, 6 * given.SHARE)
    assert given.statuses(found) == ["filled", "canceled", "filled"]
    assert found.account.book.ledger.quantities[0] == 0


def test_a_partial_stop_shrinks_the_take_profit() -> None:
    """The pair is one position, whichever exit fills first."""
    data = given.bars(QUIET, (*QUIET, 200), (100, 100, 90, 92, 80), (112, 112, 112, 112, 200))
    found, script = given.run(data, {0: bracket()}, participation=Fraction(1, 20), path="ohlc")
    # The rest of the stop is a market order, the limit is beyond its price: both meet the open, the smaller id first.
    assert [fill[0::2] for fill in script.fills] == [(1, 10), (3, 4), (2, 6)]
    assert found.account.book.ledger.quantities[0] == 0


@pytest.mark.parametrize("member", [0, 1, 2])
def test_cancelling_any_member_before_the_entry_cancels_all(member: int) -> None:
    """Entry or leg."""

    def cancel(ctx: Any) -> None:
        ctx.cancel(ctx.open_orders("S")[member])

    found, _ = given.run(given.bars(QUIET, QUIET, QUIET), {0: bracket(limit=90), 1: cancel})
    assert given.statuses(found) == ["canceled"] * 3


@pytest.mark.parametrize("member", [0, 1])
def test_cancelling_an_exit_cancels_the_other(member: int) -> None:
    """After the entry."""

    def cancel(ctx: Any) -> None:
        ctx.cancel(ctx.open_orders()[member])

    found, _ = given.run(given.bars(QUIET, QUIET, QUIET), {0: bracket(), 1: cancel})
    assert given.statuses(found) == ["filled", "canceled", "canceled"]


def test_an_entry_that_ends_incomplete_takes_its_exits_with_it() -> None:
    """Its part stays without exits, as with the broker."""
    data = given.bars(QUIET, (*QUIET, 100), QUIET)
    plan = {0: bracket(), 1: lambda ctx: ctx.cancel(ctx.open_orders()[0])}
    found, _ = given.run(data, plan, participation=Fraction(1, 20))
    assert given.statuses(found) == ["canceled"] * 3
    assert found.account.book.ledger.quantities[0] == 5 * given.SHARE


def test_exits_may_fill_in_the_bar_of_their_entry() -> None:
    """They are at the venue already: the rest of the bar's way acts on them."""
    _, script = given.run(given.bars(QUIET, (100, 101, 90, 99)), {0: bracket()})
    assert script.fills == [(1, 1, 10, 100), (3, 2, 10, 95)]


def test_an_exit_that_the_market_is_beyond_when_it_begins_to_work_fills_there() -> None:
    """An entry that a gap filled below its stop is sold again at that open's price."""
    _, script = given.run(given.bars(QUIET, (90, 92, 89, 91)), {0: bracket(limit=99)})
    assert script.fills == [(1, 1, 10, 90), (3, 2, 10, 90)]


def test_a_stop_loss_with_a_limit_is_a_stop_limit() -> None:
    """Below its limit it waits."""
    found, script = given.run(given.bars(QUIET, QUIET, (90, 92, 89, 91)), {0: bracket(stop_limit=94)})
    assert found.orders[2].kind == order.STOP_LIMIT
    assert [fill[0] for fill in script.fills] == [1]


@pytest.mark.parametrize("missing,roles", [("take_profit", ["stop_loss"]), ("stop_loss", ["take_profit"])])
def test_a_bracket_with_one_exit_is_an_oto(missing: str, roles: list[str]) -> None:
    """One-triggers-other."""
    found, script = given.run(given.bars(QUIET, QUIET, (100, 120, 90, 100)), {0: bracket(**{missing: 0})})
    assert [one.role for one in found.orders] == ["entry", *roles]
    assert given.statuses(found) == ["filled", "filled"]
    assert script.events(2) == ["held", "new", "fill"]


def test_a_bracket_to_sell_short_mirrors_the_prices() -> None:
    """The target is below, the stop above."""
    plan = {0: lambda ctx: ctx.bracket("S", "sell", 10, take_profit=90, stop_loss=105, time_in_force="gtc")}
    found, script = given.run(given.bars(QUIET, QUIET, (100, 101, 85, 88)), plan)
    assert [fill[3] for fill in script.fills] == [100, 90]
    assert given.statuses(found) == ["filled", "filled", "canceled"]


def test_an_oco_counts_once_in_the_books() -> None:
    """A long-only policy lets a pair of exits pass for what is held, and nothing beyond it."""
    plan = {
        0: lambda ctx: ctx.order("S", "buy", 10),
        1: lambda ctx: ctx.oco("S", "sell", 10, take_profit=110, stop_loss=95, time_in_force="gtc"),
        2: lambda ctx: ctx.order("S", "sell", 1),
    }
    found, script = given.run(given.bars(*[QUIET] * 4), plan, policy=limits.Limits())
    assert found.account.book.selling[0] == 10 * given.SHARE
    assert found.account.book.open_orders == 2
    assert script.events(0) == ["refused"]


def test_a_bracket_counts_as_many_open_orders_as_it_has() -> None:
    """The limit on open orders sees the held legs."""
    for most, refused in ((3, False), (2, True)):
        policy = limits.Limits(max_open_orders=most)
        found, script = given.run(given.bars(QUIET, QUIET), {0: bracket(limit=90)}, policy=policy)
        assert (script.events(0) == ["refused"]) is refused
        assert len(found.orders) == (0 if refused else 3)


def test_a_refused_bracket_leaves_nothing() -> None:
    """Its legs end with it."""
    _, script = given.run(given.bars(QUIET, QUIET), {0: bracket()}, policy=limits.Limits(max_quantity=given.SHARE))
    entry = script.said[0]
    assert [order.STATUSES[one.status] for one in (entry, *entry.legs)] == ["rejected", "canceled", "canceled"]


@pytest.mark.parametrize(
    "call,fields,field",
    [
        ("bracket", {"time_in_force": "ioc", "take_profit": 110}, "time_in_force"),
        ("bracket", {}, "take_profit"),
        ("bracket", {"take_profit": 95, "stop_loss": 110}, "take_profit"),
        ("bracket", {"take_profit": 110, "stop_limit": 90}, "stop_limit"),
        ("bracket", {"take_profit": -1}, "take_profit"),
        ("oco", {"take_profit": 95, "stop_loss": 90}, "take_profit"),
        ("oco", {"take_profit": 95, "stop_loss": 0}, "stop_loss"),
        ("oco", {"take_profit": 90, "stop_loss": 95, "time_in_force": "fok"}, "time_in_force"),
        ("bracket", {"take_profit": 110.5}, "take_profit"),
        ("bracket", {"stop_loss": 90.5}, "stop_loss"),
        ("bracket", {"stop_loss": 90, "stop_limit": 89.5}, "stop_limit"),
        ("bracket", {"take_profit": 110, "limit": 99.5}, "limit"),
        ("bracket", {"take_profit": 110, "stop": 100.5}, "stop"),
        ("oco", {"take_profit": 89.5, "stop_loss": 95}, "take_profit"),
        ("oco", {"take_profit": 90, "stop_loss": 95.5}, "stop_loss"),
    ],
)
def test_exits_that_contradict_each_other_are_refused_by_field(call: str, fields: dict[str, Any], field: str) -> None:
    """A buy that closes a short has its target below; nothing of a refused group is wanted."""

    def plan(ctx: Any) -> None:
        with pytest.raises(errors.ValueRefused) as caught:
            getattr(ctx, call)("S", "buy", 1, **fields)
        assert caught.value.field == field

    found, _ = given.run(given.bars(QUIET), {0: plan})
    assert found.orders == []
