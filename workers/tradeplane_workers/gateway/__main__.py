"""``python -m tradeplane_workers.gateway``: on asyncio's own loop, because uvloop would queue an order's first byte."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator

import structlog
import uvicorn

from tradeplane_kube import client
from tradeplane_workers import logs, metrics
from tradeplane_workers.gateway import api, epoch, service
from tradeplane_workers.gateway import settings as gateway_settings

_log = structlog.get_logger(__name__)
_DEPOSED = 3
_FAILED = 1


class _Server(uvicorn.Server):
    """Leaves the signals alone: stopping in order is ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def run(settings: gateway_settings.Settings) -> int:
    """Run until told to stop; returns the exit status."""
    host, port = metrics.address(settings.listen, field="TRADEPLANE_LISTEN")
    async with client.Client(settings.kubeconfig, settings.namespace) as cluster:
        gateway = service.Gateway(settings, cluster)
        server = _Server(
            uvicorn.Config(api.create(gateway), host=host, port=port, log_config=None, access_log=False, lifespan="off")
        )
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        serving = asyncio.create_task(server.serve(), name="http")
        working = asyncio.create_task(gateway.run(), name="gateway")
        waiting = asyncio.create_task(stopping.wait(), name="signal")
        _log.info("gateway started", listen=settings.listen, environment=settings.environment)
        try:
            await asyncio.wait((serving, working, waiting), return_when=asyncio.FIRST_COMPLETED)
            return _status(working, serving)
        finally:
            working.cancel()
            waiting.cancel()
            await asyncio.gather(working, waiting, return_exceptions=True)
            await gateway.stop()
            server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)


def _status(working: asyncio.Task[None], serving: asyncio.Task[None]) -> int:
    for task in (working, serving):
        error = task.exception() if task.done() and not task.cancelled() else None
        if isinstance(error, BaseExceptionGroup) and error.subgroup(epoch.Deposed) is not None:
            _log.error("deposed", error=str(error.exceptions[0]))
            return _DEPOSED
        if error is not None:
            _log.error("gateway failed", exc_info=error)
            return _FAILED
        if task.done():
            return _FAILED
    return 0


def main() -> int:
    """Read the settings and run."""
    logs.configure("gateway")
    return asyncio.run(run(gateway_settings.Settings()))


if __name__ == "__main__":
    sys.exit(main())
