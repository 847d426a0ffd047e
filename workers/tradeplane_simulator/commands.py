"""What an account asks for: an order, another in its place, an end.

Each gives a step from desk and market, or a refusal.

An order with exits makes its legs with it; they are held until the entry is filled, and end with it.
"""

import dataclasses
from collections.abc import Container
from dataclasses import dataclass

from tradeplane_engine.domain import numbers, orders, times
from tradeplane_engine.venue import brokers, changes
from tradeplane_simulator import book, desk, errors, exchange, rules, sessions


@dataclass(frozen=True, slots=True)
class Change:
    """What a replacement changes; 0 and empty texts keep what there is. ``trail`` is a price or a percentage."""

    quantity: numbers.Quantity = numbers.Quantity(0)  # noqa: RUF009 - an int
    limit_price: numbers.Price = numbers.Price(0)  # noqa: RUF009 - an int
    stop_price: numbers.Price = numbers.Price(0)  # noqa: RUF009 - an int
    trail: numbers.Price = numbers.Price(0)  # noqa: RUF009 - an int
    time_in_force: str = ""
    client_order_id: str = ""


def submit(before: desk.Desk, request: book.Request, market: desk.Market) -> desk.Step | errors.Refusal:
    """Take an order with its exits or refuse it; the first update of the step is the order as it was accepted."""
    if market.session is None:
        return errors.unprocessable("the calendar of this venue has ended")
    refusal = rules.refusal(before, request, market)
    if refusal is not None:
        return refusal
    works = market.is_open or (market.is_extended and request.extended_hours)
    order = _order(before, request, market, status=book.Status.PENDING_NEW if works else book.Status.ACCEPTED)
    step = _numbered(before).update(order.status.value, order, at=market.at)
    for kind, limit, stop in _exits(request):
        step = _numbered(step.desk, step).update("", _leg(step.desk, order, kind, limit, stop), at=market.at)
    return exchange.release(step, order, market) if works else step


def cancel(before: desk.Desk, order: book.Order, *, at: times.Nanos, due_at: times.Nanos | None = None) -> desk.Step:
    """End an open order and the others of its group: at once, or when that is due, before which a fill may win."""
    step = desk.Step(before)
    for one in before.group(order):
        if due_at is None:
            step = exchange.end(step, one, book.Status.CANCELED, at=at)
        elif one.status is not book.Status.HELD:
            leaving = dataclasses.replace(one, status=book.Status.PENDING_CANCEL, updated_at=at, due_at=due_at)
            step = step.update("pending_cancel", leaving, at=at)
    return step


def replace(
    before: desk.Desk, order: book.Order, change: Change, market: desk.Market, *, used: Container[str]
) -> desk.Step | errors.Refusal:
    """Put another order in the place of one; ``used`` are the client order ids that are taken.

    The quantity asked for is the total: the new order is for what of it has not filled.
    """
    new = _replacement(before, order, change, market)
    needed = rules.reserve_of(before, new, market)
    room = changes.Room(
        added=max(needed - order.reserve, 0),
        buying_power=before.buying_power(market),
        available=_available(before, order),
        used_ids=used,
    )
    refusal = changes.replace_refusal(_working(before, order), _wanted(change), room)
    if refusal is not None:
        return refusal
    if order.order_class != "simple" and (new.quantity != order.rest or new.time_in_force != order.time_in_force):
        return errors.unprocessable(f"qty and time_in_force of {order.order_class} orders cannot be replaced")
    numbered = _numbered(before)
    if not market.latency:
        return _swap(numbered, order, dataclasses.replace(new, reserve=needed), at=market.at)
    waiting = dataclasses.replace(order, status=book.Status.PENDING_REPLACE, updated_at=market.at)
    coming = dataclasses.replace(
        new,
        status=book.Status.PENDING_NEW,
        reserve=numbers.Money(max(needed - order.reserve, 0)),  # the larger of the two, both together
        sent_quantity=change.quantity or order.quantity,
        due_at=times.Nanos(market.clock + market.latency),
    )
    step = numbered.update("pending_replace", waiting, at=market.at)
    return step.update("pending_new", coming, at=market.at)


def settle(before: desk.Desk, order: book.Order, *, at: times.Nanos) -> desk.Step:
    """Let a cancel or a replacement take effect that is due; one whose order has ended before is rejected."""
    if order.status is book.Status.PENDING_CANCEL:
        return cancel(before, order, at=at)
    old = before.open_orders.get(order.replaces)
    rest = 0 if old is None else order.sent_quantity - old.filled
    if old is None or rest <= 0:
        return exchange.end(desk.Step(before), order, book.Status.REJECTED, at=at)
    new = dataclasses.replace(
        order,
        status=book.Status.HELD if old.paired else book.Status.NEW,
        quantity=numbers.Quantity(rest),
        sent_quantity=numbers.Quantity(rest),
        sent_at=at,
        reserve=numbers.Money(old.reserve + order.reserve),
        updated_at=at,
        due_at=None,
    )
    return _swap(desk.Step(before), old, new, at=at)


def _swap(step: desk.Step, old: book.Order, new: book.Order, *, at: times.Nanos) -> desk.Step:
    """Put a new order in the place of an old one, whose legs become its own."""
    gone = dataclasses.replace(
        old,
        status=book.Status.REPLACED,
        reserve=numbers.Money(0),
        updated_at=at,
        replaced_at=at,
        replaced_by=new.id,
    )
    legs = [one for one in step.desk.open_orders.values() if one.parent == old.id]
    step = step.update("replaced", gone, at=at)
    step = step.update("" if new.status is book.Status.HELD else "new", new, at=at)
    for leg in legs:
        step = step.update("", dataclasses.replace(leg, parent=new.id), at=at)
    return step


def gtc_until(at: times.Nanos) -> times.Nanos:
    """Return when an order that is good till cancelled, created at an instant, is cancelled for its age."""
    return times.Nanos(brokers.gtc_until(at))


def _numbered(before: desk.Desk, so_far: desk.Step | None = None) -> desk.Step:
    """Return a step that takes the desk's next order number."""
    counts = dataclasses.replace(before.counts, orders=before.counts.orders + 1)
    counted = dataclasses.replace(before, counts=counts)
    return desk.Step(counted) if so_far is None else desk.Step(counted, so_far.updates, so_far.activities)


def _order(before: desk.Desk, request: book.Request, market: desk.Market, *, status: book.Status) -> book.Order:
    number = before.counts.orders + 1
    name = book.identity(before.account.id, "order", number)
    quantity = request.quantity or rules.shares_of(request, market)
    limit = request.take_profit if request.order_class == "oco" else request.limit_price
    single = (request.kind, request.time_in_force, request.order_class) == ("market", "day", "simple")
    at_market = request.kind == "market" and market.is_open
    return book.Order(
        id=name,
        account=before.account.name,
        sequence=number,
        client_order_id=request.client_order_id or book.identity(before.account.id, "client-order", number),
        symbol=request.symbol,
        side=request.side,
        quantity=quantity,
        intent=rules.intent(before.account.held(request.symbol), request.side),
        status=status,
        reserve=rules.reserve(before, request, market),
        submitted_at=market.at,
        updated_at=market.at,
        expires_at=_expires_at(request.time_in_force, market, extended=request.extended_hours),
        root=name,
        sent_at=market.since if at_market else market.clock,
        sent_quantity=quantity,
        sent_limit=limit,
        sent_stop=request.stop_price,
        waits=not single or not market.fills_whole,
        order_class=request.order_class,
        kind=request.kind,
        time_in_force=request.time_in_force,
        notional=request.notional,
        limit_price=limit,
        stop_price=request.stop_price,
        trail_price=request.trail_price,
        trail_bps=request.trail_bps,
        extended_hours=request.extended_hours,
    )


def _exits(request: book.Request) -> list[tuple[str, numbers.Price, numbers.Price]]:
    """Return kind, limit and stop of each leg; the limit of an OCO is the order itself."""
    found = []
    none = numbers.Price(0)
    if request.take_profit and request.order_class != "oco":
        found.append(("limit", request.take_profit, none))
    if request.stop_loss:
        kind = "stop_limit" if request.stop_loss_limit else "stop"
        found.append((kind, request.stop_loss_limit, request.stop_loss))
    return found


def _leg(before: desk.Desk, order: book.Order, kind: str, limit: numbers.Price, stop: numbers.Price) -> book.Order:
    number = before.counts.orders + 1
    opens = order.order_class != "oco"
    side = {orders.Side.BUY: orders.Side.SELL, orders.Side.SELL: orders.Side.BUY}[order.side] if opens else order.side
    return dataclasses.replace(
        order,
        id=book.identity(before.account.id, "order", number),
        sequence=number,
        client_order_id=book.identity(before.account.id, "client-order", number),
        side=side,
        intent=f"{side.value}_to_close",
        status=book.Status.HELD,
        reserve=numbers.Money(0),
        parent=order.id,
        kind=kind,
        limit_price=limit,
        stop_price=stop,
        sent_limit=limit,
        sent_stop=stop,
    )


def _expires_at(time_in_force: str, market: desk.Market, *, extended: bool) -> times.Nanos:
    if time_in_force == "gtc":
        return gtc_until(market.at)
    if extended and market.today is not None and market.at < sessions.extended(market.today).end:
        return sessions.extended(market.today).end
    assert market.session is not None  # noqa: S101 - what is submitted past the calendar's end is refused
    return sessions.extended(market.session).end if extended else market.session.close


def _replacement(before: desk.Desk, order: book.Order, change: Change, market: desk.Market) -> book.Order:
    number = before.counts.orders + 1
    total = change.quantity or order.quantity
    quantity = numbers.Quantity(max(total - order.filled, 0))
    limit = change.limit_price or order.limit_price
    trails = order.kind == "trailing_stop"
    stop = order.stop_price if trails else change.stop_price or order.stop_price
    word = change.time_in_force or order.time_in_force
    trail, bps = order.trail_price, order.trail_bps
    if change.trail:
        trail, bps = (trail, change.trail // 100) if bps else (change.trail, bps)
    kept = word == order.time_in_force and word != "gtc"
    return dataclasses.replace(
        order,
        id=book.identity(before.account.id, "order", number),
        sequence=number,
        client_order_id=change.client_order_id or book.identity(before.account.id, "client-order", number),
        quantity=quantity,
        status=book.Status.HELD if order.status is book.Status.HELD else book.Status.NEW,
        submitted_at=market.at,
        updated_at=market.at,
        expires_at=order.expires_at if kept else _expires_at(word, market, extended=order.extended_hours),
        sent_at=market.clock,
        sent_quantity=quantity,
        sent_limit=limit,
        sent_stop=stop,
        waits=order.waits or word != "day",
        time_in_force=word,
        limit_price=limit,
        stop_price=stop,
        trail_price=trail,
        trail_bps=bps,
        filled=numbers.Quantity(0),
        filled_value=0,
        replaces=order.id,
    )


def _available(before: desk.Desk, order: book.Order) -> int | None:
    """Shares not promised to any order but this one; None for one that opens a position."""
    held = before.account.held(order.symbol)
    if held * order.side.sign >= 0:
        return None
    return max(abs(held) - before.working(order.symbol, order.side) + order.counted, 0)


def _working(before: desk.Desk, order: book.Order) -> changes.Working:
    # The stop of two exits is shown as held while it works; a leg whose entry is open does not work.
    works = order.order_class == "oco" or order.parent not in before.open_orders
    return changes.Working(
        status="new" if works and order.status is book.Status.HELD else order.status.value,
        quantity=order.quantity,
        filled=order.filled,
        by_notional=bool(order.notional),
        order_class=order.order_class,
        kind=order.kind,
        time_in_force=order.time_in_force,
        limit=order.limit_price,
        stop=order.stop_price,
        trail=order.trail_price or order.trail_bps * 100,
    )


def _wanted(change: Change) -> changes.Change:
    return changes.Change(
        quantity=change.quantity,
        limit=change.limit_price,
        stop=change.stop_price,
        trail=change.trail,
        time_in_force=change.time_in_force,
        client_order_id=change.client_order_id,
    )
