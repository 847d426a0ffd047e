from dataclasses import replace
from itertools import groupby

import hypothesis
import pytest
from hypothesis import strategies

from support import minute_data
from tradeplane_engine import errors
from tradeplane_engine.data import aggregation
from tradeplane_engine.domain import bars, numbers, timeframes, times

DAYS = (minute_data.DAY, minute_data.NEXT_DAY)
FIVE = timeframes.span("5m")
HOUR = timeframes.span("1h")
#: The vendor made their 15-minute bars of the same trades as their minutes; of the others it cut elsewhere.
EXACT = ("AMZN", "BK", "GLD", "JPM", "MSFT", "SPY", "V", "XLP")
#: The vendor's minutes of BK lack the first one of that day, and the second one has no volume: 36,599 shares are gone.
LOST_SHARES = {("BK", "2019-02-11T14:30:00Z"): 36_599}


def test_a_bar_is_what_its_minutes_were() -> None:
    """First open, last close, extremes, summed volume, on the bucket's own instants, known when the last one is."""
    parts = [
        minute_data.minute("AAA", "14:30", "100", close="101", volume=10),
        minute_data.minute("AAA", "14:31", "102", close="99", volume=20),
        minute_data.minute("AAA", "14:34", "99.5", close="100.5", volume=30, delay_s=3),
    ]
    (found,) = aggregation.aggregate(parts, DAYS, length=FIVE)
    assert found == bars.Bar(
        symbol="AAA",
        start=minute_data.at("14:30"),
        end=minute_data.at("14:35"),
        available_at=times.Nanos(minute_data.at("14:35") + 3 * times.SECOND),
        open=numbers.price("100"),
        high=numbers.price("102"),
        low=numbers.price("99"),
        close=numbers.price("100.5"),
        volume=60,
    )


def test_minutes_without_a_trade_make_no_bar() -> None:
    """A bucket with one minute has a bar on all of it; one without any has none, and nothing is carried over."""
    parts = [minute_data.minute("AAA", "14:33"), minute_data.minute("AAA", "14:47", "105")]
    found = aggregation.aggregate(parts, DAYS, length=FIVE)
    assert [(one.start, one.end, one.close) for one in found] == [
        (minute_data.at("14:30"), minute_data.at("14:35"), numbers.price("100")),
        (minute_data.at("14:45"), minute_data.at("14:50"), numbers.price("105")),
    ]


def test_a_bar_is_known_only_when_its_bucket_is_over() -> None:
    """That no later minute comes is not known before the bucket's end, even where only its first minute traded."""
    (found,) = aggregation.aggregate([minute_data.minute("AAA", "14:30")], DAYS, length=FIVE)
    assert found.available_at == minute_data.at("14:35") + times.SECOND


def test_no_bar_spans_two_sessions() -> None:
    """The last minute of a day and the first one of the next are never in one bar; the last hour is half an hour."""
    parts = [
        minute_data.minute("AAA", "20:59", "100"),
        minute_data.minute("AAA", minute_data.NEXT_DAY.start, "120"),
    ]
    found = aggregation.aggregate(parts, DAYS, length=HOUR)
    assert [(times.text(one.start), times.text(one.end)) for one in found] == [
        ("2012-03-02T20:30:00Z", "2012-03-02T21:00:00Z"),
        ("2012-03-05T14:30:00Z", "2012-03-05T15:30:00Z"),
    ]


def test_what_is_outside_the_session_is_left_out() -> None:
    """A minute before the open, the auction after the close and a weekend change nothing."""
    inside = minute_data.minute("AAA", "14:30")
    outside = [
        minute_data.minute("AAA", "14:29", "50"),
        inside,
        minute_data.minute("AAA", "21:00", "500"),
        minute_data.minute("AAA", times.instant("2012-03-03T15:00:00Z"), "5"),
    ]
    assert aggregation.aggregate(outside, DAYS, length=FIVE) == aggregation.aggregate([inside], DAYS, length=FIVE)


def test_a_day_is_made_of_its_session() -> None:
    """Without a length there is one bar per day, from open to close."""
    minutes = [*minute_data.walk("AAA", minute_data.DAY), *minute_data.walk("AAA", minute_data.NEXT_DAY)]
    found = aggregation.aggregate(minutes, DAYS, length=None)
    assert [(one.start, one.end) for one in found] == [(day.start, day.end) for day in DAYS]
    assert sum(one.volume for one in found) == sum(one.volume for one in minutes)


def test_a_part_that_reaches_out_of_its_bucket_is_refused() -> None:
    """A bar of ten minutes cannot be cut."""
    long = replace(minute_data.minute("AAA", "14:30"), end=minute_data.at("14:40"))
    with pytest.raises(errors.ValueRefused, match="inside 2012-03-02T14:30:00Z to 2012-03-02T14:35:00Z"):
        aggregation.aggregate([long], DAYS, length=FIVE)


@hypothesis.given(
    without=strategies.sets(strategies.integers(0, 389)),
    steps=strategies.sampled_from([("5m", "15m"), ("5m", "1h"), ("15m", "1h")]),
)
@hypothesis.settings(max_examples=30, deadline=None)
def test_aggregating_in_steps_is_aggregating_at_once(without: set[int], steps: tuple[str, str]) -> None:
    """Hours of quarters are hours of minutes, whatever minutes are missing."""
    minutes = minute_data.walk("AAA", minute_data.DAY, without=without)
    short, long = (timeframes.span(one) for one in steps)
    step = aggregation.aggregate(minutes, DAYS, length=short)
    assert aggregation.aggregate(step, DAYS, length=long) == aggregation.aggregate(minutes, DAYS, length=long)


@pytest.mark.parametrize("symbol", EXACT)
def test_real_minutes_give_the_vendors_quarters(symbol: str) -> None:
    """Five sessions of 2019, to the last digit and share."""
    minutes = [row for row in minute_data.real("us_bars_1min.parquet") if _is(row, symbol)]
    quarters = [row for row in minute_data.real("us_bars_15min.parquet") if _is(row, symbol)]
    sessions = sorted({row["session"] for row in minutes})
    vendor = [
        minute_data.real_bar(row, length=15 * times.MINUTE) for row in quarters if row["session"] in set(sessions)
    ]
    parts = [minute_data.real_bar(row, length=times.MINUTE) for row in minutes]
    days = [
        timeframes.Hours(*(times.instant(f"{session}T{at}Z") for at in ("14:30:00", "21:00:00")))
        for session in sessions
    ]
    assert [len(list(found)) for _, found in groupby(vendor, key=lambda one: one.start // times.DAY)] == [26] * 5
    made = aggregation.aggregate(parts, days, length=timeframes.span("15m"))
    assert vendor == [
        replace(one, volume=one.volume + LOST_SHARES.get((symbol, times.text(one.start)), 0)) for one in made
    ]


def _is(row: dict[str, object], symbol: str) -> bool:
    return (row["symbol"], row["source"]) == (symbol, "eqker")
