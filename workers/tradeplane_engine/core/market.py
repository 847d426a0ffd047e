"""The market of a backtest: open orders by symbol, and what a bar does to them.

A bar acts twice. At its open it fills what was waiting for a price. Its path from open to close is known only when the
bar is: then it fills what it reached. Both return executions (order, quantity, price) in the sequence of order ids and
change nothing but the lists of open orders.
"""

from array import array

from tradeplane_engine.core import order as orders
from tradeplane_engine.core.costs import Costs
from tradeplane_engine.core.order import Order
from tradeplane_engine.core.table import Table

Execution = tuple[Order, int, int]


class Market:
    """Open orders of one account.

    Parameters
    ----------
    table : the bars
    costs : spread and commission
    """

    __slots__ = ("books", "costs", "table", "waiting")

    def __init__(self, table: Table, costs: Costs) -> None:
        self.table = table
        self.costs = costs
        self.books: list[list[Order]] = [[] for _ in table.symbols]
        self.waiting = array("i", bytes(4 * len(table.symbols)))

    def add(self, order: Order) -> None:
        """Let an order wait; orders of a symbol keep the sequence of their ids."""
        self.books[order.symbol].append(order)
        self.waiting[order.symbol] += 1

    def remove(self, order: Order) -> None:
        """Take an order out."""
        self.books[order.symbol].remove(order)
        self.waiting[order.symbol] -= 1

    def at_open(self, symbol: int, row: int) -> list[Execution]:
        """Executions at the open of a bar."""
        start = self.table.start[row]
        reference = self.table.open[row]
        return [
            (order, order.quantity - order.filled, self.costs.price(order.side, reference))
            for order in self.books[symbol]
            if order.live_from <= start and order.kind == orders.MARKET
        ]

    def within(self, symbol: int, row: int) -> list[Execution]:  # noqa: ARG002 - a market order never waits that long
        """Executions on the way from a bar's open to its close."""
        return []
