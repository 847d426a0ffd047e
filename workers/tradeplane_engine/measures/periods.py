"""Days, months and years of a curve.

A sample says what something was worth up to its instant, so one at midnight belongs to the day that ends then: the bar
of a Friday that is dated by its day becomes known when Saturday begins. Days are those of New York.
"""

import dataclasses
import datetime as dt
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tradeplane_engine.domain import timeframes, times
from tradeplane_engine.measures import inputs

Unit = Literal["year", "month"]
_CODES: dict[Unit, str] = {"year": "Y", "month": "M"}
_SATURDAY = 5


@dataclass(frozen=True, slots=True, eq=False)
class Days:
    """The days of some instants.

    Parameters
    ----------
    last : shape (days,), the last instant of each day, ns UTC, ascending
    labels : shape (days,), the last nanosecond of the same dates in UTC, as which the days are shown
    """

    last: inputs.IntArray
    labels: inputs.IntArray

    @property
    def per_year(self) -> int:
        """Days in a year: 252, or 365 where some are on weekends."""
        weekday = (self.labels // times.DAY + 3) % 7  # 1970-01-01 was a Thursday
        return inputs.DAYS_OF_ALWAYS if bool((weekday >= _SATURDAY).any()) else inputs.DAYS_OF_SESSIONS

    def sampled(self, curve: inputs.Curve) -> inputs.Curve:
        """Return a curve of the same instants at the ends of the days."""
        return dataclasses.replace(curve.sampled(self.last), at=self.labels)


def days(at: inputs.IntArray) -> Days:
    """Return the days of instants, ns UTC, ascending."""
    before = at - 1
    hours, place = np.unique(before // times.HOUR, return_inverse=True)
    offsets = np.array([_offset(hour) for hour in hours.tolist()], dtype=np.int64)
    dates = (before + offsets[place]) // times.DAY
    last = np.flatnonzero(np.diff(dates, append=dates[-1:] + 1))
    return Days(at[last], (dates[last] + 1) * times.DAY - 1)


def _offset(hour: int) -> int:
    """Return New York's offset from UTC in an hour since 1970, ns; it changes at whole hours only."""
    moment = dt.datetime.fromtimestamp(hour * 3600, timeframes.NEW_YORK)
    offset = moment.utcoffset() or dt.timedelta()
    return int(offset.total_seconds()) * times.SECOND


@dataclass(frozen=True, slots=True)
class Period:
    """Samples ``first`` to ``stop`` (excluded) of the period ``name``, such as ``2024`` or ``2024-03``."""

    name: str
    first: int
    stop: int


def split(at: inputs.IntArray, unit: Unit) -> tuple[Period, ...]:
    """Return the periods that have samples, in the order of time.

    Parameters
    ----------
    at : ns UTC, strictly increasing
    """
    if at.size == 0:
        return ()
    dates = at.astype("datetime64[ns]").astype(f"datetime64[{_CODES[unit]}]")
    starts = np.flatnonzero(np.concatenate(([True], dates[1:] != dates[:-1])))
    stops = [*starts[1:].tolist(), at.size]
    return tuple(Period(str(dates[first]), first, stop) for first, stop in zip(starts.tolist(), stops, strict=True))


def compounded(returns: inputs.FloatArray, periods: tuple[Period, ...]) -> inputs.FloatArray:
    """Compound the returns within each period; shape (n_periods,)."""
    if not periods:
        return np.empty(0)
    found: inputs.FloatArray = np.multiply.reduceat(1.0 + returns, [period.first for period in periods]) - 1.0
    return found
