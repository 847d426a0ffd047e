"""The listener: the broker's stream, reconciled whenever it was away, and the one place that says "we are hearing".

connect -> authorised and listening -> book what comes, reconcile until clean -> hearing -> (an event ends it) -> away.
Nothing is sent while we are not hearing.
"""

import asyncio
import random
from collections.abc import Sequence

import structlog

from tradeplane_engine.domain import orders
from tradeplane_workers.brokers import port
from tradeplane_workers.gateway import bookkeeper, core, reconcile, sweep
from tradeplane_workers.stores import database

_log = structlog.get_logger(__name__)
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_RETRY_S = 1.0
_PERIODIC_S = 30.0
_BACKLOG = 10_000  # events that wait to be booked
_TOGETHER = 200  # events booked in one transaction


class Listener:
    """Hears the broker, for ever.

    Parameters
    ----------
    full : reconcile everything there ever was the first time, because the database has another history
    """

    def __init__(
        self,
        shared: core.Core,
        broker: port.Broker,
        *,
        books: bookkeeper.Bookkeeper,
        reconciler: reconcile.Reconciler,
        sweeper: sweep.Sweeper,
        full: bool,
    ) -> None:
        self._guard = shared.guard
        self._metrics = shared.metrics
        self._broker = broker
        self._books = books
        self._reconciler = reconciler
        self._sweeper = sweeper
        self._full = full
        self._due_s = 0.0

    async def run(self) -> None:
        """Connect, listen, reconcile; again after every end."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                async with self._broker.updates() as updates:
                    pause_s = _FIRST_PAUSE_S
                    await self._session(updates)
            except port.BrokerError as error:
                self._metrics.failures.labels("stream").inc()
                _log.warning("stream ended", error=str(error))
            finally:
                self._hearing(is_hearing=False)
            # Jitter: a broker that comes back must not meet everybody at once; a floor: it tolerates one connection.
            await asyncio.sleep(pause_s * (0.5 + random.random() / 2))  # noqa: S311 - jitter, not a secret
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _session(self, updates: port.Updates) -> None:
        booking = asyncio.create_task(self._book(updates), name="book")
        reconciling = asyncio.create_task(self._reconcile(), name="reconcile")
        try:
            done, _ = await asyncio.wait((booking, reconciling), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (booking, reconciling):
                task.cancel()
            await asyncio.gather(booking, reconciling, return_exceptions=True)

    async def _book(self, updates: port.Updates) -> None:
        """Book what comes; what came while that took a while is booked together."""
        arrived: asyncio.Queue[port.Event | None] = asyncio.Queue()
        hearing = asyncio.create_task(_hear(updates, arrived), name="hear")
        try:
            last: port.Event | None
            while True:
                found = [last := await arrived.get()]
                while last is not None and len(found) < _TOGETHER and not arrived.empty():
                    found.append(last := arrived.get_nowait())
                await self._take([event for event in found if event is not None])
                if last is None:
                    break
            await hearing
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
        raise port.BrokerUnreachable("stream ended")

    async def _take(self, events: Sequence[port.Event]) -> None:
        for booked in await self._books.take_surely(events):
            report = booked.event.report
            if report is not None and report.is_open and self._something_is_halted():
                self._sweeper.nudge()

    def _something_is_halted(self) -> bool:
        if self._guard.state().state is not orders.State.ENABLED:
            return True
        return any(each.halted for each in (self._guard.inputs.strategies or {}).values())

    async def _reconcile(self) -> None:
        """Reconcile until clean, then whenever something asks for it, and every 30 s."""
        while True:
            rings = self._guard.bell.rings
            if not self._guard.inputs.is_hearing or self._guard.is_recovering() or self._is_due():
                is_clean = await self._once()
                self._hearing(is_hearing=is_clean)
                if not is_clean:
                    await asyncio.sleep(_RETRY_S)
                    continue
                self._guard.recovered()
                self._due_s = self._guard.clock().boot_s + _PERIODIC_S
                rings = self._guard.bell.rings
            await self._guard.bell.wait(rings, timeout_s=_RETRY_S)

    async def _once(self) -> bool:
        try:
            result = await self._reconciler.run(since_start=self._full, heard=self._guard.inputs.is_hearing)
        except (*database.FAILURES, port.BrokerError) as error:
            self._metrics.failures.labels("reconciliation").inc()
            _log.warning("not reconciled", error=f"{type(error).__name__}: {error}")
            return False
        self._full = self._full and not result.is_clean
        return result.is_clean

    def _is_due(self) -> bool:
        return self._guard.clock().boot_s >= self._due_s

    def _hearing(self, *, is_hearing: bool) -> None:
        if self._guard.inputs.is_hearing != is_hearing:
            self._guard.inputs.is_hearing = is_hearing
            _log.info("hearing" if is_hearing else "not hearing")
            self._guard.bell.ring()


async def _hear(updates: port.Updates, arrived: "asyncio.Queue[port.Event | None]") -> None:
    """Take frames in as they come, and None at the end: who does not read a socket does not hear its pongs either."""
    try:
        async for event in updates:
            if arrived.qsize() >= _BACKLOG:
                raise port.BrokerUnreachable(f"stream: {_BACKLOG} events wait to be booked")
            arrived.put_nowait(event)
    finally:
        arrived.put_nowait(None)
