"""The demo's bars: daily prices of five symbols from `bokeh_sampledata`, as a dataset folder.

1. Read the prices as the decimal text that the file holds; a float never enters.
2. Give each bar its session's open and close; it is known one second after the close.
3. Derive splits and dividends from r = (adj_close / close)_t / (adj_close / close)_{t-1}: r = 2 is a split, and
   close_t * (r - 1) is the dividend. adj_close itself knows the future and goes nowhere else.
"""

import csv
import gzip
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from importlib import util
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import exchange_calendars

from tradeplane_cli.local import processes
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import bars, numbers, times

NAME: Final = "bokeh-sampledata-2026.1"
ORIGIN: Final = "bokeh_sampledata 2026.1, stocks.csv.gz: Quandl WIKI Prices, archived copy"
LICENCE: Final = "Public Domain (prices), BSD-3-Clause (package)"
TIMEFRAME: Final = "1d"
PUBLICATION_DELAY: Final = times.SECOND

# adj_close is written with 13 significant digits: what is left of r after a dividend is found is far below this.
NOISE_USD: Final = Decimal("0.00001")
CENT: Final = Decimal("0.01")
# A larger one is a split that this file does not have; the largest true one, MSFT 2004-11-15, is 11 %.
LARGEST_DIVIDEND: Final = Decimal("0.25")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the file."""

    symbol: str
    date: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    adjusted_close: str


def write(folder: Path) -> str:
    """Write the dataset folder and return its digest; the same bytes each time."""
    rows = tuple(read(source()))
    sessions = trading_sessions(rows)
    return dataset.write(
        folder,
        manifest={"name": NAME, "timeframe": TIMEFRAME, "origin": ORIGIN, "licence": LICENCE},
        found=(bar(row, sessions=sessions) for row in rows),
        actions=actions(rows, sessions=sessions),
    )


def source() -> Path:
    """Return the file inside the installed package."""
    found = util.find_spec("bokeh_sampledata")
    if found is None or found.origin is None:
        raise processes.NotAvailable("the demo's bars: pip install bokeh_sampledata==2026.1")
    return Path(found.origin).parent / "_data" / "stocks.csv.gz"


def read(path: Path) -> Iterator[Row]:
    """Read the file's rows."""
    with gzip.open(path, mode="rt", encoding="utf-8", newline="") as stream:
        for line in csv.DictReader(stream):
            yield Row(
                symbol=line["Ticker"],
                date=line["Date"],
                open=line["Open"],
                high=line["High"],
                low=line["Low"],
                close=line["Close"],
                volume=line["Volume"],
                adjusted_close=line["Adj Close"],
            )


def trading_sessions(rows: Iterable[Row]) -> dict[str, tuple[times.Nanos, times.Nanos]]:
    """Return (open, close) by date of every session of New York between the first and the last row."""
    dates = sorted({row.date for row in rows})
    calendar = exchange_calendars.get_calendar("XNYS", start=dates[0], end=dates[-1])
    schedule = calendar.schedule.loc[dates[0] : dates[-1]]
    return {
        label.strftime("%Y-%m-%d"): (_nanos(opens), _nanos(closes))
        for label, opens, closes in zip(schedule.index, schedule["open"], schedule["close"], strict=True)
    }


def _nanos(stamp: Any) -> times.Nanos:
    """Return a pandas timestamp, which here is on a whole second, as nanoseconds."""
    return times.Nanos(int(stamp.timestamp()) * times.SECOND)


def bar(row: Row, *, sessions: Mapping[str, tuple[times.Nanos, times.Nanos]]) -> bars.Bar:
    """Return the bar of one row."""
    start, end = sessions[row.date]
    return bars.Bar(
        symbol=row.symbol,
        start=start,
        end=end,
        available_at=times.Nanos(end + PUBLICATION_DELAY),
        open=numbers.price(row.open, field="open"),
        high=numbers.price(row.high, field="high"),
        low=numbers.price(row.low, field="low"),
        close=numbers.price(row.close, field="close"),
        volume=int(row.volume),
    )


def actions(
    rows: Iterable[Row], *, sessions: Mapping[str, tuple[times.Nanos, times.Nanos]]
) -> tuple[bars.CorporateAction, ...]:
    """Return the splits and dividends that the adjusted closes imply."""
    by_symbol: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row.symbol, row.date)):
        by_symbol.setdefault(row.symbol, []).append(row)
    found = (
        _action(before, row, ex_start=sessions[row.date][0])
        for series in by_symbol.values()
        for before, row in pairwise(series)
    )
    return tuple(action for action in found if action is not None)


def _action(before: Row, row: Row, *, ex_start: times.Nanos) -> bars.CorporateAction | None:
    with localcontext(prec=40):
        ratio = (Decimal(row.adjusted_close) / Decimal(row.close)) / (
            Decimal(before.adjusted_close) / Decimal(before.close)
        )
        amount = Decimal(row.close) * (ratio - 1)
        split = abs(Decimal(row.close) * (ratio - 2)) < NOISE_USD
        dividend = amount.quantize(CENT)
        possible = 0 <= dividend < LARGEST_DIVIDEND * Decimal(row.close)
        explained = split or (possible and abs(amount - dividend) < NOISE_USD)
    if not explained:
        raise processes.LocalError(
            f"{row.symbol} {row.date}: adjusted close must follow from a 2:1 split or a dividend in cents, "
            f"got a change of {amount:.6f} USD"
        )
    if split:
        return bars.CorporateAction(symbol=row.symbol, ex_start=ex_start, split=(2, 1), dividend=numbers.money("0"))
    if dividend == 0:
        return None
    return bars.CorporateAction(
        symbol=row.symbol, ex_start=ex_start, split=(1, 1), dividend=numbers.money(dividend, field="dividend")
    )
