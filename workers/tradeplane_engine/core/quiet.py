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
        *("highest", "instants", "now", "open_at", "opened", "price", "table", "wish"),
    )

    def __init__(self, table: Table, context: Context, account: Book, price: Any, bar_end: Any) -> None:
        self.table = table
        self.context = context
        self.book = self.context._book
        self.account = account
        self.price = price
        self.bar_end = bar_end
        self.highest = int(table.columns["close"].max()) if table.rows else 0
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
        self.now = 0
        self.opened = opened
        self.instants = instants
        last = self._alone(closed, until) if self._is_plain() else self._several(closed, until)
        if last > closed:
            self.now = self.close_at[last - 1]
            while opened < self.table.rows and self.open_at[opened] <= self.now:  # nothing waits for them
                opened += 1
            self.opened = opened
        return last

    def _several(self, closed: int, until: int) -> int:
        """Take in instants of which every symbol holds what its target says."""
        symbol_of, quantity = self.table.symbol_of, self.book.ledger.quantity
        rows = self.table.rows
        last = closed
        while last < rows and self.close_at[last] < until:
            row = self.close_rows[last]
            symbol = symbol_of[row]
            if self.wish[row] * 1_000_000_000 != quantity[symbol] and row >= self.first_row[symbol]:
                break
            last += 1
        while closed < last < rows and self.close_at[last - 1] == self.close_at[last]:
            last -= 1  # one row that is not quiet makes its whole instant one that is not
        if last > closed:
            self.mark(closed, last)
            self.context._row = self.close_rows[last - 1]
            self.context.now = self.close_at[last - 1]
        return last

    def _is_plain(self) -> bool:
        """Say whether there is one symbol, worth a whole number per unit of price, and never beyond 64 bits in all."""
        own, account = self.book.ledger, self.account.ledger
        if len(self.table.symbols) > 1 or own.quantity[0] != account.quantity[0]:
            return False
        if own.step[0] == 0 and own.quantity[0] != 0:
            return False
        most = self.highest
        most *= abs(own.step[0])
        return most + max(abs(own.cash), abs(account.cash)) <= _MOST

    def _alone(self, closed: int, until: int) -> int:
        """The same where one symbol's position is worth its price times a whole number: eight operations a bar."""
        own, account, context = self.book.ledger, self.account.ledger, self.context
        held, step, cash = own.quantity[0], own.step[0], account.cash
        first, rows = self.first_row[0], self.table.rows
        instants = self.instants
        last = closed
        worth = 0
        least = most = self.table.close[closed]
        while last < rows and self.close_at[last] < until and (self.wish[last] * 1_000_000_000 == held or last < first):
            price = self.table.close[last]
            least = min(least, price)
            most = max(most, price)
            worth = price * step
            self.equity[instants] = worth + cash
            instants += 1
            last += 1
        if last == closed:
            return closed
        self.instants = instants
        best = (most if step > 0 else least) * step
        self.book.peak = max(self.book.peak, best + own.cash)
        self.account.peak = max(self.account.peak, best + cash)
        self.price[0] = self.table.close[last - 1]
        self.bar_end[0] = self.table.end[last - 1]
        own.take(0, worth)
        account.take(0, worth)
        context._last_row[0] = last - 1
        context._row = last - 1
        context.now = self.close_at[last - 1]
        return last

    def mark(self, closed: int, last: int) -> None:
        """Take in the closes from one place to another, as the kernel and both ledgers do, without a call per bar."""
        table, context = self.table, self.context
        book, whole = self.book, self.account
        own, account = book.ledger, whole.ledger
        instants, peak, account_peak = self.instants, book.peak, whole.peak
        total, account_total = own.worth_total, account.worth_total
        worth_now = 0
        moved = True  # since the last close there may have been fills
        for index in range(closed, last):
            row = self.close_rows[index]
            symbol = table.symbol_of[row]
            price = table.close[row]
            context._last_row[symbol] = row
            self.price[symbol] = price
            self.bar_end[symbol] = table.end[row]
            held = own.quantity[symbol]
            if held:
                value = price
                value *= own.step[symbol]
                if not value or value > _MOST or value < -_MOST:
                    value = exact.notional(price, held, own.unit[symbol])
                total += value - own.worth[symbol]
                own.worth[symbol] = value
                moved = True
            if account.quantity[symbol]:
                if account.quantity[symbol] != held:
                    value = exact.notional(price, account.quantity[symbol], own.unit[symbol])
                account_total += value - account.worth[symbol]
                account.worth[symbol] = value
                moved = True
            if index + 1 == last or self.close_at[index + 1] != self.close_at[index]:
                if moved:
                    value = total
                    value += own.cash
                    peak = max(peak, exact.fit(value, "equity"))
                    value = account_total
                    value += account.cash
                    worth_now = exact.fit(value, "equity")
                    account_peak = max(account_peak, worth_now)
                    moved = False
                self.equity[instants] = worth_now
                instants += 1
        own.total(total)
        account.total(account_total)
        book.peak = peak
        whole.peak = account_peak
        self.instants = instants
