"""What a corporate action does to the books of a run: positions, marks, open orders and cash.

The action comes before the opens of its instant and after what the bars that ended by then did to waiting orders. A
close that becomes known at or after a split, of a bar from before it, is a mark on the new share basis.
"""

from tradeplane_engine import errors
from tradeplane_engine.core import exact, log
from tradeplane_engine.core import order as orders
from tradeplane_engine.core.flow import OrderFlow, number
from tradeplane_engine.core.order import Order

_REASON = "corporate-action"
_SHARE = 1_000_000_000


def split(flow: OrderFlow, symbol: int, new: int, old: int) -> None:
    """Turn ``old`` shares of a symbol into ``new``: positions, marks and open orders.

    What falls below 1e-9 share of a strategy's position is cut toward zero; the account holds what its strategies do.
    A forward split restates open orders, but for those that the broker cancels; what becomes nothing is cancelled. A
    reverse split cancels the orders with prices and restates those at the market.
    """
    if new <= 0 or old <= 0:
        raise errors.ValueRefused("split", "of positive numbers of shares", (new, old))
    flow.log.write(log.SPLIT, flow.now, -1, symbol, -1, new, old, 0)
    price = restated(flow.price[symbol], new, old)
    flow.price[symbol] = price
    flow.splits.append((flow.now, symbol, new, old))
    flow.last_split[symbol] = flow.now
    whole = 0
    for slot in flow.slots:
        part = shares(slot.scope.book.ledger.quantity[symbol], new, old)
        whole = exact.add(whole, part, "position")
        slot.scope.book.ledger.split(symbol, part, price)
    flow.account.book.ledger.split(symbol, whole, price)
    affected = _affected(flow, symbol)
    for order in affected:
        before = order.counting()
        kept = order.kind == orders.MARKET or new > old
        if kept and order.kind != orders.MARKET and flow.broker is not None:
            kept = flow.broker.keeps(order, forward=new > old)
        if not kept or not order.restate(new, old):
            order.reason = _REASON  # it ends below, when every book is right
            continue
        for scope in flow.slots[order.strategy].scopes:
            scope.book.working(symbol, order.side, order.counting() - before)
    for order in affected:
        if order.ended:
            continue
        if order.reason == _REASON:
            flow.end(order, orders.CANCELED, "canceled", _REASON)
        else:
            flow.tell("restated", order, _REASON)


def shares(held: int, new: int, old: int) -> int:
    """Return a signed position after a split, cut toward zero below 1e-9 share."""
    size = exact.floor_ratio(abs(held), new, old, "position")
    return size if held > 0 else -size


def restated(price: int, new: int, old: int) -> int:
    """Return a price on the share basis after a split, rounded half to even, at least 1; for marks, never for fills."""
    return max(exact.ratio(price, old, new, "price"), 1) if price else 0


def as_of(flow: OrderFlow, symbol: int, end: int, price: int) -> int:
    """Return the close of a bar that ended at an instant on the share basis of now."""
    found = price
    for at, which, new, old in flow.splits:
        if which == symbol and end <= at:
            found = restated(found, new, old) if new else 0
    return found


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
    held = [slot.scope.book.ledger.quantities[symbol] for slot in flow.slots]
    return [exact.fit(per_share * quantity // _SHARE, "dividend") for quantity in held]


def pay(flow: OrderFlow, symbol: int, amounts: list[int], field: str) -> None:
    """Book one amount per strategy, and their sum on the account; ``symbol`` is -1 for what is for none."""
    for slot, amount in zip(flow.slots, amounts, strict=True):
        if amount:
            slot.scope.book.ledger.book(amount, field)
            flow.account.book.ledger.book(amount, field)
            flow.log.write(log.ENTRY, flow.now, slot.number, symbol, -1, amount, flow.log.reason(field), 0)


def delist(flow: OrderFlow, symbol: int, price: int) -> None:
    """End a symbol: its orders are cancelled, and each share becomes ``price`` (in its units, 0 when worthless).

    The log has it as a fill that belongs to no order.
    """
    cancel(flow, symbol)
    for slot in flow.slots:
        held = slot.scope.book.ledger.quantities[symbol]
        if held:
            for scope in slot.scopes:
                realised = scope.book.ledger.fill(symbol, -held, price, 0)
                scope.book.ledger.mark(symbol, price)
                if realised:
                    scope.book.closed(realised)
            flow.log.write(log.FILL, flow.now, slot.number, symbol, -1, -held, price, 0)
    flow.forget(symbol)


def cancel(flow: OrderFlow, symbol: int) -> None:
    """Cancel every open order of a symbol."""
    for order in _affected(flow, symbol):
        if not order.ended:
            flow.end(order, orders.CANCELED, "canceled", _REASON)


def touches(flow: OrderFlow, symbol: int) -> bool:
    """Say whether anybody holds a symbol or has an open order of it."""
    held = [slot.scope.book.ledger.quantities[symbol] for slot in flow.slots]
    return any(held) or bool(flow.market.books[symbol])
