"""A run's account at the venue: what it may still buy, what it refuses, and what a day costs it.

An order is judged when its decision is taken, on what the run knows then: the last closes, the account's position over
all strategies, the open orders. With rules the whole chain of :mod:`.rules` judges it; without, the part about money.
Without rules one order may cross zero: what closes is free, what opens is judged.

At the end of each UTC day, which lies between the sessions of the United States, interest and borrow fees are booked:
on the account, and on the strategies in proportion to their own debit or short.
"""

import dataclasses
import datetime as dt
from dataclasses import dataclass

from tradeplane_engine.core import actions as books
from tradeplane_engine.core import agenda, kernel, log
from tradeplane_engine.core import order as core_orders
from tradeplane_engine.core.order import Order
from tradeplane_engine.domain import numbers, orders, timeframes, times
from tradeplane_engine.venue import accounts, changes, days, margin, refusals, rules, settlement, ticket

_GTC_AGE, _GTC_HOUR = dt.timedelta(days=90), dt.time(16, 15)  # docs.alpaca.markets, orders: time in force
_AUCTIONS = frozenset({core_orders.OPG, core_orders.CLS})


class Broker:
    """Judges the orders of one run.

    Parameters
    ----------
    run : not yet run
    account : its settings
    ruled : whether Alpaca's rules judge beside the money
    """

    def __init__(self, run: kernel.Kernel, account: accounts.Account, *, ruled: bool) -> None:
        self.run = run
        self.account = account
        self.ruled = ruled
        self.days = days.Days(run.flow.sessions)
        self.pending: dict[int, list[settlement.Pending]] = {}
        self.day_start: margin.Standing | None = None
        self._reserved: list[tuple[Order, int]] = []

    # What the core asks.

    def refusal(self, order: Order) -> refusals.Refusal | None:
        """Return why a new order is not taken, or None; then what it may cost is reserved until it ends."""
        case = self._case(order)
        if self.ruled:
            found = rules.refusal(*case)
        else:
            opening = self._opening(case)
            found = None if opening is None else rules.money_refusal(*opening)
        if found is None:
            self._reserve(order, self._needed(case))
        return found

    def replacement(self, old: Order, new: Order) -> refusals.Refusal | None:
        """Return why an order may not take another's place, or None; the larger of the two stays reserved."""
        case = self._case(new)
        needed = self._needed(case)
        held = next((amount for order, amount in self._reserved if order is old), 0)
        room = changes.Room(added=max(needed - held, 0), buying_power=case[2].buying_power)
        found: refusals.Refusal | None = None
        if self.ruled and new.trail_bps == old.trail_bps:  # a rate is no price, and nothing else changes with it
            found = changes.replace_refusal(_working(old, case[1].digits), _change(old, new), room)
        elif room.added > max(room.buying_power, 0):
            found = refusals.denied("insufficient buying power")
        if found is None:
            self._reserve(new, needed)
        return found

    def covers(self, order: Order, price: int, quantity: int) -> refusals.Refusal | None:
        """Return why an execution cannot be paid, or None: a cash account has no other money than its cash."""
        if self.account.kind != "cash" or self.account.overdraft or order.side < 0:
            return None
        run, symbol = self.run, order.symbol
        digits = run.table.digits[symbol]
        cost = margin.value_up(price, quantity, digits) + run.flow.costs.fee(price, quantity, 10**digits)
        if run.flow.accrual is not None:
            cost += run.flow.accrual.most(order, price, quantity, digits, run.now)
        available = self._cash()
        if cost <= available:
            return None
        return refusals.denied(
            "insufficient buying power",
            buying_power=numbers.money_text(numbers.Money(max(available, 0))),
            cost_basis=numbers.money_text(numbers.Money(cost)),
        )

    def traded(self, order: Order, price: int, quantity: int) -> None:
        """Take note of an execution that was booked: its money settles some sessions later."""
        day = self.days.of(self.run.now)
        unit = 10 ** self.run.table.digits[order.symbol]
        amount = numbers.divide_half_even(-order.side * price * quantity, unit)
        due = settlement.Pending(self.days.after(day, settlement.lag(day)), amount)
        today = self._today()
        kept = settlement.outstanding(self.pending.get(order.strategy, ()), today)
        self.pending[order.strategy] = [*kept, due]

    def lasts_until(self, order: Order) -> int:
        """Return 16:15 New York, 90 days after an order's creation, at which Alpaca cancels one that is GTC."""
        if not self.ruled:
            return core_orders.NEVER
        return gtc_until(order.created)

    def keeps(self, order: Order, *, forward: bool) -> bool:
        """Say whether an open order with a price goes on after a split: Alpaca's keep buy limits and sell stops."""
        if not self.ruled:
            return forward
        moves = {core_orders.LIMIT} if order.side > 0 else {core_orders.STOP, core_orders.STOP_LIMIT}
        return forward and order.kind in moves

    # What a day costs.

    def settled(self, strategy: int | None = None) -> int:
        """Cash of a strategy or of the account without the money of trades that settle after today."""
        today = self._today()
        slots = self.run.slots if strategy is None else [self.run.slots[strategy]]
        ledger = self.run.account.book.ledger if strategy is None else slots[0].scope.book.ledger
        pending = [one for slot in slots for one in self.pending.get(slot.number, ())]
        return settlement.settled_cash(ledger.cash, pending, today)

    def end_day(self) -> None:
        """Book a day's interest and borrow fees, and look at the maintenance margin."""
        interest = settlement.interest(self.settled(), self.account.interest_bps)
        if interest:
            weights = [max(-self.settled(slot.number), 0) for slot in self.run.slots]
            books.pay(self.run.flow, -1, [-one for one in accounts.shared(interest, weights)], "interest")
        for symbol, held in enumerate(self.run.account.book.ledger.quantities):
            if held < 0:
                self._lend(symbol, held)
        self.day_start = self._standing()
        if self.day_start.excess < 0 and self.account.kind == "margin":
            self.run.log.write(log.FLAG, self.run.now, -1, -1, -1, 0, self.run.log.reason("margin-call"), 0)

    def _lend(self, symbol: int, held: int) -> None:
        name = self.run.table.symbols[symbol]
        worth = self.account.holding(name, held, self.run.mark(symbol), self.run.table.digits[symbol]).worth
        fee = settlement.borrow(worth, self.account.borrow.get(name, self.account.borrow_bps))
        if fee:
            weights = [max(-slot.scope.book.ledger.quantities[symbol], 0) for slot in self.run.slots]
            books.pay(self.run.flow, symbol, [-one for one in accounts.shared(fee, weights)], "borrow")

    # The account as the rules see it.

    def _case(self, order: Order) -> rules.Parts:
        """Return the order, its asset, the account and the market."""
        run, symbol = self.run, order.symbol
        name, digits = run.table.symbols[symbol], run.table.digits[symbol]
        standing = self._standing()
        book = run.account.book
        position = book.ledger.quantities[symbol]
        closing = (book.selling if position > 0 else book.buying)[symbol] if position * order.side < 0 else 0
        factor = margin.multiplier(self.account.most, standing.equity, intraday=self._phase() == "regular")
        asset = ticket.Asset(
            symbol=name,
            easy_to_borrow=name not in self.account.hard_to_borrow,
            marginable=name not in self.account.unmarginable,
            digits=digits,
        )
        account = ticket.AccountView(
            equity=standing.equity,
            cash=standing.cash,
            buying_power=self._power(standing, factor),
            factor=factor,
            position=position,
            held=closing,
            open_orders=tuple(_open(one) for one in run.market.books[symbol]),
            shorting_enabled=self.account.kind == "margin" and self.account.shorting,
            closing_only=margin.restricted(self._holdings(), standing.equity),
        )
        return _request(order, by_notional=self.ruled and order.notional > 0), asset, account, self._market(order)

    def _opening(self, case: rules.Parts) -> rules.Parts | None:
        """Return the part of an order that opens a position, None for none; with rules an order is taken whole."""
        request, asset, account, market = case
        if self.ruled or account.position * request.side.sign >= 0:
            return case
        opens = request.quantity - max(abs(account.position) - account.held, 0)
        if opens <= 0:
            return None
        flat = dataclasses.replace(account, position=0, held=0)
        return dataclasses.replace(request, quantity=opens), asset, flat, market

    def _needed(self, case: rules.Parts) -> int:
        opening = self._opening(case)
        return 0 if opening is None else rules.reserve(*opening)

    def _power(self, standing: margin.Standing, factor: int) -> int:
        power = margin.buying_power(standing, factor, day_start=self.day_start)
        if self.account.kind == "cash":
            power = max(self._cash(), 0)
        return max(power - self._reservations(), 0)

    def _cash(self) -> int:
        """What a cash account may spend: a purchase has left it at once, a sale only where it may wait for it."""
        cash: int = self.run.account.book.ledger.cash
        if not self.account.settled_only:
            return cash
        today = self._today()
        return cash - sum(max(one.amount, 0) for own in self.pending.values() for one in own if one.day > today)

    def _standing(self) -> margin.Standing:
        return margin.standing(self.run.account.book.ledger.cash, self._holdings())

    def _holdings(self) -> list[margin.Holding]:
        table, held = self.run.table, self.run.account.book.ledger.quantities
        return [
            self.account.holding(table.symbols[symbol], quantity, self.run.mark(symbol), table.digits[symbol])
            for symbol, quantity in enumerate(held)
            if quantity
        ]

    def _reserve(self, order: Order, amount: int) -> None:
        if amount:
            self._reserved.append((order, amount))

    def _reservations(self) -> int:
        """What open orders may still cost; of an order and the one that shall take its place the larger."""
        self._reserved = [(order, amount) for order, amount in self._reserved if not order.ended]
        rest = {id(order): -(-amount * order.open // order.quantity) for order, amount in self._reserved}
        total = 0
        for order, _ in self._reserved:
            old = order.replaces
            beside = rest.get(id(old), 0) if old is not None and not old.ended else 0
            total += max(rest[id(order)] - beside, 0)
        return total

    # The instant.

    def _today(self) -> str:
        return times.utc_day(times.Nanos(self.run.now - 1))  # a day's end belongs to it

    def _phase(self) -> str:
        """Say which hours it is: pre, regular, post or closed; a market without sessions never closes."""
        sessions, now = self.run.flow.sessions, self.run.now
        if sessions is None:
            return "regular"
        number = sessions.ending(now)
        if number == len(sessions) or now < sessions.begins[number]:
            return "closed"
        if now < sessions.opens[number]:
            return "pre"
        return "regular" if now < sessions.closes[number] else "post"

    def _market(self, order: Order) -> ticket.Market:
        last = self.run.mark(order.symbol)
        costs = self.run.flow.costs
        quote = margin.Quote(last=last, bid=costs.price(-1, last), ask=costs.price(1, last)) if last else margin.Quote()
        phase = self._phase()
        if order.time_in_force not in _AUCTIONS:
            return ticket.Market(quote=quote, phase=phase)
        at = self.run.now + self.run.flow.latency
        now = dt.datetime.fromtimestamp(at // times.SECOND, timeframes.NEW_YORK)
        close = self._close_on(now.date())
        return ticket.Market(
            quote=quote,
            phase=phase,
            minute=now.hour * 60 + now.minute,
            trading_day=close is not None,
            close_minute=16 * 60 if close is None else close.hour * 60 + close.minute,
        )

    def _close_on(self, day: dt.date) -> dt.datetime | None:
        """Close of a New York day's session, None for none."""
        sessions = self.run.flow.sessions
        if sessions is None:
            return None
        noon = int(dt.datetime(day.year, day.month, day.day, tzinfo=timeframes.NEW_YORK).timestamp()) * times.SECOND
        number = sessions.closing(noon)
        if number == len(sessions):
            return None
        found = dt.datetime.fromtimestamp(int(sessions.closes[number]) // times.SECOND, timeframes.NEW_YORK)
        return found if found.date() == day else None


@dataclass(frozen=True, slots=True)
class DayEnd:
    """The end of each UTC day."""

    broker: Broker

    def act(self, run: kernel.Kernel) -> None:
        """Book what the day cost, and wait for the next one."""
        self.broker.end_day()
        run.agenda.add(run.now + times.DAY, agenda.SESSION, self)


def gtc_until(created: int) -> int:
    """Return 16:15 New York, 90 days after an instant (ns UTC): when Alpaca cancels a GTC order created then."""
    day = dt.datetime.fromtimestamp(created // times.SECOND, timeframes.NEW_YORK).date() + _GTC_AGE
    return int(dt.datetime.combine(day, _GTC_HOUR, timeframes.NEW_YORK).timestamp()) * times.SECOND


def install(run: kernel.Kernel, account: accounts.Account, *, ruled: bool) -> Broker:
    """Give a run that has its strategies, but has not begun, an account at the venue."""
    found = Broker(run, account, ruled=ruled)
    run.flow.broker = found
    if run.table.rows and (account.accrues or account.kind == "margin"):
        first = int(run.table.columns["start"].min())
        run.agenda.add((first // times.DAY + 1) * times.DAY, agenda.SESSION, DayEnd(found))
    return found


def _request(order: Order, *, by_notional: bool) -> ticket.Request:
    kind = core_orders.KINDS[order.kind]
    request = ticket.Request(
        side=orders.Side.BUY if order.side > 0 else orders.Side.SELL,
        quantity=0 if by_notional else order.quantity,
        notional=order.notional if by_notional else 0,
        kind=kind,
        time_in_force=core_orders.TIMES_IN_FORCE[order.time_in_force],
        limit=order.limit,
        stop=0 if kind == "trailing_stop" else order.stop,
        trail=order.trail,
        trail_bps=order.trail_bps,
        extended=order.extended_hours,
    )
    if not order.legs:
        return request
    exits = {leg.role: leg for leg in order.legs}
    loss = exits.get("stop_loss")
    if order.role == "take_profit":
        profit, limit, order_class = order.limit, 0, "oco"
    else:
        leg = exits.get("take_profit")
        profit, limit, order_class = (
            0 if leg is None else leg.limit,
            order.limit,
            "oto" if len(exits) == 1 else "bracket",
        )
    return dataclasses.replace(
        request,
        order_class=order_class,
        limit=limit,
        take_profit=profit,
        stop_loss=0 if loss is None else loss.stop,
        stop_loss_limit=0 if loss is None else loss.limit,
    )


def _open(order: Order) -> ticket.OpenOrder:
    side = orders.Side.BUY if order.side > 0 else orders.Side.SELL
    order_class = "simple" if order.role in {"order", "flatten"} else "bracket"
    return ticket.OpenOrder(str(order.id), side, core_orders.KINDS[order.kind], order.limit, order_class)


def _working(order: Order, digits: int) -> changes.Working:
    return changes.Working(
        status=core_orders.STATUSES[order.status],
        quantity=order.quantity,
        filled=order.filled,
        by_notional=order.notional > 0,
        order_class="oto" if order.role == "entry" and len(order.legs) == 1 else "simple",
        kind=core_orders.KINDS[order.kind],
        time_in_force=core_orders.TIMES_IN_FORCE[order.time_in_force],
        limit=order.limit,
        stop=0 if order.kind == core_orders.TRAILING_STOP else order.stop,
        trail=order.trail,
        digits=digits,
    )


def _change(old: Order, new: Order) -> changes.Change:
    """What a replacement changes; the stop of a trailing one moves by itself."""
    return changes.Change(
        limit=new.limit if new.limit != old.limit else 0,
        stop=new.stop if old.kind != core_orders.TRAILING_STOP and new.stop != old.stop else 0,
        trail=new.trail if new.trail != old.trail else 0,
    )
