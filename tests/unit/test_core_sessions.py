from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from support import engine_orders as given
from tradeplane_engine import errors
from tradeplane_engine.core import sessions

QUIET = (100, 100, 100, 100)
DAYS = given.trading((0, 4), (10, 14), (20, 24))
MINUTES = [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]


def data(*changed: tuple[int, tuple[int, ...]], symbol: str = "S") -> Any:
    """Three sessions of four minutes, flat but for some bars by number."""
    rows: list[tuple[int, ...]] = [QUIET] * 12
    for number, row in changed:
        rows[number] = row
    return given.bars(*rows, minutes=MINUTES, symbol=symbol)


def order(time_in_force: str, side: str = "buy", shares: int = 10, kind: str = "market", **prices: int) -> Any:
    """Want an order."""
    return lambda ctx: ctx.order("S", side, shares, kind, time_in_force, **prices)


def test_a_day_order_expires_at_the_close_of_its_session() -> None:
    """Not at the next bar."""
    _, script = given.run(data(), {0: order("day", kind="limit", limit=90)}, sessions=DAYS)
    assert script.heard == [("new", 1, 1), ("expired", 1, 4)]


def test_a_gtc_order_outlives_sessions() -> None:
    """It fills two sessions later."""
    _, script = given.run(data((9, (100, 100, 80, 100))), {0: order("gtc", kind="limit", limit=90)}, sessions=DAYS)
    assert script.fills == [(1, 22, 10, 90)]


def test_the_last_bar_of_a_session_fills_a_day_order_before_it_expires() -> None:
    """The bar's way ends at the close, the order only then."""
    _, script = given.run(data((3, (100, 100, 80, 100))), {0: order("day", kind="limit", limit=90)}, sessions=DAYS)
    assert script.fills == [(1, 4, 10, 90)]
    assert script.events(1) == ["new", "fill"]


def test_an_order_decided_at_a_close_belongs_to_the_next_session() -> None:
    """A market order fills at the next open; a limit expires at the next close."""
    plan = {3: lambda ctx: [order("day")(ctx), order("day", kind="limit", limit=90)(ctx)]}
    _, script = given.run(data(), plan, sessions=DAYS)
    assert script.fills == [(1, 10, 10, 100)]
    assert script.heard[-1] == ("expired", 2, 14)


def test_without_sessions_a_day_order_never_expires() -> None:
    """The market never closes."""
    found, script = given.run(data(), {0: order("day", kind="limit", limit=90)})
    assert script.heard == [("new", 1, 1)]
    assert len(found.open_orders) == 1


def test_a_bar_that_becomes_known_late_fills_a_day_order_before_it_expires() -> None:
    """Expiry looks at when the bar ended, not at when it was known."""
    rows = [QUIET] * 3 + [(100, 100, 80, 100)] + [QUIET] * 2
    late = given.bars(*rows, minutes=MINUTES[:6], late=2)
    _, script = given.run(late, {0: order("day", kind="limit", limit=90)}, sessions=DAYS)
    assert script.fills == [(1, 4, 10, 90)]


def test_an_opg_order_fills_only_at_the_first_open_of_a_session() -> None:
    """Decided inside a session it waits for the next one, and what the open leaves expires."""
    _, script = given.run(
        data((4, (103, 104, 102, 103, 100))), {1: order("opg")}, sessions=DAYS, participation=Fraction(1, 20)
    )
    assert script.fills == [(1, 10, 5, 103)]
    assert script.heard[-1] == ("expired", 1, 10)


def test_a_limit_on_the_open_that_does_not_fill_there_expires() -> None:
    """It never rests."""
    _, script = given.run(data((4, (100, 100, 80, 100))), {1: order("opg", kind="limit", limit=90)}, sessions=DAYS)
    assert script.heard == [("new", 1, 2), ("expired", 1, 10)]


def test_a_cls_order_fills_only_at_the_last_close_of_its_session() -> None:
    """Whatever the closes before."""
    _, script = given.run(data((3, (100, 107, 100, 107))), {0: order("cls")}, sessions=DAYS)
    assert script.fills == [(1, 4, 10, 107)]


def test_a_cls_order_without_a_bar_that_reaches_the_close_expires() -> None:
    """A close of minutes ago is stale."""
    short = given.bars(*[QUIET] * 5, minutes=[0, 1, 2, 10, 11])
    _, script = given.run(short, {0: order("cls")}, sessions=DAYS)
    assert script.heard == [("new", 1, 1), ("expired", 1, 4)]


def test_a_limit_on_the_close_that_does_not_fill_there_expires() -> None:
    """Though the bar's way went through it."""
    _, script = given.run(data((3, (100, 100, 80, 100))), {0: order("cls", kind="limit", limit=90)}, sessions=DAYS)
    assert script.heard == [("new", 1, 1), ("expired", 1, 4)]


@pytest.mark.parametrize("time_in_force", ["ioc", "fok"])
@pytest.mark.parametrize("limit,fills", [(101, [(1, 1, 10, 100)]), (100, []), (90, [])])
def test_an_immediate_order_trades_at_the_first_chance_or_never(
    time_in_force: str, limit: int, fills: list[tuple[int, int, int, int]]
) -> None:
    """A bar that goes through its limit later does not matter."""
    _, script = given.run(
        given.bars(QUIET, (100, 100, 80, 90), QUIET), {0: order(time_in_force, kind="limit", limit=limit)}
    )
    assert script.fills == fills
    assert script.heard[-1] == (("fill", 1, 1) if fills else ("canceled", 1, 1))


@pytest.mark.parametrize("time_in_force,shares", [("ioc", 5), ("fok", 0)])
def test_what_the_volume_cuts_is_cancelled(time_in_force: str, shares: int) -> None:
    """Immediate-or-cancel keeps its part, fill-or-kill takes none."""
    found, script = given.run(
        given.bars(QUIET, (*QUIET, 100), QUIET), {0: order(time_in_force)}, participation=Fraction(1, 20)
    )
    assert sum(fill[2] for fill in script.fills) == shares
    assert script.heard[-1] == ("canceled", 1, 1)
    assert found.orders[0].reason == time_in_force


def test_a_fok_order_fills_whole() -> None:
    """Where the volume allows it."""
    _, script = given.run(given.bars(QUIET, QUIET), {0: order("fok")}, participation=Fraction(1, 100))
    assert script.fills == [(1, 1, 10, 100)]


def test_an_immediate_order_meets_the_close_where_orders_do() -> None:
    """Its first chance is that of a market order."""
    _, script = given.run(given.bars(QUIET, (100, 107, 100, 107)), {0: order("ioc")}, fill_at="next_close")
    assert script.fills == [(1, 2, 10, 107)]


def test_bars_outside_of_sessions_fill_nothing() -> None:
    """A bar before the open is not for ordinary orders."""
    rows = given.bars(QUIET, (100, 100, 80, 100), (102, 102, 102, 102), minutes=[0, 5, 10])
    plan = {0: lambda ctx: [order("gtc")(ctx), order("gtc", kind="limit", limit=90)(ctx)]}
    _, script = given.run(rows, plan, sessions=given.trading((0, 1), (10, 11)))
    assert script.fills == [(1, 10, 10, 102)]


def test_exits_expire_with_their_session() -> None:
    """A day bracket leaves no exit for tomorrow; the pair expires together."""
    plan = {0: lambda ctx: ctx.bracket("S", "buy", 10, take_profit=110, stop_loss=90)}
    found, script = given.run(data(), plan, sessions=DAYS)
    assert given.statuses(found) == ["filled", "expired", "expired"]
    assert [one for one in script.heard if one[0] == "expired"] == [("expired", 2, 4), ("expired", 3, 4)]


def test_a_halt_fills_nothing_and_the_reopening_bar_does() -> None:
    """Open, path and close of bars inside are taken; the first bar after it acts as any other."""
    halts = {"S": [(given.instant(1), given.instant(3))]}
    rows = given.bars(QUIET, (100, 120, 80, 100), (100, 120, 80, 100), (104, 106, 85, 105))
    plan = {0: lambda ctx: [order("gtc")(ctx), order("gtc", kind="limit", limit=90)(ctx)]}
    _, script = given.run(rows, plan, halts=halts)
    assert script.fills == [(1, 3, 10, 104), (2, 4, 10, 90)]


def test_a_bar_that_begins_in_a_halt_and_ends_after_it_fills_at_its_open() -> None:
    """Its open is the reopening's price; it is known when the bar is."""
    halts = {"S": [(given.instant(0.5), given.instant(1.5))]}
    _, script = given.run(given.bars(QUIET, (90, 95, 89, 94)), {0: order("gtc")}, halts=halts)
    assert script.fills == [(1, 2, 10, 90)]


def test_a_close_inside_a_halt_fills_nothing() -> None:
    """The last price before it is not a close that anybody traded at."""
    halts = {"S": [(given.instant(1.5), given.instant(2.5))]}
    _, script = given.run(given.bars(QUIET, QUIET, QUIET, QUIET), {0: order("gtc")}, halts=halts, fill_at="next_close")
    assert script.fills == [(1, 3, 10, 100)]


def test_a_halt_of_one_symbol_leaves_the_others_alone() -> None:
    """Intervals belong to their symbol."""
    rows = [given.bars(QUIET, QUIET, QUIET, symbol=name) for name in ("A", "B")]
    plan = {("B", 0): lambda ctx: [ctx.order(name, "buy", 1) for name in ("A", "B")]}
    _, script = given.run(rows, plan, halts={"A": [(given.instant(1), given.instant(2))]})
    assert script.fills == [(2, 1, 1, 100), (1, 2, 1, 100)]


def test_an_immediate_order_in_a_halt_is_cancelled() -> None:
    """Its first chance was the halted open."""
    found, script = given.run(
        given.bars(QUIET, QUIET, QUIET), {0: order("ioc")}, halts={"S": [(given.instant(1), given.instant(2))]}
    )
    assert script.heard[-1] == ("canceled", 1, 1)
    assert found.orders[0].reason == "halted"


@pytest.mark.parametrize("halts,field", [({"X": [(0, 1)]}, "halts"), ({"S": [(5, 5)]}, "halts.S")])
def test_a_halt_of_nothing_is_refused_by_name(halts: Any, field: str) -> None:
    """An unknown symbol and an interval without length."""
    with pytest.raises(errors.ValueRefused) as caught:
        given.run(given.bars(QUIET), {}, halts=halts)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "opens,closes,field",
    [
        ([0, 10], [5, 9], "sessions.close, session 1"),
        ([0, 4], [5, 9], "sessions.open, session 1"),
        ([0], [5, 9], "sessions"),
    ],
)
def test_sessions_that_overlap_or_run_backwards_are_refused(opens: list[int], closes: list[int], field: str) -> None:
    """The error names the first that is wrong."""
    with pytest.raises(errors.ValueRefused) as caught:
        sessions.Sessions(np.array(opens, dtype=np.int64), np.array(closes, dtype=np.int64))
    assert caught.value.field == field


def test_no_sessions_at_all_leave_every_bar_outside() -> None:
    """An empty calendar is a market that never opens."""
    never = sessions.Sessions(np.array([], dtype=np.int64), np.array([], dtype=np.int64))
    _, script = given.run(given.bars(QUIET, QUIET), {0: order("gtc")}, sessions=never)
    assert script.fills == []
