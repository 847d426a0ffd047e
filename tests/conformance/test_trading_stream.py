"""Conformance checks of the trading stream, and of the same updates as server-sent events."""

import asyncio
import contextlib
import json
import logging
import pathlib
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import msgpack
import pytest
import websockets
from alpaca.trading.client import TradingClient
from alpaca.trading.stream import TradingStream

from support import conformance, simulator, tcp_proxy
from support.conformance import PATIENCE_S, flat, moment, order, refusal, replayed, send

Start = Callable[..., tuple[simulator.Venue, TradingClient]]


async def test_check_57_an_order_is_told_in_its_order(start: Start) -> None:
    """pending_new without an execution id, new, fill; times always, decimals as text, the position signed."""
    venue, client = start(flat("AAPL", "100", 10), moment("09:31:30"))
    async with conformance.listening(venue) as updates:
        send(client, side="sell")
        venue.move(moment("09:32"))
        first, second, third = await updates.take(3)
    assert [one["event"] for one in (first, second, third)] == ["pending_new", "new", "fill"]
    assert (first["execution_id"], bool(second["execution_id"]), bool(third["execution_id"])) == (None, True, True)
    assert all(one["timestamp"] and one["at"] and one["event_id"] for one in (first, second, third))
    assert (third["price"], third["qty"], third["position_qty"]) == ("99.99", "10", "-10")
    assert (third["order"]["filled_qty"], third["order"]["filled_avg_price"]) == ("10", "99.99")
    assert first["event_id"] < second["event_id"] < third["event_id"]


async def test_parts_sum_to_the_order(start: Start) -> None:
    """Each tells of its own execution, the order in it of all so far; the last one is the fill."""
    venue, client = start(flat("AAPL", "100", 10, volume=100), moment("09:31:30"), profile="thin")
    async with conformance.listening(venue) as updates:
        sent = send(client, quantity=25)
        venue.move(moment("09:36"))
        told = (await updates.take(5))[2:]
    assert [(one["event"], one["qty"], one["position_qty"]) for one in told] == [
        ("partial_fill", "10", "10"),
        ("partial_fill", "10", "20"),
        ("fill", "5", "25"),
    ]
    assert [one["order"]["filled_qty"] for one in told] == ["10", "20", "25"]
    assert [one["order"]["status"] for one in told] == ["partially_filled", "partially_filled", "filled"]
    assert sum(Decimal(one["qty"]) for one in told) == Decimal(order(client, sent)["filled_qty"])
    rows = client.get("/account/activities/FILL", {"direction": "asc"})
    assert [(row["type"], row["qty"], row["cum_qty"], row["leaves_qty"]) for row in rows] == [
        ("partial_fill", "10", "10", "15"),
        ("partial_fill", "10", "20", "5"),
        ("fill", "5", "25", "0"),
    ]


async def test_check_58_a_tenth_of_the_fills_are_partial(start: Start) -> None:
    """Drawn by a seed: the parts of each order sum to it, and the last one is its fill."""
    options = ("--partial-fills", "0.1", "--seed", "7")
    venue, client = start(flat("AAPL", "100", 120), moment("09:31:30"), options=options)
    async with conformance.listening(venue) as updates:
        sent = [send(client, quantity=100) for _ in range(40)]
        venue.move(moment("09:40"))
        assert {order(client, one)["status"] for one in sent} == {"filled"}
        rows = client.get("/account/activities/FILL", {"direction": "asc"})
        told = [one for one in await updates.take(80 + len(rows)) if "qty" in one]
    parts: dict[str, list[Any]] = {}
    for one in told:
        parts.setdefault(one["order"]["id"], []).append(one)
    for found in parts.values():
        assert [one["event"] for one in found] == ["partial_fill"] * (len(found) - 1) + ["fill"]
        assert sum(Decimal(one["qty"]) for one in found) == Decimal(found[-1]["order"]["filled_qty"]) == 100
    partly = sum(len(found) > 1 for found in parts.values())
    assert (len(parts), 0 < partly < 12) == (40, True)
    assert client.get_open_position("AAPL").qty == "4000"


@pytest.mark.parametrize("seed,same", [("7", True), ("8", False)])
def test_what_is_drawn_depends_on_the_seed(tmp_path: pathlib.Path, seed: str, same: bool) -> None:
    """The same orders on the same minutes fill in the same parts, to the byte, and in others by another seed."""
    seen = []
    for number, each in enumerate(("7", seed)):
        folder = tmp_path / str(number)
        folder.mkdir()
        options = ("--partial-fills", "0.5", "--seed", each)
        with simulator.threaded(folder, minutes=flat("AAPL", "100", 30), options=options) as venue:
            client = conformance.client_of(venue)
            venue.move(moment("09:31:30"))
            for _ in range(10):
                send(client, quantity=100)
            venue.move(moment("09:50"))
            seen.append(client.get("/account/activities/FILL"))
    assert (seen[0] == seen[1]) == same


AUTHENTICATE = [
    {"action": "authenticate", "data": {"key_id": "AKDEMO", "secret_key": "secret-of-demo"}},
    {"action": "auth", "key": "AKDEMO", "secret": "secret-of-demo"},
]


@pytest.mark.parametrize("login", AUTHENTICATE, ids=["authenticate", "auth"])
@pytest.mark.parametrize("packed", [False, True], ids=["json", "msgpack"])
async def test_check_59_both_logins_in_both_forms(start: Start, login: dict[str, Any], packed: bool) -> None:
    """JSON in binary frames, MessagePack for who asks for it; listening comes after the login."""
    venue, client = start(flat("AAPL", "100", 10), moment("09:31:30"))
    headers = {"Content-Type": "application/msgpack"} if packed else {}
    pack, unpack = (msgpack.packb, msgpack.unpackb) if packed else (json.dumps, json.loads)
    listen = pack({"action": "listen", "data": {"streams": ["trade_updates"]}})
    async with websockets.connect(venue.stream_url, additional_headers=headers) as socket:
        await socket.send(listen)
        assert unpack(await socket.recv()) == {
            "stream": "authorization",
            "data": {"status": "unauthorized", "action": "listen"},
        }
        await socket.send(pack(login))
        assert unpack(await socket.recv()) == {
            "stream": "authorization",
            "data": {"status": "authorized", "action": "authenticate"},
        }
        await socket.send(listen)
        assert unpack(await socket.recv()) == {"stream": "listening", "data": {"streams": ["trade_updates"]}}
        await asyncio.to_thread(send, client)
        message = await socket.recv()
        assert isinstance(message, bytes)
        assert unpack(message)["data"]["event"] == "pending_new"


@pytest.mark.parametrize("options,kind", [((), bytes), (("--text-frames",), str)])
async def test_check_59_both_frames(start: Start, options: tuple[str, ...], kind: type) -> None:
    """Binary ones as from the paper host, or text; the official client reads either."""
    venue, client = start(flat("AAPL", "100", 10), moment("09:31:30"), options=options)
    async with conformance.listening(venue) as updates, websockets.connect(venue.stream_url) as socket:
        await socket.send(json.dumps(AUTHENTICATE[0]))
        assert isinstance(await socket.recv(), kind)
        send(client)
        assert await updates.events(2) == ["pending_new", "new"]


async def test_check_60_a_wrong_key_is_refused_again_and_again(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """The official client keeps trying; each time the venue says no, and counts it."""
    venue, _ = start(flat("AAPL", "100", 10), moment("09:31:30"))
    stream = TradingStream(venue.key_id, "wrong", url_override=venue.stream_url)

    async def nothing(_: Any) -> None:
        """Take an update."""

    stream.subscribe_trade_updates(nothing)
    with caplog.at_level(logging.WARNING):
        task = asyncio.ensure_future(stream._run_forever())
        try:
            await asyncio.to_thread(venue.wait_for, "stream_refusals_total", 2, stream="trading")
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await stream.close()
    assert "failed to authenticate" in caplog.text


async def test_check_61_after_a_dropped_connection_the_client_comes_back(start: Start) -> None:
    """What happened meanwhile comes on no socket; REST shows it."""
    venue, client = start(flat("AAPL", "100", 10), moment("09:31:30"))
    with tcp_proxy.TcpProxy(int(venue.listen.rpartition(":")[2])).serving() as proxy:
        async with conformance.listening(venue, f"ws://127.0.0.1:{proxy.port}/stream") as updates:
            first = send(client, kind="limit", limit_price="90")
            assert await updates.events(2) == ["pending_new", "new"]
            proxy.cut()
            await asyncio.to_thread(venue.wait_for_stream, "trading", 0)
            second = send(client, kind="limit", limit_price="91")
            proxy.mend()
            await asyncio.to_thread(venue.wait_for_stream, "trading", 1)
            client.cancel_order_by_id(first["id"])
            (told,) = await updates.take(1)
            assert (told["event"], told["order"]["id"], updates.waiting) == ("canceled", first["id"], 0)
    assert order(client, second)["status"] == "new"


async def test_check_61_after_a_restart_of_the_server_the_client_comes_back(tmp_path: pathlib.Path) -> None:
    """Killed with a client that listens, and started again."""
    with simulator.running(tmp_path, minutes=flat("AAPL", "100", 10)) as venue:
        client = conformance.client_of(venue)
        venue.move(moment("09:31:30"))
        async with conformance.listening(venue) as updates:
            sent = send(client, kind="limit", limit_price="90")
            assert await updates.events(2) == ["pending_new", "new"]
            await asyncio.to_thread(venue.kill)
            await asyncio.to_thread(venue.start)
            await asyncio.to_thread(venue.wait_for_stream, "trading", 1)
            client.cancel_order_by_id(sent["id"])
            assert await updates.events(1) == ["canceled"]


async def test_check_62_a_second_connection_is_refused_at_the_handshake(start: Start) -> None:
    """429 while the first one is there; then it may come."""
    venue, _ = start(flat("AAPL", "100", 10), moment("09:31:30"), options=("--trading-streams", "1"))
    async with conformance.listening(venue):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(venue.stream_url)
        assert refused.value.response.status_code == 429
    await asyncio.to_thread(venue.wait_for_stream, "trading", 0)
    async with conformance.listening(venue):
        pass


async def test_check_64_events_are_replayed_after_a_gap_and_go_on_live(start: Start) -> None:
    """From an id on, in the order of ids, then what comes, to the id that ends them."""
    venue, client = start(flat("AAPL", "100", 10), moment("09:31:30"))
    orders = [send(client, kind="limit", limit_price=str(price)) for price in range(90, 95)]
    everything = replayed(venue, since=moment("09:30"), until=moment("09:31:00"))
    assert everything == []
    venue.move(moment("09:31:45"))
    everything = replayed(venue, since=moment("09:31"), until=moment("09:31:40"))
    ids = [one["event_id"] for one in everything]
    assert [one["event"] for one in everything] == ["pending_new", "new"] * 5
    assert ids == sorted(ids)
    part = replayed(venue, since_id=ids[3], until_id=ids[7])
    assert [one["event_id"] for one in part] == ids[4:8]
    headers = {"APCA-API-KEY-ID": venue.key_id, "APCA-API-SECRET-KEY": venue.secret_key}
    async with _events(venue, headers, since_id=ids[8]) as told:
        assert (await told())["event_id"] == ids[9]
        await asyncio.to_thread(client.cancel_order_by_id, orders[2]["id"])
        last = await told()
        assert (last["event"], last["order"]["id"], last["event_id"] > ids[9]) == ("canceled", orders[2]["id"], True)
    async with _events(venue, headers) as told:  # without a start nothing of the past
        await asyncio.to_thread(client.cancel_order_by_id, orders[3]["id"])
        assert (await told())["order"]["id"] == orders[3]["id"]


@contextlib.asynccontextmanager
async def _events(venue: simulator.Venue, headers: dict[str, str], **query: str) -> AsyncIterator[Callable[[], Any]]:
    async with (
        conformance.httpx2.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client,
        client.stream("GET", f"{venue.url}/v2/events/trades", params=query, headers=headers) as answer,
    ):
        lines = answer.aiter_lines()
        assert await anext(lines) == ": connected"

        async def told() -> Any:
            async for line in lines:
                if line.startswith("data: "):
                    return json.loads(line[6:])
            raise AssertionError("the stream ended")

        yield told


@pytest.mark.parametrize(
    "query,message",
    [
        ({"until": moment("09:31")}, "until requires since"),
        ({"until_id": "x"}, "until_id requires since_id"),
        ({"since": moment("09:31"), "since_id": "x"}, "since and since_id must not be mixed"),
        ({"since": "x"}, "since"),
    ],
)
def test_a_range_of_events_that_is_none_is_refused(start: Start, query: dict[str, str], message: str) -> None:
    """By the parameter."""
    _, client = start(flat("AAPL", "100", 10), moment("09:31:30"))
    error = refusal(lambda: client.get("/events/trades", query))
    assert (error.status_code, message in error.message) == (422, True)
