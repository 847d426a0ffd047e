"""Two real gateways, a real ledger and a broker: what a trace acts on, and how everything comes to rest after it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from support import gateway
from support.exactly_once import process, wired, world
from tradeplane_engine.domain import numbers, times
from tradeplane_workers import messages
from tradeplane_workers.gateway import epoch, fence
from tradeplane_workers.stores import decisions, epochs, schema
from tradeplane_workers.stores import orders as orders_store

LONG_S = 4.0
_SETTLE_S = 5.0


class Stage:
    """What the steps of a trace act on.

    Attributes
    ----------
    violated : what was violated so far, in the words of the model
    """

    def __init__(self, url: str, connection: asyncpg.Connection, *, broker: wired.WiredBroker, second: str) -> None:
        self.violated: list[str] = []
        self._url = url
        self._connection = connection
        self._broker = broker
        self._second = second
        self._clock = process.Clock()
        self._processes: dict[str, process.Process] = {}
        self._token = ""
        self._names: list[str] = []
        self._before: Any = None

    async def open(self) -> None:
        """Make the ledger, and start both gateways as standbys."""
        await schema.upgrade(self._url)
        for name in "AB":
            await self._start(name)
        granted = await fence.take(self._processes["A"].pool, gateway.config())
        self._token = granted.token

    async def close(self) -> None:
        """Kill both."""
        for each in self._processes.values():
            await each.kill()

    async def settle(self) -> None:
        """Let everything happen that happens by itself; what is not settled then never is."""
        broker = self._broker
        self._deliver()
        broker.may_look.set()
        there = [kept for kept in broker.kept.values() if kept.report.is_open or kept.report.filled]
        if self._second == "attempt" and len(there) > 1:
            self.violated.append(world.DOUBLED)
        leader = await self._leader()
        if leader is None or not await self._until(lambda: self._is_settled(leader), timeout_s=_SETTLE_S):
            self.violated.append(world.NEVER_SETTLES)
        if len(set(broker.left)) < len(broker.left):
            self.violated.append(world.LEAVES_TWICE)
        booked = await self._connection.fetchval("select coalesce(sum(quantity), 0)::bigint from fills")
        if booked > sum(kept.report.filled for kept in broker.kept.values()):
            self.violated.append(world.LEDGER_ABOVE)

    async def _leader(self) -> process.Process | None:
        await self._restart_those(lambda each: each.history != process.HISTORY[0])
        awake = [each for each in self._processes.values() if not each.is_paused]
        for each in awake:
            each.in_transaction.free()
            each.connected.free()
        row = await self._epoch()
        for each in awake:
            if row is not None and each.token == row["token"]:
                each.start(each.leadership.keep(each.pool, each.guard))
                return each
        successor = next(each for each in awake if not each.token)
        if not await self._take(successor.name):
            return None
        successor.start(successor.leadership.keep(successor.pool, successor.guard))
        return successor

    async def _is_settled(self, leader: process.Process) -> bool:
        self._deliver()
        await leader.reconciler.run()
        await leader.canceller._ask()
        rows = await self._connection.fetch("select * from intents order by sequence")
        # The strategy posts its decisions again, as one does that got no answer.
        leader.sender.enqueue(map(decisions.intent, rows), since_s=float("inf"))
        status = {row["client_order_id"]: row["status"] for row in rows}
        if {"released", "sending", "unknown"} & set(status.values()):
            return False
        given_up = await self._connection.fetch(
            "select body ->> 'client_order_id' as name from control_events where type = 'not-sent'"
        )
        unwanted = {row["name"] for row in given_up}
        fills = await self._connection.fetch(
            "select client_order_id as name, sum(quantity)::bigint as booked from fills group by 1"
        )
        booked = {row["name"]: row["booked"] for row in fills}
        return all(
            status[report.client_order_id] == "acknowledged"
            and booked.get(report.client_order_id, 0) >= report.filled
            and not (report.client_order_id in unwanted and report.is_open)
            for report in (kept.report for kept in self._broker.kept.values())
        )

    def _deliver(self) -> None:
        """Let all orders arrive, answer none, and show all."""
        for message in self._broker.flight:
            if not message.has_arrived:
                self._broker.arrive(message)
            message.writer.close()
        self._broker.hidden.clear()

    async def _start(self, name: str) -> None:
        made = await process.opened(name, self._url, broker=self._broker, clock=self._clock)
        self._processes[name] = made

    async def _epoch(self) -> Any:
        return await self._connection.fetchrow("select * from epochs where scope = $1", epochs.GATEWAY)

    async def _must_lead(self, actor: process.Process, violated: str) -> None:
        row = await self._epoch()
        if row is None or row["token"] != actor.token:
            self.violated.append(violated)

    def _decision(self, number: str) -> messages.DecisionMessage:
        ends = {"1": times.Nanos(self._broker.now - times.HOUR), "2": self._broker.now}
        symbol = "IBM" if self._second == "other" and number == "2" else "AAPL"
        return messages.DecisionMessage(
            uid=gateway.UID,
            generation=1,
            attempt=1,
            token=self._token,
            trigger=times.text(ends[number]),
            outcome="traded",
            intents=(messages.IntentMessage(symbol=symbol, side="buy", quantity=str(world.SHARES)),),
        )

    async def _is_working(self) -> bool:
        exposures = await orders_store.exposures(self._connection)
        return sum(each.position + each.working_buy for each in exposures) >= numbers.quantity(str(world.SHARES))

    async def _intent(self, number: str) -> decisions.Intent | None:
        rows = await self._connection.fetch("select * from intents order by sequence")
        return decisions.intent(rows[int(number) - 1]) if len(rows) >= int(number) else None

    async def _status(self, number: str) -> str:
        intent = await self._intent(number)
        return "" if intent is None else intent.status

    async def _is_not(self, number: str, status: str) -> bool:
        return await self._status(number) != status

    async def _nobody_in_transaction(self) -> bool:
        count = await self._connection.fetchval(
            "select count(*) from pg_stat_activity where datname = current_database() and state = 'idle in transaction'"
        )
        return count == 0

    def _message(self, number: str) -> wired.Message:
        name = self._names[int(number) - 1]
        return next(each for each in reversed(self._broker.flight) if each.body["client_order_id"] == name)

    async def _until(self, holds: Callable[[], bool | Awaitable[bool]], *, timeout_s: float = LONG_S) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    answer = holds()
                    if answer if isinstance(answer, bool) else await answer:
                        return True
                    await asyncio.sleep(0.01)
        return False

    async def _take(self, name: str) -> bool:
        actor = self._processes[name]
        row = await self._epoch()
        actor.has_read.clear()
        task = actor.start(actor.lead())
        if row is not None and row["holder"] != epoch.FREE:
            await self._until(actor.has_read.is_set)
            self._clock.boot_s += epoch.TAKEOVER_S
        if not await self._until(actor.has_opened.is_set):
            task.cancel()
            return False
        self._before = row
        return True

    async def _restart(self, name: str) -> None:
        await self._processes[name].kill()
        await self._start(name)

    async def _restart_those(self, must_end: Callable[[process.Process], bool]) -> None:
        for name, each in tuple(self._processes.items()):
            if must_end(each):
                await self._restart(name)
