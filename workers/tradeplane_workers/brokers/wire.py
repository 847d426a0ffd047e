"""HTTP for orders: one request, one answer, and the last check in the step in which the first byte leaves.

1. The connection is opened (or taken from the pool) by httpcore2 over :class:`Backend`, our own network backend.
2. Guard ``check-with-first-byte``: :meth:`Stream.write` asks the permit of the current request and, without giving
   control back to the event loop, writes. With asyncio's own loop that write is a ``send`` system call; uvloop would
   queue it, so the gateway runs without uvloop (docs/adr/0005-broker-adapter.md).
3. A request whose permit was never asked has sent nothing; every other one may have been read by the broker.

Nothing here repeats a request.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import httpcore2

from tradeplane_workers.brokers import port

_CONNECT_S = 3.0
# Below uvicorn's 5 s and every load balancer's: a connection that the other side is about to close is not used.
_KEEPALIVE_S = 4.0
_READ_BYTES = 64 * 1024


class PermitRefused(Exception):  # noqa: N818 - named for what happened
    """The permit said no; nothing was written."""


class Dispatch:
    """The state of one request on its way: its permit, and whether a byte has left."""

    def __init__(self, permit: port.Permit | None = None) -> None:
        self._permit = permit
        self.sent = False

    def pass_or_refuse(self) -> None:
        """Ask the permit before the first byte; raises PermitRefused."""
        if self.sent:
            return
        if self._permit is not None:
            reason = self._permit()
            if reason:
                raise PermitRefused(reason)
        self.sent = True


_CURRENT: ContextVar[Dispatch | None] = ContextVar("dispatch", default=None)


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and headers of a response, their names in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Stream(httpcore2.AsyncNetworkStream):
    """An open connection whose first write of a request is guarded by that request's permit."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore2's signature
        """Read what is there; raises httpcore2.ReadTimeout or ReadError."""
        try:
            async with asyncio.timeout(timeout):
                return await self._reader.read(min(max_bytes, _READ_BYTES))
        except TimeoutError as error:
            raise httpcore2.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as above
        """Write; the permit is asked first, and no other task runs between its answer and the system call."""
        if not buffer:
            return
        dispatch = _CURRENT.get()
        if dispatch is not None:
            dispatch.pass_or_refuse()
        try:
            self._writer.write(buffer)
            if self._writer.transport.get_write_buffer_size():
                async with asyncio.timeout(timeout):
                    await self._writer.drain()
        except TimeoutError as error:
            raise httpcore2.WriteTimeout(str(error)) from error
        except (OSError, RuntimeError) as error:
            raise httpcore2.WriteError(str(error)) from error

    async def aclose(self) -> None:
        """Drop the connection at once: a half-written request must not be completed later."""
        self._writer.transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> httpcore2.AsyncNetworkStream:
        """Upgrade to TLS; raises httpcore2.ConnectError or ConnectTimeout."""
        try:
            async with asyncio.timeout(timeout):
                await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        return self

    def get_extra_info(self, info: str) -> Any:
        """Say whether an idle connection is still usable, and what TLS agreed on."""
        if info == "is_readable":
            return self._reader.at_eof() or self._writer.transport.is_closing()
        if info == "ssl_object":
            return self._writer.get_extra_info("ssl_object")
        return None


class Backend(httpcore2.AsyncNetworkBackend):
    """Opens connections with asyncio; never counts as sending."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,  # noqa: ARG002 - asyncio sets TCP_NODELAY itself
    ) -> httpcore2.AsyncNetworkStream:
        """Open a TCP connection; raises httpcore2.ConnectError or ConnectTimeout."""
        local = None if local_address is None else (local_address, 0)
        try:
            async with asyncio.timeout(timeout):
                reader, writer = await asyncio.open_connection(host, port, local_addr=local)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        return Stream(reader, writer)


class Http:
    """A pool of connections to one base URL.

    Parameters
    ----------
    base_url : such as ``https://paper-api.example.com``, without a trailing slash
    headers : sent with every request
    timeout_s : longest wait for an answer; connecting has 3 s
    """

    def __init__(self, base_url: str, *, headers: dict[str, str], timeout_s: float) -> None:
        self._base_url = base_url
        self._headers = headers
        self._timeout = {"connect": _CONNECT_S, "read": timeout_s, "write": timeout_s, "pool": timeout_s}
        self._pool = httpcore2.AsyncConnectionPool(
            max_connections=8, keepalive_expiry=_KEEPALIVE_S, network_backend=Backend()
        )

    async def request(self, method: str, target: str, *, dispatch: Dispatch, body: bytes = b"") -> Answer:
        """Send one request and read the whole answer; raises PermitRefused and httpcore2's exceptions."""
        headers: dict[bytes | str, bytes | str] = dict(self._headers.items())
        if body:
            headers["Content-Type"] = "application/json"
        with _current(dispatch):
            response = await self._pool.request(
                method,
                self._base_url + target,
                headers=headers,
                content=body,
                extensions={"timeout": self._timeout},
            )
        named = {name.decode().lower(): value.decode("latin-1") for name, value in response.headers}
        return Answer(response.status, response.content, named)

    async def aclose(self) -> None:
        """Drop all connections."""
        await self._pool.aclose()


@contextlib.contextmanager
def _current(dispatch: Dispatch) -> Iterator[None]:
    # httpcore2 knows nothing of permits; it runs in this task, so a context variable reaches our stream.
    token = _CURRENT.set(dispatch)
    try:
        yield
    finally:
        _CURRENT.reset(token)
