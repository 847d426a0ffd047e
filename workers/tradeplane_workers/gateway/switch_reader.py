"""Reads the switch: a watch for speed, a GET by name each second for freshness."""

import asyncio

import structlog

from tradeplane_api import names
from tradeplane_kube import errors as kube_errors
from tradeplane_workers.gateway import manifests, metrics, state

_log = structlog.get_logger(__name__)
_PERIOD_S = 1.0
_TIMEOUT_S = 0.5
_WATCH_RETRY_S = 0.2


class SwitchReader:
    """Two loops that feed the guard's switch; ``seen`` rings when a new revision should be kept."""

    def __init__(self, cluster: manifests.Cluster, guard: state.Guard, *, counters: metrics.Metrics) -> None:
        self._cluster = cluster
        self._guard = guard
        self._metrics = counters

    async def poll(self) -> None:
        """GET each second, from start to start, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            await self.read_once()
            await asyncio.sleep(max(0.0, _PERIOD_S - (loop.time() - started)))

    async def read_once(self) -> bool:
        """GET once; whatever goes wrong is no read."""
        before = self._guard.state()
        ticket = self._guard.switch.begin(self._guard.clock())
        try:
            manifest = await self._cluster.get("ConfigMap", names.KILL_SWITCH, timeout_s=_TIMEOUT_S)
            is_new = self._guard.switch.finish(ticket, manifest)
        except (kube_errors.KubeError, ValueError, TypeError, AttributeError) as error:
            self._metrics.switch_reads.labels("failed").inc()
            _log.warning("switch not read", error=f"{type(error).__name__}: {error}")
            return False
        self._metrics.switch_reads.labels("good").inc()
        if is_new or self._guard.state() != before:
            self._guard.bell.ring()
        return True

    async def watch(self) -> None:
        """Follow the object's changes, for ever."""
        while True:
            try:
                async for kind, manifest in self._cluster.watch("ConfigMap", name=names.KILL_SWITCH):
                    if kind != "BOOKMARK":
                        self._guard.switch.watched(kind, manifest)
                        self._guard.bell.ring()
            except kube_errors.KubeError as error:
                _log.info("switch watch ended", error=str(error))
            await asyncio.sleep(_WATCH_RETRY_S)
