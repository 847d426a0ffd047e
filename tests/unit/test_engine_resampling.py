import dataclasses
from collections.abc import Sequence
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from support import minute_data
from tradeplane_engine import errors
from tradeplane_engine.data import aggregation, resampling, series
from tradeplane_engine.domain import bars, timeframes, times

NAMES = ("start", "end", "available_at", "open", "high", "low", "close", "volume")
DAYS = (minute_data.DAY, minute_data.NEXT_DAY)
SPANS = {"5m": timeframes.span("5m"), "15m": timeframes.span("15m"), "1h": timeframes.span("1h"), "1d": times.DAY}


def trading(days: Sequence[timeframes.Hours] = DAYS) -> resampling.Trading:
    """Hours of days as columns."""
    found = np.array([(day.start, day.end) for day in days], dtype=np.int64).reshape(-1, 2).T
    return resampling.Trading(*np.ascontiguousarray(found))


def columns(parts: Sequence[bars.Bar], timeframe: int = times.MINUTE) -> series.Series:
    """Bars of one symbol as a series."""
    found: dict[str, Any] = {name: np.array([getattr(one, name) for one in parts], dtype=np.int64) for name in NAMES}
    return series.Series(symbol="AAA", timeframe=timeframe, **found)


def same(one: series.Series, other: series.Series) -> bool:
    """Whether two series hold the same bars."""
    return one.timeframe == other.timeframe and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in NAMES
    )


@hypothesis.given(
    without=st.sets(st.integers(0, 389)), label=st.sampled_from(sorted(SPANS)), delay_s=st.integers(0, 90)
)
@hypothesis.settings(max_examples=40, deadline=None)
def test_columns_give_the_bars_of_the_aggregation(without: set[int], label: str, delay_s: int) -> None:
    """One way of adding up has two forms: bar by bar, and column by column."""
    late = minute_data.walk("AAA", minute_data.DAY, without=without, delay_s=delay_s)
    minutes = [*late, *minute_data.walk("AAA", minute_data.NEXT_DAY)]
    expected = aggregation.aggregate(minutes, DAYS, length=None if label == "1d" else timeframes.span(label))
    assert same(columns(expected, SPANS[label]), resampling.resampled(columns(minutes), SPANS[label], trading()))


def test_no_bar_crosses_a_close() -> None:
    """The last hour of a regular session is half an hour, and so is that of an early close."""
    days = (minute_data.DAY, minute_data.EARLY_CLOSE)
    minutes = [one for day in days for one in minute_data.walk("AAA", day)]
    found = resampling.resampled(columns(minutes), SPANS["1h"], trading(days))
    ends = [times.text(times.Nanos(int(at))) for at in found.end]
    lengths = (found.end - found.start) // times.MINUTE
    assert ends[6] == "2012-03-02T21:00:00Z"
    assert ends[-1] == "2012-11-23T18:00:00Z"
    assert lengths.tolist() == [60] * 6 + [30] + [60] * 3 + [30]
    assert found.length == SPANS["1h"]


def test_what_starts_outside_of_sessions_is_left_out() -> None:
    """A minute before the open, one at the close and one on a weekend change nothing."""
    inside = minute_data.minute("AAA", "14:30")
    outside = [
        minute_data.minute("AAA", "14:29", "50"),
        inside,
        minute_data.minute("AAA", "21:00", "500"),
        minute_data.minute("AAA", times.instant("2012-03-03T15:00:00Z"), "5"),
    ]
    both = [resampling.resampled(columns(parts), SPANS["5m"], trading()) for parts in (outside, [inside])]
    assert same(*both)
    assert len(both[0]) == 1


def test_without_sessions_buckets_are_those_of_the_clock() -> None:
    """14:30 lies in the hour of 14:00 and in the day of midnight UTC."""
    minutes = [minute_data.minute("AAA", at) for at in ("14:30", "14:59", "15:00")]
    hours = resampling.resampled(columns(minutes), SPANS["1h"])
    day = resampling.resampled(columns(minutes), SPANS["1d"])
    assert hours.start.tolist() == [minute_data.at("14:00"), minute_data.at("15:00")]
    assert (day.start.tolist(), day.volume.tolist()) == ([times.instant("2012-03-02T00:00:00Z")], [300])


def test_nothing_inside_of_sessions_makes_an_empty_series() -> None:
    """And so does a market that never opens."""
    minutes = columns([minute_data.minute("AAA", "04:00")])
    for hours in (trading(), trading(())):
        found = resampling.resampled(minutes, SPANS["1d"], hours)
        assert (len(found), found.length) == (0, times.DAY)


@pytest.mark.parametrize("label", ["1m", "30s"])
def test_a_timeframe_that_is_no_multiple_is_refused(label: str) -> None:
    """Nothing can be made of parts of bars."""
    with pytest.raises(errors.ValueRefused, match="timeframes: must be multiples of 1m, the timeframe of AAA"):
        resampling.resampled(columns([minute_data.minute("AAA", "14:30")]), times.duration(label))


def test_weeks_of_sessions_are_refused() -> None:
    """A bar never crosses a close, so nothing is longer than a session."""
    with pytest.raises(errors.ValueRefused, match="at most 1d"):
        resampling.resampled(columns([minute_data.minute("AAA", "14:30")]), 5 * times.DAY, trading())


def test_a_bar_that_reaches_out_of_its_bucket_is_refused() -> None:
    """Bars of the full hour do not fit a session that opens at half past."""
    minute = columns([minute_data.minute("AAA", "16:00")])
    hour = dataclasses.replace(
        minute, end=minute.start + times.HOUR, available_at=minute.start + times.HOUR, timeframe=0
    )
    with pytest.raises(errors.ValueRefused, match="row 0: must be within a bucket of 2h, which ends 2012-03-02T16:30"):
        resampling.resampled(hour, 2 * times.HOUR, trading())
