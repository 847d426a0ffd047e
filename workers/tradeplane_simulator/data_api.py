"""Alpaca's market data interface, the part this venue offers: raw bars and corporate actions, point in time.

A dataset of days gives days. One of minutes gives minutes, what is made of them on the clock, and days.

Nothing is ever shown that was not known at the venue's clock: a bar from its publication on, an action from its
ex-date's open on.
"""

import base64
import binascii
import datetime as dt
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from tradeplane_engine.domain import bars, times
from tradeplane_simulator import errors, queries, render, sessions, simulator

ROUTES = APIRouter()
_BARS_MAX = 10_000
_BARS_DEFAULT = 1_000
_ACTIONS_MAX = 1_000
_ACTIONS_DEFAULT = 100
_DAYS = ("1Day", "1D")
_LENGTHS = {
    "1Min": times.MINUTE,
    "5Min": 5 * times.MINUTE,
    "15Min": 15 * times.MINUTE,
    "30Min": 30 * times.MINUTE,
    "1Hour": times.HOUR,
}
_KINDS = ("forward_splits", "reverse_splits", "cash_dividends")
_OTHER_KINDS = (
    "unit_splits",
    "stock_dividends",
    "spin_offs",
    "cash_mergers",
    "stock_mergers",
    "stock_and_cash_mergers",
    "redemptions",
    "name_changes",
    "worthless_removals",
    "rights_distributions",
)


@dataclass(frozen=True, slots=True)
class BarQuery:
    """Filters of a bar listing; the bounds are inclusive and apply to the label of a bar; no length means days."""

    symbols: tuple[str, ...]
    length: times.Nanos | None
    start: times.Nanos
    end: times.Nanos
    limit: int
    ascending: bool


@ROUTES.get("/v2/stocks/bars")
async def listing(request: Request) -> Response:
    """List bars."""
    venue = queries.venue(request)
    queries.caller(request)
    query = queries.Query(
        request,
        allowed={
            "symbols",
            "timeframe",
            "start",
            "end",
            "limit",
            "adjustment",
            "asof",
            "feed",
            "currency",
            "sort",
            "page_token",
        },
    )
    wanted = bar_query(query, clock=venue.clock, has_minutes=not venue.data.is_daily)
    found, token = page(venue, wanted, token=query.text("page_token"))
    return queries.answer({"bars": found, "next_page_token": token, "currency": "USD"})


@ROUTES.get("/v2/stocks/bars/latest")
async def latest(request: Request) -> Response:
    """Show each symbol's newest bar."""
    venue = queries.venue(request)
    queries.caller(request)
    query = queries.Query(request, allowed={"symbols", "feed", "currency"})
    _feed_and_currency(query)
    newest = {symbol: venue.data.newest(symbol, venue.clock) for symbol in _symbols(query)}
    return queries.answer(
        {
            "bars": {symbol: render.bar(*found) for symbol, found in sorted(newest.items()) if found is not None},
            "currency": "USD",
        }
    )


@ROUTES.get("/v1/corporate-actions")
async def corporate_actions(request: Request) -> Response:
    """List splits and dividends."""
    venue = queries.venue(request)
    queries.caller(request)
    query = queries.Query(request, allowed={"symbols", "types", "start", "end", "limit", "sort", "page_token", "ids"})
    found, token = _actions(venue, query)
    return queries.answer({"corporate_actions": found, "next_page_token": token})


def bar_query(query: queries.Query, *, clock: times.Nanos, has_minutes: bool) -> BarQuery:
    """Read the filters of a bar listing; raises Refused for what this feed does not have."""
    _feed_and_currency(query)
    timeframe = query.text("timeframe")
    lengths = _LENGTHS if has_minutes else {}
    if timeframe not in {*_DAYS, *lengths}:
        offered = ", ".join([*lengths, "1Day"])
        raise errors.Refused(errors.malformed(f"timeframe must be {offered} for this feed, got {timeframe!r}"))
    if query.text("adjustment") not in {"", "raw"}:
        raise errors.Refused(errors.malformed(f"adjustment must be raw here, got {query.text('adjustment')!r}"))
    if query.text("asof") != "-":
        query.date("asof")
    start, end = query.time("start"), query.time("end")
    return BarQuery(
        symbols=_symbols(query),
        length=times.Nanos(lengths[timeframe]) if timeframe in lengths else None,
        start=sessions.midnight(sessions.new_york_date(clock)) if start is None else start,
        end=clock if end is None else end,
        limit=query.integer("limit", default=_BARS_DEFAULT, most=_BARS_MAX),
        ascending=query.choice("sort", ("asc", "desc")) == "asc",
    )


def page(
    venue: simulator.Simulator, wanted: BarQuery, *, token: str
) -> tuple[dict[str, list[dict[str, Any]]], str | None]:
    """Return one page, by symbol and then time, and the token of the next one; the limit counts all symbols."""
    last_symbol, last_label = _read_token(token) if token else ("", times.Nanos(0))
    found: dict[str, list[dict[str, Any]]] = {}
    left = wanted.limit
    for symbol in wanted.symbols:
        if symbol < last_symbol:
            continue
        rows = _labelled(venue, symbol, wanted)
        if not wanted.ascending:
            rows.reverse()
        if symbol == last_symbol:
            rows = [row for row in rows if (row[0] > last_label if wanted.ascending else row[0] < last_label)]
        if rows and not left:
            # The page was full exactly at the end of a symbol: the next one starts after its last bar.
            return found, _token(last_symbol, last_label)
        taken = rows[:left]
        if taken:
            found[symbol] = [render.bar(bar, label) for label, bar in taken]
            left -= len(taken)
            last_symbol, last_label = symbol, taken[-1][0]
        if len(taken) < len(rows):
            return found, _token(last_symbol, last_label)
    return found, None


def _labelled(venue: simulator.Simulator, symbol: str, wanted: BarQuery) -> list[tuple[times.Nanos, bars.Bar]]:
    if wanted.length is not None:
        span = (wanted.start, wanted.end)
        return [(bar.start, bar) for bar in venue.data.minutes(symbol, venue.clock, length=wanted.length, span=span)]
    labelled = ((venue.data.label(bar), bar) for bar in venue.data.days(symbol, venue.clock))
    return [(label, bar) for label, bar in labelled if wanted.start <= label <= wanted.end]


def _symbols(query: queries.Query) -> tuple[str, ...]:
    symbols = tuple(sorted(set(query.listing("symbols"))))
    if not symbols:
        raise errors.Refused(errors.malformed("symbols is required"))
    return symbols


def _feed_and_currency(query: queries.Query) -> None:
    feed = query.text("feed")
    if feed not in {"", "iex"}:
        raise errors.Refused(errors.denied(f"subscription does not permit querying {feed} data"))
    if query.text("currency").upper() not in {"", "USD"}:
        raise errors.Refused(errors.malformed(f"currency must be USD here, got {query.text('currency')!r}"))


def _token(symbol: str, label: times.Nanos) -> str:
    return base64.urlsafe_b64encode(f"{symbol}|{label}".encode()).decode()


def _read_token(token: str) -> tuple[str, times.Nanos]:
    try:
        symbol, _, label = base64.urlsafe_b64decode(token.encode()).decode().partition("|")
        return symbol, times.Nanos(int(label))
    except (binascii.Error, ValueError):
        raise errors.Refused(errors.malformed("page_token is not one of this listing's")) from None


def _actions(venue: simulator.Simulator, query: queries.Query) -> tuple[dict[str, list[dict[str, Any]]], str | None]:
    kinds = _action_kinds(query)
    symbols, ids = query.listing("symbols"), query.listing("ids")
    today = sessions.new_york_date(venue.clock)
    # Alpaca's defaults: the current day, unless ids name the rows.
    start = query.date("start") or (dt.date.min if ids else today)
    end = query.date("end") or today
    limit = query.integer("limit", default=_ACTIONS_DEFAULT, most=_ACTIONS_MAX)
    rows = [
        (kind, row)
        for action in venue.data.actions
        if action.ex_start <= venue.clock and start <= sessions.new_york_date(action.ex_start) <= end
        for kind, row in render.corporate_action(action)
        if kind in kinds and (not symbols or action.symbol in symbols) and (not ids or row["id"] in ids)
    ]
    if query.choice("sort", ("asc", "desc")) == "desc":
        rows.reverse()
    token = query.text("page_token")
    first = _read_place(token) if token else 0
    found: dict[str, list[dict[str, Any]]] = {}
    for kind, row in rows[first : first + limit]:
        found.setdefault(kind, []).append(row)
    return found, str(first + limit) if first + limit < len(rows) else None


def _action_kinds(query: queries.Query) -> frozenset[str]:
    # The request names kinds in the singular, the answer in the plural.
    known = {name.removesuffix("s"): name for name in (*_KINDS, *_OTHER_KINDS)}
    wanted = query.listing("types")
    for name in wanted:
        if name not in known:
            raise errors.Refused(errors.malformed(f"types must be of {sorted(known)}, got {name!r}"))
    return frozenset(known[name] for name in wanted) if wanted else frozenset(_KINDS)


def _read_place(token: str) -> int:
    if not (token.isascii() and token.isdigit()):
        raise errors.Refused(errors.malformed("page_token is not one of this listing's"))
    return int(token)
