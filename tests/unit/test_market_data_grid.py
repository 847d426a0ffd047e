"""Buckets of the exchange's own sessions: changes of the clocks, early closes, holidays, extended hours."""

import itertools

import pytest

from tradeplane_engine.domain import timeframes, times
from tradeplane_workers.market_data import grid, sessions

REGULAR = sessions.Calendar("XNYS")
EXTENDED = sessions.Calendar("XNYS", session=timeframes.EXTENDED)


def made(timeframe: str, calendar: sessions.Calendar = REGULAR) -> grid.Grid:
    """Return the grid of a timeframe."""
    return grid.Grid(calendar, timeframes.span(timeframe))


def shown(*found: grid.Bucket | None) -> list[tuple[str, str]]:
    """Start and end of buckets."""
    return [(times.text(one.start), times.text(one.end)) for one in found if one is not None]


@pytest.mark.parametrize(
    "day, first, last, buckets",
    [
        ("2012-03-09", "2012-03-09T14:30:00Z", "2012-03-09T21:00:00Z", 7),
        ("2012-03-12", "2012-03-12T13:30:00Z", "2012-03-12T20:00:00Z", 7),
        ("2012-11-02", "2012-11-02T13:30:00Z", "2012-11-02T20:00:00Z", 7),
        ("2012-11-05", "2012-11-05T14:30:00Z", "2012-11-05T21:00:00Z", 7),
        ("2012-11-23", "2012-11-23T14:30:00Z", "2012-11-23T18:00:00Z", 4),
        ("2012-07-03", "2012-07-03T13:30:00Z", "2012-07-03T17:00:00Z", 4),
    ],
)
def test_hours_follow_new_york(day: str, first: str, last: str, buckets: int) -> None:
    """In the weeks in which the clocks change, and on days that close early."""
    found = made("1h").ending_within(times.instant(f"{day}T00:00:00Z"), times.instant(f"{day}T23:59:59Z"))
    assert (times.text(found[0].start), times.text(found[-1].end), len(found)) == (first, last, buckets)
    assert found[-1].end - found[-1].start == 30 * times.MINUTE


@pytest.mark.parametrize(
    "day, first, last",
    [
        ("2012-03-09", "2012-03-09T09:00:00Z", "2012-03-10T01:00:00Z"),
        ("2012-03-12", "2012-03-12T08:00:00Z", "2012-03-13T00:00:00Z"),
        ("2012-11-23", "2012-11-23T09:00:00Z", "2012-11-23T22:00:00Z"),
    ],
)
def test_an_extended_session_is_four_in_the_morning_to_four_hours_after_the_close(
    day: str, first: str, last: str
) -> None:
    """In New York's time, whatever the season; its hours begin on the full hour."""
    session = EXTENDED.holding(times.instant(f"{day}T15:00:00Z"))
    assert session is not None
    assert (times.text(session.start), times.text(session.end)) == (first, last)
    bucket = made("1h", EXTENDED).holding(times.instant(f"{day}T15:15:00Z"))
    assert shown(bucket) == [(f"{day}T15:00:00Z", f"{day}T16:00:00Z")]


def test_the_bucket_after_a_sessions_last_is_the_next_sessions_first() -> None:
    """Over a weekend and Presidents' Day of 2012."""
    found = made("15m")
    last = found.newest(1, until=times.instant("2012-02-19T00:00:00Z"))[0]
    following = found.next_after(last.end)
    assert following is not None
    assert shown(last, following) == [
        ("2012-02-17T20:45:00Z", "2012-02-17T21:00:00Z"),
        ("2012-02-21T14:30:00Z", "2012-02-21T14:45:00Z"),
    ]
    assert found.before(following) == last


def test_nothing_is_on_while_there_is_no_trading() -> None:
    """The close, the night and the weekend belong to no bucket."""
    found = made("5m")
    for at in ("2012-03-02T14:29:59Z", "2012-03-02T21:00:00Z", "2012-03-03T15:00:00Z"):
        assert found.holding(times.instant(at)) is None


@pytest.mark.parametrize("timeframe", sorted(timeframes.SPANS))
@pytest.mark.parametrize("calendar", [REGULAR, EXTENDED], ids=["regular", "extended"])
def test_walking_forth_and_back_gives_the_same_buckets(timeframe: str, calendar: sessions.Calendar) -> None:
    """Newest counted back, between two ends, and by successor, over a week with an early close."""
    found = made(timeframe, calendar)
    first, last = times.instant("2012-11-20T12:00:00Z"), times.instant("2012-11-27T15:07:00Z")
    walked = found.ending_within(first, last)
    assert found.newest(len(walked), until=last) == walked
    for before, after in itertools.pairwise(walked):
        assert found.next_after(before.end) == after
        assert found.before(after) == before
        assert found.holding(after.start) == after
        assert found.holding(times.Nanos(after.end - 1)) == after


def test_a_count_that_ends_inside_a_session_is_whole() -> None:
    """The newest buckets until the middle of one are those that have ended."""
    found = made("1h").newest(3, until=times.instant("2012-03-05T16:00:00Z"))
    assert shown(*found) == [
        ("2012-03-02T19:30:00Z", "2012-03-02T20:30:00Z"),
        ("2012-03-02T20:30:00Z", "2012-03-02T21:00:00Z"),
        ("2012-03-05T14:30:00Z", "2012-03-05T15:30:00Z"),
    ]
