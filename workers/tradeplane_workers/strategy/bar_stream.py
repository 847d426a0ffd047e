"""The Redis stream of bars as a strategy reads it: by time, from where it stands, through any outage."""

from typing import Any

import pydantic
import redis
import structlog
from redis import exceptions as redis_exceptions

from tradeplane_engine.domain import times
from tradeplane_workers import messages
from tradeplane_workers.strategy import figures, stopping

log = structlog.get_logger(__name__)

_BLOCK_S = 1.0
_COUNT = 500
_MILLISECOND = 1_000_000
# Behind every entry of its millisecond: gap markers of an end are not news for whoever knows that end.
_LAST_OF_MILLISECOND = 2**64 - 1
_ENTRY: pydantic.TypeAdapter[messages.StreamEntry] = pydantic.TypeAdapter(messages.StreamEntry)

Entry = messages.SliceMessage | messages.GapMessage | messages.RevisionMessage | None


class BarStream:
    """Reads ``bars:{channel}`` and keeps the subscription alive.

    Parameters
    ----------
    client : connection with decoded answers; its socket timeout is above the blocking time
    channel : timeframe and session, such as ``1d`` or ``5m:extended``
    symbols : added to the subscriptions whenever a wait begins, because Redis may have lost them
    stop : ends the pauses after failures
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        channel: str,
        symbols: tuple[str, ...],
        stop: stopping.Stop,
        counted: figures.Figures,
    ) -> None:
        self._client: Any = client
        self._stream = f"bars:{channel}"
        self._subscriptions = f"subscriptions:{channel}"
        self._symbols = symbols
        self._stop = stop
        self._counted = counted
        self._position = "0-0"
        self._failures = 0

    def seek(self, end: times.Nanos) -> None:
        """Go on behind the slice that ended at ``end``."""
        self._position = f"{end // _MILLISECOND}-{_LAST_OF_MILLISECOND}"

    def read(self) -> list[Entry]:
        """Wait a moment for entries; empty when none came. An entry that cannot be read is None."""
        self._stop.check()
        try:
            self._client.sadd(self._subscriptions, *self._symbols)
            answer = self._client.xread({self._stream: self._position}, block=int(_BLOCK_S * 1000), count=_COUNT)
        except (redis_exceptions.RedisError, OSError) as error:
            self._counted.failures.labels("redis").inc()
            log.warning("bar stream lost", error=f"{type(error).__name__}: {error}")
            self._stop.back_off(self._failures)
            self._failures += 1
            return []
        self._failures = 0
        found: list[Entry] = []
        for entry_id, fields in _entries(answer):
            self._position = entry_id
            found.append(self._parsed(entry_id, fields))
        return found

    def _parsed(self, entry_id: str, fields: dict[str, str]) -> Entry:
        try:
            return _ENTRY.validate_json(fields.get("message", ""))
        except pydantic.ValidationError as error:
            self._counted.slices_refused.inc()
            log.warning("entry refused", entry=entry_id, errors=error.error_count())
            return None


def _entries(answer: Any) -> list[tuple[str, dict[str, str]]]:
    """Return the entries of one stream; RESP3 connections answer a mapping of pages, RESP2 ones a list."""
    if isinstance(answer, dict):
        return [entry for pages in answer.values() for page in pages for entry in page]
    return [entry for _, entries in answer or () for entry in entries]
