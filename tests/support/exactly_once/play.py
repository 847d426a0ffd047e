"""Takes the steps of a trace of the model with real gateways on a real PostgreSQL, and says what was violated.

A step that the real code does not take is left out: where a guard stands, that is its whole effect. After the trace
everything that happens by itself in the end does: messages arrive, look-ups are answered, somebody leads.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from support.exactly_once import doors, process, removals, stage, wired, world
from tradeplane_workers.gateway import epoch
from tradeplane_workers.stores import epochs

_STEPS: list[tuple[re.Pattern[str], str]] = []


def _takes(pattern: str) -> Callable[[Any], Any]:
    def keep(method: Any) -> Any:
        _STEPS.append((re.compile(pattern), method.__name__))
        return method

    return keep


class Play(stage.Stage):
    """The steps of the model, as what happens on a stage; ``left_out`` are those that the real code did not take."""

    def __init__(self, url: str, connection: asyncpg.Connection, *, broker: wired.WiredBroker, second: str) -> None:
        super().__init__(url, connection, broker=broker, second=second)
        self.left_out: list[str] = []

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
    async def _takes_epoch(self, name: str) -> bool:
        return await self._take(name)

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
        return await self._until(self._nobody_in_transaction)

    @_takes(r"the database restarts without the epoch's last commit")
    async def _restart_database(self) -> None:
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

    # Deciding and sending.

    @_takes(r"(\w) begins to decide order (\d)")
    async def _begin_decision(self, name: str, number: str) -> bool:
        actor = self._processes[name]
        if self._second == "attempt" and number == "2" and await self._is_working():
            return False  # a strategy orders what it lacks, and it lacks nothing
        deciding = actor.deciding = actor.start(actor.desk.decide(self._decision(number)))
        return await self._until(lambda: actor.in_transaction.waiting.is_set() or deciding.done())

    @_takes(r"(\w) commits the decision")
    async def _commit_decision(self, name: str) -> bool:
        actor = self._processes[name]
        deciding, actor.deciding = actor.deciding, None
        if deciding is None:
            return False
        actor.in_transaction.open()
        await asyncio.wait([deciding], timeout=stage.LONG_S)
        if not deciding.done() or deciding.exception() is not None:
            return False
        self._names.append(deciding.result()[0].verdicts[0].client_order_id)
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
        gave_up = await self._until(lambda: self._is_not(number, "unknown"))
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
        await self._processes[name].keeper.take([fills[int(share) - 1]])

    @_takes(r"(\w) books the end")
    async def _book_end(self, name: str) -> None:
        await self._processes[name].keeper.take([next(each for each in self._broker.said if each.kind == "canceled")])

    # What goes wrong, and the broker.

    @_takes(r"(\w) is killed")
    async def _kill(self, name: str) -> None:
        await self._restart(name)

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


@contextlib.asynccontextmanager
async def playing(url: str, patch: pytest.MonkeyPatch, *, second: str, without: str = "") -> AsyncIterator[Play]:
    """Run two gateways for the length of a test, perhaps without a guard."""
    doors.hold(patch)
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
