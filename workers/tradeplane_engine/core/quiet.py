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

_MOST = 9_223_372_036_854_775_807  # as in exact


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
        close_rows, close_at, symbol_of = self.close_rows, self.close_at, table.symbol_of
        wish, first_row, quantity = self.wish, self.first_row, self.book.ledger.quantity
        rows = table.rows
        last = closed
        while last < rows and close_at[last] < until:
            row = close_rows[last]
            symbol = symbol_of[row]
            if wish[row] * 1_000_000_000 != quantity[symbol] and row >= first_row[symbol]:
                break
            last += 1
        while closed < last < rows and close_at[last - 1] == close_at[last]:
            last -= 1  # one row that is not quiet makes its whole instant one that is not
        self.now = 0
        self.opened = opened
        self.instants = instants
        if last > closed:
            self._mark(closed, last)
            now = close_at[last - 1]
            while opened < rows and self.open_at[opened] <= now:  # nothing waits for them
                opened += 1
            self.opened = opened
            self.now = now
        return last

    def _mark(self, closed: int, last: int) -> None:  # noqa: C901, PLR0915 - one; a call per step would cost every bar
        """Take in the closes from one place to another, as the kernel and both ledgers do, without a call per bar."""
        table = self.table
        context = self.context
        book, whole = self.book, self.account
        own, account = book.ledger, whole.ledger
        close_rows, close_at, symbol_of, close = self.close_rows, self.close_at, table.symbol_of, table.close
        quantity, worth, step = own.quantity, own.worth, own.step
        account_quantity, account_worth = account.quantity, account.worth
        last_row, equity, instants = context._last_row, self.equity, self.instants
        peak, account_peak = book.peak, whole.peak
        total, account_total = own.worth_total, account.worth_total
        worth_now = account.equity()
        moved = False
        for index in range(closed, last):
            row = close_rows[index]
            symbol = symbol_of[row]
            last_row[symbol] = row
            held = quantity[symbol]
            if held or account_quantity[symbol]:
                value = close[row]
                value *= step[symbol]
                if not value or value > _MOST or value < -_MOST:
                    value = exact.notional(close[row], held, own.unit[symbol])
                total += value - worth[symbol]
                worth[symbol] = value
                if account_quantity[symbol] != held:
                    value = exact.notional(close[row], account_quantity[symbol], own.unit[symbol])
                account_total += value - account_worth[symbol]
                account_worth[symbol] = value
                moved = True
            if index + 1 == last or close_at[index + 1] != close_at[index]:
                if moved:
                    value = total
                    value += own.cash
                    peak = max(peak, exact.fit(value, "equity"))
                    value = account_total
                    value += account.cash
                    worth_now = exact.fit(value, "equity")
                    account_peak = max(account_peak, worth_now)
                    moved = False
                equity[instants] = worth_now
                instants += 1
        own.total(total)
        account.total(account_total)
        book.peak = peak
        whole.peak = account_peak
        self.instants = instants
        first = close_at[closed]
        for symbol in range(len(table.symbols)):
            row = last_row[symbol]
            if row >= 0 and table.end[row] >= first:  # not one from before, whose price a split may have changed
                price = close[row]
                self.price[symbol] = price
                self.bar_end[symbol] = table.end[row]
                if quantity[symbol]:
                    own.marked[symbol] = price
                if account_quantity[symbol]:
                    account.marked[symbol] = price
        context._row = close_rows[last - 1]
        context.now = close_at[last - 1]
