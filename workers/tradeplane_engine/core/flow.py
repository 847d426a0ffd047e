"""Orders from wish to end: judged, accepted, filled and ended, each step told at once to its strategy.

State first, then word: books, market and log are consistent whenever a strategy's hook runs. What a strategy orders in
a hook is judged at once, or as soon as the turn or the decision is over that it is in.
"""

import heapq
from array import array
from collections.abc import Callable

from tradeplane_engine import errors
from tradeplane_engine.core import broker as brokers
from tradeplane_engine.core import exact, log, path, session_opens, tradable, venue_settings
from tradeplane_engine.core import order as orders
from tradeplane_engine.core.costs import Costs
from tradeplane_engine.core.log import Log
from tradeplane_engine.core.market import Market
from tradeplane_engine.core.order import Order
from tradeplane_engine.core.risk import Proposal, Scope, Violation
from tradeplane_engine.core.slot import Slot, Update, said
from tradeplane_engine.core.table import Table
from tradeplane_engine.core.venue_settings import Venue
from tradeplane_engine.data.quotes import Quotes

EXPIRE, CANCEL, REPLACE, ARRIVE = 0, 1, 2, 3  # what may fall due
Breach = Callable[..., bool]
_ROUNDS = 1000  # decisions that follow from each other at one instant; more means that a hook answers itself for ever


class OrderFlow:
    """The orders of one run.

    Parameters
    ----------
    table : the bars
    costs, venue : how it fills, and what that costs
    account : scope of the whole account
    slots : the strategies; the kernel's own list
    found : the run's log
    breach : what is done about an order that a chain forbids; says whether it, made smaller, may go on
    quotes : that orders fill at, with ``fill_at`` book

    Attributes
    ----------
    now : instant of the loop, ns
    due_at : instant of the next expiry, or of a request that latency delays; NEVER for none
    price, bar_end : last close and its end, per symbol
    accrual : fees by date; None without a schedule
    references : price that a fill met before spread, slippage and impact, by the fill's number, where it is another one
    broker : asked about each order, once the chains have let it out; None takes all
    judged_by : (symbol, close, end of its bar) by which the chains judge in place of the last ones; None for those
    judged_at : instant whose session such an order counts for, ns; -1 for now
    splits, last_split : (at, symbol, new, old) of each split so far, a delisting leaves no share; instant of each
        symbol's last one, -1 for none
    """

    __slots__ = (
        *("account", "accrual", "bar_end", "breach", "broker", "costs", "day_ends", "decisions", "due", "due_at"),
        *("judged_at", "judged_by", "last_split", "latency", "log", "market", "now", "orders", "pending", "price"),
        *("proposal", "references", "rules", "sessions", "slots", "splits", "table"),
    )

    def __init__(
        self,
        table: Table,
        costs: Costs,
        venue: Venue,
        account: Scope,
        slots: list[Slot],
        found: Log,
        breach: Breach,
        quotes: Quotes | None = None,
    ) -> None:
        self.table = table
        self.breach = breach
        self.costs = costs
        self.account = account
        self.slots = slots
        self.log = found
        self.market = Market(table, costs, venue, quotes)
        self.latency = venue.latency
        self.sessions = venue.sessions
        self.rules = venue.rules
        self.broker: brokers.Broker | None = None
        self.judged_by: list[tuple[int, int, int]] | None = None
        self.judged_at = -1
        self.accrual = None if costs.schedule is None else costs.schedule.accrual(venue.sessions)
        self.orders: list[Order] = []
        self.decisions = 0
        self.now = 0
        self.day_ends = -1  # the decision at a session's open still belongs to the day before
        self.due: list[tuple[int, int, int, Order, Order | None]] = []
        self.due_at = orders.NEVER
        self.pending = 0
        self.price = array("q", bytes(8 * len(table.symbols)))
        self.proposal = Proposal(self.price)
        self.bar_end = array("q", bytes(8 * len(table.symbols)))
        self.last_split = array("q", [-1] * len(table.symbols))
        self.splits: list[tuple[int, int, int, int]] = []
        self.references: dict[int, int] = {}

    # From wish to order.

    def decide(self, slot: Slot) -> None:
        """Turn what a strategy wants into orders: one decision, and those that follow from its updates."""
        context = slot.context
        slot.busy = True
        at = self.now if self.judged_at < 0 else self.judged_at
        if at > self.day_ends:
            self._begin_day(at)
        rounds = 0
        while context._targets or context._wanted:
            rounds += 1
            if rounds > _ROUNDS:
                cause = RecursionError("on_order_update orders anew each time")
                raise errors.StrategyFailed(slot.name, f"instant {self.now}", cause)
            self.decisions += 1
            for order in context._take(slot.number):
                if order.status < orders.TERMINAL:
                    self.judge(slot, order)
        slot.busy = False

    def judge(self, slot: Slot, order: Order) -> None:
        """Let an order pass the chains of its strategy and of the account, and give it to the market.

        The exits of an entry, and the second of a pair, can only undo what the first does: they pass with it.
        """
        order.created = self.now
        refusal = self.refusal(slot, order, order.quantity)
        if refusal is not None and not self.breach(self, slot, order, refusal):
            self.refuse(slot, order, refusal)
            return
        if self.broker is not None:
            rejection = self.broker.refusal(order)
            if rejection is not None:
                self.reject(slot, order, rejection)
                return
        order.live_from = self.now + self.latency
        self._spend(slot, order)
        self.accept(order)
        for leg in order.legs:
            leg.created = order.created
            leg.live_from = order.live_from
            self.accept(leg)
        self.tell("new", order)
        for leg in order.legs:
            if not leg.ended:
                self.tell("held" if leg.status == orders.HELD else "new", leg)
        if self.market.quoted:
            self.arrive(order)
            for leg in order.legs:
                self.arrive(leg)
        elif self.market.fill_at == venue_settings.SAME_CLOSE and order.kind == orders.MARKET and not order.ended:
            self._meet_seen_close(slot, order)

    def _spend(self, slot: Slot, order: Order) -> None:
        """Count an order and its exits, and what it is worth at the last close, for the session's limits."""
        unit = self.account.book.ledger.unit[order.symbol]
        close = self.price[order.symbol]
        for symbol, price, _ in self.judged_by or ():
            if symbol == order.symbol:
                close = price
        worth = exact.ceil_ratio(order.quantity, close, unit, "notional")
        for scope in slot.scopes:
            scope.book.spend(1 + len(order.legs), worth)

    def _begin_day(self, at: int) -> None:
        """Count what leaves from nothing, for every scope, until the next session after an instant has opened."""
        self.day_ends = session_opens.next_open(self.sessions, at)
        self.account.book.begin_day()
        for one in self.slots:
            one.scope.book.begin_day()

    def _meet_seen_close(self, slot: Slot, order: Order) -> None:
        """Let a market order meet the close that its decision has seen, where that is one of now."""
        row = slot.context._last_row[order.symbol]
        seen = row >= 0 and self.table.available_at[row] == self.now
        at_once = order.time_in_force not in {orders.OPG, orders.CLS}
        if seen and at_once and not self.market.flags(row) & (tradable.NO_CLOSE | tradable.EXTENDED):
            self._meet(order, row, self.table.close[row])

    def refusal(self, slot: Slot, order: Order, quantity: int) -> tuple[Scope, Violation] | None:
        """Return the first scope that forbids an order of so many 1e-9 shares, and why."""
        if self.judged_by is not None:
            return self._late_refusal(self.judged_by, slot, order, quantity)
        symbol = order.symbol
        for scope in slot.scopes:
            violation = self.proposal.weigh(
                scope,
                symbol,
                order.side,
                quantity,
                self.bar_end[symbol],
                self.now,
                1 + len(order.legs),
                order.limit,
                order.stop,
                order.replaces is None,
            )
            if violation is not None:
                return scope, violation
        return None

    def _late_refusal(
        self, quotes: list[tuple[int, int, int]], slot: Slot, order: Order, quantity: int
    ) -> tuple[Scope, Violation] | None:
        """Return the refusal under other closes, which the venue knows nothing of."""
        known = [(symbol, self.price[symbol], self.bar_end[symbol]) for symbol, _, _ in quotes]
        self.judged_by = None
        for symbol, price, end in quotes:
            self.quote(symbol, price, end)
        found = self.refusal(slot, order, quantity)
        for symbol, price, end in known:
            self.quote(symbol, price, end)
        self.judged_by = quotes
        return found

    def accept(self, order: Order) -> None:
        """Give an order its number and its place in the books, the market and the log."""
        symbol = order.symbol
        price = self.price[symbol]
        order.id = len(self.orders) + 1
        self.orders.append(order)
        if order.kind == orders.TRAILING_STOP:
            order.trail_from(price)
        if order.time_in_force == orders.GTC:
            if self.broker is not None:
                order.expires = self.broker.lasts_until(order)
        elif self.sessions is not None:
            self._place(order)
        if order.status != orders.HELD:
            self.market.add(order)
            order.move(orders.NEW)
            if order.expires != orders.NEVER:
                self.later(order.expires, EXPIRE, order, None)
        counted = order.counting()
        slot = self.slots[order.strategy]
        for scope in slot.scopes:
            scope.book.adopt(symbol, order.side, counted, price)
        self.log.write(
            log.ORDER,
            self.now,
            order.strategy,
            symbol,
            order.id,
            order.side * order.quantity,
            order.limit or order.stop,
            order.kind * 10
            + order.time_in_force
            + (100 if order.extended_hours else 0)
            + (1000 if order.notional else 0),
        )
        if order.parent is not None:
            self.note(order, order.parent.id)

    def _place(self, order: Order) -> None:
        """Find the session that an order belongs to, and when it expires."""
        sessions = self.sessions
        tif = order.time_in_force
        if sessions is None or tif not in {orders.DAY, orders.OPG, orders.CLS}:
            return
        if order.extended_hours:
            order.session = sessions.ending(order.live_from)
            order.expires = sessions.end_of(order.session, orders.NEVER)
            return
        order.session = (sessions.opening if tif == orders.OPG else sessions.closing)(order.live_from)
        order.expires = sessions.close_of(order.session, orders.NEVER)

    def refuse(self, slot: Slot, order: Order, refusal: tuple[Scope, Violation]) -> None:
        """End an order that a chain forbids, before it has a number."""
        scope, violation = refusal
        self._turn_down(order, violation.reason, scope.name)
        if slot.on_order_update is not None:
            detail = f"{scope.name}: {violation.reason} allows {violation.limit}, got {violation.value}"
            self.tell("refused", order, detail)

    def reject(self, slot: Slot, order: Order, refusal: brokers.Refusal) -> None:
        """End an order that the venue does not take, before it has a number."""
        self._turn_down(order, brokers.word(refusal), brokers.SCOPE)
        if slot.on_order_update is not None:
            more = "".join([f", {name} {value}" for name, value in refusal.extra.items()])
            self.tell("rejected", order, f"{brokers.word(refusal)}{more}")

    def _turn_down(self, order: Order, reason: str, scope: str) -> None:
        order.move(orders.REJECTED)
        order.reason = reason
        for leg in order.legs:
            if not leg.ended and leg.id == 0:
                leg.move(orders.CANCELED if leg.status == orders.HELD else orders.REJECTED)
                leg.reason = reason
        found = self.log
        found.write(
            log.REFUSED,
            self.now,
            order.strategy,
            order.symbol,
            -1,
            order.side * order.quantity,
            found.reason(reason),
            found.reason(scope),
        )

    # From order to fills.

    def at_open(self, order: Order) -> None:
        """Let an order meet the open of the bar that it was found for."""
        if order.status >= orders.TERMINAL:  # an update of the execution before may have ended it
            return
        if self.market.flags(order.row) & tradable.NO_OPEN and order.time_in_force >= orders.IOC:
            self.end(order, orders.CANCELED, "canceled", "halted")
            return
        self._meet(order, order.row, self.table.open[order.row])

    def arrive(self, order: Order) -> None:
        """Let an order meet the quote that stands when the venue has it, now or after the latency."""
        if order.live_from > self.now:
            self.later(order.live_from, ARRIVE, order, None)
        elif not order.ended and order.status != orders.HELD:
            self.at_quote(order)

    def at_quote(self, order: Order) -> None:
        """Let an order meet the standing quote, where its session is open; a resting limit trades at its own price."""
        if order.status >= orders.TERMINAL or not self._is_open(order):
            return
        price = self.market.offer(order, self.now)
        if price:
            self._meet(order, -1, price)
        elif order.time_in_force >= orders.IOC:
            self.end(order, orders.CANCELED, "canceled", "no-quote")

    def _is_open(self, order: Order) -> bool:
        """Say whether the market is open for an order now."""
        sessions = self.sessions
        if sessions is None:
            return True
        if order.extended_hours:
            number = sessions.ending(self.now)
            return number < len(sessions) and bool(sessions.begins[number] <= self.now)
        number = sessions.closing(self.now)
        return number < len(sessions) and bool(sessions.opens[number] <= self.now)

    def within(self, symbol: int, row: int) -> None:
        """Let a bar's path and its close act on the orders that wait."""
        market = self.market
        flags = market.flags(row)
        if not flags & tradable.NO_PATH:
            if flags & tradable.NO_OPEN:
                found: list[Order] = []
                market.at_reopening(symbol, row, found)
                for order in found:
                    if order.status < orders.TERMINAL:
                        self._meet(order, row, self.table.open[row])
            stirs = market.stirs(symbol, row)
            if stirs:
                first = path.high_first(market, self.table, row) if stirs > 1 else 1
                path.walk(market, self.table, market.books[symbol], row, self, first)
        closing: list[Order] = []
        market.at_close(symbol, row, closing)
        for order in closing:
            if order.status < orders.TERMINAL:
                self._meet(order, row, self.table.close[row])

    def _meet(self, order: Order, row: int, price: int) -> None:
        """Let an order meet one price; what must trade at once or never ends here."""
        if self.market.meets(order, price):
            # A limit that rested was there first: the quote came to it.
            self.trade(order, row, price, order.limit if row < 0 and order.resting else 0)
        else:
            order.resting = True
        tif = order.time_in_force
        if tif >= orders.OPG and order.status < orders.TERMINAL:
            if tif >= orders.IOC:
                self.end(order, orders.CANCELED, "canceled", orders.TIMES_IN_FORCE[tif])
            else:
                self.end(order, orders.EXPIRED, "expired", orders.TIMES_IN_FORCE[tif])

    def trade(self, order: Order, row: int, reference: int, limit: int) -> None:
        """Trade what the bar's volume allows of an order: as a taker at a reference price, or at a resting limit."""
        market = self.market
        if order.notional and not order.filled:
            self._size(order, row, reference)
            if order.quantity == 0:
                self.end(order, orders.REJECTED, "rejected", "notional")
                return
        rest = order.quantity - order.filled
        quantity = min(rest, market.size(order) if market.quoted else market.left(row))
        if quantity == 0 or (order.time_in_force == orders.FOK and quantity < rest):
            return
        price = limit or market.price(order, reference, quantity, row)
        if self.broker is not None:
            rejection = self.broker.covers(order, price, quantity)
            if rejection is not None:
                reason = brokers.word(rejection)
                if order.filled:
                    self.end(order, orders.CANCELED, "canceled", reason)
                else:
                    self.end(order, orders.REJECTED, "rejected", reason)
                return
        if market.quoted:
            market.use(order, quantity)
        else:
            market.take(row, quantity)
        if price != reference and not limit:
            self.references[self.account.book.ledger.fills] = reference
        self._fill(order, quantity, price)

    def _size(self, order: Order, row: int, reference: int) -> None:
        """Turn an amount of money into shares at the price of the first fill; a sale never crosses zero."""
        symbol = order.symbol
        slot = self.slots[order.strategy]
        before = order.quantity
        unit = self.table.unit[symbol]
        wanted = exact.floor_ratio(order.notional, unit, self.market.price(order, reference, before, row), "quantity")
        if wanted > before:  # a larger order may pay more for each share
            price = self.market.price(order, reference, wanted, row)
            wanted = exact.floor_ratio(order.notional, unit, price, "quantity")
        held = slot.scope.book.ledger.quantity[symbol]
        if held * order.side < 0:
            wanted = min(wanted, abs(held))
        order.resize(wanted)
        for scope in slot.scopes:
            scope.book.working(symbol, order.side, wanted - before)

    def _fill(self, order: Order, quantity: int, price: int) -> None:
        """Book one execution, tell the strategy at once, and let the order's group follow."""
        slot = self.slots[order.strategy]
        fee = self._book(slot, order, quantity, price)
        complete = order.status == orders.FILLED
        single = order.role in {"order", "flatten"}
        other = None if single else orders.partner(order)
        if other is not None and not other.ended:
            other.shrink(quantity)
        if slot.on_order_update is not None:
            event = "fill" if complete else "partial_fill"
            self._hear(slot, said(event, order, self.now, quantity, price, fee, ""))
        if single or not complete:
            return
        if other is not None and not other.ended:
            self.end(other, orders.CANCELED, "canceled", "oco")
        if order.role == "entry":
            self._activate(order)

    def _book(self, slot: Slot, order: Order, quantity: int, price: int) -> int:
        """Book an execution in both ledgers and in the log; return its fee, that of the strategy."""
        symbol = order.symbol
        unit = self.table.unit[symbol]
        try:
            fee = self.costs.fee(price, quantity, unit)
            more = 0
            if self.accrual is not None:
                digits = self.table.digits[symbol]
                due, whole = self.accrual.fill(order, price, quantity, digits, self.now)
                fee = exact.add(fee, due, "fee")
                more = whole - due
            signed = order.side * quantity
            complete = order.fill(quantity, exact.notional(price, quantity, unit))
            last = self.price[symbol] or price
            for scope in slot.scopes:
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
        self.log.write(log.FILL, self.now, order.strategy, symbol, order.id, signed, price, fee)
        if more:
            self.account.book.ledger.book(-more, "fees")
            self.log.write(log.ENTRY, self.now, -1, symbol, order.id, -more, self.log.reason("fees"), 0)
        if self.broker is not None:
            self.broker.traded(order, price, quantity)
        if complete:
            self.market.remove(order)
        return fee

    def _activate(self, entry: Order) -> None:
        """Let the legs of a complete entry work."""
        slot = self.slots[entry.strategy]
        for leg in entry.legs:
            if leg.status != orders.HELD:
                continue
            leg.move(orders.NEW)
            self.market.add(leg)
            for scope in slot.scopes:
                scope.book.working(leg.symbol, leg.side, leg.counting())
            if leg.expires != orders.NEVER:
                self.later(leg.expires, EXPIRE, leg, None)
            self.note(leg, entry.id)
        for leg in entry.legs:
            if not leg.ended:
                self.tell("new", leg)
        if self.market.quoted:
            for leg in entry.legs:
                self.arrive(leg)

    # From order to end.

    def end(self, order: Order, status: int, event: str, reason: str) -> None:
        """End an order, and with it what hangs together with it."""
        was_held = order.status == orders.HELD
        counted = order.counting()
        order.move(status)
        order.reason = reason
        slot = self.slots[order.strategy]
        for scope in slot.scopes:
            if counted:
                scope.book.working(order.symbol, order.side, -counted)
            scope.book.released()
        if not was_held:
            self.market.remove(order)
        self.note(order, 0)
        self.tell(event, order, reason)
        for member in orders.group(order):
            if member.ended or member.id == 0:
                continue
            if status == orders.EXPIRED and member.status != orders.HELD:
                self.end(member, orders.EXPIRED, "expired", reason)
            else:
                self.end(member, orders.CANCELED, "canceled", reason)

    def later(self, at: int, what: int, order: Order, other: Order | None) -> None:
        """Let something fall due at an instant."""
        self.pending += 1
        heapq.heappush(self.due, (at, self.pending, what, order, other))
        self.due_at = self.due[0][0]

    # States.

    def enter(self, slot: Slot | None, state: int, reason: str) -> None:
        """Let a state act on a strategy, or (None) on the account, and write that down."""
        scope = self.account if slot is None else slot.scope
        scope.book.state = state
        strategy = -1 if slot is None else slot.number
        self.log.write(log.STATE, self.now, strategy, -1, -1, state, self.log.reason(reason), 0)

    def close_out(self, slot: Slot) -> None:
        """Close what a strategy holds, one market order per symbol; such an order passes every limit."""
        for symbol, held in enumerate(slot.scope.book.ledger.quantities):
            if held and self.price[symbol]:
                order = Order(slot.number, symbol, -1 if held > 0 else 1, abs(held))
                order.role = "flatten"
                order.created = self.now
                order.live_from = self.now + self.latency
                self.accept(order)
                self.tell("new", order)

    def quote(self, symbol: int, price: int, end: int) -> None:
        """Take a close, known since the end of its bar, as a symbol's price."""
        self.price[symbol] = price
        self.bar_end[symbol] = end
        for scope in (self.account, *[slot.scope for slot in self.slots]):
            scope.book.ledger.mark(symbol, price)

    def forget(self, symbol: int) -> None:
        """Have no price of a symbol any more, though a bar of before becomes known: nothing can be ordered of it."""
        self.price[symbol] = 0
        self.splits.append((self.now, symbol, 0, 1))
        self.last_split[symbol] = self.now

    # Words.

    def note(self, order: Order, other: int) -> None:
        """Write an order's status to the log, and the order that it hangs together with."""
        reason = self.log.reason(order.reason)
        self.log.write(log.STATUS, self.now, order.strategy, order.symbol, order.id, order.status, reason, other)

    def tell(self, event: str, order: Order, reason: str = "") -> None:
        """Tell the order's strategy what became of it."""
        slot = self.slots[order.strategy]
        if slot.on_order_update is not None:
            self._hear(slot, said(event, order, self.now, 0, 0, 0, reason))

    def _hear(self, slot: Slot, update: Update) -> None:
        """Tell a strategy, and judge at once what it orders on that."""
        context = slot.context
        context.now = self.now
        slot.tell(update)
        if not slot.busy and (context._targets or context._wanted):
            self.decide(slot)


def number(order: Order) -> int:
    """Return the key by which orders are sorted."""
    return order.id
