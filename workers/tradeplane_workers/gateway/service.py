"""The gateway as a whole: opens things in their order, runs the loops, and ends when it must not go on.

1. From the first moment: the HTTP interface, the switch, the strategies, the policies.
2. When the Environment and its Secret are there: the broker, and the sweep, which needs nothing else.
3. When the database is there: schema, ledger, epoch; then the stream, reconciliation, and at last the sender.
"""

import asyncio
import math
from collections.abc import Coroutine
from typing import Any, Protocol

import asyncpg
import redis.asyncio as redis_asyncio
import structlog

from tradeplane_engine.domain import numbers, times
from tradeplane_engine.venue import profile
from tradeplane_workers import artifacts, messages
from tradeplane_workers.brokers import alpaca, port
from tradeplane_workers.gateway import (
    bookkeeper,
    books,
    breaker,
    cancels,
    core,
    decisions,
    door,
    epoch,
    fence,
    heads,
    health,
    machine,
    manifests,
    metrics,
    outcomes,
    prices,
    reconcile,
    sender,
    state,
    status,
    stream,
    sweep,
    switch_reader,
    views,
)
from tradeplane_workers.gateway import settings as gateway_settings
from tradeplane_workers.stores import database, epochs, journal, schema
from tradeplane_workers.stores import decisions as decisions_store
from tradeplane_workers.stores import orders as orders_store

_log = structlog.get_logger(__name__)
_RETRY_S = 0.5
_STOP_SWEEP_S = 20.0
_DEFAULT_WINDOW_S = 5.0


class Connect(Protocol):
    """Makes a broker."""

    def __call__(self, trading_url: str, stream_url: str, *, credentials: alpaca.Credentials) -> port.Broker:
        """Return the broker of one account."""
        ...


class Gateway:
    """One gateway process.

    Parameters
    ----------
    settings : addresses and names
    cluster : the API server
    clock : the machine's clocks
    connect : makes the broker from the Environment's URLs and the key
    """

    def __init__(
        self,
        settings: gateway_settings.Settings,
        cluster: manifests.Cluster,
        *,
        clock: machine.Clock = machine.now,
        connect: Connect = alpaca.Alpaca,
    ) -> None:
        self._connect = connect
        self.metrics = metrics.Metrics()
        self.settings = settings
        self.leadership = epoch.Leadership(holder=settings.holder, clock=clock)
        self.guard = state.Guard(clock=clock, has_epoch=self.leadership.is_valid, window_s=_DEFAULT_WINDOW_S)
        self.health = health.Health(self.guard, self.leadership)
        self.ledger_bell = machine.Bell()
        self._cluster = cluster
        self._reader = manifests.Reader(cluster, settings.environment, guard=self.guard)
        self.views = views.Views(settings.environment, self.guard, self._reader.known)
        self._switch = switch_reader.SwitchReader(cluster, self.guard, counters=self.metrics)
        self._redis = redis_asyncio.Redis.from_url(settings.redis_url.get_secret_value())
        self.prices = prices.Prices(self._redis, clock=clock)
        self._pool: asyncpg.Pool | None = None
        self._desk: decisions.Desk | None = None
        self._sender: sender.Sender | None = None
        self._canceller: cancels.Canceller | None = None
        self._outcomes: outcomes.Outcomes | None = None
        self._broker: port.Broker | None = None

    @property
    def pool(self) -> asyncpg.Pool:
        """The ledger's connections; raises NotReady before it is open."""
        if self._pool is None:
            raise decisions.NotReady("the ledger is not open yet")
        return self._pool

    async def fence(self, config: messages.StrategyConfig) -> messages.FenceGranted:
        """Grant a strategy's fence."""
        if not self.leadership.is_valid():
            raise decisions.NotReady("not leading")
        granted = await fence.take(self.pool, config)
        self.ledger_bell.ring()
        return granted

    async def decide(self, message: messages.DecisionMessage, *, dry_run: bool = False) -> messages.DecisionReceipt:
        """Record a decision, then send what was released; ``dry_run`` only says what would be."""
        if self._desk is None or self._sender is None:
            raise decisions.NotReady("the gateway is starting")
        with self.metrics.decision_seconds.time():
            receipt, intents = await self._desk.decide(message, dry_run=dry_run)
        if receipt.dry_run:
            return receipt
        if not receipt.repeated:
            self.metrics.decisions.labels(message.outcome).inc()
            for verdict in receipt.verdicts:
                self.metrics.intents.labels(verdict.reason or "released").inc()
        if any(not verdict.reason for verdict in receipt.verdicts):
            trigger = times.instant(message.trigger, field="trigger")
            channel = await self._desk.channel_of(message)
            # What answers an order's event is as fresh as that, however old the bar is that it follows.
            since_s = math.inf if message.part else self.prices.read_at(trigger, channel=channel)
            self._sender.enqueue(intents, since_s=since_s)
        if message.cancels and self._canceller is not None:
            self._canceller.bell.ring()
        self.ledger_bell.ring()
        return receipt

    async def cancel(self, request: messages.CancelRequest) -> messages.CancelReceipt:
        """Record that a person wants orders ended, and ask for it until they have; raises ValueRefused."""
        if self._canceller is None:
            raise decisions.NotReady("the gateway is starting")
        receipt = await self._canceller.want(request)
        self.ledger_bell.ring()
        return receipt

    async def book(self, name: str, token: str) -> messages.Book:
        """Return what a strategy starts a decision from; raises Fenced."""
        if not self.guard.inputs.is_hearing:
            raise decisions.NotReady("not reconciled with the broker yet")
        async with database.transaction(self.pool) as connection:
            uid = await _holder(connection, name, token)
            last = await decisions_store.last(connection, uid)
            exposures = await orders_store.exposures(connection)
        return messages.Book(
            last_trigger="" if last is None else times.text(last.trigger),
            symbols={
                each.symbol: messages.SymbolBook(
                    position=numbers.quantity_text(each.position),
                    working_buy=numbers.quantity_text(each.working_buy),
                    working_sell=numbers.quantity_text(each.working_sell),
                )
                for each in exposures
                if each.sub_ledger == uid
            },
        )

    async def order_events(self, name: str, token: str, *, after: int) -> messages.OrderEvents:
        """Return what happened to a strategy's orders behind a place in the sequence; raises Fenced."""
        if self._desk is None or not self.guard.inputs.is_hearing:
            raise decisions.NotReady("not reconciled with the broker yet")
        async with database.transaction(self.pool) as connection:
            uid = await _holder(connection, name, token)
        return await self._desk.order_events(uid, after=after)

    def refresh_gauges(self) -> None:
        """Set the gauges that have no event of their own."""
        current = self.guard.state()
        view = self.guard.switch.view(self.guard.clock())
        lead = self.leadership.epoch
        self.metrics.enabled.set(1 if not current.causes else 0)
        self.metrics.switch_age.set(float("nan") if view.age_s is None else view.age_s)
        self.metrics.epoch.set(lead.number if lead is not None and self.leadership.is_valid() else 0)
        self.metrics.unknown.set(0 if self._outcomes is None else len(self._outcomes.unknown))

    async def run(self) -> None:
        """Run until cancelled; raises Deposed when another gateway leads."""
        async with asyncio.TaskGroup() as group:
            for loop in (
                self._switch.poll(),
                self._switch.watch(),
                self._reader.follow_strategies(),
                self.prices.follow(),
                self._open(group),
            ):
                group.create_task(loop)

    async def stop(self) -> None:
        """End in order: sweep if the Environment goes away, else hand over."""
        if self._broker is not None and await self._reader.is_being_deleted():
            self.guard.inputs.environment = "the Environment is being deleted"
            await self._last_sweep(self._broker)
        if self._pool is not None:
            await self.leadership.release(self._pool)
        if self._outcomes is not None:
            await self._outcomes.aclose()
        for closing in (self._broker.aclose() if self._broker else None, self._redis.aclose()):
            if closing is not None:
                await closing
        if self._pool is not None:
            self._pool.terminate()

    async def _last_sweep(self, broker: port.Broker) -> None:
        try:
            async with asyncio.timeout(_STOP_SWEEP_S):
                while True:
                    await broker.cancel_all()
                    if not await broker.orders(status="open"):
                        return
                    await asyncio.sleep(_RETRY_S)
        except (TimeoutError, port.BrokerError) as error:
            _log.error("last sweep incomplete", error=str(error))

    async def _open(self, group: asyncio.TaskGroup) -> None:
        environment = await self._reader.first_environment()
        group.create_task(self._reader.follow_policies())
        broker = await self._open_broker(environment)
        self._broker = broker
        sweeper = sweep.Sweeper(
            broker,
            self.guard,
            around=sweep.Surroundings(unknown=self._unknown, last_order=self._last_order),
            counters=self.metrics,
        )
        self.views.sweeper = sweeper
        group.create_task(sweeper.run())
        pool = await self._open_database()
        self._pool = pool
        self.health.has_ledger = True
        lead = await self.leadership.acquire(pool)
        group.create_task(self.leadership.keep(pool, self.guard))
        ledger, is_foreign_history = await self._open_ledger(pool, environment, lead)
        shared = core.Core(pool, ledger.id, self.guard, self.leadership, self.metrics)
        await self._start(group, shared, broker, sweeper=sweeper, full=is_foreign_history)

    async def _start(
        self, group: asyncio.TaskGroup, shared: core.Core, broker: port.Broker, *, sweeper: sweep.Sweeper, full: bool
    ) -> None:
        self._canceller = cancels.Canceller(shared, broker)
        keeper = bookkeeper.Bookkeeper(shared, unwanted=self._canceller.bell)
        keeper.bell = self.ledger_bell
        reconciler = reconcile.Reconciler(shared, broker, books=keeper)
        listener = stream.Listener(shared, broker, books=keeper, reconciler=reconciler, sweeper=sweeper, full=full)
        self._outcomes = outcomes.Outcomes(shared, broker, books=keeper)
        circuit = breaker.Breaker(broker.clock, clock=self.guard.clock, bell=self.guard.bell)
        self._sender = sender.Sender(shared, broker, results=self._outcomes, known=self._reader.known, circuit=circuit)
        self.views.circuit, self.views.broker = circuit, broker
        self.health.circuit, self.health.reconciler = circuit, reconciler
        self.views.shared, self.views.reconciler = shared, reconciler
        writer = status.StatusWriter(self._cluster, self._reader.known, guard=self.guard, shown=self.views)
        store = artifacts.ArtifactStore(self.settings.artifacts) if self.settings.artifacts else None
        self._run(
            group,
            listener.run(),
            self._sender.run(),
            circuit.run(),
            self._canceller.run(),
            writer.run(),
            heads.Heads(shared, store).run(),
            self._keep_records(shared),
        )
        while not self.guard.inputs.is_hearing:
            await self.guard.bell.wait(self.guard.bell.rings, timeout_s=_RETRY_S)
        fills = await self._read_books(shared.pool, reconciler.starting_cash)
        self._desk = decisions.Desk(
            shared,
            fills,
            known=self._reader.known,
            reference=self.prices,
            entrance=door.Door(broker, clock=self.guard.clock),
        )

    async def _read_books(self, pool: asyncpg.Pool, starting: numbers.Money) -> books.Fills:
        while True:
            found = books.Fills(starting, profile.named(self.settings.venue_profile))
            try:
                async with pool.acquire(timeout=2) as connection:
                    await found.resume(connection)
            except database.FAILURES as error:
                _log.warning("books not readable", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(_RETRY_S)
            else:
                return found

    async def _keep_records(self, shared: core.Core) -> None:
        """Write down what memory learned: the state's changes, the switch's revisions."""
        kept: dict[str, int] = {}
        while True:
            rings = self.guard.bell.rings
            current = self.guard.state()
            try:
                if shared.leadership.is_valid() and not current.is_starting:
                    async with database.transaction(shared.pool) as connection:
                        await decisions.record_state(connection, current)
                        for uid, version in self.guard.switch.highest.items():
                            if kept.get(uid) != version:
                                await journal.saw_switch(connection, uid, version)
                                kept[uid] = version
                    if self._desk is not None:
                        await self._desk.save()
            except database.FAILURES as error:
                kept.clear()
                _log.warning("state not recorded", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(_RETRY_S)
            await self.guard.bell.wait(rings, timeout_s=1.0)

    async def _open_broker(self, environment: manifests.Environment) -> port.Broker:
        described = environment.spec["broker"]
        while True:
            credentials = await self._reader.secret(described["secretRef"])
            if credentials is not None:
                urls = described["urls"]
                return self._connect(urls["trading"], urls["stream"], credentials=credentials)
            await asyncio.sleep(1.0)

    async def _open_database(self) -> asyncpg.Pool:
        url = self.settings.database_url.get_secret_value()
        while True:
            try:
                await schema.upgrade(url)
                return await database.connect(url)
            except database.FAILURES as error:
                _log.warning("ledger not reachable", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(_RETRY_S)

    async def _open_ledger(
        self, pool: asyncpg.Pool, environment: manifests.Environment, lead: epochs.Epoch
    ) -> tuple[journal.Ledger, bool]:
        while True:
            try:
                async with database.transaction(pool) as connection:
                    ledger = await journal.open_ledger(
                        connection,
                        environment=environment.name,
                        mode=environment.mode,
                        venue_profile=self.settings.venue_profile,
                    )
                    is_foreign = await reconcile.must_be_full(connection, ledger, token=lead.token)
                    self.guard.switch.remember(await journal.highest_switch(connection))
                    self.guard.inputs.halts.update(await journal.open_halts(connection))
            except database.FAILURES as error:
                _log.warning("ledger not readable", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(_RETRY_S)
            else:
                _log.info("ledger open", ledger=ledger.id, foreign_history=is_foreign)
                return ledger, is_foreign

    def _unknown(self) -> list[str]:
        if self._outcomes is None or self._sender is None or not self._sender.has_recovered:
            return ["the ledger: nobody has read yet which intents are unknown"]
        return sorted(self._outcomes.unknown)

    def _last_order(self) -> sender.LastOrder | None:
        return None if self._sender is None else self._sender.last_order

    @staticmethod
    def _run(group: asyncio.TaskGroup, *loops: Coroutine[Any, Any, None]) -> None:
        for loop in loops:
            group.create_task(loop)


async def _holder(connection: Any, name: str, token: str) -> str:
    """Return the uid of the Strategy whose fence a token is, and hold the ledger's row; raises Fenced."""
    await journal.hold(connection)
    scope = await connection.fetchval("select scope from epochs where token = $1 and holder = $2", token, name)
    if scope is None or not scope.startswith(epochs.strategy_scope("")):
        raise fence.Fenced("the token is not the holder's")
    uid = str(scope.removeprefix(epochs.strategy_scope("")))
    await fence.check(connection, uid, token)
    return uid
