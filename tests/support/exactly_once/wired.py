"""A broker whose orders come over a real socket, through the gateway's own adapter, and go on when a test says so."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from support import broker as stand_in
from tradeplane_engine.domain import numbers, orders, times
from tradeplane_workers.brokers import alpaca, port


@dataclass
class Message:
    """An order on its way: what it says, and whom to answer."""

    body: dict[str, Any]
    writer: asyncio.StreamWriter
    has_arrived: bool = False


class WiredBroker(stand_in.StandInBroker):
    """One account; an order is in ``flight`` from its first byte, and look-ups wait for ``may_look``.

    Attributes
    ----------
    left : client order ids of all orders whose bytes left, in their order
    hidden : client order ids that look-ups and lists do not show yet
    """

    def __init__(self) -> None:
        super().__init__()
        self.flight: list[Message] = []
        self.left: list[str] = []
        self.hidden: set[str] = set()
        self.said: list[port.Event] = []
        self.may_look = asyncio.Event()
        self._adapter: alpaca.Alpaca | None = None

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listen for the length of a test."""
        server = await asyncio.start_server(self._receive, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        key = alpaca.Credentials("key", "secret")
        self._adapter = alpaca.Alpaca(url, "ws://127.0.0.1:1/stream", credentials=key, timeout_s=60)
        try:
            yield
        finally:
            for message in self.flight:
                message.writer.close()
            await self._adapter.aclose()
            server.close()

    async def submit(self, request: port.Request, permit: port.Permit) -> port.Outcome:
        """Send an order through the adapter."""
        assert self._adapter is not None
        return await self._adapter.submit(request, permit)

    def arrive(self, message: Message) -> None:
        """Take an order; a second one under the same id is refused."""
        message.has_arrived = True
        name = message.body["client_order_id"]
        if any(kept.report.client_order_id == name for kept in self.kept.values()):
            return
        self.hidden.add(name)
        self._accept(
            port.Request(
                name,
                message.body["symbol"],
                orders.Side(message.body["side"]),
                numbers.quantity(message.body["qty"]),
            )
        )

    def answer(self, message: Message) -> None:
        """Say that an order is taken."""
        name = message.body["client_order_id"]
        report = next(kept.report for kept in self.kept.values() if kept.report.client_order_id == name)
        told = {
            **message.body,
            "id": report.broker_order_id,
            "status": report.status,
            "filled_qty": numbers.quantity_text(report.filled),
            "submitted_at": times.text(report.submitted),
            "updated_at": times.text(report.at),
        }
        body = json.dumps(told)
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        message.writer.write((head + body).encode())
        message.writer.close()

    async def order_by_client_id(self, client_order_id: str) -> port.Event | None:
        """Look up, when it may."""
        await self.may_look.wait()
        return None if client_order_id in self.hidden else await super().order_by_client_id(client_order_id)

    async def orders(self, *, status: str, after: times.Nanos | None = None) -> tuple[port.Event, ...]:
        """List what is shown."""
        found = await super().orders(status=status, after=after)
        return tuple(event for event in found if event.client_order_id not in self.hidden)

    def _send(self, event: port.Event) -> None:
        self.said.append(event)

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:")
            body = json.loads(await reader.readexactly(length))
            self.left.append(body["client_order_id"])
            self.flight.append(Message(body, writer))
