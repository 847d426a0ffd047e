from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from support import engine_orders as given
from tradeplane_engine import errors
from tradeplane_engine.core import context, kernel, order, sessions, venue_settings
from tradeplane_engine.data import series
from tradeplane_engine.domain import times
from tradeplane_engine.venue import calendars

QUIET = (100, 100, 100, 100)
DIP = (100, 100, 80, 100)
#: Pre-market, session, after-market, by minute; then the night.
MINUTES = [0, 1, 10, 11, 12, 13, 20, 21, 40, 41, 50, 51, 60, 61]


def hours(*days: tuple[int, int, int, int]) -> sessions.Sessions:
    """Sessions from (begin, open, close, end) in minutes."""
    begins, opens, closes, ends = np.array([[given.instant(each) for each in day] for day in days], dtype=np.int64).T
    return sessions.Sessions(*(np.ascontiguousarray(each) for each in (opens, closes, begins, ends)))


DAYS = hours((0, 10, 20, 30), (40, 50, 60, 70))


def data(*changed: tuple[int, tuple[int, ...]]) -> series.Series:
    """Two days of bars, flat but for some by minute."""
    rows = dict(changed)
    return given.bars(*[rows.get(minute, QUIET) for minute in MINUTES], minutes=MINUTES)


def limit(side: str = "buy", price: int = 90, time_in_force: str = "day", *, extended: bool = True) -> Any:
    """Want a limit order."""
    return lambda ctx: ctx.order("S", side, 10, "limit", time_in_force, limit=price, extended_hours=extended)


def run(rows: series.Series, plan: given.Plan, **settings: Any) -> tuple[kernel.Kernel, given.Script]:
    """Run a plan on the two days."""
    return given.run(rows, plan, sessions=DAYS, **settings)


@pytest.mark.parametrize("minute", [1, 11, 20, 21])
def test_an_order_for_extended_hours_fills_before_within_and_after_the_session(minute: int) -> None:
    """On the way of a bar of any of the three."""
    _, script = run(data((minute, DIP)), {0: limit()})
    assert script.fills == [(1, minute + 1, 10, 90)]


@pytest.mark.parametrize("minute", [1, 20, 21, 40])
def test_other_orders_wait_for_the_session(minute: int) -> None:
    """The same limit without extended hours is not reached by those bars, nor a market order or a stop filled."""

    def others(ctx: context.Context) -> None:
        limit(extended=False, time_in_force="gtc")(ctx)
        ctx.order("S", "sell", 5, "stop", "gtc", stop=85)
        ctx.order("S", "sell", 5, "trailing_stop", "gtc", trail=15)

    _, script = run(data((minute, DIP)), {0: others})
    assert script.fills == []


def test_a_market_order_that_is_decided_outside_fills_at_the_open() -> None:
    """Before the session at its open, after it at the next one; as an opg order does."""
    rows = data((10, (101, 101, 101, 101)), (50, (102, 102, 102, 102)))
    _, early = run(rows, {0: lambda ctx: ctx.order("S", "buy", 10)})
    assert early.fills == [(1, 10, 10, 101)]
    _, late = run(rows, {6: lambda ctx: [ctx.order("S", "buy", 10), ctx.order("S", "buy", 1, "market", "opg")]})
    assert late.fills == [(1, 50, 10, 102), (2, 50, 1, 102)]


def test_an_open_of_extended_hours_fills_what_is_for_them() -> None:
    """A gap through the limit fills at the bar's open, an order without extended hours does not see it."""
    rows = data((1, (80, 80, 80, 80)))
    _, script = run(rows, {0: lambda ctx: [limit()(ctx), limit(extended=False)(ctx)]})
    assert script.fills == [(1, 1, 10, 80)]


def test_a_day_order_for_extended_hours_expires_with_them() -> None:
    """At the end of the after-market, another at the close; decided after the close it is for that evening."""
    _, script = run(data(), {0: lambda ctx: [limit()(ctx), limit(extended=False)(ctx)]})
    assert script.heard[-2:] == [("expired", 2, 20), ("expired", 1, 30)]
    _, evening = run(data((21, DIP)), {6: limit()})
    assert evening.fills == [(1, 22, 10, 90)]
    _, night = run(data((41, DIP)), {7: limit(price=70)})
    assert night.heard[-1] == ("expired", 1, 30)


def test_a_gtc_order_for_extended_hours_lives_on() -> None:
    """It fills in the next morning's pre-market."""
    _, script = run(data((41, DIP)), {0: limit(time_in_force="gtc")})
    assert script.fills == [(1, 42, 10, 90)]


def test_a_bar_outside_of_all_hours_fills_nothing() -> None:
    """The night is nobody's."""
    rows = given.bars(QUIET, DIP, QUIET, minutes=[20, 32, 41])
    _, script = run(rows, {0: limit(time_in_force="gtc")})
    assert script.fills == []


def test_a_halt_in_extended_hours_takes_its_bars() -> None:
    """And a bar that begins in it and ends after it fills at the reopening what is for extended hours."""
    rows = data((1, DIP))
    halts = {"S": [(given.instant(1), given.instant(3))]}
    assert run(rows, {0: limit()}, halts=halts)[1].fills == []
    halts = {"S": [(given.instant(0.5), given.instant(1.5))]}
    _, script = run(
        data((1, (80, 80, 80, 80))), {0: lambda ctx: [limit()(ctx), limit(extended=False)(ctx)]}, halts=halts
    )
    assert script.fills == [(1, 2, 10, 80)]


def test_no_close_of_extended_hours_is_traded() -> None:
    """A market order for the next close waits for one of the session, also where the decision's close would do."""
    for venue in ({"fill_at": "next_close"}, {"fill_at": "same_close", "allow_same_close": True}):
        _, script = run(
            data((10, (100, 107, 100, 107))), {0: lambda ctx: ctx.order("S", "buy", 10, "market", "gtc")}, **venue
        )
        assert script.fills == [(1, 11, 10, 107)]


def test_a_replacement_works_in_the_same_hours() -> None:
    """Another price, and the pre-market still fills it."""

    def then(ctx: context.Context) -> None:
        ctx.replace(ctx.open_orders("S")[0], limit=95)

    found, script = run(data((20, (100, 100, 93, 100))), {0: limit(), 1: then})
    assert script.fills == [(2, 21, 10, 95)]
    assert found.orders[1].extended_hours


def test_worst_and_best_paths_rehearse_the_same_orders() -> None:
    """Orders of the session are no part of what a pre-market bar may do."""

    def both(ctx: context.Context) -> None:
        limit("buy", 90)(ctx)
        limit("sell", 110)(ctx)
        limit("sell", 105, extended=False)(ctx)

    for path in venue_settings.PATHS:
        _, script = run(data((1, (100, 120, 80, 100))), {0: both}, path=path)
        assert sorted(script.fills) == [(1, 2, 10, 90), (2, 2, 10, 110)]


@pytest.mark.parametrize("path, fill", [("worst", (2, 2, 10, 105)), ("best", (1, 2, 10, 90))])
def test_a_path_of_extended_hours_is_rehearsed_with_their_orders(path: str, fill: tuple[int, int, int, int]) -> None:
    """The volume is enough for one of two limits, and the policy takes the one that earns less or more."""
    rows = data((1, (100, 120, 80, 100, 1000)))
    plan = {0: lambda ctx: [limit("buy", 90)(ctx), limit("sell", 105)(ctx)]}
    _, script = run(rows, plan, path=path, participation=Fraction(1, 100))
    assert script.fills[0] == fill


def test_the_log_says_which_orders_are_for_extended_hours() -> None:
    """Two runs that differ in it alone have different logs."""
    plain, wide = (run(data(), {0: limit(extended=extended)})[0].log.rows() for extended in (False, True))
    assert (plain[0, 7], wide[0, 7]) == (order.LIMIT * 10 + order.DAY, 100 + order.LIMIT * 10 + order.DAY)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda ctx: ctx.order("S", "buy", 1, extended_hours=True), "must be of a limit order, got 'market'"),
        (
            lambda ctx: ctx.order("S", "buy", 1, "stop_limit", limit=9, stop=9, extended_hours=True),
            "must be of a limit order, got 'stop_limit'",
        ),
        (limit(time_in_force="ioc"), "must be of a day or gtc order, got 'ioc'"),
        (limit(time_in_force="opg"), "must be of a day or gtc order, got 'opg'"),
    ],
)
def test_what_does_not_work_outside_of_the_session_is_refused(make: Callable[..., Any], message: str) -> None:
    """By name, as the broker refuses it."""
    with pytest.raises(errors.ValueRefused, match=f"extended_hours: {message}"):
        run(data(), {0: make})


def test_without_extended_hours_nothing_is_for_them() -> None:
    """Neither in a market that never closes nor in sessions alone."""
    alone = sessions.Sessions(DAYS.opens, DAYS.closes)
    for chosen in (None, alone):
        with pytest.raises(errors.ValueRefused, match="extended_hours: must be asked for where the run's sessions"):
            given.run(data(), {0 if chosen is None else 2: limit()}, sessions=chosen)
    assert (alone.extended, DAYS.extended) == (False, True)
    assert alone.digest() != DAYS.digest()


@pytest.mark.parametrize(
    "day, field",
    [((11, 10, 20, 30), "sessions.open, session 1"), ((0, 10, 20, 19), "sessions.end, session 1")],
)
def test_extended_hours_that_do_not_hold_their_session_are_refused(day: tuple[int, int, int, int], field: str) -> None:
    """The error names the session."""
    with pytest.raises(errors.ValueRefused) as caught:
        hours((-40, -30, -20, -10), day)
    assert caught.value.field == field


def test_extended_hours_that_overlap_are_refused() -> None:
    """One day's evening ends before the next one's morning; and half of them is not enough."""
    with pytest.raises(errors.ValueRefused, match=r"sessions\.begin, session 1"):
        hours((0, 10, 20, 45), (40, 50, 60, 70))
    with pytest.raises(errors.ValueRefused, match="begins and ends"):
        sessions.Sessions(DAYS.opens, DAYS.closes, DAYS.begins)


def clock(at: int) -> str:
    """UTC time of an instant, day and minute."""
    return times.text(times.Nanos(int(at)))[5:16]


def test_the_exchange_s_days_have_their_hours() -> None:
    """Thanksgiving is none, the day after closes at 13:00 and its after-market at 17:00 in New York."""
    found = calendars.new_york("2024-11-27", "2024-12-02", extended=True)
    days = [[clock(at) for at in day] for day in zip(found.begins, found.opens, found.closes, found.ends, strict=True)]
    assert days == [
        ["11-27T09:00", "11-27T14:30", "11-27T21:00", "11-28T01:00"],
        ["11-29T09:00", "11-29T14:30", "11-29T18:00", "11-29T22:00"],
        ["12-02T09:00", "12-02T14:30", "12-02T21:00", "12-03T01:00"],
    ]


@pytest.mark.parametrize(
    "first, last, opens",
    [("2024-03-08", "2024-03-11", ["14:30", "13:30"]), ("2024-11-01", "2024-11-04", ["13:30", "14:30"])],
)
def test_a_change_of_the_clock_moves_all_hours(first: str, last: str, opens: list[str]) -> None:
    """Pre-market begins five and a half hours before the open on both sides of the weekend."""
    found = calendars.new_york(first, last, extended=True)
    assert [clock(at)[6:] for at in found.opens] == opens
    assert set((found.opens - found.begins).tolist()) == {5 * times.HOUR + times.HOUR // 2}
    assert set((found.ends - found.closes).tolist()) == {4 * times.HOUR}


def test_orders_keep_their_hours_across_an_early_close() -> None:
    """On the Friday after Thanksgiving a session order expires at 18:00 UTC, one for extended hours at 22:00."""
    days = calendars.new_york("2024-11-29", "2024-12-02", extended=True)
    start = days.begins[0] + np.arange(14, dtype=np.int64) * times.HOUR
    flat = np.full(14, 100, dtype=np.int64)
    rows = series.Series("S", start, start + times.HOUR, start + times.HOUR, flat, flat, flat, flat, flat)
    _, script = given.run(rows, {0: lambda ctx: [limit()(ctx), limit(extended=False)(ctx)]}, sessions=days)
    ends = [(event, number, given.START + minute * given.MINUTE) for event, number, minute in script.heard[-2:]]
    assert [(event, number, clock(int(at))) for event, number, at in ends] == [
        ("expired", 2, "11-29T18:00"),
        ("expired", 1, "11-29T22:00"),
    ]


@pytest.mark.parametrize(
    "first, last, message",
    [
        ("2024-13-01", "2024-12-01", "first: must be a date"),
        ("2024-12-02", "2024-12-01", "last: must be 2024-12-02 or"),
    ],
)
def test_dates_that_are_none_are_refused(first: str, last: str, message: str) -> None:
    """By name."""
    with pytest.raises(errors.ValueRefused, match=message):
        calendars.new_york(first, last)


def test_without_extended_hours_the_sessions_are_those_of_the_exchange() -> None:
    """A weekend has none, so that one day and no day are calendars too."""
    assert len(calendars.new_york("2024-11-30", "2024-12-01")) == 0
    assert not calendars.new_york("2024-12-02", "2024-12-02").extended
