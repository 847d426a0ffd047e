"""Outcomes: what an answer of the broker, or its absence, makes of an intent.

An unknown outcome counts as working at full size. It is looked up by client order id at growing intervals: found with
our fields it is adopted, with others a halt ``id-conflict`` opens; absent from a look-up and from the full list after
30 s it is ``unseen`` (and watched: whatever turns up later is booked and cancelled). It is never sent again.

Guard ``unknown-written-first``: it is ``unknown`` in the ledger before the next order is looked at. As ``sending`` it
could be taken for one of which the mark's answer was lost, and which has not left.
Guard ``attempt-grows-on-refusal``: an attempt ends, and its quantity is free to be ordered anew, by the broker's own
refusal. No answer is none.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from tradeplane_engine.domain import times
from tradeplane_workers.brokers import port
from tradeplane_workers.gateway import bookkeeper, core
from tradeplane_workers.stores import database, decisions, epochs, journal

_log = structlog.get_logger(__name__)
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_RETRY_S = 0.5
UNSEEN_AFTER_S = 30.0
_LIST_SINCE = times.Nanos(5 * times.DAY)


class Outcomes:
    """Writes outcomes into the ledger and resolves unknown ones."""

    def __init__(
        self,
        shared: core.Core,
        broker: port.Broker,
        *,
        books: bookkeeper.Bookkeeper,
    ) -> None:
        self.unknown: set[str] = set()
        """Client order ids of which nobody knows whether the broker has them; known without the database."""
        self._pool = shared.pool
        self._broker = broker
        self._books = books
        self._clock = shared.clock
        self._leadership = shared.leadership
        self._metrics = shared.metrics
        self._tasks: set[asyncio.Task[None]] = set()

    async def settle(self, intent: decisions.Intent, outcome: port.Outcome) -> None:
        """Record a final or unknown outcome; keeps trying while the database is away."""
        self._metrics.submissions.labels(type(outcome).__name__.lower()).inc()
        if isinstance(outcome, port.Acknowledged):
            if outcome.event.client_order_id != intent.client_order_id:
                outcome = port.Unknown(f"acknowledged as {outcome.event.client_order_id!r}")
            else:
                await self._books.take_surely([outcome.event])
                self.unknown.discard(intent.client_order_id)
                return
        detail = refusal(outcome)
        if detail:
            await self._surely(functools.partial(_refused, intent=intent, detail=detail))
            self.unknown.discard(intent.client_order_id)
            return
        _log.warning("outcome unknown", client_order_id=intent.client_order_id, outcome=outcome)
        await self.resolve(intent)

    async def not_sent(self, intent: decisions.Intent, reason: str, detail: str = "") -> None:
        """Record that an intent was stopped before its first byte."""
        self._metrics.not_sent.labels(reason).inc()
        await self._surely(functools.partial(_not_sent, intent=intent, reason=reason, detail=detail))
        self.unknown.discard(intent.client_order_id)

    async def put_back(self, intent: decisions.Intent) -> None:
        """Make an intent whose order did not leave free to be sent later, under its id."""
        await self._surely(functools.partial(_put_back, intent=intent))
        self.unknown.discard(intent.client_order_id)

    async def resolve(self, intent: decisions.Intent) -> None:
        """Write down that an outcome is unknown, and start to look it up."""
        self.unknown.add(intent.client_order_id)
        self._metrics.unknown.set(len(self.unknown))
        await self._surely(functools.partial(_unknown, intent=intent))
        task = asyncio.create_task(self._resolve(intent), name=f"resolve {intent.client_order_id}")
        self._tasks.add(task)
        task.add_done_callback(self._resolved)

    async def all_known(self) -> None:
        """Wait until nothing is unknown."""
        while self.unknown:
            rings = self._books.bell.rings
            if self.unknown:
                await self._books.bell.wait(rings)

    async def aclose(self) -> None:
        """Stop looking."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _resolved(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("look-up ended", error=str(task.exception()))

    async def _resolve(self, intent: decisions.Intent) -> None:
        started_s, pause_s = self._clock().boot_s, _FIRST_PAUSE_S
        while True:
            try:
                found = await self._find(intent, thoroughly=self._clock().boot_s - started_s >= UNSEEN_AFTER_S)
            except port.BrokerError as error:
                _log.warning("look-up failed", client_order_id=intent.client_order_id, error=str(error))
            else:
                if found is not None:
                    await self._books.take_surely([found])
                    break
                if self._clock().boot_s - started_s >= UNSEEN_AFTER_S:
                    await self._surely(functools.partial(_unseen, intent=intent))
                    break
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        self.unknown.discard(intent.client_order_id)
        self._metrics.unknown.set(len(self.unknown))
        self._books.bell.ring()

    async def _find(self, intent: decisions.Intent, *, thoroughly: bool) -> port.Event | None:
        found = await self._broker.order_by_client_id(intent.client_order_id)
        if found is not None or not thoroughly:
            return found
        listed = await self._broker.orders(status="all", after=times.Nanos(intent.trigger - _LIST_SINCE))
        return next((event for event in listed if event.client_order_id == intent.client_order_id), None)

    async def _surely(self, write: Callable[[Any], Awaitable[None]]) -> None:
        while True:
            try:
                async with database.transaction(self._pool) as connection:
                    await journal.hold(connection)
                    lead = self._leadership.epoch
                    if lead is None or not await epochs.holds(connection, epochs.GATEWAY, lead.token):
                        self._leadership.lose()
                        _log.warning("outcome not recorded, another gateway leads")
                        return
                    await write(connection)
            except database.FAILURES as error:
                self._metrics.failures.labels("outcome").inc()
                _log.warning("outcome not recorded, trying again", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(_RETRY_S)
            else:
                self._books.bell.ring()
                return


def refusal(outcome: port.Outcome) -> str:
    """Return the broker's own words of refusal; nothing for every other outcome."""
    return f"{outcome.status} {outcome.code} {outcome.message}" if isinstance(outcome, port.Refused) else ""


async def _refused(connection: Any, *, intent: decisions.Intent, detail: str) -> None:
    if await decisions.mark(
        connection,
        intent.client_order_id,
        "broker-refused",
        expected=("sending", "unknown"),
        reason="broker-refused",
        detail=detail[:1000],
    ):
        await connection.execute(
            "update orders set status = 'rejected', changed = clock_timestamp() where client_order_id = $1",
            intent.client_order_id,
        )
        body = {"client_order_id": intent.client_order_id, "reason": "broker-refused"}
        await journal.record(connection, "not-sent", body)


async def _not_sent(connection: Any, *, intent: decisions.Intent, reason: str, detail: str) -> None:
    # Never of an unknown one: what is stopped here may be an old memory of an intent that left meanwhile.
    await _given_up(
        connection, intent, "not-sent", expected=("released", "sending"), reason=reason, detail=detail[:1000]
    )


async def _unseen(connection: Any, *, intent: decisions.Intent) -> None:
    await _given_up(connection, intent, "unseen", expected=("unknown",), reason="unseen")


async def _given_up(
    connection: Any, intent: decisions.Intent, status: str, *, expected: Sequence[str], reason: str, detail: str = ""
) -> None:
    if await decisions.mark(
        connection, intent.client_order_id, status, expected=expected, reason=reason, detail=detail
    ):
        await journal.record(connection, "not-sent", {"client_order_id": intent.client_order_id, "reason": reason})


async def _put_back(connection: Any, *, intent: decisions.Intent) -> None:
    await decisions.mark(connection, intent.client_order_id, "released", expected=("sending",))


async def _unknown(connection: Any, *, intent: decisions.Intent) -> None:
    await decisions.mark(connection, intent.client_order_id, "unknown", expected=("sending",))
