import itertools

import hypothesis
import pytest
from hypothesis import strategies

from support import minute_data
from tradeplane_engine import errors
from tradeplane_engine.domain import timeframes, times


@pytest.mark.parametrize(
    "timeframe, hours, count, last",
    [
        ("1m", minute_data.DAY, 390, 1),
        ("5m", minute_data.DAY, 78, 5),
        ("15m", minute_data.DAY, 26, 15),
        ("1h", minute_data.DAY, 7, 30),
        ("1m", minute_data.EARLY_CLOSE, 210, 1),
        ("15m", minute_data.EARLY_CLOSE, 14, 15),
        ("1h", minute_data.EARLY_CLOSE, 4, 30),
    ],
)
def test_a_session_is_cut_from_its_open_to_its_close(
    timeframe: str, hours: timeframes.Hours, count: int, last: int
) -> None:
    """The first bucket begins with trading; the last one ends with it, however short that makes it."""
    found = timeframes.buckets(hours, timeframes.span(timeframe))
    assert (found[0].start, found[-1].end, len(found)) == (hours.start, hours.end, count)
    assert found[-1].end - found[-1].start == last * times.MINUTE
    assert all(before.end == after.start for before, after in itertools.pairwise(found))


@hypothesis.given(
    timeframe=strategies.sampled_from(sorted(timeframes.SPANS)),
    length=strategies.integers(1, 960),
    second=strategies.integers(0, 960 * 60 - 1),
)
def test_every_instant_of_a_session_is_in_one_bucket(timeframe: str, length: int, second: int) -> None:
    """The bucket that holds an instant is one of those that the session is cut into, whatever the hours are."""
    start = minute_data.DAY.start
    hours = timeframes.Hours(start, times.Nanos(start + length * times.MINUTE))
    at = times.Nanos(start + second * times.SECOND)
    hypothesis.assume(hours.holds(at))
    span = timeframes.span(timeframe)
    holding = [bucket for bucket in timeframes.buckets(hours, span) if bucket.holds(at)]
    assert holding == [timeframes.bucket_of(hours, at, length=span)]


def test_extended_hours_follow_the_close() -> None:
    """From 04:00 to 20:00 in New York, on a day that closes at 13:00 to 17:00."""
    midnight = times.instant("2012-11-23T05:00:00Z")
    early = timeframes.extended(minute_data.EARLY_CLOSE, midnight=midnight)
    assert (times.text(early.start), times.text(early.end)) == ("2012-11-23T09:00:00Z", "2012-11-23T22:00:00Z")
    whole = timeframes.extended(minute_data.DAY, midnight=times.instant("2012-03-02T05:00:00Z"))
    assert (times.text(whole.start), times.text(whole.end)) == ("2012-03-02T09:00:00Z", "2012-03-03T01:00:00Z")


def test_days_are_found_by_an_instant() -> None:
    """The close belongs to no session; between two sessions none is on, and the next one ends first."""
    days = [minute_data.DAY, minute_data.NEXT_DAY]
    close = minute_data.DAY.end
    assert timeframes.holding(days, times.Nanos(close - 1)) == minute_data.DAY
    assert timeframes.holding(days, close) is None
    assert timeframes.holding(days, times.Nanos(minute_data.DAY.start - 1)) is None
    assert timeframes.ending_after(days, times.Nanos(close - 1)) == minute_data.DAY
    assert timeframes.ending_after(days, close) == minute_data.NEXT_DAY
    assert timeframes.ending_after(days, minute_data.NEXT_DAY.end) is None


def test_each_channel_has_one_name() -> None:
    """Nine of them: four lengths in two sessions, and the day."""
    names = timeframes.channels()
    assert names == ("1m", "5m", "15m", "1h", "1d", "1m:extended", "5m:extended", "15m:extended", "1h:extended")


@pytest.mark.parametrize(
    "timeframe, session, said",
    [
        ("2m", "regular", "bars.timeframe: must be one of: 1m, 5m, 15m, 1h, 1d, got '2m'"),
        ("1m", "night", "bars.session: must be one of: regular, extended, got 'night'"),
        ("1d", "extended", "bars.session: must be regular with timeframe 1d, got 'extended'"),
    ],
)
def test_a_channel_that_is_none_is_refused_by_name(timeframe: str, session: str, said: str) -> None:
    """Field, limit and value."""
    with pytest.raises(errors.ValueRefused) as refused:
        timeframes.channel(timeframe, session)
    assert said == str(refused.value)
