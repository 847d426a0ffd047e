"""Timeframes: how long a bar lasts, and the buckets that trading hours are cut into.

A bar of a day is a whole session. Every other bar is a bucket: buckets are counted from the start of the session, so
that the first one begins with trading, and the last one ends with it, shorter than the others where the session is no
multiple of the span (of the hours of a regular session 15:30 to 16:00, on an early close 12:30 to 13:00).
"""

import bisect
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from tradeplane_engine import errors
from tradeplane_engine.domain import times

DAY: Final = "1d"
SPANS: Final = {
    "1m": times.Nanos(times.MINUTE),
    "5m": times.Nanos(5 * times.MINUTE),
    "15m": times.Nanos(15 * times.MINUTE),
    "1h": times.Nanos(times.HOUR),
}
ALL: Final = (*SPANS, DAY)
REGULAR: Final = "regular"
EXTENDED: Final = "extended"
SESSIONS: Final = (REGULAR, EXTENDED)
NEW_YORK: Final = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True)
class Hours:
    """Trading hours of one day, from ``start`` up to but without ``end``; or one bucket of them."""

    start: times.Nanos
    end: times.Nanos

    def holds(self, at: times.Nanos) -> bool:
        """Say whether trading goes on at ``at``."""
        return self.start <= at < self.end


def new_york_midnight(day: dt.date) -> times.Nanos:
    """Return the start of a date in New York; 04:00 or 05:00 UTC."""
    moment = dt.datetime.combine(day, dt.time(), NEW_YORK)
    return times.Nanos(int(moment.timestamp()) * times.SECOND)


def extended(regular: Hours, *, midnight: times.Nanos) -> Hours:
    """Return all hours with trading on a US exchange's day, whose date begins at ``midnight`` in New York.

    From 04:00 to 20:00; on an early close at 13:00, to 17:00. Clocks never change on a day with a session.
    """
    return Hours(times.Nanos(midnight + 4 * times.HOUR), times.Nanos(regular.end + 4 * times.HOUR))


def span(timeframe: str) -> times.Nanos:
    """Return the length of a bucket; raises ValueRefused for a day, which has none, and for an unknown name."""
    found = SPANS.get(timeframe)
    if found is None:
        raise errors.ValueRefused("timeframe", f"one of: {', '.join(SPANS)}", timeframe)
    return found


def channel(timeframe: str, session: str) -> str:
    """Return the one name of a timeframe and the hours it covers: ``5m``, ``5m:extended``; raises ValueRefused."""
    if timeframe not in ALL:
        raise errors.ValueRefused("bars.timeframe", f"one of: {', '.join(ALL)}", timeframe)
    if session not in SESSIONS:
        raise errors.ValueRefused("bars.session", f"one of: {', '.join(SESSIONS)}", session)
    if timeframe == DAY and session != REGULAR:
        raise errors.ValueRefused("bars.session", f"{REGULAR} with timeframe {DAY}", session)
    return timeframe if session == REGULAR else f"{timeframe}:{session}"


def channels() -> tuple[str, ...]:
    """Return the names of all timeframes and sessions there are."""
    return tuple(
        channel(timeframe, session)
        for session in SESSIONS
        for timeframe in ALL
        if (timeframe, session) != (DAY, EXTENDED)
    )


def buckets(hours: Hours, length: times.Nanos) -> tuple[Hours, ...]:
    """Cut trading hours into buckets of ``length``, oldest first; the last one may be shorter."""
    return tuple(
        Hours(times.Nanos(start), times.Nanos(min(start + length, hours.end)))
        for start in range(hours.start, hours.end, length)
    )


def bucket_of(hours: Hours, at: times.Nanos, *, length: times.Nanos) -> Hours:
    """Return the bucket of ``hours`` that holds ``at``; the caller knows that ``hours`` do."""
    start = at - (at - hours.start) % length
    return Hours(times.Nanos(start), times.Nanos(min(start + length, hours.end)))


def holding(days: Sequence[Hours], at: times.Nanos) -> Hours | None:
    """Return the hours, of days in order, that hold ``at``; None between them."""
    place = bisect.bisect_right(days, at, key=_start) - 1
    return days[place] if place >= 0 and days[place].holds(at) else None


def ending_after(days: Sequence[Hours], at: times.Nanos) -> Hours | None:
    """Return the first hours that end after ``at``: those that hold it, or the next ones."""
    place = bisect.bisect_right(days, at, key=_end)
    return days[place] if place < len(days) else None


def _start(hours: Hours) -> times.Nanos:
    return hours.start


def _end(hours: Hours) -> times.Nanos:
    return hours.end
