"""Bars of a longer timeframe from those of a shorter one: exact, on the buckets of the session, and nothing invented.

Open is the first part's, close the last one's, high and low the extremes, volume the sum. A bucket without any part has
no bar. What the parts are worth is the caller's to know: nobody here can tell a minute without a trade from a minute
that was not heard.
"""

from collections.abc import Iterable, Sequence

from tradeplane_engine import errors
from tradeplane_engine.domain import bars, timeframes, times


def merge(parts: Sequence[bars.Bar], bucket: timeframes.Hours) -> bars.Bar:
    """Return the bar of one bucket from at least one part, oldest first, all of one symbol.

    It is known as long after the bucket's end as its slowest part was after its own: that no later part comes is known
    only then, even where the last minutes had no trade. Raises ValueRefused for a part that is not inside the bucket.
    """
    for part in parts:
        if part.start < bucket.start or part.end > bucket.end:
            limit = f"inside {times.text(bucket.start)} to {times.text(bucket.end)}"
            raise errors.ValueRefused("bar", limit, f"{part.symbol} {times.text(part.start)} to {times.text(part.end)}")
    return bars.Bar(
        symbol=parts[0].symbol,
        start=bucket.start,
        end=bucket.end,
        available_at=times.Nanos(bucket.end + max(part.available_at - part.end for part in parts)),
        open=parts[0].open,
        high=max(part.high for part in parts),
        low=min(part.low for part in parts),
        close=parts[-1].close,
        volume=sum(part.volume for part in parts),
    )


def aggregate(
    found: Iterable[bars.Bar], days: Sequence[timeframes.Hours], *, length: times.Nanos | None
) -> tuple[bars.Bar, ...]:
    """Return one symbol's bars on the buckets of these days, oldest first.

    Parameters
    ----------
    found : bars of one symbol, oldest first, none longer than a bucket
    days : trading hours in order; what starts outside of them is left out
    length : of a bucket; None for one bar per day
    """
    made: list[bars.Bar] = []
    parts: list[bars.Bar] = []
    bucket: timeframes.Hours | None = None
    for one in found:
        if bucket is None or not bucket.holds(one.start):
            if bucket is not None:
                made.append(merge(parts, bucket))
            day = timeframes.holding(days, one.start)
            parts, bucket = [], None
            if day is not None:
                bucket = day if length is None else timeframes.bucket_of(day, one.start, length=length)
        if bucket is not None:
            parts.append(one)
    if bucket is not None:
        made.append(merge(parts, bucket))
    return tuple(made)
