"""The door: what the gate let pass meets what only a live gateway knows, and may still be stopped.

The gate's verdicts rest on the ledger's sequence and trading time alone, so that a backtest gives them again. What is
asked here rests on the broker and the machine's clock; whatever it stops is recorded as ``not-sent``, which a backtest
follows. The reasons, in their order:

``message-rate``: more orders within a second of the machine's time than ``order.maxPerSecond`` of a policy allows.
``cancel-budget``: more open orders of the strategy than the reserve of the broker's request budget can cancel within
its window, one by one, as a strategy's own halt must.
``self-trade``: an open order of the account on the other side could meet this one; the later is stopped, and names it.
``not-shortable``, ``hard-to-borrow``: of an order that may open a short, by the broker's word, or for want of it.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from tradeplane_engine.core import gate, limits
from tradeplane_engine.domain import orders
from tradeplane_engine.venue import rules, ticket
from tradeplane_workers.brokers import port
from tradeplane_workers.gateway import machine
from tradeplane_workers.stores import orders as orders_store

_log = structlog.get_logger(__name__)
ACCOUNT = "account"
_FRESH_S = 3600.0
_PATIENCE_S = 2.0
_SECOND = 1.0


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why an order does not leave: a stable word, and a sentence that names scope, limit and value."""

    reason: str
    detail: str


@dataclass(slots=True)
class Room:
    """One decision at the door.

    Parameters
    ----------
    uid : of the strategy
    now_s : the machine's time
    limits : of the strategy's policy and of the account's, by scope
    left_s : when orders left within the last second, by scope; those that pass are added
    book : the account's
    open_orders : of the strategy
    working : open orders of the account in the symbols that are opposed
    assets : what the broker says of symbols, as far as it was asked
    budget : the broker's, where it has one
    """

    uid: str
    now_s: float
    limits: Mapping[str, limits.Limits]
    left_s: dict[str, tuple[float, ...]]
    book: gate.Book
    open_orders: int
    working: Sequence[orders_store.Working]
    assets: Mapping[str, port.Asset]
    budget: port.Budget | None
    passed: list[tuple[str, orders.Intent]] = field(default_factory=list)

    def stops(self, client_order_id: str, intent: orders.Intent) -> Stopped | None:
        """Return what stops an order, or None; then it counts for those after it."""
        for ask in (self._rate, self._cancels, self._opposing, self._borrow):
            found = ask(intent)
            if found is not None:
                return found
        self.passed.append((client_order_id, intent))
        for scope in self._scopes():
            self.left_s[scope] = (*self._recent(scope), self.now_s)
        return None

    def _scopes(self) -> dict[str, str]:
        return {self.uid: "strategy", ACCOUNT: ACCOUNT}

    def _recent(self, scope: str) -> tuple[float, ...]:
        return tuple(at_s for at_s in self.left_s.get(scope, ()) if self.now_s - at_s < _SECOND)

    def _rate(self, _: orders.Intent) -> Stopped | None:
        for scope, name in self._scopes().items():
            most, count = self.limits[name].max_per_second, len(self._recent(scope)) + 1
            if most is not None and count > most:
                return Stopped("message-rate", f"{name}: message-rate allows {most} a second, got {count}")
        return None

    def _cancels(self, _: orders.Intent) -> Stopped | None:
        count = self.open_orders + len(self.passed) + 1
        if self.budget is None or count <= self.budget.reserve:
            return None
        most = f"{self.budget.reserve} open orders, which the reserve of {self.budget.limit} requests can cancel"
        return Stopped("cancel-budget", f"strategy: cancel-budget allows {most}, got {count}")

    def _opposing(self, intent: orders.Intent) -> Stopped | None:
        own = _ticket("", intent.side, intent.terms)
        others = (
            *((each.client_order_id, each.symbol, each.side, each.terms) for each in self.working),
            *((name, each.symbol, each.side, each.terms) for name, each in self.passed),
        )
        for name, symbol, side, terms in others:
            if symbol == intent.symbol and side is not intent.side and rules.washes(own, _ticket(name, side, terms)):
                return Stopped(
                    "self-trade", f"account: self-trade allows no order that could meet this one, got {name}"
                )
        return None

    def _borrow(self, intent: orders.Intent) -> Stopped | None:
        if intent.side is orders.Side.BUY:
            return None
        selling = sum(
            each.quantity for _, each in self.passed if (each.symbol, each.side) == (intent.symbol, intent.side)
        )
        lowest = self.book.positions.get(intent.symbol, 0) - self.book.working_sell.get(intent.symbol, 0) - selling
        if lowest - intent.quantity >= 0:
            return None
        asset = self.assets.get(intent.symbol)
        if asset is None:
            return _not_lent("not-shortable", f"no word of {intent.symbol}")
        if not asset.shortable:
            return _not_lent("not-shortable", intent.symbol)
        return None if asset.easy_to_borrow else _not_lent("hard-to-borrow", intent.symbol)


def opposed(intents: Sequence[orders.Intent], scopes: Sequence[gate.Scope]) -> set[str]:
    """Return the symbols in which something works on the other side of an intent."""
    book = next(scope.book for scope in scopes if scope.name == ACCOUNT)
    other = {orders.Side.BUY: book.working_sell, orders.Side.SELL: book.working_buy}
    return {intent.symbol for intent in intents if other[intent.side].get(intent.symbol)}


def _not_lent(reason: str, got: str) -> Stopped:
    return Stopped(reason, f"account: {reason} allows shorts of what the broker lends easily, got {got}")


class Door:
    """Knows the broker's budget and assets.

    Parameters
    ----------
    broker : of the account
    clock : the machine's clocks
    """

    def __init__(self, broker: port.Broker, *, clock: machine.Clock) -> None:
        self._broker = broker
        self._clock = clock
        self._assets: dict[str, tuple[float, port.Asset]] = {}

    async def learn(self, symbols: Iterable[str]) -> None:
        """Ask the broker about symbols that may be sold short; what it said within the hour still holds."""
        now_s = self._clock().boot_s
        for symbol in sorted(set(symbols)):
            known = self._assets.get(symbol)
            if known is not None and now_s - known[0] < _FRESH_S:
                continue
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    asset = await self._broker.asset(symbol)
            except (port.BrokerError, TimeoutError) as error:
                _log.warning("asset not known", symbol=symbol, error=f"{type(error).__name__}: {error}")
                continue
            if asset is not None:
                self._assets[symbol] = (now_s, asset)

    def room(
        self,
        uid: str,
        scopes: Sequence[gate.Scope],
        *,
        working: Sequence[orders_store.Working],
        left_s: dict[str, tuple[float, ...]],
    ) -> Room:
        """Return the door as one decision meets it, from what the gate judged it by."""
        now_s = self._clock().boot_s
        books = {scope.name: scope.book for scope in scopes}
        return Room(
            uid=uid,
            now_s=now_s,
            limits={scope.name: scope.limits for scope in scopes},
            left_s=left_s,
            book=books[ACCOUNT],
            open_orders=books["strategy"].open_orders,
            working=working,
            assets={symbol: asset for symbol, (at_s, asset) in self._assets.items() if now_s - at_s < _FRESH_S},
            budget=self._broker.budget(),
        )


def _ticket(name: str, side: orders.Side, terms: orders.Terms) -> ticket.OpenOrder:
    return ticket.OpenOrder(id=name, side=side, kind=terms.type, limit=terms.limit_price)
