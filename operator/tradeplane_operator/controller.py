"""Workers, resynchronisation and the gateway's pulse: everything that turns time and events into passes."""

import asyncio
import random
import time

import structlog

from tradeplane_api import kinds
from tradeplane_kube import errors
from tradeplane_operator import artifacts, carry_out, metrics, queueing, reconciler, world
from tradeplane_operator.ray import port

WORKERS = 4
RESYNC_S = 120.0
PULSE_S = 1.0

# What the world does to every operator; anything else is a defect and is logged with its traceback.
EXPECTED = (errors.KubeError, port.RayError, artifacts.ArtifactsUnreachable, carry_out.NotNow)

log = structlog.get_logger(__name__)


class Controller:
    """Runs passes until it is cancelled.

    Parameters
    ----------
    outside : the edges
    figures : the metrics
    """

    def __init__(self, outside: world.World, figures: metrics.Metrics) -> None:
        self.queue = queueing.Queue(time.monotonic)
        self._outside = outside
        self._figures = figures

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WORKERS):
                tasks.create_task(self._work())
            tasks.create_task(self._resync())
            tasks.create_task(self._pulse())

    async def add_all(self) -> None:
        """Look at every object, the switch and the sweep; raises KubeError."""
        await self.queue.add(reconciler.Key(reconciler.SWITCH))
        for kind in kinds.KINDS:
            items, _ = await self._outside.kube.list(kind)
            for manifest in items:
                await self.queue.add(reconciler.Key(kind, manifest["metadata"]["name"]))
        await self.queue.add(reconciler.Key(reconciler.SWEEP))

    async def _work(self) -> None:
        while True:
            key = await self.queue.take()
            self._figures.queue.set(self.queue.depth)
            await self._pass(key)

    async def _pass(self, key: reconciler.Key) -> None:
        with self._figures.duration.labels(key.kind).time():
            try:
                again_s = await reconciler.reconcile(self._outside, key)
            except errors.Throttled as problem:
                await self._failed(key, problem, at_least_s=problem.retry_after_s)
            except EXPECTED as problem:
                await self._failed(key, problem)
            except Exception as problem:  # one object's surprise must not stop the others
                log.exception("reconcile broke", kind=key.kind, name=key.name)
                await self._failed(key, problem)
            else:
                self._figures.reconciles.labels(key.kind, "gone" if again_s is None else "done").inc()
                # Spread, so that a thousand objects do not come due in the same second.
                jittered = None if again_s is None else again_s * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
                await self.queue.done(key, again_s=jittered)

    async def _failed(self, key: reconciler.Key, problem: Exception, *, at_least_s: float = 0.0) -> None:
        self._figures.reconciles.labels(key.kind, type(problem).__name__).inc()
        # A conflict is how two writers meet; it is not worth a line.
        if not isinstance(problem, errors.Conflict):
            log.warning("reconcile failed", kind=key.kind, name=key.name, problem=str(problem))
        await self.queue.failed(key, at_least_s=at_least_s)

    async def _resync(self) -> None:
        """Look at everything at the start and every two minutes: an event may be lost, an object may not."""
        while True:
            try:
                await self.add_all()
            except errors.KubeError as problem:
                log.warning("list failed", problem=str(problem))
                await asyncio.sleep(1.0)
            else:
                await asyncio.sleep(RESYNC_S * random.uniform(0.9, 1.1))  # noqa: S311 - as above

    async def _pulse(self) -> None:
        """Read the gateway's state each second; a change makes every object look again."""
        while True:
            changed = await self._outside.gateway.read()
            self._figures.gateway_fresh.set(self._outside.gateway.current() is not None)
            if changed:
                try:
                    await self.add_all()
                except errors.KubeError as problem:
                    log.warning("list failed", problem=str(problem))
            await asyncio.sleep(PULSE_S)
