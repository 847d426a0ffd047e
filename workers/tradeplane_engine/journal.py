"""What happened on an account, under the names that a session uses: decisions, orders, refusals, fills.

A :class:`Recorder` is a strategy's place in the kernel, where it hears each order update at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tradeplane_engine import errors, live, strategy
from tradeplane_engine.core import context, kernel
from tradeplane_engine.core import order as core_orders
from tradeplane_engine.domain import numbers, orders, times


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision as recorded; its intents are those that it wanted, refused ones too."""

    uid: str
    decision: orders.Decision


@dataclass(frozen=True, slots=True)
class Reject:
    """An intent that a risk chain refused."""

    uid: str
    trigger: times.Nanos
    symbol: str
    scope: str
    reason: str
    detail: str


class Journal:
    """One account's.

    Parameters
    ----------
    name : the account's ledger id, part of every client order id
    symbols : their names by the kernel's ids

    Attributes
    ----------
    orders : as they were sent, by client order id; ``known`` the kernel's own
    fills, rejects, decided : in their order
    expired : client order ids
    """

    def __init__(self, name: str, symbols: Sequence[str]) -> None:
        self.name = name
        self.symbols = symbols
        self.orders: dict[str, orders.Order] = {}
        self.known: dict[str, core_orders.Order] = {}
        self.fills: list[orders.Fill] = []
        self.rejects: list[Reject] = []
        self.decided: list[Decided] = []
        self.expired: list[str] = []


class Recorder(strategy.Strategy):
    """Writes down what becomes of one strategy's orders.

    Attributes
    ----------
    verdicts : of the decision that was opened last, in the order of its intents
    events : of its orders, in their order
    told : sequence of each of them that is told: fills and ends
    """

    def __init__(self, journal: Journal, uid: str) -> None:
        super().__init__()
        self._journal = journal
        self._uid = uid
        self._ids: dict[int, str] = {}
        self._intents: list[orders.Intent] = []
        self._trigger = times.Nanos(0)
        self._part = 0
        self.verdicts: list[live.Verdict] = []
        self.events: list[live.OrderEvent] = []
        self.told: list[int] = []

    def open(self, trigger: times.Nanos, part: int) -> None:
        """Begin the decision of a trigger, or a further part of it."""
        self._trigger, self._part = trigger, part
        self._intents = []
        self.verdicts = []

    def close(self, said: list[orders.Explanation]) -> orders.Decision:
        """End the decision with what the strategy said about it, which is used up."""
        told = said[-1] if said else orders.Explanation(self._trigger)
        decision = replace(told.decision(self._trigger, self._intents), part=self._part)
        said.clear()
        self._journal.decided.append(Decided(self._uid, decision))
        return decision

    def up_to(self, told: int | None) -> int:
        """Return the sequence of the last event before more than so many fills and ends; None for all there are."""
        return len(self.events) if told is None or told >= len(self.told) else self.told[told] - 1

    def on_order_update(self, ctx: context.Context, update: kernel.Update) -> None:
        """Write down what is new."""
        del ctx
        order = update.order
        symbol = self._journal.symbols[order.symbol]
        side = orders.Side.BUY if order.side > 0 else orders.Side.SELL
        match update.event:
            case "new":
                self._sent(update, symbol, side)
            case "refused":
                self._want(symbol, side, order)
                scope = update.reason.partition(":")[0]
                found = Reject(self._uid, self._trigger, symbol, scope, order.reason, update.reason)
                self._journal.rejects.append(found)
                self.verdicts.append(live.Verdict("", order.reason, update.reason))
            case "expired":
                self._journal.expired.append(self._ids[order.id])
                self._ended(update, symbol, side)
            case "canceled" | "rejected":
                self._ended(update, symbol, side)
            case "fill" | "partial_fill":
                self._filled(update, symbol, side)

    def _want(self, symbol: str, side: orders.Side, order: core_orders.Order) -> None:
        number = sum(intent.symbol == symbol for intent in self._intents)
        quantity = numbers.Quantity(order.quantity)
        self._intents.append(orders.Intent(symbol, side, quantity, live.terms(order), number=number))

    def _sent(self, update: kernel.Update, symbol: str, side: orders.Side) -> None:
        order = update.order
        self._want(symbol, side, order)
        journal = self._journal
        number = orders.number(self._part, self._intents[-1].number)
        key = orders.OrderKey(journal.name, self._uid, self._trigger, symbol, number=number)
        name = orders.client_order_id(key)
        if name in journal.known:
            raise errors.ValueRefused("client_order_id", "used once", name)
        journal.known[name] = order
        quantity = numbers.Quantity(order.quantity)
        journal.orders[name] = orders.Order(name, self._trigger, symbol, side, quantity, live.terms(order))
        self._ids[order.id] = name
        self.verdicts.append(live.Verdict(name, quantity=quantity))
        self.events.append(self._event(update, symbol, side, event=live.Happened.SENT))

    def _filled(self, update: kernel.Update, symbol: str, side: orders.Side) -> None:
        at = times.Nanos(update.at)
        found = orders.Fill(
            client_order_id=self._ids[update.order.id],
            symbol=symbol,
            side=side,
            quantity=numbers.Quantity(update.quantity),
            price=numbers.Price(update.price),
            at=at,
            session=times.utc_day(at),
        )
        self._journal.fills.append(found)
        self._tell(
            self._event(
                update,
                symbol,
                side,
                event=live.Happened.FILL,
                executed=found.quantity,
                price=found.price,
                fee=numbers.Money(update.fee),
            )
        )

    def _ended(self, update: kernel.Update, symbol: str, side: orders.Side) -> None:
        self._tell(
            self._event(update, symbol, side, event=live.Happened.ENDED, status=update.event, reason=update.reason)
        )

    def _tell(self, event: live.OrderEvent) -> None:
        self.events.append(event)
        self.told.append(event.sequence)

    def _event(self, update: kernel.Update, symbol: str, side: orders.Side, **said: Any) -> live.OrderEvent:
        return live.OrderEvent(
            sequence=len(self.events) + 1,
            client_order_id=self._ids[update.order.id],
            symbol=symbol,
            side=side,
            quantity=numbers.Quantity(update.order.quantity),
            trigger=times.Nanos(update.order.created),
            at=times.Nanos(update.at),
            **said,
        )
