"""What the model of an order's way consists of: gateways, a ledger, a broker, and how they change."""

from typing import NamedTuple, TypeVar

T = TypeVar("T")

SHARES = 2
END = 1 << SHARES  # the event that the broker ended the order, beside one event for each share

DEPOSED_COMMITS = "a deposed gateway commits an intent"
LEAVES_UNDER_ANOTHER = "an order leaves while another gateway leads"
LEAVES_TWICE = "an order leaves twice"
OVERTAKES = "an order leaves while the fate of an earlier one is open"
DOUBLED = "two orders for one intent"
LEDGER_ABOVE = "the ledger has more than the broker filled"
NEVER_SETTLES = "an intent stays lost, an order stays unwanted, or a fill stays unbooked"

# Where a gateway stands after its open transaction was ended.
ABORTED = {"deciding": "idle", "marking": "in hand"}


class World(NamedTuple):
    """What is explored: what a second order is (``other``, or the next ``attempt`` of the first), how much fails."""

    second: str = ""
    has_fills: bool = False
    faults: int = 2


class Gateway(NamedTuple):
    """One gateway; ``at`` is where its program stands, ``slot`` the order in its hand."""

    at: str = "standby"
    slot: int = 0
    token: int = 0
    number: int = 0
    is_valid: bool = False
    is_paused: bool = False
    history: int = 0
    unwritten: int = -1
    late: int = -1


class Ledger(NamedTuple):
    """What is committed; ``history`` was reconciled, ``seen`` are the shares that are booked, as bits."""

    number: int = 0
    token: int = 0
    history: int = 0
    status: tuple[str, ...] = ("", "")
    wish: tuple[bool, ...] = (False, False)
    booked: int = 0
    seen: int = 0
    is_ended: bool = False

    def marked(self, slot: int, status: str) -> "Ledger":
        """Return the ledger with another status of an intent."""
        return self._replace(status=put(self.status, slot, status))


class Order(NamedTuple):
    """An order at the broker; look-ups show it late, and a copy of a refused one may be taken."""

    is_shown: bool = False
    is_live: bool = True
    filled: int = 0
    is_refused: bool = False
    was_refused: bool = False


class State(NamedTuple):
    """Everything; ``before`` is what a lost commit brings back, ``flight`` and ``left`` count messages."""

    gateways: tuple[Gateway, ...] = (Gateway(), Gateway())
    ledger: Ledger = Ledger()
    locks: int = 0
    before: Ledger | None = None
    history: int = 0
    tokens: int = 0
    flight: tuple[int, ...] = (0, 0)
    left: tuple[int, ...] = (0, 0)
    orders: tuple[Order | None, ...] = (None, None)
    events: int = 0
    gave_up: tuple[bool, ...] = (False, False)
    was_cancelled: bool = False
    faults: int = 0
    violated: str = ""

    def having(self, place: int, gateway: Gateway) -> "State":
        """Return the state with another gateway in a place."""
        return self._replace(gateways=put(self.gateways, place, gateway))

    def broker_has(self, slot: int, order: Order) -> "State":
        """Return the state with another order at the broker."""
        return self._replace(orders=put(self.orders, slot, order))

    def unlocked(self, place: int) -> "State":
        """Return the state without a gateway's lock on the epoch."""
        return self._replace(locks=self.locks & ~(1 << place))

    def taken(self, place: int) -> "State":
        """A gateway takes the epoch."""
        number, token = self.ledger.number + 1, self.tokens + 1
        leader = Gateway(at="recovering", token=token, number=number, is_valid=True, history=self.history)
        return self.having(place, leader)._replace(
            tokens=token,
            before=self.ledger,
            ledger=self.ledger._replace(number=number, token=token),
        )

    def deposed(self, place: int) -> "State":
        """A gateway's process ends, and is started again as a standby."""
        return self.having(place, Gateway()).unlocked(place)

    def restarted(self, ledger: Ledger) -> "State":
        """The database restarts as it was; every transaction ends."""
        gateways = tuple(each._replace(at=ABORTED.get(each.at, each.at)) for each in self.gateways)
        return self._replace(gateways=gateways, ledger=ledger, locks=0, before=None)

    def compared(self) -> "State":
        """Compare what is booked with what the broker filled."""
        order = self.orders[0]
        is_above = order is None or self.ledger.booked > order.filled
        return self._replace(violated=LEDGER_ABOVE) if is_above else self


def put(values: tuple[T, ...], place: int, value: T) -> tuple[T, ...]:
    """Return the values with another one in a place."""
    return (*values[:place], value, *values[place + 1 :])
