"""The simulator on a dataset of minutes, read and traded by the unmodified official clients."""

import asyncio
import contextlib
import datetime as dt
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import websockets
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.live import StockDataStream
from alpaca.data.requests import StockBarsRequest, StockLatestBarRequest
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import MarketOrderRequest

from support import minute_data, simulator
from tradeplane_engine import errors
from tradeplane_engine.data import dataset as folders
from tradeplane_engine.domain import bars, orders, timeframes, times
from tradeplane_engine.venue import profile
from tradeplane_simulator import dataset

PATIENCE_S = 10
PROFILE = profile.named("realistic")
#: Two minutes before the open, forty after it, the last two of the session, one after it, and the next day's first.
EARLY = timeframes.Hours(minute_data.at("14:28"), minute_data.at("14:30"))
MORNING = timeframes.Hours(minute_data.at("14:30"), minute_data.at("15:10"))
CLOSING = timeframes.Hours(minute_data.at("20:58"), minute_data.at("21:00"))
LATE = timeframes.Hours(minute_data.at("21:00"), minute_data.at("21:01"))
NEXT = timeframes.Hours(minute_data.NEXT_DAY.start, times.Nanos(minute_data.NEXT_DAY.start + 2 * times.MINUTE))
PARTS = (EARLY, MORNING, CLOSING, LATE, NEXT)
#: IBM has no trade in the third, fourth and tenth to fourteenth minute after the open.
IBM_WITHOUT = (2, 3, *range(9, 14))
AAPL = [one for part in PARTS for one in minute_data.walk("AAPL", part)]
IBM = [one for part in PARTS for one in minute_data.walk("IBM", part, without=IBM_WITHOUT if part is MORNING else ())]
STARTS = {(one.symbol, one.start): one for one in (*AAPL, *IBM)}


@pytest.fixture
def venue(tmp_path: pathlib.Path) -> Iterator[simulator.Venue]:
    """A venue an hour before the open."""
    with simulator.threaded(tmp_path, minutes=[*AAPL, *IBM]) as found:
        yield found


@pytest.fixture
def data(venue: simulator.Venue) -> StockHistoricalDataClient:
    """The official data client with a key that may only read data."""
    return StockHistoricalDataClient(venue.data_key_id, venue.data_secret_key, url_override=venue.url)


@pytest.fixture
def trading(venue: simulator.Venue) -> TradingClient:
    """The official client with a trading key."""
    return TradingClient(venue.key_id, venue.secret_key, url_override=venue.url)


def moment(text: str) -> str:
    """Return an instant of the first day, given as ``14:30`` or ``14:30:01`` UTC."""
    return f"2012-03-02T{text}Z" if len(text) > 5 else f"2012-03-02T{text}:00Z"


def asked(
    data: StockHistoricalDataClient, timeframe: TimeFrame, *symbols: str, **more: Any
) -> dict[str, list[tuple[str, float, float, float]]]:
    """Start, open, close and volume of the bars found, by symbol."""
    start = dt.datetime(2012, 3, 2, 9, tzinfo=dt.UTC)
    request = StockBarsRequest(symbol_or_symbols=list(symbols), timeframe=timeframe, **{"start": start, **more})
    return {
        symbol: [(f"{bar.timestamp:%H:%M}", bar.open, bar.close, bar.volume) for bar in found]
        for symbol, found in data.get_stock_bars(request).data.items()
    }


def expected(found: list[bars.Bar]) -> list[tuple[str, float, float, float]]:
    """The same of the dataset's bars."""
    return [(times.text(one.start)[11:16], one.open / 1e4, one.close / 1e4, float(one.volume)) for one in found]


def test_minutes_are_known_when_they_are_published(venue: simulator.Venue, data: StockHistoricalDataClient) -> None:
    """A second after its end, and not before; a minute without a trade has no bar."""
    venue.move(moment("14:32:00"))
    minutes = asked(data, TimeFrame.Minute, "AAPL", "IBM")
    assert [row[0] for row in minutes["IBM"]] == ["14:28", "14:29", "14:30"]
    venue.move(moment("14:36:01"))
    minutes = asked(data, TimeFrame.Minute, "AAPL", "IBM")
    assert minutes["AAPL"] == expected(AAPL[:8])
    assert [row[0] for row in minutes["IBM"]] == ["14:28", "14:29", "14:30", "14:31", "14:34", "14:35"]


def test_longer_bars_are_made_of_the_known_minutes(venue: simulator.Venue, data: StockHistoricalDataClient) -> None:
    """On the clock, whatever the session is, as the real service does; the newest one is still growing."""
    venue.move(moment("14:37:30"))
    fives = asked(data, TimeFrame(5, TimeFrameUnit.Minute), "AAPL")["AAPL"]
    known = [one for one in AAPL if one.end <= minute_data.at("14:37")]
    assert [row[0] for row in fives] == ["14:25", "14:30", "14:35"]
    assert fives[-1] == ("14:35", known[-2].open / 1e4, known[-1].close / 1e4, known[-2].volume + known[-1].volume)
    hours = asked(data, TimeFrame.Hour, "AAPL")["AAPL"]
    assert hours == [("14:00", known[0].open / 1e4, known[-1].close / 1e4, float(sum(one.volume for one in known)))]


def test_pages_go_through_symbols_and_bars(venue: simulator.Venue) -> None:
    """The limit counts bars of all symbols; every bar comes once."""
    venue.move(moment("15:00:00"))
    query = {"symbols": "AAPL,IBM", "timeframe": "5Min", "start": moment("14:30"), "limit": "4", "feed": "iex"}
    headers = {"APCA-API-KEY-ID": venue.data_key_id, "APCA-API-SECRET-KEY": venue.data_secret_key}
    found: list[tuple[str, str]] = []
    while True:
        page = httpx2.get(f"{venue.url}/v2/stocks/bars", params=query, headers=headers, trust_env=False).json()
        found += [(symbol, row["t"][11:16]) for symbol, rows in page["bars"].items() for row in rows]
        if page["next_page_token"] is None:
            break
        query["page_token"] = page["next_page_token"]
    starts = ["14:30", "14:35", "14:40", "14:45", "14:50", "14:55"]
    # All of IBM's minutes from 14:39 to 14:43 are missing: that leaves 14:44 in one bucket and four in the other.
    assert found == [(symbol, start) for symbol in ("AAPL", "IBM") for start in starts]


def test_a_day_is_made_of_the_regular_session(venue: simulator.Venue, data: StockHistoricalDataClient) -> None:
    """Known after the close, without what traded before the open and after the close."""
    day = StockBarsRequest(
        symbol_or_symbols=["AAPL"], timeframe=TimeFrame.Day, start=dt.datetime(2012, 3, 1, tzinfo=dt.UTC)
    )
    venue.move(moment("21:00:00"))
    assert data.get_stock_bars(day).data == {}
    venue.move(moment("21:00:01"))
    (found,) = data.get_stock_bars(day).data["AAPL"]
    inside = [one for one in AAPL if minute_data.DAY.holds(one.start)]
    assert found.timestamp.isoformat() == "2012-03-02T05:00:00+00:00"
    assert (found.open, found.close) == (inside[0].open / 1e4, inside[-1].close / 1e4)
    assert found.volume == sum(one.volume for one in inside)


def test_the_latest_bar_is_the_newest_minute(venue: simulator.Venue, data: StockHistoricalDataClient) -> None:
    """Each symbol's own."""
    venue.move(moment("14:44:00"))
    found = data.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols=["AAPL", "IBM"]))
    assert {symbol: f"{bar.timestamp:%H:%M}" for symbol, bar in found.items()} == {"AAPL": "14:42", "IBM": "14:38"}


def test_a_timeframe_that_is_not_offered_is_refused_by_name(
    venue: simulator.Venue, data: StockHistoricalDataClient
) -> None:
    """Never answered with something else."""
    del venue
    with pytest.raises(Exception, match=r"1Min to 59Min, 1Hour to 23Hour, 1Day.* for this recording, got '5Month'"):
        data.get("/stocks/bars", {"symbols": "AAPL", "timeframe": "5Month"})


async def test_minutes_are_streamed_as_the_clock_moves(venue: simulator.Venue) -> None:
    """To an official client, in order, with the minute's start; a symbol without a trade is silent."""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    stream = StockDataStream(venue.data_key_id, venue.data_secret_key, url_override=venue.data_stream_url)
    stream.subscribe_bars(queue.put, "AAPL", "IBM")
    task = asyncio.ensure_future(stream._run_forever())
    try:
        await asyncio.to_thread(venue.wait_for_stream, "data")
        await asyncio.to_thread(venue.move, moment("14:34:01"))
        found = [await asyncio.wait_for(queue.get(), PATIENCE_S) for _ in range(10)]
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await stream.close()
    both = ["14:28", "14:29", "14:30", "14:31"]
    rows = [(bar.symbol, f"{bar.timestamp:%H:%M}") for bar in found]
    assert rows == [*((one, at) for at in both for one in ("AAPL", "IBM")), ("AAPL", "14:32"), ("AAPL", "14:33")]
    assert found[0].close == AAPL[0].close / 1e4


async def test_minutes_and_days_are_separate_subscriptions(venue: simulator.Venue) -> None:
    """Channels add up, and one that there is not is refused."""
    async with websockets.connect(venue.data_stream_url) as socket:
        await socket.recv()
        await socket.send(json.dumps({"action": "auth", "key": "AKDATA", "secret": "secret-of-data"}))
        await socket.recv()
        await socket.send(json.dumps({"action": "subscribe", "bars": ["IBM"], "updatedBars": ["IBM"]}))
        await socket.recv()
        await socket.send(json.dumps({"action": "subscribe", "dailyBars": ["AAPL"]}))
        (complete,) = json.loads(await socket.recv())
        await socket.send(json.dumps({"action": "subscribe", "imbalances": ["AAPL"]}))
        (refused,) = json.loads(await socket.recv())
        await asyncio.to_thread(venue.move, moment("14:32:01"))
        kinds = {row["T"] for _ in range(3) for row in json.loads(await socket.recv())}
    assert (complete["bars"], complete["updatedBars"], complete["dailyBars"]) == (["IBM"], ["IBM"], ["AAPL"])
    assert (refused["code"], kinds) == (400, {"b"})


def order(symbol: str, name: str, *, side: OrderSide = OrderSide.BUY) -> MarketOrderRequest:
    """A market day order for ten shares."""
    return MarketOrderRequest(symbol=symbol, qty=10, side=side, time_in_force=TimeInForce.DAY, client_order_id=name)


def filled(trading: TradingClient, name: str) -> tuple[str, str, str]:
    """Status, instant and price of an order."""
    found = trading.get_order_by_client_id(name)
    at = f"{found.filled_at:%d %H:%M:%S}" if found.filled_at else ""
    return str(found.status.value), at, str(found.filled_avg_price or "")


def price(symbol: str, start: times.Nanos) -> str:
    """What a buyer pays at a minute's open."""
    paid = PROFILE.fill_price(orders.Side.BUY, STARTS[symbol, start].open)
    return f"{paid / 1e4:.4f}".rstrip("0").rstrip(".")


def test_an_order_in_the_session_fills_at_the_next_minutes_open(venue: simulator.Venue, trading: TradingClient) -> None:
    """Not at the session's open, nor at that of the minute which is on."""
    venue.move(moment("14:35:01"))
    trading.submit_order(order("AAPL", "one"))
    assert filled(trading, "one")[0] == "new"
    venue.move(moment("14:36:00"))
    assert filled(trading, "one") == ("filled", "02 14:36:00", price("AAPL", minute_data.at("14:36")))


def test_an_order_waits_through_minutes_without_a_trade(venue: simulator.Venue, trading: TradingClient) -> None:
    """For its own symbol's next minute; others fill before it."""
    venue.move(moment("14:39:01"))
    for symbol in ("IBM", "AAPL"):
        trading.submit_order(order(symbol, symbol))
    venue.move(moment("14:43:30"))
    assert (filled(trading, "IBM")[0], filled(trading, "AAPL")[1]) == ("new", "02 14:40:00")
    venue.move(moment("14:44:00"))
    assert filled(trading, "IBM") == ("filled", "02 14:44:00", price("IBM", minute_data.at("14:44")))


def test_an_order_at_the_instant_of_an_open_fills_at_it(venue: simulator.Venue, trading: TradingClient) -> None:
    """Without any delay between a bar and the order, as in the engine."""
    venue.move(moment("14:50:00"))
    trading.submit_order(order("AAPL", "one"))
    assert filled(trading, "one")[2] == price("AAPL", minute_data.at("14:50"))


def test_an_order_before_the_open_waits_for_it(venue: simulator.Venue, trading: TradingClient) -> None:
    """Early minutes fill nothing."""
    venue.move(moment("14:29:30"))
    trading.submit_order(order("AAPL", "one"))
    assert filled(trading, "one")[0] == "accepted"
    venue.move(moment("14:30:00"))
    assert filled(trading, "one") == ("filled", "02 14:30:00", price("AAPL", minute_data.at("14:30")))


def test_an_order_ends_with_its_session(venue: simulator.Venue, trading: TradingClient) -> None:
    """Minutes after the close fill nothing; what is sent then waits for the next day's open."""
    venue.move(moment("20:59:01"))
    trading.submit_order(order("AAPL", "today"))
    venue.move(moment("21:00:01"))
    assert filled(trading, "today")[0] == "expired"
    trading.submit_order(order("AAPL", "tomorrow"))
    venue.move(moment("21:05"))
    assert filled(trading, "tomorrow")[0] == "accepted"
    venue.move("2012-03-05T14:30:00Z")
    assert filled(trading, "tomorrow") == ("filled", "05 14:30:00", price("AAPL", minute_data.NEXT_DAY.start))


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"timeframe": "5m"}, "wrong-timeframe: must be one of: 1d, 1m, got 5m"),
        ({"at": "2012-03-03T15:00:00Z"}, "outside-session: AAPL: 2012-03-03T15:00:00Z"),
        ({"at": "2012-03-02T14:30:30Z"}, "outside-session: AAPL: 2012-03-02T14:30:30Z"),
        ({"at": "2012-03-03T01:00:00Z"}, "outside-session: AAPL: 2012-03-03T01:00:00Z"),
    ],
)
def test_a_dataset_that_does_not_fit_the_clock_is_refused(
    tmp_path: pathlib.Path, changed: dict[str, str], said: str
) -> None:
    """Bars of days without a session, off the minute, or outside all hours of trading."""
    start = times.instant(changed.get("at", "2012-03-02T14:30:00Z"))
    manifest = {"name": "bad", "timeframe": changed.get("timeframe", "1m"), "origin": "test", "licence": "none"}
    found = sorted([minute_data.minute("AAPL", "14:40"), minute_data.minute("AAPL", start)], key=lambda one: one.start)
    folders.write(tmp_path, manifest=manifest, found=found, actions=[])
    with pytest.raises(errors.DataRefused, match=said):
        dataset.read(tmp_path)
