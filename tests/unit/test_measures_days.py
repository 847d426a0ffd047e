"""Which day a sample belongs to, and how many of them a year has."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tradeplane_engine.domain import times
from tradeplane_engine.measures import inputs, periods

NEW_YORK = ZoneInfo("America/New_York")


def nanos(*moments: dt.datetime) -> inputs.IntArray:
    """Instants of moments, ns UTC."""
    return np.array([int(one.timestamp()) * times.SECOND for one in moments], dtype=np.int64)


def shown(days: periods.Days) -> list[str]:
    """Dates of days."""
    return [str(one)[:10] for one in days.labels.astype("datetime64[ns]")]


@pytest.mark.parametrize("zone", [dt.UTC, NEW_YORK])
def test_a_bar_dated_by_its_day_belongs_to_that_day(zone: dt.tzinfo) -> None:
    """It becomes known at the midnight after it: Friday is no weekend, and the last of a month none of the next."""
    first = dt.datetime(2024, 1, 29, tzinfo=zone)
    dates = [first + dt.timedelta(days=n) for n in range(5)]
    found = periods.days(nanos(*(one + dt.timedelta(days=1) for one in dates)))
    assert shown(found) == ["2024-01-29", "2024-01-30", "2024-01-31", "2024-02-01", "2024-02-02"]
    assert found.per_year == 252
    assert [one.name for one in periods.split(found.labels, "month")] == ["2024-01", "2024-02"]


def test_hours_after_midnight_in_utc_are_the_evening_in_new_york() -> None:
    """Sixteen hours of extended trading in winter are one day, and Friday's are not Saturday."""
    opens = dt.datetime(2024, 1, 5, 4, tzinfo=NEW_YORK)
    found = periods.days(nanos(*(opens + dt.timedelta(hours=n) for n in range(1, 17))))
    assert (shown(found), found.per_year) == (["2024-01-05"], 252)


def test_bars_on_weekends_make_a_year_of_all_days() -> None:
    """What trades on a Saturday trades always."""
    noon = dt.datetime(2024, 1, 5, 12, tzinfo=dt.UTC)
    assert periods.days(nanos(*(noon + dt.timedelta(days=n) for n in range(3)))).per_year == 365


@pytest.mark.parametrize("month, day, hours", [(3, 10, 23), (11, 3, 25)])
def test_a_day_is_worth_what_its_last_sample_says(month: int, day: int, hours: int) -> None:
    """Across the hour that clocks skip and the one they repeat."""
    begin = dt.datetime(2024, month, day, tzinfo=NEW_YORK).astimezone(dt.UTC)
    at = nanos(*(begin + dt.timedelta(hours=n) for n in range(1, 40)))
    found = periods.days(at).sampled(inputs.Curve(at, np.arange(1.0, 40.0), 1.0))
    assert found.equity.tolist() == [hours, 39]
    assert shown(periods.days(at)) == [f"2024-{month:02}-{day:02}", f"2024-{month:02}-{day + 1:02}"]


def test_no_instants_have_no_days() -> None:
    """A run without bars."""
    found = periods.days(np.empty(0, dtype=np.int64))
    assert (len(found.last), found.per_year) == (0, 252)
