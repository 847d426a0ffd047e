"""What happens to a desk: pure transitions, each from (desk, market) to a step.

1. ``submit`` checks an order; while the market is closed it waits as ``accepted``, else it is released at once.
2. ``open_session`` applies splits, releases the waiting orders in the order of their acceptance and fills each one
   at the market whose symbol trades in this session, at its open price by the venue profile.
3. ``trade`` fills, where the dataset holds minutes, each order at the market whose symbol has a minute that starts now.
4. ``happen`` tells what became of orders that wait for a price or a time (:mod:`.working`).
5. ``close_session`` expires orders at the market, then books the day's fees, each kind rounded up to the cent.
"""

import dataclasses
from collections.abc import Iterable

from tradeplane_engine.domain import bars, numbers, times
from tradeplane_engine.venue import fees, profile
from tradeplane_simulator import account as accounts
from tradeplane_simulator import book, desk, errors, rules, sessions, working

_LASTS = 90 * times.DAY  # of an order that is good till cancelled


def submit(before: desk.Desk, request: book.Request, market: desk.Market) -> desk.Step | errors.Refusal:
    """Take an order or refuse it."""
    if market.session is None:
        return errors.unprocessable("the calendar of this venue has ended")
    refusal = rules.refusal(before, request, market)
    if refusal is not None:
        return refusal
    number = before.counts.orders + 1
    order = book.Order(
        id=book.identity(before.account.id, "order", number),
        account=before.account.name,
        sequence=number,
        client_order_id=request.client_order_id or book.identity(before.account.id, "client-order", number),
        symbol=request.symbol,
        side=request.side,
        quantity=request.quantity,
        intent=rules.intent(before.account.held(request.symbol), request.side),
        status=book.Status.PENDING_NEW if market.is_open else book.Status.ACCEPTED,
        reserve=rules.reserve(before, request, market),
        submitted_at=market.at,
        updated_at=market.at,
        expires_at=times.Nanos(market.at + _LASTS) if request.time_in_force == "gtc" else market.session.close,
        kind=request.kind,
        time_in_force=request.time_in_force,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        trail_price=request.trail_price,
        trail_bps=request.trail_bps,
        extended_hours=request.extended_hours,
    )
    counted = dataclasses.replace(before, counts=dataclasses.replace(before.counts, orders=number))
    step = desk.Step(counted).update(order.status.value, order, at=market.at)
    return _release(step, order, market) if market.is_open else step


def cancel(before: desk.Desk, order: book.Order, *, at: times.Nanos) -> desk.Step:
    """End an open order."""
    gone = dataclasses.replace(order, status=book.Status.CANCELED, updated_at=at, canceled_at=at)
    return desk.Step(before).update("canceled", gone, at=at)


def open_session(before: desk.Desk, actions: Iterable[bars.CorporateAction], market: desk.Market) -> desk.Step:
    """Start a session: splits first, then every waiting order."""
    step = desk.Step(before)
    for action in actions:
        if action.split != (1, 1):
            step = _split(step, action, at=market.at)
    for order in tuple(step.desk.open_orders.values()):
        if not order.waits or order.status is book.Status.ACCEPTED:
            step = _release(step, order, market)
    return step


def happen(before: desk.Desk, order: book.Order, found: working.Happened) -> desk.Step:
    """Tell what became of an order that waited."""
    step = desk.Step(before)
    if found.event == "fill":
        return _execute(step, order, found.price, at=found.at)
    if found.event == "restated":
        changed = dataclasses.replace(
            order,
            quantity=found.quantity,
            limit_price=found.limit_price,
            stop_price=found.stop_price,
            updated_at=found.at,
        )
        return step.update("restated", changed, at=found.at)
    if found.event == "expired":
        gone = dataclasses.replace(order, status=book.Status.EXPIRED, updated_at=found.at, expired_at=found.at)
        return step.update("expired", gone, at=found.at)
    return cancel(before, order, at=found.at)


def trade(before: desk.Desk, market: desk.Market) -> desk.Step:
    """Start a minute inside a session: every working order whose symbol trades in it."""
    step = desk.Step(before)
    for order in tuple(before.open_orders.values()):
        step = _fill(step, order, market)
    return step


def close_session(before: desk.Desk, market: desk.Market) -> desk.Step:
    """End a session: expire day orders, book fees, remember the equity."""
    step = desk.Step(before)
    for order in tuple(before.open_orders.values()):
        if order.waits:
            continue
        gone = dataclasses.replace(order, status=book.Status.EXPIRED, updated_at=market.at, expired_at=market.at)
        step = step.update("expired", gone, at=market.at)
    date = sessions.new_york_date(market.at).isoformat()
    booked = fees.entries(_charges(before.account, market.profile), date)
    for entry in booked:
        step = step.activity("FEE", market.at, entry.fields)
    charged = accounts.charge(step.desk.account, [numbers.Money(-entry.amount) for entry in booked])
    return step.with_account(
        dataclasses.replace(
            charged,
            unsettled=(),
            settled_at=market.at,
            last_equity=accounts.value(charged, market.prices).equity,
        )
    )


def accrued(account: accounts.Account, venue: profile.VenueProfile) -> dict[str, numbers.Money]:
    """Fees by kind that the next close will book."""
    return fees.day_fees(_charges(account, venue))


def _charges(account: accounts.Account, venue: profile.VenueProfile) -> list[fees.Charge]:
    return [
        charge
        for execution in account.unsettled
        for charge in venue.charges(
            execution.side,
            execution.price,
            execution.quantity,
            session=sessions.new_york_date(execution.at).isoformat(),
        )
    ]


def _release(step: desk.Step, order: book.Order, market: desk.Market) -> desk.Step:
    working = dataclasses.replace(order, status=book.Status.NEW, updated_at=market.at)
    return _fill(step.update("new", working, at=market.at), working, market)


def _fill(step: desk.Step, order: book.Order, market: desk.Market) -> desk.Step:
    opened = market.opens.get(order.symbol)
    if opened is None or order.waits:
        return step
    return _execute(step, order, market.profile.fill_price(order.side, opened), at=market.at)


def _execute(step: desk.Step, order: book.Order, price: numbers.Price, *, at: times.Nanos) -> desk.Step:
    account, counts = step.desk.account, step.desk.counts
    number = counts.executions + 1
    execution = book.Execution(
        id=book.identity(account.id, "execution", number),
        account=account.name,
        order_id=order.id,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        price=price,
        position=numbers.Quantity(account.held(order.symbol) + order.signed),
        at=at,
    )
    step = desk.Step(
        dataclasses.replace(
            step.desk,
            account=accounts.fill(account, execution),
            counts=dataclasses.replace(counts, executions=number),
        ),
        step.updates,
        step.activities,
    )
    filled = dataclasses.replace(
        order,
        status=book.Status.FILLED,
        reserve=numbers.Money(0),
        filled_at=at,
        filled_price=price,
    )
    return step.update("fill", filled, at=at, execution=execution).activity("FILL", at, _fill_fields(filled, execution))


def _fill_fields(order: book.Order, execution: book.Execution) -> dict[str, str]:
    quantity = numbers.quantity_text(execution.quantity)
    return {
        "type": "fill",
        "transaction_time": times.text(execution.at),
        "price": numbers.price_text(execution.price),
        "qty": quantity,
        "cum_qty": quantity,
        "leaves_qty": "0",
        "side": execution.side.value,
        "symbol": execution.symbol,
        "order_id": execution.order_id,
        "order_status": order.status.value,
    }


def _split(step: desk.Step, action: bars.CorporateAction, *, at: times.Nanos) -> desk.Step:
    before = step.desk.account
    after = accounts.split(before, action.symbol, ratio=action.split)
    change = after.held(action.symbol) - before.held(action.symbol)
    step = step.with_account(after)
    if change:
        step = step.activity(
            "SPLIT",
            at,
            {
                "date": sessions.new_york_date(at).isoformat(),
                "net_amount": "0",
                "symbol": action.symbol,
                "qty": numbers.quantity_text(numbers.Quantity(change)),
                "description": f"{action.symbol} split {action.split[0]} for {action.split[1]}",
                "status": "executed",
            },
        )
    for order in tuple(step.desk.open_orders.values()):
        if order.symbol == action.symbol and not order.waits:
            quantity = accounts.scaled(order.quantity, action.split)
            step = step.update("restated", dataclasses.replace(order, quantity=quantity, updated_at=at), at=at)
    return step
