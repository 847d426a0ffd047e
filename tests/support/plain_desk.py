"""An account as the gateway keeps it, on daily bars, as plainly as possible: the oracle of replays.

Intents pass the gateway's gate, fills go into the ledger that the gateway uses, and the market is a list of orders that
wait for the next open. A strategy sees it through a context of its own, which has the public methods and nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tradeplane_engine import desk, ledger, settings
from tradeplane_engine.core import context, gate, limits
from tradeplane_engine.domain import bars, numbers, orders, times


@dataclass
class Context:
    """What a declared strategy may use."""

    now: times.Nanos
    targets: dict[str, int] = field(default_factory=dict)
    said: orders.Explanation = field(default_factory=lambda: orders.Explanation(times.Nanos(0)))

    def target(self, symbol: str, *, shares: int) -> None:
        """Want so many shares."""
        self.targets[symbol] = shares * numbers.ONE_SHARE

    def signal(self, symbol: str, strength: float, *, direction: int, model: str, features: Sequence[float]) -> None:
        """Say what speaks for it."""
        self.said.signals.append(orders.Signal(symbol, strength, tuple(features), direction, model=model))

    def outcome(self, outcome: orders.Outcome, detail: str = "") -> None:
        """Say what came of it."""
        self.said.outcome, self.said.detail = outcome, detail


@dataclass
class _Waiting:
    uid: str
    order: orders.Order


class PlainDesk:
    """One account; halted until somebody enables it."""

    def __init__(self, account: desk.Account) -> None:
        self.account = account
        self.state = orders.State.HALTED
        self.ledger = ledger.Ledger(account.cash, account.costs)
        self.orders: dict[str, orders.Order] = {}
        self.fills: list[orders.Fill] = []
        self.rejects: list[tuple[times.Nanos, str, str]] = []
        self.equity: list[desk.EquityPoint] = []
        self.waiting: dict[str, _Waiting] = {}
        self._policies: dict[str, limits.Limits | None] = {account.policy: account.limits}
        self._settings: dict[str, settings.StrategySettings] = {}
        self._own: dict[str, ledger.Ledger] = {}
        self._prices: dict[str, bars.Bar] = {}

    @property
    def order_bytes(self) -> tuple[bytes, ...]:
        """Orders in canonical form."""
        from tradeplane_engine import record  # noqa: PLC0415 - the only one that needs it

        return tuple(record.canonical_order(order) for order in self.orders.values())

    def declare(self, declared: settings.StrategySettings) -> None:
        """Take a strategy, or a new generation."""
        self._policies.setdefault(declared.policy, declared.limits)
        self._settings[declared.uid] = declared
        self._own.setdefault(declared.uid, ledger.Ledger(declared.portfolio.capital, self.account.costs))

    def bind(self, policy: str, allowed: limits.Limits | None) -> None:
        """Let a policy say something else."""
        self._policies[policy] = allowed

    def open_session(self, one: bars.BarSlice) -> None:
        """Splits, fills at the opens, expiries of what has no bar, marks."""
        for action in one.actions:
            if action.split != (1, 1):
                for each in (self.ledger, *self._own.values()):
                    each.split(action.symbol, action.split)
                self._restate(action)
        for name, waiting in list(self.waiting.items()):
            if waiting.order.symbol in one.bars:
                self._fill(waiting, one.bars[waiting.order.symbol])
            del self.waiting[name]
        self._prices.update(one.bars)
        equity = self.ledger.equity(self._prices)
        assert equity is not None
        self.equity.append(desk.EquityPoint(one.end, equity))

    def decide(self, uid: str, one: bars.BarSlice, act: Callable[[Context], None]) -> orders.Decision:
        """Let a strategy decide, and judge its intents as the gateway does."""
        ctx = Context(one.end)
        act(ctx)
        intents = tuple(intent for symbol in ctx.targets if (intent := self._missing(uid, symbol, ctx.targets[symbol])))
        scopes = self._scopes(uid)
        for verdict in gate.judge(intents, state=self.state, now=one.end, scopes=scopes):
            if verdict.accepted:
                self._send(uid, one.end, verdict.intent)
            else:
                self.rejects.append((one.end, verdict.intent.symbol, verdict.reason))
        return orders.Decision(one.end, ctx.said.outcome, intents, tuple(ctx.said.signals), detail=ctx.said.detail)

    def _missing(self, uid: str, symbol: str, target: int) -> orders.Intent | None:
        buying, selling = (self._working(uid, side).get(symbol, 0) for side in orders.Side)
        change = context.missing(target, self._own[uid].quantity(symbol), buying, selling)
        side = orders.Side.BUY if change > 0 else orders.Side.SELL
        return orders.Intent(symbol, side, numbers.Quantity(abs(change))) if change else None

    def _working(self, uid: str | None, side: orders.Side) -> Mapping[str, numbers.Quantity]:
        found: dict[str, numbers.Quantity] = {}
        for one in self.waiting.values():
            if one.uid == (uid or one.uid) and one.order.side is side:
                found[one.order.symbol] = numbers.Quantity(found.get(one.order.symbol, 0) + one.order.quantity)
        return found

    def _scopes(self, uid: str) -> tuple[gate.Scope, ...]:
        declared = self._settings[uid]
        own, whole = self._policies[declared.policy], self._policies[self.account.policy]
        if own is None or whole is None:
            return ()
        part = self._own[uid]
        equity = part.equity_exact_fees(self._prices, capital=declared.portfolio.capital)
        return (
            gate.Scope("strategy", own, self._book(uid, part, equity), frozenset(declared.symbols)),
            gate.Scope("account", whole, self._book(None, self.ledger, self.ledger.equity(self._prices))),
        )

    def _book(self, uid: str | None, held: ledger.Ledger, equity: numbers.Money | None) -> gate.Book:
        return gate.Book(
            equity=equity,
            positions=held.quantities,
            working_buy=self._working(uid, orders.Side.BUY),
            working_sell=self._working(uid, orders.Side.SELL),
            prices=self._prices,
            open_orders=sum(one.uid == (uid or one.uid) for one in self.waiting.values()),
        )

    def _send(self, uid: str, trigger: times.Nanos, intent: orders.Intent) -> None:
        key = orders.OrderKey(ledger=self.account.ledger, uid=uid, trigger=trigger, symbol=intent.symbol)
        name = orders.client_order_id(key)
        order = orders.Order(name, trigger, intent.symbol, intent.side, intent.quantity)
        self.orders[name] = order
        self.waiting[name] = _Waiting(uid, order)

    def _fill(self, waiting: _Waiting, bar: bars.Bar) -> None:
        order = waiting.order
        fill = orders.Fill(
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            price=self.account.costs.fill_price(order.side, bar.open),
            at=bar.start,
            session=times.utc_day(bar.start),
        )
        self.fills.append(fill)
        self.ledger.apply(fill)
        self._own[waiting.uid].apply(fill)

    def _restate(self, action: bars.CorporateAction) -> None:
        new, old = action.split
        for one in self.waiting.values():
            if one.order.symbol == action.symbol:
                one.order = replace(one.order, quantity=numbers.Quantity(one.order.quantity * new // old))
