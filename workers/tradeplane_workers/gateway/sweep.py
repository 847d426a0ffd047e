"""The sweep: what a halt does to open orders, and the proof that it is done.

1. Halted: one account-wide cancel request and one listing, at once, then every 2 s while anything is open or unknown.
2. Complete when two listings, 2 s apart, are empty and no intent is unknown. ``pending_cancel`` is open.
3. Afterwards the list is read every 5 s and after every event: an order that turns up is cancelled on sight, and the
   proof reopens.
4. A strategy that is halted by itself has its own orders cancelled, one by one, and so has a UID that the API does not
   have.

None of this needs the ledger or an epoch: the broker's own list says what is open. Without the ledger nobody can say
that no intent is unknown, except this process about its own, so the proof then names what it cannot know.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from tradeplane_engine import errors
from tradeplane_engine.domain import orders
from tradeplane_workers.brokers import port
from tradeplane_workers.gateway import metrics, sender, state

_log = structlog.get_logger(__name__)
_TICK_S = 0.25
_ROUND_S = 2.0
_WATCH_S = 5.0
_STRATEGIES_S = 10.0


@dataclass(slots=True)
class Proof:
    """What a halt led to; ``open`` names client order ids of the last listing."""

    seen: str
    last_order_before: str = ""
    cancelled: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    waiting_for: list[str] = field(default_factory=list)
    completed: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether the halt is complete."""
        return bool(self.completed)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the sweep asks of others: the unknown intents, and the last order that left."""

    unknown: Callable[[], Iterable[str]]
    last_order: Callable[[], sender.LastOrder | None]


class Sweeper:
    """Keeps the broker's open orders within what the state allows.

    Parameters
    ----------
    broker : cancels and lists
    guard : says what is allowed
    """

    def __init__(
        self, broker: port.Broker, guard: state.Guard, *, around: Surroundings, counters: metrics.Metrics
    ) -> None:
        self.proof: Proof | None = None
        self._broker = broker
        self._guard = guard
        self._around = around
        self._metrics = counters
        self._names: dict[str, str] = {}
        self._asked: set[str] = set()
        self._last_empty_s: float | None = None
        self._is_nudged = False

    def proof_of(self, current: state.State) -> Proof:
        """Return the proof of the halt that is on; an empty one until the sweep has seen it."""
        if self.proof is None or (current.state is orders.State.HALTED and self.proof.seen != self._guard.changed_at):
            return Proof(seen=self._guard.changed_at if current.state is orders.State.HALTED else "")
        return self.proof

    def nudge(self) -> None:
        """Look at the broker's list now: an order may have turned up that must not be open."""
        self._is_nudged = True
        self._guard.bell.ring()

    async def run(self) -> None:
        """Watch the state and sweep, for ever; looks every quarter of a second, because a read grows old silently."""
        due_s = float("-inf")
        strategies = self._guard.inputs.strategies
        while True:
            rings = self._guard.bell.rings
            current, now_s = self._guard.state(), self._guard.clock().boot_s
            is_halted = current.state is orders.State.HALTED
            is_new = is_halted and (self.proof is None or self.proof.seen != self._guard.changed_at)
            if strategies is not self._guard.inputs.strategies:
                strategies, self._is_nudged = self._guard.inputs.strategies, True
            if not current.is_starting and (is_new or self._is_nudged or now_s >= due_s):
                self._is_nudged = False
                try:
                    due_s = now_s + (await self._round(is_new=is_new) if is_halted else await self._strategies())
                except port.BrokerError as error:
                    self._metrics.failures.labels("sweep").inc()
                    _log.warning("sweep failed, trying again", error=str(error))
                    due_s = now_s + _TICK_S
            await self._guard.bell.wait(rings, timeout_s=_TICK_S)

    async def _round(self, *, is_new: bool) -> float:
        """Cancel and list once; returns the seconds until the next time."""
        if is_new or self.proof is None:
            last = self._around.last_order()
            self.proof = Proof(seen=self._guard.changed_at, last_order_before="" if last is None else last.at)
            self._asked.clear()
            self._last_empty_s = None
            _log.info("halt seen", seen=self.proof.seen, cause=self._guard.state().message)
        proof = self.proof
        started_s = self._guard.clock().boot_s
        if not proof.is_complete:
            cancelled, listed = await asyncio.gather(self._broker.cancel_all(), self._broker.orders(status="open"))
            self._asked.update(cancelled)
        else:
            listed = await self._broker.orders(status="open")
        self._name(listed)
        still = [event.broker_order_id for event in listed if event.report is not None and event.report.is_open]
        if still and proof.is_complete:
            _log.warning("late order, the proof reopens", open=[self._names[each] for each in still])
            proof.completed = ""
            self._asked.update(await self._broker.cancel_all())
        self._asked.update(still)
        proof.open = sorted(self._names[each] for each in still)
        proof.waiting_for = sorted(self._around.unknown())
        if still or proof.waiting_for:
            self._last_empty_s = None
            return _ROUND_S
        if proof.is_complete:
            return _WATCH_S
        if self._last_empty_s is None or started_s - self._last_empty_s < _ROUND_S:
            self._last_empty_s = self._last_empty_s or started_s
            return _ROUND_S
        proof.cancelled = await self._cancelled()
        proof.completed = self._guard.clock().text
        _log.info("halt complete", cancelled=len(proof.cancelled), completed=proof.completed)
        self._guard.bell.ring()
        return _WATCH_S

    async def _cancelled(self) -> list[str]:
        """Name what we asked to be cancelled and what is cancelled now; a fill that won the race is not."""
        if not self._asked:
            return []
        unnamed = self._asked - self._names.keys()
        if unnamed:
            self._name(await self._broker.orders(status="all"))
        found = []
        for broker_order_id in self._asked:
            name = self._names.get(broker_order_id)
            event = None if name is None else await self._broker.order_by_client_id(name)
            report = None if event is None else event.report
            if name is not None and report is not None and report.status == "canceled":
                found.append(name)
        return sorted(found)

    async def _strategies(self) -> float:
        """Cancel the orders of strategies that are halted by themselves; returns the seconds until the next time."""
        known = self._guard.inputs.strategies or {}
        halted = {uid.replace("-", "") for uid, each in known.items() if each.halted}
        allowed = {uid.replace("-", "") for uid, each in known.items() if not each.halted}
        for event in await self._broker.orders(status="open"):
            try:
                uid = orders.parse_client_order_id(event.client_order_id).uid
            except errors.ValueRefused:
                continue
            is_pending = event.report is not None and event.report.status == "pending_cancel"
            if (uid in halted or uid not in allowed) and not is_pending:
                refusal = await self._broker.cancel(event.broker_order_id)
                _log.info("order of a halted strategy", client_order_id=event.client_order_id, refusal=refusal)
        return _STRATEGIES_S

    def _name(self, events: Iterable[port.Event]) -> None:
        self._names.update((event.broker_order_id, event.client_order_id) for event in events)
