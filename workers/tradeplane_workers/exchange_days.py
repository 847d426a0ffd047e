"""Days on which an exchange trades, and their hours: holidays and early closes are the exchange's own."""

import functools
from dataclasses import dataclass
from datetime import date
from typing import Final

from tradeplane_engine.domain import timeframes, times

_FIRST_DAY: Final = "1999-01-01"


@dataclass(frozen=True, slots=True)
class Day:
    """One trading day: New York midnight of its date, its regular hours, and all hours with trading."""

    date: date
    midnight: times.Nanos
    regular: timeframes.Hours
    extended: timeframes.Hours


@functools.cache
def of(exchange: str) -> tuple[Day, ...]:
    """Return the days of an exchange in order, from 1999 on, as far as its calendar goes.

    Parameters
    ----------
    exchange : ISO market identifier code, such as ``XNYS``
    """
    # Only here, because the calendars take longer to import than a process that trades days takes to start.
    import exchange_calendars  # noqa: PLC0415

    found = exchange_calendars.get_calendar(exchange, start=_FIRST_DAY)
    days = []
    for label, opens, closes in zip(found.sessions, found.opens_nanos, found.closes_nanos, strict=True):
        regular = timeframes.Hours(times.Nanos(int(opens)), times.Nanos(int(closes)))
        day = label.date()
        midnight = timeframes.new_york_midnight(day)
        days.append(Day(day, midnight, regular, timeframes.extended(regular, midnight=midnight)))
    return tuple(days)


def hours(exchange: str) -> dict[str, tuple[timeframes.Hours, ...]]:
    """Return the hours of an exchange's days by session, as a dataset takes them."""
    days = of(exchange)
    return {
        timeframes.REGULAR: tuple(day.regular for day in days),
        timeframes.EXTENDED: tuple(day.extended for day in days),
    }
