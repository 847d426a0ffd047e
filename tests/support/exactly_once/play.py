"""Takes the steps of a trace of the model with real gateways on a real PostgreSQL, and says what was violated.

A step that the real code does not take is left out: where a guard stands, that is its whole effect. After the trace
everything that happens by itself in the end does: messages arrive, look-ups are answered, somebody leads.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from support import gateway
from support.exactly_once import process, removals, wired, world
from tradeplane_engine.domain import numbers, times
from tradeplane_workers import messages
from tradeplane_workers.brokers import wire
from tradeplane_workers.gateway import bookkeeper, epoch, fence, outcomes, reconcile
from tradeplane_workers.stores import database, decisions, epochs, schema
from tradeplane_workers.stores import orders as orders_store

_SOON_S = 4.0
_TAKE_S = 4.0
_SETTLE_S = 5.0
_STEPS: list[tuple[re.Pattern[str], str]] = []


def _takes(pattern: str) -> Callable[[Any], Any]:
    def keep(method: Any) -> Any:
        _STEPS.append((re.compile(pattern), method.__name__))
        return method

    return keep


def hold_at_doors(patch: pytest.MonkeyPatch) -> None:
    """Make every process wait before it commits a decision or a mark, and before its first byte."""
    read, insert, mark = epochs.read, decisions.insert, decisions.mark
    connect, identity = wire.Backend.connect_tcp, database.identity

    async def seen_read(*given: Any) -> Any:
        found = await read(*given)
        actor = process.ACTOR.get()
        if actor is not None:
            actor.has_read.set()
        return found

    async def held_insert(*given: Any, **named: Any) -> None:
        await _at("in_transaction")
        await insert(*given, **named)

    async def held_mark(connection: Any, name: str, status: str, **named: Any) -> bool:
        if status == "sending":
            await _at("in_transaction")
        return await mark(connection, name, status, **named)

    async def held_connect(*given: Any, **named: Any) -> Any:
        found = await connect(*given, **named)
        await _at("connected")
        return found

    async def history(connection: Any) -> tuple[str, int]:
        system, timeline = await identity(connection)
        return system, timeline + process.HISTORY[0]

    patch.setattr(database, "identity", history)
    patch.setattr(process, "HISTORY", [0])
    patch.setattr(epochs, "read", seen_read)
    patch.setattr(decisions, "insert", held_insert)
    patch.setattr(decisions, "mark", held_mark)
    patch.setattr(wire.Backend, "connect_tcp", held_connect)
    patch.setattr(epoch, "_PERIOD_S", 0.05)
    patch.setattr(outcomes, "UNSEEN_AFTER_S", 0.0)
    patch.setattr(reconcile, "_AGAIN_S", 0.01)
    patch.setattr(bookkeeper, "_RETRY_S", 0.05)


async def _at(door: str) -> None:
    actor = process.ACTOR.get()
    if actor is not None:
        await getattr(actor, door).pass_through()


class Play:
    """Two gateways, a ledger and a broker, and what was violated so far."""

    def __init__(self, url: str, connection: asyncpg.Connection, *, broker: wired.WiredBroker, second: str) -> None:
        self.violated: list[str] = []
        self.left_out: list[str] = []
        """Steps that the real code did not take."""
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

    async def trace(self, labels: tuple[str, ...]) -> None:
        """Take these steps."""
        for label in labels:
            for pattern, method in _STEPS:
                found = pattern.fullmatch(label)
                if found is not None:
                    if await getattr(self, method)(*found.groups()) is False:
                        self.left_out.append(label)
                    break
            else:
                raise AssertionError(f"the driver does not know the step {label!r}")

    # Epochs.

    @_takes(r"(\w) takes the epoch")
    async def _take(self, name: str) -> bool:
        actor = self._processes[name]
        row = await self._epoch()
        actor.has_read.clear()
        task = actor.start(actor.lead())
        if row is not None and row["holder"] != epoch.FREE:
            await self._until(actor.has_read.is_set)
            self._clock.boot_s += epoch.TAKEOVER_S
        if not await self._until(actor.has_opened.is_set, timeout_s=_TAKE_S):
            task.cancel()
            return False
        self._before = row
        return True

    @_takes(r"(\w) has recovered")
    async def _recovered(self, name: str) -> bool:
        actor = self._processes[name]
        return await self._until(lambda: actor.sender.has_recovered and not actor.outcomes.unknown)

    @_takes(r"(\w) marks what was being sent as unknown")
    async def _found_unknown(self, name: str) -> bool:
        return await self._until(lambda: self._processes[name].sender.has_recovered)

    @_takes(r"the lease of (\w) ends")
    async def _lapse(self, _: str) -> None:
        self._clock.boot_s += epoch.TAKEOVER_S

    @_takes(r"the server ends \w's transaction")
    async def _ended(self) -> bool:
        return await self._until(self._nobody_in_transaction, timeout_s=_TAKE_S)

    @_takes(r"the database restarts without the epoch's last commit")
    async def _restart(self) -> None:
        await self._connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and state = 'idle in transaction'"
        )
        await self._connection.execute("delete from epochs where scope = $1", epochs.GATEWAY)
        if self._before is not None:
            await self._connection.execute(
                "insert into epochs select * from jsonb_populate_record(null::epochs, $1)",
                json.dumps(dict(self._before), default=str),
            )

    @_takes(r"the database fails over to one without its last commit")
    async def _fail_over(self) -> None:
        """The last commit marked an intent; of it and of the old connections nothing is left."""
        await self._connection.execute("delete from orders where client_order_id = $1", self._names[-1])
        await self._connection.execute(
            "update intents set status = 'released', sent = null where client_order_id = $1", self._names[-1]
        )
        process.HISTORY[0] += 1
        await self._connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        await self._restart_those(lambda each: not each.token)  # a standby reads all the time, and ends at once

    async def _restart_those(self, must_end: Callable[[process.Process], bool]) -> None:
        for name, each in tuple(self._processes.items()):
            if must_end(each):
                await self._kill(name)

    # Deciding and sending.

    @_takes(r"(\w) begins to decide order (\d)")
    async def _begin_decision(self, name: str, number: str) -> bool:
        actor = self._processes[name]
        if self._second == "attempt" and number == "2" and await self._is_working():
            return False  # a strategy orders what it lacks, and it lacks nothing
        actor.deciding = actor.start(actor.desk.decide(self._decision(number)))
        return await self._until(lambda: actor.in_transaction.waiting.is_set() or actor.deciding.done())

    @_takes(r"(\w) commits the decision")
    async def _commit_decision(self, name: str) -> bool:
        actor = self._processes[name]
        assert actor.deciding is not None
        actor.in_transaction.open()
        await asyncio.wait([actor.deciding], timeout=_TAKE_S)
        if not actor.deciding.done() or actor.deciding.exception() is not None:
            return False
        self._names.append(actor.deciding.result().verdicts[0].client_order_id)
        await self._must_lead(actor, world.DEPOSED_COMMITS)
        return True

    @_takes(r"(\w) (?:begins to mark|takes|is handed) order (\d)(?: again)?")
    async def _hand_over(self, name: str, number: str) -> bool:
        actor, intent = self._processes[name], await self._intent(number)
        if intent is None:
            return False
        if not actor.guard.inputs.is_hearing and not actor.has_ended:
            await self._reconcile(name)
        actor.sender.enqueue([replace(intent, status="released")], since_s=float("inf"))
        return await self._until(lambda: actor.in_transaction.waiting.is_set() or actor.connected.waiting.is_set())

    @_takes(r"(\w) commits the mark of order \d")
    async def _commit_mark(self, name: str) -> bool:
        actor = self._processes[name]
        if not actor.in_transaction.waiting.is_set():
            return False
        actor.in_transaction.open()
        return await self._until(actor.connected.waiting.is_set)

    @_takes(r"\w checks order \d")
    async def _check(self) -> None:
        """Without its guard the real code has done this by now."""

    @_takes(r"(\w) sends order (\d)")
    async def _send(self, name: str, number: str) -> bool:
        actor, already = self._processes[name], len(self._broker.left)
        if not actor.connected.waiting.is_set():
            return False
        actor.connected.open()
        if not await self._until(lambda: len(self._broker.left) > already):
            return False
        await self._must_lead(actor, world.LEAVES_UNDER_ANOTHER)
        if self._broker.left.count(self._broker.left[-1]) > 1:
            self.violated.append(world.LEAVES_TWICE)
        if any([await self._status(other) == "sending" for other in "12" if other != number]):
            self.violated.append(world.OVERTAKES)
        return True

    @_takes(r"(\w) gets no answer about order (\d)")
    async def _no_answer(self, name: str, number: str) -> bool:
        self._message(number).writer.close()
        return await self._until(self._processes[name].is_done_with_it)

    @_takes(r"(\w) hears that order (\d) is taken")
    async def _hear(self, name: str, number: str) -> bool:
        self._broker.answer(self._message(number))
        return await self._until(self._processes[name].is_done_with_it)

    # Looking and booking.

    @_takes(r"\w looks for order (\d) in vain and gives it up")
    async def _look(self, number: str) -> bool:
        self._broker.may_look.set()
        gave_up = await self._until(lambda: self._is_not(number, "unknown"), timeout_s=_TAKE_S)
        self._broker.may_look.clear()
        return gave_up

    @_takes(r"(\w) (?:finds order \d|reconciles)")
    async def _reconcile(self, name: str) -> None:
        self._broker.may_look.set()
        actor = self._processes[name]
        actor.guard.inputs.is_hearing = (await actor.reconciler.run()).is_clean
        self._broker.may_look.clear()

    @_takes(r"(\w) has order \d cancelled")
    async def _cancel(self, name: str) -> None:
        await self._processes[name].canceller._ask()

    @_takes(r"(\w) books share (\d)(?:, the event comes again)?")
    async def _book(self, name: str, share: str) -> None:
        fills = [event for event in self._broker.said if event.execution is not None]
        await self._processes[name].keeper.take(fills[int(share) - 1])

    @_takes(r"(\w) books the end")
    async def _book_end(self, name: str) -> None:
        await self._processes[name].keeper.take(next(each for each in self._broker.said if each.kind == "canceled"))

    # What goes wrong, and the broker.

    @_takes(r"(\w) is killed")
    async def _kill(self, name: str) -> None:
        await self._processes[name].kill()
        await self._start(name)

    @_takes(r"(\w) (is paused|resumes)")
    async def _pause(self, name: str, what: str) -> None:
        self._processes[name].is_paused = what == "is paused"

    @_takes(r"order (\d) arrives")
    async def _arrive(self, number: str) -> None:
        self._broker.arrive(self._message(number))

    @_takes(r"the broker shows order (\d)")
    async def _show(self, number: str) -> None:
        self._broker.hidden.discard(self._names[int(number) - 1])

    @_takes(r"share \d of order 1 is filled")
    async def _fill(self) -> None:
        self._broker.fill(self._names[0], "1")

    @_takes(r"order 1 is cancelled at the broker")
    async def _cancel_there(self) -> None:
        (broker_order_id,) = self._broker.kept
        await self._broker.cancel(broker_order_id)

    # The end.

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

    # Helpers.

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

    async def _until(self, holds: Callable[[], bool | Awaitable[bool]], *, timeout_s: float = _SOON_S) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    answer = holds()
                    if answer if isinstance(answer, bool) else await answer:
                        return True
                    await asyncio.sleep(0.01)
        return False


@contextlib.asynccontextmanager
async def playing(url: str, patch: pytest.MonkeyPatch, *, second: str, without: str = "") -> AsyncIterator[Play]:
    """Run two gateways for the length of a test, perhaps without a guard."""
    hold_at_doors(patch)
    if without:
        removals.REMOVALS[without](patch)
    connection = await asyncpg.connect(url)
    broker = wired.WiredBroker()
    async with broker.serving():
        play = Play(url, connection, broker=broker, second=second)
        try:
            await play.open()
            yield play
        finally:
            await play.close()
            await connection.close()
