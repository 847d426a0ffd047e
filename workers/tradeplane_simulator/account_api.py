"""Alpaca's account interface: account, positions and activities, of the account whose key is calling."""

import datetime as dt
from typing import Any

from fastapi import APIRouter, Request, Response

from tradeplane_simulator import errors, queries, render, sessions, simulator, store

ROUTES = APIRouter(prefix="/v2")
_PAGE_MAX = 100


@ROUTES.get("/account")
async def account(request: Request) -> Response:
    """Show the account."""
    venue = queries.venue(request)
    return queries.answer(render.account(venue.desks[queries.trader(request)], venue.market))


@ROUTES.get("/positions")
async def positions(request: Request) -> Response:
    """List positions."""
    venue = queries.venue(request)
    found = venue.desks[queries.trader(request)]
    return queries.answer([_position(venue, found, symbol) for symbol in found.account.positions])


@ROUTES.get("/positions/{symbol_or_id}")
async def position(request: Request, symbol_or_id: str) -> Response:
    """Show one position."""
    venue = queries.venue(request)
    found = venue.desks[queries.trader(request)]
    for symbol in found.account.positions:
        if symbol_or_id in {symbol, render.asset_id(symbol)}:
            return queries.answer(_position(venue, found, symbol))
    raise errors.Refused(errors.not_found("position does not exist"))


@ROUTES.get("/account/activities")
async def activities(request: Request) -> Response:
    """List activities."""
    venue = queries.venue(request)
    query = activity_query(queries.trader(request), queries.Query(request))
    return queries.answer([render.activity(row) for row in venue.state.activities(query)])


@ROUTES.get("/account/activities/{kind}")
async def activities_of(request: Request, kind: str) -> Response:
    """List activities of one type."""
    venue = queries.venue(request)
    query = activity_query(queries.trader(request), queries.Query(request), kind=kind)
    return queries.answer([render.activity(row) for row in venue.state.activities(query)])


def activity_query(account: str, query: queries.Query, *, kind: str = "") -> store.ActivityQuery:
    """Read the filters of a listing of activities; ``kind`` is the type in the path."""
    query.only({"activity_types", "after", "until", "date", "direction", "page_size", "page_token"})
    after, until = query.time("after"), query.time("until")
    date = query.date("date")
    if date is not None:
        after = sessions.before(sessions.midnight(date))
        until = sessions.midnight(date + dt.timedelta(days=1))
    return store.ActivityQuery(
        account=account,
        types=[kind] if kind else query.listing("activity_types"),
        limit=query.integer("page_size", default=_PAGE_MAX, most=_PAGE_MAX),
        after=after,
        until=until,
        ascending=query.choice("direction", ("desc", "asc")) == "asc",
        page_token=query.text("page_token"),
    )


def _position(venue: simulator.Simulator, found: Any, symbol: str) -> dict[str, Any]:
    quotation = venue.data.quotation(symbol, venue.clock)
    if quotation is None:
        # A position in a symbol without any price cannot arise; answering zero would hide a fault.
        raise errors.Refused(errors.internal())
    return render.position(found.account.positions[symbol], found, quotation=quotation)
