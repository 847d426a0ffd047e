"""The two WebSocket streams: trade updates, and bars.

Each connection has its own queue and its own writer, so that one client that does not read delays nobody for longer
than ``_PATIENCE_S``; then it is closed. Nothing is kept for a client that is not connected.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import msgpack  # type: ignore[import-untyped]  # published without type information
import orjson
import structlog
from starlette import websockets
from starlette.responses import Response

from tradeplane_engine.domain import bars, numbers, times
from tradeplane_simulator import book, credentials, metrics, render, sessions

_LOG = structlog.get_logger()
_PATIENCE_S = 5.0
_LOGIN_S = 10.0
_QUEUE_MAX = 10_000
# The client refuses frames above 1 MiB; 500 bars are about 60 KiB.
_BARS_PER_FRAME = 500
_TRY_AGAIN_LATER = 1013
_CHANNELS = (
    "trades",
    "quotes",
    "bars",
    "updatedBars",
    "dailyBars",
    "statuses",
    "lulds",
    "corrections",
    "cancelErrors",
)


class Connection:
    """One client: frames wait in a queue until its writer has sent them.

    Parameters
    ----------
    socket : an accepted WebSocket
    stream : its name in metrics and logs

    Attributes
    ----------
    message_pack, text_frames : how frames are written
    """

    def __init__(self, socket: websockets.WebSocket, *, stream: str) -> None:
        self._socket = socket
        self._queue: asyncio.Queue[bytes | str] = asyncio.Queue(_QUEUE_MAX)
        self.stream = stream
        self.account = ""
        self.listening = False
        self.symbols: dict[str, set[str]] = defaultdict(set)
        self.message_pack = False
        self.text_frames = False
        self.closed = asyncio.Event()
        self._counted = False

    @property
    def receives(self) -> bool:
        """Whether this client has asked for anything that may be sent to it."""
        return self.listening or any(self.symbols.values())

    def count(self, *, receives: bool) -> None:
        """Keep the gauge of receiving clients true."""
        if receives != self._counted:
            metrics.CONNECTIONS.labels(self.stream).inc(1 if receives else -1)
            self._counted = receives

    def put(self, frame: bytes | str) -> None:
        """Queue a frame; a client whose queue is full is dropped."""
        try:
            self._queue.put_nowait(frame)
        except asyncio.QueueFull:
            self.drop()

    def drop(self) -> None:
        """Give up on a client that does not read."""
        metrics.DROPPED.inc()
        _LOG.warning("slow client dropped", stream=self.stream, account=self.account)
        self.closed.set()

    async def drained(self) -> None:
        """Return when everything queued is written, or the connection is gone."""
        waits = [asyncio.ensure_future(self._queue.join()), asyncio.ensure_future(self.closed.wait())]
        try:
            done, _ = await asyncio.wait(waits, timeout=_PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not done:
            self.drop()

    async def write(self) -> None:
        """Send queued frames for as long as the connection lives."""
        while True:
            frame = await self._queue.get()
            try:
                if isinstance(frame, bytes):
                    await self._socket.send_bytes(frame)
                else:
                    await self._socket.send_text(frame)
            finally:
                self._queue.task_done()


class Hub:
    """All connected clients; implements the simulator's Audience.

    Parameters
    ----------
    keys : who may listen
    has_minutes : whether there are minutes to send, and not only days
    text_frames : whether trade updates come as text, as from Alpaca's live host, and not in binary frames
    most_trading : how many clients may listen to trade updates at once; None for any number
    """

    def __init__(
        self,
        keys: credentials.Keys,
        *,
        has_minutes: bool = False,
        text_frames: bool = False,
        most_trading: int | None = None,
    ) -> None:
        self._keys = keys
        self._offered = ("bars", "updatedBars", "dailyBars") if has_minutes else ("dailyBars",)
        self._connections: set[Connection] = set()
        self._text_frames = text_frames
        self._most_trading = most_trading

    def trade_updates(self, account: str, updates: Sequence[book.Update]) -> None:
        """Send an account's updates to those who listen to it."""
        clients = [found for found in self._connections if found.listening and found.account == account]
        for update in updates if clients else ():
            message = render.update(update)
            for client in clients:
                _say(client, message)

    def daily_bars(self, published: Sequence[bars.Bar]) -> None:
        """Send new days to those who subscribed to their symbols."""
        self._send_bars(published, "dailyBars", kind="d")

    def minute_bars(self, published: Sequence[bars.Bar]) -> None:
        """Send new minutes to those who subscribed to their symbols; none is ever revised here."""
        self._send_bars(published, "bars", kind="b")

    def _send_bars(self, published: Sequence[bars.Bar], channel: str, *, kind: str) -> None:
        for client in self._connections:
            symbols = client.symbols[channel]
            wanted = [bar for bar in published if symbols & {bar.symbol, "*"}]
            for first in range(0, len(wanted), _BARS_PER_FRAME):
                rows = wanted[first : first + _BARS_PER_FRAME]
                client.put(_bars_frame(rows, kind=kind, message_pack=client.message_pack))

    async def flush(self) -> None:
        """Return when every connected client has what was sent, or was given up."""
        if self._connections:
            await asyncio.gather(*(client.drained() for client in tuple(self._connections)))

    async def serve_trading(self, socket: websockets.WebSocket) -> None:
        """Serve ``/stream``: MessagePack for clients that ask for it, else JSON."""
        # Whose it is nobody knows at the handshake: the official client logs in after it.
        busy = sum(client.stream == "trading" and bool(client.account) for client in self._connections)
        if self._most_trading is not None and busy >= self._most_trading:
            metrics.REFUSALS.labels("trading").inc()
            await socket.send_denial_response(Response(status_code=429))
            return
        await socket.accept()
        client = Connection(socket, stream="trading")
        client.message_pack = socket.headers.get("content-type", "") == "application/msgpack"
        client.text_frames = self._text_frames
        await self._run(client, socket, self._trading)

    async def serve_data(self, socket: websockets.WebSocket) -> None:
        """Serve ``/v2/iex``: MessagePack for clients that ask for it, else JSON text."""
        await socket.accept()
        client = Connection(socket, stream="data")
        client.message_pack = socket.headers.get("content-type", "") == "application/msgpack"
        _tell(client, {"T": "success", "msg": "connected"})
        caller = self._keys.of_request(socket.headers)
        if caller is not None:
            _authenticate(client, caller)
        await self._run(client, socket, self._data)

    async def _run(
        self,
        client: Connection,
        socket: websockets.WebSocket,
        answer: Callable[[Connection, Any], bool],
    ) -> None:
        self._connections.add(client)
        tasks = [
            asyncio.ensure_future(client.write()),
            asyncio.ensure_future(self._read(client, socket, answer)),
            asyncio.ensure_future(client.closed.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connections.discard(client)
            client.count(receives=False)
            client.closed.set()
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception) and not isinstance(result, websockets.WebSocketDisconnect):
                    _LOG.warning("stream ended", stream=client.stream, error=type(result).__name__)
            with contextlib.suppress(RuntimeError, websockets.WebSocketDisconnect):
                await asyncio.wait_for(socket.close(_TRY_AGAIN_LATER), 1)

    async def _read(
        self,
        client: Connection,
        socket: websockets.WebSocket,
        answer: Callable[[Connection, Any], bool],
    ) -> None:
        deadline = asyncio.get_running_loop().time() + _LOGIN_S
        while True:
            left = None if client.account else max(deadline - asyncio.get_running_loop().time(), 0)
            try:
                message = await asyncio.wait_for(socket.receive(), left)
            except TimeoutError:
                _refuse_late_login(client)
                await client.drained()
                return
            if message["type"] == "websocket.disconnect":
                return
            raw = message.get("bytes") or (message.get("text") or "").encode()
            goes_on = answer(client, _parsed(raw, message_pack=client.message_pack))
            client.count(receives=client.receives)
            if not goes_on:
                await client.drained()
                return

    def _trading(self, client: Connection, message: Any) -> bool:
        action = message.get("action") if isinstance(message, dict) else None
        data = message.get("data") if isinstance(message, dict) else None
        data = data if isinstance(data, dict) else {}
        match action:
            case "authenticate" | "auth":
                source = data if action == "authenticate" else message
                key_id = str(source.get("key_id", source.get("key", "")))
                secret = str(source.get("secret_key", source.get("secret", "")))
                caller = self._keys.caller(key_id, secret)
                allowed = caller is not None and caller.may_trade
                if caller is not None and allowed:
                    client.account = caller.account
                    _LOG.info("stream connected", stream=client.stream, account=caller.account, key_id=caller.key_id)
                else:
                    _LOG.warning("stream refused", stream=client.stream, reason="unauthorized")
                    metrics.REFUSALS.labels(client.stream).inc()
                status = "authorized" if allowed else "unauthorized"
                _answer(client, "authorization", status=status, action="authenticate")
                return allowed
            case "listen" if not client.account:
                _answer(client, "authorization", status="unauthorized", action="listen")
                return True
            case "listen":
                wanted = data.get("streams")
                client.listening = isinstance(wanted, list) and "trade_updates" in wanted
                _answer(client, "listening", streams=["trade_updates"] if client.listening else [])
                return True
            case _:
                _say(client, {"action": "error", "data": {"error_message": "invalid action"}})
                return False

    def _data(self, client: Connection, message: Any) -> bool:
        action = message.get("action") if isinstance(message, dict) else None
        match action:
            case "auth":
                caller = self._keys.caller(str(message.get("key", "")), str(message.get("secret", "")))
                if client.account:
                    _fail(client, 403, "already authenticated")
                elif caller is None:
                    _LOG.warning("stream refused", stream=client.stream, reason="unauthorized")
                    _fail(client, 402, "auth failed")
                    return False
                else:
                    _authenticate(client, caller)
            case "subscribe" | "unsubscribe" if not client.account:
                _fail(client, 401, "not authenticated")
            case "subscribe" | "unsubscribe":
                _subscribe(client, message, self._offered, adding=action == "subscribe")
            case _:
                _fail(client, 400, "invalid syntax")
        return True


def _subscribe(client: Connection, message: dict[str, Any], offered: Sequence[str], *, adding: bool) -> None:
    wanted = {name: message[name] for name in message if name != "action" and message[name]}
    for name, symbols in wanted.items():
        if name not in _CHANNELS or not isinstance(symbols, list) or not all(isinstance(s, str) for s in symbols):
            _fail(client, 400, "invalid syntax")
            return
        if name not in offered:
            # A half subscription would look like a quiet market.
            only = ", ".join(offered)
            _fail(client, 410, f"invalid subscribe action for this feed: only {only} is offered, got {name}")
            return
    for name, symbols in wanted.items():
        known = client.symbols[name]
        client.symbols[name] = known | set(symbols) if adding else known - set(symbols)
    _tell(client, {"T": "subscription", **{name: sorted(client.symbols[name]) for name in _CHANNELS}})


def _authenticate(client: Connection, caller: credentials.Caller) -> None:
    client.account = caller.account
    _LOG.info("stream connected", stream=client.stream, account=caller.account, key_id=caller.key_id)
    _tell(client, {"T": "success", "msg": "authenticated"})


def _refuse_late_login(client: Connection) -> None:
    if client.stream == "data":
        _fail(client, 404, "auth timeout")
    else:
        _say(client, {"action": "error", "data": {"error_message": "auth timeout"}})


def _answer(client: Connection, stream: str, **data: Any) -> None:
    _say(client, {"stream": stream, "data": data})


def _say(client: Connection, message: dict[str, Any]) -> None:
    """Send a message of the trading stream."""
    frame: bytes = msgpack.packb(message) if client.message_pack else orjson.dumps(message)
    client.put(frame.decode() if client.text_frames and not client.message_pack else frame)


def _tell(client: Connection, message: dict[str, Any]) -> None:
    client.put(msgpack.packb([message]) if client.message_pack else orjson.dumps([message]).decode())


def _fail(client: Connection, code: int, message: str) -> None:
    _tell(client, {"T": "error", "code": code, "msg": message})


def _bars_frame(published: Sequence[bars.Bar], *, kind: str, message_pack: bool) -> bytes | str:
    labels = [_label(bar, kind) for bar in published]
    rows = [
        {"T": kind, "S": bar.symbol, **render.bar(bar, label)} for bar, label in zip(published, labels, strict=True)
    ]
    if not message_pack:
        return orjson.dumps(rows).decode()
    # MessagePack has no decimals: prices become the nearest doubles here, whose shortest text is the price again.
    for row, bar, label in zip(rows, published, labels, strict=True):
        row["t"] = msgpack.Timestamp(label // times.SECOND)
        prices = {"o": bar.open, "h": bar.high, "l": bar.low, "c": bar.close}
        row.update({name: float(numbers.price_text(price)) for name, price in prices.items()})
    return bytes(msgpack.packb(rows))


def _label(bar: bars.Bar, kind: str) -> times.Nanos:
    return sessions.midnight(sessions.new_york_date(bar.start)) if kind == "d" else bar.start


def _parsed(raw: bytes, *, message_pack: bool) -> Any:
    try:
        return msgpack.unpackb(raw) if message_pack else orjson.loads(raw)
    except (ValueError, msgpack.UnpackException):
        return None
