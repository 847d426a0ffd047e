"""The broker as the gateway sees it: few methods, typed outcomes, exact values.

What a broker says about an order comes in two forms, whichever way it travelled: a :class:`Report` (cumulative state)
and an :class:`Execution` (one fill, placed by the cumulative quantity after it). Statuses are the broker's words;
an unknown word is an open order.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from tradeplane_engine.domain import numbers, orders, times

TERMINAL = frozenset({"filled", "canceled", "expired", "replaced", "rejected"})

Permit = Callable[[], str]
"""Asked in the same step in which the first byte leaves; returns the reason to refuse, or nothing to let it go."""


class BrokerError(Exception):
    """Base: the broker gave no usable answer to a question; ask again later."""


class BrokerUnreachable(BrokerError):  # noqa: N818 - named for what happened
    """No connection, no answer in time, or a 5xx."""


class BrokerRefused(BrokerError):  # noqa: N818 - as above
    """A clear refusal, such as a wrong key; ``status`` is the HTTP status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"broker refused: status {status}, code {code or 'none'}: {message}")
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Request:
    """An order to be sent; ``quantity`` is positive."""

    client_order_id: str
    symbol: str
    side: orders.Side
    quantity: numbers.Quantity
    terms: orders.Terms = orders.AT_MARKET


@dataclass(frozen=True, slots=True)
class Report:
    """The broker's own view of an order at ``at``; ``filled`` is cumulative."""

    broker_order_id: str
    client_order_id: str
    symbol: str
    side: orders.Side
    quantity: numbers.Quantity
    type: str
    time_in_force: str
    status: str
    filled: numbers.Quantity
    at: times.Nanos
    submitted: times.Nanos
    replaced_by: str = ""
    replaces: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the order may still fill; ``pending_cancel`` and words we do not know are open."""
        return self.status not in TERMINAL


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill: ``quantity`` shares that brought the order to ``cumulative``; ids are aliases, not identity."""

    broker_order_id: str
    symbol: str
    side: orders.Side
    quantity: numbers.Quantity
    cumulative: numbers.Quantity
    price: numbers.Price
    at: times.Nanos
    execution_id: str = ""
    activity_id: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something the broker said about one order; ``raw`` is the JSON text as it came.

    ``irregular`` names what the ledger cannot book by itself (a bust, a correction, an unknown event).
    """

    kind: str
    source: str
    broker_order_id: str
    client_order_id: str
    report: Report | None
    execution: Execution | None
    at: times.Nanos
    raw: str
    irregular: str = ""


@dataclass(frozen=True, slots=True)
class Position:
    """Shares of one symbol at the broker, negative for a short."""

    symbol: str
    quantity: numbers.Quantity


@dataclass(frozen=True, slots=True)
class Account:
    """The account's own figures."""

    id: str
    cash: numbers.Money
    equity: numbers.Money
    status: str
    blocked: bool


@dataclass(frozen=True, slots=True)
class Asset:
    """What the broker lets one do with a symbol."""

    symbol: str
    tradable: bool
    shortable: bool
    easy_to_borrow: bool


@dataclass(frozen=True, slots=True)
class Budget:
    """Requests of the broker's window: how many it has, how many are left, how many of these no order may use."""

    limit: int
    remaining: int
    reserve: int

    @property
    def lets_order(self) -> bool:
        """Whether an order may leave: what is kept for cancels and look-ups stays."""
        return self.remaining > self.reserve


@dataclass(frozen=True, slots=True)
class CashActivity:
    """A booking that is not a fill: a fee, a dividend, a transfer, a split."""

    id: str
    kind: str
    date: str
    amount: numbers.Money
    symbol: str
    quantity: numbers.Quantity
    description: str


@dataclass(frozen=True, slots=True)
class Activities:
    """Fills and other bookings since an instant."""

    fills: tuple[Event, ...]
    cash: tuple[CashActivity, ...]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The broker has the order; a later report may still say rejected."""

    event: Event


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker has read the order and does not have it; never sent again under this id."""

    status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """No byte of the order left, or the broker's own rate limit dropped it; it may be sent again under its id.

    ``reason`` is the permit's when it refused, else ``unreachable``, ``rate-limit`` (the broker's own word) or
    ``request-budget`` (what is left of it is kept for cancels and look-ups).
    """

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A byte left and no clear answer came: the order counts as working until it is looked up."""

    detail: str


Outcome = Acknowledged | Refused | NotSent | Unknown


class Updates(Protocol):
    """An authorised, listening stream of order events; it ends by raising BrokerUnreachable."""

    def __aiter__(self) -> AsyncIterator[Event]:
        """Yield events in the order of arrival."""
        ...


class Orders(Protocol):
    """Sending and cancelling."""

    async def submit(self, request: Request, permit: Permit) -> Outcome:
        """Send an order at most once."""
        ...

    async def cancel(self, broker_order_id: str) -> str:
        """Ask for the cancellation of one order; returns why it was refused, or nothing."""
        ...

    async def cancel_all(self) -> tuple[str, ...]:
        """Ask, by one request, for the cancellation of all open orders of the account; returns broker order ids."""
        ...


class Records(Protocol):
    """Reading what the broker has; every method raises BrokerError."""

    async def order_by_client_id(self, client_order_id: str) -> Event | None:
        """Look an order up; nothing when the broker says that it has none of this id."""
        ...

    async def orders(self, *, status: str, after: times.Nanos | None = None) -> tuple[Event, ...]:
        """List orders, ``open`` or ``all``, submitted after an instant; every page."""
        ...

    async def activities(self, *, after: times.Nanos | None) -> Activities:
        """List fills and other bookings after an instant; every page."""
        ...


class Standing(Protocol):
    """The account as it stands, and the venue's clock; every method raises BrokerError."""

    async def positions(self) -> tuple[Position, ...]:
        """List open positions."""
        ...

    async def account(self) -> Account:
        """Return the account."""
        ...

    async def asset(self, symbol: str) -> Asset | None:
        """Return what may be done with a symbol; None when the broker does not know it."""
        ...

    async def clock(self) -> times.Nanos:
        """Return trading time as the broker has it."""
        ...

    def budget(self) -> Budget | None:
        """Return what is left of the request budget; None where the broker has none, or has said nothing of it."""
        ...

    def updates(self) -> AbstractAsyncContextManager[Updates]:
        """Connect, authorise, listen, and enter when the broker confirmed that it sends every event from now on."""
        ...


class Broker(Orders, Records, Standing, Protocol):
    """One account at one broker."""

    async def aclose(self) -> None:
        """Close all connections."""
        ...
