"""The venue at work: one clock, one market, one desk per account; every change is stored before it is told.

All methods run on one event loop and none of them awaits between deciding and storing, so commands and session events
happen one after the other.
"""

import asyncio
import bisect
import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tradeplane_engine.domain import bars, numbers, times
from tradeplane_engine.venue import profile
from tradeplane_simulator import account as accounts
from tradeplane_simulator import book, dataset, desk, errors, exchange, metrics, sessions, store, working

# Commands that arrive while the clock stands still get distinct times, because order listings page on them.
_TICK = 1_000


class Audience(Protocol):
    """Whoever listens to the streams."""

    def trade_updates(self, account: str, updates: Sequence[book.Update]) -> None:
        """Send an account's updates."""
        ...

    def daily_bars(self, published: Sequence[bars.Bar]) -> None:
        """Send bars that have just become known."""
        ...

    def minute_bars(self, published: Sequence[bars.Bar]) -> None:
        """Send minutes that have just become known."""
        ...

    async def flush(self) -> None:
        """Return when everything sent so far is written to the sockets."""
        ...


@dataclass(frozen=True, slots=True)
class Setup:
    """What a venue is made of."""

    data: dataset.Dataset
    profile: profile.VenueProfile
    state: store.Store
    audience: Audience


class Simulator:
    """The venue.

    Parameters
    ----------
    setup : dataset, profile, state file and audience
    clock : where a new state file starts; an existing one goes on where it stood
    """

    def __init__(self, setup: Setup, *, clock: times.Nanos) -> None:
        self.data = setup.data
        self.profile = setup.profile
        self.state = setup.state
        self._audience = setup.audience
        self._moving = asyncio.Lock()
        saved = self.state.venue()
        if saved is None:
            saved = store.Venue(dataset=self.data.digest, profile=self.profile.name, clock=clock, command=clock)
            self.state.create(saved)
        for name, expected, found in (
            ("dataset", saved.dataset, self.data.digest),
            ("venue profile", saved.profile, self.profile.name),
        ):
            if expected != found:
                raise errors.StateRefused(f"state file: it was made with {name} {expected}, got {found}")
        self.clock = saved.clock
        self._command = saved.command
        self.desks = self.state.desks()
        self._hours = working.hours(self.data.sessions.days)
        self._waiting: dict[str, working.Working] = {}
        self._market = self._look(self.clock)
        self._instants = sorted(
            {instant for day in self.data.sessions.days for instant in (day.open, day.close)} | set(self.data.instants)
        )
        for account in self.desks.values():
            for order in account.open_orders.values():
                self._wait(order)  # what had become of it by now is in the state file
        metrics.CLOCK.set(self.clock / times.SECOND)

    @property
    def market(self) -> desk.Market:
        """What is known and open now."""
        return self._market

    @property
    def next_event(self) -> times.Nanos | None:
        """The next open, close, start of a minute or publication of bars."""
        place = bisect.bisect_right(self._instants, self.clock)
        return times.Nanos(self._instants[place]) if place < len(self._instants) else None

    def open_account(self, name: str, cash: numbers.Money) -> None:
        """Make an account; one that the state file already has stays as it is."""
        if name in self.desks:
            return
        account = accounts.Account(
            name=name,
            id=book.identity("account", name),
            created_at=self.clock,
            cash=cash,
            last_equity=cash,
            settled_at=times.Nanos(0),
        )
        self._keep([desk.Step(desk.Desk(account))])

    def submit(self, account: str, request: book.Request) -> book.Order:
        """Take an order and return it as it was accepted; raises Refused."""
        if request.client_order_id and self.state.order(account, client_order_id=request.client_order_id):
            raise errors.Refused(errors.malformed("client_order_id must be unique"))
        market = self._now()
        step = exchange.submit(self.desks[account], request, market)
        if isinstance(step, errors.Refusal):
            raise errors.Refused(step)
        self._keep([step])
        order = step.updates[0].order
        self._wait(order)
        return order

    def cancel(self, account: str, order_id: str) -> None:
        """End an open order; a canceled one stays canceled; raises Refused."""
        order = self.state.order(account, order_id=order_id)
        if order is None:
            raise errors.Refused(errors.not_found(f"order not found for {order_id}"))
        if order.status is book.Status.CANCELED:
            return
        if order.status not in book.OPEN:
            raise errors.Refused(errors.unprocessable(f'order is already in "{order.status.value}" state'))
        self._keep([exchange.cancel(self.desks[account], order, at=self._now().at)])

    def cancel_all(self, account: str) -> list[str]:
        """End every open order of an account at one instant; returns their ids, oldest first."""
        at = self._now().at
        step = desk.Step(self.desks[account])
        ids = list(step.desk.open_orders)
        for order in tuple(step.desk.open_orders.values()):
            after = exchange.cancel(step.desk, order, at=at)
            step = desk.Step(after.desk, (*step.updates, *after.updates))
        if ids:
            self._keep([step])
        return ids

    async def advance(self, to: times.Nanos) -> None:
        """Move the clock through every event up to ``to``; an instant that is past changes nothing."""
        async with self._moving:
            while (instant := self.next_event) is not None and instant <= to:
                self._happen(instant)
                await self._audience.flush()
            if to > self.clock:
                self._keep([], market=self._look(to))
            await self._audience.flush()

    def state_of_accounts(self) -> dict[str, dict[str, Any]]:
        """Return the counts that a replay driver compares with the ledger's."""
        return {
            name: {
                "executions": found.counts.executions,
                "open_orders": len(found.open_orders),
                "orders": found.counts.orders,
            }
            for name, found in self.desks.items()
        }

    def _happen(self, instant: times.Nanos) -> None:
        market = self._look(instant)
        steps = [self._step(found, market) for found in self.desks.values()]
        self._keep([step for step in steps if step is not None], market=market)
        minutes = () if self.data.is_daily else self.data.published_at(instant)
        if minutes:
            self._audience.minute_bars(minutes)
        days = self.data.days_published_at(instant)
        if days:
            self._audience.daily_bars(days)
        metrics.EVENTS.inc()

    def _step(self, found: desk.Desk, market: desk.Market) -> desk.Step | None:
        """Return what an instant does to an account, or None for nothing."""
        closed = self.data.sessions.last_closed(market.at)
        if closed is not None and closed.close == market.at:
            before = self._waited(desk.Step(found), market)
            return before.then(exchange.close_session(before.desk, market))
        if market.session is not None and market.session.open == market.at:
            actions = self.data.session_actions(market.session)
            return self._waited(exchange.open_session(found, actions, market), market)
        if not found.open_orders:
            return None
        trades = bool(market.opens) and not self.data.is_daily
        return self._waited(exchange.trade(found, market) if trades else desk.Step(found), market)

    def _waited(self, step: desk.Step, market: desk.Market) -> desk.Step:
        """Add what became, by now, of orders that wait for a price or a time."""
        for order in tuple(step.desk.open_orders.values()):
            waiting = self._waiting.get(order.id)
            for happened in [] if waiting is None else waiting.advance(market.at):
                current = step.desk.open_orders[order.id]
                step = step.then(exchange.happen(step.desk, current, happened))
            if order.waits and order.id in step.desk.open_orders and market.at >= order.expires_at:
                step = step.then(exchange.cancel(step.desk, step.desk.open_orders[order.id], at=market.at))
        return step

    def _wait(self, order: book.Order) -> None:
        """Let an order wait, from when it came to now."""
        if order.waits:
            known = self.data.bars_around(order.symbol, order.submitted_at, order.expires_at)
            splits = self.data.splits(order.symbol)
            waiting = working.Working(order, known, splits, self._hours, self.profile)
            waiting.advance(self.clock)
            self._waiting[order.id] = waiting

    def _now(self) -> desk.Market:
        self._command = times.Nanos(max(self.clock, self._command + _TICK))
        return dataclasses.replace(self._market, at=self._command)

    def _keep(self, steps: Iterable[desk.Step], *, market: desk.Market | None = None) -> None:
        # Stored first: memory never knows more than the file, so a failed write leaves the event to be tried again.
        steps = tuple(steps)
        self.state.commit(steps, clock=self.clock if market is None else market.at, command=self._command)
        if market is not None:
            self._market, self.clock = market, market.at
            metrics.CLOCK.set(self.clock / times.SECOND)
        for step in steps:
            name = step.desk.account.name
            self.desks[name] = step.desk
            for update in step.updates:
                if update.order.status not in book.OPEN:
                    self._waiting.pop(update.order.id, None)
                metrics.UPDATES.labels(update.event).inc()
            self._audience.trade_updates(name, step.updates)

    def _look(self, at: times.Nanos) -> desk.Market:
        session = self.data.sessions.upcoming(at)
        is_open = session is not None and session.open <= at
        prices = {
            symbol: quotation.price
            for symbol in self.data.listings(at)
            if (quotation := self.data.quotation(symbol, at)) is not None
        }
        opens = self.data.opens(session, at) if session is not None and is_open else {}
        today = self.data.sessions.on(sessions.new_york_date(at))
        return desk.Market(
            at=at, session=session, is_open=is_open, prices=prices, opens=opens, profile=self.profile, today=today
        )
