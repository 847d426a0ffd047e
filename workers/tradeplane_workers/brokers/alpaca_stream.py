"""Alpaca's ``/stream``: authorise, listen, and only then say that events will come.

A gap is the caller's business: the stream ends by raising, the caller reconciles and connects again. Pings run every
second, because silence of a quiet account and of a dead peer look the same otherwise.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Any

import structlog
import websockets
from websockets.asyncio import client

from tradeplane_workers.brokers import alpaca_json, port

_log = structlog.get_logger(__name__)
_HANDSHAKE_S = 5.0
_PING_INTERVAL_S = 1.0
_PING_TIMEOUT_S = 3.0
_MAX_BYTES = 1 << 20


class Listening:
    """An authorised stream; iterate for its events. ``unreadable`` counts frames that could not be read."""

    def __init__(self, connection: client.ClientConnection) -> None:
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[port.Event]:
        """Yield events; raises BrokerUnreachable when the connection ends or a frame cannot be read.

        An unreadable frame may be a fill: ending the stream makes the caller reconcile, which is the cure.
        """
        while True:
            stream, data = _envelope(await _receive(self._connection))
            if stream == "trade_updates":
                yield alpaca_json.stream_event(data)
            else:
                _log.warning("broker stream frame ignored", stream=stream)


@contextlib.asynccontextmanager
async def listen(url: str, *, key_id: str, secret_key: str) -> AsyncIterator[Listening]:
    """Connect, authorise and listen; enters after the broker confirmed, raises BrokerError otherwise."""
    context = ssl.create_default_context() if url.startswith("wss://") else None
    try:
        async with client.connect(
            url,
            ssl=context,
            proxy=None,
            open_timeout=_HANDSHAKE_S,
            close_timeout=1,
            ping_interval=_PING_INTERVAL_S,
            ping_timeout=_PING_TIMEOUT_S,
            max_size=_MAX_BYTES,
        ) as connection:
            async with asyncio.timeout(_HANDSHAKE_S):
                await _authorise(connection, key_id=key_id, secret_key=secret_key)
            yield Listening(connection)
    except (OSError, websockets.WebSocketException, TimeoutError) as error:
        raise port.BrokerUnreachable(f"stream: {type(error).__name__}: {error}") from error


async def _authorise(connection: client.ClientConnection, *, key_id: str, secret_key: str) -> None:
    await connection.send(
        alpaca_json.dump({"action": "authenticate", "data": {"key_id": key_id, "secret_key": secret_key}})
    )
    stream, data = _envelope(await _receive(connection))
    if stream != "authorization" or data.get("status") != "authorized":
        raise port.BrokerRefused(401, "", f"stream authorization: {data.get('status')!r}")
    await connection.send(alpaca_json.dump({"action": "listen", "data": {"streams": ["trade_updates"]}}))
    stream, data = _envelope(await _receive(connection))
    if stream != "listening" or "trade_updates" not in data.get("streams", ()):
        raise port.BrokerRefused(403, "", f"stream listening: {data!r:.120}")


async def _receive(connection: client.ClientConnection) -> str | bytes:
    try:
        return await connection.recv()
    except websockets.ConnectionClosed as error:
        raise port.BrokerUnreachable(f"stream closed: {error}") from error


def _envelope(frame: str | bytes) -> tuple[str, Mapping[str, Any]]:
    value = alpaca_json.parse(frame)
    if not isinstance(value, Mapping):
        raise alpaca_json.Unreadable(f"stream frame: must be an object, got {value!r:.80}")
    if value.get("action") == "error":
        raise port.BrokerUnreachable(f"stream error: {value.get('data')!r:.200}")
    data = value.get("data")
    if not isinstance(data, Mapping):
        raise alpaca_json.Unreadable(f"stream frame: data must be an object, got {data!r:.80}")
    return str(value.get("stream", "")), data
