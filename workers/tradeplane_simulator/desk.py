"""A desk is one account with its open orders; the market is what all desks see at one instant."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from tradeplane_engine.domain import numbers, orders, times
from tradeplane_engine.venue import margin, profile, ticket
from tradeplane_simulator import account as accounts
from tradeplane_simulator import book, sessions


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of each an account ever had; ids and event ids are made from them."""

    orders: int = 0
    executions: int = 0
    activities: int = 0
    events: int = 0


@dataclass(frozen=True, slots=True)
class Desk:
    """An account, its open orders by id in the order of their acceptance, and its counts."""

    account: accounts.Account
    open_orders: Mapping[str, book.Order] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)

    @property
    def reserved(self) -> int:
        """Buying power that open orders hold."""
        return sum(order.reserve for order in self.open_orders.values())

    def working(self, symbol: str, side: orders.Side) -> numbers.Quantity:
        """Shares that open orders of one symbol and side may still trade."""
        return numbers.Quantity(
            sum(order.counted for order in self.open_orders.values() if (order.symbol, order.side) == (symbol, side))
        )

    def buying_power(self, market: "Market") -> numbers.Money:
        """Return what new orders may cost beside those that are open."""
        now = accounts.standing(self.account, market.prices)
        factor = accounts.factor(self.account, now.equity, is_open=market.is_open)
        return numbers.Money(margin.buying_power(now, factor, reserved=self.reserved))

    def group(self, order: book.Order) -> tuple[book.Order, ...]:
        """Open orders that hang together with one, itself first where it is open."""
        found = [one for one in self.open_orders.values() if one.root == order.root]
        return tuple(sorted(found, key=lambda one: one.id != order.id))


@dataclass(frozen=True, slots=True)
class Market:
    """What is known and open at an instant.

    at, clock : instant of what happens, and of the newest event of the market; commands come one after another in one
    session : the open session or the next one to open; None past the calendar's end
    today : the session of the day in New York, over or not; None on a day without one
    is_open : whether ``session`` is trading now
    prices : last known price of every listed symbol
    opens : the session's open price of the symbols that trade in it; empty while closed
    is_extended : whether it is before the open or after the close, in hours for orders that say so
    since : from when on an order at the market finds prices in a session: with daily bars its open, else ``clock``
    fills_whole : whether an order at the market fills at once and whole
    latency : how long a cancel or a replacement takes, ns
    assets : what may be done with symbols for which that is not everything
    """

    at: times.Nanos
    session: sessions.Session | None
    is_open: bool
    prices: Mapping[str, numbers.Price]
    opens: Mapping[str, numbers.Price]
    profile: profile.VenueProfile
    today: sessions.Session | None = None
    is_extended: bool = False
    clock: times.Nanos = times.Nanos(0)  # noqa: RUF009 - an int
    since: times.Nanos = times.Nanos(0)  # noqa: RUF009 - an int
    fills_whole: bool = True
    latency: int = 0
    assets: Mapping[str, ticket.Asset] = field(default_factory=dict)

    def asset(self, symbol: str) -> ticket.Asset:
        """Return what may be done with a symbol."""
        return self.assets.get(symbol) or ticket.Asset(symbol=symbol)


@dataclass(frozen=True, slots=True)
class Step:
    """A desk after something happened, and what happened, in order."""

    desk: Desk
    updates: tuple[book.Update, ...] = ()
    activities: tuple[book.Activity, ...] = ()

    def then(self, after: "Step") -> "Step":
        """Return this step followed by one that began where it ended."""
        return Step(after.desk, (*self.updates, *after.updates), (*self.activities, *after.activities))

    def update(
        self, event: str, order: book.Order, *, at: times.Nanos, execution: book.Execution | None = None
    ) -> "Step":
        """Record an order's new state and the event that tells of it, if one does."""
        account, counts = self.desk.account, self.desk.counts
        number = counts.events + (1 if event else 0)
        if execution is not None:
            execution_id = execution.id
        elif event in {"", "pending_new", "accepted", "pending_cancel", "pending_replace"}:
            execution_id = ""
        else:
            execution_id = book.identity(account.id, "event", number)
        # A known order keeps its place: orders fill in the order of their acceptance.
        open_orders = {**self.desk.open_orders, order.id: order}
        if order.status not in book.OPEN:
            del open_orders[order.id]
        message = book.Update(
            event=event,
            event_id=book.event_id(at, number) if event else "",
            order=order,
            at=at,
            execution_id=execution_id,
            execution=execution,
        )
        desk = dataclasses.replace(
            self.desk, open_orders=open_orders, counts=dataclasses.replace(counts, events=number)
        )
        return Step(desk, (*self.updates, message), self.activities)

    def activity(self, kind: str, at: times.Nanos, fields: Mapping[str, str]) -> "Step":
        """Record a row of the account's history."""
        counts, account = self.desk.counts, self.desk.account
        number = counts.activities + 1
        row = book.Activity(
            id=f"{sessions.stamp(at)}::{book.identity(account.id, 'activity', number)}",
            account=account.name,
            sequence=number,
            type=kind,
            at=at,
            fields=tuple(fields.items()),
        )
        desk = dataclasses.replace(self.desk, counts=dataclasses.replace(counts, activities=number))
        return Step(desk, self.updates, (*self.activities, row))

    def with_account(self, account: accounts.Account) -> "Step":
        """Replace the account's state."""
        return Step(dataclasses.replace(self.desk, account=account), self.updates, self.activities)
