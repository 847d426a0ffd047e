"""The hub with a client that stalls, made of bare ASGI messages."""

import asyncio
import json
from typing import Any

import pytest
from starlette import websockets

from tradeplane_engine.domain import numbers, orders, times
from tradeplane_simulator import book, connection, credentials, streams

AT = times.instant("2012-03-05T14:30:00Z")
ENTRY = credentials.AccountEntry.model_validate(
    {"name": "demo", "cash": "1", "keys": [{"key_id": "K", "secret_key": "s", "scope": "trading"}]}
)
LOGIN = [
    {"type": "websocket.connect"},
    {"type": "websocket.receive", "text": json.dumps({"action": "auth", "key": "K", "secret": "s"})},
    {"type": "websocket.receive", "text": json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}})},
]


class Client:
    """One end of a WebSocket: it logs in, then reads until ``stalled`` is set."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.stalled = False
        self.listening = asyncio.Event()
        for message in LOGIN:
            self.incoming.put_nowait(message)

    async def send(self, message: Any) -> None:
        """Take a message, or never come back."""
        if self.stalled and message["type"] == "websocket.send":
            await asyncio.Event().wait()
        self.sent.append(message)
        if b"listening" in (message.get("bytes") or b""):
            self.listening.set()

    def socket(self) -> websockets.WebSocket:
        """Return the server's end."""
        return websockets.WebSocket({"type": "websocket", "headers": []}, self.incoming.get, self.send)

    def events(self) -> list[str]:
        """Return the updates that arrived."""
        frames = [json.loads(message["bytes"]) for message in self.sent if message.get("bytes")]
        return [frame["data"]["event"] for frame in frames if frame.get("stream") == "trade_updates"]


def updates(count: int) -> list[book.Update]:
    """Some updates of one order."""
    order = book.Order(
        id="o",
        account="demo",
        sequence=1,
        client_order_id="c",
        symbol="AAPL",
        side=orders.Side.BUY,
        quantity=numbers.ONE_SHARE,
        intent="buy_to_open",
        status=book.Status.NEW,
        reserve=numbers.Money(0),
        submitted_at=AT,
        updated_at=AT,
        expires_at=AT,
        root="o",
        sent_at=AT,
        sent_quantity=numbers.ONE_SHARE,
    )
    return [book.Update(f"e{number}", "", order, AT) for number in range(count)]


@pytest.fixture
async def hub(monkeypatch: pytest.MonkeyPatch) -> streams.Hub:
    """A hub whose patience is short."""
    monkeypatch.setattr(connection, "_PATIENCE_S", 0.05)
    return streams.Hub(credentials.Keys((ENTRY,)))


async def connected(hub: streams.Hub, client: Client) -> "asyncio.Future[None]":
    """Serve a client until it listens."""
    serving = asyncio.ensure_future(hub.serve_trading(client.socket()))
    await asyncio.wait_for(client.listening.wait(), 5)
    return serving


async def test_flush_returns_after_everything_is_written(hub: streams.Hub) -> None:
    """A reading client has every update when the flush is over, in order."""
    client = Client()
    serving = await connected(hub, client)
    hub.trade_updates("demo", updates(50))
    await hub.flush()
    assert client.events() == [f"e{number}" for number in range(50)]
    serving.cancel()


async def test_a_stalled_client_is_given_up_and_others_go_on(hub: streams.Hub) -> None:
    """Nobody waits for a client that does not read for longer than the patience; it is disconnected."""
    stalled, reading = Client(), Client()
    ends = [await connected(hub, stalled), await connected(hub, reading)]
    stalled.stalled = True
    hub.trade_updates("demo", updates(3))
    await asyncio.wait_for(hub.flush(), 5)
    assert reading.events() == ["e0", "e1", "e2"]
    await asyncio.wait_for(ends[0], 5)
    assert not ends[1].done()
    ends[1].cancel()


async def test_a_full_queue_drops_the_client(hub: streams.Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory that one client can hold is bounded."""
    monkeypatch.setattr(connection, "_QUEUE_MAX", 10)
    client = Client()
    serving = await connected(hub, client)
    client.stalled = True
    hub.trade_updates("demo", updates(30))
    await asyncio.wait_for(serving, 5)
    assert client.sent[-1]["type"] == "websocket.close"


async def test_updates_of_another_account_are_not_sent(hub: streams.Hub) -> None:
    """A listener hears its own account only."""
    client = Client()
    serving = await connected(hub, client)
    hub.trade_updates("other", updates(1))
    await hub.flush()
    assert client.events() == []
    serving.cancel()
