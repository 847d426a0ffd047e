"""A gateway without its API server and its own initiative: real parts that stop at doors until a trace lets them on."""

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any

import asyncpg
import redis.asyncio as redis_asyncio

from support import gateway
from support.exactly_once import wired
from tradeplane_engine.domain import bars, numbers, times
from tradeplane_engine.venue import profile
from tradeplane_workers.gateway import (
    bookkeeper,
    books,
    breaker,
    cancels,
    core,
    decisions,
    door,
    epoch,
    machine,
    manifests,
    metrics,
    outcomes,
    prices,
    reconcile,
    sender,
    state,
)
from tradeplane_workers.stores import database, journal

ACTOR: contextvars.ContextVar["Process | None"] = contextvars.ContextVar("actor", default=None)
"""The process whose code runs."""

HISTORY = [0]
"""How often the database failed over."""


class Clock:
    """The machine's clocks, which stand still until a trace moves them."""

    def __init__(self) -> None:
        self.boot_s = 100.0

    def __call__(self) -> machine.Instant:
        """Return both clocks."""
        return machine.Instant(self.boot_s, 1_000_000 + self.boot_s)


class Door:
    """A place in a program; whoever comes waits until it is opened once, or is free for good."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self.is_free = False
        self._opened = asyncio.Event()

    def open(self) -> None:
        """Let the one who waits, or comes next, pass."""
        self._opened.set()

    def free(self) -> None:
        """Let everybody pass from now on."""
        self.is_free = True
        self._opened.set()

    async def pass_through(self) -> None:
        """Wait to be let through."""
        if self.is_free:
            return
        self.waiting.set()
        await self._opened.wait()
        self.waiting.clear()
        if not self.is_free:
            self._opened.clear()


class Process:
    """One gateway's parts; it stops at two doors: ``in_transaction`` before a commit, ``connected`` before a byte."""

    def __init__(
        self, name: str, pool: asyncpg.Pool, *, ledger: journal.Ledger, broker: wired.WiredBroker, clock: Clock
    ) -> None:
        self.name = name
        self.pool = pool
        self.in_transaction, self.connected = Door(), Door()
        self.has_read = asyncio.Event()  # of the epoch's row
        self.has_opened = asyncio.Event()  # the ledger, as the leader
        self.is_paused = False
        self.deciding: asyncio.Task[Any] | None = None
        self.leadership = epoch.Leadership(holder=name, clock=clock)
        guard = state.Guard(clock=clock, has_epoch=self.leadership.is_valid, window_s=1e9)
        self.guard = guard
        guard.inputs.environment, guard.inputs.is_hearing = "", True
        guard.inputs.strategies = {gateway.UID: state.Strategy(gateway.UID, "momentum")}
        switch = {"metadata": {"uid": "s", "resourceVersion": "5"}, "data": {"trading": "enabled"}}
        guard.switch.finish(guard.switch.begin(clock()), switch)
        shared = core.Core(pool, ledger.id, guard, self.leadership, metrics.Metrics())
        known = manifests.Known(
            environment=manifests.Environment("demo", "e", {"mode": "paper", "riskPolicyRef": "prudent"}, False),  # noqa: FBT003 - a literal
            policies={"prudent": manifests.policy({"metadata": {"name": "prudent"}, "spec": gateway.POLICY})},
        )
        self.canceller = cancels.Canceller(shared, broker)
        self.keeper = bookkeeper.Bookkeeper(shared, unwanted=self.canceller.bell)
        self.reconciler = reconcile.Reconciler(shared, broker, books=self.keeper)
        self.ledger = ledger
        self.history = HISTORY[0]
        self.outcomes = outcomes.Outcomes(shared, broker, books=self.keeper)
        circuit = breaker.Breaker(broker.clock, clock=clock, bell=guard.bell)
        self.sender = sender.Sender(shared, broker, results=self.outcomes, known=known, circuit=circuit)
        read = prices.Prices(redis_asyncio.Redis(), clock=clock)  # never asked: the bars are given
        read.add(_slice(times.Nanos(broker.now - times.HOUR)), read_s=0.0)
        read.add(_slice(broker.now), read_s=0.0)
        fills = books.Fills(broker.cash, profile.named("realistic"))
        self.desk = decisions.Desk(shared, fills, known=known, reference=read, entrance=door.Door(broker, clock=clock))
        self._tasks: list[asyncio.Task[Any]] = []

    async def lead(self) -> None:
        """Take the epoch, open the ledger, and send what is released, for ever."""
        taken = await self.leadership.acquire(self.pool)
        async with database.transaction(self.pool) as connection:
            await reconcile.must_be_full(connection, self.ledger, token=taken.token)
        self.has_opened.set()
        await self.sender.run()

    @property
    def has_ended(self) -> bool:
        """Whether it met what a process ends for."""
        ended = (task for task in self._tasks if task.done() and not task.cancelled())
        return any(isinstance(task.exception(), database.OtherHistory) for task in ended)

    def is_done_with_it(self) -> bool:
        """Whether the order in its hand was dealt with, well or badly."""
        return self.sender.is_idle or self.in_transaction.waiting.is_set() or self.has_ended

    @property
    def token(self) -> str:
        """The token of the epoch that this process took."""
        return "" if self.leadership.epoch is None else self.leadership.epoch.token

    def start(self, program: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run something as this process."""
        token = ACTOR.set(self)
        task = asyncio.create_task(program)
        ACTOR.reset(token)
        self._tasks.append(task)
        return task

    async def kill(self) -> None:
        """End it as SIGKILL would: nothing is said to anybody."""
        self.pool.terminate()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.outcomes.aclose()


async def opened(name: str, url: str, *, broker: wired.WiredBroker, clock: Clock) -> Process:
    """Connect a new process to the ledger."""
    pool = await database.connect(url)
    async with database.transaction(pool) as connection:
        ledger = await journal.open_ledger(connection, environment="demo", mode="paper", venue_profile="realistic")
    return Process(name, pool, ledger=ledger, broker=broker, clock=clock)


def _slice(end: times.Nanos) -> bars.BarSlice:
    price = numbers.price("100")
    return bars.BarSlice(
        "1d",
        end,
        {
            symbol: bars.Bar(symbol, times.Nanos(end - times.DAY), end, end, price, price, price, price, 1_000_000)
            for symbol in ("AAPL", "IBM")
        },
    )
