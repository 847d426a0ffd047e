"""The way of the price through a bar: open, one extreme, the other extreme, close.

A bar does not tell which extreme came first. A policy says it; ``worst`` and ``best`` walk both ways with copies of the
orders and compare what the account would be worth at the bar's close. They bound the other policies bar by bar: what a
strategy makes of a fill in its updates, and what later bars do, is beyond them.
"""

from typing import Protocol

from tradeplane_engine.core import exact, venue_settings
from tradeplane_engine.core import order as orders
from tradeplane_engine.core.market import Market
from tradeplane_engine.core.order import Order
from tradeplane_engine.core.table import Table


class Trader(Protocol):
    """Who books what the walk finds."""

    def trade(self, order: Order, row: int, reference: int, limit: int) -> None:
        """Trade what the bar's volume allows of an order: as a taker at a reference, or at a resting limit."""


def walk(market: Market, table: Table, book: list[Order], row: int, trader: Trader, high_first: int) -> None:
    """Go through a bar and let each order trade where the price reaches it.

    What a fill changes (the other exit of a pair, legs of an entry that is complete) acts on the rest of the way.
    """
    high = table.high[row]
    low = table.low[row]
    close = table.close[row]
    position = table.open[row]
    for target in (high, low, close) if high_first else (low, high, close):
        while True:
            order = market.next(book, row, position, target)
            if order is None:
                break
            position = market.reached
            if order.kind != orders.LIMIT and not order.triggered:
                order.trigger()
                if order.kind == orders.STOP_LIMIT:
                    continue  # a limit order from here on
            trader.trade(order, row, position, order.limit if order.resting else 0)
        position = target
        market.drift(book, row, position)


def high_first(market: Market, table: Table, row: int) -> bool:
    """Say whether the high comes first by the market's policy."""
    policy = market.path
    if policy == venue_settings.OHLC:
        return True
    if policy == venue_settings.OLHC:
        return False
    if policy == venue_settings.ADAPTIVE:
        return table.high[row] - table.open[row] < table.open[row] - table.low[row]
    up = _worth(market, table, row, 1)
    down = _worth(market, table, row, 0)
    return up < down if policy == venue_settings.WORST else up > down


def _worth(market: Market, table: Table, row: int, high_first: int) -> int:
    symbol = table.symbol_of[row]
    rehearsal = Rehearsal(market, table, market.books[symbol])
    walk(market, table, rehearsal.book, row, rehearsal, high_first)
    market.take(row, -rehearsal.taken)
    return rehearsal.worth


class Rehearsal:
    """Fills of copies, without ledgers and without the strategy.

    Attributes
    ----------
    book : copies of the open orders
    taken : quantity that was traded
    worth : gain of the fills at the bar's close less commissions, in price units x 1e-9 shares
    """

    def __init__(self, market: Market, table: Table, book: list[Order]) -> None:
        self.market = market
        self.table = table
        copies: dict[int, Order] = {}
        for order in book:
            for member in (order, *orders.group(order)):
                copies.setdefault(member.id, member.copy())
        for order in book:
            for member in (order, *orders.group(order)):
                parent = None if member.parent is None else copies[member.parent.id]
                copies[member.id].group_with(parent, tuple([copies[leg.id] for leg in member.legs]))
        self.book = [copies[order.id] for order in book]
        self.taken = 0
        self.worth = 0

    def trade(self, order: Order, row: int, reference: int, limit: int) -> None:
        """Trade what the bar's volume allows of an order: as a taker at a reference, or at a resting limit."""
        quantity = min(order.quantity - order.filled, self.market.left(row))
        if quantity == 0:
            return
        price = limit or self.market.price(order, reference, quantity, row)
        self.market.take(row, quantity)
        self.taken += quantity
        unit = self.table.unit[order.symbol]
        # Ordinary integers, see the .pxd: the products leave 64 bits.
        gain = order.side * (self.table.close[row] - price)
        fee = self.market.costs.fee(price, quantity, unit)
        self.worth += gain * quantity - fee * unit
        complete = order.fill(quantity, exact.notional(price, quantity, unit))
        other = orders.partner(order)
        if other is not None:
            other.shrink(quantity)
        if complete:
            self.book.remove(order)
            if other is not None:
                self.book.remove(other)
            for leg in order.legs if order.role == "entry" else ():
                leg.move(orders.NEW)
                self.book.append(leg)
