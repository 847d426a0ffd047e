"""The venue at work: one clock, one market, one desk per account; every change is stored before it is told.

All methods run on one event loop and none of them awaits between deciding and storing, so commands and session events
happen one after the other.
"""

import asyncio
import bisect
import dataclasses
import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tradeplane_engine.domain import numbers, times
from tradeplane_engine.venue import changes, profile
from tradeplane_simulator import account as accounts
from tradeplane_simulator import assets as asset_file
from tradeplane_simulator import (
    book,
    commands,
    dataset,
    desk,
    errors,
    exchange,
    metrics,
    sessions,
    store,
    waiting,
    working,
)

# Commands that arrive while the clock stands still get distinct times, because order listings page on them.
_TICK = 1_000


class Audience(Protocol):
    """Whoever listens to the streams."""

    def trade_updates(self, account: str, updates: Sequence[book.Update]) -> None:
        """Send an account's updates."""
        ...

    async def market_data(self, after: times.Nanos, until: times.Nanos) -> None:
        """Send what became known after an instant, until another one, that included."""
        ...

    async def flush(self) -> None:
        """Return when everything sent so far is written to the sockets."""
        ...


@dataclass(frozen=True, slots=True)
class Setup:
    """What a venue is made of.

    assets : by symbol, where not everything may be done with one
    latency : how long cancels and replacements take, ns
    partials : how often a bar fills a part of an order alone; None for never
    """

    data: dataset.Dataset
    profile: profile.VenueProfile
    state: store.Store
    audience: Audience
    assets: Mapping[str, asset_file.Entry] = field(default_factory=dict)
    latency: int = 0
    partials: working.Partials | None = None


class Simulator:
    """The venue.

    Parameters
    ----------
    setup : dataset, profile, state file and audience
    clock : where a new state file starts; an existing one goes on where it stood

    Attributes
    ----------
    changed : set once anything happens after it was looked at
    """

    def __init__(self, setup: Setup, *, clock: times.Nanos) -> None:
        self.data = setup.data
        self.profile = setup.profile
        self.state = setup.state
        self.assets = setup.assets
        self.latency = setup.latency
        self._fills_whole = setup.partials is None and setup.profile.participation is None
        self._tickets = {symbol: entry.asset(symbol) for symbol, entry in setup.assets.items()}
        self.changed = asyncio.Event()
        self._audience = setup.audience
        self._moving = asyncio.Lock()
        # What orders have filled by now can be found again only by the same draws.
        drawn = setup.partials
        terms = (
            self.profile.name if drawn is None else f"{self.profile.name}, {drawn.share} in parts, seed {drawn.seed}"
        )
        saved = self.state.venue()
        if saved is None:
            saved = store.Venue(dataset=self.data.digest, profile=terms, clock=clock, command=clock)
            self.state.create(saved)
        for name, expected, found in (
            ("dataset", saved.dataset, self.data.digest),
            ("venue profile", saved.profile, terms),
        ):
            if expected != found:
                raise errors.StateRefused(f"state file: it was made with {name} {expected}, got {found}")
        self.clock = saved.clock
        self._command = saved.command
        self.desks = self.state.desks()
        self._waiting = waiting.Waiting(self.data, self.state, self.profile, setup.partials)
        self._due: list[times.Nanos] = []  # when orders are too old, or a request of theirs takes effect
        self._market = self._look(self.clock)
        days = self.data.sessions.days
        self._instants = sorted(
            {instant for day in days for instant in (day.open, day.close)}
            | {instant for day in days for instant in self._edges(day)}
            | {bar.end for rows in self.data.series.values() for bar in rows}
            | set(self.data.instants)
        )
        self._waiting.resume(self.desks.values(), clock=self.clock)
        for account in self.desks.values():
            for order in account.open_orders.values():
                self._remember(order)
        metrics.CLOCK.set(self.clock / times.SECOND)

    @property
    def market(self) -> desk.Market:
        """What is known and open now."""
        return self._market

    @property
    def next_event(self) -> times.Nanos | None:
        """The next open, close, start of a minute, publication of bars or end of an old order."""
        while self._due and self._due[0] <= self.clock:
            heapq.heappop(self._due)
        place = bisect.bisect_right(self._instants, self.clock)
        found = [self._instants[place]] if place < len(self._instants) else []
        return times.Nanos(min(found + self._due[:1])) if found or self._due else None

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

    def submit(self, account: str, request: book.Request) -> list[book.Order]:
        """Take an order and return it with its legs, as they were accepted; raises Refused."""
        if request.client_order_id and self.state.order(account, client_order_id=request.client_order_id):
            raise errors.Refused(errors.malformed("client_order_id must be unique"))
        step = commands.submit(self.desks[account], request, self._now())
        if isinstance(step, errors.Refusal):
            raise errors.Refused(step)
        order = step.updates[0].order
        self._keep([self._begun(step, order)])
        return [order, *(update.order for update in step.updates if update.order.parent == order.id)]

    def replace(self, account: str, order_id: str, change: commands.Change) -> book.Order:
        """Put another order in the place of one and return it; raises Refused."""
        order = self._found(account, order_id)
        taken = change.client_order_id
        used = {taken} if taken and self.state.order(account, client_order_id=taken) else set()
        step = commands.replace(self.desks[account], order, change, self._now(), used=used)
        if isinstance(step, errors.Refusal):
            raise errors.Refused(step)
        new = next(update.order for update in step.updates if update.order.replaces == order.id)
        if new.is_coming:
            self._remember(new)
            self._keep([step])
        else:
            self._keep([self._begun(step, new)])
        return new

    def cancel(self, account: str, order_id: str) -> None:
        """End an open order and its group; a canceled one stays canceled; raises Refused."""
        order = self._found(account, order_id)
        refusal = self._uncancelable(order)
        if refusal is not None:
            raise errors.Refused(refusal)
        if order.status in book.OPEN and order.status is not book.Status.PENDING_CANCEL:
            self._keep([self._cancelled(desk.Step(self.desks[account]), order, at=self._now().at)])

    def cancel_all(self, account: str) -> list[tuple[str, errors.Refusal | None]]:
        """End every open order of an account at one instant; returns their ids, oldest first, and why not."""
        at = self._now().at
        step = desk.Step(self.desks[account])
        found = [(order.id, self._uncancelable(order)) for order in step.desk.open_orders.values()]
        for order_id, refusal in found:
            order = step.desk.open_orders.get(order_id)
            if order is not None and refusal is None and order.status is not book.Status.PENDING_CANCEL:
                step = self._cancelled(step, order, at=at)
        if step.updates:
            self._keep([step])
        return found

    def _uncancelable(self, order: book.Order) -> errors.Refusal | None:
        """Return why an order cannot be cancelled; one that is being replaced cannot, nor can its replacement."""
        states = {one.status for one in self.desks[order.account].group(order)}
        replaced = book.Status.PENDING_REPLACE in states
        return changes.cancel_refusal((book.Status.PENDING_REPLACE if replaced else order.status).value)

    def _cancelled(self, step: desk.Step, order: book.Order, *, at: times.Nanos) -> desk.Step:
        due_at = times.Nanos(self.clock + self.latency) if self.latency else None
        step = step.then(commands.cancel(step.desk, order, at=at, due_at=due_at))
        for update in step.updates:
            self._remember(update.order)
        return step

    def configure(self, account: str, configuration: accounts.Configuration) -> None:
        """Change what an account's user has set."""
        found = self.desks[account]
        self._keep([desk.Step(found).with_account(dataclasses.replace(found.account, configuration=configuration))])

    def _found(self, account: str, order_id: str) -> book.Order:
        order = self.state.order(account, order_id=order_id)
        if order is None:
            raise errors.Refused(errors.not_found(f"order not found for {order_id}"))
        return order

    async def advance(self, to: times.Nanos) -> None:
        """Move the clock through every event up to ``to``; an instant that is past changes nothing."""
        async with self._moving:
            while (instant := self.next_event) is not None and instant <= to:
                before = self.clock
                self._happen(instant)
                await self._audience.market_data(before, instant)
                await self._audience.flush()
            if to > self.clock:
                before = self.clock
                self._keep([], market=self._look(to))
                await self._audience.market_data(before, to)
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
        if market.is_extended:
            return self._waited(exchange.open_extended(found, market), market)
        trades = bool(market.opens) and not self.data.is_daily
        return self._waited(exchange.trade(found, market) if trades else desk.Step(found), market)

    def _waited(self, step: desk.Step, market: desk.Market) -> desk.Step:
        """Add what became, by now, of orders that wait for a price or a time."""
        return self._waiting.advance(step, at=market.at)

    def _begun(self, step: desk.Step, order: book.Order) -> desk.Step:
        """Add what becomes at once of an order that waits."""
        self._remember(order)
        return self._waiting.begin(step, order, clock=self.clock)

    def _remember(self, order: book.Order) -> None:
        if order.time_in_force == "gtc":
            heapq.heappush(self._due, order.expires_at)
        if order.due_at is not None:
            heapq.heappush(self._due, order.due_at)

    def _edges(self, day: sessions.Session) -> tuple[times.Nanos, ...]:
        """Return when a day's extended hours begin and end, where the dataset has prices in them."""
        hours = sessions.extended(day)
        return () if self.data.is_daily else (hours.start, hours.end)

    def _now(self) -> desk.Market:
        self._command = times.Nanos(max(self.clock, self._command + _TICK))
        return dataclasses.replace(self._market, at=self._command, latency=self.latency)

    def _keep(self, steps: Iterable[desk.Step], *, market: desk.Market | None = None) -> None:
        # Stored first: memory never knows more than the file, so a failed write leaves the event to be tried again.
        steps = tuple(steps)
        try:
            self._commit(steps, market)
        except BaseException:
            # They have told what is lost now.
            self._waiting.resume(self.desks.values(), clock=self.clock)
            raise
        if market is not None:
            self._market, self.clock = market, market.at
            metrics.CLOCK.set(self.clock / times.SECOND)
        for step in steps:
            name = step.desk.account.name
            self.desks[name] = step.desk
            for update in step.updates:
                if update.event:
                    metrics.UPDATES.labels(update.event).inc()
            self._waiting.forget(step)
            self._audience.trade_updates(name, [update for update in step.updates if update.event])
        self.changed.set()
        self.changed = asyncio.Event()

    def _commit(self, steps: tuple[desk.Step, ...], market: desk.Market | None) -> None:
        after = {step.desk.account.name: step.desk for step in steps}
        if market is not None:  # which changes what every account is worth
            after = self.desks | after
        seen = market or self._market
        worth = {name: accounts.value(found.account, seen.prices).equity for name, found in after.items()}
        self.state.commit(steps, clock=seen.clock, command=self._command, worth=worth)

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
        hours = None if today is None else sessions.extended(today)
        return desk.Market(
            at=at,
            session=session,
            is_open=is_open,
            prices=prices,
            opens=opens,
            profile=self.profile,
            today=today,
            is_extended=not is_open and hours is not None and hours.start <= at < hours.end,
            clock=at,
            assets=self._tickets,
            fills_whole=self._fills_whole,
            since=session.open if is_open and session is not None and self.data.is_daily else at,
        )
