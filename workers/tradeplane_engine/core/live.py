"""One strategy on bars as they come, with its venue somewhere else: the kernel's counterpart of a running market.

Context, indicators, orders, ledger and books are those of every run. What differs: the table grows by the row,
indicators are computed by the row, and orders neither pass a chain nor meet a market here. Whoever drives this takes
what a turn or another hook wanted, hands it over, and says what became of it.
"""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from tradeplane_engine import errors, indicators
from tradeplane_engine.core import actions, agenda, barriers, evaluation, exact
from tradeplane_engine.core import order as orders
from tradeplane_engine.core.agenda import Agenda
from tradeplane_engine.core.context import Context, Indicator
from tradeplane_engine.core.ledger import Ledger
from tradeplane_engine.core.limits import Limits
from tradeplane_engine.core.order import Order
from tradeplane_engine.core.risk import Book, Policy, Scope
from tradeplane_engine.core.slot import Slot, Update
from tradeplane_engine.core.table import Bar, Bars, Table
from tradeplane_engine.data import series

_ROOM = 1024  # rows of a symbol at first; they double


class GrowingTable(Table):
    """A table with room behind the rows of each symbol.

    What is written is never changed, and a full table is followed by a larger one: a :class:`Bar` may still be kept.

    Attributes
    ----------
    room : rows that a symbol may have
    """

    __slots__ = ("_cells", "_counts", "room")

    def __init__(self, symbols: Sequence[str], digits: int, room: int, timeframe: int) -> None:
        super().__init__([_blank(symbol, digits, room, timeframe) for symbol in symbols])
        self.room = room
        # The frozen columns are views of these.
        self._cells: list[Any] = [column.base for column in self.columns.values()]
        self._counts = [0] * len(symbols)

    def append(self, symbol: int, row: Sequence[int]) -> int:
        """Write the next bar of a symbol, its values in the order of ``table.COLUMNS``; return its row."""
        place = self.starts[symbol] + self._counts[symbol]
        for cells, value in zip(self._cells, row, strict=True):
            cells[place] = value
        self._counts[symbol] += 1
        return int(place)

    def is_full(self, symbol: int) -> bool:
        """Say whether a symbol has no room for another bar."""
        return bool(self._counts[symbol] == self.room)

    def larger(self) -> "GrowingTable":
        """Return a table of twice the room with the same bars."""
        found = GrowingTable(self.symbols, self.digits[0], 2 * self.room, self.timeframes[0])
        for symbol, count in enumerate(self._counts):
            old, new = self.starts[symbol], found.starts[symbol]
            for cells, before in zip(found._cells, self._cells, strict=True):
                cells[new : new + count] = before[old : old + count]
        found._counts = list(self._counts)
        return found


class LiveContext(Context):
    """The context of a strategy whose orders leave for a broker: what cannot leave is refused by name."""

    def follow(self, targets: Any) -> None:
        """Refuse targets that are all known at the start."""
        raise errors.ValueRefused("follow", "a backtest's: live bars are not known before", targets)

    def order(self, *words: Any, notional: Any = None, **prices: Any) -> Order:
        """Want an order, as in a backtest; one for an amount of money cannot leave."""
        if notional is not None:
            raise errors.ValueRefused("notional", "a backtest's, as long as only shares leave live", notional)
        return Context.order(self, *words, **prices)

    def bracket(self, symbol: str, side: str, shares: Any, **prices: Any) -> Order:  # noqa: ARG002 - as in a backtest
        """Refuse an order with exits."""
        raise errors.ValueRefused("bracket", "a backtest's, as long as only single orders leave live", symbol)

    def oco(self, symbol: str, side: str, shares: Any, **prices: Any) -> Order:  # noqa: ARG002 - as above
        """Refuse a pair of exits."""
        raise errors.ValueRefused("oco", "a backtest's, as long as only single orders leave live", symbol)


class Live:
    """A strategy between bars that come and orders that go.

    Parameters
    ----------
    name : of the strategy
    strategy : the object whose hooks are called
    symbols : universe, in the order in which bars of one instant are shown
    capital : cash that its ledger starts from, money
    digits : decimals of a price
    timeframe : length of a bar, ns

    Attributes
    ----------
    context : what its hooks are given
    warmup : rows of a symbol before the first one that is shown
    reach : rows of a symbol that what it declared is a function of; of recursive indicators ten windows
    """

    __slots__ = (
        *("_accepted", "_declared", "_digits", "_withdrawn", "agenda", "books", "context", "has_extended_hours"),
        *("has_sessions", "market", "price", "reach", "slots", "started", "table", "warmup"),
    )

    def __init__(
        self, name: str, strategy: Any, symbols: Sequence[str], capital: int, digits: int, timeframe: int
    ) -> None:
        self.table = GrowingTable(symbols, digits, _ROOM, timeframe)
        book = Book(Ledger(capital, self.table.unit), self.table.symbols)
        self.context = LiveContext(name, self.table, book, self)
        slot = Slot(0, name, strategy, self.context, Scope("strategy", Policy(name, Limits()), book))
        self.slots = [slot]
        self.agenda = Agenda()
        self.books: list[list[Order]] = [[] for _ in symbols]
        self.market = SimpleNamespace(books=self.books, quoted=False)
        self.has_sessions = True
        self.has_extended_hours = True
        self.price = [0] * len(symbols)
        self.started = False
        self.warmup = getattr(strategy, "warm_up", 0)
        self.reach = self.warmup + 1
        self._digits = digits
        self._accepted = 0
        self._withdrawn: list[Order] = []
        self._declared: list[tuple[list[indicators.Incremental], list[Any], list[Indicator]]] = []

    # What its context asks for.

    def number_of(self, context: Context) -> int:  # noqa: ARG002 - as the kernel's, which has many
        """Number of the strategy."""
        return 0

    def mark(self, symbol: int) -> int:
        """Last close of a symbol on the share basis of now, 0 where none is known."""
        found: int = self.price[symbol]
        return found

    def declare(
        self, context: Context, what: Any, window: int | None, parameters: Mapping[str, Any], timeframe: Any = None
    ) -> Any:
        """Prepare an indicator for the bars that will come; only before the first one."""
        if self.started:
            raise errors.ValueRefused("indicator", "declared in on_start", what)
        numbers = np.array([self.table.series_id(one, timeframe) for one in range(len(self.books))], dtype=np.int64)
        wanted = evaluation.spec(what, window, parameters)
        columns = [self._column(wanted.exact) for _ in wanted.outputs]
        found = {
            name: Indicator(context, wanted, column, numbers)
            for name, column in zip(wanted.outputs, columns, strict=True)
        }
        per_symbol = [indicators.Incremental(wanted, digits=self._digits) for _ in self.table.symbols]
        self._declared.append((per_symbol, columns, list(found.values())))
        self.warmup = max(self.warmup, wanted.warmup)
        span = 10 * max(wanted.window, wanted.warmup) if wanted.span is None else wanted.span
        self.reach = max(self.reach, wanted.warmup + 1, span)
        return found["value"] if len(found) == 1 else SimpleNamespace(**found)

    def replace(self, order: Order, new: Order) -> None:  # noqa: ARG002 - as the kernel's
        """Refuse to change an order."""
        raise errors.ValueRefused("replace", "a backtest's, as long as no order changes live", str(order))

    def cancel(self, order: Order) -> None:
        """Withdraw an order that has not left, or ask for the end of one that has; one that has ended stays."""
        if order.ended or order.status == orders.PENDING_CANCEL:
            return
        if order.id:
            order.move(orders.PENDING_CANCEL)
            self._withdrawn.append(order)
        else:
            order.move(orders.CANCELED)

    # Bars in, orders out.

    def start(self) -> None:
        """Let the strategy declare what it needs."""
        self.slots[0].call("on_start")
        self.started = True

    def stop(self) -> None:
        """Tell the strategy that it is over."""
        self.slots[0].call("on_stop")

    def take(self, symbol: int, row: Sequence[int]) -> int:
        """Take in the next bar of a symbol, its values in the order of ``table.COLUMNS``; return its row."""
        if self.table.is_full(symbol):
            self._grow()
        place = self.table.append(symbol, row)
        _, _, _, opening, high, low, close, volume = row
        for per_symbol, columns, _ in self._declared:
            one = per_symbol[symbol]
            one.push(opening, high, low, close, volume)
            for column, value in zip(columns, one.values, strict=True):
                if value is not None:
                    column[place] = value
        self.context._last_row[symbol] = place
        self.price[symbol] = close
        ledger = self.context._ledger
        if ledger.quantity[symbol]:
            ledger.mark(symbol, close)
        return place

    def show(self, now: int, rows: Sequence[int]) -> bool:
        """Let the strategy see bars at an instant; say whether there was one to see."""
        slot, context, table = self.slots[0], self.context, self.table
        context.now = now
        shown = []
        try:
            for row in rows:
                if row - table.starts[table.symbol_of[row]] < self.warmup:
                    continue
                context._row = row
                bar = Bar(table, row)
                shown.append(bar)
                if slot.on_bar is not None:
                    slot.on_bar(context, bar)
            if shown and slot.on_bars is not None:
                missing = () if len(rows) == len(table.symbols) else barriers.absent(table, rows)
                slot.on_bars(context, Bars(shown, table.label_of(rows[0]), table.end[rows[0]], missing))
        except errors.EngineError as error:
            error.add_note(f"strategy {slot.name!r} at {shown[len(shown) - 1]}")
            raise
        except Exception as error:
            raise errors.StrategyFailed(slot.name, str(shown[len(shown) - 1]), error) from error
        return bool(shown)

    def ring(self, now: int) -> None:
        """Let timers ring up to an instant, each at its own."""
        while self.ring_next(now):
            pass

    def ring_next(self, now: int) -> int:
        """Let the timers of the next instant ring if it is not after another; return that instant, 0 for none."""
        at = self.agenda.next_at
        if at > now:
            return 0
        for _, name in self.agenda.take(at, agenda.TIMER):
            self.slots[0].ring(at, name)
        return at

    def wants(self) -> bool:
        """Say whether something is wanted, or wanted no more, that nobody has taken."""
        return bool(self.context._targets or self.context._wanted or self._withdrawn)

    def wanted(self) -> list[Order]:
        """Return what is wanted since the last call, as orders that nobody has yet."""
        return [order for order in self.context._take(0) if not order.ended]

    def withdrawn(self) -> list[Order]:
        """Return what is wanted no more since the last call, of orders that have left and not ended since."""
        found, self._withdrawn = self._withdrawn, []
        return [order for order in found if order.status == orders.PENDING_CANCEL]

    # What became of them.

    def keep(self, order: Order) -> None:
        """Let an order work on whose end could not be asked for."""
        if order.status == orders.PENDING_CANCEL:
            order.move(orders.PARTIALLY_FILLED if order.filled else orders.NEW)

    def accept(self, order: Order, at: int, *, tell: bool = True) -> None:
        """Note that an order is on its way."""
        self._accepted += 1
        order.id = self._accepted
        order.created = order.created or at
        order.live_from = at
        order.move(orders.NEW)
        self.books[order.symbol].append(order)
        self.context._book.adopt(order.symbol, order.side, order.quantity, self.price[order.symbol])
        if tell:
            self._hear(Update("new", order, at))

    def refuse(self, order: Order, at: int, reason: str, detail: str) -> None:
        """Note that an order was refused before it left."""
        order.created = at
        order.move(orders.REJECTED)
        order.reason = reason
        self._hear(Update("refused", order, at, reason=detail))

    def fill(self, order: Order, quantity: int, price: int, fee: int, at: int, *, tell: bool = True) -> None:
        """Book an execution; one that comes after its order's end is booked too."""
        symbol = order.symbol
        counted = order.counting() > 0
        complete = order.fill(quantity, exact.notional(price, quantity, self.table.unit[symbol]))
        book = self.context._book
        book.ledger.fill(symbol, order.side * quantity, price, fee)
        book.ledger.mark(symbol, self.price[symbol] or price)
        if counted:
            book.working(symbol, order.side, -quantity)
            if complete:
                book.released()
                self.books[symbol].remove(order)
        if tell:
            self._hear(Update("fill" if complete else "partial_fill", order, at, quantity, price, fee))

    def end(self, order: Order, status: int, reason: str, at: int, *, tell: bool = True) -> None:
        """Note that an order ended without being filled to its end; one that had ended stays as it is."""
        if order.ended:
            return
        book = self.context._book
        book.working(order.symbol, order.side, -order.counting())
        book.released()
        self.books[order.symbol].remove(order)
        order.move(status)
        order.reason = reason
        if tell:
            self._hear(Update(orders.STATUSES[status], order, at, reason=reason))

    def split(self, symbol: int, new: int, old: int, at: int) -> None:
        """Turn ``old`` shares of a symbol into ``new``: the position, its mark, and its orders, all at the market."""
        price = actions.restated(self.price[symbol], new, old)
        self.price[symbol] = price
        book = self.context._book
        book.ledger.split(symbol, actions.shares(book.ledger.quantities[symbol], new, old), price)
        for order in list(self.books[symbol]):
            before = order.counting()
            if order.restate(new, old):
                book.working(symbol, order.side, order.counting() - before)
                self._hear(Update("restated", order, at))

    def _hear(self, update: Update) -> None:
        slot = self.slots[0]
        if slot.on_order_update is not None:
            self.context.now = update.at
            slot.tell(update)

    def _column(self, is_exact: bool) -> Any:  # noqa: FBT001 - of a spec
        return np.zeros(self.table.rows, dtype=np.int64 if is_exact else np.float64)

    def _grow(self) -> None:
        """Go on with a larger table; bars that somebody kept stay with the old one."""
        old, self.table = self.table, self.table.larger()
        room, context = old.room, self.context
        context._table = self.table
        for symbol in range(len(old.symbols)):
            if context._last_row[symbol] >= 0:
                context._last_row[symbol] += symbol * room
        for place, (per_symbol, columns, found) in enumerate(self._declared):
            larger = [self._column(one.is_exact) for one in found]
            for symbol in range(len(old.symbols)):
                first = 2 * room * symbol
                for new, before in zip(larger, columns, strict=True):
                    new[first : first + room] = before[room * symbol : room * (symbol + 1)]
            for one, new in zip(found, larger, strict=True):
                one._read(new)
            self._declared[place] = (per_symbol, larger, found)


def _blank(symbol: str, digits: int, room: int, timeframe: int) -> series.Series:
    """Rows that are bars in form only, until they are written."""
    start = np.arange(room, dtype=np.int64)
    opened, high, low, close = (np.ones(room, dtype=np.int64) for _ in range(4))
    volume = np.zeros(room, dtype=np.int64)
    return series.Series(symbol, start, start + 1, start + 1, opened, high, low, close, volume, digits, timeframe)
