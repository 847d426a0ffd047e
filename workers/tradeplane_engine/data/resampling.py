"""Bars of a longer timeframe made of a series of shorter ones, column by column.

The bars are those of :mod:`.aggregation`, bucket by bucket: first open, last close, extremes, summed volume, on the
bucket's own instants, known as long after its end as the slowest part was after its own. Without trading hours buckets
are counted from 1970-01-01 UTC; with them from the open of a session, and the last one ends with its close. A day is
then the whole session. What starts outside of trading hours is left out.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.data import series
from tradeplane_engine.domain import times


@dataclass(frozen=True, slots=True, eq=False)
class Trading:
    """Trading hours, oldest first: ``opens`` and ``closes`` of shape (n,), ns UTC."""

    opens: series.IntArray
    closes: series.IntArray

    def session(self, start: series.IntArray) -> series.IntArray:
        """Return the session that each instant lies in, -1 for none."""
        if not len(self.opens):
            return np.full(len(start), -1, dtype=np.int64)
        found = np.searchsorted(self.opens, start, side="right").astype(np.int64) - 1
        found[(found >= 0) & (start >= self.closes[found])] = -1
        return found


def resampled(one: series.Series, timeframe: int, trading: Trading | None = None) -> series.Series:
    """Return one symbol's bars of a longer timeframe.

    Parameters
    ----------
    one : the shorter bars
    timeframe : ns, a multiple of theirs
    trading : hours that no bar crosses; None for a market that never closes

    Raises
    ------
    errors.ValueRefused for another timeframe, and for a bar that is not inside one bucket.
    """
    label = times.duration_text(timeframe)
    if timeframe <= one.length or timeframe % one.length:
        own = times.duration_text(one.length)
        raise errors.ValueRefused("timeframes", f"multiples of {own}, the timeframe of {one.symbol}", label)
    if trading is not None and timeframe > times.DAY:
        raise errors.ValueRefused("timeframes", "at most 1d, which is a session, where there are sessions", label)
    start, stop, kept = _buckets(one.start, timeframe, trading)
    end = one.end[kept]
    if (end > stop).any():
        row = int(np.argmax(end > stop))
        limit = f"within a bucket of {label}, which ends {times.text(times.Nanos(int(stop[row])))}"
        raise errors.ValueRefused(f"{one.symbol}.end, row {int(kept[row])}", limit, int(end[row]))
    if not len(kept):
        nothing: dict[str, Any] = dict.fromkeys(_COLUMNS, end)
        return replace(one, timeframe=timeframe, **nothing)
    first = np.flatnonzero(np.append(True, start[1:] != start[:-1]))
    last = np.append(first[1:], len(kept)) - 1
    return replace(
        one,
        timeframe=timeframe,
        start=start[first],
        end=stop[first],
        available_at=stop[first] + np.maximum.reduceat(one.available_at[kept] - end, first),
        open=one.open[kept][first],
        high=np.maximum.reduceat(one.high[kept], first),
        low=np.minimum.reduceat(one.low[kept], first),
        close=one.close[kept][last],
        volume=np.add.reduceat(one.volume[kept], first),
    )


def on_sessions(one: series.Series, trading: Trading) -> series.Series:
    """Return daily bars from the open to the close of their sessions, where they were labelled by the day.

    A day's bar may be labelled with any instant from 24 hours before its session's open until that session's close,
    such as midnight in New York or UTC. It stays unpublished as long after the close as it was after its own end. A
    day without a session keeps its label, and fills nothing.

    Raises
    ------
    errors.ValueRefused for a bar that is labelled with a session's close: the label is where a bar starts.
    """
    if one.length != times.DAY or not len(one) or not len(trading.opens):
        return one
    wrong = np.isin(one.start, trading.closes)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise errors.ValueRefused(
            f"{one.symbol}.start, row {row}", "the start of a day, not the close of its session", int(one.start[row])
        )
    following = np.searchsorted(trading.closes, one.start, side="right")
    at = np.minimum(following, len(trading.opens) - 1)
    known = (following < len(trading.opens)) & (trading.opens[at] < one.start + times.DAY)
    end = np.where(known, trading.closes[at], one.end)
    return replace(
        one,
        timeframe=times.DAY,
        start=np.where(known, trading.opens[at], one.start),
        end=end,
        available_at=end + (one.available_at - one.end),
    )


_COLUMNS = ("start", "end", "available_at", "open", "high", "low", "close", "volume")


def _buckets(
    start: series.IntArray, timeframe: int, trading: Trading | None
) -> tuple[series.IntArray, series.IntArray, series.IntArray]:
    """Return start and end of the buckets that hold the rows, and which rows are inside trading hours."""
    if trading is None:
        begin = start - start % timeframe
        return begin, begin + timeframe, np.arange(len(start), dtype=np.int64)
    session = trading.session(start)
    kept = np.flatnonzero(session >= 0).astype(np.int64)
    opens, closes = trading.opens[session[kept]], trading.closes[session[kept]]
    if timeframe == times.DAY:
        return opens, closes, kept
    begin = start[kept] - (start[kept] - opens) % timeframe
    return begin, np.minimum(begin + timeframe, closes), kept
