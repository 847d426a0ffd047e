"""What happened on an account, under the names that a session uses: decisions, orders, refusals, fills, fees.

A :class:`Recorder` is a strategy's place in the kernel. It hears each order update at once, so that what it books (the
regulators' fees of a fill) is there before anything else is judged.
"""

from dataclasses import dataclass

from tradeplane_engine import errors, strategy
from tradeplane_engine.core import context, kernel
from tradeplane_engine.core import order as core_orders
from tradeplane_engine.domain import numbers, orders, times
from tradeplane_engine.venue import accrual, profile


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
    costs : what a fill costs beside its price
    run : the kernel that it happens in

    Attributes
    ----------
    orders : as they were sent, by client order id; ``known`` the kernel's own
    fills, rejects, decided : in their order
    expired : client order ids
    fees : the account's, and each strategy's by UID
    """

    def __init__(self, name: str, costs: profile.VenueProfile, run: kernel.Kernel) -> None:
        self.name = name
        self.costs = costs
        self.symbols = run.table.symbols
        self.orders: dict[str, orders.Order] = {}
        self.known: dict[str, core_orders.Order] = {}
        self.fills: list[orders.Fill] = []
        self.rejects: list[Reject] = []
        self.decided: list[Decided] = []
        self.expired: list[str] = []
        self.fees = accrual.Accrual()
        self.fees_of: dict[str, accrual.Accrual] = {}
        self._run = run

    def fill(self, uid: str, fill: orders.Fill, number: int) -> None:
        """Write a fill of a strategy down, and accrue its fees: exactly, and by the day on the account."""
        self.fills.append(fill)
        charges = self.costs.charges(fill.side, fill.price, fill.quantity, session=fill.session)
        part, whole = self.fees_of[uid], self.fees
        owed, booked = part.owed, whole.booked
        part.add(charges, fill.session)
        whole.add(charges, fill.session)
        self._run.slots[number].scope.book.ledger.book(owed - part.owed, "fees")
        self._run.account.book.ledger.book(booked - whole.booked, "fees")

    def check(self) -> None:
        """Raise LedgerBroken unless the strategies' fees add up to the account's, and both are booked."""
        parts = sum(one.exact for one in self.fees_of.values())
        if parts != self.fees.exact:
            raise errors.LedgerBroken(f"the strategies' fees are {parts}, the account's {self.fees.exact} (1e-29 USD)")
        if self._run.account.book.ledger.fees != self.fees.booked:
            raise errors.LedgerBroken(f"fees {self._run.account.book.ledger.fees}, accrued {self.fees.booked}")


class Recorder(strategy.Strategy):
    """Writes down what becomes of one strategy's orders."""

    def __init__(self, journal: Journal, uid: str) -> None:
        super().__init__()
        self._journal = journal
        self._uid = uid
        self._ids: dict[int, str] = {}
        self._intents: list[orders.Intent] = []
        self._trigger = times.Nanos(0)
        journal.fees_of[uid] = accrual.Accrual()

    def open(self, trigger: times.Nanos) -> None:
        """Begin the decision of a trigger."""
        self._trigger = trigger
        self._intents = []

    def close(self, said: list[orders.Explanation]) -> orders.Decision:
        """End the decision with what the strategy said about it, which is used up."""
        told = said[-1] if said else orders.Explanation(self._trigger)
        decision = orders.Decision(
            trigger=self._trigger,
            outcome=told.outcome,
            intents=tuple(self._intents),
            signals=tuple(told.signals),
            model_digest=told.signals[0].model if told.signals else "",
            detail=told.detail,
        )
        said.clear()
        self._journal.decided.append(Decided(self._uid, decision))
        return decision

    def on_order_update(self, ctx: context.Context, update: kernel.Update) -> None:
        """Write down what is new."""
        del ctx
        order = update.order
        symbol = self._journal.symbols[order.symbol]
        side = orders.Side.BUY if order.side > 0 else orders.Side.SELL
        match update.event:
            case "new":
                self._sent(order, symbol, side)
            case "refused":
                self._want(symbol, side, order)
                scope = update.reason.partition(":")[0]
                found = Reject(self._uid, self._trigger, symbol, scope, order.reason, update.reason)
                self._journal.rejects.append(found)
            case "expired":
                self._journal.expired.append(self._ids[order.id])
            case "fill" | "partial_fill":
                self._filled(update, symbol, side)

    def _want(self, symbol: str, side: orders.Side, order: core_orders.Order) -> None:
        self._intents.append(orders.Intent(symbol, side, numbers.Quantity(order.quantity)))

    def _sent(self, order: core_orders.Order, symbol: str, side: orders.Side) -> None:
        self._want(symbol, side, order)
        journal = self._journal
        key = orders.OrderKey(ledger=journal.name, uid=self._uid, trigger=self._trigger, symbol=symbol)
        name = orders.client_order_id(key)
        if name in journal.known:
            raise errors.ValueRefused("client_order_id", "used once", name)
        journal.known[name] = order
        journal.orders[name] = orders.Order(name, self._trigger, symbol, side, numbers.Quantity(order.quantity))
        self._ids[order.id] = name

    def _filled(self, update: kernel.Update, symbol: str, side: orders.Side) -> None:
        at = times.Nanos(update.at)
        fill = orders.Fill(
            client_order_id=self._ids[update.order.id],
            symbol=symbol,
            side=side,
            quantity=numbers.Quantity(update.quantity),
            price=numbers.Price(update.price),
            at=at,
            session=times.utc_day(at),
        )
        self._journal.fill(self._uid, fill, update.order.strategy)
