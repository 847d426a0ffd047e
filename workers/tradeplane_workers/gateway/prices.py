"""Reference prices: the gateway reads the bars itself, so that no strategy can tell it what something is worth."""

import asyncio
import bisect
from collections import deque
from collections.abc import Mapping
from typing import Any

import pydantic
import redis.asyncio as redis_asyncio
import structlog
from redis import exceptions as redis_exceptions

from tradeplane_engine import errors
from tradeplane_engine.domain import bars, timeframes, times
from tradeplane_workers import bar_messages, messages
from tradeplane_workers.gateway import machine

_log = structlog.get_logger(__name__)
_KEPT = 1000
_BLOCK_MS = 2000
_RETRY_S = 0.5
_GENERIC: pydantic.TypeAdapter[messages.StreamEntry] = pydantic.TypeAdapter(messages.StreamEntry)


class _Stream:
    """What was read of one stream of bars."""

    def __init__(self) -> None:
        self.last_id = "0-0"
        self.last_end = times.Nanos(0)
        self.bars: dict[str, deque[bars.Bar]] = {}
        self.reads: deque[tuple[times.Nanos, float]] = deque(maxlen=_KEPT)

    def add(self, piece: bars.BarSlice, *, read_s: float) -> None:
        """Keep the bars of a slice; a bar that does not follow the symbol's last one is known already."""
        for symbol, bar in piece.bars.items():
            history = self.bars.setdefault(symbol, deque(maxlen=_KEPT))
            if not history or bar.end > history[-1].end:
                history.append(bar)
        if piece.end > self.last_end:
            self.last_end = piece.end
            self.reads.append((piece.end, read_s))

    def at(self, trigger: times.Nanos) -> dict[str, bars.Bar]:
        """Return the last bar per symbol that had ended at ``trigger``."""
        found = {}
        for symbol, history in self.bars.items():
            index = bisect.bisect_right(history, trigger, key=lambda bar: bar.end)
            if index:
                found[symbol] = history[index - 1]
        return found


class Prices:
    """The latest bars of every symbol, from the streams of all timeframes and sessions.

    Parameters
    ----------
    client : of the Redis that holds the bars
    clock : the machine's clocks
    """

    def __init__(self, client: redis_asyncio.Redis, *, clock: machine.Clock) -> None:
        self._client = client
        self._clock = clock
        self._streams = {channel: _Stream() for channel in timeframes.channels()}
        self._is_caught_up = False
        self._bell = machine.Bell()

    def at(self, trigger: times.Nanos, *, channel: str = timeframes.DAY) -> Mapping[str, bars.Bar]:
        """Return the last bar per symbol that had ended at ``trigger``: the channel's own, else any channel's."""
        found: dict[str, bars.Bar] = {}
        for name, stream in self._streams.items():
            if name != channel:
                for symbol, bar in stream.at(trigger).items():
                    if symbol not in found or bar.end > found[symbol].end:
                        found[symbol] = bar
        return found | self._streams[channel].at(trigger)

    def read_at(self, trigger: times.Nanos, *, channel: str = timeframes.DAY) -> float:
        """Return when the first slice that ends at ``trigger`` or later was read, minus infinity where that is unknown.

        In seconds of the clock that runs while the machine sleeps. What was there before us came at an unknown time.
        """
        reads = self._streams[channel].reads
        index = bisect.bisect_left(reads, trigger, key=lambda read: read[0])
        is_forgotten = index == 0 and len(reads) == _KEPT
        return float("-inf") if is_forgotten or index == len(reads) else reads[index][1]

    async def wait_for(self, trigger: times.Nanos, *, timeout_s: float, channel: str = timeframes.DAY) -> bool:
        """Wait until the channel's slice that ends at ``trigger`` (or a later one) was read."""
        stream = self._streams[channel]
        try:
            async with asyncio.timeout(timeout_s):
                while stream.last_end < trigger:
                    await self._bell.wait(self._bell.rings)
        except TimeoutError:
            return False
        return True

    async def follow(self) -> None:
        """Read the stream until cancelled; after a loss of Redis whatever is published again is read again."""
        task = asyncio.current_task()
        # The client may turn a cancellation that meets an arriving answer into a time-out: asked here, it is not lost.
        while task is None or not task.cancelling():
            try:
                if not self._is_caught_up:
                    await self._catch_up()
                positions: Any = {_key(channel): stream.last_id for channel, stream in self._streams.items()}
                answer = await self._client.xread(positions, block=_BLOCK_MS, count=_KEPT)
                for name, entries in _streams(answer):
                    for entry_id, fields in entries:
                        self._take(_channel(name), entry_id, fields, read_s=self._clock().boot_s)
            except (redis_exceptions.RedisError, OSError) as error:
                _log.warning("bars not readable", error=str(error))
                self._is_caught_up = False
                await asyncio.sleep(_RETRY_S)

    async def _catch_up(self) -> None:
        for channel, stream in self._streams.items():
            entries: Any = await self._client.xrevrange(_key(channel), count=_KEPT)
            stream.last_id = "0-0"
            for entry_id, fields in reversed(entries):
                self._take(channel, entry_id, fields, read_s=float("-inf"))
        self._is_caught_up = True

    def _take(self, channel: str, entry_id: bytes | str, fields: Mapping[bytes, bytes], *, read_s: float) -> None:
        stream = self._streams[channel]
        stream.last_id = entry_id.decode() if isinstance(entry_id, bytes) else entry_id
        try:
            message = _GENERIC.validate_json(fields[b"message"])
            if isinstance(message, messages.SliceMessage):
                self.add(bar_messages.bar_slice(message), read_s=read_s, channel=channel)
        except (KeyError, pydantic.ValidationError, errors.EngineError) as error:
            _log.warning("bars refused", channel=channel, entry=stream.last_id, error=str(error))

    def add(self, piece: bars.BarSlice, *, read_s: float, channel: str = timeframes.DAY) -> None:
        """Keep the bars of a slice."""
        self._streams[channel].add(piece, read_s=read_s)
        self._bell.ring()


def _key(channel: str) -> str:
    return f"bars:{channel}"


def _channel(name: bytes | str) -> str:
    return (name.decode() if isinstance(name, bytes) else name).removeprefix("bars:")


def _streams(answer: object) -> list[tuple[bytes | str, list[tuple[bytes, Mapping[bytes, bytes]]]]]:
    if isinstance(answer, dict):  # RESP3 clients answer with a mapping of lists of pages
        return [(name, [entry for page in pages for entry in page]) for name, pages in answer.items()]
    return list(answer) if isinstance(answer, list) else []
