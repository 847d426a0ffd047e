"""The loop of a run: bars in, decisions, orders, fills and ledgers out, in one order that never varies.

At one instant, in this order:

1. control and policy events;
2. ends of bars, by symbol id: what their paths and closes did to waiting orders; then corporate actions, which come
   before the opens of their instant; then what is due: day orders expire, requests that latency delayed take effect;
3. marks at the closes of the bars that became available;
4. timers;
5. strategies by name: each sees its bars (by timeframe, then symbol id), then those whose barrier passes, together;
   what it wants becomes one decision whose orders pass the risk chain;
6. a session opens: losses of a day are measured from here (:mod:`~tradeplane_engine.core.session_opens`);
7. opens of the bars that start, or quotes: fills in the sequence of order ids.

Each order update follows its cause at once. A decision may fill at an open of the same instant only without latency; an
order that a fill at an open led to finds the opens of that instant past.

Orders fill on the shortest timeframe of their symbol, which also gives its marks; longer bars are only seen.
"""

import gc
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.core import actions, agenda, barriers, evaluation, halts, log, requests, session_opens, timeline
from tradeplane_engine.core.agenda import Agenda
from tradeplane_engine.core.barriers import Barriers
from tradeplane_engine.core.context import Context, Indicator, missing
from tradeplane_engine.core.costs import Costs
from tradeplane_engine.core.flow import OrderFlow, number
from tradeplane_engine.core.ledger import Ledger
from tradeplane_engine.core.log import Log
from tradeplane_engine.core.order import Order, at_market
from tradeplane_engine.core.quiet import Quiet
from tradeplane_engine.core.risk import Book, Policy, Scope
from tradeplane_engine.core.slot import Slot, Update
from tradeplane_engine.core.table import Bar, Bars, Table
from tradeplane_engine.core.venue_settings import Venue
from tradeplane_engine.data.quotes import Quotes

__all__ = ["Kernel", "Update"]

_DEFAULT = Venue()
_NEVER = agenda.NEVER  # a C variable in compiled code


class Kernel:
    """One run of strategies on one account.

    Parameters
    ----------
    table : the bars
    costs : of the venue
    starting : the account's cash, money
    policy : judges the account
    venue : how it fills
    barrier : how long ``on_bars`` waits for missing bars after the first one that ended then, ns
    quotes : that orders fill at, with ``fill_at`` book

    Attributes
    ----------
    flow : the orders of the run
    early : numbers of the fills that came before the closes of their instant, which therefore count in them
    """

    __slots__ = (
        *("_barriers", "_close_at", "_close_rows", "_closed", "_end_at", "_end_rows", "_ended", "_equity", "_open_at"),
        *("_open_rows", "_opened", "_opens", "_quiet", "_wait", "account", "agenda", "delayed", "early", "equity"),
        *("flow", "instants", "log", "market", "measuring", "now", "slots", "started", "table", "watching"),
    )

    def __init__(
        self,
        table: Table,
        costs: Costs,
        starting: int,
        policy: Policy,
        venue: Venue = _DEFAULT,
        barrier: int = 0,
        quotes: Quotes | None = None,
    ) -> None:
        if barrier < 0:
            raise errors.ValueRefused("barrier", "0 or more ns", barrier)
        self.table = table
        self._wait = barrier
        self._barriers: Barriers | None = None
        self.log = Log()
        self.account = Scope("account", policy, Book(Ledger(starting, self.table.unit), self.table.symbols))
        self.slots: list[Slot] = []
        self.flow = OrderFlow(table, costs, venue, self.account, self.slots, self.log, halts.breach, quotes)
        self.market = self.flow.market
        self.agenda = Agenda()
        self.watching = False
        self.measuring = False
        self._quiet: Quiet | None = None
        self._closed = 0
        self._opened = 0
        self._ended = 0
        self.now = 0
        self.instants = 0
        self.early: list[int] = []
        self.started = False
        self.equity = np.empty(table.rows, dtype=np.int64)
        self._equity = self.equity.data
        columns = table.columns
        base = table.base_rows
        closes = timeline.closes(table)
        opens = timeline.opens(table, closes)
        # The venue fills when a bar ends, whenever a strategy may see it.
        self.delayed = base < table.rows or not bool((columns["available_at"] == columns["end"]).all())
        ends = timeline.ends(table) if self.delayed else closes
        self._close_rows, self._close_at = closes.rows.data, closes.instants.data
        self._open_rows, self._open_at = opens.rows.data, opens.instants.data
        self._opens = base
        if quotes is not None:  # they take the place of the opens
            self._open_rows, self._open_at = quotes.symbol.data, quotes.at.data
            self._opens = len(quotes)
        self._end_rows, self._end_at = ends.rows.data, ends.instants.data

    @property
    def orders(self) -> list[Order]:
        """All orders that were accepted, by id."""
        return self.flow.orders

    @property
    def open_orders(self) -> list[Order]:
        """Orders that have not ended; after the run those that were left open."""
        return [order for order in self.flow.orders if not order.ended]

    @property
    def has_sessions(self) -> bool:
        """Whether the market ever closes."""
        return self.flow.sessions is not None

    @property
    def has_extended_hours(self) -> bool:
        """Whether the sessions have hours before their open and after their close."""
        return self.flow.sessions is not None and self.flow.sessions.extended

    @property
    def decisions(self) -> int:
        """Number of decisions so far."""
        return self.flow.decisions

    def add(self, name: str, strategy: Any, capital: int, policy: Policy) -> None:
        """Add a strategy with its capital (money) and its policy; raises ValueRefused out of the order of names."""
        if self.slots and name <= self.slots[len(self.slots) - 1].name:
            raise errors.ValueRefused("name", "after the one before, because strategies act in that order", name)
        book = Book(Ledger(capital, self.table.unit), self.table.symbols)
        context = Context(name, self.table, book, self)
        self.slots.append(Slot(len(self.slots), name, strategy, context, Scope("strategy", policy, book), self.account))

    def declare(
        self, context: Context, what: Any, window: int | None, parameters: Mapping[str, Any], timeframe: Any = None
    ) -> Any:
        """Evaluate an indicator over the whole table; only before the run."""
        if self.started:
            raise errors.ValueRefused("indicator", "declared in on_start", what)
        table = self.table
        wanted = evaluation.spec(what, window, parameters)
        numbers = np.array([table.series_id(symbol, timeframe) for symbol in range(len(table.symbols))], np.int64)
        values, first = evaluation.batch(table, wanted, numbers)
        slot = self.slots[self.number_of(context)]
        if len(numbers) < len(table.timeframes):
            first = evaluation.shown_from(table, numbers, first)
        np.maximum(slot.first_row, first, out=slot.first_row)
        length = None if timeframe is None or not len(numbers) else table.timeframes[numbers[0]]
        slot.declared.append((wanted, values, length))
        found = {name: Indicator(context, wanted, column, numbers) for name, column in values.items()}
        return found["value"] if len(found) == 1 else SimpleNamespace(**found)

    def follow(self, context: Context, shares: Any, first: Any) -> None:
        """Take a strategy's target per row of the table, which the loop reads in place of ``on_bar``."""
        if self.started:
            raise errors.ValueRefused("follow", "called in on_start", context.name)
        slot = self.slots[self.number_of(context)]
        slot.follow(shares)
        np.maximum(slot.first_row, first, out=slot.first_row)

    @property
    def equity_at(self) -> Any:
        """Instants of ``equity``, int64 ns: those at which bars became available."""
        known = np.asarray(self._close_at)
        return known[np.append(True, known[1:] != known[: len(known) - 1])[: len(known)]]

    def mark(self, symbol: int) -> int:
        """Last close of a symbol on the share basis of now, 0 where none is known."""
        return self.flow.price[symbol]

    def number_of(self, context: Context) -> int:
        """Number of the strategy that a context belongs to."""
        return next(slot.number for slot in self.slots if slot.context is context)

    def cancel(self, order: Order) -> None:
        """Ask for an order's end."""
        requests.cancel(self.flow, order)

    def replace(self, order: Order, new: Order) -> None:
        """Ask for a new order in another's place."""
        requests.replace(self.flow, order, new)

    def run(self) -> None:
        """Run from the first bar to the last."""
        self.start()
        # Searching for cycles among the orders of a run finds none, and takes an eighth of a followed column's time.
        collects = gc.isenabled() and self._following()
        if collects:
            gc.disable()
        try:
            self._loop(agenda.NEVER)
            self._last_barriers()
        finally:
            if collects:
                gc.enable()
        self.stop()

    # A run that is led from outside: start, then advance and turn as often as one likes, then stop.

    def advance(self, until: int) -> None:
        """Let everything happen until an instant (ns UTC), but for the opens of bars that start then.

        What is done before the next step finds the market as a strategy's turn at that instant does; an instant before
        one that was reached changes nothing.
        """
        self._loop(until)
        self.now = max(self.now, until)
        self.flow.now = self.now

    def late_turn(
        self, slot: Slot, act: Any, sent_at: int, decided_at: int, quotes: Iterable[tuple[int, int, int]]
    ) -> None:
        """Give a strategy a turn now that is judged by the closes of an instant before, and by their age then.

        quotes : symbol, close and end of its bar; a split since then leaves a symbol its price of now
        """
        flow = self.flow
        flow.judged_by = [
            (symbol, price, end + self.now - decided_at)
            for symbol, price, end in quotes
            if flow.last_split[symbol] <= decided_at
        ]
        flow.judged_at = decided_at
        self.turn(slot, act, sent_at)
        flow.judged_by = None
        flow.judged_at = -1

    def step(self, until: int) -> bool:
        """Let everything of the next instant happen, its opens too; False where that is not before another (ns UTC)."""
        at = self._next()
        if at >= until:
            return False
        self._loop(at + 1)
        return True

    def _next(self) -> int:
        """Instant at which something happens next, NEVER behind the last bar."""
        if self._closed >= self.table.rows:
            return _NEVER
        at = min(self._close_at[self._closed], self.flow.due_at, self.agenda.next_at)
        if self._opened < self._opens:
            at = min(at, self._open_at[self._opened])
        if self.delayed and self._ended < self.table.base_rows:
            at = min(at, self._end_at[self._ended])
        return at

    def quote(self, symbol: int, price: int, end: int) -> None:
        """Take in the close of a bar that is none of the table's, such as a longer one that is made of its bars."""
        self.flow.quote(symbol, price, end)

    def turn(self, slot: Slot, act: Any, sent_at: int) -> None:
        """Give a strategy a turn now, in which ``act(context)`` says what it wants.

        The venue has its orders from ``sent_at`` (ns UTC) on, or from now on if that is past.
        """
        context = slot.context
        context.now = self.now
        slot.busy = True
        try:
            act(context)
        except errors.EngineError:
            raise
        except Exception as error:
            raise errors.StrategyFailed(slot.name, f"instant {self.now}", error) from error
        slot.busy = False
        self.flow.latency = max(sent_at - self.now, 0)
        if context._targets or context._wanted:
            self.flow.decide(slot)

    def watch(self, policy: Policy) -> None:
        """Keep from now on what a policy needs that begins to judge: where a day's losses are measured from, and marks.

        One that begins within a day measures that day from then on.
        """
        if policy.watches:
            self.watching = True
            self._quiet = None
        if policy.limits.max_daily_loss is None or self.measuring or self.table.rows == 0:
            return
        self.measuring = True
        opening = session_opens.Opening(self.flow.sessions)
        if self.started:
            opening.act(self)
        else:
            opening.wait(self, int(self.table.columns["start"].min()))

    def _loop(self, until: int) -> None:  # noqa: C901, PLR0912, PLR0915 - one; a call per step would cost every bar
        table = self.table
        flow = self.flow
        market = self.market
        open_rows = self._open_rows
        close_at = self._close_at
        open_at = self._open_at
        end_at = self._end_at
        planned = self.agenda
        symbol_of = table.symbol_of
        waiting = market.waiting
        ledger = self.account.book.ledger
        rows = table.rows
        base = table.base_rows
        opens = self._opens
        delayed = self.delayed
        closed = self._closed
        opened = self._opened
        ended = self._ended
        while closed < rows:
            if self._quiet is not None and self.account.book.open_orders == 0:
                closed = self._pass(closed, opened, until)
                opened = self._quiet.opened
                if closed == rows:
                    break
            now = close_at[closed]
            next_open = open_at[opened] if opened < opens else _NEVER
            if next_open < now:
                now = next_open
            if delayed and ended < base and end_at[ended] < now:
                now = end_at[ended]
            if flow.due_at < now:
                now = flow.due_at
            if planned.next_at < now:
                now = planned.next_at
            if now > until:
                break
            self.now = now
            flow.now = now
            fills = ledger.fills
            if planned.next_at == now:
                self._happen(agenda.CONTROL)
            first = closed
            while closed < rows and close_at[closed] == now:
                closed += 1
            if delayed:
                last = ended
                while ended < base and end_at[ended] == now:
                    ended += 1
                if market.total and not market.quoted:
                    self._end(last, ended)
            elif market.total and closed > first and not market.quoted:
                self._end(first, closed)
            if planned.next_at == now:
                self._happen(agenda.ACTION)
            if flow.due_at <= now:
                requests.settle(flow)
            if ledger.fills != fills:
                self.early.extend(range(fills, ledger.fills))
            if closed > first:
                if self._quiet is not None and not flow.splits:
                    self._quiet.instants = self.instants
                    self._quiet.mark(first, closed)
                else:
                    self._equity[self.instants] = self._close(first, closed)
                self.instants += 1
                if self.watching:
                    halts.losses(flow)
            if planned.next_at == now:
                self._ring()
                self._turn(first, closed)
                self._open_session()
            elif closed > first:
                self._turn(first, closed)
            if now == until:
                break
            if next_open == now and market.quoted:
                opened = self._quote(opened, now)
            elif next_open == now:
                found: list[Order] = []
                sources = 0
                waits = market.total > 0
                while opened < opens and open_at[opened] == now:
                    row = open_rows[opened]
                    opened += 1
                    if waits and waiting[symbol_of[row]]:
                        market.at_open(symbol_of[row], row, found)
                        sources += 1
                if found:
                    self._open(found, sources)
        self._closed = closed
        self._opened = opened
        self._ended = ended

    def stop(self) -> None:
        """End the run: every strategy hears it, and the log gets its last row.

        Raises ValueRefused for orders that are wanted then, as no bar follows. What is cancelled then is.
        """
        for slot in self.slots:
            slot.busy = True  # the word of a cancel does not send what is wanted
            slot.call("on_stop")
            slot.busy = False
            lost = slot.context._take(slot.number)
            if lost:
                raise errors.ValueRefused(f"{slot.name}.on_stop", "without orders, for no bar follows", str(lost[0]))
        ledger = self.account.book.ledger
        self.log.write(log.END, self.now, -1, -1, -1, ledger.cash, ledger.equity(), ledger.fills)

    def _last_barriers(self) -> None:
        """Let those barriers pass that wait for bars which never come."""
        flow = self.flow
        rows = self.table.rows
        while self._barriers is not None and self._barriers.next_at != agenda.NEVER:
            self.now = min(flow.due_at, self.agenda.next_at)
            flow.now = self.now
            self._happen(agenda.CONTROL)
            self._happen(agenda.ACTION)
            if flow.due_at <= self.now:
                requests.settle(flow)
            self._ring()
            self._turn(rows, rows)
            self._open_session()

    def start(self) -> None:
        """Begin the run: every strategy declares what it needs."""
        gathers = False
        for slot in self.slots:
            slot.call("on_start")
            gathers = gathers or slot.on_bars is not None
            self.watch(slot.scope.policy)
        self.watch(self.account.policy)
        if self.flow.rules is not None and self.flow.broker is None:
            raise errors.ValueRefused("rules", "left out where no broker is installed that knows them", self.flow.rules)
        self.started = True
        # Elsewhere the bars of an instant are all of one barrier, which passes then.
        late = self.delayed and not barriers.punctual(self.table)
        if late or (gathers and (self._wait > 0 or len(set(self.table.timeframes)) > 1)):
            self._barriers = Barriers(self.table, self._wait)
            self.agenda.add(self._barriers.next_at, agenda.BARRIER, None)
        if len(self.slots) == 1 and not self.watching and not self.delayed and not self.market.quoted:
            slot = self.slots[0]
            if slot.follows:
                flow = self.flow
                self._quiet = Quiet(self.table, slot.context, self.account.book, flow.price, flow.bar_end)
                self._quiet.read(self._close_rows, self._close_at, self._open_at, slot._wish, slot._first_row)
                self._quiet.write(self._equity)

    def _following(self) -> bool:
        """Whether every strategy follows a column."""
        for slot in self.slots:  # noqa: SIM110 - a generator would not be compiled
            if not slot.follows:
                return False
        return True

    def _pass(self, closed: int, opened: int, until: int) -> int:
        """Take in quiet instants; return the next close's place."""
        quiet: Any = self._quiet
        closed = quiet.advance(closed, opened, self.instants, min(self.agenda.next_at, self.flow.due_at, until))
        self.instants = quiet.instants
        self.now = max(self.now, quiet.now)
        self.flow.now = self.now
        return closed

    def _happen(self, phase: int) -> None:
        """Let control events, or corporate actions too, of this instant act."""
        for event in self.agenda.take(self.now, phase):
            event.act(self)

    def _ring(self) -> None:
        """Let timers of this instant ring; what they want joins the decision of the strategy's turn."""
        for slot, name in self.agenda.take(self.now, agenda.TIMER):
            slot.ring(self.now, name)

    def _open_session(self) -> None:
        """Let a session open, if one does at this instant."""
        for event in self.agenda.take(self.now, agenda.SESSION):
            event.act(self)

    def split(self, symbol: str, new: int, old: int) -> None:
        """Turn ``old`` shares of a symbol into ``new`` at this instant: positions, marks and open orders."""
        actions.split(self.flow, self.table.ids[symbol], new, old)

    def _open(self, found: list[Order], sources: int) -> None:
        """Let orders meet the opens of this instant in the sequence of their ids.

        They were found before the first of them fills: what a fill leads to finds these opens past.
        """
        flow = self.flow
        if sources > 1:
            found.sort(key=number)
        for order in found:
            flow.at_open(order)

    def _quote(self, opened: int, now: int) -> int:
        """Let the quotes of an instant stand, then meet the orders that wait, by id; return the next quote's place."""
        market = self.market
        flow = self.flow
        found: list[Order] = []
        while opened < self._opens and self._open_at[opened] == now:
            symbol = self._open_rows[opened]
            market.show(symbol, opened)
            if market.waiting[symbol]:
                for order in market.books[symbol]:
                    if order.live_from <= now and order not in found:
                        found.append(order)
            opened += 1
        if len(found) > 1:
            found.sort(key=number)
        for order in found:
            flow.at_quote(order)
        return opened

    def _end(self, first: int, last: int) -> None:
        """Let the paths and closes of bars act on the orders that wait."""
        table = self.table
        waiting = self.market.waiting
        for index in range(first, last):
            row = self._end_rows[index]
            symbol = table.symbol_of[row]
            if waiting[symbol]:
                self.flow.within(symbol, row)

    def _close(self, first: int, last: int) -> int:
        """Take in bars that became available: their closes are the marks; return the account's equity."""
        table = self.table
        flow = self.flow
        account = self.account.book.ledger
        slots = self.slots
        base = table.base_rows
        for index in range(first, last):
            row = self._close_rows[index]
            if row >= base:  # a longer bar of a symbol, which has its marks from the shortest
                for slot in slots:
                    context = slot.context
                    context._last_row[table.series_of[row]] = row
                continue
            symbol = table.symbol_of[row]
            price = table.close[row]
            end = table.end[row]
            if flow.splits and end <= flow.last_split[symbol]:
                price = actions.as_of(flow, symbol, end, price)
            flow.price[symbol] = price
            flow.bar_end[symbol] = end
            if account.quantity[symbol]:
                account.mark(symbol, price)
            for slot in slots:
                context = slot.context
                context._last_row[symbol] = row
                own = context._ledger
                if own.quantity[symbol]:
                    own.mark(symbol, price)
        for slot in slots:
            slot.scope.book.observe()
        return self.account.book.observe()

    def _turn(self, first: int, last: int) -> None:
        """Let every strategy see the bars that became available, then judge what it wants."""
        together = None if self._barriers is None else self._gathered(first, last)
        for slot in self.slots:
            context = slot.context
            context.now = self.now
            slot.busy = True
            if slot.follows:
                self._follow(slot, first, last)
            else:
                self._show(slot, first, last, together)
            slot.busy = False
            if context._targets or context._wanted:
                self.flow.decide(slot)

    def _gathered(self, first: int, last: int) -> list[list[int]]:
        """Note the late ones of the bars that became available, and return the rows of the barriers that pass."""
        table = self.table
        found: Any = self._barriers
        for index in range(first, last):
            row = self._close_rows[index]
            missed = int(found.late[row])
            if missed:
                symbol, length = table.symbol_of[row], table.timeframe_of(row)
                self.log.write(log.LATE, self.now, -1, symbol, -1, table.end[row], length, missed)
        rows: list[list[int]] = found.due(self.now)
        if rows:
            self.agenda.take(self.now, agenda.BARRIER)
            if found.next_at != agenda.NEVER:
                self.agenda.add(found.next_at, agenda.BARRIER, None)
        return rows

    def _show(self, slot: Slot, first: int, last: int, together: list[list[int]] | None) -> None:
        """Show a strategy its bars, each on its own, then together; without barriers an instant's belong together."""
        table = self.table
        context = slot.context
        on_bar = slot.on_bar
        gathers = slot.on_bars is not None and together is None
        shown: list[Bar] = []
        try:
            for index in range(first, last):
                row = self._close_rows[index]
                if row < slot._first_row[table.series_of[row]]:
                    continue
                context._row = row
                if on_bar is not None:
                    on_bar(context, Bar(table, row))
                if gathers:
                    shown.append(Bar(table, row))
            if shown:
                slot.on_bars(context, self._bars(shown, self._rows(first, last)))
            elif together:
                self._show_together(slot, together)
        except errors.EngineError as error:
            error.add_note(f"strategy {slot.name!r} at {Bar(table, context._row)}")
            raise
        except Exception as error:
            raise errors.StrategyFailed(slot.name, str(Bar(table, context._row)), error) from error

    def _show_together(self, slot: Slot, together: list[list[int]]) -> None:
        """Show a strategy the bars of each barrier that passes."""
        table = self.table
        context = slot.context
        for rows in together if slot.on_bars is not None else ():
            shown: list[Bar] = []
            for row in rows:
                if row >= slot._first_row[table.series_of[row]]:
                    context._row = row
                    shown.append(Bar(table, row))
            if shown:
                slot.on_bars(context, self._bars(shown, rows))

    def _rows(self, first: int, last: int) -> list[int] | None:
        """Return the rows that became available, or None where every symbol has one."""
        if last - first == len(self.table.symbols):
            return None
        return [self._close_rows[index] for index in range(first, last)]

    def _bars(self, shown: list[Bar], rows: list[int] | None) -> Bars:
        """Return the bars of one barrier that a strategy is shown, of these rows; None for one of every symbol."""
        table = self.table
        bar = shown[0]
        missing = () if rows is None else barriers.absent(table, rows)
        return Bars(shown, table.label_of(bar._row), bar.end, missing)

    def _follow(self, slot: Slot, first: int, last: int) -> None:
        """Take the turn of a strategy whose targets are a column: what ``ctx.target`` does in ``on_bar``, per row."""
        table = self.table
        context = slot.context
        book = slot.scope.book
        ledger = book.ledger
        for index in range(first, last):
            row = self._close_rows[index]
            symbol = table.symbol_of[row]
            if row >= slot._first_row[symbol]:
                context._row = row
                target = slot._wish[row] * 1_000_000_000
                held, buying, selling = ledger.quantity[symbol], book._buying[symbol], book._selling[symbol]
                if target != held + buying - selling:
                    change = missing(target, held, buying, selling)
                    if change:  # the order that the target leads to, without a detour
                        side = 1 if change > 0 else -1
                        context._wanted.append(at_market(slot.number, symbol, side, side * change))
                    else:
                        context._targets[symbol] = target
