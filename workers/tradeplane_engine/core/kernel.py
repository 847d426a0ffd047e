"""The loop of a run: bars in, decisions, orders, fills and ledgers out, in one order that never varies.

At one instant, in this order:

1. control and policy events;
2. corporate actions;
3. closes of the bars that became available, by symbol id: what they did to waiting orders, then marks;
4. timers;
5. strategies by name: each sees its bars, and what it wants becomes one decision whose orders pass the risk chain;
6. opens of the bars that start: fills in the sequence of order ids, each followed at once by its order update.

A decision may fill at an open of the same instant only without latency.
"""

import gc
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.core import agenda, evaluation, exact, halts, log, risk
from tradeplane_engine.core import order as orders
from tradeplane_engine.core.agenda import Agenda
from tradeplane_engine.core.context import Context, Indicator
from tradeplane_engine.core.costs import Costs
from tradeplane_engine.core.ledger import Ledger
from tradeplane_engine.core.log import Log
from tradeplane_engine.core.market import Market
from tradeplane_engine.core.order import Order
from tradeplane_engine.core.quiet import Quiet
from tradeplane_engine.core.risk import Book, Policy, Proposal, Scope
from tradeplane_engine.core.table import Bar, Table

# C variables in compiled code, where an attribute of another module is looked up by its name.
_ORDER, _FILL, _NEW, _TERMINAL = log.ORDER, log.FILL, orders.NEW, orders.TERMINAL


class Update:
    """What happened to an order: new, partial_fill, fill, canceled, expired, rejected or refused.

    ``refused`` is the gate's word, ``rejected`` the venue's. Quantity, price and fee are those of this execution.
    """

    __slots__ = ("at", "event", "fee", "order", "price", "quantity", "reason")

    def __init__(
        self, event: str, order: Order, at: int, quantity: int = 0, price: int = 0, fee: int = 0, reason: str = ""
    ) -> None:
        self.event = event
        self.order = order
        self.at = at
        self.quantity = quantity
        self.price = price
        self.fee = fee
        self.reason = reason


class Slot:
    """A strategy in a run: its hooks, its context, its scope of risk, and the first row per symbol that it is shown."""

    __slots__ = (
        *("_first_row", "_wish", "context", "first_row", "follows", "name", "number", "on_bar", "on_bars"),
        *("on_order_update", "scope", "strategy"),
    )

    def __init__(self, number: int, name: str, strategy: Any, context: Context, scope: Scope) -> None:
        self.number = number
        self.name = name
        self.strategy = strategy
        self.context = context
        self.scope = scope
        self.on_bar = _hook(strategy, "on_bar")
        self.on_bars = _hook(strategy, "on_bars")
        self.on_order_update = _hook(strategy, "on_order_update")
        self.first_row = np.array(context.table.starts[: len(context.table.symbols)], dtype=np.int64)
        self._first_row = self.first_row.data
        self.follows = False
        self._wish = self._first_row  # a column per row of the table once ``follows``


class Kernel:
    """One run of strategies on one account.

    Parameters
    ----------
    table : the bars
    costs : of the venue
    starting : the account's cash, money
    policy : judges the account
    latency : between a decision and the venue's having its orders, ns
    """

    __slots__ = (
        *("_close_at", "_close_rows", "_equity", "_open_at", "_open_rows", "_quiet"),
        *("account", "agenda", "bar_end", "costs", "decisions", "equity", "instants", "latency", "log"),
        *("market", "now", "orders", "price", "proposal", "slots", "started", "table", "watching"),
    )

    def __init__(self, table: Table, costs: Costs, starting: int, policy: Policy, latency: int = 0) -> None:
        self.table = table
        self.costs = costs
        self.latency = latency
        self.market = Market(table, costs)
        self.log = Log()
        self.agenda = Agenda()
        self.proposal = Proposal()
        self.watching = False
        self._quiet: Quiet | None = None
        self.account = Scope("account", policy, Book(Ledger(starting, self.table.unit)))
        self.slots: list[Slot] = []
        self.orders: list[Order] = []
        self.decisions = 0
        self.now = 0
        self.instants = 0
        self.started = False
        self.equity = np.empty(table.rows, dtype=np.int64)
        self._equity = self.equity.data
        closes, opens = _in_order(table)
        self._close_rows = closes.data
        self._open_rows = opens.data
        self._close_at = _taken(table.columns["available_at"], closes).data
        self._open_at = _taken(table.columns["start"], opens).data
        self.price = np.zeros(len(table.symbols), dtype=np.int64).data
        self.bar_end = np.zeros(len(table.symbols), dtype=np.int64).data

    def add(self, name: str, strategy: Any, capital: int, policy: Policy) -> None:
        """Add a strategy with its capital (money) and its policy; raises ValueRefused out of the order of names."""
        if self.slots and name <= self.slots[len(self.slots) - 1].name:
            raise errors.ValueRefused("name", "after the one before, because strategies act in that order", name)
        book = Book(Ledger(capital, self.table.unit))
        context = Context(name, self.table, book, self)
        self.slots.append(Slot(len(self.slots), name, strategy, context, Scope("strategy", policy, book)))

    def declare(self, context: Context, what: Any, window: int | None, parameters: Mapping[str, Any]) -> Any:
        """Evaluate an indicator over the whole table; only before the run."""
        if self.started:
            raise errors.ValueRefused("indicator", "declared in on_start", what)
        wanted = evaluation.spec(what, window, parameters)
        values, first = evaluation.batch(self.table, wanted)
        slot = self.slots[self.number_of(context)]
        np.maximum(slot.first_row, first, out=slot.first_row)
        found = {name: Indicator(context, wanted, column) for name, column in values.items()}
        return found["value"] if len(found) == 1 else SimpleNamespace(**found)

    @property
    def equity_at(self) -> Any:
        """Instants of ``equity``, int64 ns: those at which bars became available."""
        known = np.asarray(self._close_at)
        return known[np.append(True, known[1:] != known[: len(known) - 1])[: len(known)]]

    def follow(self, context: Context, shares: Any, first: Any) -> None:
        """Take a strategy's target per row of the table, which the loop reads in place of ``on_bar``."""
        if self.started:
            raise errors.ValueRefused("follow", "called in on_start", context.name)
        slot = self.slots[self.number_of(context)]
        slot._wish = shares.data  # noqa: SLF001 - the slot's hot column
        np.maximum(slot.first_row, first, out=slot.first_row)
        slot.follows = True

    def number_of(self, context: Context) -> int:
        """Number of the strategy that a context belongs to."""
        return next(slot.number for slot in self.slots if slot.context is context)

    def run(self) -> None:
        """Run from the first bar to the last."""
        self._start()
        # Searching for cycles among the orders of a run finds none, and takes an eighth of a followed column's time.
        collects = gc.isenabled() and self._following()
        if collects:
            gc.disable()
        try:
            self._loop()
        finally:
            if collects:
                gc.enable()
        self._stop()

    def _following(self) -> bool:
        """Whether every strategy follows a column."""
        for slot in self.slots:  # noqa: SIM110 - a generator would not be compiled
            if not slot.follows:
                return False
        return True

    def _loop(self) -> None:
        close_at = self._close_at
        open_at = self._open_at
        rows = self.table.rows
        closed = 0
        opened = 0
        while closed < rows:
            if self._quiet is not None and self.account.book.open_orders == 0:
                closed = self._pass(closed, opened)
                opened = self._quiet.opened
                if closed == rows:
                    break
            now = close_at[closed]
            if opened < rows and open_at[opened] < now:
                now = open_at[opened]
            now = min(now, self.agenda.next_at)
            self.now = now
            if self.agenda.next_at == now:
                self._happen()
            first = closed
            while closed < rows and close_at[closed] == now:
                closed += 1
            if closed > first:
                self._close(first, closed)
            self._act(first, closed)
            if opened < rows and open_at[opened] == now:
                opened = self._open(opened)

    def _act(self, first: int, closed: int) -> None:
        """Let timers ring and strategies take their turn, where there is something to see."""
        rings = self.agenda.next_at == self.now
        if rings:
            self._ring()
        if rings or closed > first:
            self._turn(first, closed)

    def _pass(self, closed: int, opened: int) -> int:
        """Take in quiet instants; return the next close's place."""
        quiet: Any = self._quiet
        closed = quiet.advance(closed, opened, self.instants, self.agenda.next_at)
        self.instants = quiet.instants
        self.now = max(self.now, quiet.now)
        return closed

    def _start(self) -> None:
        for slot in self.slots:
            slot.strategy.on_start(slot.context)
            self.watching = self.watching or slot.scope.policy.watches
        self.watching = self.watching or self.account.policy.watches
        self.started = True
        if len(self.slots) == 1 and slot.follows and not self.watching:
            self._quiet = Quiet(self.table, slot.context, self.account.book, self.price, self.bar_end)
            self._quiet.read(self._close_rows, self._close_at, self._open_at, slot._wish, slot._first_row)  # noqa: SLF001
            self._quiet.write(self._equity)

    def _stop(self) -> None:
        for slot in self.slots:
            slot.strategy.on_stop(slot.context)
        ledger = self.account.book.ledger
        self.log.write(log.END, self.now, -1, -1, -1, ledger.cash, ledger.equity(), ledger.fills)

    def _open(self, opened: int) -> int:
        """Let the bars open that start now; return the next one's place."""
        while opened < self.table.rows and self._open_at[opened] == self.now:
            row = self._open_rows[opened]
            opened += 1
            symbol = self.table.symbol_of[row]
            if self.market.waiting[symbol]:
                self._execute(self.market.at_open(symbol, row), self.now)
        return opened

    def cancel(self, order: Order) -> None:
        """Cancel an open order at once; one that has ended stays as it is."""
        if order.ended or order.id == 0:
            return
        self._end(order, orders.CANCELED, "canceled", "")

    def flatten(self, slot: Slot) -> None:
        """Close what a strategy holds, one order per symbol; such an order passes every limit but needs a price."""
        for symbol, held in enumerate(slot.scope.book.ledger.quantities):
            if held and self.price[symbol]:
                order = Order(slot.number, symbol, -1 if held > 0 else 1, abs(held))
                order.role = "flatten"
                self._accept(slot, order)

    def note_state(self, strategy: int, state: int, reason: str) -> None:
        """Write down that a state acts from now on."""
        self.log.write(log.STATE, self.now, strategy, -1, -1, state, self.log.reason(reason), 0)

    def violation(self, slot: Slot, order: Order, quantity: int) -> risk.Violation | None:
        """Return what a chain would say about an order of this quantity, or None."""
        for scope in (slot.scope, self.account):
            found = self._ask(scope, order, quantity)
            if found is not None:
                return found
        return None

    def _scopes(self) -> list[Scope]:
        return [*[slot.scope for slot in self.slots], self.account]

    def _happen(self) -> None:
        """Let control events and corporate actions of this instant act."""
        for event in self.agenda.take(self.now, agenda.ACTION):
            if isinstance(event, agenda.Control):
                scope = self.account
                for slot in self.slots:
                    if slot.name == event.strategy:
                        scope = slot.scope
                halts.impose(self, scope, event.state, event.reason)
            else:
                event.act(self)

    def _ring(self) -> None:
        """Let timers of this instant ring; what they want joins the decision of the strategy's turn."""
        for slot, name in self.agenda.take(self.now, agenda.TIMER):
            slot.context.now = self.now
            try:
                slot.strategy.on_timer(slot.context, name)
            except errors.EngineError:
                raise
            except Exception as error:
                raise errors.StrategyFailed(slot.name, f"timer {name!r}", error) from error

    def _close(self, first: int, last: int) -> None:
        """Take in bars that became available: what they did to waiting orders, then the marks."""
        table = self.table
        market = self.market
        account = self.account.book.ledger
        for index in range(first, last):
            row = self._close_rows[index]
            symbol = table.symbol_of[row]
            if market.waiting[symbol]:
                self._execute(self.market.within(symbol, row), self.now)
            price = table.close[row]
            self.price[symbol] = price
            self.bar_end[symbol] = table.end[row]
            if account.quantity[symbol]:
                account.mark(symbol, price)
            for slot in self.slots:
                context = slot.context
                context.last_row[symbol] = row
                if context.ledger.quantity[symbol]:
                    context.ledger.mark(symbol, price)
        self.account.book.observe()
        for slot in self.slots:
            slot.context.book.observe()
        self._equity[self.instants] = account.equity()
        self.instants += 1
        if self.watching:
            for scope in self._scopes():
                halts.losses(self, scope)

    def _turn(self, first: int, last: int) -> None:
        """Let every strategy see the bars that became available, then judge what it wants."""
        for slot in self.slots:
            context = slot.context
            context.now = self.now
            if slot.follows:
                self._follow(slot, first, last)
            else:
                self._show(slot, first, last)
            if context.targets or context.wanted:
                self._decide(slot)

    def _show(self, slot: Slot, first: int, last: int) -> None:
        """Show a strategy its bars."""
        table = self.table
        context = slot.context
        shown: list[Bar] = []
        try:
            for index in range(first, last):
                row = self._close_rows[index]
                if row < slot._first_row[table.symbol_of[row]]:  # noqa: SLF001 - the slot's hot column
                    continue
                context.row = row
                if slot.on_bar is not None:
                    slot.on_bar(context, Bar(table, row))
                if slot.on_bars is not None:
                    shown.append(Bar(table, row))
            if shown:
                slot.on_bars(context, shown)
        except errors.EngineError:
            raise
        except Exception as error:
            raise errors.StrategyFailed(slot.name, str(Bar(table, context.row)), error) from error

    def _follow(self, slot: Slot, first: int, last: int) -> None:
        """Take the turn of a strategy whose targets are a column: what ``ctx.target`` does in ``on_bar``, per row."""
        table = self.table
        context = slot.context
        book = context.book
        ledger = context.ledger
        for index in range(first, last):
            row = self._close_rows[index]
            symbol = table.symbol_of[row]
            if row >= slot._first_row[symbol]:  # noqa: SLF001 - the slot's hot columns
                context.row = row
                target = slot._wish[row] * 1_000_000_000  # noqa: SLF001
                if target != ledger.quantity[symbol] + book._buying[symbol] - book._selling[symbol]:  # noqa: SLF001
                    context.targets[symbol] = target

    def _decide(self, slot: Slot) -> None:
        """Turn what a strategy wants into orders: one decision."""
        context = slot.context
        self.decisions += 1
        targets, context.targets = context.targets, {}
        wanted, context.wanted = context.wanted, []
        book = context.book
        for symbol, wish in targets.items():
            target = wish
            held = context.ledger.quantity[symbol]
            working = book._buying[symbol] - book._selling[symbol]  # noqa: SLF001 - hot columns
            if (held > 0 and target < 0) or (held < 0 and target > 0):
                target = 0  # a broker's order never crosses zero: close first, open at the next turn
            change = target - held - working
            if change > 0:
                wanted.append(Order(slot.number, symbol, 1, change))
            elif change < 0:
                wanted.append(Order(slot.number, symbol, -1, -change))
        for order in wanted:
            self._judge(slot, order)

    def _judge(self, slot: Slot, order: Order) -> None:
        """Let an order pass the chains of its strategy and of the account, and give it to the market."""
        for scope in (slot.scope, self.account):
            violation = self._ask(scope, order, order.quantity)
            if violation is not None and not halts.breach(self, slot, scope, order, violation):
                self._refuse(slot, order, scope.name, violation)
                return
        self._accept(slot, order)

    def _ask(self, scope: Scope, order: Order, quantity: int) -> risk.Violation | None:
        scope.book.measure(self.now, self.price)
        symbol = order.symbol
        return self.proposal.weigh(
            scope, symbol, order.side, quantity, self.price[symbol], self.bar_end[symbol], self.now
        )

    def _accept(self, slot: Slot, order: Order) -> None:
        """Give an order its number and let the market have it."""
        symbol = order.symbol
        price = self.price[symbol]
        order.created = self.now
        order.live_from = self.now + self.latency
        order.id = len(self.orders) + 1
        self.orders.append(order)
        slot.scope.book.adopt(symbol, order.side, order.quantity, price)
        self.account.book.adopt(symbol, order.side, order.quantity, price)
        self.log.write(
            _ORDER,
            self.now,
            order.strategy,
            symbol,
            order.id,
            order.side * order.quantity,
            order.limit or order.stop,
            order.kind * 10 + order.time_in_force,
        )
        self.market.add(order)
        order.move(_NEW)
        if slot.on_order_update is not None:
            slot.on_order_update(slot.context, Update("new", order, self.now))

    def _refuse(self, slot: Slot, order: Order, scope: str, violation: risk.Violation) -> None:
        order.move(orders.REJECTED)
        order.reason = violation.reason
        found = self.log
        found.write(
            log.REFUSED,
            self.now,
            order.strategy,
            order.symbol,
            -1,
            order.side * order.quantity,
            found.reason(violation.reason),
            found.reason(scope),
        )
        if slot.on_order_update is not None:
            detail = f"{scope}: {violation.reason} allows {violation.limit}, got {violation.value}"
            slot.on_order_update(slot.context, Update("refused", order, self.now, reason=detail))

    def _execute(self, executions: list[tuple[Order, int, int]], at: int) -> None:
        for order, quantity, price in executions:
            if order.status < _TERMINAL:  # an update of the execution before may have cancelled it
                self._fill(order, quantity, price, at)

    def _fill(self, order: Order, quantity: int, price: int, at: int) -> None:
        """Book one execution in both ledgers, then tell the strategy at once."""
        symbol = order.symbol
        slot = self.slots[order.strategy]
        unit = self.table.unit[symbol]
        try:
            fee = self.costs.fee(price, quantity, unit)
            signed = order.side * quantity
            complete = order.fill(quantity, exact.notional(price, quantity, unit))
            last = self.price[symbol] or price
            for scope in (slot.scope, self.account):
                book = scope.book
                realised = book.ledger.fill(symbol, signed, price, fee)
                book.ledger.mark(symbol, last)
                book.working(symbol, order.side, -quantity)
                if realised:
                    book.closed(realised)
                if complete:
                    book.released()
        except errors.Overflow as error:
            raise errors.Overflow(f"order {order.id}: {error.field}", error.limit, error.value) from error
        self.log.write(_FILL, at, order.strategy, symbol, order.id, signed, price, fee)
        if complete:
            self.market.remove(order)
        if slot.on_order_update is not None:
            event = "fill" if complete else "partial_fill"
            slot.on_order_update(slot.context, Update(event, order, at, quantity, price, fee))
            if slot.context.targets or slot.context.wanted:
                self._decide(slot)

    def _end(self, order: Order, status: int, event: str, reason: str) -> None:
        slot = self.slots[order.strategy]
        rest = order.quantity - order.filled
        order.move(status)
        order.reason = reason
        for scope in (slot.scope, self.account):
            scope.book.working(order.symbol, order.side, -rest)
            scope.book.released()
        self.market.remove(order)
        self.log.write(log.STATUS, self.now, order.strategy, order.symbol, order.id, status, self.log.reason(reason), 0)
        if slot.on_order_update is not None:
            slot.on_order_update(slot.context, Update(event, order, self.now, reason=reason))


def _hook(strategy: Any, name: str) -> Any:
    """Return a strategy's own hook, or None where it has only the base class's, which does nothing."""
    hook = getattr(strategy, name)
    return None if getattr(hook, "does_nothing", False) else hook


def _in_order(table: Table) -> tuple[Any, Any]:
    """Rows by the instant of their close, and of their open; rows of one instant stay in the table's order, by id."""
    closes, opens = table.columns["available_at"], table.columns["start"]
    by_close = _sorted_rows(closes, table.starts)
    if len(table.symbols) == 1:
        return by_close, by_close
    lag = closes - opens
    if len(lag) and bool((lag == lag[0]).all()):
        return by_close, by_close
    return by_close, _sorted_rows(opens, table.starts)


def _sorted_rows(column: Any, starts: Any) -> Any:
    if bool((column[1:] >= column[: len(column) - 1]).all()):
        return np.arange(len(column), dtype=np.int64)
    lengths = np.diff(starts)
    if bool((lengths == lengths[0]).all()):
        instants = column.reshape(len(lengths), -1)
        if bool((instants == instants[0]).all()):  # every symbol has the same instants: nothing to sort
            rows = np.arange(len(column), dtype=np.int64).reshape(len(lengths), -1)
            return np.ascontiguousarray(rows.T).ravel()
    return np.argsort(column, kind="stable").astype(np.int64, copy=False)


def _taken(column: Any, rows: Any) -> Any:
    """A column in the order of rows; itself where that is its own."""
    return column if len(rows) == 0 or bool((rows[1:] > rows[: len(rows) - 1]).all()) else column[rows]
