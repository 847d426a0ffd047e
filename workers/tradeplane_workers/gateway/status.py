"""Writes the trading part of the Environment's status by server-side apply, and only when it changed."""

from typing import Any

import structlog

from tradeplane_api import names
from tradeplane_kube import errors as kube_errors
from tradeplane_workers.gateway import manifests, state, views

_log = structlog.get_logger(__name__)
_TIMEOUT_S = 2.0
_TICK_S = 0.5


class StatusWriter:
    """Keeps the Environment's ``status.trading`` equal to what this gateway knows."""

    def __init__(
        self, cluster: manifests.Cluster, known: manifests.Known, *, guard: state.Guard, shown: views.Views
    ) -> None:
        self._cluster = cluster
        self._known = known
        self._guard = guard
        self._shown = shown
        # With the object's uid: an Environment that was deleted and made again has no status yet.
        self._written: tuple[str, dict[str, Any]] | None = None

    async def run(self) -> None:
        """Write whenever it changed, for ever; only the leader writes."""
        while True:
            rings = self._guard.bell.rings
            shared = self._shown.shared
            if shared is not None and shared.leadership.is_valid():
                await self.write_once()
            await self._guard.bell.wait(rings, timeout_s=_TICK_S)

    async def write_once(self) -> None:
        """Write if it changed; a failure is tried again at the next turn."""
        environment, trading = self._known.environment, self._shown.trading()
        if environment is None or (environment.uid, trading) == self._written:
            return
        manifest = {
            "apiVersion": names.API_VERSION,
            "kind": names.ENVIRONMENT,
            "metadata": {"name": environment.name, "uid": environment.uid},
            "status": {"trading": trading},
        }
        try:
            await self._cluster.apply_status(manifest, names.FIELD_MANAGER_GATEWAY, timeout_s=_TIMEOUT_S)
        except kube_errors.KubeError as error:
            _log.warning("status not written", error=str(error))
        else:
            self._written = environment.uid, trading
