"""Orders and their one state machine, for backtest and live.

    accepted -> new -> partially_filled -> filled
        |        |           |
        |        +-----------+--> pending_cancel -> canceled | (a fill that won)
        |        +-----------+--> pending_replace -> replaced | (a fill that won)
        +--------+-----------+--> canceled, expired, rejected (before the first fill)
    held -> new (a leg whose entry is complete) | canceled

A status never goes back but from a refused cancel or replace, a terminal one absorbs later ones, and ``filled`` only
grows: filled + open = quantity at every step. ``docs/explanation/orders.md`` draws it.
"""

from array import array

from tradeplane_engine import errors
from tradeplane_engine.core import exact

# Statuses, by number for the hot path. The words are the broker's.
ACCEPTED, NEW, HELD, PARTIALLY_FILLED, PENDING_CANCEL, PENDING_REPLACE = 0, 1, 2, 3, 4, 5
FILLED, CANCELED, EXPIRED, REPLACED, REJECTED = 6, 7, 8, 9, 10
STATUSES = (
    *("accepted", "new", "held", "partially_filled", "pending_cancel", "pending_replace"),
    *("filled", "canceled", "expired", "replaced", "rejected"),
)
TERMINAL = FILLED  # this status and those after it end an order

MARKET, LIMIT, STOP, STOP_LIMIT, TRAILING_STOP = 0, 1, 2, 3, 4
KINDS = ("market", "limit", "stop", "stop_limit", "trailing_stop")

DAY, GTC, OPG, CLS, IOC, FOK = 0, 1, 2, 3, 4, 5
TIMES_IN_FORCE = ("day", "gtc", "opg", "cls", "ioc", "fok")

NEVER = 9223372036854775807

_BPS = 10_000

_ENDS = frozenset({CANCELED, EXPIRED, REJECTED})
_PENDING = frozenset({PENDING_CANCEL, PENDING_REPLACE})
_WORKING = frozenset({NEW, PARTIALLY_FILLED})
ALLOWED: dict[int, frozenset[int]] = {
    ACCEPTED: frozenset({NEW, PARTIALLY_FILLED, FILLED}) | _PENDING | _ENDS,
    NEW: frozenset({PARTIALLY_FILLED, FILLED, REPLACED}) | _PENDING | _ENDS,
    HELD: frozenset({NEW, CANCELED}),
    PARTIALLY_FILLED: frozenset({PARTIALLY_FILLED, FILLED, REPLACED, CANCELED, EXPIRED}) | _PENDING,
    PENDING_CANCEL: frozenset({FILLED}) | _WORKING | _ENDS,
    PENDING_REPLACE: frozenset({REPLACED, FILLED}) | _WORKING | _ENDS,
    FILLED: frozenset(),
    CANCELED: frozenset(),
    EXPIRED: frozenset(),
    REPLACED: frozenset(),
    REJECTED: frozenset(),
}
_STEPS = array("q", [sum(1 << status for status in ALLOWED[before]) for before in range(len(STATUSES))])  # as bits


class Order:
    """One order of a run. Only the engine makes and changes one; a strategy reads it.

    Attributes
    ----------
    id : number in the run, from 1 in the order of acceptance; 0 before
    strategy, symbol : ids
    side : 1 buy, -1 sell (a short sale too)
    quantity, filled : 1e-9 shares, positive
    notional : money that it is for, 0 for none; ``quantity`` is what that buys at the last close, until its first fill
    value : sum of price x quantity of the fills, money
    limit, stop : prices in the symbol's units; 0 for none. A trailing stop's ``stop`` moves
    trail, trail_bps : distance of a trailing stop, in price units or in basis points; 0 for none
    high_water : best price that a trailing stop has seen, the lowest one for a buy
    created : trigger of the decision that wanted it, ns
    live_from : instant from which the venue has it, ns
    expires : instant at which it expires, ns
    session : the one that an opg or cls order is for; -1 for none
    extended_hours : whether it works before and after its session too
    role : order, entry, take_profit or stop_loss
    parent, legs : an exit's entry and an entry's exits; the stop of an OCO is the leg of its limit
    paired : the second of two exits of which one fills: its quantity is not counted again
    triggered : a stop that was reached
    resting : the venue tested it against the market and it waits in the book
    replaces : the order whose place it took
    """

    __slots__ = (
        *("created", "expires", "extended_hours", "filled", "high_water", "id", "kind", "legs", "limit", "live_from"),
        *("notional", "number", "paired", "parent", "quantity", "reason", "replaces", "resting", "role", "row"),
        *("session", "side", "status", "stop", "strategy", "symbol", "time_in_force", "trail", "trail_bps"),
        *("triggered", "value"),
    )

    def __init__(
        self,
        strategy: int,
        symbol: int,
        side: int,
        quantity: int,
        kind: int = MARKET,
        time_in_force: int = DAY,
        limit: int = 0,
        stop: int = 0,
    ) -> None:
        self._begin(strategy, symbol, side, quantity, kind, time_in_force, limit, stop)

    def _begin(
        self,
        strategy: int,
        symbol: int,
        side: int,
        quantity: int,
        kind: int,
        time_in_force: int,
        limit: int,
        stop: int,
    ) -> None:
        self.id = 0
        self.strategy = strategy
        self.symbol = symbol
        self.side = side
        self.quantity = quantity
        self.kind = kind
        self.time_in_force = time_in_force
        self.limit = limit
        self.stop = stop
        self.notional = 0
        self.filled = 0
        self.value = 0
        self.trail = 0
        self.trail_bps = 0
        self.high_water = 0
        self.status = ACCEPTED
        self.created = 0
        self.live_from = 0
        self.expires = NEVER
        self.session = -1
        self.extended_hours = False
        self.number = 0
        self.row = -1
        self.paired = False
        self.triggered = False
        self.resting = False
        self.parent: Order | None = None
        self.legs: tuple[Order, ...] = ()
        self.replaces: Order | None = None
        self.role = "order"
        self.reason = ""

    @property
    def open(self) -> int:
        """Quantity that may still fill."""
        return 0 if self.status >= TERMINAL else self.quantity - self.filled

    @property
    def counted(self) -> int:
        """Quantity that counts as working: none of a held leg's, and one of a pair of exits."""
        return self.counting()

    def counting(self) -> int:
        """The same, without a look-up of its name in compiled code."""
        return 0 if self.status >= TERMINAL or self.status == HELD or self.paired else self.quantity - self.filled

    @property
    def ended(self) -> bool:
        """Whether the status is terminal."""
        return self.status >= TERMINAL

    def cut(self, quantity: int) -> None:
        """Make an order that nobody has yet smaller."""
        if self.id or not 0 < quantity <= self.quantity:
            raise errors.LedgerBroken(f"order {self.id}: {self.quantity} cannot be cut to {quantity} (1e-9 shares)")
        if self.notional:
            self.notional = exact.floor_ratio(self.notional, quantity, self.quantity, "notional")
        self.quantity = quantity

    def move(self, status: int) -> None:
        """Enter a status; raises LedgerBroken for a step that the state machine does not have."""
        if not _STEPS[self.status] >> status & 1:
            raise errors.LedgerBroken(f"order {self.id}: {STATUSES[self.status]} cannot become {STATUSES[status]}")
        self.status = status

    def fill(self, quantity: int, value: int) -> bool:
        """Take a fill; say whether the order is complete. A fill is booked in every status but a complete one."""
        if quantity <= 0 or self.filled + quantity > self.quantity:
            raise errors.LedgerBroken(
                f"order {self.id}: fill of {quantity} beyond {self.quantity - self.filled} that is open (1e-9 shares)"
            )
        self.filled += quantity
        self.value += value
        complete = self.filled == self.quantity
        if complete:
            self.status = FILLED
        elif self.status < PENDING_CANCEL:  # a request that is on its way stays on its way
            self.status = PARTIALLY_FILLED
        return complete

    def shrink(self, quantity: int) -> None:
        """Give up a part of what is open, because the other exit of the pair has filled it."""
        if quantity <= 0 or self.filled + quantity > self.quantity:
            raise errors.LedgerBroken(
                f"order {self.id}: shrinks by {quantity} beyond {self.quantity - self.filled} that is open"
            )
        self.quantity -= quantity

    def resize(self, quantity: int) -> None:
        """Take the quantity of the order whose place this one takes."""
        self.quantity = quantity

    def be_worth(self, notional: int) -> None:
        """Make it an order for an amount of money."""
        self.notional = notional

    def trigger(self) -> None:
        """Note that the stop was reached: a market order from now on, or a limit order that the venue tests anew."""
        self.triggered = True
        self.resting = False

    def extend(self) -> None:
        """Let it work in extended hours too."""
        self.extended_hours = True

    def trail_by(self, units: int, bps: int) -> None:
        """Set the distance of a trailing stop."""
        self.trail = units
        self.trail_bps = bps

    def trail_from(self, price: int) -> None:
        """Let a trailing stop see a price; what a rate gives is rounded against the trader."""
        if self.high_water and (price <= self.high_water if self.side < 0 else price >= self.high_water):
            return
        self.high_water = price
        distance = self.trail or exact.ceil_ratio(price, self.trail_bps, _BPS, "trail")
        self.stop = max(exact.add(price, self.side * distance, "stop"), 1)

    def restate(self, new: int, old: int) -> bool:
        """Turn ``old`` shares into ``new``, prices rounded against the trader; False where nothing of it remains.

        Quantities are cut to 1e-9 share. The sum of the fills' values stays.
        """
        rest = exact.floor_ratio(self.quantity - self.filled, new, old, "quantity")
        filled = exact.floor_ratio(self.filled, new, old, "filled")
        limit = self._restated(self.limit, new, old)
        stop = self._restated(self.stop, new, old)
        trail = exact.ceil_ratio(self.trail, old, new, "trail")
        if rest == 0 or (self.limit and not limit) or (self.stop and not stop):
            return False
        self.filled = filled
        self.quantity = exact.add(filled, rest, "quantity")
        self.limit = limit
        self.stop = stop
        self.trail = trail
        self.high_water = self._restated(self.high_water, new, old)
        return True

    def _restated(self, price: int, new: int, old: int) -> int:
        if self.side > 0:
            return exact.ceil_ratio(price, old, new, "price")
        return exact.floor_ratio(price, old, new, "price")

    def copy(self) -> "Order":
        """Return a copy to rehearse with, as yet without its group."""
        found = Order(
            self.strategy, self.symbol, self.side, self.quantity, self.kind, self.time_in_force, self.limit, self.stop
        )
        found.id = self.id
        found.filled = self.filled
        found.status = self.status
        found.trail = self.trail
        found.trail_bps = self.trail_bps
        found.high_water = self.high_water
        found.live_from = self.live_from
        found.session = self.session
        found.extended_hours = self.extended_hours
        found.notional = self.notional
        found.paired = self.paired
        found.triggered = self.triggered
        found.resting = self.resting
        found.role = self.role
        return found

    def group_with(self, parent: "Order | None", legs: "tuple[Order, ...]") -> None:
        """Join a group: the entry or the limit of an OCO is the parent of its legs."""
        self.parent = parent
        self.legs = legs

    def __repr__(self) -> str:
        side = "buy" if self.side > 0 else "sell"
        return f"Order({self.id}, {side} {self.quantity}, {KINDS[self.kind]}, {STATUSES[self.status]})"


def at_market(strategy: int, symbol: int, side: int, quantity: int) -> Order:
    """Return a market order for the day; compiled, it is made without a Python object per number."""
    found = Order.__new__(Order)
    found._begin(strategy, symbol, side, quantity, MARKET, DAY, 0, 0)
    return found


def group(order: Order) -> list[Order]:
    """Return the other members of a bracket, OCO or OTO; none for a single order."""
    if order.parent is None and not order.legs:
        return []
    head = order.parent or order
    return [member for member in (head, *head.legs) if member is not order]


def partner(order: Order) -> Order | None:
    """Return the other exit of a pair."""
    for member in group(order):
        if member.role not in {"order", "entry"} and order.role not in {"order", "entry"}:
            return member
    return None


def exits(entry: Order, take_profit: int, stop_loss: int, stop_limit: int) -> tuple[Order, ...]:
    """Return the exits of what an entry opens: a limit, a stop or a stop-limit, or both; 0 for none."""
    found: list[Order] = []
    if take_profit:
        leg = Order(entry.strategy, entry.symbol, -entry.side, entry.quantity, LIMIT, entry.time_in_force, take_profit)
        leg.role = "take_profit"
        found.append(leg)
    if stop_loss:
        leg = _stop_loss(entry, -entry.side, stop_loss, stop_limit)
        leg.paired = bool(found)
        found.append(leg)
    return tuple(found)


def bracket(entry: Order, legs: tuple[Order, ...]) -> None:
    """Make exits the held legs of their entry."""
    entry.role = "entry"
    entry.legs = legs
    for leg in legs:
        leg.status = HELD
        leg.parent = entry


def pair(limit: Order, stop_loss: int, stop_limit: int) -> Order:
    """Give a limit order that closes a position its stop; both work at once, and one of them fills."""
    leg = _stop_loss(limit, limit.side, stop_loss, stop_limit)
    leg.paired = True
    leg.parent = limit
    limit.role = "take_profit"
    limit.legs = (leg,)
    return limit


def _stop_loss(other: Order, side: int, stop: int, limit: int) -> Order:
    kind = STOP_LIMIT if limit else STOP
    found = Order(other.strategy, other.symbol, side, other.quantity, kind, other.time_in_force, limit, stop)
    found.role = "stop_loss"
    return found
