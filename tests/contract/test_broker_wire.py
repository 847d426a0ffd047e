"""Alpaca's adapter against servers that misbehave: what is known afterwards, and that nothing is sent twice."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, orders
from tradeplane_workers.brokers import alpaca, port

Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
KEY = alpaca.Credentials("key", "very-secret")
REQUEST = port.Request("t-1", "AAPL", orders.Side.BUY, numbers.quantity("0.000000001"))


class Server:
    """A TCP server that counts connections and keeps what it received."""

    def __init__(self, behave: Behave) -> None:
        self.received: list[bytes] = []
        self.url = ""
        self._behave = behave

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request, then behave."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0
            )
            self.received.append(head + await reader.readexactly(length))
            await self._behave(reader, writer)
        writer.close()


@contextlib.asynccontextmanager
async def serving(behave: Behave) -> AsyncIterator[Server]:
    """Run a server that behaves like this."""
    made = Server(behave)
    server = await asyncio.start_server(made.take, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


def answering(status: str, body: str, kind: str = "application/json") -> Behave:
    """Answer with a status line and a body."""

    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()

    return behave


async def closing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close without an answer."""
    writer.close()


async def hanging(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Never answer."""
    await reader.read()


async def half(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer half a body and close."""
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"id": "x"')
    await writer.drain()


def adapter(url: str) -> alpaca.Alpaca:
    """Return the adapter with a short patience."""
    return alpaca.Alpaca(url, "ws://127.0.0.1:1/stream", credentials=KEY, timeout_s=0.3)


def allowed() -> str:
    """A permit that lets everything go."""
    return ""


@pytest.mark.parametrize(
    "behave,expected",
    [
        (closing, port.Unknown),
        (hanging, port.Unknown),
        (half, port.Unknown),
        (answering("500 Oops", '{"code": 50010000, "message": "internal server error"}'), port.Unknown),
        (answering("502 Bad Gateway", "<html>bad gateway</html>", "text/html"), port.Unknown),
        (answering("504 Gateway Timeout", "<html/>", "text/html"), port.Unknown),
        (answering("200 OK", "<html>hello</html>", "text/html"), port.Unknown),
        (answering("200 OK", "{}"), port.Unknown),
        (answering("200 OK", ""), port.Unknown),
        (answering("302 Found", ""), port.Unknown),
        (answering("404 Not Found", "<html>no such route</html>", "text/html"), port.Unknown),
        (answering("403 Forbidden", "<html>blocked</html>", "text/html"), port.Unknown),
        (answering("429 Too Many Requests", "<html>slow down</html>", "text/html"), port.Unknown),
        (answering("429 Too Many Requests", '{"code": 42910000, "message": "rate limit exceeded"}'), port.NotSent),
        (answering("403 Forbidden", '{"code": 40310000, "message": "insufficient buying power"}'), port.Refused),
        (answering("401 Unauthorized", '{"message": "unauthorized."}'), port.Refused),
        (answering("422 Unprocessable", '{"code": 40010001, "message": "qty is required"}'), port.Refused),
        (
            answering("422 Unprocessable", '{"code": 40010001, "message": "client_order_id must be unique"}'),
            port.Unknown,
        ),
    ],
)
async def test_every_answer_has_its_outcome_and_nothing_is_sent_twice(behave: Behave, expected: type) -> None:
    """Only the broker's own clear word is a refusal; everything else after a byte is unknown."""
    async with serving(behave) as server:
        broker = adapter(server.url)
        outcome = await broker.submit(REQUEST, allowed)
        await broker.aclose()
        assert isinstance(outcome, expected)
        assert len(server.received) == 1


async def test_a_refused_connection_sent_nothing() -> None:
    """It may be sent again."""
    broker = adapter("http://127.0.0.1:1")
    outcome = await broker.submit(REQUEST, allowed)
    assert isinstance(outcome, port.NotSent)
    assert outcome.reason == "unreachable"


async def test_the_permit_is_asked_when_the_connection_is_open() -> None:
    """A connection that takes long is no hole: the answer is of the last instant, and no byte leaves."""
    async with serving(closing) as server:
        broker = adapter(server.url)
        assert await broker.submit(REQUEST, lambda: "halted") == port.NotSent("halted")
        await asyncio.sleep(0)
        assert server.received == []


async def test_no_task_runs_between_the_permit_and_the_first_byte() -> None:
    """A callback that was ready when the permit was asked runs only after the bytes are with the kernel."""
    seen: list[str] = []
    async with serving(answering("500 Oops", "{}")) as server:
        broker = adapter(server.url)

        def permit() -> str:
            asyncio.get_running_loop().call_soon(lambda: seen.append("other task"))
            seen.append("permit")
            return ""

        from tradeplane_workers.brokers import wire  # noqa: PLC0415 - patched for this test only

        original = wire.asyncio.StreamWriter.write

        def write(self: asyncio.StreamWriter, data: bytes) -> None:
            seen.append("write")
            original(self, data)
            assert self.transport.get_write_buffer_size() == 0

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(wire.asyncio.StreamWriter, "write", write)
            await broker.submit(REQUEST, permit)
        assert seen[:2] == ["permit", "write"]
        assert seen.index("write") < seen.index("other task")


async def test_quantities_leave_exactly_as_they_are() -> None:
    """A nanoshare is text, never a float."""
    async with serving(closing) as server:
        await adapter(server.url).submit(REQUEST, allowed)
        assert b'"qty":"0.000000001"' in server.received[0]


async def test_reading_is_repeated_and_then_says_unreachable() -> None:
    """A GET changes nothing, so it may be asked three times."""
    async with serving(answering("503 Away", "<html/>", "text/html")) as server:
        with pytest.raises(port.BrokerUnreachable):
            await adapter(server.url).account()
        assert len(server.received) == 3


async def test_a_404_without_the_brokers_own_words_is_no_answer() -> None:
    """A proxy's page must not make an order ``unseen``."""
    async with serving(answering("404 Not Found", "<html/>", "text/html")) as server:
        with pytest.raises(port.BrokerRefused):
            await adapter(server.url).order_by_client_id("t-1")


@pytest.mark.parametrize("url", ["", "api.example.com", "ftp://x"])
def test_an_empty_or_strange_url_is_refused(url: str) -> None:
    """An empty override must never mean the live venue."""
    with pytest.raises(errors.ValueRefused, match=r"broker\.urls\.trading"):
        alpaca.Alpaca(url, "ws://x/stream", credentials=KEY)


def test_credentials_do_not_show() -> None:
    """Neither in text nor in a traceback's locals by repr."""
    assert "very-secret" not in repr(KEY)
