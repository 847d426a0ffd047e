"""What happens to a desk: pure transitions, each from (desk, market) to a step.

1. ``release`` lets an accepted order work: at the market of the session, or where orders wait (:mod:`.working`).
2. ``open_session`` applies splits, releases the waiting orders in the order of their acceptance and fills each one
   at the market whose symbol trades in this session, at its open price by the venue profile.
3. ``trade`` fills, where the dataset holds minutes, each order at the market whose symbol has a minute that starts now.
4. ``happen`` tells what became of orders that wait for a price or a time; ``lapse`` ends one whose time is over.
5. ``close_session`` expires orders at the market, then books the day's fees, each kind rounded up to the cent.
"""

import dataclasses
from collections.abc import Iterable

from tradeplane_engine.domain import bars, numbers, times
from tradeplane_engine.venue import fees, profile
from tradeplane_simulator import account as accounts
from tradeplane_simulator import book, desk, sessions, working

_ENDS = {
    "canceled": book.Status.CANCELED,
    "expired": book.Status.EXPIRED,
    "rejected": book.Status.REJECTED,
    "refused": book.Status.REJECTED,
}
_ON_ITS_WAY = frozenset({book.Status.PENDING_CANCEL, book.Status.PENDING_REPLACE})
_ENDED_AT = {
    book.Status.CANCELED: "canceled_at",
    book.Status.EXPIRED: "expired_at",
    book.Status.REJECTED: "failed_at",
}


def open_session(before: desk.Desk, actions: Iterable[bars.CorporateAction], market: desk.Market) -> desk.Step:
    """Start a session: splits first, then every waiting order."""
    step = desk.Step(before)
    for action in actions:
        if action.split != (1, 1):
            step = _split(step, action, at=market.at)
    for order in tuple(step.desk.open_orders.values()):
        if order.status is book.Status.ACCEPTED:
            step = release(step, order, market)
    return step


def open_extended(before: desk.Desk, market: desk.Market) -> desk.Step:
    """Start the hours before a session: the orders that say so work."""
    step = desk.Step(before)
    for order in tuple(before.open_orders.values()):
        if order.status is book.Status.ACCEPTED and order.extended_hours:
            step = release(step, order, market)
    return step


def happen(before: desk.Desk, found: working.Happened) -> desk.Step:
    """Tell what became of an order that waited."""
    order = before.open_orders[found.order]
    at = times.Nanos(max(found.at, order.submitted_at))  # the bar of a day stands for all of it
    order = dataclasses.replace(
        order,
        quantity=found.quantity,
        # A stop to buy has a limit at the market that it does not show.
        limit_price=found.limit_price if order.limit_price else numbers.Price(0),
        stop_price=found.stop_price,
        high_water=found.high_water,
    )
    step = desk.Step(before)
    if found.event in {"fill", "partial_fill"}:
        return _execute(step, order, found.price, found.executed, at=at)
    if found.event in _ENDS:
        return end(step, order, _ENDS[found.event], at=at)
    if found.event == "moved":
        return step.update("", order, at=at)
    if found.event == "restated":
        return step.update("restated", dataclasses.replace(order, updated_at=at), at=at)
    # Of two exits the stop stays held, as it is shown, until it becomes a limit order.
    if order.status is not book.Status.HELD or (found.event == "new" and order.paired):
        return step
    return step.update("new", dataclasses.replace(order, status=book.Status.NEW, updated_at=at), at=at)


def lapse(before: desk.Desk, order: book.Order, *, at: times.Nanos) -> desk.Step:
    """End an order whose time is over, and with it its group: one good till cancelled is cancelled for its age."""
    step = desk.Step(before)
    old = order.time_in_force == "gtc"
    for one in before.group(order):
        if old and one.status is not book.Status.HELD:
            leaving = dataclasses.replace(one, status=book.Status.PENDING_CANCEL, updated_at=at)
            step = step.update("pending_cancel", leaving, at=at)
        ends = book.Status.CANCELED if old or one.status is book.Status.HELD else book.Status.EXPIRED
        step = end(step, one, ends, at=at)
    return step


def trade(before: desk.Desk, market: desk.Market) -> desk.Step:
    """Start a minute inside a session: every working order whose symbol trades in it."""
    step = desk.Step(before)
    for order in tuple(before.open_orders.values()):
        step = _fill(step, order, market)
    return step


def close_session(before: desk.Desk, market: desk.Market) -> desk.Step:
    """End a session: expire orders at the market, book fees, remember the equity."""
    step = desk.Step(before)
    for order in tuple(before.open_orders.values()):
        if not order.waits:
            step = end(step, order, book.Status.EXPIRED, at=market.at)
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


def release(step: desk.Step, order: book.Order, market: desk.Market) -> desk.Step:
    """Let an accepted order work, and fill it where its symbol trades now."""
    works = dataclasses.replace(order, status=book.Status.NEW, updated_at=market.at)
    return _fill(step.update("new", works, at=market.at), works, market)


def end(step: desk.Step, order: book.Order, status: book.Status, *, at: times.Nanos) -> desk.Step:
    """End an order, with the event of its last status: canceled, expired or rejected."""
    ends = {"status": status, "reserve": numbers.Money(0), "updated_at": at, _ENDED_AT[status]: at}
    gone = dataclasses.replace(order, **ends)  # type: ignore[arg-type]  # names of fields
    return step.update(status.value, gone, at=at)


def _fill(step: desk.Step, order: book.Order, market: desk.Market) -> desk.Step:
    opened = market.opens.get(order.symbol)
    if opened is None or order.waits:
        return step
    price = market.profile.fill_price(order.side, opened)
    if order.notional:
        order = _sized(order, price, held=step.desk.account.held(order.symbol))
        if not order.quantity:
            return end(step, order, book.Status.REJECTED, at=market.at)
    return _execute(step, order, price, order.rest, at=market.at)


def _sized(order: book.Order, price: numbers.Price, *, held: numbers.Quantity) -> book.Order:
    """Turn an amount of money into shares at the price of the fill; a sale never crosses zero."""
    quantity = order.notional * 10**numbers.PRICE_DIGITS // price
    if held * order.side.sign < 0:
        quantity = min(quantity, abs(held))
    return dataclasses.replace(order, quantity=numbers.Quantity(quantity))


def _execute(
    step: desk.Step, order: book.Order, price: numbers.Price, quantity: numbers.Quantity, *, at: times.Nanos
) -> desk.Step:
    account, counts = step.desk.account, step.desk.counts
    number = counts.executions + 1
    execution = book.Execution(
        id=book.identity(account.id, "execution", number),
        account=account.name,
        order_id=order.id,
        symbol=order.symbol,
        side=order.side,
        quantity=quantity,
        price=price,
        position=numbers.Quantity(account.held(order.symbol) + order.side.sign * quantity),
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
    filled = numbers.Quantity(order.filled + quantity)
    complete = filled == order.quantity
    # A request that is on its way stays on its way, but a complete fill has won.
    part = order.status if order.status in _ON_ITS_WAY else book.Status.PARTIALLY_FILLED
    after = dataclasses.replace(
        order,
        status=book.Status.FILLED if complete else part,
        reserve=numbers.Money(-(-order.reserve * (order.quantity - filled) // order.rest)),
        updated_at=at,
        filled=filled,
        filled_value=order.filled_value + price * quantity,
        filled_at=at if complete else None,
    )
    event = "fill" if complete else "partial_fill"
    return step.update(event, after, at=at, execution=execution).activity("FILL", at, _fill_fields(after, execution))


def _fill_fields(order: book.Order, execution: book.Execution) -> dict[str, str]:
    return {
        "type": "fill" if order.status is book.Status.FILLED else "partial_fill",
        "transaction_time": times.text(execution.at),
        "price": numbers.price_text(execution.price),
        "qty": numbers.quantity_text(execution.quantity),
        "cum_qty": numbers.quantity_text(order.filled),
        "leaves_qty": numbers.quantity_text(order.rest),
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
