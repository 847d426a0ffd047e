"""Market data by the unmodified official clients over real sockets, never later than the venue's clock."""

import datetime as dt
import pathlib
from collections.abc import Iterator

import httpx2
import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.enums import Adjustment, CorporateActionsType, DataFeed
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.requests import (
    CorporateActionsRequest,
    StockBarsRequest,
    StockLatestBarRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

from support import simulator

START = dt.datetime(2012, 3, 1, tzinfo=dt.UTC)
ACTIONS = [
    simulator.Action("AAPL", 1, dividend="2.65"),
    simulator.Action("IBM", 2, split=(3, 2)),
    simulator.Action("MSFT", 3, split=(1, 5), dividend="0.20"),
]


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[simulator.Venue]:
    """A venue that stands after the fourth session; tests of this module only read."""
    with simulator.threaded(tmp_path_factory.mktemp("venue"), actions=ACTIONS) as found:
        found.to_bars(3)
        yield found


@pytest.fixture
def client(venue: simulator.Venue) -> StockHistoricalDataClient:
    """The official data client with a key that may only read data."""
    return StockHistoricalDataClient(venue.data_key_id, venue.data_secret_key, url_override=venue.url)


def daily(*symbols: str, **more: object) -> StockBarsRequest:
    """Ask for daily bars from before the dataset."""
    return StockBarsRequest(symbol_or_symbols=list(symbols), timeframe=TimeFrame.Day, **{"start": START, **more})


def labels(client: StockHistoricalDataClient, request: StockBarsRequest) -> dict[str, list[str]]:
    """Return the dates of the bars found, by symbol."""
    return {
        symbol: [bar.timestamp.date().isoformat() for bar in found]
        for symbol, found in client.get_stock_bars(request).data.items()
    }


def test_bars_carry_the_dataset_prices(client: StockHistoricalDataClient) -> None:
    """Bars are labelled with New York's midnight and unadjusted."""
    bar = client.get_stock_bars(daily("AAPL")).data["AAPL"][1]
    assert bar.timestamp == dt.datetime(2012, 3, 5, 5, tzinfo=dt.UTC)
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (512.5, 512.5, 505.0, 505.0, 1001.0)


def test_a_bar_is_unknown_until_its_publication(tmp_path: pathlib.Path) -> None:
    """At the close the session's bar does not exist yet; at its publication it does."""
    with simulator.threaded(tmp_path) as venue:
        client = StockHistoricalDataClient(venue.data_key_id, venue.data_secret_key, url_override=venue.url)
        far = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
        venue.to_close(0)
        assert labels(client, daily("AAPL", end=far)) == {}
        venue.to_bars(0)
        assert labels(client, daily("AAPL", end=far)) == {"AAPL": ["2012-03-02"]}
        venue.to_close(1)
        assert labels(client, daily("AAPL", end=far)) == {"AAPL": ["2012-03-02"]}


def test_check_65_pages_join_without_a_gap(venue: simulator.Venue) -> None:
    """The limit counts all symbols; pages follow each other by symbol, then time, each bar once."""
    headers = {"APCA-API-KEY-ID": venue.data_key_id, "APCA-API-SECRET-KEY": venue.data_secret_key}
    for limit in (1, 2, 3, 4, 7, 10_000):
        for sort in ("asc", "desc"):
            seen: list[tuple[str, str]] = []
            parameters = {
                "symbols": "MSFT,AAPL,IBM",
                "timeframe": "1Day",
                "start": "2012-03-01",
                "limit": str(limit),
                "sort": sort,
            }
            while True:
                answer = venue.client.get(f"{venue.url}/v2/stocks/bars", params=parameters, headers=headers).json()
                page = [(symbol, bar["t"]) for symbol, bars in answer["bars"].items() for bar in bars]
                assert 0 < len(page) <= limit
                seen += page
                if answer["next_page_token"] is None:
                    break
                parameters["page_token"] = answer["next_page_token"]
            assert len(set(seen)) == len(seen) == 11
            assert [symbol for symbol, _ in seen] == ["AAPL"] * 4 + ["IBM"] * 4 + ["MSFT"] * 3
            times = [label for symbol, label in seen if symbol == "AAPL"]
            assert times == sorted(times, reverse=sort == "desc")


def test_check_65_a_limit_of_the_client_counts_in_total(client: StockHistoricalDataClient) -> None:
    """Five bars in total, not five per symbol."""
    assert labels(client, daily("AAPL", "IBM", limit=5)) == {
        "AAPL": ["2012-03-02", "2012-03-05", "2012-03-06", "2012-03-07"],
        "IBM": ["2012-03-02"],
    }


def test_check_66_nothing_found_is_empty(client: StockHistoricalDataClient) -> None:
    """An unknown symbol and an empty range give an empty result."""
    assert labels(client, daily("NOPE")) == {}
    assert labels(client, daily("AAPL", end=START)) == {}


def test_bounds_are_inclusive(client: StockHistoricalDataClient) -> None:
    """Start and end name the label of the first and the last bar."""
    start, end = (dt.datetime(2012, 3, day, 5, tzinfo=dt.UTC) for day in (5, 6))
    assert labels(client, daily("AAPL", start=start, end=end)) == {"AAPL": ["2012-03-05", "2012-03-06"]}


@pytest.mark.parametrize(
    "more,status,message",
    [
        ({"feed": DataFeed.OTC}, 403, "subscription does not permit querying otc data"),
        ({"feed": DataFeed.DELAYED_SIP}, 422, "feed must be one of sip, iex, got 'delayed_sip'"),
        (
            {"timeframe": TimeFrame(1, TimeFrameUnit.Minute)},
            422,
            "timeframe must be 1Day, 1Week or one of 1, 2, 3, 4, 6, 12 Month for this recording, got '1Min'",
        ),
    ],
)
def test_check_68_what_the_feed_lacks_is_refused(
    client: StockHistoricalDataClient, more: dict[str, object], status: int, message: str
) -> None:
    """Other feeds and timeframes are refused by name, never answered with something else."""
    request = daily("AAPL").model_copy(update=more)
    with pytest.raises(APIError) as caught:
        client.get_stock_bars(request)
    assert (caught.value.status_code, caught.value.message) == (status, message)


def test_raw_adjustment_and_iex_are_what_is_served(client: StockHistoricalDataClient) -> None:
    """Asking for exactly what there is changes nothing."""
    plain = client.get_stock_bars(daily("AAPL"))
    assert client.get_stock_bars(daily("AAPL", adjustment=Adjustment.RAW, feed=DataFeed.IEX, asof="-")) == plain


def test_check_69_latest_bars(client: StockHistoricalDataClient) -> None:
    """The newest published bar of each symbol that has one."""
    found = client.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols=["AAPL", "MSFT", "NOPE"]))
    assert {symbol: bar.close for symbol, bar in found.items()} == {"AAPL": 519.0, "MSFT": 33.25}


def test_check_03_basic_authentication(venue: simulator.Venue) -> None:
    """The data client may send its key by HTTP Basic."""
    client = StockHistoricalDataClient(
        venue.data_key_id, venue.data_secret_key, use_basic_auth=True, url_override=venue.url
    )
    assert list(client.get_stock_bars(daily("AAPL")).data) == ["AAPL"]


def test_corporate_actions_parse(venue: simulator.Venue) -> None:
    """Splits and dividends in Alpaca's lists, with exact rates and ex-dates."""
    client = CorporateActionsClient(venue.data_key_id, venue.data_secret_key, url_override=venue.url)
    found = client.get_corporate_actions(
        CorporateActionsRequest(
            symbols=["AAPL", "IBM", "MSFT"],
            types=[
                CorporateActionsType.FORWARD_SPLIT,
                CorporateActionsType.REVERSE_SPLIT,
                CorporateActionsType.CASH_DIVIDEND,
            ],
            start=START.date(),
            end=dt.date(2012, 12, 31),
        )
    ).data
    (forward,), (reverse,) = found["forward_splits"], found["reverse_splits"]
    assert (forward.symbol, forward.new_rate, forward.old_rate, forward.ex_date) == ("IBM", 3, 2, dt.date(2012, 3, 6))
    assert (reverse.symbol, reverse.new_rate, reverse.old_rate) == ("MSFT", 1, 5)
    assert [(row.symbol, row.rate, row.ex_date.isoformat()) for row in found["cash_dividends"]] == [
        ("AAPL", 2.65, "2012-03-05"),
        ("MSFT", 0.2, "2012-03-07"),
    ]


def test_a_corporate_action_is_unknown_before_its_open(tmp_path: pathlib.Path) -> None:
    """A minute before the ex-date's open nothing tells of the dividend."""
    with simulator.threaded(tmp_path, actions=ACTIONS) as venue:
        client = CorporateActionsClient(venue.data_key_id, venue.data_secret_key, url_override=venue.url)
        request = CorporateActionsRequest(symbols=["AAPL"], start=START.date(), end=dt.date(2012, 12, 31))
        venue.move("2012-03-05T14:29:00Z")
        assert client.get_corporate_actions(request).data == {}
        venue.to_open(1)
        assert list(client.get_corporate_actions(request).data) == ["cash_dividends"]


def test_corporate_actions_page(venue: simulator.Venue) -> None:
    """Pages of one row join to all rows."""
    headers = {"APCA-API-KEY-ID": venue.data_key_id, "APCA-API-SECRET-KEY": venue.data_secret_key}
    seen: list[str] = []
    parameters = {"start": "2012-03-01", "end": "2012-12-31", "limit": "1"}
    while True:
        answer = httpx2.get(f"{venue.url}/v1/corporate-actions", params=parameters, headers=headers).json()
        seen += [row["symbol"] for rows in answer["corporate_actions"].values() for row in rows]
        if answer["next_page_token"] is None:
            break
        parameters["page_token"] = answer["next_page_token"]
    assert seen == ["AAPL", "IBM", "MSFT", "MSFT"]


def test_prices_are_exact_numbers_on_the_wire(tmp_path: pathlib.Path) -> None:
    """A price with four decimals arrives digit for digit."""
    with simulator.threaded(tmp_path, {"AAPL": [("0.1001", "9007199254.7401")]}) as venue:
        venue.to_bars(0)
        headers = {"APCA-API-KEY-ID": venue.data_key_id, "APCA-API-SECRET-KEY": venue.data_secret_key}
        text = venue.client.get(f"{venue.url}/v2/stocks/bars/latest", params={"symbols": "AAPL"}, headers=headers).text
        assert '"o":0.1001' in text
        assert '"c":9007199254.7401' in text
