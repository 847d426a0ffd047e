"""Alpaca's order interface, the part this venue offers: simple orders in shares, of every type and time in force."""

from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Request, Response

from tradeplane_engine import errors as engine_errors
from tradeplane_engine.domain import numbers, orders
from tradeplane_simulator import book, errors, queries, render, store

ROUTES = APIRouter(prefix="/v2")
_ORDER_FIELDS = frozenset(
    {"symbol", "qty", "side", "type", "time_in_force", "client_order_id", "order_class", "position_intent"}
    | {"limit_price", "stop_price", "trail_price", "trail_percent", "extended_hours"}
)
# Fields of other order classes, with the value that means the same as their absence.
_NEUTRAL: dict[str, tuple[Any, ...]] = {"order_class": (None, "", "simple")}
_INTENTS = ("buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close")
_CLIENT_ORDER_ID_MAX = 128
_ORDERS_MAX = 500


@ROUTES.post("/orders")
async def submit(request: Request) -> Response:
    """Take an order."""
    venue = queries.venue(request)
    name = queries.trader(request)
    body = queries.json_object(await request.body())
    wanted = order_request(body)
    request.state.entry.client_order_id = wanted.client_order_id
    order = venue.submit(name, wanted)
    request.state.entry.client_order_id = order.client_order_id
    return queries.answer(render.order(order))


@ROUTES.get("/orders")
async def listing(request: Request) -> Response:
    """List orders."""
    venue = queries.venue(request)
    query = order_query(queries.trader(request), queries.Query(request))
    return queries.answer([render.order(order) for order in venue.state.orders(query)])


@ROUTES.get("/orders:by_client_order_id")
async def by_client_order_id(request: Request) -> Response:
    """Show an order by the client's own id."""
    venue = queries.venue(request)
    name = queries.trader(request)
    client_order_id = queries.Query(request, allowed={"client_order_id"}).text("client_order_id")
    request.state.entry.client_order_id = client_order_id
    order = venue.state.order(name, client_order_id=client_order_id) if client_order_id else None
    if order is None:
        raise errors.Refused(errors.not_found(f"order not found for {client_order_id}"))
    return queries.answer(render.order(order))


@ROUTES.get("/orders/{order_id}")
async def by_id(request: Request, order_id: str) -> Response:
    """Show an order."""
    venue = queries.venue(request)
    name = queries.trader(request)
    queries.Query(request, allowed={"nested"}).flag("nested")
    order = venue.state.order(name, order_id=order_id)
    if order is None:
        raise errors.Refused(errors.not_found(f"order not found for {order_id}"))
    request.state.entry.client_order_id = order.client_order_id
    return queries.answer(render.order(order))


@ROUTES.delete("/orders")
async def cancel_all(request: Request) -> Response:
    """End every open order."""
    venue = queries.venue(request)
    ids = venue.cancel_all(queries.trader(request))
    return queries.answer([{"id": found, "status": 200} for found in ids], status=207)


@ROUTES.delete("/orders/{order_id}")
async def cancel(request: Request, order_id: str) -> Response:
    """End an order."""
    venue = queries.venue(request)
    name = queries.trader(request)
    order = venue.state.order(name, order_id=order_id)
    if order is not None:
        request.state.entry.client_order_id = order.client_order_id
    venue.cancel(name, order_id)
    return Response(status_code=204)


def order_request(body: dict[str, Any]) -> book.Request:
    """Read the body of a new order; raises Refused for everything that is not a simple order in shares."""
    for name, value in body.items():
        if name in _NEUTRAL:
            if value not in _NEUTRAL[name]:
                raise errors.Refused(errors.unprocessable(f"{name} {value!r} is not offered: simple orders only"))
        elif name not in _ORDER_FIELDS and value is not None:
            raise errors.Refused(errors.unprocessable(f"{name} is not offered: simple orders in shares only"))
    symbol = body.get("symbol")
    if not isinstance(symbol, str) or not symbol:
        raise errors.Refused(errors.malformed("symbol is required"))
    side = body.get("side")
    if side not in {"buy", "sell"}:
        raise errors.Refused(errors.malformed(f"side must be buy or sell, got {side!r}"))
    client_order_id = body.get("client_order_id") or ""
    if not isinstance(client_order_id, str) or len(client_order_id) > _CLIENT_ORDER_ID_MAX:
        raise errors.Refused(
            errors.malformed(f"client_order_id must be a text of at most {_CLIENT_ORDER_ID_MAX} characters")
        )
    intent = body.get("position_intent") or ""
    if intent and intent not in _INTENTS:
        raise errors.Refused(errors.malformed(f"position_intent must be one of {list(_INTENTS)}, got {intent!r}"))
    return book.Request(
        symbol=symbol,
        side=orders.Side(side),
        quantity=_quantity(body.get("qty")),
        client_order_id=client_order_id,
        intent=intent,
        kind=_word(body, "type"),
        time_in_force=_word(body, "time_in_force"),
        limit_price=_price(body, "limit_price"),
        stop_price=_price(body, "stop_price"),
        trail_price=_price(body, "trail_price"),
        trail_bps=_basis_points(body, "trail_percent"),
        extended_hours=_flag(body, "extended_hours"),
    )


def order_query(account: str, query: queries.Query) -> store.OrderQuery:
    """Read the filters of an order listing."""
    query.only({"status", "limit", "after", "until", "direction", "nested", "side", "symbols"})
    query.flag("nested")
    return store.OrderQuery(
        account=account,
        status=query.choice("status", ("open", "closed", "all")),
        limit=query.integer("limit", default=50, most=_ORDERS_MAX),
        after=query.time("after"),
        until=query.time("until"),
        ascending=query.choice("direction", ("desc", "asc")) == "asc",
        side=query.choice("side", ("", "buy", "sell")),
        symbols=query.listing("symbols"),
    )


def _word(body: dict[str, Any], name: str) -> str:
    """Return a word, which the venue's rules know or not."""
    value = body.get(name)
    if value is None:
        raise errors.Refused(errors.malformed(f"{name} is required"))
    if not isinstance(value, str):
        raise errors.Refused(errors.malformed(f"{name} must be a text, got {value}"))
    return value


def _flag(body: dict[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise errors.Refused(errors.malformed(f"{name} must be true or false, got {value!r}"))
    return bool(value)


def _price(body: dict[str, Any], name: str) -> numbers.Price:
    """Return a price, 0 where none is given."""
    value = body.get(name)
    if value is None:
        return numbers.Price(0)
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise errors.Refused(errors.malformed(f"{name} must be a decimal number, got {value!r}"))
    try:
        return numbers.price(queries.decimal(str(value)), field=name)
    except engine_errors.ValueRefused as error:
        raise errors.Refused(errors.malformed(str(error))) from error


def _basis_points(body: dict[str, Any], name: str) -> int:
    """Return a percentage in basis points, 0 where none is given."""
    hundredths = _price(body, name)  # of four decimals
    if hundredths % 100:
        raise errors.Refused(errors.malformed(f"{name} must have at most two decimals, got {body[name]}"))
    return hundredths // 100


def _quantity(value: Any) -> numbers.Quantity:
    if value is None:
        raise errors.Refused(errors.malformed("qty is required"))
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise errors.Refused(errors.malformed(f"qty must be a decimal number, got {value!r}"))
    try:
        quantity = numbers.quantity(queries.decimal(str(value)), field="qty")
    except engine_errors.ValueRefused as error:
        raise errors.Refused(errors.malformed(str(error))) from error
    if quantity <= 0:
        raise errors.Refused(errors.malformed(f"qty must be positive, got {value}"))
    return quantity
