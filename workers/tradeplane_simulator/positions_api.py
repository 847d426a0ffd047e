"""Alpaca's interface to positions: what is held, and orders that close it."""

from typing import Any

from fastapi import APIRouter, Request, Response

from tradeplane_engine.domain import numbers, orders
from tradeplane_simulator import account as accounts
from tradeplane_simulator import book, errors, orders_api, queries, render, simulator

ROUTES = APIRouter(prefix="/v2")
_PERCENT = 100


@ROUTES.get("/positions")
async def positions(request: Request) -> Response:
    """List positions."""
    venue = queries.venue(request)
    name = queries.trader(request)
    return queries.answer([_shown(venue, name, held) for held in venue.desks[name].account.positions.values()])


@ROUTES.get("/positions/{symbol_or_id}")
async def position(request: Request, symbol_or_id: str) -> Response:
    """Show one position."""
    venue = queries.venue(request)
    name = queries.trader(request)
    return queries.answer(_shown(venue, name, _held(venue, name, symbol_or_id)))


@ROUTES.delete("/positions")
async def close_all(request: Request) -> Response:
    """Order the end of every position, if asked for after that of every open order."""
    venue = queries.venue(request)
    name = queries.trader(request)
    if queries.Query(request, allowed={"cancel_orders"}).flag("cancel_orders"):
        venue.cancel_all(name)
    held = tuple(venue.desks[name].account.positions.values())
    return queries.answer([_closed(venue, name, one) for one in held], status=207)


@ROUTES.delete("/positions/{symbol_or_id}")
async def close(request: Request, symbol_or_id: str) -> Response:
    """Order the end of a position, or of a part of it."""
    venue = queries.venue(request)
    name = queries.trader(request)
    query = queries.Query(request, allowed={"qty", "percentage"})
    held = _held(venue, name, symbol_or_id)
    order, *_ = venue.submit(name, _closing(held, _part(query, held)))
    request.state.entry.client_order_id = order.client_order_id
    return queries.answer(render.order(order))


def _held(venue: simulator.Simulator, account: str, symbol_or_id: str) -> accounts.Position:
    for symbol, held in venue.desks[account].account.positions.items():
        if symbol_or_id in {symbol, render.asset_id(symbol)}:
            return held
    raise errors.Refused(errors.not_found("position does not exist"))


def _shown(venue: simulator.Simulator, account: str, held: accounts.Position) -> dict[str, Any]:
    quotation = venue.data.quotation(held.symbol, venue.clock)
    if quotation is None:
        # A position in a symbol without any price cannot arise; answering zero would hide a fault.
        raise errors.Refused(errors.internal())
    return render.position(held, venue.desks[account], quotation=quotation)


def _part(query: queries.Query, held: accounts.Position) -> numbers.Quantity:
    """Return how many shares to close; raises Refused."""
    given = {name: query.text(name) for name in ("qty", "percentage") if query.text(name)}
    if len(given) > 1:
        raise errors.Refused(errors.malformed("only one of qty or percentage is accepted"))
    if not given:
        return numbers.Quantity(abs(held.quantity))
    asked = orders_api.quantity(given, *given)
    if "qty" in given:
        return asked
    if asked > _PERCENT * numbers.ONE_SHARE:
        raise errors.Refused(errors.malformed(f"percentage must be at most {_PERCENT}, got {given['percentage']}"))
    part = abs(held.quantity) * asked // (_PERCENT * numbers.ONE_SHARE)
    if not part:
        raise errors.Refused(errors.malformed(f"percentage must be at least 1e-9 share, got {given['percentage']}"))
    return numbers.Quantity(part)


def _closing(held: accounts.Position, quantity: numbers.Quantity) -> book.Request:
    side = orders.Side.SELL if held.quantity > 0 else orders.Side.BUY
    return book.Request(symbol=held.symbol, side=side, quantity=quantity, client_order_id="")


def _closed(venue: simulator.Simulator, account: str, held: accounts.Position) -> dict[str, Any]:
    try:
        order, *_ = venue.submit(account, _closing(held, numbers.Quantity(abs(held.quantity))))
    except errors.Refused as error:
        body = {"symbol": held.symbol, **error.refusal.body()}
        return {"symbol": held.symbol, "status": error.refusal.status, "body": body}
    return {"symbol": held.symbol, "status": 200, "body": render.order(order)}
