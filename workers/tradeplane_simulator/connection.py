"""One client of a stream: a queue of frames, a writer, and a reader that hands each message to the stream's protocol.

A client that does not read delays nobody for longer than ``_PATIENCE_S``; then it is closed, and nothing is kept for
it. What it can hold in memory meanwhile is bounded by its queue.
"""

import abc
import asyncio
import contextlib
from typing import Any

import msgpack  # type: ignore[import-untyped]  # published without type information
import orjson
import structlog
from starlette import websockets

from tradeplane_simulator import credentials, metrics
from tradeplane_simulator.faults import plan as plans

_LOG = structlog.get_logger()
_PATIENCE_S = 5.0
_LOGIN_S = 10.0
_FAREWELL_S = 1.0
_QUEUE_MAX = 10_000
_TRY_AGAIN_LATER = 1013

Frame = bytes | str


class Connection(abc.ABC):
    """One client: frames wait in a queue until its writer has sent them.

    Parameters
    ----------
    socket : an accepted WebSocket
    stream : its name in metrics and logs
    plan : the faults that its frames may meet

    Attributes
    ----------
    account : whose key it has given; empty before
    message_pack : whether frames are written as MessagePack, which the client asks for in its handshake
    closed : set when the client was given up
    """

    def __init__(self, socket: websockets.WebSocket, *, stream: str, plan: plans.Plan | None = None) -> None:
        self._socket = socket
        self._plan = plan
        self._mute = False
        self._swapped: list[Frame] = []
        self._code = _TRY_AGAIN_LATER
        self._queue: asyncio.Queue[Frame] = asyncio.Queue(_QUEUE_MAX)
        self.stream = stream
        self.account = ""
        self.message_pack = socket.headers.get("content-type", "") == "application/msgpack"
        self.closed = asyncio.Event()
        self._dropped = False
        self._counted = False

    @property
    @abc.abstractmethod
    def receives(self) -> bool:
        """Whether this client has asked for anything that may be sent to it."""

    @abc.abstractmethod
    def answer(self, message: Any) -> bool:
        """Answer a message of the client, None for one that cannot be read; False ends the connection."""

    @abc.abstractmethod
    def refuse_late_login(self) -> None:
        """Tell a client that has not logged in in time."""

    def farewell(self) -> Frame | None:
        """Return what a client is told that is given up, if anything."""
        return None

    def put(self, frame: Frame, *, event: str = "") -> None:
        """Queue a frame, which may meet a fault; a client whose queue is full is dropped.

        ``event`` is what it tells of an order; empty where it answers the client.
        """
        if self._mute:
            return
        fault = None if self._plan is None else self._plan.of_frame(self.stream, event, self.account)
        if fault is not None:
            self._meet(fault, frame)
        else:
            for each in (frame, *self._swapped):
                self._queue_up(each)
            self._swapped = []

    def _meet(self, fault: plans.FrameFault, frame: Frame) -> None:
        match fault.fault:
            case "twice":
                self._queue_up(frame)
                self._queue_up(frame)
            case "late":
                asyncio.get_running_loop().call_later(float(fault.seconds), self._queue_up, frame)
            case "swap":
                self._swapped.append(frame)
            case "mute":
                self._mute = True
            case "close":
                self._code = fault.code
                self.closed.set()
            case "replace":
                self._queue_up(self._encoded(fault.body, like=frame))
            case "insert":
                self._queue_up(frame)
                self._queue_up(self._encoded(fault.body, like=frame))

    def _encoded(self, body: Any, *, like: Frame) -> Frame:
        frame: bytes = msgpack.packb(body) if self.message_pack else orjson.dumps(body)
        return frame.decode() if isinstance(like, str) else frame

    def _queue_up(self, frame: Frame) -> None:
        try:
            self._queue.put_nowait(frame)
        except asyncio.QueueFull:
            self.drop()

    def drop(self) -> None:
        """Give up on a client that does not read."""
        if self._dropped:
            return
        self._dropped = True
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

    async def serve(self, *, goes_on: bool = True) -> None:
        """Read and write for as long as the connection lives; unless it ``goes_on``, only until all is written."""
        tasks = [
            asyncio.ensure_future(self._write()),
            asyncio.ensure_future(self._read() if goes_on else self.drained()),
            asyncio.ensure_future(self.closed.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._count(receives=False)
            self.closed.set()
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception) and not isinstance(result, websockets.WebSocketDisconnect):
                    _LOG.warning("stream ended", stream=self.stream, error=type(result).__name__)
            with contextlib.suppress(RuntimeError, TimeoutError, websockets.WebSocketDisconnect):
                await asyncio.wait_for(self._close(), _FAREWELL_S)

    def log_in(self, caller: credentials.Caller) -> None:
        """Remember whose connection it is."""
        self.account = caller.account
        _LOG.info("stream connected", stream=self.stream, account=caller.account, key_id=caller.key_id)

    def refuse_login(self, reason: str = "unauthorized") -> None:
        """Count a login that was refused."""
        _LOG.warning("stream refused", stream=self.stream, reason=reason)
        metrics.REFUSALS.labels(self.stream).inc()

    async def _write(self) -> None:
        while True:
            frame = await self._queue.get()
            try:
                await self._send(frame)
            finally:
                self._queue.task_done()

    async def _send(self, frame: Frame) -> None:
        if isinstance(frame, bytes):
            await self._socket.send_bytes(frame)
        else:
            await self._socket.send_text(frame)

    async def _close(self) -> None:
        frame = self.farewell() if self._dropped else None
        if frame is not None:
            await self._send(frame)
        await self._socket.close(self._code)

    async def _read(self) -> None:
        deadline = asyncio.get_running_loop().time() + _LOGIN_S
        while True:
            left = None if self.account else max(deadline - asyncio.get_running_loop().time(), 0)
            try:
                message = await asyncio.wait_for(self._socket.receive(), left)
            except TimeoutError:
                self.refuse_late_login()
                await self.drained()
                return
            if message["type"] == "websocket.disconnect":
                return
            raw = message.get("bytes") or (message.get("text") or "").encode()
            goes_on = self.answer(self._parsed(raw))
            self._count(receives=self.receives)
            if not goes_on:
                await self.drained()
                return

    def _parsed(self, raw: bytes) -> Any:
        try:
            return msgpack.unpackb(raw) if self.message_pack else orjson.loads(raw)
        except (ValueError, msgpack.UnpackException):
            return None

    def _count(self, *, receives: bool) -> None:
        """Keep the gauge of receiving clients true."""
        if receives != self._counted:
            metrics.CONNECTIONS.labels(self.stream).inc(1 if receives else -1)
            self._counted = receives
