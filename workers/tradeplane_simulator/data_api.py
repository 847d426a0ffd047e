"""Alpaca's market data of stocks: bars, quotes, trades, auctions and snapshots, of several symbols or of one.

A recording of days gives days. One of minutes or ticks gives minutes, what is made of them on the clock, and days.
Nothing is ever shown that was not known on its feed at the venue's clock (:mod:`.feeds`).
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from tradeplane_engine.domain import bars, times
from tradeplane_simulator import (
    adjusting,
    credentials,
    dataset,
    errors,
    feeds,
    paging,
    queries,
    renames,
    render,
    sessions,
    tape,
)

ROUTES = APIRouter(prefix="/v2/stocks")
_PERIOD = {"symbols", "start", "end", "limit", "asof", "feed", "currency", "sort", "page_token"}
_BARS = _PERIOD | {"timeframe", "adjustment"}
_LATEST = {"symbols", "feed", "currency"}
_HISTORY_FEEDS = (feeds.Feed.SIP, feeds.Feed.IEX)
_LATEST_FEEDS = (*_HISTORY_FEEDS, feeds.Feed.DELAYED)
_MINUTES_MAX, _HOURS_MAX = 59, 23
_MONTHS = (1, 2, 3, 4, 6, 12)
_UNITS: Final = {"T": "Min", "H": "Hour", "D": "Day", "W": "Week", "M": "Month"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose data is asked for.

    symbols, data, known : the symbols, the feed's data, and up to which instant they are known there
    parts : which symbols a company had when, by the one that is asked for
    """

    symbols: tuple[str, ...]
    data: dataset.Dataset
    known: times.Nanos
    parts: Callable[[str], Sequence[renames.Part]] = lambda _: ()


@dataclass(frozen=True, slots=True)
class Timeframe:
    """Length of bars: within a day by the clock, else by the days' periods."""

    length: times.Nanos | None
    period: Callable[[dt.date], dt.date] | None = None


@ROUTES.get("/bars")
async def bars_of_many(request: Request) -> Response:
    """List bars."""
    return _many(request, "bars", _BARS, _bars)


@ROUTES.get("/{symbol}/bars")
async def bars_of_one(request: Request, symbol: str) -> Response:
    """List one symbol's bars."""
    return _one(request, "bars", _BARS, symbol, _bars)


@ROUTES.get("/trades")
async def trades_of_many(request: Request) -> Response:
    """List trades."""
    return _many(request, "trades", _PERIOD, _trades)


@ROUTES.get("/{symbol}/trades")
async def trades_of_one(request: Request, symbol: str) -> Response:
    """List one symbol's trades."""
    return _one(request, "trades", _PERIOD, symbol, _trades)


@ROUTES.get("/quotes")
async def quotes_of_many(request: Request) -> Response:
    """List quotes."""
    return _many(request, "quotes", _PERIOD, _quotes)


@ROUTES.get("/{symbol}/quotes")
async def quotes_of_one(request: Request, symbol: str) -> Response:
    """List one symbol's quotes."""
    return _one(request, "quotes", _PERIOD, symbol, _quotes)


@ROUTES.get("/auctions")
async def auctions_of_many(request: Request) -> Response:
    """List the trades of opening and closing auctions by day."""
    return _many(request, "auctions", _PERIOD, _auctions)


@ROUTES.get("/{symbol}/auctions")
async def auctions_of_one(request: Request, symbol: str) -> Response:
    """List one symbol's auctions."""
    return _one(request, "auctions", _PERIOD, symbol, _auctions)


@ROUTES.get("/{what}/latest")
async def latest_of_many(request: Request, what: str) -> Response:
    """Show each symbol's newest bar, trade or quote."""
    asked, newest = _latest(request), _newest_of(what)
    found = {symbol: row for symbol in asked.symbols if (row := newest(asked, symbol)) is not None}
    return queries.answer({what: found, "currency": "USD"})


@ROUTES.get("/{symbol}/{what}/latest")
async def latest_of_one(request: Request, symbol: str, what: str) -> Response:
    """Show one symbol's newest bar, trade or quote."""
    asked, newest = _latest(request, symbol), _newest_of(what)
    row = newest(asked, symbol)
    name = what.removesuffix("s")
    if row is None:
        raise errors.Refused(errors.not_found(f"no {name} found for {symbol}"))
    return queries.answer({"symbol": symbol, name: row, "currency": "USD"})


@ROUTES.get("/snapshots")
async def snapshots_of_many(request: Request) -> Response:
    """Show each symbol's newest of everything."""
    asked = _latest(request)
    return queries.answer({symbol: row for symbol in asked.symbols if (row := _snapshot(asked, symbol)) is not None})


@ROUTES.get("/{symbol}/snapshot")
async def snapshot_of_one(request: Request, symbol: str) -> Response:
    """Show one symbol's newest of everything."""
    row = _snapshot(_latest(request, symbol), symbol)
    if row is None:
        raise errors.Refused(errors.not_found(f"no snapshot found for {symbol}"))
    return queries.answer({"symbol": symbol, **row, "currency": "USD"})


_Part = Callable[[queries.Query, Asked, tuple[times.Nanos, times.Nanos]], paging.Listing[Any]]


def _many(request: Request, name: str, allowed: set[str], part: _Part) -> Response:
    caller, query = queries.caller(request), _query(request, allowed)
    found, token = _listed(request, caller, query, _symbols(query), part)
    return queries.answer({name: found, "next_page_token": token, "currency": "USD"})


def _one(request: Request, name: str, allowed: set[str], symbol: str, part: _Part) -> Response:
    caller, query = queries.caller(request), _query(request, allowed - {"symbols"})
    found, token = _listed(request, caller, query, (symbol,), part)
    return queries.answer({name: found.get(symbol, []), "symbol": symbol, "next_page_token": token, "currency": "USD"})


def _query(request: Request, allowed: set[str]) -> queries.Query:
    query = queries.Query(request, allowed=allowed)
    if query.text("currency").upper() not in {"", "USD"}:
        raise errors.Refused(errors.malformed(f"currency must be USD here, got {query.text('currency')!r}"))
    return query


def _symbols(query: queries.Query) -> tuple[str, ...]:
    symbols = tuple(sorted(set(query.listing("symbols"))))
    if not symbols:
        raise errors.Refused(errors.malformed("symbols is required"))
    return symbols


def _listed(
    request: Request, caller: credentials.Caller, query: queries.Query, symbols: tuple[str, ...], part: _Part
) -> tuple[dict[str, list[dict[str, Any]]], str | None]:
    clock = queries.venue(request).clock
    feed = _feed(query, _HISTORY_FEEDS, default=feeds.Feed.SIP)
    start, end = query.time("start"), query.time("end")
    newest = clock
    if feed is feeds.Feed.SIP and not caller.has_sip:
        newest = times.Nanos(clock - feeds.DELAY)
        if end is not None and end > newest:
            raise errors.Refused(errors.denied("subscription does not permit querying recent SIP data"))
    data, known = _recording(request).seen(feed, clock)
    # Unless a date says otherwise, a symbol is that of today; a dash takes it for itself alone.
    names = () if query.text("asof") == "-" else _recording(request).names
    asof = sessions.new_york_date(clock) if query.text("asof") in {"", "-"} else query.date("asof")
    span = (
        sessions.midnight(sessions.new_york_date(clock)) if start is None else start,
        newest if end is None else end,
    )
    asked = Asked(
        symbols, data, known, lambda symbol: renames.parts(names, symbol, asof=asof or dt.date.max, clock=known)
    )
    return paging.Page.of(query).take(symbols, part(query, asked, span))


def _latest(request: Request, symbol: str | None = None) -> Asked:
    caller, clock = queries.caller(request), queries.venue(request).clock
    query = _query(request, _LATEST if symbol is None else _LATEST - {"symbols"})
    symbols = _symbols(query) if symbol is None else (symbol,)
    feed = _feed(query, _LATEST_FEEDS, default=feeds.Feed.SIP if caller.has_sip else feeds.Feed.IEX)
    if feed is feeds.Feed.SIP and not caller.has_sip:
        raise errors.Refused(errors.denied("subscription does not permit querying recent SIP data"))
    return Asked(symbols, *_recording(request).seen(feed, clock))


def _feed(query: queries.Query, offered: Sequence[feeds.Feed], *, default: feeds.Feed) -> feeds.Feed:
    text = query.text("feed") or default
    if text in {"otc", "boats", "overnight"}:
        raise errors.Refused(errors.denied(f"subscription does not permit querying {text} data"))
    for feed in offered:
        if text == feed:
            return feed
    names = ", ".join(offered)
    raise errors.Refused(errors.malformed(f"feed must be one of {names}, got {text!r}"))


def _recording(request: Request) -> feeds.Recording:
    found: feeds.Recording = request.app.state.recording
    return found


def _bars(
    query: queries.Query, asked: Asked, span: tuple[times.Nanos, times.Nanos]
) -> paging.Listing[tuple[times.Nanos, bars.Bar]]:
    timeframe = _timeframe(query.text("timeframe"), has_minutes=not asked.data.is_daily)
    kinds = query.listing("adjustment") or [adjusting.RAW]
    for kind in kinds:
        if kind not in adjusting.KINDS:
            names = ", ".join(adjusting.KINDS)
            raise errors.Refused(errors.malformed(f"adjustment must be some of {names}, got {kind!r}"))

    def rows(symbol: str) -> Sequence[tuple[times.Nanos, bars.Bar]]:
        parts = asked.parts(symbol)
        factors = [one for part in parts for one in adjusting.factors(asked.data, part.symbol, asked.known, kinds)]
        found = [
            row
            for part in parts
            for row in _labelled(asked, part.symbol, timeframe, span, factors)
            if part.first <= row[0] <= part.last
        ]
        if timeframe.period is not None:
            period = timeframe.period
            found = adjusting.grouped(found, lambda label: sessions.midnight(period(sessions.new_york_date(label))))
        return [row for row in found if span[0] <= row[0] <= span[1]]

    def shape(_: str, row: tuple[times.Nanos, bars.Bar]) -> dict[str, Any]:
        # Of longer periods the trades between sessions would be counted too.
        measured = None if timeframe.period else asked.data.measures(row[1], asked.known)
        return render.bar(row[1], row[0], measured)

    return paging.Listing(rows, key=lambda row: row[0], shape=shape)


def _labelled(
    asked: Asked,
    symbol: str,
    timeframe: Timeframe,
    span: tuple[times.Nanos, times.Nanos],
    factors: Sequence[adjusting.Factor],
) -> list[tuple[times.Nanos, bars.Bar]]:
    data = asked.data
    if timeframe.length is not None:
        found = data.minutes(symbol, asked.known, length=timeframe.length, span=span)
        return [(bar.start, adjusting.adjusted(bar, factors)) for bar in found]
    return [(data.label(bar), adjusting.adjusted(bar, factors)) for bar in data.days(symbol, asked.known)]


def _timeframe(text: str, *, has_minutes: bool) -> Timeframe:
    digits = len(text) - len(text.lstrip("0123456789"))
    unit = _UNITS.get(text[digits:], text[digits:])
    count = int(text[:digits] or 1) if digits <= len("59") else 0
    match unit:
        case "Min" if has_minutes and 1 <= count <= _MINUTES_MAX:
            return Timeframe(times.Nanos(count * times.MINUTE))
        case "Hour" if has_minutes and 1 <= count <= _HOURS_MAX:
            return Timeframe(times.Nanos(count * times.HOUR))
        case "Day" if count == 1:
            return Timeframe(None)
        case "Week" if count == 1:
            return Timeframe(None, lambda day: day - dt.timedelta(days=day.weekday()))
        case "Month" if count in _MONTHS:
            return Timeframe(None, lambda day: day.replace(day=1, month=day.month - (day.month - 1) % count))
    offered = "1Min to 59Min, 1Hour to 23Hour, " if has_minutes else ""
    months = ", ".join(str(month) for month in _MONTHS)
    limit = f"{offered}1Day, 1Week or one of {months} Month for this recording"
    raise errors.Refused(errors.malformed(f"timeframe must be {limit}, got {text!r}"))


def _trades(_: queries.Query, asked: Asked, span: tuple[times.Nanos, times.Nanos]) -> paging.Listing[int]:
    def found(symbol: str) -> tape.Trades:
        return asked.data.tape_of(symbol).trades

    return paging.Listing(
        lambda symbol: found(symbol).span(span[0], times.Nanos(min(span[1], asked.known))),
        key=int,
        shape=lambda symbol, place: render.trade(found(symbol).row(place, at=asked.known)),
    )


def _quotes(_: queries.Query, asked: Asked, span: tuple[times.Nanos, times.Nanos]) -> paging.Listing[int]:
    def found(symbol: str) -> tape.Quotes:
        return asked.data.tape_of(symbol).quotes

    return paging.Listing(
        lambda symbol: found(symbol).span(span[0], times.Nanos(min(span[1], asked.known))),
        key=int,
        shape=lambda symbol, place: render.quote(found(symbol).row(place)),
    )


def _auctions(
    _: queries.Query, asked: Asked, span: tuple[times.Nanos, times.Nanos]
) -> paging.Listing[tuple[times.Nanos, dict[str, Any]]]:
    def rows(symbol: str) -> list[tuple[times.Nanos, dict[str, Any]]]:
        days: dict[dt.date, dict[str, list[dict[str, Any]]]] = {}
        for name, trade in _prints(asked, symbol, span):
            day = days.setdefault(sessions.new_york_date(trade.at), {"o": [], "c": []})
            day[name].append(render.auction(trade))
        return [(sessions.midnight(date), {"d": date.isoformat(), **day}) for date, day in days.items()]

    return paging.Listing(rows, key=lambda row: row[0], shape=lambda _, row: row[1])


def _prints(asked: Asked, symbol: str, span: tuple[times.Nanos, times.Nanos]) -> Iterator[tuple[str, tape.Trade]]:
    trades = asked.data.tape_of(symbol).trades
    for place in trades.span(span[0], times.Nanos(min(span[1], asked.known))):
        conditions = trades.conditions[place]
        for name, marks in (("o", tape.OPENING), ("c", tape.CLOSING)):
            if not set(marks).isdisjoint(conditions):
                yield name, trades.row(place, at=asked.known)


def _newest_of(what: str) -> Callable[[Asked, str], dict[str, Any] | None]:
    try:
        return {"bars": _newest_bar, "trades": _newest_trade, "quotes": _newest_quote}[what]
    except KeyError:
        raise errors.Refused(errors.not_found(f"no latest {what}")) from None


def _newest_bar(asked: Asked, symbol: str) -> dict[str, Any] | None:
    found = asked.data.newest(symbol, asked.known)
    return None if found is None else render.bar(*found, asked.data.measures(found[0], asked.known))


def _newest_trade(asked: Asked, symbol: str) -> dict[str, Any] | None:
    trades = asked.data.tape_of(symbol).trades
    place = trades.newest(asked.known)
    return None if place is None else render.trade(trades.row(place, at=asked.known))


def _newest_quote(asked: Asked, symbol: str) -> dict[str, Any] | None:
    quotes = asked.data.tape_of(symbol).quotes
    place = quotes.newest(asked.known)
    return None if place is None else render.quote(quotes.row(place))


def _snapshot(asked: Asked, symbol: str) -> dict[str, Any] | None:
    """Return the newest of everything, each null where there is none yet; None for a symbol without any of them."""
    data, known = asked.data, asked.known
    today = data.today(symbol, known)
    before = [day for day in data.days(symbol, known) if today is not None and day.start < today.start]
    row = {
        "latestTrade": _newest_trade(asked, symbol),
        "latestQuote": _newest_quote(asked, symbol),
        "minuteBar": None if data.is_daily else _newest_bar(asked, symbol),
        "dailyBar": None if today is None else _day(asked, today),
        "prevDailyBar": _day(asked, before[-1]) if before else None,
    }
    return row if any(row.values()) else None


def _day(asked: Asked, bar: bars.Bar) -> dict[str, Any]:
    return render.bar(bar, asked.data.label(bar), asked.data.measures(bar, asked.known))
