"""Minutes of made-up sessions, and real ones where the data pack is."""

import functools
import math
import random
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support import engine_data
from tradeplane_engine.domain import bars, numbers, timeframes, times

#: Regular hours of two days in a row, and of one that closes early.
DAY = timeframes.Hours(times.instant("2012-03-02T14:30:00Z"), times.instant("2012-03-02T21:00:00Z"))
NEXT_DAY = timeframes.Hours(times.instant("2012-03-05T14:30:00Z"), times.instant("2012-03-05T21:00:00Z"))
EARLY_CLOSE = timeframes.Hours(times.instant("2012-11-23T14:30:00Z"), times.instant("2012-11-23T18:00:00Z"))
PACK = Path(__file__).parents[3] / "shared" / "data" / "intraday"


def at(text: str) -> times.Nanos:
    """Return an instant of 2 March 2012, given as ``14:30`` UTC."""
    return times.instant(f"2012-03-02T{text}:00Z")


def minute(
    symbol: str, start: times.Nanos | str, price: str = "100", *, close: str = "", volume: int = 100, delay_s: int = 1
) -> bars.Bar:
    """One minute that opens at ``price`` and closes at ``close`` (the same by default)."""
    begin = at(start) if isinstance(start, str) else start
    opened, closed = numbers.price(price), numbers.price(close or price)
    return bars.Bar(
        symbol=symbol,
        start=begin,
        end=times.Nanos(begin + times.MINUTE),
        available_at=times.Nanos(begin + times.MINUTE + delay_s * times.SECOND),
        open=opened,
        high=max(opened, closed),
        low=min(opened, closed),
        close=closed,
        volume=volume,
    )


def walk(
    symbol: str, hours: timeframes.Hours, *, seed: int = 1, without: Collection[int] = (), delay_s: int = 1
) -> list[bars.Bar]:
    """Random walk through one day's minutes, some numbers of which had no trade."""
    source = random.Random(f"{symbol}-{hours.start}-{seed}")  # noqa: S311 - test data
    close = 100.0
    found = []
    for number, start in enumerate(range(hours.start, hours.end, times.MINUTE)):
        opened = close * math.exp(source.gauss(0, 0.0005))
        close = opened * math.exp(source.gauss(0, 0.0015))
        if number not in without:
            one = minute(
                symbol,
                times.Nanos(start),
                f"{opened:.4f}",
                close=f"{close:.4f}",
                volume=source.randrange(100, 9000),
                delay_s=delay_s,
            )
            found.append(one)
    return found


def data(found: Iterable[bars.Bar], days: Collection[timeframes.Hours] = (DAY, NEXT_DAY)) -> Any:
    """Dataset of minutes with the hours of its days; the extended ones begin and end four hours around the regular."""
    margin = 4 * times.HOUR
    wide = [timeframes.Hours(times.Nanos(day.start - margin), times.Nanos(day.end + margin)) for day in days]
    return replace(
        engine_data.data(found),
        timeframe="1m",
        hours={timeframes.REGULAR: tuple(days), timeframes.EXTENDED: tuple(wide)},
    )


def real(name: str) -> list[dict[str, Any]]:
    """Return the rows of a file of the data pack; skips the test where there is none."""
    path = PACK / name
    if not path.exists():
        pytest.skip(f"NO REAL DATA: {path} is not there, so this fact was not checked")
    return _read(path)


@functools.cache
def _read(path: Path) -> list[dict[str, Any]]:
    from pyarrow import parquet  # noqa: PLC0415 - only with the pack

    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


def real_bar(row: dict[str, Any], *, length: int) -> bars.Bar:
    """Return a row of the data pack as an exact bar of ``length``."""
    start = times.Nanos(int(row["timestamp"].timestamp()) * times.SECOND)
    prices = {name: numbers.Price(round(row[name] * 10_000)) for name in ("open", "high", "low", "close")}
    end = times.Nanos(start + length)
    return bars.Bar(symbol=row["symbol"], start=start, end=end, available_at=end, volume=row["volume"], **prices)
