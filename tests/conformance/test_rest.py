"""Conformance checks of the REST interface as such: keys, limits, and that every answer can be read."""

import datetime as dt
import pathlib
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.requests import StockLatestBarRequest
from alpaca.trading.client import TradingClient
from alpaca.trading.requests import (
    ClosePositionRequest,
    CreateWatchlistRequest,
    GetCalendarRequest,
    GetCorporateAnnouncementsRequest,
    GetOptionContractsRequest,
    GetOrdersRequest,
    GetPortfolioHistoryRequest,
    LimitOrderRequest,
    ReplaceOrderRequest,
    UpdateWatchlistRequest,
)

from support import simulator
from support.conformance import client_of, flat, moment, refusal, send

Start = Callable[..., tuple[simulator.Venue, TradingClient]]


def test_check_03_keys_by_bearer_and_by_basic(start: Start) -> None:
    """Accepted for trading and for data; a wrong token is not."""
    venue, _ = start(flat("AAPL", "100", 5), moment("09:32:30"))
    assert TradingClient(oauth_token=venue.oauth_token, url_override=venue.url).get_account().cash == "1000000"
    asked = StockLatestBarRequest(symbol_or_symbols="AAPL")
    for client in (
        StockHistoricalDataClient(oauth_token=venue.oauth_token, url_override=venue.url),
        StockHistoricalDataClient(venue.key_id, venue.secret_key, use_basic_auth=True, url_override=venue.url),
    ):
        assert client.get_stock_latest_bar(asked)["AAPL"].close == 100
    wrong = TradingClient(oauth_token="secret-token-of-nobody", url_override=venue.url)
    assert refusal(wrong.get_account).status_code == 401


def test_check_06_one_request_too_many(start: Start) -> None:
    """201 requests within a minute: the last one is 429 and says when to come again."""
    venue, _ = start(flat("AAPL", "100", 5), moment("09:32:30"), rate={"requests": 200, "seconds": 60})
    headers = {"APCA-API-KEY-ID": venue.key_id, "APCA-API-SECRET-KEY": venue.secret_key}
    answers = [venue.client.get(f"{venue.url}/v2/clock", headers=headers) for _ in range(201)]
    assert [one.status_code for one in answers] == [200] * 200 + [429]
    assert answers[-1].json() == {"code": 42910000, "message": "rate limit exceeded"}
    assert [answers[place].headers["x-ratelimit-remaining"] for place in (0, 199, 200)] == ["199", "0", "0"]
    assert answers[-1].headers["x-ratelimit-limit"] == "200"
    reset = int(answers[-1].headers["x-ratelimit-reset"])
    assert 0 < reset - dt.datetime.now(dt.UTC).timestamp() <= 61
    # Data has a window of its own.
    data = venue.client.get(f"{venue.url}/v2/stocks/bars/latest", params={"symbols": "AAPL"}, headers=headers)
    assert (data.status_code, data.headers["x-ratelimit-remaining"]) == (200, "199")


def test_check_06_the_official_client_waits_and_succeeds(start: Start) -> None:
    """With a window shorter than its wait."""
    venue, client = start(flat("AAPL", "100", 5), moment("09:32:30"), rate={"requests": 2, "seconds": 2})
    assert [client.get_clock().is_open for _ in range(3)] == [True] * 3
    assert 429 in [row["status"] for row in venue.journal()]


def test_check_10_every_answer_can_be_read(start: Start) -> None:
    """Each method of the reference's table, by the official client."""
    minutes = [*flat("AAPL", "100", 10), *flat("IBM", "50", 10)]
    venue, client = start(minutes, moment("09:31:30"))
    sent = client.submit_order(LimitOrderRequest(symbol="AAPL", qty=1, side="buy", time_in_force="day", limit_price=90))
    new = client.replace_order_by_id(sent.id, ReplaceOrderRequest(limit_price=91))
    assert client.get_order_by_id(new.id) == client.get_order_by_client_id(new.client_order_id)
    assert len(client.get_orders(GetOrdersRequest(status="all"))) == 2
    client.cancel_order_by_id(new.id)
    for symbol in ("AAPL", "IBM"):
        send(client, symbol)
    venue.move(moment("09:32:30"))
    assert len(client.get_all_positions()) == 2
    assert client.close_position("AAPL", ClosePositionRequest(qty="1")).qty == "1"
    assert len(client.cancel_orders()) == 1
    assert {one.status for one in client.close_all_positions(cancel_orders=True)} == {200}
    assert client.get_account().status.value == "ACTIVE"
    assert client.set_account_configurations(client.get_account_configurations()).no_shorting is False
    assert client.get_portfolio_history(GetPortfolioHistoryRequest(period="1D")).timeframe == "1Min"
    assert len(client.get_all_assets()) == 2
    assert client.get_asset("AAPL").symbol == "AAPL"
    assert client.get_clock().is_open
    assert len(client.get_calendar(GetCalendarRequest(start="2012-03-02", end="2012-03-05"))) == 2
    made = client.create_watchlist(CreateWatchlistRequest(name="x", symbols=["AAPL"]))
    client.update_watchlist_by_id(made.id, UpdateWatchlistRequest(symbols=["IBM"]))
    client.add_asset_to_watchlist_by_id(made.id, "AAPL")
    client.remove_asset_from_watchlist_by_id(made.id, "IBM")
    client.delete_watchlist_by_id(made.id)
    assert len(client.get("/account/activities", {"activity_types": "FILL"})) == 2


@pytest.mark.parametrize(
    "act",
    [
        lambda client: client.get_option_contracts(GetOptionContractsRequest(underlying_symbols=["AAPL"])),
        lambda client: client.get_option_contract("AAPL240119C00100000"),
        lambda client: client.exercise_options_position(uuid.uuid4()),
    ],
)
def test_check_10_options_are_not_for_this_account(start: Start, act: Callable[[TradingClient], Any]) -> None:
    """403 with a code."""
    _, client = start(flat("AAPL", "100", 5), moment("09:32:30"))
    error = refusal(lambda: act(client))
    assert (error.status_code, error.code, "not entitled" in error.message) == (403, 40310000, True)


def test_check_10_announcements_can_be_read(tmp_path: pathlib.Path) -> None:
    """A split and a dividend, once they have taken effect."""
    actions = [simulator.Action("AAPL", 1, split=(2, 1)), simulator.Action("IBM", 2, dividend="0.85")]
    prices = {"AAPL": [("100", "100"), ("50", "51"), ("51", "51")], "IBM": [("200", "200")] * 3}
    asked = GetCorporateAnnouncementsRequest(ca_types=["split", "dividend"], since="2012-03-01", until="2012-03-30")
    with simulator.threaded(tmp_path, prices, actions=actions) as venue:
        client = client_of(venue)
        venue.to_open(1)
        (split,) = client.get_corporate_announcements(asked)
        assert (split.initiating_symbol, split.new_rate, split.ca_sub_type.value) == ("AAPL", 2, "stock_split")
        assert client.get_corporate_announcement_by_id(split.id) == split
        venue.to_open(2)
        assert [one.cash for one in client.get_corporate_announcements(asked)] == [0, 0.85]
        error = refusal(lambda: client.get_corporate_announcement_by_id(uuid.uuid4()))
        assert (error.status_code, error.code) == (404, 40410000)
        error = refusal(lambda: client.get("/corporate_actions/announcements", {"ca_types": "split"}))
        assert error.status_code == 422
