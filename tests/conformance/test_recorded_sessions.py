"""Long sessions of real recorded data, played to the official clients: two days of ticks, a week of minutes."""

import asyncio
import contextlib
import datetime as dt
import pathlib
from typing import Any

import polars as pl
import pytest
from alpaca.data.enums import DataFeed
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.live import StockDataStream
from alpaca.data.requests import StockBarsRequest, StockLatestQuoteRequest, StockLatestTradeRequest
from alpaca.data.timeframe import TimeFrame

from support import minute_data, simulator
from support.conformance import client_of, send
from tradeplane_engine.domain import times

PATIENCE_S = 60
TICKS = pathlib.Path(__file__).parents[3] / "shared" / "data" / "ticks"
FILES = {
    "trades.parquet": TICKS / "taq_trades_XXX_20180102_03.parquet",
    "quotes.parquet": TICKS / "taq_quotes_XXX_20180102_03.parquet",
}
START = "2018-01-02"
END = "2018-01-04T01:00:00Z"


@pytest.fixture
def trades() -> pl.DataFrame:
    """The recorded trades, without the record that takes one back; skips the test where there are none."""
    if not TICKS.is_dir():
        pytest.skip(f"NO REAL DATA: {TICKS} is not there, so this fact was not checked")
    return pl.read_parquet(FILES["trades.parquet"]).filter(pl.col("correction") != 10)


def data_of(venue: simulator.Venue) -> StockHistoricalDataClient:
    """The official data client."""
    return StockHistoricalDataClient(venue.data_key_id, venue.data_secret_key, url_override=venue.url)


def nanoseconds(frame: pl.DataFrame) -> list[int]:
    """Instants of rows."""
    return frame["timestamp"].dt.epoch("ns").to_list()


async def test_two_days_of_ticks_by_the_official_stream(tmp_path: pathlib.Path, trades: pl.DataFrame) -> None:
    """Every trade and every quote, each once, in order and with its price; the trade that was taken back is told."""
    quotes = pl.read_parquet(FILES["quotes.parquet"])
    heard: dict[str, list[Any]] = {"t": [], "q": [], "x": [], "b": []}
    with simulator.threaded(tmp_path, recorded=FILES, first=START, options=("--clock", f"{START}T08:00:00Z")) as venue:
        ended = asyncio.Event()

        async def take(message: dict[str, Any]) -> None:
            heard[message["T"]].append(message)
            if len(heard["t"]) == len(trades) and len(heard["q"]) == len(quotes) and heard["x"]:
                ended.set()

        stream = StockDataStream(
            venue.data_key_id, venue.data_secret_key, raw_data=True, url_override=venue.feed_url("sip")
        )
        stream.subscribe_trades(take, "XXX")
        stream.subscribe_quotes(take, "XXX")
        stream.subscribe_bars(take, "XXX")
        stream.register_trade_cancels(take)
        task = asyncio.ensure_future(stream._run_forever())
        try:
            await asyncio.to_thread(venue.wait_for_stream, "data")
            for at in ("2018-01-02T14:30:00Z", "2018-01-02T21:00:00Z", "2018-01-03T18:00:00Z", END):
                await asyncio.to_thread(venue.move, at)
            await asyncio.wait_for(ended.wait(), PATIENCE_S)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await stream.close()
    for kind, frame, column, field in (("t", trades, "price", "p"), ("q", quotes, "bid", "bp")):
        assert [one["t"].to_unix_nano() for one in heard[kind]] == nanoseconds(frame)
        assert [round(one[field], 4) for one in heard[kind]] == pytest.approx(frame[column].to_list(), abs=1e-4)
    (cancelled,) = heard["x"]
    assert (cancelled["p"], cancelled["s"], cancelled["x"], cancelled["a"]) == (157.04, 127300, "D", "C")
    assert len(heard["b"]) > 780


def test_two_days_of_ticks_by_rest(tmp_path: pathlib.Path, trades: pl.DataFrame) -> None:
    """Pages join to every trade; iex has those of its exchange; a day's bar, and orders that fill at its minutes."""
    with simulator.threaded(tmp_path, recorded=FILES, first=START) as venue:
        venue.move("2018-01-02T15:00:00.5Z")
        client, trading = data_of(venue), client_of(venue)
        now = dt.datetime(2018, 1, 2, 15, 0, 0, 500_000, tzinfo=dt.UTC)
        known = trades.filter(pl.col("timestamp") <= now)
        latest = StockLatestTradeRequest(symbol_or_symbols="XXX")
        assert client.get_stock_latest_trade(latest)["XXX"].timestamp == known["timestamp"][-1]
        at_iex = StockLatestTradeRequest(symbol_or_symbols="XXX", feed=DataFeed.IEX)
        only = known.filter(pl.col("exchange") == "V")
        assert client.get_stock_latest_trade(at_iex)["XXX"].timestamp == only["timestamp"][-1]
        assert client.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="XXX"))["XXX"].timestamp <= now
        sent = send(trading, "XXX", 10)
        venue.move("2018-01-02T15:01:30Z")
        bought = trading.get_order_by_id(sent["id"])
        minute = known = trades.filter(
            pl.col("timestamp").is_between(now, dt.datetime(2018, 1, 2, 15, 2, tzinfo=dt.UTC))
        )
        assert (bought.status.value, bought.filled_qty) == ("filled", "10")
        assert minute["price"].min() - 0.05 <= float(bought.filled_avg_price) <= minute["price"].max() + 0.05
        venue.move(END)
        for feed, frame in (("sip", trades), ("iex", trades.filter(pl.col("exchange") == "V"))):
            found: list[Any] = []
            query = {"start": START, "feed": feed, "limit": "10000"}
            while True:
                page = client.get("/stocks/XXX/trades", query)
                found += page["trades"]
                if page["next_page_token"] is None:
                    break
                query["page_token"] = page["next_page_token"]
            assert [times.instant(one["t"]) for one in found] == nanoseconds(frame)
            assert [one.get("u") for one in found].count("canceled") == (1 if feed == "sip" else 0)
        days = StockBarsRequest(
            symbol_or_symbols="XXX", timeframe=TimeFrame.Day, start=dt.datetime(2018, 1, 1, tzinfo=dt.UTC)
        )
        both = client.get_stock_bars(days).data["XXX"]
        assert [f"{bar.timestamp:%m-%d}" for bar in both] == ["01-02", "01-03"]
        opened, closed = (dt.datetime(2018, 1, 2, hour, minute, tzinfo=dt.UTC) for hour, minute in ((14, 30), (21, 0)))
        regular = trades.filter(
            pl.col("timestamp").is_between(opened, closed, closed="left"),
            ~pl.col("conditions").str.contains("[MQ9]"),
        )
        assert (both[0].trade_count, both[0].volume) == (len(regular), regular["size"].sum())
        assert both[0].vwap == pytest.approx((regular["price"] * regular["size"]).sum() / both[0].volume, abs=1e-4)
        auctions = client.get("/stocks/XXX/auctions", {"start": START})["auctions"]
        assert [day["d"] for day in auctions] == ["2018-01-02", "2018-01-03"]
        assert all(day["o"] and day["c"] for day in auctions)


def test_a_week_of_minutes(tmp_path: pathlib.Path) -> None:
    """Three symbols, five sessions: each minute as recorded, and one position that is bought and sold each day."""
    symbols = ("AAPL", "PPLT", "SPY")
    rows = [
        row for row in minute_data.real("us_bars_1min.parquet") if row["symbol"] in symbols and row["source"] == "eqker"
    ]
    found = sorted((minute_data.real_bar(row, length=times.MINUTE) for row in rows), key=lambda one: one.start)
    with simulator.threaded(tmp_path, minutes=found, first="2019-02-11", profile="paper") as venue:
        client, trading = data_of(venue), client_of(venue)
        for day in venue.sessions:
            venue.move(f"{day.date}T15:00:30Z")
            send(trading, "SPY", 10)
            venue.move(f"{day.date}T20:00:30Z")
            assert trading.get_open_position("SPY").qty == "10"
            send(trading, "SPY", 10, "sell")
            venue.move(day.published)
            assert trading.get_all_positions() == []
        asked = StockBarsRequest(
            symbol_or_symbols=list(symbols),
            timeframe=TimeFrame.Minute,
            start=dt.datetime(2019, 2, 11, tzinfo=dt.UTC),
        )
        bars = client.get_stock_bars(asked).data
        for symbol in symbols:
            recorded = [row for row in rows if row["symbol"] == symbol]
            assert [bar.timestamp for bar in bars[symbol]] == [row["timestamp"] for row in recorded]
            assert [bar.close for bar in bars[symbol]] == pytest.approx([row["close"] for row in recorded], abs=1e-4)
            assert [bar.volume for bar in bars[symbol]] == [row["volume"] for row in recorded]
        fills = trading.get("/account/activities", {"activity_types": "FILL"})
    assert len(fills) == 2 * len(venue.sessions) == 10
    opens = {(row["symbol"], row["timestamp"]): row["open"] for row in rows}
    for fill in fills:
        minute = dt.datetime.fromisoformat(fill["transaction_time"])
        assert float(fill["price"]) == pytest.approx(opens[fill["symbol"], minute], rel=1.1e-4)
