"""``python -m tradeplane_operator``: one operator for one namespace."""

import asyncio
import contextlib
import datetime as dt
import os
import signal
import sys
import time

import structlog

from tradeplane_kube import client
from tradeplane_operator import artifacts, controller, gateway, logs, metrics, settings, watch, world
from tradeplane_operator.ray import external, port

log = structlog.get_logger(__name__)


async def run(configured: settings.Settings, stop: asyncio.Event) -> None:
    """Operate until ``stop`` is set."""
    figures = metrics.Metrics()
    if configured.metrics_listen is not None:
        figures.serve(configured.metrics_listen)
    rays: dict[str, external.ExternalRay] = {}

    def ray(address: str) -> port.Ray:
        if address not in rays:
            rays[address] = external.ExternalRay(address, token_file=configured.ray_token_file)
        return rays[address]

    async with (
        client.Client(configured.kubeconfig, configured.namespace) as kube,
        gateway.Gateway(configured.gateway_url, time.monotonic) as trading,
    ):
        outside = world.World(
            settings=configured,
            kube=kube,
            gateway=trading,
            artifacts=artifacts.Artifacts(configured.artifacts),
            ray=ray,
            now=lambda: dt.datetime.now(dt.UTC),
        )
        control = controller.Controller(outside, figures)
        watching = watch.Watch(control.queue, configured.kubeconfig, configured.namespace)
        log.info("operator started", namespace=configured.namespace, environment=configured.environment)
        tasks = [asyncio.create_task(each) for each in (control.run(), watching.run(), stop.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            for each in rays.values():
                await each.close()
    problems = [each for each in results if isinstance(each, Exception)]
    if problems:
        raise problems[0]
    log.info("operator stopped")


async def _main(configured: settings.Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run(configured, stop)


def main() -> int:
    """Entry point."""
    logs.configure()
    try:
        configured = settings.from_variables(os.environ)
    except settings.SettingRefused as problem:
        log.error("setting refused", problem=str(problem))  # noqa: TRY400 - a wrong setting is no bug to trace
        return 2
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(configured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
