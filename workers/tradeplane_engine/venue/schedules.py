"""Rates by the day from which they hold."""

import datetime as dt
from bisect import bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Generic, TypeVar

from tradeplane_engine import errors
from tradeplane_engine.core.sessions import Sessions
from tradeplane_engine.venue import days, fees, run_fees

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Doubt:
    """Days from ``first`` to ``last`` whose rates are assumed, and why."""

    first: str
    last: str
    reason: str


@dataclass(frozen=True, slots=True)
class Dated(Generic[T]):
    """Values by the New York day from which they hold, oldest first; a day before the first has the first's value."""

    rows: tuple[tuple[str, T], ...]
    doubts: tuple[Doubt, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a table without rows or order; raises ValueRefused."""
        days = [_day(since) for since, _ in self.rows]
        if not days or sorted(set(days)) != days:
            raise errors.ValueRefused("rates", "a table of at least one row, oldest first", [str(day) for day in days])

    @property
    def days(self) -> list[str]:
        """The days on which a value begins."""
        return [since for since, _ in self.rows]

    def on(self, day: str) -> T:
        """Value of a day such as ``2012-03-05``."""
        return self.rows[max(bisect_right(self.days, day) - 1, 0)][1]

    def assumed(self, first: str, last: str) -> tuple[Doubt, ...]:
        """Doubts about the days from ``first`` to ``last``, the one about the time before the table included."""
        before = Doubt("0001-01-01", _before(self.rows[0][0]), f"before the first row, which holds from {self.days[0]}")
        return tuple(doubt for doubt in (before, *self.doubts) if doubt.first <= last and first <= doubt.last)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Every rate of a venue by date."""

    name: str
    sec: Dated[Fraction]
    taf: Dated[fees.Taf]
    cat: Dated[Fraction]
    commission: Dated[fees.Commission] = field(default_factory=lambda: Dated((("0001-01-01", fees.Commission()),)))
    _starts: list[str] = field(init=False, repr=False, compare=False)
    _rates: list[fees.Rates] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Merge the tables once, so that a day is one search."""
        starts = sorted({*self.sec.days, *self.taf.days, *self.cat.days, *self.commission.days})
        rates = [
            fees.Rates(self.sec.on(day), self.taf.on(day), self.cat.on(day), self.commission.on(day)) for day in starts
        ]
        object.__setattr__(self, "_starts", starts)
        object.__setattr__(self, "_rates", rates)

    def on(self, day: str) -> fees.Rates:
        """Rates of a New York day such as ``2012-03-05``; raises ValueRefused for a text that is no day."""
        return self._rates[max(bisect_right(self._starts, str(_day(day))) - 1, 0)]

    def accrual(self, sessions: Sessions | None) -> run_fees.RunFees:
        """Begin a run's books of what accrues; a fill's day is that of its session, without sessions the UTC day."""
        return run_fees.RunFees(self.on, days.Days(sessions))

    def assumed(self, first: str, last: str) -> tuple[str, ...]:
        """Say in words which rates of the days from ``first`` to ``last`` are assumed; empty when none is."""
        tables = (("SEC", self.sec), ("TAF", self.taf), ("CAT", self.cat), ("commission", self.commission))
        return tuple(
            f"{kind} rates until {doubt.last} are assumed: {doubt.reason}"
            for kind, table in tables
            for doubt in table.assumed(str(_day(first)), str(_day(last)))
        )


def constant(name: str, rates: fees.Rates) -> Schedule:
    """Return a schedule whose rates hold on every day."""
    first = "0001-01-01"
    return Schedule(
        name=name,
        sec=Dated(((first, rates.sec_per_million),)),
        taf=Dated(((first, rates.taf),)),
        cat=Dated(((first, rates.cat_per_share),)),
        commission=Dated(((first, rates.commission),)),
    )


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise errors.ValueRefused("day", "a date such as 2012-03-05", text) from None


def _before(day: str) -> str:
    found = _day(day)
    return str(found - dt.timedelta(days=1)) if found > dt.date.min else day
