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

from tradeplane_engine import errors

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
_NEVER, _ACCEPTED, _FILLED = NEVER, ACCEPTED, FILLED  # C variables if compiled

_ENDS = frozenset({CANCELED, EXPIRED, REJECTED})
_PENDING = frozenset({PENDING_CANCEL, PENDING_REPLACE})
_WORKING = frozenset({NEW, PARTIALLY_FILLED})
ALLOWED: dict[int, frozenset[int]] = {
    ACCEPTED: frozenset({NEW, PARTIALLY_FILLED, FILLED}) | _PENDING | _ENDS,
    NEW: frozenset({PARTIALLY_FILLED, FILLED, REPLACED}) | _PENDING | _ENDS,
    HELD: frozenset({NEW, CANCELED}),
    PARTIALLY_FILLED: frozenset({PARTIALLY_FILLED, FILLED, REPLACED, CANCELED, EXPIRED}) | _PENDING,
    PENDING_CANCEL: frozenset({CANCELED, PARTIALLY_FILLED, FILLED, EXPIRED, REJECTED}) | _WORKING,
    PENDING_REPLACE: frozenset({REPLACED, PARTIALLY_FILLED, FILLED, CANCELED, EXPIRED, REJECTED}) | _WORKING,
    FILLED: frozenset(),
    CANCELED: frozenset(),
    EXPIRED: frozenset(),
    REPLACED: frozenset(),
    REJECTED: frozenset(),
}


class Order:
    """One order of a run. Only the engine makes and changes one; a strategy reads it.

    Attributes
    ----------
    id : number in the run, from 1 in the order of acceptance; 0 before
    strategy, symbol : ids
    side : 1 buy, -1 sell (a short sale too)
    quantity, filled : 1e-9 shares, positive
    value : sum of price x quantity of the fills, money
    limit, stop : prices in the symbol's units; 0 for none
    trail, trail_bps : distance of a trailing stop, in price units or in basis points; 0 for none
    created : trigger of the decision that wanted it, ns
    live_from : instant from which the venue has it, ns
    expires : instant at which it expires, ns
    """

    __slots__ = (
        *("created", "expires", "extended", "filled", "high_water", "id", "kind", "legs", "limit", "live_from"),
        *("number", "parent", "quantity", "reason", "replaces", "role", "side", "status", "stop", "strategy"),
        *("symbol", "time_in_force", "trail", "trail_bps", "value"),
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
        self.id = 0
        self.strategy = strategy
        self.symbol = symbol
        self.side = side
        self.quantity = quantity
        self.kind = kind
        self.time_in_force = time_in_force
        self.limit = limit
        self.stop = stop
        self.filled = 0
        self.value = 0
        self.trail = 0
        self.trail_bps = 0
        self.high_water = 0
        self.status = _ACCEPTED
        self.created = 0
        self.live_from = 0
        self.expires = _NEVER
        self.number = 0
        self.extended = False
        self.parent = None
        self.legs = ()
        self.replaces = None
        self.role = "order"
        self.reason = ""

    @property
    def open(self) -> int:
        """Quantity that may still fill."""
        return 0 if self.status >= TERMINAL else self.quantity - self.filled

    @property
    def ended(self) -> bool:
        """Whether the status is terminal."""
        return self.status >= TERMINAL

    def cut(self, quantity: int) -> None:
        """Make an order that nobody has yet smaller."""
        if self.id or not 0 < quantity <= self.quantity:
            raise errors.LedgerBroken(f"order {self.id}: {self.quantity} cannot be cut to {quantity} (1e-9 shares)")
        self.quantity = quantity

    def move(self, status: int) -> None:
        """Enter a status; raises LedgerBroken for a step that the state machine does not have."""
        if status not in ALLOWED[self.status]:
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
            self.status = _FILLED
        elif self.status < TERMINAL:
            self.status = PARTIALLY_FILLED
        return complete

    def __repr__(self) -> str:
        side = "buy" if self.side > 0 else "sell"
        return f"Order({self.id}, {side} {self.quantity}, {KINDS[self.kind]}, {STATUSES[self.status]})"
