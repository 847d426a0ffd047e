"""Instants at which bars only move marks, for a strategy that follows a column of targets.

Where no order is open and every symbol of an instant holds what its target says, the loop's turn, decision and opens
have nothing to do. Taking in the closes of such an instant is all that is left, and it is written here once more, in a
single function: between two orders of a followed column there are often dozens of such bars. The result is that of the
loop to the last bit, equity curve and peaks included.
"""

from typing import Any

from tradeplane_engine.core import exact
from tradeplane_engine.core.context import Context
from tradeplane_engine.core.risk import Book
from tradeplane_engine.core.table import Table


class Quiet:
    """Takes in quiet instants.

    Parameters
    ----------
    table : the bars
    context : of the strategy, the only one of the run
    account : the account's book
    price, bar_end : the kernel's last close and end of bar per symbol

    Attributes
    ----------
    opened, instants, now : where the last advance ended: opens passed, instants of the equity curve, ns
    """

    __slots__ = (
        *("account", "bar_end", "book", "close_at", "close_rows", "context", "equity", "first_row"),
        *("instants", "now", "open_at", "opened", "price", "table", "wish"),
    )

    def __init__(self, table: Table, context: Context, account: Book, price: Any, bar_end: Any) -> None:
        self.table = table
        self.context = context
        self.book = self.context._book
        self.account = account
        self.price = price
        self.bar_end = bar_end
        self.opened = 0
        self.instants = 0
        self.now = 0

    def read(self, close_rows: Any, close_at: Any, open_at: Any, wish: Any, first_row: Any) -> None:
        """Take the columns that it reads: the kernel's order of rows, and the strategy's targets."""
        self.close_rows = close_rows
        self.close_at = close_at
        self.open_at = open_at
        self.wish = wish
        self.first_row = first_row

    def write(self, equity: Any) -> None:
        """Take the column of the equity curve."""
        self.equity = equity

    def advance(self, closed: int, opened: int, instants: int, until: int) -> int:
        """Take in instants before ``until`` as long as they are quiet; return the next close's place."""
        table = self.table
        context = self.context
        book = self.book
        whole = self.account
        own = book.ledger
        account = whole.ledger
        rows = table.rows
        now = 0
        while closed < rows and self.close_at[closed] < until:
            instant = self.close_at[closed]
            last = closed
            while last < rows and self.close_at[last] == instant:
                row = self.close_rows[last]
                symbol = table.symbol_of[row]
                if row >= self.first_row[symbol] and self.wish[row] * 1_000_000_000 != own.quantity[symbol]:
                    break
                last += 1
            if last == closed or (last < rows and self.close_at[last] == instant):
                break
            now = instant
            for index in range(closed, last):
                row = self.close_rows[index]
                symbol = table.symbol_of[row]
                price = table.close[row]
                self.price[symbol] = price
                self.bar_end[symbol] = table.end[row]
                context._last_row[symbol] = row
                context._row = row
                if own.quantity[symbol]:
                    own.mark(symbol, price)
                if account.quantity[symbol]:
                    account.mark(symbol, price)
            equity = exact.add(own.cash, own.worth_total, "equity")
            book.peak = max(book.peak, equity)
            equity = exact.add(account.cash, account.worth_total, "equity")
            whole.peak = max(whole.peak, equity)
            self.equity[instants] = equity
            instants += 1
            closed = last
        if now:
            context.now = now
        while opened < rows and self.open_at[opened] <= now:  # nothing waits for them
            opened += 1
        self.opened = opened
        self.instants = instants
        self.now = now
        return closed
