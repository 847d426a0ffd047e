"""Booking: one event of the broker, through the reducer, into the ledger, in one transaction.

Guard ``unseen-watched``: an order that turns up after its intent was given up is ours, and booked.
Guard ``late-cancel-written``: that nobody wants it any more is written with it, so that no crash loses its cancel.
"""

import json
from dataclasses import dataclass, replace
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


async def book(connection: Any, event: port.Event) -> Booked:
    """Apply an event to the order it is about; to be called inside a transaction."""
    await journal.take_places(connection, 0)
    row = await orders_store.locate(
        connection, client_order_id=event.client_order_id, broker_order_id=event.broker_order_id
    )
    if row is None:
        return Booked(event, None)
    before = _order(row, await orders_store.fills_of(connection, row["client_order_id"]))
    intent = await decisions.intent_of(connection, before.client_order_id)
    is_adopted = intent is not None and intent.status in _ADOPTED_FROM
    is_late = intent is not None and intent.status in _GIVEN_UP
    if is_adopted:
        # What stands there is not of the broker's order, but of its refusal of another copy.
        before = replace(before, status="")
    change = reducer.apply(before, event)
    after = change.order
    if is_adopted:
        await decisions.mark(connection, after.client_order_id, "acknowledged", expected=_ADOPTED_FROM)
        if is_late:
            await decisions.unwanted(connection, after.client_order_id)
    elif after == before:
        return Booked(event, after)
    await _write(connection, before, after)
    await _record_event(connection, event, after)
    if change.fills:
        await _insert_fills(connection, after, change.fills, sub_ledger=row["sub_ledger"])
    for fill in change.learned:
        await connection.execute(
            "update fills set execution_id = $3, activity_id = $4, at = $5"
            " where broker_order_id = $1 and cumulative_from = $2",
            after.broker_order_id,
            fill.cumulative_from,
            fill.execution_id,
            fill.activity_id,
            fill.at,
        )
    if before.is_open and after.status in _ENDED_UNFILLED:
        body = {"client_order_id": after.client_order_id, "status": after.status}
        await journal.record(connection, "cancelled", body)
    conflict = after.irregular if "broker has another" in after.irregular else ""
    return Booked(event, after, fills=len(change.fills), conflict=conflict, is_late=is_late, changed=True)


def is_ours(client_order_id: str, ledger: str) -> bool:
    """Whether an id was given by this ledger."""
    try:
        return orders.parse_client_order_id(client_order_id).ledger == ledger
    except errors.ValueRefused:
        return False


async def _write(connection: Any, before: reducer.Order, after: reducer.Order) -> None:
    if after.irregular != before.irregular:
        _log.warning("order irregular", client_order_id=after.client_order_id, what=after.irregular)
    await connection.execute(
        "update orders set broker_order_id = $2, status = $3, filled = $4, reported = $5, irregular = $6,"
        " replaced_by = $7, broker_at = $8, changed = clock_timestamp() where client_order_id = $1",
        after.client_order_id,
        after.broker_order_id or None,
        after.status,
        after.filled,
        after.reported,
        after.irregular,
        after.replaced_by,
        after.at,
    )


async def _record_event(connection: Any, event: port.Event, order: reducer.Order) -> None:
    await connection.execute(
        "insert into order_events (client_order_id, broker_order_id, kind, source, at, body)"
        " values ($1, $2, $3, $4, $5, $6)",
        order.client_order_id,
        event.broker_order_id,
        event.kind,
        event.source,
        event.at,
        json.dumps(json.loads(event.raw, parse_float=str)),
    )


async def _insert_fills(
    connection: Any, order: reducer.Order, fills: tuple[reducer.Fill, ...], *, sub_ledger: str
) -> None:
    first = await journal.take_places(connection, len(fills))
    await connection.executemany(
        "insert into fills (broker_order_id, cumulative_from, cumulative_to, client_order_id, sub_ledger, symbol, side,"
        " quantity, price, at, execution_id, activity_id, sequence)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        [
            (
                order.broker_order_id,
                fill.cumulative_from,
                fill.cumulative_to,
                order.client_order_id,
                sub_ledger,
                order.symbol,
                order.side.value,
                fill.quantity,
                fill.price,
                fill.at,
                fill.execution_id,
                fill.activity_id,
                first + index,
            )
            for index, fill in enumerate(fills)
        ],
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
