"""The provider's WebSocket, JSON text form: authenticates, subscribes to bars, and reports what it sees.

Steps of one connection: await the welcome, authenticate, await the answer, subscribe to daily bars, await the complete
set of subscriptions; each within ``answer_timeout_s``. Minutes and their revisions are subscribed without a wait: their
refusal by a feed that has none must not cost the daily bars. Afterwards every bar row goes to the sink. When the
connection is lost, it is made again after a growing, jittered wait; nothing is replayed by the provider, so the sink is
told.
"""

import asyncio
import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
import websockets
from websockets.asyncio import client as websocket_client

from tradeplane_workers.market_data import provider, wire

log = structlog.get_logger(__name__)


#: A day so far, a minute, and a minute that a late trade changed.
DAILY, MINUTE, UPDATED_MINUTE = "d", "b", "u"
#: The channels of a subscription to days, and of one to minutes.
DAYS: Final = ("dailyBars",)
MINUTES: Final = ("bars", "updatedBars")


@dataclass(frozen=True, slots=True)
class Connected:
    """Days of ``symbols`` and minutes of ``minutes`` come in from now on; what ended before may have been missed."""

    symbols: frozenset[str]
    minutes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Disconnected:
    """Nothing comes in until the next :class:`Connected`."""

    reason: str


@dataclass(frozen=True, slots=True)
class RowReceived:
    """One row as the provider sent it; ``kind`` says of what, in the provider's letters."""

    symbol: str
    row: Mapping[str, Any]
    kind: str = DAILY


Event = Connected | Disconnected | RowReceived


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How the stream is kept.

    url : full address, feed included
    key_file : JSON file with a key that may only read data
    answer_timeout_s : for the connection and for each answer of the login
    ping_s : a peer that is silent for two of these is dead
    wait_first_s, wait_most_s : back-off between connections, before jitter
    """

    url: str
    key_file: Path
    answer_timeout_s: float = 5.0
    ping_s: float = 5.0
    wait_first_s: float = 0.2
    wait_most_s: float = 10.0


class ProviderStream:
    """Keeps one connection; call :meth:`subscribe` at any time.

    Parameters
    ----------
    settings : address, key, patience
    sink : called with each event, in order; must not block
    """

    def __init__(self, settings: StreamSettings, sink: Callable[[Event], None]) -> None:
        self._settings = settings
        self._sink = sink
        self._wanted: dict[tuple[str, ...], frozenset[str]] = {DAYS: frozenset(), MINUTES: frozenset()}
        self._connection: websocket_client.ClientConnection | None = None
        self._jitter = random.Random()  # noqa: S311 - spreads reconnections, protects nothing

    async def subscribe(self, symbols: Iterable[str], channels: tuple[str, ...] = DAYS) -> None:
        """Add ``symbols`` to ``DAYS`` or ``MINUTES``; they are asked for now and after every reconnect."""
        added = frozenset(symbols) - self._wanted[channels]
        self._wanted[channels] |= added
        if added and self._connection is not None:
            try:
                await self._connection.send(_subscribe_message(added, channels))
            except websockets.ConnectionClosed:
                log.info("subscription follows with the next connection", symbols=sorted(added))

    async def run(self) -> None:
        """Connect and read for ever."""
        failures = 0
        while True:
            reason = "closed by the provider"
            try:
                await self._connect_and_read()
            except (OSError, TimeoutError, websockets.WebSocketException, provider.ProviderFailedError) as error:
                reason = f"{type(error).__name__}: {error}"
            was_connected, self._connection = self._connection is not None, None
            failures = 0 if was_connected else failures + 1
            if was_connected:
                self._sink(Disconnected(reason))
            log.warning("provider stream lost", reason=reason, was_connected=was_connected)
            await asyncio.sleep(self._wait(failures))

    def _wait(self, failures: int) -> float:
        longest = min(self._settings.wait_first_s * 2.0**failures, self._settings.wait_most_s)
        return longest * self._jitter.uniform(0.5, 1.0)

    async def _connect_and_read(self) -> None:
        settings = self._settings
        async with websocket_client.connect(
            settings.url,
            open_timeout=settings.answer_timeout_s,
            ping_interval=settings.ping_s,
            ping_timeout=settings.ping_s,
            close_timeout=1.0,
            proxy=None,
        ) as connection:
            await self._log_in(connection)
            await self._ask_for_bars(connection)
            async for frame in connection:
                self._take(frame)

    async def _log_in(self, connection: websocket_client.ClientConnection) -> None:
        await self._answered(connection, "success", "connected")
        key = provider.read_key(self._settings.key_file)
        await connection.send(json.dumps({"action": "auth", "key": key.key_id, "secret": key.secret_key}))
        await self._answered(connection, "success", "authenticated")

    async def _ask_for_bars(self, connection: websocket_client.ClientConnection) -> None:
        # From here on subscribe() sends by itself, so that no symbol falls between the two.
        self._connection = connection
        if self._wanted[MINUTES]:
            # Not awaited: a feed that has no minutes answers with an error, which is logged, and days must go on.
            await connection.send(_subscribe_message(self._wanted[MINUTES], MINUTES))
        if not self._wanted[DAYS]:
            self._sink(Connected(frozenset()))
            return
        await connection.send(_subscribe_message(self._wanted[DAYS], DAYS))
        async with asyncio.timeout(self._settings.answer_timeout_s):
            while True:
                frame = await connection.recv()
                self._take(frame)
                if any(entry.get("T") == "subscription" for entry in _entries(frame)):
                    return

    async def _answered(self, connection: websocket_client.ClientConnection, kind: str, message: str) -> None:
        async with asyncio.timeout(self._settings.answer_timeout_s):
            frame = await connection.recv()
        for entry in _entries(frame):
            if entry.get("T") == kind and entry.get("msg") == message:
                return
        raise provider.ProviderFailedError(f"stream: expected {message!r}, got {str(frame)[:200]}")

    def _take(self, frame: str | bytes) -> None:
        for entry in _entries(frame):
            match entry.get("T"):
                case "d" | "b" | "u" as kind:
                    self._sink(RowReceived(str(entry.get("S", "")), entry, kind))
                case "subscription":
                    days, minutes = (frozenset(map(str, entry.get(names[0]) or ())) for names in (DAYS, MINUTES))
                    self._sink(Connected(days, minutes))
                case "error":
                    log.error("provider stream error", code=entry.get("code"), message=entry.get("msg"))
                case _:
                    log.debug("provider stream message ignored", kind=entry.get("T"))


def _subscribe_message(symbols: Iterable[str], channels: tuple[str, ...]) -> str:
    return json.dumps({"action": "subscribe"} | {name: sorted(symbols) for name in channels})


def _entries(frame: str | bytes) -> list[Mapping[str, Any]]:
    try:
        content = wire.loads(frame)
    except ValueError as error:
        raise provider.ProviderFailedError("stream: a frame is not JSON") from error
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise provider.ProviderFailedError("stream: a frame is not a list of objects")
    return content
