"""Trading by the unmodified official client over real sockets; check numbers are those of Alpaca conformance."""

import pathlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    GetAssetsRequest,
    GetCalendarRequest,
    GetOrderByIdRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
)

from support import simulator


@pytest.fixture
def venue(tmp_path: pathlib.Path) -> Iterator[simulator.Venue]:
    """A venue one hour before its first session."""
    with simulator.threaded(tmp_path) as found:
        yield found


@pytest.fixture
def client(venue: simulator.Venue) -> TradingClient:
    """The official client with a trading key."""
    return TradingClient(venue.key_id, venue.secret_key, url_override=venue.url)


def market_order(symbol: str, side: str, quantity: float, name: str | None = None) -> MarketOrderRequest:
    """A market day order, as users of the official client write it."""
    return MarketOrderRequest(
        symbol=symbol, qty=quantity, side=OrderSide(side), time_in_force=TimeInForce.DAY, client_order_id=name
    )


def refusal(act: Callable[[], object]) -> APIError:
    """Return the client's error."""
    with pytest.raises(APIError) as caught:
        act()
    return caught.value


def test_check_01_account_amounts_are_texts(client: TradingClient) -> None:
    """The account parses, is active, and has no day-trading fields."""
    account = client.get_account()
    assert (account.status.value, account.cash, account.equity) == ("ACTIVE", "1000000", "1000000")
    assert (account.pattern_day_trader, account.daytrade_count, account.daytrading_buying_power) == (None, None, None)


def test_check_11_market_buy_while_open_ends_filled(client: TradingClient, venue: simulator.Venue) -> None:
    """The answer shows the order before its fill; a read afterwards shows all of it filled above the open."""
    venue.to_open(0)
    answered = client.submit_order(market_order("AAPL", "buy", 10))
    found = client.get_order_by_id(answered.id)
    assert (answered.status.value, answered.filled_qty) == ("pending_new", "0")
    assert (found.status.value, found.filled_qty, found.filled_avg_price) == ("filled", "10", "500.05")


def test_check_12_quantity_comes_back_normalised(client: TradingClient, venue: simulator.Venue) -> None:
    """The client sends 10.0; the answer says 10, simple and buy_to_open."""
    order = _priced(client, venue, 10)
    assert (order.qty, order.order_class.value, order.position_intent.value) == ("10", "simple", "buy_to_open")


def test_check_13_order_while_closed_fills_at_the_next_open(client: TradingClient, venue: simulator.Venue) -> None:
    """A queued order is accepted, keeps waiting until the open, and fills at that session's open price."""
    venue.to_bars(0)
    order = client.submit_order(market_order("AAPL", "buy", 10))
    venue.move("2012-03-05T14:29:59Z")
    waiting = client.get_order_by_id(order.id)
    venue.to_open(1)
    filled = client.get_order_by_id(order.id)
    assert (order.status.value, waiting.status.value) == ("accepted", "accepted")
    assert (filled.status.value, filled.filled_avg_price) == ("filled", "512.5513")
    assert filled.filled_at.isoformat() == "2012-03-05T14:30:00+00:00"


def test_check_21_day_order_without_a_bar_expires_at_the_close(client: TradingClient, venue: simulator.Venue) -> None:
    """MSFT has no bar in the second session: its order works through the day and expires."""
    venue.to_bars(0)
    order = client.submit_order(market_order("MSFT", "buy", 10))
    venue.to_open(1)
    working = client.get_order_by_id(order.id)
    venue.to_close(1)
    ended = client.get_order_by_id(order.id)
    assert (working.status.value, ended.status.value) == ("new", "expired")
    assert ended.expired_at.isoformat() == "2012-03-05T21:00:00+00:00"


def test_a_fractional_quantity_is_exact(client: TradingClient, venue: simulator.Venue) -> None:
    """Nine digits of a share survive the way there and back, and the cash is right to 1e-9."""
    venue.to_open(0)
    order = client.submit_order(market_order("AAPL", "buy", 0.123456789))
    assert order.qty == "0.123456789"
    paid = (Decimal("0.123456789") * Decimal("500.05")).quantize(Decimal("1e-9"))
    assert Decimal(client.get_account().cash) == 1000000 - paid


# AAPL goes from 512.5 to 505 in the second session, from 504 to 520 in the third and from 521.25 to 519 in the fourth.
@pytest.mark.parametrize(
    "wanted, session, price",
    [
        ({"type": "limit", "limit_price": "508"}, 1, "508"),
        ({"type": "limit", "limit_price": "515"}, 1, "512.5513"),
        ({"type": "limit", "limit_price": "505"}, None, None),
        ({"type": "limit", "limit_price": "504.5", "time_in_force": "gtc"}, 2, "504.0504"),
        ({"side": "sell", "type": "stop", "stop_price": "506"}, 1, "505.9494"),
        ({"side": "sell", "type": "stop", "stop_price": "504.99"}, None, None),
        ({"side": "sell", "type": "stop", "stop_price": "504.99", "time_in_force": "gtc"}, 2, "503.9496"),
        ({"type": "stop_limit", "stop_price": "515", "limit_price": "516", "time_in_force": "gtc"}, 2, "515.0515"),
        ({"side": "sell", "type": "trailing_stop", "trail_price": "5"}, 1, "507.4492"),
        ({"side": "sell", "type": "trailing_stop", "trail_percent": "1"}, 1, "507.3242"),
        ({"type": "market", "time_in_force": "opg"}, 1, "512.5513"),
        ({"type": "market", "time_in_force": "cls"}, 1, "505.0505"),
        ({"type": "market", "time_in_force": "ioc"}, 1, "512.5513"),
        ({"type": "market", "time_in_force": "gtc"}, 1, "512.5513"),
    ],
)
def test_every_type_fills_as_in_a_backtest(
    client: TradingClient, venue: simulator.Venue, wanted: dict[str, Any], session: int | None, price: str | None
) -> None:
    """At its price, or at a worse or better open; for the day it expires where the session does not reach it."""
    venue.move("2012-03-03T00:30:00Z")  # auctions take orders again
    body = {"symbol": "AAPL", "qty": 10, "side": "buy", "time_in_force": "day", **wanted}
    sent = client.post("/orders", body)
    for name in ("type", "time_in_force", "limit_price", "stop_price", "trail_price", "trail_percent"):
        assert sent[name] == body.get(name), name
    assert sent["status"] == "accepted"
    for each in range(1, 1 + (session or 1)):
        assert client.get_order_by_id(sent["id"]).status.value in {"accepted", "new"}
        venue.to_close(each)
    found = client.get_order_by_id(sent["id"])
    assert (found.status.value, found.filled_avg_price) == ("expired" if price is None else "filled", price)
    assert [position.qty for position in client.get_all_positions()] == (
        [] if price is None else ["-10" if body["side"] == "sell" else "10"]
    )


@pytest.mark.parametrize(
    "wanted, message",
    [
        ({"type": "limit"}, "limit orders require limit_price"),
        ({"type": "magic"}, "type must be one of"),
        ({"time_in_force": "gtd"}, "time_in_force must be one of"),
        ({"limit_price": "5"}, "market orders must not have limit_price"),
        ({"type": "limit", "limit_price": "508.005"}, "sub-penny increment does not fulfill minimum pricing criteria"),
        ({"type": "stop", "stop_price": "5", "time_in_force": "ioc"}, "ioc orders must be market or limit orders"),
        ({"extended_hours": True}, "extended hours order must be DAY limit orders"),
        ({"qty": None}, "qty or notional is required"),
        ({"notional": 100}, "only one of qty or notional is accepted"),
        ({"order_class": "bracket"}, "bracket orders require take_profit.limit_price"),
        ({"take_profit": {"limit_price": 5}}, "simple orders must not have take_profit or stop_loss"),
        ({"time_in_force": "opg"}, "opg orders are not accepted between 09:28 and 19:00"),
        ({"qty": "0.5", "type": "limit", "limit_price": "5", "time_in_force": "gtc"}, "fractional orders must be DAY"),
    ],
)
def test_what_alpaca_refuses_is_refused_in_its_words(
    client: TradingClient, venue: simulator.Venue, wanted: dict[str, Any], message: str
) -> None:
    """By the rules that backtests use."""
    venue.to_bars(0)
    body = {"symbol": "AAPL", "qty": 1, "side": "buy", "type": "market", "time_in_force": "day", **wanted}
    error = refusal(lambda: client.post("/orders", body))
    assert (error.status_code, message in error.message) == (422, True), error.message


def test_an_order_that_waits_can_be_cancelled(client: TradingClient, venue: simulator.Venue) -> None:
    """It fills no more; one for the account as a whole ends the others."""
    venue.to_bars(0)
    limits = [
        LimitOrderRequest(symbol="AAPL", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, limit_price=508)
        for _ in range(3)
    ]
    sent = [client.submit_order(one) for one in limits]
    client.cancel_order_by_id(sent[0].id)
    venue.to_open(1)
    assert [one.status.value for one in client.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN))] == [
        "new"
    ] * 2
    client.cancel_orders()
    venue.to_close(1)
    assert {client.get_order_by_id(one.id).status.value for one in sent} == {"canceled"}
    assert client.get_all_positions() == []


@pytest.mark.parametrize(
    "body,message",
    [
        ({"type": "limit", "limit_price": "-5"}, "limit_price: must be a positive decimal"),
        ({"type": "limit", "limit_price": "5.00001"}, "limit_price: must be a decimal with at most 4 digits"),
        ({"type": "trailing_stop", "trail_percent": "1.005"}, "trail_percent must have at most two decimals"),
        ({"type": 5}, "type must be a text, got 5"),
        ({"extended_hours": "yes"}, "extended_hours must be true or false, got 'yes'"),
        ({"take_profit": 5}, "take_profit must be an object of prices, got 5"),
        ({"notional": "100.005"}, "notional must have at most two decimals, got 100.005"),
        ({"subtag": "x"}, "subtag is not offered"),
        ({"qty": 0}, "qty must be positive, got 0"),
        ({"qty": "-1"}, "qty must be positive, got -1"),
        ({"qty": "1e999999"}, "number: must be a decimal of at most 64 characters"),
        ({"qty": "0.1234567891"}, "qty: must be a decimal with at most 9 digits after the point"),
        ({"qty": True}, "qty must be a decimal number, got True"),
        ({"side": "hold"}, "side must be buy or sell, got 'hold'"),
        ({"symbol": ""}, "symbol is required"),
        ({"symbol": "NOPE"}, 'asset "NOPE" not found'),
    ],
)
def test_what_is_not_offered_is_refused_by_name(client: TradingClient, body: dict[str, Any], message: str) -> None:
    """What cannot be read is a 422 that says what is wrong, and leaves no order."""
    wanted = {"symbol": "AAPL", "qty": 1, "side": "buy", "type": "market", "time_in_force": "day", **body}
    error = refusal(lambda: client.post("/orders", wanted))
    assert error.status_code == 422
    assert message in error.message
    assert client.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL)) == []


def test_check_38_cancel_of_a_waiting_order(client: TradingClient, venue: simulator.Venue) -> None:
    """A cancelled order never fills, and a second cancel is tolerated."""
    venue.to_bars(0)
    order = client.submit_order(market_order("AAPL", "buy", 10))
    assert client.cancel_order_by_id(order.id) is None
    assert client.cancel_order_by_id(order.id) is None
    venue.to_open(1)
    assert client.get_order_by_id(order.id).status.value == "canceled"


def test_check_39_cancel_of_a_filled_order(client: TradingClient, venue: simulator.Venue) -> None:
    """The refusal names the state."""
    venue.to_open(0)
    order = client.submit_order(market_order("AAPL", "buy", 10))
    error = refusal(lambda: client.cancel_order_by_id(order.id))
    assert (error.status_code, error.code, error.message) == (422, 42210000, 'order is already in "filled" state')


def test_check_41_cancel_all_answers_each_order(client: TradingClient, venue: simulator.Venue) -> None:
    """Every open order is cancelled by one request, and named."""
    venue.to_bars(0)
    orders = [client.submit_order(market_order(symbol, "buy", 1)) for symbol in ("AAPL", "IBM", "MSFT")]
    answers = client.cancel_orders()
    assert [(answer.id, answer.status) for answer in answers] == [(order.id, 200) for order in orders]
    assert venue.state()["accounts"]["demo"]["open_orders"] == 0
    assert client.cancel_orders() == []


@pytest.mark.parametrize("first", ["open", "filled", "canceled"])
def test_check_42_client_order_id_is_unique_for_ever(client: TradingClient, venue: simulator.Venue, first: str) -> None:
    """A taken id is refused whatever became of its order, and that order is untouched."""
    venue.to_bars(0)
    order = client.submit_order(market_order("AAPL", "buy", 10, "mine"))
    if first == "filled":
        venue.to_open(1)
    if first == "canceled":
        client.cancel_order_by_id(order.id)
    before = client.get_order_by_client_id("mine")
    error = refusal(lambda: client.submit_order(market_order("IBM", "buy", 1, "mine")))
    assert (error.status_code, error.code, error.message) == (422, 40010001, "client_order_id must be unique")
    assert client.get_order_by_client_id("mine") == before


@pytest.mark.parametrize("length,accepted", [(128, True), (129, False)])
def test_check_43_client_order_id_length(
    client: TradingClient, venue: simulator.Venue, length: int, accepted: bool
) -> None:
    """128 characters are accepted, 129 refused."""
    venue.to_bars(0)
    wanted = market_order("AAPL", "buy", 1, "x" * length)
    if accepted:
        assert client.submit_order(wanted).client_order_id == "x" * length
    else:
        assert refusal(lambda: client.submit_order(wanted)).status_code == 422


def test_check_44_unknown_orders_are_not_found(client: TradingClient) -> None:
    """Both look-ups answer 404 with Alpaca's code."""
    for act in (
        lambda: client.get_order_by_client_id("nobody"),
        lambda: client.get_order_by_id("00000000-0000-0000-0000-000000000000"),
        lambda: client.cancel_order_by_id("00000000-0000-0000-0000-000000000000"),
    ):
        error = refusal(act)
        assert (error.status_code, error.code) == (404, 40410000)


def test_check_45_order_listing_filters(client: TradingClient, venue: simulator.Venue) -> None:
    """Status, symbols, side, exclusive bounds, direction and limit each do what they say."""
    venue.to_open(0)
    client.submit_order(market_order("AAPL", "buy", 2, "done"))
    venue.to_bars(0)
    for name, symbol, side in (("a", "IBM", "buy"), ("b", "MSFT", "buy"), ("c", "AAPL", "sell")):
        client.submit_order(market_order(symbol, side, 1, name))

    def names(**filters: Any) -> list[str]:
        found = client.get_orders(GetOrdersRequest(nested=True, **filters))
        return [order.client_order_id for order in found]

    first = client.get_order_by_client_id("a").submitted_at
    last = client.get_order_by_client_id("c").submitted_at
    assert names() == ["c", "b", "a"]
    assert names(status=QueryOrderStatus.CLOSED) == ["done"]
    assert names(status=QueryOrderStatus.ALL, direction="asc") == ["done", "a", "b", "c"]
    assert names(status=QueryOrderStatus.ALL, limit=2) == ["c", "b"]
    assert names(symbols=["IBM", "AAPL"]) == ["c", "a"]
    assert names(side=OrderSide.SELL) == ["c"]
    assert names(after=first, until=last) == ["b"]


def test_an_order_is_found_with_the_nested_flag(client: TradingClient, venue: simulator.Venue) -> None:
    """The client writes the flag as a capitalised word."""
    order = _priced(client, venue, 1)
    assert client.get_order_by_id(order.id, GetOrderByIdRequest(nested=True)).legs is None


def test_a_filter_without_effect_is_refused(client: TradingClient) -> None:
    """A cursor that this venue does not know must not look like an empty page."""
    error = refusal(lambda: client.get("/orders", {"after_order_id": "x"}))
    assert (error.status_code, error.message) == (422, "parameter after_order_id is not offered")


def test_check_46_position_is_consistent(client: TradingClient, venue: simulator.Venue) -> None:
    """The same position by symbol and by asset id; value, cost and profit agree; an open sale takes its shares."""
    venue.to_open(0)
    client.submit_order(market_order("AAPL", "buy", 10))
    venue.to_close(0)
    client.submit_order(market_order("AAPL", "sell", 4))
    position = client.get_open_position("AAPL")
    assert client.get_open_position(str(position.asset_id)) == position
    assert client.get_all_positions() == [position]
    assert (position.qty, position.qty_available, position.side.value) == ("10", "6", "long")
    assert (position.cost_basis, position.market_value, position.unrealized_pl) == ("5000.5", "5100", "99.5")
    assert (position.avg_entry_price, position.current_price) == ("500.05", "510")


def test_check_51_short_position_is_negative(client: TradingClient, venue: simulator.Venue) -> None:
    """A short's quantity, value and cost carry a minus sign."""
    venue.to_open(0)
    client.submit_order(market_order("AAPL", "sell", 10))
    position = client.get_open_position("AAPL")
    assert (position.side.value, position.qty, position.market_value) == ("short", "-10", "-5000")
    assert (position.cost_basis, client.get_account().cash) == ("-4999.5", "1004999.5")


def test_check_47_oversell_names_the_quantities(client: TradingClient, venue: simulator.Venue) -> None:
    """The refusal carries what is available, held and existing."""
    venue.to_open(0)
    client.submit_order(market_order("AAPL", "buy", 10))
    error = refusal(lambda: client.submit_order(market_order("AAPL", "sell", 11)))
    assert (error.status_code, error.code) == (403, 40310000)
    assert error.message == "insufficient qty available for order (requested: 11, available: 10)"


def test_check_48_buying_power(client: TradingClient, venue: simulator.Venue) -> None:
    """An order above twice the equity is refused with both amounts; the reservation ends with a cancel."""
    order = _priced(client, venue, 3000)
    error = refusal(lambda: client.submit_order(market_order("AAPL", "buy", 3000)))
    assert (error.status_code, error.code, error.message) == (403, 40310000, "insufficient buying power")
    assert client.get_account().buying_power == "469847"
    client.cancel_order_by_id(order.id)
    assert client.get_account().buying_power == "2000000"


def _priced(client: TradingClient, venue: simulator.Venue, quantity: float) -> Any:
    venue.to_bars(0)
    return client.submit_order(market_order("AAPL", "buy", quantity))


def test_check_52_opposite_market_orders(client: TradingClient, venue: simulator.Venue) -> None:
    """A sale against an open purchase of the same symbol is refused and names it."""
    order = _priced(client, venue, 1)
    error = refusal(lambda: client.submit_order(market_order("AAPL", "sell", 1)))
    assert (error.status_code, error.code) == (403, 40310000)
    assert str(order.id) in str(error)


def test_check_54_clock_across_daylight_saving(tmp_path: pathlib.Path) -> None:
    """From 12 March on New York is four hours behind; half past nine stays half past nine."""
    with simulator.threaded(tmp_path, {"AAPL": [("1", "2")] * 7}) as venue:
        client = TradingClient(venue.key_id, venue.secret_key, url_override=venue.url)
        venue.to_close(5)
        clock = client.get_clock()
        assert (clock.timestamp.isoformat(), clock.is_open) == ("2012-03-09T16:00:00-05:00", False)
        assert clock.next_open.isoformat() == "2012-03-12T09:30:00-04:00"
        venue.to_open(6)
        clock = client.get_clock()
        assert (clock.is_open, clock.next_close.isoformat()) == (True, "2012-03-12T16:00:00-04:00")
        assert clock.next_open.isoformat() == "2012-03-13T09:30:00-04:00"


def test_check_54_calendar_shows_half_days(client: TradingClient) -> None:
    """The day after Thanksgiving 2012 closed at one, Thanksgiving itself is absent."""
    days = client.get_calendar(GetCalendarRequest(start="2012-11-21", end="2012-11-26"))
    assert [(day.date.isoformat(), f"{day.open:%H:%M}", f"{day.close:%H:%M}") for day in days] == [
        ("2012-11-21", "09:30", "16:00"),
        ("2012-11-23", "09:30", "13:00"),
        ("2012-11-26", "09:30", "16:00"),
    ]


def test_check_55_activities_page_without_gaps(client: TradingClient, venue: simulator.Venue) -> None:
    """Each fill once, fees after the close, pages of two that join."""
    venue.to_open(0)
    for symbol in ("AAPL", "IBM", "MSFT"):
        client.submit_order(market_order(symbol, "buy", 1))
    client.submit_order(market_order("IBM", "sell", 1))
    venue.to_close(0)
    everything = client.get("/account/activities", {"direction": "asc"})
    assert [row["activity_type"] for row in everything] == ["FILL"] * 4 + ["FEE"] * 3
    assert [row["activity_sub_type"] for row in everything[4:]] == ["CAT", "REG", "TAF"]
    paged: list[Any] = []
    while page := client.get(
        "/account/activities", {"direction": "asc", "page_size": 2, "page_token": paged[-1]["id"] if paged else ""}
    ):
        paged += page
    assert paged == everything
    assert client.get("/account/activities") == everything[::-1]
    assert client.get("/account/activities/FEE", {"direction": "asc"}) == everything[4:]
    assert client.get("/account/activities", {"activity_types": "FILL", "page_size": 1}) == [everything[3]]
    last_fill = everything[3]["transaction_time"]
    assert client.get("/account/activities", {"after": last_fill, "direction": "asc"}) == everything[4:]


def test_check_56_cash_equals_fills_and_fees(client: TradingClient, venue: simulator.Venue) -> None:
    """After three sessions of trading the cash is the start, less fills, less fees, to the last digit."""
    for session in range(3):
        venue.to_open(session)
        client.submit_order(market_order("AAPL", "buy", 100 + session))
        client.submit_order(market_order("IBM", "sell", 37))
        venue.to_bars(session)
    rows = client.get("/account/activities")
    fills = [row for row in rows if row["activity_type"] == "FILL"]
    paid = sum(Decimal(row["price"]) * Decimal(row["qty"]) * (1 if row["side"] == "buy" else -1) for row in fills)
    fees = sum(Decimal(row["net_amount"]) for row in rows if row["activity_type"] == "FEE")
    account = client.get_account()
    positions = sum(Decimal(position.market_value) for position in client.get_all_positions())
    assert len(fills) == 6
    assert Decimal(account.cash) == 1000000 - paid + fees
    assert Decimal(account.equity) == Decimal(account.cash) + positions
    assert fees == fees.quantize(Decimal("0.01"))


def test_assets_appear_with_their_first_session(tmp_path: pathlib.Path) -> None:
    """A symbol that is not listed yet is unknown: neither shown nor traded."""
    prices = {"AAPL": [("1", "2")] * 4, "FB": [None, None, ("38", "38.25"), ("42", "38")]}
    with simulator.threaded(tmp_path, prices) as venue:
        client = TradingClient(venue.key_id, venue.secret_key, url_override=venue.url)
        venue.to_bars(1)
        assert [asset.symbol for asset in client.get_all_assets(GetAssetsRequest(status="active"))] == ["AAPL"]
        assert refusal(lambda: client.get_asset("FB")).status_code == 404
        assert refusal(lambda: client.submit_order(market_order("FB", "buy", 1))).status_code == 422
        venue.to_open(2)
        asset = client.get_asset("FB")
        assert (asset.tradable, asset.shortable, client.get_asset(str(asset.id))) == (True, True, asset)
        client.submit_order(market_order("FB", "buy", 1))
        assert client.get_open_position("FB").current_price == "38"


def test_a_split_reaches_the_position(tmp_path: pathlib.Path) -> None:
    """Two for one at the second open: twice the shares, the same cost, and a row that says so."""
    prices = {"AAPL": [("100", "100"), ("50", "51")]}
    with simulator.threaded(tmp_path, prices, actions=[simulator.Action("AAPL", 1, split=(2, 1))]) as venue:
        client = TradingClient(venue.key_id, venue.secret_key, url_override=venue.url)
        venue.to_open(0)
        client.submit_order(market_order("AAPL", "buy", 10))
        venue.to_open(1)
        position = client.get_open_position("AAPL")
        (row,) = client.get("/account/activities/SPLIT")
        assert (position.qty, position.cost_basis, position.market_value) == ("20", "1000.1", "1000")
        assert (row["symbol"], row["qty"]) == ("AAPL", "10")


def test_dividends_are_not_paid(tmp_path: pathlib.Path) -> None:
    """An ex-date changes no cash: this venue pays no dividends."""
    prices = {"AAPL": [("100", "100"), ("98", "98")]}
    with simulator.threaded(tmp_path, prices, actions=[simulator.Action("AAPL", 1, dividend="2.65")]) as venue:
        client = TradingClient(venue.key_id, venue.secret_key, url_override=venue.url)
        venue.to_open(0)
        client.submit_order(market_order("AAPL", "buy", 10))
        venue.to_close(0)
        before = client.get_account().cash
        venue.to_bars(1)
        assert client.get_account().cash == before
