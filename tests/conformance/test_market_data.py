"""Conformance checks of market data by REST: pages, adjustment, feeds and plans, and what was latest."""

import datetime as dt
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.enums import Adjustment, DataFeed, MarketType
from alpaca.data.historical import ScreenerClient, StockHistoricalDataClient
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.requests import (
    CorporateActionsRequest,
    MarketMoversRequest,
    MostActivesRequest,
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from alpaca.trading.client import TradingClient

from support import minute_data, simulator
from support.conformance import flat, moment, path, refusal, send
from tradeplane_engine.domain import times

Start = Callable[..., tuple[simulator.Venue, TradingClient]]
START = dt.datetime(2012, 3, 1, tzinfo=dt.UTC)
DAYS = {"AAPL": [("100", "100"), ("100", "102"), ("51", "50"), ("49", "49"), ("49", "48")]}
ACTIONS = [simulator.Action("AAPL", 2, split=(2, 1)), simulator.Action("AAPL", 3, dividend="1")]


def data_of(venue: simulator.Venue, *, plan: str = "data") -> StockHistoricalDataClient:
    """The official data client with the key of a plan."""
    keys = {"data": (venue.data_key_id, venue.data_secret_key), "basic": (venue.basic_key_id, venue.basic_secret_key)}
    return StockHistoricalDataClient(*keys[plan], url_override=venue.url)


def minutes(*symbols: str, **more: Any) -> StockBarsRequest:
    """Ask for minutes from before the recording."""
    return StockBarsRequest(symbol_or_symbols=list(symbols), **{"timeframe": TimeFrame.Minute, "start": START} | more)


def test_check_65_pages_of_25000_bars(tmp_path: pathlib.Path) -> None:
    """Three pages, sorted by symbol and then time, nothing twice; a limit counts in total."""
    days = simulator.sessions(15)
    mornings = [times.instant(f"{day.date}T10:00:00Z") for day in days]
    starts = [times.Nanos(at + number * times.MINUTE) for at in mornings for number in range(840)][:12_500]
    found = [minute_data.minute(symbol, start) for start in starts for symbol in ("AAPL", "IBM")]
    with simulator.threaded(tmp_path, minutes=found) as venue:
        venue.move("2012-03-24T00:00:00Z")
        bars = data_of(venue).get_stock_bars(minutes("IBM", "AAPL")).data
        assert [len(rows) for rows in bars.values()] == [12_500, 12_500]
        assert list(bars) == ["AAPL", "IBM"]
        for rows in bars.values():
            assert [int(row.timestamp.timestamp()) for row in rows] == [start // times.SECOND for start in starts]
        assert [row["path"] for row in venue.journal()].count("/v2/stocks/bars") == 3
        three = data_of(venue).get_stock_bars(minutes("IBM", "AAPL", limit=3)).data
        assert {symbol: len(rows) for symbol, rows in three.items()} == {"AAPL": 3}


@pytest.mark.parametrize(
    "adjustment,closes,volumes",
    [
        (Adjustment.RAW, [100, 102, 50, 49, 48], [1000, 1001, 1002, 1003, 1004]),
        (Adjustment.SPLIT, [50, 51, 50, 49, 48], [2000, 2002, 1002, 1003, 1004]),
        (Adjustment.DIVIDEND, [98, 99.96, 49, 49, 48], [1000, 1001, 1002, 1003, 1004]),
        (Adjustment.ALL, [49, 49.98, 49, 49, 48], [2000, 2002, 1002, 1003, 1004]),
    ],
)
def test_check_67_adjustment(
    tmp_path: pathlib.Path, adjustment: Adjustment, closes: list[float], volumes: list[float]
) -> None:
    """A split of two for one changes prices and volumes before it, a dividend of 1 from 50 prices alone."""
    asked = StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame.Day, start=START, adjustment=adjustment)
    with simulator.threaded(tmp_path, DAYS, actions=ACTIONS) as venue:
        venue.to_bars(4)
        found = data_of(venue).get_stock_bars(asked).data["AAPL"]
        assert [bar.close for bar in found] == closes
        assert [bar.volume for bar in found] == volumes


def test_check_67_an_action_that_is_not_known_yet_adjusts_nothing(tmp_path: pathlib.Path) -> None:
    """A split adjusts from its open on, and not a day before."""
    asked = StockBarsRequest(symbol_or_symbols="AAPL", timeframe=TimeFrame.Day, start=START, adjustment=Adjustment.ALL)
    with simulator.threaded(tmp_path, DAYS, actions=ACTIONS) as venue:
        venue.to_bars(1)
        assert [bar.close for bar in data_of(venue).get_stock_bars(asked).data["AAPL"]] == [100, 102]
        venue.to_open(2)
        assert [bar.close for bar in data_of(venue).get_stock_bars(asked).data["AAPL"]] == [50, 51]


def test_check_67_a_symbol_as_of_a_day(tmp_path: pathlib.Path) -> None:
    """FB became META in the third session: both names find all days, each as of a day on which it was the name."""
    prices: simulator.Prices = {
        "FB": [("10", "10"), ("11", "11"), None, None],
        "META": [None, None, ("12", "12"), ("13", "13")],
    }
    day = {"timeframe": "1Day", "start": "2012-03-01"}

    def closes(symbol: str, asof: str) -> list[float]:
        return [row["c"] for row in client.get(f"/stocks/{symbol}/bars", day | {"asof": asof} if asof else day)["bars"]]

    with simulator.threaded(tmp_path, prices, names=[("2012-03-06", "FB", "META")]) as venue:
        client = data_of(venue)
        venue.to_bars(1)
        assert (closes("FB", ""), closes("META", "")) == ([10, 11], [])
        venue.to_bars(3)
        assert (closes("META", ""), closes("META", "2012-03-06"), closes("META", "-")) == ([10, 11, 12, 13],) * 2 + (
            [12, 13],
        )
        assert (closes("FB", "2012-03-05"), closes("FB", "-"), closes("FB", "")) == (
            [10, 11, 12, 13],
            [10, 11],
            [10, 11],
        )
        assert closes("META", "2012-03-05") == [12, 13]
        actions = CorporateActionsClient(venue.data_key_id, venue.data_secret_key, url_override=venue.url)
        asked = CorporateActionsRequest(symbols=["META"], start=dt.date(2012, 3, 1), end=dt.date(2012, 3, 9))
        (change,) = actions.get_corporate_actions(asked).data["name_changes"]
        assert (change.old_symbol, change.new_symbol, change.process_date) == ("FB", "META", dt.date(2012, 3, 6))


def test_check_66_nothing_found_is_empty(start: Start) -> None:
    """An unknown symbol and an empty span give an empty result, whatever is asked for."""
    venue, _ = start(flat("AAPL", "100", 5), moment("09:32:30"))
    client = data_of(venue)
    early = START - dt.timedelta(days=9)
    for more in (
        {"symbol_or_symbols": "NOPE", "start": START},
        {"symbol_or_symbols": "AAPL", "start": early, "end": START},
    ):
        assert client.get_stock_bars(StockBarsRequest(timeframe=TimeFrame.Minute, **more)).data == {}
        assert client.get_stock_trades(StockTradesRequest(**more)).data == {}
        assert client.get_stock_quotes(StockQuotesRequest(**more)).data == {}
    assert client.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols="NOPE")) == {}


def test_weeks_and_months_are_made_of_days(tmp_path: pathlib.Path) -> None:
    """Under the Monday and the first of the month; a period's first open, last close and all of its volume."""
    with simulator.threaded(tmp_path, DAYS) as venue:
        venue.to_bars(4)
        client = data_of(venue)
        for unit, labels in ((TimeFrameUnit.Week, ["02-27", "03-05"]), (TimeFrameUnit.Month, ["03-01"])):
            asked = StockBarsRequest(
                symbol_or_symbols="AAPL", timeframe=TimeFrame(1, unit), start=START - dt.timedelta(days=9)
            )
            found = client.get_stock_bars(asked).data["AAPL"]
            assert [f"{bar.timestamp:%m-%d}" for bar in found] == labels
            assert (found[0].open, found[-1].close, sum(bar.volume for bar in found)) == (100, 48, 5010)
            assert found[-1].high == 102


def test_check_68_feeds_differ_and_plans_refuse(start: Start) -> None:
    """Iex has a share of the volume, delayed_sip is 15 minutes late, and a free key has neither sip nor its newest."""
    found = path("AAPL", [str(100 + number) for number in range(41)], volume=1000)
    venue, _ = start(found, moment("10:00"), options=("--iex-share", "0.025"))
    full, basic = data_of(venue), data_of(venue, plan="basic")
    volumes = {
        feed: {bar.volume for bar in full.get_stock_bars(minutes("AAPL", feed=feed)).data["AAPL"]}
        for feed in (DataFeed.SIP, DataFeed.IEX)
    }
    assert volumes == {DataFeed.SIP: {1000.0}, DataFeed.IEX: {25.0}}
    now = dt.datetime.fromisoformat(moment("10:00"))
    error = refusal(lambda: basic.get_stock_bars(minutes("AAPL", end=now)))
    assert (error.status_code, error.code) == (403, 40310000)
    assert error.message == "subscription does not permit querying recent SIP data"
    old = now - dt.timedelta(minutes=15)
    for asked in (minutes("AAPL", end=old), minutes("AAPL")):
        assert basic.get_stock_bars(asked).data["AAPL"][-1].timestamp == old
    assert basic.get_stock_bars(minutes("AAPL", feed=DataFeed.IEX, end=now)).data["AAPL"][-1].close == 129
    latest = {
        feed: full.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="AAPL", feed=feed))["AAPL"].price
        for feed in (DataFeed.SIP, DataFeed.IEX, DataFeed.DELAYED_SIP)
    }
    assert latest == {DataFeed.SIP: 130.0, DataFeed.IEX: 130.0, DataFeed.DELAYED_SIP: 115.0}
    asked_latest = StockLatestTradeRequest(symbol_or_symbols="AAPL", feed=DataFeed.SIP)
    assert refusal(lambda: basic.get_stock_latest_trade(asked_latest)).status_code == 403
    assert basic.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="AAPL"))["AAPL"].price == 130


def test_check_69_the_latest_of_everything(start: Start) -> None:
    """Before the open a snapshot has no daily bar, at first no previous one; in the session it grows."""
    found = [*flat("AAPL", "100", 5, start="09:00"), *path("AAPL", ["101", "103", "102"])]
    venue, _ = start(found, moment("09:03:30"))
    client = data_of(venue)
    one = {"symbol_or_symbols": "AAPL"}
    early = client.get_stock_snapshot(StockSnapshotRequest(**one))["AAPL"]
    assert (early.daily_bar, early.previous_daily_bar) == (None, None)
    assert (early.minute_bar.close, early.latest_trade.price) == (100, 100)
    venue.move(moment("09:32:30"))
    late = client.get_stock_snapshot(StockSnapshotRequest(**one))["AAPL"]
    assert (late.daily_bar.open, late.daily_bar.close, late.daily_bar.volume) == (101, 102, 200_000)
    assert client.get_stock_latest_bar(StockLatestBarRequest(**one))["AAPL"].close == 102
    assert client.get_stock_latest_trade(StockLatestTradeRequest(**one))["AAPL"].price == 102
    quote = client.get_stock_latest_quote(StockLatestQuoteRequest(**one))["AAPL"]
    assert quote.bid_price < 102 < quote.ask_price
    assert client.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols="NOPE")) == {}


def test_check_11_a_market_order_fills_at_the_quote(start: Start) -> None:
    """What is quoted at an instant is what an order pays that fills then."""
    venue, client = start(flat("AAPL", "100", 10), moment("09:31:30"))
    sent = send(client)
    venue.move(moment("09:32:00"))
    asked = StockLatestQuoteRequest(symbol_or_symbols="AAPL")
    quote = data_of(venue).get_stock_latest_quote(asked)["AAPL"]
    assert float(client.get_order_by_id(sent["id"]).filled_avg_price) == quote.ask_price


def test_trades_and_quotes_of_bars(start: Start) -> None:
    """Each minute gives its open and its close, at their instants and not before, in pages that join."""
    venue, _ = start(path("AAPL", ["100", "101", "102"]), moment("09:31"))
    client = data_of(venue)
    trades = client.get_stock_trades(StockTradesRequest(symbol_or_symbols="AAPL", start=START)).data["AAPL"]
    assert [(f"{one.timestamp:%H:%M}", one.price) for one in trades] == [
        ("14:30", 100),
        ("14:31", 101),
        ("14:31", 101),
    ]
    assert trades[0].conditions == ["O"]
    quotes = client.get_stock_quotes(StockQuotesRequest(symbol_or_symbols="AAPL", start=START)).data["AAPL"]
    prices = [(99.99, 100.01), (100.9899, 101.0101), (100.9899, 101.0101)]
    assert [(one.bid_price, one.ask_price) for one in quotes] == prices
    seen: list[Any] = []
    query = {"start": "2012-03-01", "limit": "1", "sort": "desc"}
    while True:
        page = client.get("/stocks/AAPL/trades", query)
        seen += page["trades"]
        if page["next_page_token"] is None:
            break
        query["page_token"] = page["next_page_token"]
    assert [one["i"] for one in seen] == [3, 2, 1]


def test_the_forms_of_one_symbol(start: Start) -> None:
    """Each listing, latest and snapshot also has a path with the symbol in it."""
    venue, _ = start(path("AAPL", ["100", "101", "102"]), moment("09:32:30"))
    client = data_of(venue)
    found = client.get("/stocks/AAPL/bars", {"timeframe": "1Min", "start": "2012-03-01"})
    assert ([row["c"] for row in found["bars"]], found["symbol"]) == ([101, 102], "AAPL")
    for name in ("bar", "trade", "quote"):
        answer = client.get(f"/stocks/AAPL/{name}s/latest")
        assert (answer["symbol"], answer[name]["t"][:10]) == ("AAPL", "2012-03-02")
        assert refusal(lambda name=name: client.get(f"/stocks/NOPE/{name}s/latest")).status_code == 404
    assert client.get("/stocks/AAPL/snapshot")["latestTrade"]["p"] == 102
    auctions = client.get("/stocks/AAPL/auctions", {"start": "2012-03-01"})["auctions"]
    assert [(day["d"], [one["p"] for one in day["o"]], day["c"]) for day in auctions] == [("2012-03-02", [100], [])]
    assert client.get("/stocks/meta/exchanges")["V"] == "IEX"
    assert client.get("/stocks/meta/conditions/trade", {"tape": "A"})["I"] == "Odd Lot Trade"


@pytest.mark.parametrize(
    "path_and_query,status,code",
    [
        (("/stocks/bars", {"timeframe": "1Min"}), 422, 40010001),
        (("/stocks/bars", {"symbols": "AAPL", "timeframe": "60Min"}), 422, 40010001),
        (("/stocks/bars", {"symbols": "AAPL", "timeframe": "1Min", "adjustment": "half"}), 422, 40010001),
        (("/stocks/bars", {"symbols": "AAPL", "timeframe": "1Min", "limit": "10001"}), 422, 40010001),
        (("/stocks/trades", {"symbols": "AAPL", "page_token": "!"}), 422, 40010001),
        (("/stocks/trades", {"symbols": "AAPL", "currency": "EUR"}), 422, 40010001),
        (("/stocks/trades", {"symbols": "AAPL", "sort": "up"}), 422, 40010001),
        (("/stocks/quotes", {"symbols": "AAPL", "feed": "boats"}), 403, 40310000),
        (("/stocks/colours/latest", {"symbols": "AAPL"}), 404, 40410000),
        (("/stocks/meta/conditions/trade", {"tape": "X"}), 422, 40010001),
    ],
)
def test_check_04_errors_of_market_data(
    start: Start, path_and_query: tuple[str, dict[str, str]], status: int, code: int
) -> None:
    """Each has a code and a message."""
    venue, _ = start(flat("AAPL", "100", 5), moment("09:32:30"))
    error = refusal(lambda: data_of(venue).get(*path_and_query))
    assert isinstance(error, APIError)
    assert (error.status_code, error.code, bool(error.message)) == (status, code, True)


def test_the_screener(start: Start) -> None:
    """The most active by volume and by trades, and who gained and lost since the close before."""
    days = [*flat("AAPL", "100", 1, start="15:59", volume=5), *flat("IBM", "50", 1, start="15:59", volume=5)]
    today = [
        *path("AAPL", ["100", "110"], day="2012-03-05", volume=10),
        *path("IBM", ["50", "49", "45"], day="2012-03-05", volume=20),
    ]
    venue, _ = start([*days, *today], moment("09:32:30", "2012-03-05"))
    client = ScreenerClient(venue.data_key_id, venue.data_secret_key, url_override=venue.url)
    actives = client.get_most_actives(MostActivesRequest(top=1)).most_actives
    assert [(one.symbol, one.volume, one.trade_count) for one in actives] == [("IBM", 40, 4)]
    movers = client.get_market_movers(MarketMoversRequest(market_type=MarketType.STOCKS))
    assert [(one.symbol, one.price, one.change, one.percent_change) for one in (*movers.gainers, *movers.losers)] == [
        ("AAPL", 110, 10, 10),
        ("IBM", 45, -5, -10),
    ]


@pytest.mark.parametrize("at", ["09:29:59", "09:30", "09:31:30", "15:59:30", "16:00:00"])
def test_nothing_of_the_future_is_shown(start: Start, at: str) -> None:
    """Whatever span is asked for, no answer has an instant that the clock has not reached, and no price of one."""
    venue, _ = start([*path("AAPL", ["100", "101", "102"]), *path("AAPL", ["103", "104"], start="15:59")], moment(at))
    client = data_of(venue)
    span = {"start": "2012-03-01", "end": "2030-01-01"}
    known = {
        "09:29:59": set(),
        "09:30": {100},
        "09:31:30": {100, 101},
        "15:59:30": {100, 101, 102, 103},
        "16:00:00": {100, 101, 102, 103, 104},
    }[at]
    for feed in ("sip", "iex"):
        trades = client.get("/stocks/AAPL/trades", span | {"feed": feed})["trades"]
        quotes = client.get("/stocks/AAPL/quotes", span | {"feed": feed})["quotes"]
        assert {row["p"] for row in trades} == known
        assert {round((row["ap"] + row["bp"]) / 2) for row in quotes} == known
        assert all(row["t"] <= moment(at) for row in (*trades, *quotes))
        bars = client.get("/stocks/AAPL/bars", span | {"timeframe": "1Min", "feed": feed})["bars"]
        assert {row[name] for row in bars for name in "ohlc"} <= known
        auctions = client.get("/stocks/AAPL/auctions", span | {"feed": feed})["auctions"]
        assert {one["p"] for day in auctions for one in (*day["o"], *day["c"])} <= known
    if known:
        snapshot = client.get("/stocks/AAPL/snapshot")
        assert snapshot["latestTrade"]["p"] in known
        assert snapshot["dailyBar"] is None or {snapshot["dailyBar"][name] for name in "ohlc"} <= known
