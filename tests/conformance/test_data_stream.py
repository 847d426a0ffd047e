"""Conformance checks of the stream of market data: every channel, limits, errors, plans, and slow clients."""

import asyncio
import contextlib
import json
import pathlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgpack
import pytest
import websockets
from alpaca.data.live import StockDataStream
from alpaca.trading.client import TradingClient

from support import simulator
from support.conformance import PATIENCE_S, flat, moment, path
from tradeplane_simulator import connection

Start = Callable[..., tuple[simulator.Venue, TradingClient]]
NOTICES = [
    {"T": "s", "S": "AAPL", "sc": "H", "sm": "Trading Halt", "rc": "T12", "rm": "Information", "z": "C"},
    {"T": "l", "S": "AAPL", "u": 110, "d": 90, "i": "B", "z": "C"},
    {"T": "x", "S": "AAPL", "i": 1, "x": "V", "p": 100, "s": 100, "a": "C", "z": "C"},
    {
        "T": "c",
        "S": "AAPL",
        "x": "V",
        "oi": 1,
        "op": 100,
        "os": 100,
        "oc": ["@"],
        "ci": 7,
        "cp": 99.5,
        "cs": 50,
        "cc": ["@"],
        "z": "C",
    },
]
TOLD = moment("09:31:30")
REVISED = {"T": "u", "S": "AAPL", "t": moment("09:30"), "at": TOLD, "o": 100, "h": 105, "l": 100, "c": 101, "v": 7}


@contextlib.asynccontextmanager
async def running(stream: StockDataStream) -> AsyncIterator["asyncio.Future[None]"]:
    """Run an official stream in this loop; ``stop`` would take up to five seconds."""
    task = asyncio.ensure_future(stream._run_forever())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await stream.close()


class Socket:
    """A bare JSON client of a feed."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket

    async def read(self) -> list[dict[str, Any]]:
        """Wait for a frame."""
        return json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE_S))

    async def say(self, **message: Any) -> dict[str, Any]:
        """Send a message and return the answer."""
        await self.socket.send(json.dumps(message))
        (answer,) = await self.read()
        return answer


@contextlib.asynccontextmanager
async def connected(venue: simulator.Venue, feed: str, *, plan: str = "data") -> AsyncIterator[tuple[Socket, Any]]:
    """Connect to a feed with the key of a plan; gives the answer to the login too."""
    keys = {"data": (venue.data_key_id, venue.data_secret_key), "basic": (venue.basic_key_id, venue.basic_secret_key)}
    async with websockets.connect(venue.feed_url(feed)) as opened:
        socket = Socket(opened)
        assert await socket.read() == [{"T": "success", "msg": "connected"}]
        key, secret = keys[plan]
        yield socket, await socket.say(action="auth", key=key, secret=secret)


async def test_check_70_every_channel_reaches_its_handler(start: Start) -> None:
    """Of the official client: trades, quotes, bars, revised and daily bars, halts, corrections, cancelled trades."""
    told = [*({**one, "t": TOLD} for one in NOTICES), REVISED]
    minutes = [*path("AAPL", ["100", "101", "102"]), *flat("AAPL", "103", 1, start="15:59")]
    venue, _ = start(minutes, moment("09:29"), notices=told)
    heard: dict[str, list[Any]] = {}

    def handler(name: str) -> Any:
        async def take(message: Any) -> None:
            heard.setdefault(name, []).append(message)

        return take

    stream = StockDataStream(venue.data_key_id, venue.data_secret_key, url_override=venue.feed_url("sip"))
    stream.subscribe_trades(handler("trades"), "AAPL")
    stream.subscribe_quotes(handler("quotes"), "AAPL")
    stream.subscribe_bars(handler("bars"), "AAPL")
    stream.subscribe_updated_bars(handler("updatedBars"), "AAPL")
    stream.subscribe_trading_statuses(handler("statuses"), "AAPL")
    stream.register_trade_corrections(handler("corrections"))
    stream.register_trade_cancels(handler("cancelErrors"))
    ended = asyncio.Event()

    async def day(message: Any) -> None:
        heard.setdefault("dailyBars", []).append(message)
        ended.set()

    stream.subscribe_daily_bars(day, "AAPL")
    async with running(stream):
        await asyncio.to_thread(venue.wait_for_stream, "data")
        await asyncio.to_thread(venue.move, moment("16:05"))
        await asyncio.wait_for(ended.wait(), PATIENCE_S)
    assert {name: len(found) for name, found in heard.items()} == {
        "trades": 6,
        "quotes": 6,
        "bars": 3,
        "updatedBars": 1,
        "dailyBars": 1,
        "statuses": 1,
        "corrections": 1,
        "cancelErrors": 1,
    }
    assert all(message.timestamp.tzinfo is not None for found in heard.values() for message in found)
    assert [one.price for one in heard["trades"]] == [100, 101, 101, 102, 103, 103]
    assert (heard["updatedBars"][0].high, heard["updatedBars"][0].timestamp.isoformat()) == (
        105,
        "2012-03-02T14:30:00+00:00",
    )
    assert (heard["statuses"][0].status_code, heard["corrections"][0].corrected_price) == ("H", 99.5)


async def test_a_revised_bar_is_what_is_listed_from_then_on(start: Start) -> None:
    """Before it is told the first version stands."""
    venue, _ = start(path("AAPL", ["100", "101", "102"]), moment("09:31:15"), notices=[REVISED])
    headers = {"APCA-API-KEY-ID": venue.data_key_id, "APCA-API-SECRET-KEY": venue.data_secret_key}
    query = {"timeframe": "1Min", "start": moment("09:30")}
    seen = []
    for at in (moment("09:31:15"), TOLD):
        await asyncio.to_thread(venue.move, at)
        answer = await asyncio.to_thread(
            venue.client.get, f"{venue.url}/v2/stocks/AAPL/bars", params=query, headers=headers
        )
        seen.append([(row["h"], row["v"]) for row in answer.json()["bars"]])
    assert seen == [[(101, 100_000)], [(105, 7)]]


async def test_delayed_sip_is_a_quarter_of_an_hour_behind(start: Start) -> None:
    """The same messages, when the clock is 15 minutes on, and not before."""
    venue, _ = start(path("AAPL", ["100", "101", "102"]), moment("09:29"))
    async with connected(venue, "sip") as (sip, _), connected(venue, "delayed_sip", plan="basic") as (late, _):
        for socket in (sip, late):
            await socket.say(action="subscribe", trades=["AAPL"], bars=["AAPL"])
        await asyncio.to_thread(venue.move, moment("09:31:01"))
        now = await sip.read() + await sip.read() + await sip.read()
        await asyncio.to_thread(venue.move, moment("09:46:01"))
        first = await late.read()
        # A long step comes whole, in one frame: nothing of the delayed feed came with the first move.
        assert [(row["T"], row["t"]) for row in first][:2] == [("t", moment("09:30")), ("t", moment("09:31"))]
        assert [row["T"] for row in now] == ["t", "t", "t", "b"]
        assert [row for row in first if row["T"] == "b"] == [row for row in now if row["T"] == "b"]


async def test_the_test_stream_has_one_symbol(start: Start) -> None:
    """FAKEPACA, and nothing under any other name."""
    venue, _ = start([*flat("AAPL", "100", 2), *flat("IBM", "50", 2)], moment("09:29"))
    async with connected(venue, "test") as (socket, _):
        await socket.say(action="subscribe", trades=["*"], bars=["FAKEPACA", "IBM"])
        await asyncio.to_thread(venue.move, moment("09:30:30"))
        assert [(row["T"], row["S"], row["p"]) for row in await socket.read()] == [("t", "FAKEPACA", 100)]


async def test_check_71_symbols_beyond_the_plan(start: Start) -> None:
    """405, and what was subscribed before stays; bars have no limit."""
    venue, _ = start(flat("AAPL", "100", 5), moment("09:29"))
    thirty = [f"S{number}" for number in range(29)] + ["AAPL"]
    async with connected(venue, "iex", plan="basic") as (socket, _):
        assert len((await socket.say(action="subscribe", trades=thirty))["trades"]) == 30
        for more in ({"trades": ["ONE"]}, {"quotes": ["ONE"]}, {"quotes": ["*"]}):
            assert await socket.say(action="subscribe", **more) == {
                "T": "error",
                "code": 405,
                "msg": "symbol limit exceeded",
            }
        answer = await socket.say(action="subscribe", quotes=["AAPL"], bars=["*"])
        assert (len(answer["trades"]), answer["quotes"], answer["bars"]) == (30, ["AAPL"], ["*"])
        assert answer["corrections"] == answer["cancelErrors"] == answer["trades"]
        await asyncio.to_thread(venue.move, moment("09:30:30"))
        assert {(row["T"], row["S"]) for row in await socket.read()} == {("t", "AAPL"), ("q", "AAPL")}


async def test_check_72_a_plan_without_sip(start: Start) -> None:
    """409: the official client returns; the free feeds stay open to it."""
    venue, _ = start(flat("AAPL", "100", 5), moment("09:29"))

    async def nothing(_: Any) -> None:
        raise AssertionError("nothing may come")

    stream = StockDataStream(venue.basic_key_id, venue.basic_secret_key, url_override=venue.feed_url("sip"))
    stream.subscribe_trades(nothing, "AAPL")
    async with running(stream) as task:
        await asyncio.wait_for(task, PATIENCE_S)
    async with connected(venue, "sip", plan="basic") as (socket, answer):
        assert answer == {"T": "error", "code": 409, "msg": "insufficient subscription"}
        with pytest.raises(websockets.ConnectionClosed):
            await socket.read()
    for feed in ("iex", "delayed_sip", "test"):
        async with connected(venue, feed, plan="basic") as (_, answer):
            assert answer == {"T": "success", "msg": "authenticated"}


async def test_check_72_one_connection_of_an_account_on_a_feed(start: Start) -> None:
    """A second one is told 406 and closed, and may come once the first is gone; another feed is open meanwhile."""
    venue, _ = start(flat("AAPL", "100", 5), moment("09:29"), data_streams=1)
    async with connected(venue, "iex") as (first, _):
        async with connected(venue, "iex", plan="basic") as (second, answer):
            assert answer == {"T": "error", "code": 406, "msg": "connection limit exceeded"}
            with pytest.raises(websockets.ConnectionClosed):
                await second.read()
        async with connected(venue, "sip") as (_, answer):
            assert answer["msg"] == "authenticated"
        assert (await first.say(action="subscribe", trades=["AAPL"]))["trades"] == ["AAPL"]
    await asyncio.to_thread(venue.wait_for, "stream_clients", 0, stream="data")
    async with connected(venue, "iex") as (_, answer):
        assert answer["msg"] == "authenticated"


@pytest.mark.parametrize("code", [402, 406])
async def test_check_72_the_official_client_tries_again(start: Start, code: int) -> None:
    """After a wrong secret and after one connection too many, for ever."""
    venue, _ = start(flat("AAPL", "100", 5), moment("09:29"), data_streams=1)

    async def nothing(_: Any) -> None:
        raise AssertionError("nothing may come")

    secret = venue.data_secret_key if code == 406 else "secret-of-nobody"
    stream = StockDataStream(venue.data_key_id, secret, url_override=venue.data_stream_url)
    stream.subscribe_trades(nothing, "AAPL")
    async with connected(venue, "iex", plan="basic") as (_, answer):
        assert answer["msg"] == "authenticated"
        before = await asyncio.to_thread(venue.measured, "stream_refusals_total", stream="data")
        async with running(stream) as task:
            await asyncio.to_thread(venue.wait_for_more, "stream_refusals_total", before + 2, stream="data")
            assert not task.done()


async def test_message_pack_and_json_tell_the_same(start: Start) -> None:
    """Prices, sizes and instants, whichever form a client asks for."""
    venue, _ = start(path("AAPL", ["100.25", "101.1"]), moment("09:29"))
    headers = {
        "Content-Type": "application/msgpack",
        "APCA-API-KEY-ID": venue.data_key_id,
        "APCA-API-SECRET-KEY": venue.data_secret_key,
    }
    async with (
        websockets.connect(venue.feed_url("sip"), additional_headers=headers) as packed,
        connected(venue, "sip") as (plain, _),
    ):
        for _ in range(2):
            await packed.recv()
        await packed.send(msgpack.packb({"action": "subscribe", "trades": ["AAPL"], "quotes": ["AAPL"]}))
        await packed.recv()
        await plain.say(action="subscribe", trades=["AAPL"], quotes=["AAPL"])
        await asyncio.to_thread(venue.move, moment("09:30:30"))
        rows = msgpack.unpackb(await asyncio.wait_for(packed.recv(), PATIENCE_S), timestamp=3)
        texts = await plain.read()
    assert [{**row, "t": f"{row['t']:%Y-%m-%dT%H:%M:%SZ}"} for row in rows] == texts
    assert [row["T"] for row in texts] == ["q", "t"]


async def test_a_feed_that_there_is_not_is_refused_at_the_handshake(start: Start) -> None:
    """No connection is opened for it."""
    venue, _ = start(flat("AAPL", "100", 5), moment("09:29"))
    with pytest.raises(websockets.InvalidStatus):
        async with websockets.connect(venue.feed_url("overnight")):
            pass


async def test_check_74_a_slow_client_is_told_and_closed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """407; the clock goes on, and another client has everything."""
    monkeypatch.setattr(connection, "_PATIENCE_S", 0.3)
    monkeypatch.setattr(connection, "_FAREWELL_S", PATIENCE_S)
    symbols = [f"S{number:03}" for number in range(150)]
    found = sorted((one for symbol in symbols for one in flat(symbol, "100", 120)), key=lambda one: one.start)
    with simulator.threaded(tmp_path, minutes=found) as venue:
        dropped = venue.measured("slow_clients_total")
        async with (
            websockets.connect(venue.feed_url("sip"), max_queue=1) as opened,
            connected(venue, "sip") as (fast, _),
        ):
            slow = Socket(opened)
            await slow.read()
            await slow.say(action="auth", key=venue.data_key_id, secret=venue.data_secret_key)
            for socket in (slow, fast):
                await socket.say(action="subscribe", trades=["*"], quotes=["*"])
            moving = asyncio.ensure_future(asyncio.to_thread(venue.move, moment("11:30")))
            reading = asyncio.ensure_future(read(fast, 2 * 2 * 120 * len(symbols)))
            await asyncio.to_thread(venue.wait_for_more, "slow_clients_total", dropped + 1)
            rows = await everything(slow)
            await moving
            assert await reading == 2 * 2 * 120 * len(symbols)
    assert rows[-1] == {"T": "error", "code": 407, "msg": "slow client"}
    assert len(rows) < 2 * 2 * 120 * len(symbols)


async def read(socket: Socket, count: int) -> int:
    """Read at least so many rows and say how many it were."""
    found = 0
    while found < count:
        found += len(await socket.read())
    return found


async def everything(socket: Socket) -> list[Any]:
    """Read until the connection is closed."""
    rows: list[Any] = []
    with contextlib.suppress(websockets.ConnectionClosed):
        while True:
            rows += await socket.read()
    return rows


async def test_check_73_after_silence_the_client_comes_back_and_subscribes_again(tmp_path: pathlib.Path) -> None:
    """A clock that stands is a silent market: a client with a ``data_timeout`` connects anew, and hears everything."""
    with simulator.running(tmp_path, minutes=path("AAPL", ["100", "101", "102"])) as venue:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        stream = StockDataStream(
            venue.data_key_id, venue.data_secret_key, url_override=venue.data_stream_url, data_timeout=2
        )
        stream.subscribe_trades(heard.put, "AAPL")
        stream.subscribe_bars(heard.put, "AAPL")

        def connections() -> int:
            return sum(line.get("event") == "stream connected" for line in venue.lines)

        async with running(stream):
            await asyncio.to_thread(venue.wait, lambda: connections() >= 2, what="a second connection")
            await asyncio.to_thread(venue.wait_for_stream, "data")
            await asyncio.to_thread(venue.move, moment("09:31:30"))
            found = [await asyncio.wait_for(heard.get(), PATIENCE_S) for _ in range(4)]
    assert [type(one).__name__ for one in found] == ["Trade", "Trade", "Trade", "Bar"]
