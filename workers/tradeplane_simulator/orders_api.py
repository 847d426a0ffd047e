"""Alpaca's order interface: every type, time in force and class of orders for US equities."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Request, Response

from tradeplane_engine import errors as engine_errors
from tradeplane_engine.domain import numbers, orders
from tradeplane_simulator import book, commands, errors, queries, render, simulator, store

ROUTES = APIRouter(prefix="/v2")
_ORDER_FIELDS = frozenset(
    {"symbol", "qty", "notional", "side", "type", "time_in_force", "client_order_id", "order_class", "position_intent"}
    | {"limit_price", "stop_price", "trail_price", "trail_percent", "extended_hours", "take_profit", "stop_loss"}
)
_CHANGES = frozenset({"qty", "time_in_force", "limit_price", "stop_price", "trail", "client_order_id"})
_OPTION = re.compile(r"[A-Z]{1,6}\d{6}[CP]\d{8}")
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
    order, *legs = venue.submit(name, wanted)
    request.state.entry.client_order_id = order.client_order_id
    return queries.answer(render.order(order, legs))


@ROUTES.get("/orders")
async def listing(request: Request) -> Response:
    """List orders."""
    venue = queries.venue(request)
    query = order_query(queries.trader(request), queries.Query(request))
    found = venue.state.orders(query)
    return queries.answer([_shown(venue, order, nested=not query.legs) for order in found])


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
    return queries.answer(_shown(venue, order, nested=True))


@ROUTES.get("/orders/{order_id}")
async def by_id(request: Request, order_id: str) -> Response:
    """Show an order."""
    venue = queries.venue(request)
    name = queries.trader(request)
    nested = queries.Query(request, allowed={"nested"}).flag("nested")
    order = venue.state.order(name, order_id=order_id)
    if order is None:
        raise errors.Refused(errors.not_found(f"order not found for {order_id}"))
    request.state.entry.client_order_id = order.client_order_id
    return queries.answer(_shown(venue, order, nested=nested))


@ROUTES.patch("/orders/{order_id}")
async def replace(request: Request, order_id: str) -> Response:
    """Put another order in the place of one."""
    venue = queries.venue(request)
    name = queries.trader(request)
    change = change_request(queries.json_object(await request.body()))
    request.state.entry.client_order_id = change.client_order_id
    order = venue.replace(name, order_id, change)
    request.state.entry.client_order_id = order.client_order_id
    return queries.answer(_shown(venue, order, nested=True))


@ROUTES.delete("/orders")
async def cancel_all(request: Request) -> Response:
    """End every open order."""
    venue = queries.venue(request)
    found = venue.cancel_all(queries.trader(request))
    return queries.answer(
        [
            {"id": order_id, "status": 200}
            if refusal is None
            else {"id": order_id, "status": refusal.status, "body": refusal.body()}
            for order_id, refusal in found
        ],
        status=207,
    )


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
    """Read the body of a new order; raises Refused for what cannot be read, and for what is not for US equities."""
    _is_offered(body)
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
    take_profit, stop_loss = (_exit(body, name) for name in ("take_profit", "stop_loss"))
    intent = body.get("position_intent") or ""
    if intent and intent not in _INTENTS:
        raise errors.Refused(errors.malformed(f"position_intent must be one of {list(_INTENTS)}, got {intent!r}"))
    return book.Request(
        symbol=symbol,
        side=orders.Side(side),
        quantity=quantity(body, "qty"),
        notional=_notional(body),
        client_order_id=client_order_id,
        intent=intent,
        kind=_word(body, "type"),
        time_in_force=_word(body, "time_in_force"),
        limit_price=_price(body, "limit_price"),
        stop_price=_price(body, "stop_price"),
        trail_price=_price(body, "trail_price"),
        trail_bps=_basis_points(body, "trail_percent"),
        extended_hours=_flag(body, "extended_hours"),
        order_class=_text(body, "order_class") or "simple",
        take_profit=_price(take_profit, "limit_price"),
        stop_loss=_price(stop_loss, "stop_price"),
        stop_loss_limit=_price(stop_loss, "limit_price"),
    )


def _is_offered(body: dict[str, Any]) -> None:
    """Refuse what is for other assets than US equities, as to an account without them, and unknown fields."""
    symbol = str(body.get("symbol"))
    for feature, wanted in (
        ("multi-leg orders", body.get("order_class") == "mleg" or body.get("legs") is not None),
        ("crypto", "/" in symbol),
        ("options", _OPTION.fullmatch(symbol) is not None),
    ):
        if wanted:
            raise errors.Refused(errors.not_entitled(feature))
    for name, value in body.items():
        if name not in _ORDER_FIELDS and value is not None:
            raise errors.Refused(errors.unprocessable(f"{name} is not offered"))


def change_request(body: dict[str, Any]) -> commands.Change:
    """Read the body of a replacement; raises Refused."""
    for name, value in body.items():
        if name not in _CHANGES and value is not None:
            raise errors.Refused(errors.unprocessable(f"{name} cannot be replaced"))
    return commands.Change(
        quantity=quantity(body, "qty"),
        limit_price=_price(body, "limit_price"),
        stop_price=_price(body, "stop_price"),
        trail=_price(body, "trail"),
        time_in_force=_text(body, "time_in_force"),
        client_order_id=_text(body, "client_order_id"),
    )


def order_query(account: str, query: queries.Query) -> store.OrderQuery:
    """Read the filters of an order listing."""
    query.only({"status", "limit", "after", "until", "direction", "nested", "side", "symbols"})
    return store.OrderQuery(
        account=account,
        status=query.choice("status", ("open", "closed", "all")),
        limit=query.integer("limit", default=50, most=_ORDERS_MAX),
        after=query.time("after"),
        until=query.time("until"),
        ascending=query.choice("direction", ("desc", "asc")) == "asc",
        side=query.choice("side", ("", "buy", "sell")),
        symbols=query.listing("symbols"),
        legs=not query.flag("nested"),
    )


def _shown(venue: simulator.Simulator, order: book.Order, *, nested: bool) -> dict[str, Any]:
    has_legs = nested and order.order_class != "simple" and not order.parent
    return render.order(order, venue.state.legs(order.account, order.id) if has_legs else ())


def _exit(body: dict[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise errors.Refused(errors.malformed(f"{name} must be an object of prices, got {value}"))
    return value or {}


def _word(body: dict[str, Any], name: str) -> str:
    """Return a word, which the venue's rules know or not."""
    if body.get(name) is None:
        raise errors.Refused(errors.malformed(f"{name} is required"))
    return _text(body, name)


def _text(body: dict[str, Any], name: str) -> str:
    """Return a text, empty where none is given."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise errors.Refused(errors.malformed(f"{name} must be a text, got {value}"))
    return value or ""


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


def quantity(body: dict[str, Any], name: str) -> numbers.Quantity:
    """Return a positive quantity, 0 where none is given; raises Refused."""
    return numbers.Quantity(_positive(body, name, numbers.quantity))


def _notional(body: dict[str, Any]) -> numbers.Money:
    amount = _positive(body, "notional", numbers.money)
    if amount % numbers.ONE_CENT:
        raise errors.Refused(errors.malformed(f"notional must have at most two decimals, got {body['notional']}"))
    return numbers.Money(amount)


def _positive(body: dict[str, Any], name: str, parse: Callable[..., int]) -> int:
    value = body.get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise errors.Refused(errors.malformed(f"{name} must be a decimal number, got {value!r}"))
    try:
        found = parse(queries.decimal(str(value)), field=name)
    except engine_errors.ValueRefused as error:
        raise errors.Refused(errors.malformed(str(error))) from error
    if found <= 0:
        raise errors.Refused(errors.malformed(f"{name} must be positive, got {value}"))
    return found
