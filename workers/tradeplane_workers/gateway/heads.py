"""The audit trail's head, where nobody who can change the ledger can change it: in the log, and in the artifact store.

A chain shows what was changed inside it. That its end was cut off, or that all of it was written anew, is only seen by
comparing it with a head that was kept elsewhere.
"""

import asyncio

import structlog

from tradeplane_workers import artifacts, messages
from tradeplane_workers.gateway import core
from tradeplane_workers.stores import audit, database

_log = structlog.get_logger(__name__)
PERIOD_S = 60.0
_STORE_TIMEOUT_S = 30.0


class Heads:
    """Tells the head at once and then each minute, while this gateway leads."""

    def __init__(self, shared: core.Core, store: artifacts.ArtifactStore | None) -> None:
        self._shared = shared
        self._store = store
        self._stored = 0

    async def run(self) -> None:
        """Tell it, for ever; what could not be told is told the next minute."""
        while True:
            if self._shared.leadership.is_valid():
                await self.tell()
            await asyncio.sleep(PERIOD_S)

    async def tell(self) -> None:
        """Write the present head to the log, and to the store unless it is there already."""
        try:
            async with self._shared.pool.acquire(timeout=2) as connection:
                number, digest = await audit.head(connection)
        except database.FAILURES as error:
            self._failed(error)
            return
        if not number:
            return
        head = messages.AuditHead(ledger=self._shared.ledger, number=number, hash=digest)
        _log.info("audit head", **head.model_dump())
        if self._store is None or number == self._stored:
            return
        try:
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                await asyncio.to_thread(self._store.put_head, head)
        except Exception as error:  # noqa: BLE001 - each filesystem has errors of its own, and none may end the gateway
            self._failed(error)
        else:
            self._stored = number

    def _failed(self, error: Exception) -> None:
        self._shared.metrics.failures.labels("audit").inc()
        _log.warning("audit head not kept, trying again", error=f"{type(error).__name__}: {error}")
