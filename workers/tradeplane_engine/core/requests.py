"""What is asked of orders that the venue has: cancel and replace, at once or after the latency; and what falls due.

A request or an expiry acts between bars: a bar of the symbol that had begun before its instant is waited for, and what
that bar filled on its way has won. Where orders fill at quotes it acts at its instant.
"""

import heapq

from tradeplane_engine import errors
from tradeplane_engine.core import order as orders
from tradeplane_engine.core.flow import ARRIVE, CANCEL, EXPIRE, REPLACE, OrderFlow
from tradeplane_engine.core.order import Order


def cancel(flow: OrderFlow, order: Order) -> None:
    """Cancel an open order; one that has ended or is being cancelled stays so."""
    if order.ended or order.status == orders.PENDING_CANCEL:
        return
    if order.id == 0:  # it has not left yet
        for member in (order, *orders.group(order)):
            member.move(orders.CANCELED)
        return
    if order.status == orders.PENDING_REPLACE:
        raise errors.ValueRefused("order.status", "none that waits for its replacement", "pending_replace")
    if flow.latency == 0 or order.status == orders.HELD:
        flow.end(order, orders.CANCELED, "canceled", "")
        return
    order.move(orders.PENDING_CANCEL)
    flow.note(order, 0)
    flow.later(flow.now + flow.latency, CANCEL, order, None)
    flow.tell("pending_cancel", order, "")


def replace(flow: OrderFlow, order: Order, new: Order) -> None:
    """Let a new order with other prices take the place of an open one, if the chains let it."""
    if order.status not in {orders.NEW, orders.PARTIALLY_FILLED}:
        raise errors.ValueRefused("order.status", "new or partially_filled", orders.STATUSES[order.status])
    slot = flow.slots[order.strategy]
    new.replaces = order
    new.number = order.number + 1
    new.created = flow.now
    rest = order.quantity - order.filled  # of a pair of exits too, which counts once
    new.resize(rest)
    for scope in slot.scopes:
        scope.book.working(order.symbol, order.side, -rest)
        scope.book.released()
    refusal = flow.refusal(slot, new, new.quantity)
    for scope in slot.scopes:
        scope.book.adopt(order.symbol, order.side, rest, flow.price[order.symbol])
    if refusal is not None:
        flow.breach(flow, slot, new, refusal)  # a smaller one is no replacement; a halt opens all the same
        flow.refuse(slot, new, refusal)
        return
    rejection = None if flow.broker is None else flow.broker.replacement(order, new)
    if rejection is not None:
        flow.reject(slot, new, rejection)
    elif flow.latency == 0:
        _swap(flow, order, new)
    else:
        order.move(orders.PENDING_REPLACE)
        flow.note(order, 0)
        flow.later(flow.now + flow.latency, REPLACE, order, new)
        flow.tell("pending_replace", order, "")


def settle(flow: OrderFlow) -> None:
    """Let take effect what is due by now."""
    while flow.due and flow.due[0][0] <= flow.now:
        at, number, what, order, other = heapq.heappop(flow.due)
        if order.ended and what != REPLACE:
            continue
        running = 0 if flow.market.quoted else _running(flow, order.symbol, at)
        if running:
            heapq.heappush(flow.due, (running, number, what, order, other))
        elif what == EXPIRE and order.time_in_force == orders.GTC:
            flow.end(order, orders.CANCELED, "canceled", "gtc-age")
        elif what == EXPIRE:
            flow.end(order, orders.EXPIRED, "expired", "")
        elif what == CANCEL:
            flow.end(order, orders.CANCELED, "canceled", "")
        elif what == ARRIVE:
            flow.arrive(order)
        elif other is not None:
            _swap(flow, order, other)
    flow.due_at = flow.due[0][0] if flow.due else orders.NEVER


def _swap(flow: OrderFlow, old: Order, new: Order) -> None:
    new.live_from = flow.now
    if old.ended:  # a fill, a cancel or its session's close won
        new.id = len(flow.orders) + 1
        flow.orders.append(new)
        new.move(orders.REJECTED)
        new.reason = "order-not-open"
        flow.note(new, old.id)
        flow.tell("rejected", new, new.reason)
        return
    new.resize(old.quantity - old.filled)
    new.role = old.role
    new.paired = old.paired
    new.triggered = old.triggered
    if new.kind == orders.TRAILING_STOP:
        new.trail_from(old.high_water)
    new.group_with(old.parent, old.legs)
    for leg in old.legs:
        leg.group_with(new, leg.legs)
    head = old.parent
    if head is not None:
        head.group_with(head.parent, tuple([new if leg is old else leg for leg in head.legs]))
    old.group_with(None, ())
    for scope in flow.slots[old.strategy].scopes:
        scope.book.working(old.symbol, old.side, -old.counting())
        scope.book.released()
    flow.market.remove(old)
    old.move(orders.REPLACED)
    flow.accept(new)
    flow.note(old, new.id)
    flow.tell("replaced", old, "")
    if not new.ended:  # the strategy may have cancelled it on that word
        flow.tell("new", new, "")
    if flow.market.quoted:
        flow.arrive(new)


def _running(flow: OrderFlow, symbol: int, at: int) -> int:
    """End of the symbol's bar that had begun before an instant and is not over; 0 for none."""
    table = flow.table
    ends = table.columns["end"]
    first, stop = table.starts[symbol], table.starts[symbol + 1]
    row = first + int(ends[first:stop].searchsorted(flow.now, side="right"))
    return int(ends[row]) if row < stop and table.start[row] < at else 0
