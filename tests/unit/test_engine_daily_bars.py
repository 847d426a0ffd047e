"""Daily bars that are labelled by the day, in a run whose market has sessions."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from support import bar_files
from tradeplane_engine import errors, simulation, strategy
from tradeplane_engine.core import context, sessions, table, venue_settings
from tradeplane_engine.data import readers, resampling, series
from tradeplane_engine.domain import times
from tradeplane_engine.venue import calendars

#: A week with a change of the clock in it, and one with a holiday and an early close.
SPRING = calendars.new_york("2024-03-06", "2024-03-13")
AUTUMN = calendars.new_york("2024-11-25", "2024-12-03")


def midnights(dates: list[str], zone: str) -> Any:
    """Instants at which dates begin."""
    labels = [dt.datetime.fromisoformat(date).replace(tzinfo=ZoneInfo(zone)) for date in dates]
    return np.array([int(one.timestamp()) * times.SECOND for one in labels], dtype=np.int64)


def daily(labels: Any, delay: int = 0) -> series.Series:
    """Daily bars with these labels, their opens one unit below their closes."""
    close = 100 + 10 * np.arange(len(labels), dtype=np.int64)
    end = labels + times.DAY
    return series.Series("S", labels, end, end + delay, close - 1, close, close - 1, close, close, timeframe=times.DAY)


def laid(one: series.Series, on: sessions.Sessions) -> series.Series:
    """Lay bars on sessions."""
    return resampling.on_sessions(one, resampling.Trading(on.opens, on.closes))


def dates(on: sessions.Sessions) -> list[str]:
    """Dates of sessions."""
    return [times.utc_day(times.Nanos(int(at))) for at in on.opens]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("on", [SPRING, AUTUMN], ids=["change of the clock", "holiday"])
def test_a_day_begins_at_the_open_and_ends_at_the_close(zone: str, on: sessions.Sessions) -> None:
    """Whatever midnight labels it, on both sides of a change of the clock and on an early close."""
    found = laid(daily(midnights(dates(on), zone), delay=times.HOUR), on)
    assert found.start.tolist() == on.opens.tolist()
    assert found.end.tolist() == on.closes.tolist()
    assert (found.available_at - found.end).tolist() == [times.HOUR] * len(on)
    assert found.length == times.DAY


def test_a_bar_that_lies_on_its_session_stays() -> None:
    """Laying it there twice is laying it there once."""
    once = laid(daily(midnights(dates(AUTUMN), "UTC")), AUTUMN)
    assert laid(once, AUTUMN).start.tolist() == once.start.tolist()


def test_a_day_without_a_session_keeps_its_label() -> None:
    """Thanksgiving and a Sunday lie on no session; the days around them do."""
    found = laid(
        daily(midnights(["2024-11-27", "2024-11-28", "2024-11-29", "2024-12-01", "2024-12-02"], "UTC")), AUTUMN
    )
    labels = [times.text(times.Nanos(int(at)))[5:16] for at in found.start]
    assert labels == ["11-27T14:30", "11-28T00:00", "11-29T14:30", "12-01T00:00", "12-02T14:30"]


def test_bars_of_other_lengths_and_markets_without_sessions_stay() -> None:
    """Only a day is a whole session."""
    minute = bar_files.walk(5, seed=1)
    (one,) = readers.load({"S": minute}).series
    assert laid(one, AUTUMN) is one
    never = sessions.Sessions(AUTUMN.opens[:0], AUTUMN.closes[:0])
    day = daily(midnights(["2024-11-27"], "UTC"))
    assert laid(day, never) is day


def test_a_label_at_the_close_is_refused() -> None:
    """Such a bar would open a day before it did."""
    with pytest.raises(errors.ValueRefused, match=r"S\.start, row 1: must be the start of a day, not the close"):
        laid(daily(np.array([AUTUMN.opens[0], AUTUMN.closes[1]], dtype=np.int64)), AUTUMN)


def test_two_bars_of_one_session_are_refused() -> None:
    """The second one cannot begin when the first one does."""
    labels = np.array([AUTUMN.opens[0] - times.HOUR, AUTUMN.opens[0] + times.HOUR], dtype=np.int64)
    with pytest.raises(errors.ValueRefused, match=r"S\.start, row 1: must be after the row before"):
        laid(daily(labels), AUTUMN)


class Once(strategy.Strategy):
    """Buys at the second bar, at the market and on the open, and tries to sell on the close."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Keep when it was seen."""
        self.seen.append(ctx.now)
        if len(self.seen) == 2:
            ctx.order(bar.symbol, "buy", 1)
            ctx.order(bar.symbol, "buy", 2, "market", "opg")
            ctx.order(bar.symbol, "buy", 3, "market", "cls")


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_fills_are_stamped_with_the_open_and_the_close_of_the_session(zone: str) -> None:
    """Decided at Tuesday's close, filled in Wednesday's auctions."""
    frame = {
        "ts": midnights(dates(AUTUMN), zone),
        **{name: np.arange(1.0, 7.0) for name in ("open", "high", "low", "close")},
        "volume": np.full(6, 100.0),
    }
    found = simulation.Backtest({"S": frame}, Once, venue=venue_settings.Venue(sessions=AUTUMN)).run()
    assert {int(row[1]) for row in found.log if row[0] == 1} == {AUTUMN.closes[1]}
    fills = [(int(row[1]), int(row[5]) // 10**9) for row in found.log if row[0] == 3]
    assert fills == [(AUTUMN.opens[2], 1), (AUTUMN.opens[2], 2), (AUTUMN.closes[2], 3)]
    assert found.findings is not None
    assert found.findings.honest


def test_days_beside_minutes_are_sessions() -> None:
    """Own days and days made of minutes are the same run."""
    start = AUTUMN.opens[0] + np.arange(390, dtype=np.int64) * times.MINUTE
    price = 100 + np.arange(390, dtype=np.int64)
    minute = series.Series("S", start, start + times.MINUTE, start + times.MINUTE, price, price, price, price, price)
    day = series.Series(
        "S",
        midnights(["2024-11-25"], "UTC"),
        midnights(["2024-11-26"], "UTC"),
        midnights(["2024-11-26"], "UTC"),
        *(np.array([value], dtype=np.int64) for value in (100, 489, 100, 489, int(price.sum()))),
        timeframe=times.DAY,
    )
    venue = venue_settings.Venue(sessions=AUTUMN)
    made = simulation.Backtest([minute], Once, venue=venue, timeframes=("1d",)).prepare()
    own = simulation.Backtest([minute, day], Once, venue=venue).prepare()
    for name in ("start", "end", "available_at", "open", "close", "volume"):
        assert made.kernel.table.columns[name].tolist() == own.kernel.table.columns[name].tolist()
    assert made.settings == own.settings


def test_what_reading_counted_is_kept() -> None:
    """Laying bars elsewhere forgets no wrong high."""
    frame = bar_files.walk(3, seed=1)
    frame |= {"ts": midnights(dates(AUTUMN)[:3], "UTC"), "high": frame["low"]}
    prepared = simulation.Backtest({"S": frame}, Once, venue=venue_settings.Venue(sessions=AUTUMN)).prepare()
    assert prepared.data.high_low_errors == 3


@pytest.mark.parametrize("missing", ["first", "last"])
def test_sessions_that_miss_bars_are_refused(missing: str) -> None:
    """Orders of before and after would wait for a session that never comes; a day more or less is no other year."""
    labels = midnights(dates(SPRING), "UTC")
    shift = -14 * times.DAY if missing == "first" else 14 * times.DAY
    bars = daily(np.concatenate((labels, labels + shift)) if shift > 0 else np.concatenate((labels + shift, labels)))
    with pytest.raises(errors.ValueRefused, match=r"venue\.sessions: must be those of all bars, 2024-0"):
        simulation.Backtest([bars], Once, venue=venue_settings.Venue(sessions=SPRING)).run()
