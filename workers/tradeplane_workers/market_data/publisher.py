"""The Redis side: which symbols are wanted, and the stream of slices and gap markers.

Entry ids are ``{end in milliseconds}-0`` for a slice, and ``{since in milliseconds}-{n}``, n > 0, for a gap marker, or
with the end of the newest slice for the marker of a revision, so that a reader finds its place by time, and Redis
itself refuses a slice that is older than the newest or repeated.
"""

from typing import Any

import pydantic
import redis.asyncio as redis_asyncio
from redis import exceptions as redis_exceptions

from tradeplane_engine.domain import times
from tradeplane_workers import messages

_MILLISECOND = 1_000_000
_LENGTH_MAX = 5000
_SYMBOLS: pydantic.TypeAdapter[str] = pydantic.TypeAdapter(messages.Symbol)


class AlreadyPublishedError(Exception):
    """The stream holds this end already, or a later one."""


class Publisher:
    """Writes ``bars:{timeframe}`` and reads ``subscriptions:{timeframe}``.

    Parameters
    ----------
    client : connection with decoded answers
    timeframe : name of the channel, such as ``1d`` or ``5m:extended``
    """

    def __init__(self, client: redis_asyncio.Redis, *, timeframe: str) -> None:
        self._client: Any = client
        self.channel = timeframe
        self._stream = f"bars:{timeframe}"
        self._subscriptions = f"subscriptions:{timeframe}"

    async def wanted(self) -> frozenset[str]:
        """Return the symbols that strategies asked for; entries that are no symbols are left out."""
        return frozenset(symbol for symbol in await self._client.smembers(self._subscriptions) if _is_symbol(symbol))

    async def last_end(self) -> times.Nanos | None:
        """Return the end of the newest slice in the stream, nothing when the stream is empty or gone."""
        newest = await self._client.xrevrange(self._stream, count=1)
        if not newest:
            return None
        milliseconds = int(str(newest[0][0]).partition("-")[0])
        return times.Nanos(milliseconds * _MILLISECOND)

    async def publish(self, message: messages.SliceMessage) -> None:
        """Append a slice; raises AlreadyPublishedError when the stream holds its end or a later one."""
        await self._append(f"{_milliseconds(message.end)}-0", message)

    async def mark_gap(self, message: messages.GapMessage) -> None:
        """Append a gap marker behind the slice that ended at ``since``."""
        await self._append(f"{_milliseconds(message.since)}-*", message)

    async def mark_revision(self, message: messages.RevisionMessage, *, newest: times.Nanos) -> None:
        """Append the marker of a revision behind the newest slice, which ended at ``newest``."""
        await self._append(f"{newest // _MILLISECOND}-*", message)

    async def _append(
        self, entry_id: str, message: messages.SliceMessage | messages.GapMessage | messages.RevisionMessage
    ) -> None:
        fields = {"message": message.model_dump_json()}
        try:
            await self._client.xadd(self._stream, fields, id=entry_id, maxlen=_LENGTH_MAX, approximate=True)
        except redis_exceptions.ResponseError as error:
            if "equal or smaller" not in str(error):
                raise
            raise AlreadyPublishedError(f"{self._stream} holds {entry_id} or a later entry") from error


def _milliseconds(text: str) -> int:
    return times.instant(text) // _MILLISECOND


def _is_symbol(text: str) -> bool:
    try:
        _SYMBOLS.validate_python(text)
    except pydantic.ValidationError:
        return False
    return True
