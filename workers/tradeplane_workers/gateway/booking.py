"""Booking: events of the broker, through the reducer, into the ledger, in one transaction.

Guard ``unseen-watched``: an order that turns up after its intent was given up is ours, and booked.
Guard ``late-cancel-written``: that nobody wants it any more is written with it, so that no crash loses its cancel.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, orders, times
from tradeplane_workers.brokers import port
from tradeplane_workers.gateway import reducer
from tradeplane_workers.stores import decisions, journal
from tradeplane_workers.stores import orders as orders_store

_log = structlog.get_logger(__name__)
# What an intent may be when its order turns up at the broker: all of these mean "it was sent after all".
_GIVEN_UP = ("unseen", "not-sent", "broker-refused")
_ADOPTED_FROM = ("released", "sending", "unknown", *_GIVEN_UP)
_ENDED_UNFILLED = frozenset({"canceled", "expired", "rejected"})


@dataclass(frozen=True, slots=True)
class Booked:
    """What an event led to.

    order : afterwards; None when the order is not in this ledger
    conflict : why the broker's order is not the one we meant, else empty
    is_late : it turned up after it had been given up (``unseen``, ``not-sent``, ``broker-refused``)
    changed : whether anything was written
    """

    event: port.Event
    order: reducer.Order | None
    fills: int = 0
    conflict: str = ""
    is_late: bool = False
    changed: bool = False


@dataclass(slots=True)
class _Held:
    """An order as the ledger has it, and then as the events so far leave it."""

    order: reducer.Order
    sub_ledger: str
    intent: str


@dataclass(slots=True)
class _Page:
    """What a transaction is going to write, in the order of the events."""

    orders: dict[str, reducer.Order] = field(default_factory=dict)
    adopted: dict[str, bool] = field(default_factory=dict)  # whether it is late
    events: list[tuple[Any, ...]] = field(default_factory=list)
    placed: list[tuple[reducer.Order, str, reducer.Fill] | dict[str, str]] = field(default_factory=list)
    learned: list[tuple[Any, ...]] = field(default_factory=list)


async def book(connection: Any, events: Sequence[port.Event]) -> list[Booked]:
    """Apply events, in their order, to the orders that they are about; to be called inside a transaction."""
    await journal.hold(connection)
    held = await _held(connection, events)
    by_broker_id = {one.order.broker_order_id: one for one in held.values() if one.order.broker_order_id}
    page = _Page()
    booked = []
    for event in events:
        one = held.get(event.client_order_id) or by_broker_id.get(event.broker_order_id)
        if one is None:
            booked.append(Booked(event, None))
            continue
        booked.append(_apply(one, event, page))
        by_broker_id.setdefault(one.order.broker_order_id, one)
    await _write(connection, page)
    return booked


def _apply(one: _Held, event: port.Event, page: _Page) -> Booked:
    is_adopted, is_late = one.intent in _ADOPTED_FROM, one.intent in _GIVEN_UP
    # What stands there of one that is adopted is not of the broker's order, but of its refusal of another copy.
    before = replace(one.order, status="") if is_adopted else one.order
    change = reducer.apply(before, event)
    after = one.order = change.order
    if is_adopted:
        one.intent = "acknowledged"
        page.adopted[after.client_order_id] = is_late
    elif after == before:
        return Booked(event, after)
    if after.irregular != before.irregular:
        _log.warning("order irregular", client_order_id=after.client_order_id, what=after.irregular)
    page.orders[after.client_order_id] = after
    page.events.append(_event_row(event, after))
    page.placed += [(after, one.sub_ledger, fill) for fill in change.fills]
    page.learned += [_learned_row(after, fill) for fill in change.learned]
    if before.is_open and after.status in _ENDED_UNFILLED:
        page.placed.append({"client_order_id": after.client_order_id, "status": after.status})
    conflict = after.irregular if "broker has another" in after.irregular else ""
    return Booked(event, after, fills=len(change.fills), conflict=conflict, is_late=is_late, changed=True)


def is_ours(client_order_id: str, ledger: str) -> bool:
    """Whether an id was given by this ledger."""
    try:
        return orders.parse_client_order_id(client_order_id).ledger == ledger
    except errors.ValueRefused:
        return False


async def _held(connection: Any, events: Sequence[port.Event]) -> dict[str, _Held]:
    """Return the orders that events are about, by our id."""
    rows = await orders_store.located(
        connection,
        client_order_ids={event.client_order_id for event in events} - {""},
        broker_order_ids={event.broker_order_id for event in events},
    )
    ids = [row["client_order_id"] for row in rows]
    fills = await orders_store.fills_of(connection, ids)
    statuses = await decisions.statuses(connection, ids)
    return {
        row["client_order_id"]: _Held(
            _order(row, fills.get(row["client_order_id"], [])), row["sub_ledger"], statuses[row["client_order_id"]]
        )
        for row in rows
    }


async def _write(connection: Any, page: _Page) -> None:
    for client_order_id, is_late in page.adopted.items():
        await decisions.mark(connection, client_order_id, "acknowledged", expected=_ADOPTED_FROM)
        if is_late:
            await decisions.unwanted(connection, client_order_id)
    await orders_store.update(connection, [_row(order) for order in page.orders.values()])
    if page.events:
        await connection.executemany(
            "insert into order_events (client_order_id, broker_order_id, kind, source, at, body)"
            " values ($1, $2, $3, $4, $5, $6)",
            page.events,
        )
    if page.placed:
        first = await journal.take_places(connection, len(page.placed))
        fills, ended = [], []
        for place, what in enumerate(page.placed, first):
            if isinstance(what, dict):
                ended.append((place, "cancelled", what))
            else:
                fills.append(_fill_row(place, *what))
        await orders_store.insert_fills(connection, fills)
        await journal.insert(connection, ended)
    if page.learned:
        await connection.executemany(
            "update fills set execution_id = $3, activity_id = $4, at = $5"
            " where broker_order_id = $1 and cumulative_from = $2",
            page.learned,
        )


def _row(order: reducer.Order) -> tuple[Any, ...]:
    return (
        order.client_order_id,
        order.broker_order_id or None,
        order.status,
        order.filled,
        order.reported,
        order.irregular,
        order.replaced_by,
        order.at,
    )


def _event_row(event: port.Event, order: reducer.Order) -> tuple[Any, ...]:
    body = json.dumps(json.loads(event.raw, parse_float=str))
    return order.client_order_id, event.broker_order_id, event.kind, event.source, event.at, body


def _learned_row(order: reducer.Order, fill: reducer.Fill) -> tuple[Any, ...]:
    return order.broker_order_id, fill.cumulative_from, fill.execution_id, fill.activity_id, fill.at


def _fill_row(place: int, order: reducer.Order, sub_ledger: str, fill: reducer.Fill) -> tuple[Any, ...]:
    paid = numbers.notional(fill.price, numbers.Quantity(order.side.sign * fill.quantity))
    return (
        *(order.broker_order_id, fill.cumulative_from, fill.cumulative_to, order.client_order_id, sub_ledger),
        *(order.symbol, order.side.value, fill.quantity, fill.price, paid, fill.at),
        *(fill.execution_id, fill.activity_id, place),
    )


def _order(row: Any, fills: list[Any]) -> reducer.Order:
    return reducer.Order(
        client_order_id=row["client_order_id"],
        symbol=row["symbol"],
        side=orders.Side(row["side"]),
        quantity=numbers.Quantity(row["quantity"]),
        broker_order_id=row["broker_order_id"] or "",
        status=row["status"],
        at=times.Nanos(row["broker_at"]),
        reported=numbers.Quantity(row["reported"]),
        fills=tuple(
            reducer.Fill(
                cumulative_from=numbers.Quantity(fill["cumulative_from"]),
                cumulative_to=numbers.Quantity(fill["cumulative_to"]),
                price=numbers.Price(fill["price"]),
                at=times.Nanos(fill["at"]),
                execution_id=fill["execution_id"],
                activity_id=fill["activity_id"],
            )
            for fill in fills
        ),
        irregular=row["irregular"],
        replaced_by=row["replaced_by"],
    )
