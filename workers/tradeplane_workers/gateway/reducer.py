"""The reducer: what the broker says about an order, in any order and any number of times, becomes one state.

1. Guard ``cumulative-decides``: the cumulative quantity decides. A fill is the interval of it that one execution
   covered; an execution seen again under another id is the same fill, and only its alias is learned.
2. Statuses form a lattice: a terminal one absorbs all others, among open ones the latest word of the broker counts.
   An order whose whole quantity is reported filled is filled, whatever else was said.
3. Guard ``fills-after-terminal``: a terminal state never absorbs a fill: an execution that arrives afterwards is
   booked.
4. A report may know of more than the executions we have seen (``reported`` above ``filled``): the order is incomplete
   until its executions have been fetched. Nothing is booked at a guessed price.
5. What contradicts itself (overlapping intervals, another price, a bust) is not booked but named in ``irregular``.
"""

from dataclasses import dataclass, replace

from tradeplane_engine.domain import numbers, orders, times
from tradeplane_workers.brokers import port

_NEVER = times.Nanos(0)
_NOTHING = numbers.Quantity(0)
_TERMINAL_RANK = {"rejected": 1, "expired": 2, "replaced": 3, "canceled": 4, "filled": 5}
# Only decides between words of the same instant; an unknown word ranks lowest, but counts when it is later.
_OPEN_RANK = {
    "": 0,
    "held": 1,
    "pending_review": 2,
    "accepted": 3,
    "pending_new": 4,
    "accepted_for_bidding": 5,
    "new": 6,
    "stopped": 7,
    "suspended": 8,
    "partially_filled": 9,
    "done_for_day": 10,
    "calculated": 11,
    "pending_replace": 12,
    "pending_cancel": 13,
}


@dataclass(frozen=True, slots=True)
class Fill:
    """Shares from one cumulative quantity to the next; execution and activity id are aliases."""

    cumulative_from: numbers.Quantity
    cumulative_to: numbers.Quantity
    price: numbers.Price
    at: times.Nanos
    execution_id: str = ""
    activity_id: str = ""

    @property
    def quantity(self) -> numbers.Quantity:
        """Shares of this fill."""
        return numbers.Quantity(self.cumulative_to - self.cumulative_from)


@dataclass(frozen=True, slots=True)
class Order:
    """All that is known about one order.

    status : the broker's word; empty before it spoke
    at : the broker's time of that word
    reported : largest cumulative quantity that the broker ever named
    """

    client_order_id: str
    symbol: str
    side: orders.Side
    quantity: numbers.Quantity
    broker_order_id: str = ""
    status: str = ""
    at: times.Nanos = _NEVER
    reported: numbers.Quantity = _NOTHING
    fills: tuple[Fill, ...] = ()
    irregular: str = ""
    replaced_by: str = ""

    @property
    def filled(self) -> numbers.Quantity:
        """Shares booked."""
        return numbers.Quantity(sum(fill.quantity for fill in self.fills))

    @property
    def is_open(self) -> bool:
        """Whether it may still fill."""
        return self.status not in port.TERMINAL

    @property
    def is_incomplete(self) -> bool:
        """Whether the broker knows of executions that are not booked."""
        return self.reported > self.filled

    @property
    def working(self) -> numbers.Quantity:
        """Shares that may still be bought or sold, unsigned: unfilled ones of an open order, unbooked ones of any."""
        size = self.quantity if self.is_open else self.reported
        return numbers.Quantity(max(size - self.filled, 0))


@dataclass(frozen=True, slots=True)
class Change:
    """The order afterwards, the fills to be booked, and those of which an alias was learned."""

    order: Order
    fills: tuple[Fill, ...] = ()
    learned: tuple[Fill, ...] = ()


def apply(order: Order, event: port.Event) -> Change:
    """Return what ``order`` becomes when the broker says ``event``."""
    if order.broker_order_id not in {"", event.broker_order_id}:
        return Change(_irregular(order, f"second broker order {event.broker_order_id}"))
    current = replace(order, broker_order_id=event.broker_order_id)
    if event.irregular:
        current = _irregular(current, event.irregular)
    if event.report is not None:
        current = _reported(current, event.report)
    if event.execution is None:
        return Change(_completed(current))
    change = _executed(current, event.execution)
    return replace(change, order=_completed(change.order))


def _reported(order: Order, report: port.Report) -> Order:
    differences = [
        name
        for name, ours, theirs in (
            ("symbol", order.symbol, report.symbol),
            ("side", order.side, report.side),
            ("quantity", order.quantity, report.quantity),
        )
        if ours != theirs
    ]
    if differences:
        return _irregular(order, f"broker has another {', '.join(differences)}")
    status, at = max((order.status, order.at), (report.status, report.at), key=_weight)
    return replace(
        order,
        status=status,
        at=at,
        reported=max(order.reported, report.filled),
        replaced_by=order.replaced_by or report.replaced_by,
    )


def _executed(order: Order, execution: port.Execution) -> Change:
    start, end = covered(order, execution)
    fill = Fill(
        cumulative_from=start,
        cumulative_to=end,
        price=execution.price,
        at=execution.at,
        execution_id=execution.execution_id,
        activity_id=execution.activity_id,
    )
    if not 0 <= fill.cumulative_from < fill.cumulative_to <= order.quantity:
        return Change(_irregular(order, f"execution of {_interval(fill)} outside of the order"))
    known = [other for other in order.fills if _overlap(other, fill)]
    if not known:
        fills = tuple(sorted((*order.fills, fill), key=lambda each: each.cumulative_from))
        reported = max(order.reported, fill.cumulative_to)
        return Change(replace(order, fills=fills, reported=reported), fills=(fill,))
    same = known[0]
    if len(known) > 1 or _interval(same) != _interval(fill) or same.price != fill.price:
        return Change(_irregular(order, f"execution of {_interval(fill)} contradicts a booked one"))
    merged = replace(
        same,
        at=min(same.at, fill.at),
        execution_id=_alias(same.execution_id, fill.execution_id),
        activity_id=_alias(same.activity_id, fill.activity_id),
    )
    if merged == same:
        return Change(order)
    fills = tuple(merged if each == same else each for each in order.fills)
    return Change(replace(order, fills=fills), learned=(merged,))


def covered(_: Order, execution: port.Execution) -> tuple[numbers.Quantity, numbers.Quantity]:
    """Return the interval of an order's cumulative quantity that an execution covered, whatever is booked already."""
    return numbers.Quantity(execution.cumulative - execution.quantity), execution.cumulative


def _completed(order: Order) -> Order:
    if order.reported >= order.quantity > 0:
        return replace(order, status="filled")
    return order


def _weight(word: tuple[str, int]) -> tuple[int, int, int]:
    status, at = word
    if status in _TERMINAL_RANK:
        return (1, _TERMINAL_RANK[status], at)
    return (0, at, _OPEN_RANK.get(status, 0))


def _alias(known: str, came: str) -> str:
    # The smaller one of two, so that the order of arrival does not show.
    return min(known, came) if known and came else known or came


def _irregular(order: Order, what: str) -> Order:
    words = {*filter(None, order.irregular.split("; ")), what}
    return replace(order, irregular="; ".join(sorted(words)))


def _interval(fill: Fill) -> tuple[int, int]:
    return fill.cumulative_from, fill.cumulative_to


def _overlap(first: Fill, second: Fill) -> bool:
    return first.cumulative_from < second.cumulative_to and second.cumulative_from < first.cumulative_to
