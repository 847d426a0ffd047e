"""The sessions of the New York exchanges: holidays, early closes and changes of the clock are the exchange's own."""

import datetime as dt

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.core.sessions import Sessions
from tradeplane_engine.domain import timeframes, times


def new_york(first: str, last: str, *, extended: bool = False) -> Sessions:
    """Return the sessions of the days from ``first`` to ``last``, such as ``2024-01-31``, both included.

    Parameters
    ----------
    first, last : dates of New York
    extended : whether the sessions have pre-market hours from 04:00 and after-market hours of four hours

    Raises
    ------
    errors.ValueRefused for what is no date, and where ``last`` comes before ``first``.
    """
    bounds = [_date(value, name) for name, value in (("first", first), ("last", last))]
    if bounds[1] < bounds[0]:
        raise errors.ValueRefused("last", f"{first} or later", last)
    # Only here, because the calendars take longer to import than most backtests to run.
    import exchange_calendars  # noqa: PLC0415

    whole = exchange_calendars.get_calendar("XNYS", start=bounds[0], end=max(bounds[1], bounds[0] + dt.timedelta(14)))
    days = [
        (label.date(), int(opens), int(closes))
        for label, opens, closes in zip(whole.sessions, whole.opens_nanos, whole.closes_nanos, strict=True)
        if label.date() <= bounds[1]
    ]
    opens, closes = (np.array([day[at] for day in days], dtype=np.int64) for at in (1, 2))
    if not extended:
        return Sessions(opens, closes)
    wide = [
        timeframes.extended(
            timeframes.Hours(times.Nanos(start), times.Nanos(end)), midnight=timeframes.new_york_midnight(day)
        )
        for day, start, end in days
    ]
    begins, ends = (np.array([getattr(one, name) for one in wide], dtype=np.int64) for name in ("start", "end"))
    return Sessions(opens, closes, begins, ends)


def _date(value: str, field: str) -> dt.date:
    try:
        return dt.date.fromisoformat(value)
    except (TypeError, ValueError):
        raise errors.ValueRefused(field, "a date such as 2024-01-31", value) from None
