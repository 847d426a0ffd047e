"""The sender: released intents, each strategy's in ledger sequence, each to the broker at most once.

1. Guard ``marked-before-sent``: an intent is marked ``sending`` in a transaction that holds the gateway's epoch, and
   only then handed to the broker.
2. The permit is asked between that and the first byte; what it refuses was not sent. Halted: it never will be. No
   epoch or no stream: it goes back to ``released`` and is tried again for a minute, through every check.
3. Guard ``never-sent-again``: once a byte left, it is not sent again, whatever is heard.
4. Guard ``sending-resolved-first``: after a start, every intent found ``sending`` is unknown, and nothing is sent until
   all of them are resolved.

A strategy's orders leave one after the other, because the second may need what the first frees. Strategies do not wait
for each other; what is marked meanwhile is marked in one transaction.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from tradeplane_engine.domain import times
from tradeplane_workers.brokers import port
from tradeplane_workers.gateway import breaker, core, manifests, outcomes, state, together
from tradeplane_workers.stores import database, decisions, epochs
from tradeplane_workers.stores import orders as orders_store

_log = structlog.get_logger(__name__)
_WAIT_S = 0.25
_PATIENCE_S = 60.0
# Whoever committed a decision may have died, or lost the answer, before it could enqueue: look for what was left.
_IDLE_S = 5.0
# An intent that waited longer is checked against the policy's bar age again, by the broker's clock.
_FRESH_S = 5.0
_DEFAULT_AGE = times.Nanos(times.HOUR)
# Of the broker's eight connections; the rest is for cancels and look-ups.
_AT_ONCE = 6
_TOGETHER = 50
LATE = "late"
_TRANSIENT = frozenset(
    {state.NO_EPOCH, state.NOT_READY, breaker.CIRCUIT_OPEN, "unreachable", "rate-limit", "request-budget"}
)


@dataclass(frozen=True, slots=True)
class LastOrder:
    """The latest order whose first byte left."""

    client_order_id: str
    at: str


def unsent(outcome: port.Outcome) -> str:
    """Return why an order surely did not leave, so that it may be sent later; nothing for every other outcome."""
    return outcome.reason if isinstance(outcome, port.NotSent) else ""


@dataclass(frozen=True, slots=True)
class _Waiting:
    intent: decisions.Intent
    since_s: float


class Sender:
    """A lane for each strategy that has something to send, and in it one order at a time."""

    def __init__(
        self,
        shared: core.Core,
        broker: port.Broker,
        *,
        results: outcomes.Outcomes,
        known: manifests.Known,
        circuit: breaker.Breaker,
    ) -> None:
        self.last_order: LastOrder | None = None
        self.has_recovered = False
        """Whether what an earlier process left unknown has been read."""
        self._pool = shared.pool
        self._broker = broker
        self._leadership = shared.leadership
        self._guard = shared.guard
        self._outcomes = results
        self._known = known
        self._circuit = circuit
        self._metrics = shared.metrics
        self._taken: set[str] = set()
        self._lanes: dict[str, deque[_Waiting]] = {}
        self._opened: asyncio.Queue[str] = asyncio.Queue()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._marks = together.Together(self._mark_together, most=_TOGETHER)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self._lanes

    def enqueue(self, intents: Iterable[decisions.Intent], *, since_s: float) -> None:
        """Send these, in this order; only those that are released, and each once.

        ``since_s`` is when their trigger's bars were read: a decision may have waited before it was posted.
        """
        self._take(intents, since_s)

    async def recover(self) -> None:
        """Take over what an earlier process left: unknown first, then what it had released."""
        found = await self._in_flight()
        await self._resolve([intent for intent in found if intent.status != "released"])
        self._take(found, float("-inf"))

    async def run(self) -> None:
        """Recover, then send, for ever."""
        await self.recover()
        async with asyncio.TaskGroup() as lanes:
            while True:
                try:
                    async with asyncio.timeout(_IDLE_S):
                        uid = await self._opened.get()
                except TimeoutError:
                    if self._leadership.is_valid():
                        self._take(await self._in_flight(), float("-inf"))
                else:
                    lanes.create_task(self._send(uid), name=f"send {uid}")

    async def _send(self, uid: str) -> None:
        lane = self._lanes[uid]
        while lane:
            await self._deliver(lane[0])
            self._taken.discard(lane.popleft().intent.client_order_id)
        del self._lanes[uid]

    async def _resolve(self, left: Iterable[decisions.Intent]) -> None:
        for intent in left:
            await self._outcomes.resolve(intent)
        self.has_recovered = True
        await self._outcomes.all_known()

    async def _in_flight(self) -> tuple[decisions.Intent, ...]:
        while True:
            try:
                async with database.transaction(self._pool) as connection:
                    return await decisions.in_flight(connection)
            except database.FAILURES as error:
                self._metrics.failures.labels("recovery").inc()
                _log.warning("intents not readable, trying again", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(_WAIT_S)

    def _take(self, intents: Iterable[decisions.Intent], since_s: float) -> None:
        for intent in intents:
            if intent.status == "released" and intent.client_order_id not in self._taken:
                self._taken.add(intent.client_order_id)
                if intent.strategy_uid not in self._lanes:
                    self._lanes[intent.strategy_uid] = deque()
                    self._opened.put_nowait(intent.strategy_uid)
                self._lanes[intent.strategy_uid].append(_Waiting(intent, since_s))

    async def _deliver(self, waiting: _Waiting) -> None:
        intent = waiting.intent
        started_s = self._guard.clock().boot_s
        reason = ""
        while True:
            rings = self._guard.bell.rings
            reason = self._guard.permit(intent.strategy_uid) or self._circuit.refusal() or await self._lateness(waiting)
            if not reason:
                reason = await self._attempt(intent)
            if not reason:
                return
            if reason not in _TRANSIENT or self._guard.clock().boot_s - started_s > _PATIENCE_S:
                await self._outcomes.not_sent(intent, reason)
                return
            await self._guard.bell.wait(rings, timeout_s=_WAIT_S)

    async def _attempt(self, intent: decisions.Intent) -> str:
        """Try once; returns why nothing was sent, or nothing when the intent is settled or being looked up."""
        try:
            marked = await self._mark(intent)
            if marked is None:
                return ""
            if not marked:
                self._leadership.lose()
                return state.NO_EPOCH
        except database.FAILURES as error:
            self._metrics.failures.labels("sending").inc()
            _log.warning("intent not marked, not sent", error=f"{type(error).__name__}: {error}")
            return state.NOT_READY
        request = port.Request(
            client_order_id=intent.client_order_id,
            symbol=intent.symbol,
            side=intent.side,
            quantity=intent.quantity,
            terms=intent.terms,
        )
        self._outcomes.unknown.add(intent.client_order_id)
        async with self._places:
            with self._metrics.submit_seconds.time():
                outcome = await self._broker.submit(request, lambda: self._permit(intent))
        self._circuit.heard(outcome)
        reason = unsent(outcome)
        if reason:
            _log.info("not sent", client_order_id=intent.client_order_id, outcome=outcome)
            await self._outcomes.put_back(intent)
        else:
            await self._outcomes.settle(intent, outcome)
        return reason

    def _permit(self, intent: decisions.Intent) -> str:
        reason = self._guard.permit(intent.strategy_uid)
        if not reason:
            self.last_order = LastOrder(intent.client_order_id, self._guard.clock().text)
        return reason

    async def _mark(self, intent: decisions.Intent) -> bool | None:
        """Mark an intent ``sending``; False without our epoch, None when it is settled already."""
        return await self._marks.do(intent.client_order_id)

    async def _mark_together(self, client_order_ids: Sequence[str]) -> list[bool | None]:
        lead = self._leadership.epoch
        async with database.transaction(self._pool) as connection:
            if lead is None or not await epochs.holds(connection, epochs.GATEWAY, lead.token):
                return [False] * len(client_order_ids)
            marked = await decisions.mark_sending(connection, client_order_ids)
            await orders_store.insert(connection, marked)
        return [True if each in marked else None for each in client_order_ids]

    async def _lateness(self, waiting: _Waiting) -> str:
        if self._guard.clock().boot_s - waiting.since_s < _FRESH_S:
            return ""
        try:
            age = await self._broker.clock() - waiting.intent.trigger
        except port.BrokerError:
            return "unreachable"
        allowed = [
            each.limits.max_bar_age
            for each in self._known.policies.values()
            if each.limits is not None and each.limits.max_bar_age is not None
        ]
        return LATE if age > min(allowed, default=_DEFAULT_AGE) else ""
