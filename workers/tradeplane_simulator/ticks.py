"""Recorded trades and quotes: ``trades.parquet`` and, where there is one, ``quotes.parquet`` (``interfaces.md``).

Minutes are made of the trades that may set a price by the rules of the consolidated tapes. A trade that the tape took
back later stands until then; taking it back is told on the stream at its instant.
"""

import hashlib
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
import structlog

from tradeplane_engine import errors
from tradeplane_engine.domain import bars, numbers, times
from tradeplane_simulator import dataset, notices, sessions, tape

_LOG = structlog.get_logger()
_TRADES: Final = ("timestamp", "symbol", "price", "size")
_QUOTES: Final = ("timestamp", "symbol", "bid", "ask")
_LOT: Final = 100
IEX: Final = "V"
# Cash, bunched, price variation, odd lot, official prices, next day, prior reference, seller, extended hours out of
# sequence, contingent, average price, sold out of sequence, derivatively priced, qualified contingent, corrected close.
_SETS_NO_PRICE: Final = "CGHIMNPQRUVWZ479"
# Official prices repeat prints, and corrected closes too.
_HAS_VOLUME: Final = ~pl.col("conditions").str.contains("[MQ9]")
# TAQ's correction codes: trades that were taken back later, and the records that took them back.
_TAKEN_BACK: Final = {1: "corrected", 7: "incorrect", 8: "canceled"}
_TAKES_BACK: Final = {10: ("C", 8), 11: ("E", 7)}
_CORRECTS: Final = 12


@dataclass(frozen=True, slots=True)
class Ticks:
    """What a folder holds; ``sip`` is all of it, ``iex`` what happened at that exchange alone."""

    sip: dataset.Dataset
    iex: dataset.Dataset
    told: tuple[notices.Notice, ...]


def read(folder: pathlib.Path) -> Ticks:
    """Read a folder of ticks; raises DataRefused."""
    files = [folder / name for name in ("trades.parquet", "quotes.parquet")]
    trades = _frame(files[0], _TRADES)
    quotes = _frame(files[1], _QUOTES) if files[1].exists() else None
    if trades.is_empty():
        raise errors.DataRefused("empty", "trades.parquet must hold at least one trade, got 0")
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes() if file.exists() else b"")
    instants = trades["at"]
    first, last = (times.Nanos(int(instants[place])) for place in (0, -1))
    calendar = sessions.new_york(sessions.new_york_date(first), sessions.new_york_date(last) + dataset.CALENDAR_MARGIN)
    taken_back = tuple(_taken_back(trades))
    found = {
        feed: _dataset(f"sha256:{digest.hexdigest()}", _of(trades, feed), _of(quotes, feed), taken_back, calendar)
        for feed in ("", IEX)
    }
    _LOG.info("ticks read", trades=len(trades), quotes=0 if quotes is None else len(quotes))
    told = (back.notice for back in taken_back)
    return Ticks(found[""], found[IEX], tuple(sorted(told, key=lambda one: one.at)))


def _of(frame: pl.DataFrame | None, exchange: str) -> pl.DataFrame | None:
    if frame is None or not exchange:
        return frame
    return frame.filter(pl.col("exchange") == exchange)


def _frame(file: pathlib.Path, needed: Sequence[str]) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise errors.DataRefused("unreadable", f"{file.name}: {type(error).__name__}") from error
    for name in needed:
        if name not in frame.columns:
            raise errors.DataRefused("unreadable", f"{file.name}: must have the column {name}, got {frame.columns}")
        if frame[name].null_count():
            raise errors.DataRefused("unreadable", f"{file.name}: {name} must be given in every row")
    if not isinstance(frame.schema["timestamp"], pl.Datetime) or frame.schema["timestamp"].time_zone != "UTC":
        kind = frame.schema["timestamp"]
        raise errors.DataRefused("unreadable", f"{file.name}: timestamp must be an instant in UTC, got {kind}")
    frame = frame.with_columns(pl.col("timestamp").dt.epoch("ns").alias("at"))
    if not frame["at"].is_sorted():
        raise errors.DataRefused("unreadable", f"{file.name}: rows must be in the order of their timestamp")
    for name in ("exchange", "conditions"):
        column = pl.col(name).fill_null("") if name in frame.columns else pl.lit("")
        frame = frame.with_columns(column.str.replace_all(" ", "").alias(name))
    if "price" in needed:
        correction = pl.col("correction") if "correction" in frame.columns else pl.lit(0)
        frame = frame.with_columns(correction.fill_null(0).cast(pl.Int64).alias("correction"))
        if not bool((frame["price"] > 0).all()) or not bool((frame["size"] > 0).all()):
            raise errors.DataRefused("unreadable", f"{file.name}: price and size must be positive")
    return frame.with_row_index("number", offset=1)


@dataclass(frozen=True, slots=True)
class _TakenBack:
    number: int
    at: times.Nanos
    word: str
    notice: notices.Notice


def _taken_back(trades: pl.DataFrame) -> Iterator[_TakenBack]:
    """Return the trades that a later record takes back, each with what the stream says then."""
    irregular = trades.filter(pl.col("correction") != 0).to_dicts()
    for record in irregular:
        code = record["correction"]
        wanted = 1 if code == _CORRECTS else _TAKES_BACK.get(code, ("", 0))[1]
        same = ("symbol", "exchange") if code == _CORRECTS else ("symbol", "exchange", "price", "size")
        originals = [
            one
            for one in irregular
            if wanted and one["correction"] == wanted and all(one[name] == record[name] for name in same)
        ]
        if originals:
            original = originals[-1]
            yield _TakenBack(
                original["number"], times.Nanos(record["at"]), _TAKEN_BACK[wanted], _notice(original, record)
            )


def _notice(original: Mapping[str, Any], record: Mapping[str, Any]) -> notices.Notice:
    price, size = numbers.Price(round(original["price"] * 10_000)), int(original["size"])
    if record["correction"] == _CORRECTS:
        fields: dict[str, Any] = {
            "x": original["exchange"],
            "oi": original["number"],
            "op": notices.Amount(price),
            "os": size,
            "oc": list(original["conditions"]),
            "ci": record["number"],
            "cp": notices.Amount(numbers.Price(round(record["price"] * 10_000))),
            "cs": int(record["size"]),
            "cc": list(record["conditions"]),
            "z": "C",
        }
    else:
        fields = {
            "i": original["number"],
            "x": original["exchange"],
            "p": notices.Amount(price),
            "s": size,
            "a": _TAKES_BACK[record["correction"]][0],
            "z": "C",
        }
    kind = "c" if record["correction"] == _CORRECTS else "x"
    at = times.Nanos(record["at"])
    return notices.Notice(record["symbol"], at, kind, fields, at)


def _dataset(
    digest: str,
    trades: pl.DataFrame | None,
    quotes: pl.DataFrame | None,
    taken_back: Sequence[_TakenBack],
    calendar: sessions.Sessions,
) -> dataset.Dataset:
    if trades is None:
        raise AssertionError("there is a file of trades, or nothing is read")
    voided = {back.number: (back.at, back.word) for back in taken_back}
    # The records that take a trade back are none.
    standing = trades.filter(~pl.col("correction").is_in([*_TAKES_BACK]))
    by_symbol = {key[0]: rows for key, rows in standing.partition_by("symbol", as_dict=True).items()}
    quoted = {} if quotes is None else {k[0]: rows for k, rows in quotes.partition_by("symbol", as_dict=True).items()}
    tapes = {
        str(symbol): tape.Tape(
            _trades(str(symbol), rows, voided),
            _quotes(str(symbol), quoted[symbol]) if symbol in quoted else tape.empty(str(symbol)).quotes,
        )
        for symbol, rows in by_symbol.items()
    }
    series = {str(symbol): tuple(_minutes(str(symbol), rows, calendar)) for symbol, rows in by_symbol.items()}
    return dataset.Dataset(
        digest,
        {symbol: rows for symbol, rows in series.items() if rows},
        actions=(),
        calendar=calendar,
        timeframe="1m",
        tapes=tapes,
    )


def _trades(symbol: str, rows: pl.DataFrame, voided: Mapping[int, tuple[times.Nanos, str]]) -> tape.Trades:
    places = {int(number): place for place, number in enumerate(rows["number"])} if voided else {}
    return tape.Trades(
        symbol,
        rows["at"].to_numpy(),
        _units(rows, "price"),
        rows["size"].cast(pl.Int64).to_numpy(),
        rows["exchange"].to_list(),
        rows["conditions"].to_list(),
        rows["number"].cast(pl.Int64).to_numpy(),
        rows.select(_HAS_VOLUME).to_series().to_numpy(),
        {places[number]: word for number, word in voided.items() if number in places},
    )


def _quotes(symbol: str, rows: pl.DataFrame) -> tape.Quotes:
    return tape.Quotes(
        symbol,
        rows["at"].to_numpy(),
        _units(rows, "bid"),
        _sizes(rows, "bid"),
        _units(rows, "ask"),
        _sizes(rows, "ask"),
        rows["exchange"].to_list(),
    )


def _units(rows: pl.DataFrame, name: str) -> tape.IntArray:
    """Return prices in units of 1e-4 USD, to the nearest one; a side that is absent is 0."""
    found: tape.IntArray = np.rint(np.nan_to_num(rows[name].cast(pl.Float64).to_numpy()) * 10_000).astype(np.int64)
    return np.maximum(found, 0)


def _sizes(rows: pl.DataFrame, side: str) -> tape.IntArray:
    shares, lots = f"{side}_size", f"{side}_size_lots"
    if shares in rows.columns:
        return rows[shares].fill_null(0).cast(pl.Int64).to_numpy()
    if lots in rows.columns:
        return rows[lots].fill_null(0).cast(pl.Int64).to_numpy() * _LOT
    return np.full(len(rows), _LOT, dtype=np.int64)


def _minutes(symbol: str, rows: pl.DataFrame, calendar: sessions.Sessions) -> Iterator[bars.Bar]:
    """Return the minutes of a symbol's trades, known at their end; none without a trade that sets a price."""
    sets_price = ~pl.col("conditions").str.contains(f"[{_SETS_NO_PRICE}]")
    price = pl.col("price").filter(sets_price)
    grouped = (
        rows.with_columns((pl.col("at") // times.MINUTE * times.MINUTE).alias("start"))
        .group_by("start", maintain_order=True)
        .agg(
            price.first().alias("open"),
            price.max().alias("high"),
            price.min().alias("low"),
            price.last().alias("close"),
            pl.col("size").filter(_HAS_VOLUME).cast(pl.Int64).sum().alias("volume"),
        )
        .drop_nulls()
    )
    for row in grouped.to_dicts():
        start = times.Nanos(row["start"])
        day = calendar.on(sessions.new_york_date(start))
        if day is not None and sessions.extended(day).holds(start):
            end = times.Nanos(start + times.MINUTE)
            prices = {
                name: numbers.Price(max(round(row[name] * 10_000), 1)) for name in ("open", "high", "low", "close")
            }
            yield bars.Bar(symbol=symbol, start=start, end=end, available_at=end, volume=row["volume"], **prices)
