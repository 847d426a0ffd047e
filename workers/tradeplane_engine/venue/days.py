"""Trading days: the day that an instant belongs to, and the days after it."""

import datetime as dt

import numpy as np

from tradeplane_engine.core.sessions import Sessions
from tradeplane_engine.domain import times

_WEEK = 5  # weekdays come before Saturday, day 5


class Days:
    """Days of a calendar; the UTC date of a session's open is its date in New York.

    Parameters
    ----------
    sessions : of the venue; without them a day is a UTC day, and from Monday to Friday is a session each
    """

    __slots__ = ("_dates", "_numbers", "_sessions")

    def __init__(self, sessions: Sessions | None) -> None:
        self._sessions = sessions
        opens = np.zeros(0, dtype=np.int64) if sessions is None else sessions.opens
        self._dates = [times.utc_day(times.Nanos(at)) for at in opens.tolist()]
        self._numbers = {day: number for number, day in enumerate(self._dates)}

    def of(self, at: int) -> str:
        """Day of an instant: that of the session that it is in, or that opens next; else its UTC day."""
        if self._sessions is not None:
            number = self._sessions.ending(at - 1)  # what trades at a close, or after it, belongs to the session
            if number < len(self._dates):
                return self._dates[number]
        return times.utc_day(times.Nanos(at))

    def after(self, day: str, sessions: int) -> str:
        """Day of a session that comes so many sessions later; beyond the calendar weekdays count."""
        number = self._numbers.get(day)
        if number is not None and number + sessions < len(self._dates):
            return self._dates[number + sessions]
        found = dt.date.fromisoformat(day)
        for _ in range(sessions):
            found += dt.timedelta(days=1)
            while found.weekday() >= _WEEK:
                found += dt.timedelta(days=1)
        return str(found)
