"""What a corporate action does to the books of a run."""

from tradeplane_engine import errors
from tradeplane_engine.core import exact, log
from tradeplane_engine.core import order as orders
from tradeplane_engine.core.flow import OrderFlow, number
from tradeplane_engine.core.order import Order

_REASON = "corporate-action"
_SHARE = 1_000_000_000


def split(flow: OrderFlow, symbol: int, new: int, old: int) -> None:
    """Turn ``old`` shares of a symbol into ``new``: positions, marks and open orders.

    A forward split restates open orders; what becomes nothing is cancelled, and so is every order at a reverse split,
    as the broker does.
    """
    if new <= 0 or old <= 0:
        raise errors.ValueRefused("split", "of positive numbers of shares", (new, old))
    flow.log.write(log.SPLIT, flow.now, -1, symbol, -1, new, old, 0)
    price = exact.ratio(flow.price[symbol], old, new, "price")
    flow.price[symbol] = price
    flow.account.book.ledger.split(symbol, new, old, price)
    for slot in flow.slots:
        slot.scope.book.ledger.split(symbol, new, old, price)
    affected = _affected(flow, symbol)
    for order in affected:
        before = order.counted
        if new <= old or not order.restate(new, old):
            order.reason = _REASON  # it ends below, when every book is right
            continue
        for scope in (flow.slots[order.strategy].scope, flow.account):
            scope.book.working(symbol, order.side, order.counted - before)
    for order in affected:
        if order.ended:
            continue
        if order.reason == _REASON:
            flow.end(order, orders.CANCELED, "canceled", _REASON)
        else:
            flow.tell("restated", order, _REASON)


def _affected(flow: OrderFlow, symbol: int) -> list[Order]:
    """Open orders of a symbol and their held legs, by id."""
    found: list[Order] = []
    for order in flow.market.books[symbol]:
        for member in (order, *orders.group(order)):
            if not member.ended and member not in found:
                found.append(member)
    found.sort(key=number)
    return found


def owed(flow: OrderFlow, symbol: int, per_share: int) -> list[int]:
    """What each strategy is owed for what it holds, at an amount of money per share; a short owes.

    A long's amount is rounded down and a short's up, as the broker keeps the fraction.
    """
    return [per_share * slot.scope.book.ledger.quantities[symbol] // _SHARE for slot in flow.slots]


def pay(flow: OrderFlow, symbol: int, amounts: list[int], field: str) -> None:
    """Book one amount per strategy, and their sum on the account."""
    for slot, amount in zip(flow.slots, amounts, strict=True):
        if amount:
            slot.scope.book.ledger.book(amount, field)
            flow.account.book.ledger.book(amount, field)
            flow.log.write(log.ENTRY, flow.now, slot.number, symbol, -1, amount, flow.log.reason(field), 0)


def delist(flow: OrderFlow, symbol: int, price: int) -> None:
    """End a symbol: its orders are cancelled, and each share becomes ``price`` (in its units, 0 when worthless)."""
    for order in _affected(flow, symbol):
        if not order.ended:
            flow.end(order, orders.CANCELED, "canceled", _REASON)
    for slot in flow.slots:
        held = slot.scope.book.ledger.quantities[symbol]
        if held:
            for scope in (slot.scope, flow.account):
                scope.book.ledger.fill(symbol, -held, price, 0)
                scope.book.ledger.mark(symbol, price)
            flow.log.write(log.ENTRY, flow.now, slot.number, symbol, -1, -held, flow.log.reason("delisting"), price)
    flow.forget(symbol)
