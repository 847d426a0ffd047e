"""The two streams, read by the unmodified official clients and by bare sockets."""

import asyncio
import contextlib
import json
import pathlib
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgpack
import pytest
import websockets
from alpaca.data.live import StockDataStream
from alpaca.trading.client import TradingClient
from alpaca.trading.requests import MarketOrderRequest
from alpaca.trading.stream import TradingStream

from support import simulator

PATIENCE_S = 10


@pytest.fixture
def venue(tmp_path: pathlib.Path) -> Iterator[simulator.Venue]:
    """A venue after the bars of its first session."""
    with simulator.threaded(tmp_path) as found:
        found.to_bars(0)
        yield found


@pytest.fixture
def client(venue: simulator.Venue) -> TradingClient:
    """The official client with a trading key."""
    return TradingClient(venue.key_id, venue.secret_key, url_override=venue.url)


@contextlib.asynccontextmanager
async def running(stream: TradingStream | StockDataStream) -> AsyncIterator[None]:
    """Run an official stream in this loop; ``stop`` would take up to five seconds."""
    task = asyncio.ensure_future(stream._run_forever())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await stream.close()


async def take(queue: "asyncio.Queue[Any]", count: int) -> list[Any]:
    """Wait for so many messages."""
    return [await asyncio.wait_for(queue.get(), PATIENCE_S) for _ in range(count)]


def order(symbol: str, side: str, quantity: float, name: str) -> MarketOrderRequest:
    """A market day order."""
    return MarketOrderRequest(symbol=symbol, qty=quantity, side=side, time_in_force="day", client_order_id=name)


async def login(venue: simulator.Venue, socket: websockets.ClientConnection) -> None:
    """Authenticate and listen on a bare trading socket."""
    await socket.send(json.dumps({"action": "auth", "key": venue.key_id, "secret": venue.secret_key}))
    await socket.recv()
    await socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
    await socket.recv()


async def test_check_57_updates_of_an_order_in_the_session(venue: simulator.Venue, client: TradingClient) -> None:
    """pending_new without an execution id, new, fill; decimals are texts and the position is signed."""
    venue.to_open(1)
    queue: asyncio.Queue[Any] = asyncio.Queue()
    stream = TradingStream(venue.key_id, venue.secret_key, raw_data=True, url_override=venue.stream_url)
    stream.subscribe_trade_updates(queue.put)
    async with running(stream):
        await asyncio.to_thread(venue.wait_for_stream, "trading")
        client.submit_order(order("AAPL", "sell", 10, "short"))
        messages = [message["data"] for message in await take(queue, 3)]
    assert [message["event"] for message in messages] == ["pending_new", "new", "fill"]
    assert [bool(message["execution_id"]) for message in messages] == [False, True, True]
    assert {message["timestamp"][:19] for message in messages} == {"2012-03-05T14:30:00"}
    fill = messages[2]
    assert (fill["price"], fill["qty"], fill["position_qty"]) == ("512.4487", "10", "-10")
    assert (fill["order"]["filled_qty"], fill["order"]["filled_avg_price"]) == ("10", "512.4487")
    assert [message["event_id"] for message in messages] == sorted(message["event_id"] for message in messages)


async def test_updates_of_queued_orders_come_in_order(venue: simulator.Venue, client: TradingClient) -> None:
    """Accepted at once; new and fill at the open; expired at the close for the symbol without a bar."""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    stream = TradingStream(venue.key_id, venue.secret_key, raw_data=True, url_override=venue.stream_url)
    stream.subscribe_trade_updates(queue.put)
    async with running(stream):
        await asyncio.to_thread(venue.wait_for_stream, "trading")
        client.submit_order(order("MSFT", "buy", 1, "m"))
        client.submit_order(order("IBM", "buy", 2, "i"))
        await asyncio.to_thread(venue.to_open, 1)
        await asyncio.to_thread(venue.to_close, 1)
        messages = [message["data"] for message in await take(queue, 6)]
    assert [(message["order"]["client_order_id"], message["event"]) for message in messages] == [
        ("m", "accepted"),
        ("i", "accepted"),
        ("m", "new"),
        ("i", "new"),
        ("i", "fill"),
        ("m", "expired"),
    ]


async def test_check_38_cancel_is_told(venue: simulator.Venue, client: TradingClient) -> None:
    """The event after a cancel carries the cancelled order, and parses to the client's own class."""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    stream = TradingStream(venue.key_id, venue.secret_key, url_override=venue.stream_url)
    stream.subscribe_trade_updates(queue.put)
    async with running(stream):
        await asyncio.to_thread(venue.wait_for_stream, "trading")
        found = client.submit_order(order("AAPL", "buy", 1, "a"))
        client.cancel_order_by_id(found.id)
        updates = await take(queue, 2)
    assert [(update.event, update.order.status.value) for update in updates] == [
        ("accepted", "accepted"),
        ("canceled", "canceled"),
    ]
    assert updates[1].order.id == found.id


@pytest.mark.parametrize(
    "message",
    [
        {"action": "authenticate", "data": {"key_id": "AKDEMO", "secret_key": "secret-of-demo"}},
        {"action": "auth", "key": "AKDEMO", "secret": "secret-of-demo"},
    ],
)
async def test_check_59_both_forms_of_login(venue: simulator.Venue, message: dict[str, Any]) -> None:
    """Either message authorizes; frames are binary and hold JSON."""
    async with websockets.connect(venue.stream_url) as socket:
        await socket.send(json.dumps(message))
        answer = await socket.recv()
        assert isinstance(answer, bytes)
        assert json.loads(answer) == {
            "stream": "authorization",
            "data": {"status": "authorized", "action": "authenticate"},
        }
        await socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}).encode())
        assert json.loads(await socket.recv()) == {"stream": "listening", "data": {"streams": ["trade_updates"]}}


async def test_check_59_listen_before_login(venue: simulator.Venue) -> None:
    """Nobody listens without a key."""
    async with websockets.connect(venue.stream_url) as socket:
        await socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        assert json.loads(await socket.recv()) == {
            "stream": "authorization",
            "data": {"status": "unauthorized", "action": "listen"},
        }


@pytest.mark.parametrize("key_id,secret", [("AKDEMO", "wrong"), ("AKDATA", "secret-of-data")])
async def test_check_60_wrong_key_or_scope(venue: simulator.Venue, key_id: str, secret: str) -> None:
    """A wrong secret and a key of scope data are unauthorized, and the connection ends."""
    async with websockets.connect(venue.stream_url) as socket:
        await socket.send(json.dumps({"action": "authenticate", "data": {"key_id": key_id, "secret_key": secret}}))
        assert json.loads(await socket.recv())["data"]["status"] == "unauthorized"
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(socket.recv(), PATIENCE_S)


@pytest.mark.parametrize("frame", ["no json", "[]", '{"action": "dance"}', b"\xff"])
async def test_a_message_that_is_not_understood_ends_the_connection(venue: simulator.Venue, frame: str | bytes) -> None:
    """The answer has no stream, as Alpaca's has none."""
    async with websockets.connect(venue.stream_url) as socket:
        await socket.send(frame)
        assert json.loads(await socket.recv()) == {"action": "error", "data": {"error_message": "invalid action"}}
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(socket.recv(), PATIENCE_S)


async def test_check_61_a_gap_is_not_replayed(venue: simulator.Venue, client: TradingClient) -> None:
    """What happens while nobody listens is seen by REST only."""
    async with websockets.connect(venue.stream_url) as socket:
        await login(venue, socket)
        client.submit_order(order("AAPL", "buy", 1, "before"))
        assert json.loads(await socket.recv())["data"]["event"] == "accepted"
    client.submit_order(order("AAPL", "buy", 1, "gap"))
    async with websockets.connect(venue.stream_url) as socket:
        await login(venue, socket)
        client.submit_order(order("AAPL", "buy", 1, "after"))
        assert json.loads(await socket.recv())["data"]["order"]["client_order_id"] == "after"
    assert client.get_order_by_client_id("gap").status.value == "accepted"


async def test_the_clock_answers_after_the_stream_was_written(venue: simulator.Venue, client: TradingClient) -> None:
    """When the move is answered, the fills are already in the client's socket: no further wait is needed."""
    async with websockets.connect(venue.stream_url) as socket:
        await login(venue, socket)
        client.submit_order(order("AAPL", "buy", 1, "a"))
        await socket.recv()
        await asyncio.to_thread(venue.to_open, 1)
        async with asyncio.timeout(1):
            events = [json.loads(await socket.recv())["data"]["event"] for _ in range(2)]
    assert events == ["new", "fill"]


async def test_check_70_daily_bars_by_the_official_stream(venue: simulator.Venue) -> None:
    """The session's bars arrive at their publication, with prices and an aware timestamp."""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    stream = StockDataStream(venue.data_key_id, venue.data_secret_key, url_override=venue.data_stream_url)
    stream.subscribe_daily_bars(queue.put, "AAPL", "MSFT")
    async with running(stream):
        await asyncio.to_thread(venue.wait_for_stream, "data")
        await asyncio.to_thread(venue.to_bars, 2)
        bars = await take(queue, 3)
    assert [(bar.symbol, bar.timestamp.isoformat(), bar.open, bar.close, bar.volume) for bar in bars] == [
        ("AAPL", "2012-03-05T05:00:00+00:00", 512.5, 505.0, 1001.0),
        ("AAPL", "2012-03-06T05:00:00+00:00", 504.0, 520.0, 1002.0),
        ("MSFT", "2012-03-06T05:00:00+00:00", 33.0, 32.75, 1002.0),
    ]


async def test_check_71_many_symbols_in_fragments(venue: simulator.Venue) -> None:
    """A subscription of 9000 symbols, which the client fragments, is acknowledged complete."""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    stream = StockDataStream(venue.data_key_id, venue.data_secret_key, url_override=venue.data_stream_url)
    stream.subscribe_daily_bars(queue.put, *(f"S{number}" for number in range(9000)), "IBM")
    async with running(stream):
        await asyncio.to_thread(venue.wait_for_stream, "data")
        await asyncio.to_thread(venue.to_bars, 1)
        (bar,) = await take(queue, 1)
    assert bar.symbol == "IBM"


async def converse(venue: simulator.Venue, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """Say each message on a JSON data socket and return the answers after the welcome."""
    answers: list[dict[str, Any]] = []
    async with websockets.connect(venue.data_stream_url) as socket:
        assert json.loads(await socket.recv()) == [{"T": "success", "msg": "connected"}]
        for message in messages:
            await socket.send(json.dumps(message))
            answers += json.loads(await socket.recv())
    return answers


AUTH = {"action": "auth", "key": "AKDATA", "secret": "secret-of-data"}


async def test_subscriptions_add_up_and_are_acknowledged_whole(venue: simulator.Venue) -> None:
    """Each answer names the complete set of every channel."""
    answers = await converse(
        venue,
        AUTH,
        {"action": "subscribe", "dailyBars": ["IBM"]},
        {"action": "subscribe", "dailyBars": ["AAPL"]},
        {"action": "unsubscribe", "dailyBars": ["IBM"]},
    )
    assert [answer.get("dailyBars") for answer in answers] == [None, ["IBM"], ["AAPL", "IBM"], ["AAPL"]]
    assert answers[1]["trades"] == answers[1]["updatedBars"] == []


async def test_check_72_errors_of_the_data_stream(venue: simulator.Venue) -> None:
    """Each misuse has Alpaca's code, and a channel that is not offered changes no subscription."""
    answers = await converse(
        venue,
        {"action": "subscribe", "dailyBars": ["IBM"]},
        AUTH,
        AUTH,
        {"action": "sing"},
        {"action": "subscribe", "dailyBars": ["IBM"], "bars": ["IBM"]},
        {"action": "subscribe", "dailyBars": "IBM"},
        {"action": "subscribe", "dailyBars": ["AAPL"]},
    )
    assert [answer.get("code") for answer in answers] == [401, None, 403, 400, 410, 400, None]
    assert answers[-1]["dailyBars"] == ["AAPL"]


async def test_check_72_wrong_secret_on_the_data_stream(venue: simulator.Venue) -> None:
    """402, then the connection ends."""
    async with websockets.connect(venue.data_stream_url) as socket:
        await socket.recv()
        await socket.send(json.dumps({"action": "auth", "key": "AKDATA", "secret": "wrong"}))
        assert json.loads(await socket.recv()) == [{"T": "error", "code": 402, "msg": "auth failed"}]
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(socket.recv(), PATIENCE_S)


async def test_bars_as_json_keep_their_digits(venue: simulator.Venue) -> None:
    """Without the MessagePack header a bar is JSON text with exact numbers."""
    async with websockets.connect(venue.data_stream_url) as socket:
        await socket.recv()
        for message in (AUTH, {"action": "subscribe", "dailyBars": ["*"]}):
            await socket.send(json.dumps(message))
            await socket.recv()
        await asyncio.to_thread(venue.to_bars, 1)
        frame = await asyncio.wait_for(socket.recv(), PATIENCE_S)
    assert isinstance(frame, str)
    assert re.search(r'"S":"IBM","t":"2012-03-05T05:00:00Z","o":198.5,"h":201,"l":198.5,"c":201,"v":1001', frame)
    assert [row["S"] for row in json.loads(frame)] == ["AAPL", "IBM"]


async def test_keys_in_the_handshake(venue: simulator.Venue) -> None:
    """The data stream also takes the key from the headers of its handshake, in MessagePack where asked."""
    headers = {
        "APCA-API-KEY-ID": venue.data_key_id,
        "APCA-API-SECRET-KEY": venue.data_secret_key,
        "Content-Type": "application/msgpack",
    }
    async with websockets.connect(venue.data_stream_url, additional_headers=headers) as socket:
        messages = [msgpack.unpackb(await socket.recv())[0] for _ in range(2)]
    assert [message["msg"] for message in messages] == ["connected", "authenticated"]
