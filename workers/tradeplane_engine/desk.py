"""The desk of a backtest: what the gateway is in live. Ledgers, state, policies, the gate and the market behind it.

One desk is one account. For each session: :meth:`Desk.open_session` (splits, fills, marks), then the strategies'
decisions through :meth:`Desk.decide`, which judges their intents with the books as of that instant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tradeplane_engine import errors, execution, ledger, settings
from tradeplane_engine.core import gate, limits
from tradeplane_engine.domain import bars, numbers, orders, timeframes, times
from tradeplane_engine.venue import market, profile


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
class Decided:
    """A decision as recorded, with one verdict per intent."""

    uid: str
    decision: orders.Decision
    verdicts: tuple[gate.Verdict, ...]


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """Account equity at the close of a session, fees as booked; None while a held symbol has no price."""

    at: times.Nanos
    equity: numbers.Money | None


@dataclass(slots=True)
class _Strategy:
    settings: settings.StrategySettings
    ledger: ledger.Ledger
    symbols: frozenset[str]


class Desk:
    """Keeps one account through a sequence of sessions, or of the shorter slices within them.

    Parameters
    ----------
    account : the account
    state : what may leave at the start
    days : regular trading hours in order, where slices are shorter than a day
    """

    def __init__(
        self,
        account: Account,
        *,
        state: orders.State = orders.State.HALTED,
        days: Sequence[timeframes.Hours] = (),
    ) -> None:
        self.account = account
        self.state = state
        self.ledger = ledger.Ledger(account.cash, account.costs)
        self.prices: dict[str, bars.Bar] = {}
        self.orders: dict[str, orders.Order] = {}
        self.fills: list[orders.Fill] = []
        self.decided: list[Decided] = []
        self.equity: list[EquityPoint] = []
        self.expired: list[str] = []
        self.dividends_not_paid = numbers.Money(0)
        self._market = market.Market(account.costs, days=days)
        self._sent_at: times.Nanos | None = None
        self._strategies: dict[str, _Strategy] = {}
        self._owner: dict[str, str] = {}
        self._policies: dict[str, limits.Limits | None] = {account.policy: account.limits}

    def declare(self, strategy: settings.StrategySettings) -> None:
        """Take a new strategy, or a new generation of one, whose sub-ledger goes on."""
        self._policies.setdefault(strategy.policy, strategy.limits)
        known = self._strategies.get(strategy.uid)
        if known is None:
            book = ledger.Ledger(strategy.portfolio.capital, self.account.costs)
            self._strategies[strategy.uid] = _Strategy(strategy, book, frozenset(strategy.symbols))
        else:
            known.settings, known.symbols = strategy, frozenset(strategy.symbols)

    def bind(self, policy: str, allowed: limits.Limits | None) -> None:
        """Let a policy say something else from the next decision on, wherever it is used; None: it is refused."""
        self._policies[policy] = allowed

    def bind_account(self, policy: str, allowed: limits.Limits | None) -> None:
        """Judge the account by another policy from the next decision on."""
        self.account = replace(self.account, policy=policy, limits=allowed)
        self._policies[policy] = allowed

    def check(self) -> None:
        """Raise LedgerBroken unless every ledger adds up and the strategies' positions sum to the account's."""
        self.ledger.check_conservation()
        total: dict[str, int] = {}
        for strategy in self._strategies.values():
            strategy.ledger.check_conservation()
            for symbol, quantity in strategy.ledger.quantities.items():
                total[symbol] = total.get(symbol, 0) + quantity
        held = {symbol: quantity for symbol, quantity in total.items() if quantity}
        if held != self.ledger.quantities:
            raise errors.LedgerBroken(f"the strategies hold {held}, the account {self.ledger.quantities}")

    def sub_ledger(self, uid: str) -> ledger.Ledger:
        """Return a strategy's own ledger."""
        return self._strategies[uid].ledger

    def open_session(self, one: bars.BarSlice) -> None:
        """Book what happens from the open to the close of one slice, in that order."""
        for action in one.actions:
            self._act(action)
        for fill in (traded := self._market.trade(one)).fills:
            self.ledger.apply(fill)
            self._strategies[self._owner[fill.client_order_id]].ledger.apply(fill)
            self.fills.append(fill)
        self.expired.extend(order.client_order_id for order in traded.expired)
        self.prices.update(one.bars)
        self.equity.append(EquityPoint(one.end, self.ledger.equity(self.prices)))

    def quote(self, one: bars.BarSlice) -> None:
        """Judge by the bars that a strategy decides on, and send what it decides no earlier than they are known."""
        self.prices.update(one.bars)
        self._sent_at = max((bar.available_at for bar in one.bars.values()), default=one.end)

    def holdings(self, uid: str) -> dict[str, execution.Holding]:
        """Return position and working orders per symbol of one strategy."""
        found = self._strategies[uid].ledger.quantities
        buying, selling = self._working(uid)
        return {
            symbol: execution.Holding(
                position=found.get(symbol, numbers.Quantity(0)),
                working_buy=buying.get(symbol, numbers.Quantity(0)),
                working_sell=selling.get(symbol, numbers.Quantity(0)),
            )
            for symbol in {*found, *buying, *selling}
        }

    def decide(self, uid: str, decision: orders.Decision) -> tuple[gate.Verdict, ...]:
        """Record a decision, judge its intents and send what may be sent."""
        verdicts: tuple[gate.Verdict, ...] = ()
        if decision.intents:
            verdicts = gate.judge(decision.intents, state=self.state, now=decision.trigger, scopes=self._scopes(uid))
        self.decided.append(Decided(uid, decision, verdicts))
        for verdict in verdicts:
            if verdict.accepted:
                self._send(uid, decision.trigger, verdict.intent)
        return verdicts

    def cancel(self, client_order_id: str) -> bool:
        """Take an open order out of the market; False when there is none."""
        return self._market.cancel(client_order_id) is not None

    def forget(self, client_order_id: str) -> bool:
        """Undo an order that was never sent; False when there is none open."""
        if not self.cancel(client_order_id):
            return False
        del self.orders[client_order_id]
        return True

    def _send(self, uid: str, trigger: times.Nanos, intent: orders.Intent) -> None:
        key = orders.OrderKey(
            ledger=self.account.ledger,
            uid=uid,
            trigger=trigger,
            symbol=intent.symbol,
            role=intent.role,
            number=intent.number,
        )
        order = orders.Order(
            client_order_id=orders.client_order_id(key),
            bar_end=trigger,
            symbol=intent.symbol,
            side=intent.side,
            quantity=intent.quantity,
            type=intent.type,
            time_in_force=intent.time_in_force,
        )
        self._market.submit(order, at=self._sent_at)
        self._owner[order.client_order_id] = uid
        self.orders[order.client_order_id] = order

    def _act(self, action: bars.CorporateAction) -> None:
        if action.split[0] != action.split[1]:
            self.ledger.split(action.symbol, action.split)
            for strategy in self._strategies.values():
                strategy.ledger.split(action.symbol, action.split)
            self._market.split(action.symbol, action.split)
        paid = numbers.divide_half_even(action.dividend * self.ledger.quantity(action.symbol), numbers.ONE_SHARE)
        self.dividends_not_paid = numbers.Money(self.dividends_not_paid + paid)

    def _scopes(self, uid: str) -> tuple[gate.Scope, ...]:
        """Return what judges a strategy's intents; nothing, so that none passes, while a policy is refused."""
        strategy = self._strategies[uid]
        own, whole = self._policies[strategy.settings.policy], self._policies[self.account.policy]
        if own is None or whole is None:
            return ()
        equity = strategy.ledger.equity_exact_fees(self.prices, capital=strategy.settings.portfolio.capital)
        mine = self._book(uid, strategy.ledger, equity)
        all_of_it = self._book(None, self.ledger, self.ledger.equity(self.prices))
        return (
            gate.Scope(name="strategy", limits=own, book=mine, symbols=strategy.symbols),
            gate.Scope(name="account", limits=whole, book=all_of_it),
        )

    def _book(self, uid: str | None, held: ledger.Ledger, equity: numbers.Money | None) -> gate.Book:
        """What one strategy or (None) the account holds and has open."""
        buying, selling = self._working(uid)
        return gate.Book(
            equity=equity,
            positions=held.quantities,
            working_buy=buying,
            working_sell=selling,
            prices=self.prices,
            open_orders=len(self._open(uid)),
        )

    def _working(self, uid: str | None) -> tuple[Mapping[str, numbers.Quantity], Mapping[str, numbers.Quantity]]:
        """Unfilled buys and sells per symbol, of one strategy or (None) of the account."""
        buying: dict[str, numbers.Quantity] = {}
        selling: dict[str, numbers.Quantity] = {}
        for order in self._open(uid):
            side = buying if order.side is orders.Side.BUY else selling
            side[order.symbol] = numbers.Quantity(side.get(order.symbol, 0) + order.quantity)
        return buying, selling

    def _open(self, uid: str | None) -> list[orders.Order]:
        """Open orders of one strategy or (None) of the account."""
        return [order for order in self._market.open_orders if uid is None or self._owner[order.client_order_id] == uid]
