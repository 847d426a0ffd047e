"""Buckets of all sessions: what a session is to a daily bar, a bucket is to a shorter one."""

from dataclasses import dataclass

from tradeplane_engine.domain import timeframes, times
from tradeplane_workers.market_data import sessions


@dataclass(frozen=True, slots=True)
class Bucket:
    """Interval of one bar inside a session."""

    start: times.Nanos
    end: times.Nanos
    session: sessions.Session

    @property
    def available_at(self) -> times.Nanos:
        """Instant from which the bucket's bar is known."""
        return times.Nanos(self.end + sessions.PUBLICATION_DELAY)

    @property
    def minutes(self) -> range:
        """Starts of its minutes."""
        return range(self.start, self.end, times.MINUTE)

    @property
    def hours(self) -> timeframes.Hours:
        """Start and end alone."""
        return timeframes.Hours(self.start, self.end)


class Grid:
    """All buckets of one length, in order.

    Parameters
    ----------
    calendar : of the exchange, regular or extended
    length : of a bucket; the last one of a session may be shorter
    """

    def __init__(self, calendar: sessions.Calendar, length: times.Nanos) -> None:
        self.calendar = calendar
        self.length = length

    @property
    def first(self) -> Bucket:
        """The oldest bucket."""
        return self._at(self.calendar.first.start, self.calendar.first)

    def holding(self, at: times.Nanos) -> Bucket | None:
        """Return the bucket that is on at ``at``, or nothing while there is no trading."""
        session = self.calendar.holding(at)
        return None if session is None else self._at(at, session)

    def next_after(self, end: times.Nanos) -> Bucket | None:
        """Return the first bucket that ends later than ``end``."""
        session = self.calendar.next_after(end)
        return None if session is None else self._at(max(end, session.start), session)

    def before(self, bucket: Bucket) -> Bucket:
        """Return the bucket before ``bucket``, which may be the last one of an earlier session."""
        return self.newest(1, until=times.Nanos(bucket.end - 1))[0]

    def ending_within(self, first: times.Nanos, last: times.Nanos) -> tuple[Bucket, ...]:
        """Return the buckets whose end is in [first, last], in order."""
        found = []
        bucket = self.next_after(times.Nanos(first - 1))
        while bucket is not None and bucket.end <= last:
            found.append(bucket)
            bucket = self.next_after(bucket.end)
        return tuple(found)

    def newest(self, count: int, *, until: times.Nanos) -> tuple[Bucket, ...]:
        """Return the last ``count`` buckets that end at or before ``until``, in order."""
        found: list[Bucket] = []
        session = self.calendar.holding(until)
        if session is None:
            session = next(iter(self.calendar.newest(1, until=until)), None)
        while session is not None and len(found) < count:
            hours = timeframes.Hours(session.start, session.end)
            of_session = [one for one in timeframes.buckets(hours, self.length) if one.end <= until]
            found[:0] = [Bucket(one.start, one.end, session) for one in of_session[-(count - len(found)) :]]
            session = next(iter(self.calendar.newest(1, until=times.Nanos(session.end - 1))), None)
        return tuple(found)

    def _at(self, at: times.Nanos, session: sessions.Session) -> Bucket:
        one = timeframes.bucket_of(timeframes.Hours(session.start, session.end), at, length=self.length)
        return Bucket(one.start, one.end, session)
