"""Trading sessions: when the market opens and closes, and which session an instant belongs to."""

import bisect
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import exchange_calendars

from tradeplane_engine.domain import timeframes, times

NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True)
class Session:
    """Regular trading hours of one day; the market is open in [open, close)."""

    date: dt.date
    open: times.Nanos
    close: times.Nanos


class Sessions:
    """All sessions that the venue knows, oldest first.

    Parameters
    ----------
    days : consecutive sessions; a calendar is published years ahead, so showing it leaks nothing
    """

    def __init__(self, days: Sequence[Session]) -> None:
        self.days = tuple(days)
        self._closes = [day.close for day in self.days]
        self._by_date = {day.date: day for day in self.days}

    def on(self, date: dt.date) -> Session | None:
        """Return the session of a date, or None for a holiday or weekend."""
        return self._by_date.get(date)

    def trading(self, at: times.Nanos) -> Session | None:
        """Return the session that is open at ``at``, or None while the market is closed."""
        day = self.upcoming(at)
        return day if day is not None and day.open <= at else None

    def upcoming(self, at: times.Nanos) -> Session | None:
        """Return the first session that closes after ``at``: the open one, or the next one to open."""
        place = bisect.bisect_right(self._closes, at)
        return self.days[place] if place < len(self.days) else None

    def opening(self, at: times.Nanos) -> Session | None:
        """Return the first session that opens after ``at``."""
        place = bisect.bisect_right(self._closes, at)
        if place < len(self.days) and self.days[place].open <= at:
            place += 1
        return self.days[place] if place < len(self.days) else None

    def last_closed(self, at: times.Nanos) -> Session | None:
        """Return the newest session whose close is not after ``at``."""
        place = bisect.bisect_right(self._closes, at)
        return self.days[place - 1] if place else None


def new_york_time(at: times.Nanos) -> dt.datetime:
    """Return the exchange's own time at an instant, to the second."""
    return dt.datetime.fromtimestamp(at // times.SECOND, NEW_YORK)


def new_york_date(at: times.Nanos) -> dt.date:
    """Return the exchange's own date at an instant."""
    return new_york_time(at).date()


def midnight(date: dt.date) -> times.Nanos:
    """Return the start of a date in New York, which labels its daily bar."""
    return timeframes.new_york_midnight(date)


def extended(session: Session) -> timeframes.Hours:
    """Return all hours with trading on a session's day; orders work in the regular ones alone."""
    return timeframes.extended(timeframes.Hours(session.open, session.close), midnight=midnight(session.date))


def new_york(first: dt.date, last: dt.date) -> Sessions:
    """Return the New York Stock Exchange's sessions of [first, last]."""
    calendar = exchange_calendars.get_calendar("XNYS", start=first, end=last)
    closes = calendar.closes
    return Sessions(
        [
            Session(
                date=label.date(),
                open=times.Nanos(int(opened.value)),
                close=times.Nanos(int(closed.value)),
            )
            for label, opened, closed in zip(calendar.sessions, calendar.opens, closes, strict=True)
        ]
    )


def stamp(at: times.Nanos) -> str:
    """Return the 17 digits of New York local time, to the millisecond, that start an activity's id."""
    moment = new_york_time(at)
    return f"{moment:%Y%m%d%H%M%S}{at % times.SECOND // 1_000_000:03d}"


def before(at: times.Nanos) -> times.Nanos:
    """Return the last instant before ``at``, for bounds that are exclusive."""
    return times.Nanos(at - 1)
