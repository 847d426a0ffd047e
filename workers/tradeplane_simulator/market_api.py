"""Alpaca's reference interface: the market's clock and calendar, and the assets that can be traded."""

import datetime as dt
from typing import Any

from fastapi import APIRouter, Request, Response

from tradeplane_simulator import errors, queries, render, sessions, simulator

ROUTES = APIRouter(prefix="/v2")
_ASSET_FILTERS = ("status", "asset_class", "exchange", "attributes")


@ROUTES.get("/clock")
async def clock(request: Request) -> Response:
    """Show the market clock."""
    venue = queries.venue(request)
    queries.trader(request)
    return queries.answer(render.clock(venue.clock, venue.data.sessions))


@ROUTES.get("/calendar")
async def calendar(request: Request) -> Response:
    """List sessions."""
    venue = queries.venue(request)
    queries.trader(request)
    query = queries.Query(request, allowed={"start", "end", "date_type"})
    return queries.answer(_calendar(venue.data.sessions, start=query.date("start"), end=query.date("end")))


@ROUTES.get("/assets")
async def assets(request: Request) -> Response:
    """List assets."""
    venue = queries.venue(request)
    queries.trader(request)
    return queries.answer(_assets(venue, queries.Query(request, allowed=set(_ASSET_FILTERS))))


@ROUTES.get("/assets/{symbol_or_id:path}")
async def asset(request: Request, symbol_or_id: str) -> Response:
    """Show one asset."""
    venue = queries.venue(request)
    queries.trader(request)
    for symbol in venue.data.listings(venue.clock):
        if symbol_or_id in {symbol, render.asset_id(symbol)}:
            return queries.answer(render.asset(symbol, venue.assets.get(symbol)))
    raise errors.Refused(errors.not_found(f"asset not found for {symbol_or_id}"))


def _assets(venue: simulator.Simulator, query: queries.Query) -> list[dict[str, Any]]:
    wanted = {"status": query.text("status"), "class": query.text("asset_class"), "exchange": query.text("exchange")}
    attributes = set(query.listing("attributes"))
    found = [render.asset(symbol, venue.assets.get(symbol)) for symbol in venue.data.listings(venue.clock)]
    return [
        one
        for one in found
        if all(value in {"", "all", one[name]} for name, value in wanted.items())
        and attributes <= set(one["attributes"])
    ]


def _calendar(calendar: sessions.Sessions, *, start: dt.date | None, end: dt.date | None) -> list[dict[str, str]]:
    days = calendar.days
    return [
        render.calendar_day(day, days[place + 1].date if place + 1 < len(days) else day.date)
        for place, day in enumerate(days)
        if (start is None or start <= day.date) and (end is None or day.date <= end)
    ]
