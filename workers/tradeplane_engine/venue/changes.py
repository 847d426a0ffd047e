"""What Alpaca refuses of a replacement or a cancellation (``alpaca-protocol.md`` sections 5.4 and 6).

``qty`` of a replacement is the order's total, as the simulator takes it, and must exceed what has filled.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass

from tradeplane_engine.domain import numbers
from tradeplane_engine.venue import form, refusals

_UNSENT = frozenset({"accepted", "pending_new"})
_REPLACEABLE = frozenset({"new", "partially_filled"})
_FINISHED = frozenset({"filled", "expired", "replaced", "rejected"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """An order as it stands; prices are 0 for none, shares 1e-9."""

    status: str
    quantity: int
    filled: int = 0
    by_notional: bool = False
    order_class: str = "simple"
    kind: str = "market"
    time_in_force: str = "day"
    limit: int = 0
    stop: int = 0
    trail: int = 0
    digits: int = numbers.PRICE_DIGITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a replacement changes; 0 and empty texts keep what there is."""

    quantity: int = 0
    limit: int = 0
    stop: int = 0
    trail: int = 0
    time_in_force: str = ""
    client_order_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a larger order may take beside what the old one holds.

    added : buying power that the new order needs above the old one's, money
    buying_power : free, money
    available : shares not promised to any order but this one; None for an order that opens
    """

    added: int = 0
    buying_power: int = 0
    available: int | None = None
    used_ids: Container[str] = ()


Check = Callable[[Working, Change, Room], refusals.Refusal | None]


def replace_refusal(order: Working | None, change: Change, room: Room) -> refusals.Refusal | None:
    """Return the first refusal of a replacement, or None; ``order`` is None when it is unknown."""
    if order is None:
        return refusals.not_found("order not found")
    for check in _CHAIN:
        violation = check(order, change, room)
        if violation is not None:
            return violation
    return None


def cancel_refusal(status: str | None) -> refusals.Refusal | None:
    """Return why an order in a status (None: unknown) cannot be cancelled, or None.

    A repeated cancel of a canceled order succeeds, as has been seen.
    """
    if status is None:
        return refusals.not_found("order not found")
    if status in _FINISHED or status == "pending_replace":
        return refusals.unprocessable(f'order is already in "{status}" state')
    return None


def _order_is_not_sent(order: Working, _: Change, __: Room) -> refusals.Refusal | None:
    if order.status not in _UNSENT:
        return None
    return refusals.malformed("unable to replace order, order isn't sent to exchange yet")


def _order_is_not_open(order: Working, _: Change, __: Room) -> refusals.Refusal | None:
    return None if order.status in _REPLACEABLE else refusals.malformed("order is not open")


def _order_cannot_be_replaced(order: Working, _: Change, __: Room) -> refusals.Refusal | None:
    if order.by_notional:
        return refusals.unprocessable("notional orders cannot be replaced")
    if order.quantity % numbers.ONE_SHARE:
        return refusals.unprocessable("fractional orders cannot be replaced")
    if order.order_class == "oto":
        return refusals.unprocessable("oto orders cannot be replaced")
    return None


def _nothing_changes(order: Working, change: Change, _: Room) -> refusals.Refusal | None:
    for new, old in (
        (change.quantity, order.quantity),
        (change.limit, order.limit),
        (change.stop, order.stop),
        (change.trail, order.trail),
        (change.time_in_force, order.time_in_force),
    ):
        if new and new != old:
            return None
    return refusals.denied("order parameters are not changed")


def _quantity_is_wrong(order: Working, change: Change, _: Room) -> refusals.Refusal | None:
    if change.quantity % numbers.ONE_SHARE or change.quantity < 0:
        return refusals.malformed("qty must be a positive number of whole shares")
    if change.quantity and change.quantity <= order.filled:
        filled = numbers.quantity_text(numbers.Quantity(order.filled))
        return refusals.unprocessable(f"qty must be more than the filled_qty of {filled}")
    return None


def _price_has_no_meaning(order: Working, change: Change, _: Room) -> refusals.Refusal | None:
    for name, new, means in (
        ("limit_price", change.limit, order.kind in {"limit", "stop_limit"}),
        ("stop_price", change.stop, order.kind in {"stop", "stop_limit"}),
        ("trail", change.trail, order.kind == "trailing_stop"),
    ):
        if new and (not means or new < 0):
            return refusals.malformed(
                f"{order.kind} orders must not have {name} {numbers.scaled_text(new, order.digits)}"
            )
    return None


def _time_in_force_is_wrong(_: Working, change: Change, __: Room) -> refusals.Refusal | None:
    if change.time_in_force in {"", "day", "gtc", "opg", "cls", "ioc", "fok"}:
        return None
    return refusals.malformed(f"time_in_force {change.time_in_force!r} is not known")


def _increment_is_wrong(order: Working, change: Change, _: Room) -> refusals.Refusal | None:
    for name, price in (("limit_price", change.limit), ("stop_price", change.stop), ("trail_price", change.trail)):
        if price:
            found = form.increment(name, price, order.digits)
            if found is not None:
                return found
    return None


def _client_order_id_is_taken(_: Working, change: Change, room: Room) -> refusals.Refusal | None:
    if len(change.client_order_id) > form.CLIENT_ORDER_ID_MAX:
        return refusals.malformed(f"client_order_id must be a text of at most {form.CLIENT_ORDER_ID_MAX} characters")
    if change.client_order_id and change.client_order_id in room.used_ids:
        return refusals.malformed("client_order_id must be unique")
    return None


def _quantity_is_not_available(order: Working, change: Change, room: Room) -> refusals.Refusal | None:
    if room.available is None or change.quantity - order.filled <= room.available:
        return None
    requested, available = (numbers.quantity_text(numbers.Quantity(one)) for one in (change.quantity, room.available))
    return refusals.denied(
        f"insufficient qty available for order (requested: {requested}, available: {available})", available=available
    )


def _buying_power_is_not_enough(_: Working, __: Change, room: Room) -> refusals.Refusal | None:
    if room.added <= max(room.buying_power, 0):
        return None
    return refusals.denied(
        "insufficient buying power",
        buying_power=numbers.money_text(numbers.Money(room.buying_power)),
        cost_basis=numbers.money_text(numbers.Money(room.added)),
    )


_CHAIN: tuple[Check, ...] = (
    _order_is_not_sent,
    _order_is_not_open,
    _order_cannot_be_replaced,
    _nothing_changes,
    _quantity_is_wrong,
    _price_has_no_meaning,
    _time_in_force_is_wrong,
    _increment_is_wrong,
    _client_order_id_is_taken,
    _quantity_is_not_available,
    _buying_power_is_not_enough,
)
