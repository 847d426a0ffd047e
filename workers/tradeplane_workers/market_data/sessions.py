"""Sessions of the exchange: a daily bar is one of them, shorter bars are cut from one; all instants come from here."""

import bisect
from dataclasses import dataclass
from datetime import date
from typing import Final

from tradeplane_engine.domain import timeframes, times
from tradeplane_workers import exchange_days

# A bar is known this long after its end: the last print is on the provider's stream by then.
PUBLICATION_DELAY: Final = times.SECOND


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day; ``label`` is its New York midnight, by which the provider names a daily bar."""

    date: date
    label: times.Nanos
    start: times.Nanos
    end: times.Nanos

    @property
    def available_at(self) -> times.Nanos:
        """Instant from which the session's bar is known."""
        return times.Nanos(self.end + PUBLICATION_DELAY)


class Calendar:
    """All sessions of one exchange in order; early closes and holidays are the exchange's own.

    Parameters
    ----------
    name : ISO market identifier code, such as ``XNYS``
    session : whether a session is the regular one, or all hours in which there is trading
    """

    def __init__(self, name: str, *, session: str = timeframes.REGULAR) -> None:
        days = exchange_days.of(name)
        self.session = session
        self._sessions = tuple(_session(day, session) for day in days)
        self._starts = [session.start for session in self._sessions]
        self._ends = [session.end for session in self._sessions]
        self._dates = [day.date for day in days]
        self._by_label = {session.label: session for session in self._sessions}

    def holding(self, at: times.Nanos) -> Session | None:
        """Return the session that is on at ``at``, or nothing."""
        place = bisect.bisect_right(self._starts, at) - 1
        return self._sessions[place] if place >= 0 and at < self._sessions[place].end else None

    @property
    def first(self) -> Session:
        """The oldest session this calendar knows."""
        return self._sessions[0]

    def labelled(self, label: times.Nanos) -> Session | None:
        """Return the session whose daily bar carries ``label``, or nothing."""
        return self._by_label.get(label)

    def on_or_after(self, day: date) -> Session | None:
        """Return the first session that is not before ``day``."""
        place = bisect.bisect_left(self._dates, day)
        return self._sessions[place] if place < len(self._sessions) else None

    def next_after(self, end: times.Nanos) -> Session | None:
        """Return the first session that ends later than ``end``."""
        place = bisect.bisect_right(self._ends, end)
        return self._sessions[place] if place < len(self._sessions) else None

    def last_known(self, at: times.Nanos) -> Session | None:
        """Return the newest session whose bar is known at ``at``."""
        place = bisect.bisect_right(self._ends, at - PUBLICATION_DELAY)
        return self._sessions[place - 1] if place else None

    def ending_within(self, first: times.Nanos, last: times.Nanos) -> tuple[Session, ...]:
        """Return the sessions whose end is in [first, last], in order."""
        return self._sessions[bisect.bisect_left(self._ends, first) : bisect.bisect_right(self._ends, last)]

    def newest(self, count: int, *, until: times.Nanos) -> tuple[Session, ...]:
        """Return the last ``count`` sessions that end at or before ``until``, in order."""
        place = bisect.bisect_right(self._ends, until)
        return self._sessions[max(place - count, 0) : place]


def midnight(day: date) -> times.Nanos:
    """Return New York midnight of ``day``; 04:00 or 05:00 UTC."""
    return timeframes.new_york_midnight(day)


def _session(day: exchange_days.Day, session: str) -> Session:
    hours = day.regular if session == timeframes.REGULAR else day.extended
    return Session(date=day.date, label=day.midnight, start=hours.start, end=hours.end)
