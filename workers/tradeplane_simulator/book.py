"""What the venue keeps of a trade: orders, executions, updates and activities. Frozen values, no decisions."""

import uuid
from dataclasses import dataclass
from enum import StrEnum

from tradeplane_engine.domain import numbers, orders, times

_NO_PRICE, _NO_MONEY, _NO_SHARES = numbers.Price(0), numbers.Money(0), numbers.Quantity(0)
_NAMESPACE = uuid.UUID("6f1c6f7e-6d3f-5b58-9a42-0d8f6c1f7a11")


class Status(StrEnum):
    """Where an order stands, in Alpaca's words."""

    ACCEPTED = "accepted"
    PENDING_NEW = "pending_new"
    NEW = "new"
    HELD = "held"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REPLACED = "replaced"
    REJECTED = "rejected"


OPEN = frozenset(Status) - {Status.FILLED, Status.CANCELED, Status.EXPIRED, Status.REPLACED, Status.REJECTED}


@dataclass(frozen=True, slots=True)
class Request:
    """A wanted order; ``intent`` is what the client says it does, if it says so.

    quantity, notional : exactly one of them, positive
    limit_price, stop_price, trail_price : 0 where the kind has none
    trail_bps : distance of a trailing stop in basis points
    take_profit, stop_loss, stop_loss_limit : prices of the exits of a bracket, OCO or OTO
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
    notional: numbers.Money = _NO_MONEY
    order_class: str = "simple"
    take_profit: numbers.Price = _NO_PRICE
    stop_loss: numbers.Price = _NO_PRICE
    stop_loss_limit: numbers.Price = _NO_PRICE


@dataclass(frozen=True, slots=True)
class Order:
    """An order.

    quantity : of one for an amount of money what that buys at the last price, until it fills
    reserve : buying power that it holds until it is done
    root : first order of its group, and of its chain of replacements; its own id for a single one
    parent : order whose leg it is
    waits : whether the market of :mod:`.working` fills it; else it fills at the next open
    sent_at, sent_quantity, sent_limit, sent_stop : what that market was asked for, whatever became of it since
    filled_value : sum of price x quantity of the fills, exact, in price units x 1e-9 shares
    high_water : best price that a trailing stop has seen
    due_at : when a cancel of it takes effect, or it takes another order's place; then ``sent_quantity`` is its total
    """

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
    root: str
    sent_at: times.Nanos
    sent_quantity: numbers.Quantity
    sent_limit: numbers.Price = _NO_PRICE
    sent_stop: numbers.Price = _NO_PRICE
    waits: bool = False
    parent: str = ""
    order_class: str = "simple"
    kind: str = "market"
    time_in_force: str = "day"
    notional: numbers.Money = _NO_MONEY
    limit_price: numbers.Price = _NO_PRICE
    stop_price: numbers.Price = _NO_PRICE
    trail_price: numbers.Price = _NO_PRICE
    trail_bps: int = 0
    high_water: numbers.Price = _NO_PRICE
    extended_hours: bool = False
    filled: numbers.Quantity = _NO_SHARES
    filled_value: int = 0
    filled_at: times.Nanos | None = None
    canceled_at: times.Nanos | None = None
    expired_at: times.Nanos | None = None
    failed_at: times.Nanos | None = None
    replaced_at: times.Nanos | None = None
    replaces: str = ""
    replaced_by: str = ""
    due_at: times.Nanos | None = None

    @property
    def rest(self) -> numbers.Quantity:
        """Shares that may still fill."""
        return numbers.Quantity(self.quantity - self.filled if self.status in OPEN else 0)

    @property
    def counted(self) -> numbers.Quantity:
        """Shares that count as working: none of a held leg's or a coming replacement's, and one of a pair of exits."""
        return numbers.Quantity(0) if self.status is Status.HELD or self.paired or self.is_coming else self.rest

    @property
    def is_coming(self) -> bool:
        """Whether it is to take another order's place and has not yet."""
        return bool(self.replaces) and self.status is Status.PENDING_NEW

    @property
    def paired(self) -> bool:
        """Whether it is the stop of two exits of which one fills."""
        return bool(self.parent) and self.order_class != "oto" and self.kind in {"stop", "stop_limit"}

    @property
    def average_price(self) -> numbers.Money | None:
        """Average price of its fills, None without any."""
        if not self.filled:
            return None
        scale = 10 ** (numbers.MONEY_DIGITS - numbers.PRICE_DIGITS)
        return numbers.Money(numbers.divide_half_even(self.filled_value * scale, self.filled))


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
    """One message of the trade-updates stream: the order as it was right after the event.

    One without an ``event`` changes the order and tells nobody.
    """

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
