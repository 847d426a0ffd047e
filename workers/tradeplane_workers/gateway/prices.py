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
from tradeplane_engine.domain import bars, times
from tradeplane_workers import bar_messages, messages
from tradeplane_workers.gateway import machine

_log = structlog.get_logger(__name__)
_KEPT = 1000
_BLOCK_MS = 2000
_RETRY_S = 0.5
_GENERIC: pydantic.TypeAdapter[messages.SliceMessage | messages.GapMessage] = pydantic.TypeAdapter(
    messages.SliceMessage | messages.GapMessage
)


class Prices:
    """The latest bars of every symbol, from one stream.

    Parameters
    ----------
    client : of the Redis that holds the bars
    clock : the machine's clocks
    timeframe : of the bars
    """

    def __init__(self, client: redis_asyncio.Redis, *, clock: machine.Clock, timeframe: str = "1d") -> None:
        self._client = client
        self._clock = clock
        self._reads: deque[tuple[times.Nanos, float]] = deque(maxlen=_KEPT)
        self._stream = f"bars:{timeframe}"
        self._bars: dict[str, deque[bars.Bar]] = {}
        self._last_id = ""
        self._bell = machine.Bell()
        self.last_end = times.Nanos(0)

    def at(self, trigger: times.Nanos) -> Mapping[str, bars.Bar]:
        """Return the last bar per symbol that had ended at ``trigger``."""
        found = {}
        for symbol, history in self._bars.items():
            index = bisect.bisect_right(history, trigger, key=lambda bar: bar.end)
            if index:
                found[symbol] = history[index - 1]
        return found

    def read_at(self, trigger: times.Nanos) -> float:
        """Return when the first slice that ends at ``trigger`` or later was read, minus infinity where that is unknown.

        In seconds of the clock that runs while the machine sleeps. What was there before us came at an unknown time.
        """
        index = bisect.bisect_left(self._reads, trigger, key=lambda read: read[0])
        is_forgotten = index == 0 and len(self._reads) == _KEPT
        return float("-inf") if is_forgotten or index == len(self._reads) else self._reads[index][1]

    async def wait_for(self, trigger: times.Nanos, *, timeout_s: float) -> bool:
        """Wait until the slice that ends at ``trigger`` (or a later one) was read."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.last_end < trigger:
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
                if not self._last_id:
                    await self._catch_up()
                answer = await self._client.xread({self._stream: self._last_id}, block=_BLOCK_MS, count=_KEPT)
                for _, entries in _streams(answer):
                    for entry_id, fields in entries:
                        self._take(entry_id, fields, read_s=self._clock().boot_s)
            except (redis_exceptions.RedisError, OSError) as error:
                _log.warning("bars not readable", error=str(error))
                self._last_id = ""
                await asyncio.sleep(_RETRY_S)

    async def _catch_up(self) -> None:
        entries: Any = await self._client.xrevrange(self._stream, count=_KEPT)
        self._last_id = "0-0"
        for entry_id, fields in reversed(entries):
            self._take(entry_id, fields, read_s=float("-inf"))

    def _take(self, entry_id: bytes | str, fields: Mapping[bytes, bytes], *, read_s: float) -> None:
        self._last_id = entry_id.decode() if isinstance(entry_id, bytes) else entry_id
        try:
            message = _GENERIC.validate_json(fields[b"message"])
            if isinstance(message, messages.SliceMessage):
                self.add(bar_messages.bar_slice(message), read_s=read_s)
        except (KeyError, pydantic.ValidationError, errors.EngineError) as error:
            _log.warning("bars refused", entry=self._last_id, error=str(error))

    def add(self, piece: bars.BarSlice, *, read_s: float) -> None:
        """Keep the bars of a slice; a bar that does not follow the symbol's last one is known already."""
        for symbol, bar in piece.bars.items():
            history = self._bars.setdefault(symbol, deque(maxlen=_KEPT))
            if not history or bar.end > history[-1].end:
                history.append(bar)
        if piece.end > self.last_end:
            self.last_end = piece.end
            self._reads.append((piece.end, read_s))
        self._bell.ring()


def _streams(answer: object) -> list[tuple[bytes, list[tuple[bytes, Mapping[bytes, bytes]]]]]:
    if isinstance(answer, dict):  # RESP3 clients answer with a mapping of lists of pages
        return [(name, [entry for page in pages for entry in page]) for name, pages in answer.items()]
    return list(answer) if isinstance(answer, list) else []
