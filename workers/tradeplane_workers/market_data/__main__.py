"""``python -m tradeplane_workers.market_data``: waits for the Environment, then runs until SIGTERM or SIGINT.

It listens once it knows its provider; until then its clients meet a refused connection and ask again.
"""

import asyncio
import signal
import sys
import time
from types import FrameType

import structlog
import uvicorn
from redis import asyncio as redis_asyncio

from tradeplane_engine.domain import timeframes, times
from tradeplane_kube import client
from tradeplane_workers import logs, metrics
from tradeplane_workers.market_data import (
    api,
    buckets,
    channel,
    figures,
    grid,
    history,
    named,
    provider,
    publisher,
    service,
    sessions,
    stream,
)
from tradeplane_workers.market_data import settings as market_data_settings

log = structlog.get_logger(__name__)

# Redis is on the same machine or network; a call that takes longer has failed, and the round is repeated.
_REDIS_TIMEOUT_S = 2.0


def main() -> int:
    """Run the process; 0 after a signal, 1 when a part failed for good."""
    logs.configure("market_data")
    asked_to_stop = _SignalHandler()
    return asyncio.run(run(market_data_settings.Settings(), asked_to_stop))


class _SignalHandler:
    """Exits at a signal until the HTTP server takes signals itself.

    uvicorn stops at a signal and then raises it again, which would end the process before its exit code is ours; that
    second one finds this handler and does nothing.
    """

    def __init__(self) -> None:
        self.is_serving = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if not self.is_serving:
            sys.exit(0)


def machine_now() -> times.Nanos:
    """Return the machine's time."""
    return times.Nanos(time.time_ns())


async def run(settings: market_data_settings.Settings, signals: _SignalHandler) -> int:
    """Run all parts until the HTTP server is told to stop."""
    host, port = metrics.address(settings.listen, field="TRADEPLANE_LISTEN")
    async with client.Client(settings.kubeconfig, settings.namespace) as cluster:
        described = await named.provider(cluster, settings.environment)
    rest = provider.RestProvider(
        provider.RestSettings(
            url=described.url,
            key_file=settings.data_key_file,
            feed=provider.feed_of(described.stream_url),
        )
    )
    redis = redis_asyncio.Redis.from_url(
        settings.redis_url,
        decode_responses=True,
        socket_timeout=_REDIS_TIMEOUT_S,
        socket_connect_timeout=_REDIS_TIMEOUT_S,
        retry=None,
    )
    counted = figures.Figures()
    calendars = {session: sessions.Calendar(described.calendar, session=session) for session in timeframes.SESSIONS}
    reader = history.Reader(
        provider=rest, calendar=calendars[timeframes.REGULAR], figures=counted, machine_now=machine_now
    )
    market_data = service.MarketData(reader, publisher.Publisher(redis, timeframe=timeframes.DAY))
    channels = {
        timeframes.channel(timeframe, session): channel.Channel(
            buckets.Reader(rest, grid.Grid(calendar, length), counted, machine_now),
            publisher.Publisher(redis, timeframe=timeframes.channel(timeframe, session)),
            timeframe=timeframe,
            session=session,
        )
        for timeframe, length in timeframes.SPANS.items()
        for session, calendar in calendars.items()
    }
    publishers: tuple[service.MarketData | channel.Channel, ...] = (market_data, *channels.values())

    def sink(event: stream.Event) -> None:
        for one in publishers:
            one.sink(event)

    source = stream.ProviderStream(
        stream.StreamSettings(url=described.stream_url, key_file=settings.data_key_file), sink
    )
    readers = {timeframes.DAY: reader} | {name: one.reader for name, one in channels.items()}
    app = api.application(readers, ready=lambda: all(one.ready for one in publishers), counted=counted)
    server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_config=None, access_log=False))
    parts = [
        asyncio.create_task(source.run(), name="stream"),
        *(asyncio.create_task(one.follow_subscriptions(source), name="subscriptions") for one in publishers),
        *(asyncio.create_task(one.run(), name="publishing") for one in publishers),
    ]
    signals.is_serving = True
    serving = asyncio.create_task(server.serve(), name="http")
    try:
        done, _ = await asyncio.wait([serving, *parts], return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.should_exit = True
        for part in parts:
            part.cancel()
        await asyncio.gather(serving, *parts, return_exceptions=True)
        await rest.close()
        await redis.aclose()
    failed = [task.get_name() for task in done if task is not serving]
    for task in done:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("part failed", part=task.get_name(), exc_info=error)
            failed.append(task.get_name())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
