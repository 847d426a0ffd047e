"""What the venue keeps of a trade: orders, executions, updates and activities. Frozen values, no decisions."""

import uuid
from dataclasses import dataclass
from enum import StrEnum

from tradeplane_engine.domain import numbers, orders, times

_NO_PRICE = numbers.Price(0)
_NAMESPACE = uuid.UUID("6f1c6f7e-6d3f-5b58-9a42-0d8f6c1f7a11")


class Status(StrEnum):
    """Where an order stands, in Alpaca's words."""

    ACCEPTED = "accepted"
    PENDING_NEW = "pending_new"
    NEW = "new"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"


OPEN = frozenset({Status.ACCEPTED, Status.PENDING_NEW, Status.NEW})


@dataclass(frozen=True, slots=True)
class Request:
    """A wanted order; ``quantity`` is positive and ``intent`` what the client says it does, if it says so.

    Prices are 0 where the kind has none; ``trail_bps`` is a distance in basis points.
    """

    symbol: str
    side: orders.Side
    quantity: numbers.Quantity
    client_order_id: str
    intent: str = ""
    kind: str = "market"
    time_in_force: str = "day"
    limit_price: numbers.Price = _NO_PRICE
    stop_price: numbers.Price = _NO_PRICE
    trail_price: numbers.Price = _NO_PRICE
    trail_bps: int = 0
    extended_hours: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """An order; it fills whole or not at all. ``reserve`` is buying power held until then."""

    id: str
    account: str
    sequence: int
    client_order_id: str
    symbol: str
    side: orders.Side
    quantity: numbers.Quantity
    intent: str
    status: Status
    reserve: numbers.Money
    submitted_at: times.Nanos
    updated_at: times.Nanos
    expires_at: times.Nanos
    kind: str = "market"
    time_in_force: str = "day"
    limit_price: numbers.Price = _NO_PRICE
    stop_price: numbers.Price = _NO_PRICE
    trail_price: numbers.Price = _NO_PRICE
    trail_bps: int = 0
    extended_hours: bool = False
    filled_at: times.Nanos | None = None
    filled_price: numbers.Price | None = None
    canceled_at: times.Nanos | None = None
    expired_at: times.Nanos | None = None

    @property
    def waits(self) -> bool:
        """Whether it waits for a price or a time of its own, which a market order for the day does not."""
        return (self.kind, self.time_in_force) != ("market", "day")

    @property
    def signed(self) -> numbers.Quantity:
        """Change of the position when filled."""
        return numbers.Quantity(self.side.sign * self.quantity)

    @property
    def filled_quantity(self) -> numbers.Quantity:
        """Shares filled so far."""
        return self.quantity if self.status is Status.FILLED else numbers.Quantity(0)


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill; ``quantity`` is positive and ``position`` the signed holding after it."""

    id: str
    account: str
    order_id: str
    symbol: str
    side: orders.Side
    quantity: numbers.Quantity
    price: numbers.Price
    position: numbers.Quantity
    at: times.Nanos


@dataclass(frozen=True, slots=True)
class Update:
    """One message of the trade-updates stream: the order as it was right after the event."""

    event: str
    event_id: str
    order: Order
    at: times.Nanos
    execution_id: str = ""
    execution: Execution | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """One row of the account's history; ``fields`` are Alpaca's own names and texts."""

    id: str
    account: str
    sequence: int
    type: str
    at: times.Nanos
    fields: tuple[tuple[str, str], ...]


def identity(*parts: object) -> str:
    """Return a UUID that depends on the parts alone, so that the same commands give the same bytes."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(str(part) for part in parts)))


_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID_CHARACTERS = 26
_SEQUENCE_BITS = 80


def event_id(at: times.Nanos, sequence: int) -> str:
    """Return a ULID of venue time and sequence, which sorts as the events happened."""
    value = (at // 1_000_000 << _SEQUENCE_BITS) | sequence
    return "".join(_CROCKFORD[value >> 5 * place & 31] for place in reversed(range(_ULID_CHARACTERS)))
