"""The desk of a backtest: one account on the core's kernel, with everything under the names that a session uses.

What the gateway is in live: it has a state and policies, lets strategies decide, and knows orders by client order id.
Fills, ledgers and the risk chain are the kernel's. A decision is made at its trigger, the end of its bars, as the
gateway judges it; the venue has its orders from the instant on at which those bars were known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tradeplane_engine import errors, journal, settings
from tradeplane_engine.core import (
    agenda,
    context,
    control,
    costs,
    kernel,
    limits,
    order,
    risk,
    sessions,
    slot,
    standing,
    table,
    venue_settings,
)
from tradeplane_engine.core import ledger as books
from tradeplane_engine.data import series
from tradeplane_engine.domain import bars, numbers, orders, timeframes, times
from tradeplane_engine.venue import profile

Act = Callable[[context.Context], None]

_NO_LIMITS = limits.Limits(allow_short=True)


@dataclass(frozen=True, slots=True)
class Account:
    """One broker account: its ledger id (part of every client order id), cash, costs, and the policy that judges it.

    ``limits`` is None while that policy is refused: then nothing may leave.
    """

    ledger: str
    cash: numbers.Money
    costs: profile.VenueProfile
    policy: str
    limits: limits.Limits | None


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """Account equity at the close of a session or shorter bar, fees as booked."""

    at: times.Nanos
    equity: numbers.Money


class Desk:
    """Keeps one account through a sequence of sessions, or of the shorter slices within them.

    Parameters
    ----------
    account : the account
    traded : slices on which orders fill, oldest first, with their corporate actions
    state : what may leave at the start
    days : regular trading hours in order, where slices are shorter than a day

    Attributes
    ----------
    journal : what happened, in order
    dividends_not_paid : what the account's positions would have received; neither venue nor desk pays it
    """

    def __init__(
        self,
        account: Account,
        traded: Sequence[bars.BarSlice],
        *,
        state: orders.State = orders.State.HALTED,
        days: Sequence[timeframes.Hours] = (),
    ) -> None:
        self.account = account
        self.dividends_not_paid = numbers.Money(0)
        self._state = state
        self._policies: dict[str, limits.Limits | None] = {account.policy: account.limits}
        self._strategies: dict[str, _Trader] = {}
        self._standings: list[tuple[standing.Standing, risk.Book]] = []
        self._timeframe = traded[0].timeframe if traded else timeframes.DAY
        self._kernel = kernel.Kernel(
            _table(traded),
            costs.Costs(half_spread_bps=account.costs.half_spread_bps, schedule=account.costs.schedule),
            account.cash,
            risk.Policy(account.policy, account.limits or _NO_LIMITS),
            venue_settings.Venue(sessions=_sessions(days or _days(traded)), participation=account.costs.participation),
        )
        self.journal = journal.Journal(account.ledger, self._kernel.table.symbols)
        for action in (action for one in traded for action in one.actions):
            if action.symbol in self._kernel.table.ids:
                self._kernel.agenda.add(action.ex_start, agenda.ACTION, _Happening(action, self))
        self._kernel.start()

    @property
    def ledger(self) -> books.Ledger:
        """The account's ledger."""
        return self._kernel.account.book.ledger

    @property
    def positions(self) -> dict[str, numbers.Quantity]:
        """What the account holds."""
        return self._held(self.ledger)

    @property
    def equity(self) -> tuple[EquityPoint, ...]:
        """Equity at the end of each slice so far."""
        found = self._kernel
        pairs = zip(found.equity_at[: found.instants].tolist(), found.equity[: found.instants].tolist(), strict=True)
        return tuple(EquityPoint(times.Nanos(at), numbers.Money(equity)) for at, equity in pairs)

    def holds(self, uid: str) -> dict[str, numbers.Quantity]:
        """Return what a strategy holds."""
        return self._held(self._strategies[uid].slot.scope.book.ledger)

    # What may leave.

    def enter(self, state: orders.State) -> None:
        """Let a state act from the next decision on; the states between enabled and halted act as halted."""
        self._state = state
        self._judge()

    def bind(self, policy: str, allowed: limits.Limits | None) -> None:
        """Let a policy say something else from the next decision on, wherever it is used; None: it is refused."""
        self._policies[policy] = allowed
        self._judge()

    def bind_account(self, policy: str, allowed: limits.Limits | None) -> None:
        """Judge the account by another policy from the next decision on."""
        self.account = replace(self.account, policy=policy, limits=allowed)
        self.bind(policy, allowed)

    def declare(self, declared: settings.Generation) -> None:
        """Take a new strategy, or a new generation of one, whose sub-ledger goes on with the new capital."""
        self._policies.setdefault(declared.policy, declared.limits)
        known = self._strategies.get(declared.uid)
        capital = declared.capital
        if known is None:
            recorder = journal.Recorder(self.journal, declared.uid)
            name = f"{len(self._strategies):06d}-{declared.uid}"  # strategies have numbers in the order of declaration
            self._kernel.add(name, recorder, capital, risk.Policy(declared.policy, declared.limits))
            self._strategies[declared.uid] = _Trader(declared, self._kernel.slots[-1], recorder)
        else:
            change = capital - known.settings.capital
            control.CapitalChange(change, known.slot.name).act(self._kernel)
            known.settings = declared
        self._judge()

    def stand(self, scope: str, found: standing.Standing) -> None:
        """Measure losses of the account, or of a strategy by UID, from what was seen, at the next decision."""
        if scope == "account":
            book = self._kernel.account.book
        elif scope in self._strategies:
            book = self._strategies[scope].slot.scope.book
        else:
            raise errors.ValueRefused("standing.scope", "account, or the UID of a strategy that was declared", scope)
        self._standings.append((found, book))

    def _judge(self) -> None:
        """Give every scope the policy and the state that act on it now; without a policy nothing leaves."""
        whole = self._policies[self.account.policy]
        control.PolicyChange(risk.Policy(self.account.policy, whole or _NO_LIMITS)).act(self._kernel)
        for one in self._strategies.values():
            name = one.settings.policy
            own = self._policies[name]
            control.PolicyChange(risk.Policy(name, own or _NO_LIMITS), one.slot.name).act(self._kernel)
            judged = self._state is orders.State.ENABLED and own is not None and whole is not None
            state = risk.ENABLED if judged else risk.HALTED
            if one.slot.scope.book.state != state:
                self._kernel.flow.enter(one.slot, state, self._state.value)

    # What happens.

    def advance(self, until: times.Nanos) -> None:
        """Let every slice open, fill and close that ends by an instant."""
        self._kernel.advance(until)

    def decide(self, uid: str, one: bars.BarSlice, act: Act) -> orders.Decision:
        """Let a strategy decide on a slice of its bars, whose end is the trigger; record and judge what it wants."""
        trader = self._strategies[uid]
        self.advance(one.end)
        if one.timeframe != self._timeframe and one.end >= self._kernel.now:
            for bar in one.bars.values():  # as the gateway judges: by the age of the strategy's own bars
                self._kernel.quote(self._kernel.table.ids[bar.symbol], bar.close, bar.end)
        sent_at = max((bar.available_at for bar in one.bars.values()), default=one.end)
        return self._record(trader, one.end, 0, lambda found: self._kernel.turn(found, act, sent_at))

    def listen(self, uid: str, told: int, until: times.Nanos) -> None:
        """Go on until so many fills and ends of a strategy's orders have happened, or to an instant, not its opens."""
        recorder = self._strategies[uid].recorder
        while len(recorder.told) < told and self._kernel.step(until):
            pass
        if len(recorder.told) < told:
            self.advance(until)

    def answer(
        self, uid: str, one: bars.BarSlice, part: int, act: Act, *, sent_at: times.Nanos | None
    ) -> orders.Decision:
        """Let a strategy want something now, between a slice of its bars and the next; record and judge it.

        As the gateway judges: by the slice's prices, and their age at its end. The venue has the orders from
        ``sent_at`` on, or from now on if that is not known.
        """
        made = self._kernel
        quotes = [(made.table.ids[bar.symbol], bar.close, bar.end) for bar in one.bars.values()]

        def turn(found: slot.Slot) -> None:
            made.late_turn(found, act, sent_at or made.now, one.end, quotes)

        return self._record(self._strategies[uid], one.end, part, turn)

    def _record(
        self, trader: "_Trader", trigger: times.Nanos, part: int, turn: Callable[[slot.Slot], None]
    ) -> orders.Decision:
        for found, book in self._standings:  # not before, because every close and open on the way is seen by the books
            found.impose(book)
        self._standings.clear()
        trader.recorder.open(trigger, part)
        turn(trader.slot)
        return trader.recorder.close(trader.slot.context.explanations)

    def recorder(self, uid: str) -> journal.Recorder:
        """Return what writes down a strategy's orders."""
        return self._strategies[uid].recorder

    def cancel(self, client_order_id: str) -> bool:
        """Take an open order out of the market; False when there is none."""
        found = self.journal.known.get(client_order_id)
        if found is None or found.ended:
            return False
        self._kernel.flow.end(found, order.CANCELED, "canceled", "")
        return True

    def forget(self, client_order_id: str) -> bool:
        """Undo an order that was never sent; False when there is none open."""
        found = self.cancel(client_order_id)
        if found:
            del self.journal.orders[client_order_id]
        return found

    def check(self) -> None:
        """Raise LedgerBroken unless every ledger adds up and the strategies' positions sum to the account's."""
        self.ledger.check()
        total: dict[str, int] = {}
        for uid, one in self._strategies.items():
            one.slot.scope.book.ledger.check()
            for symbol, quantity in self.holds(uid).items():
                total[symbol] = total.get(symbol, 0) + quantity
        held = {symbol: quantity for symbol, quantity in total.items() if quantity}
        if held != self.positions:
            raise errors.LedgerBroken(f"the strategies hold {held}, the account {self.positions}")
        accrued = self._kernel.flow.accrual
        residue = 0 if accrued is None else accrued.residue  # what fees are rounded by is the account's alone
        parts = sum(one.slot.scope.book.ledger.fees for one in self._strategies.values()) + residue
        if parts != self.ledger.fees:
            raise errors.LedgerBroken(f"the strategies paid fees of {parts}, the account {self.ledger.fees} (1e-9 USD)")

    def finished(self) -> kernel.Kernel:
        """End the run and return it."""
        self._kernel.stop()
        return self._kernel

    def _held(self, ledger: books.Ledger) -> dict[str, numbers.Quantity]:
        symbols = self._kernel.table.symbols
        return {symbols[n]: numbers.Quantity(held) for n, held in enumerate(ledger.quantities) if held}


@dataclass(slots=True)
class _Trader:
    """One strategy: its settings of now, and its place in the kernel."""

    settings: settings.Generation
    slot: slot.Slot
    recorder: journal.Recorder


@dataclass(frozen=True, slots=True)
class _Happening:
    """A corporate action: a split acts; a dividend is counted, because the venue pays none."""

    action: bars.CorporateAction
    desk: Desk = field(repr=False)

    def act(self, run: kernel.Kernel) -> None:
        """Let it act on what is held and open now."""
        action = self.action
        new, old = action.split
        if new != old:
            run.split(action.symbol, new, old)
        held = run.account.book.ledger.quantities[run.table.ids[action.symbol]]
        paid = numbers.divide_half_even(action.dividend * held, numbers.ONE_SHARE)
        self.desk.dividends_not_paid = numbers.Money(self.desk.dividends_not_paid + paid)


def _table(traded: Sequence[bars.BarSlice]) -> table.Table:
    """Return the slices' bars, each known at its end: that is when decisions are made."""
    history: dict[str, list[bars.Bar]] = {}
    for one in traded:
        for symbol, bar in one.bars.items():
            history.setdefault(symbol, []).append(bar)
    made = [series.of(symbol, history[symbol]) for symbol in sorted(history)]
    return table.Table([replace(one, available_at=one.end) for one in made])


def _days(traded: Sequence[bars.BarSlice]) -> list[timeframes.Hours]:
    """Return the sessions of daily slices; slices that overlap are of one session."""
    found: list[timeframes.Hours] = []
    for one in traded:
        start = min(bar.start for bar in one.bars.values())
        if found and start < found[-1].end:
            found[-1] = timeframes.Hours(found[-1].start, one.end)
        else:
            found.append(timeframes.Hours(start, one.end))
    return found


def _sessions(days: Sequence[timeframes.Hours]) -> sessions.Sessions:
    opens, closes = ([getattr(one, name) for one in days] for name in ("start", "end"))
    return sessions.Sessions(np.array(opens, dtype=np.int64), np.array(closes, dtype=np.int64))
