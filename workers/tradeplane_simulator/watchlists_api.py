"""Alpaca's interface to watchlists: make, read, change, add a symbol, take one out, delete."""

import dataclasses
from typing import Any

from fastapi import APIRouter, Request, Response

from tradeplane_simulator import book, errors, queries, render, simulator
from tradeplane_simulator.watchlists import Watchlist

ROUTES = APIRouter(prefix="/v2")
_NAME_MAX = 64


@ROUTES.get("/watchlists")
async def listing(request: Request) -> Response:
    """List the account's lists, without their assets as Alpaca does."""
    venue = queries.venue(request)
    found = venue.state.watchlists.of(queries.trader(request))
    return queries.answer([_head(one) for one in found])


@ROUTES.post("/watchlists")
async def create(request: Request) -> Response:
    """Make a list."""
    venue = queries.venue(request)
    account = queries.trader(request)
    body = queries.json_object(await request.body())
    number = venue.state.watchlists.next(account)
    now = venue.clock
    identity = book.identity("watchlist", account, number)
    new = Watchlist(identity, account, number, _name(body), now, now, _symbols(venue, body))
    return queries.answer(_kept(venue, new))


@ROUTES.get("/watchlists/{list_id}")
async def show(request: Request, list_id: str) -> Response:
    """Show a list with its assets."""
    venue = queries.venue(request)
    return queries.answer(_shown(venue, _found(venue, queries.trader(request), list_id)))


@ROUTES.put("/watchlists/{list_id}")
async def change(request: Request, list_id: str) -> Response:
    """Give a list another name or other symbols."""
    venue = queries.venue(request)
    found = _found(venue, queries.trader(request), list_id)
    body = queries.json_object(await request.body())
    if body.get("name") is not None:
        found = dataclasses.replace(found, name=_name(body))
    if body.get("symbols") is not None:
        found = dataclasses.replace(found, symbols=_symbols(venue, body))
    return queries.answer(_kept(venue, found))


@ROUTES.post("/watchlists/{list_id}")
async def add(request: Request, list_id: str) -> Response:
    """Add a symbol at the end of a list."""
    venue = queries.venue(request)
    found = _found(venue, queries.trader(request), list_id)
    body = queries.json_object(await request.body())
    (symbol,) = _symbols(venue, {"symbols": [body.get("symbol")]})
    symbols = tuple(dict.fromkeys([*found.symbols, symbol]))
    return queries.answer(_kept(venue, dataclasses.replace(found, symbols=symbols)))


@ROUTES.delete("/watchlists/{list_id}")
async def delete(request: Request, list_id: str) -> Response:
    """Delete a list."""
    venue = queries.venue(request)
    venue.state.watchlists.delete(_found(venue, queries.trader(request), list_id))
    return Response(status_code=204)


@ROUTES.delete("/watchlists/{list_id}/{symbol:path}")
async def remove(request: Request, list_id: str, symbol: str) -> Response:
    """Take a symbol out of a list."""
    venue = queries.venue(request)
    found = _found(venue, queries.trader(request), list_id)
    if symbol not in found.symbols:
        raise errors.Refused(errors.not_found(f"symbol {symbol} is not in the watchlist"))
    symbols = tuple(one for one in found.symbols if one != symbol)
    return queries.answer(_kept(venue, dataclasses.replace(found, symbols=symbols)))


def _found(venue: simulator.Simulator, account: str, list_id: str) -> Watchlist:
    found = venue.state.watchlists.one(account, list_id=list_id)
    if found is None:
        raise errors.Refused(errors.not_found(f"watchlist not found for {list_id}"))
    return found


def _kept(venue: simulator.Simulator, one: Watchlist) -> dict[str, Any]:
    other = venue.state.watchlists.one(one.account, name=one.name)
    if other is not None and other.id != one.id:
        raise errors.Refused(errors.malformed("watchlist name must be unique"))
    kept = dataclasses.replace(one, updated_at=venue.clock)
    venue.state.watchlists.keep(kept)
    return _shown(venue, kept)


def _name(body: dict[str, Any]) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= _NAME_MAX:
        raise errors.Refused(errors.malformed(f"name must be a text of 1 to {_NAME_MAX} characters, got {name}"))
    return name


def _symbols(venue: simulator.Simulator, body: dict[str, Any]) -> tuple[str, ...]:
    symbols = body.get("symbols") or []
    if not isinstance(symbols, list):
        raise errors.Refused(errors.malformed("symbols must be a list"))
    listed = venue.data.listings(venue.clock)
    for symbol in symbols:
        if symbol not in listed:
            raise errors.Refused(errors.unprocessable(f'asset "{symbol}" not found'))
    return tuple(dict.fromkeys(symbols))


def _head(one: Watchlist) -> dict[str, Any]:
    return render.watchlist(one.id, one.name, created_at=one.created_at, updated_at=one.updated_at) | {
        "account_id": book.identity("account", one.account)
    }


def _shown(venue: simulator.Simulator, one: Watchlist) -> dict[str, Any]:
    return _head(one) | {"assets": [render.asset(symbol, venue.assets.get(symbol)) for symbol in one.symbols]}
