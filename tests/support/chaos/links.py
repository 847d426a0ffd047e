"""What lies between the processes of a run: connections over real sockets that lose, repeat, delay and end."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Pair]]
Note = Callable[[str], None]

ORDER, CANCEL, LOOK_UP, LIST, OTHER = "order", "cancel", "look-up", "list", "other"
_NOT_FOUND = b'{"code":40410000,"message":"order not found"}'


@dataclass(frozen=True, slots=True)
class Fault:
    """What befalls message number ``number`` of a sort: of a request, a frame of a stream, or bytes."""

    sort: str
    number: int
    kind: str
    seconds: float = 0.0

    def __str__(self) -> str:
        """Show all of it."""
        return f"{self.kind} {self.sort} {self.number} {self.seconds:g}"


class Link:
    """A listener on loopback whose connections go to one server, over the faults of a run."""

    def __init__(self, connect: Connect, *, name: str, faults: list[Fault], note: Note, http: bool) -> None:
        self.orders: Counter[str] = Counter()
        """How often an order came whole out of the gateway, by client order id."""
        self.port = 0
        self._connect = connect
        self._name = name
        self._faults = {(each.sort, each.number): each for each in faults}
        self._note = note
        self._http = http
        self._seen: Counter[str] = Counter()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._is_down = False

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, limit=1 << 22)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """End every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def down(self, seconds: float = 0.0) -> None:
        """Be gone, for a while or for good."""
        self._is_down = True
        self.cut()
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self._mend)

    def heal(self) -> None:
        """Have no faults from now on."""
        self._faults.clear()
        self._mend()

    def close(self) -> None:
        """Be gone with everything that is on its way."""
        self.down()
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()

    def _mend(self) -> None:
        self._is_down = False

    def _fault(self, sort: str) -> Fault:
        self._seen[sort] += 1
        found = self._faults.pop((sort, self._seen[sort]), None)
        if found is None:
            return Fault(sort, 0, "")
        self._note(f"{self._name}: {found}")
        return found

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_down:
            writer.transport.abort()
            return
        self._writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError):
                if self._http:
                    await self._requests(reader, writer)
                else:
                    await self._bytes((reader, writer), await self._connect())
        finally:
            self._tasks.discard(task)
            writer.transport.abort()
            self._writers.discard(writer)

    # Bytes.

    async def _bytes(self, client: Pair, server: Pair) -> None:
        self._writers.add(server[1])
        ways = [
            asyncio.create_task(self._way(client[0], server[1], "ask")),
            asyncio.create_task(self._way(server[0], client[1], "answer")),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            server[1].transport.abort()
            self._writers.discard(server[1])

    async def _way(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, sort: str) -> None:
        with contextlib.suppress(OSError):
            while content := await source.read(65536):
                fault = self._fault(sort)
                if fault.kind == "lost":
                    return
                if fault.kind == "gone":
                    self.down(fault.seconds)
                    return
                if fault.kind == "delayed":
                    await asyncio.sleep(fault.seconds)
                sink.write(content)
                await sink.drain()

    # Requests.

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await _message(reader)
            if b"\r\nupgrade: websocket" in head.lower():
                await self._stream(head, (reader, writer))
                return
            sort = _sort(head)
            if sort == ORDER:
                self.orders[json.loads(body)["client_order_id"]] += 1
            fault = self._fault(sort)
            answer = await self._passed(head + body, fault, sort)
            if answer is None:
                return
            writer.write(answer)
            await writer.drain()

    async def _passed(self, request: bytes, fault: Fault, sort: str) -> bytes | None:
        if fault.kind == "lost":
            return None
        if fault.kind == "gone":
            self.down(fault.seconds)
            return None
        if fault.kind == "late":
            task = asyncio.create_task(self._later(request, fault.seconds))
            self._tasks.add(task)
            return None
        if fault.kind == "hidden":
            for _ in range(int(fault.seconds * 10)):
                self._faults.setdefault((sort, self._seen[sort] + 1 + _), Fault(sort, 0, "unseen"))
        if fault.kind in {"hidden", "unseen"}:
            return _answer("404 Not Found", _NOT_FOUND)
        if fault.kind == "busy":
            return _answer("503 Service Unavailable", b"")
        if fault.kind == "delayed":
            await asyncio.sleep(fault.seconds)
        answer = await self._asked(request)
        if fault.kind == "doubled":
            await self._asked(request)
        return None if fault.kind == "unanswered" else answer

    async def _later(self, request: bytes, seconds: float) -> None:
        await asyncio.sleep(seconds)
        with contextlib.suppress(OSError, EOFError):
            await self._asked(request)

    async def _asked(self, request: bytes) -> bytes:
        reader, writer = await self._connect()
        self._writers.add(writer)
        try:
            writer.write(request)
            head, body = await _message(reader)
            return head + body
        finally:
            writer.transport.abort()
            self._writers.discard(writer)

    # A stream: frames of the server, one by one.

    async def _stream(self, head: bytes, client: Pair) -> None:
        # Without compression a frame means the same wherever it stands.
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"sec-websocket-extensions")]
        server = await self._connect()
        self._writers.add(server[1])
        server[1].write(b"\r\n".join(lines))
        up = asyncio.create_task(self._raw(client[0], server[1]))
        try:
            client[1].write(await server[0].readuntil(b"\r\n\r\n"))
            await self._frames(server[0], client[1])
        finally:
            up.cancel()
            server[1].transport.abort()
            self._writers.discard(server[1])

    @staticmethod
    async def _raw(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while content := await source.read(65536):
                sink.write(content)

    async def _frames(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        held = b""
        while True:
            frame = await _frame(source)
            fault = self._fault("frame")
            if fault.kind in {"lost", "gone"}:
                if fault.kind == "gone":
                    self.down(fault.seconds)
                return
            if fault.kind == "delayed":
                await asyncio.sleep(fault.seconds)
            if fault.kind == "reordered" and not held:
                held = frame
                continue
            sink.write(frame * (2 if fault.kind == "doubled" else 1) + held)
            held = b""


def _sort(head: bytes) -> str:
    method, target, *_ = head.decode("latin-1").split(" ")
    path = target.partition("?")[0]
    if path.endswith("/decisions"):
        return "decision"
    if path == "/v2/orders:by_client_order_id":
        return LOOK_UP
    if path.startswith("/v2/orders"):
        return {"POST": ORDER, "DELETE": CANCEL}.get(method, LIST)
    return OTHER


def _answer(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head, await reader.readexactly(int(line[15:]))
    return head, b""


async def _frame(reader: asyncio.StreamReader) -> bytes:
    start = await reader.readexactly(2)
    length, more = start[1] & 127, b""
    if length >= 126:
        more = await reader.readexactly(2 if length == 126 else 8)
        length = int.from_bytes(more)
    return start + more + await reader.readexactly(length)
