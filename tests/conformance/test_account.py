"""Conformance checks of account, positions and the rules that an account trades by."""

import contextlib
import datetime as dt
import pathlib
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import AssetExchange, AssetStatus
from alpaca.trading.models import FailedClosePositionDetails, Order
from alpaca.trading.requests import (
    ClosePositionRequest,
    CreateWatchlistRequest,
    GetAssetsRequest,
    GetPortfolioHistoryRequest,
    UpdateWatchlistRequest,
)

from support import conformance, simulator
from support.conformance import client_of, flat, moment, order, path, refusal, send

Start = Callable[..., tuple[simulator.Venue, TradingClient]]
HARD = {"IBM": {"easy_to_borrow": False}}


def held(start: Start, quantity: int = 10, **settings: Any) -> tuple[simulator.Venue, TradingClient]:
    """A venue in its third minute, at 100, with shares of AAPL."""
    venue, client = start(flat("AAPL", "100", 10), moment("09:31:30"), **settings)
    send(client, quantity=quantity)
    venue.move(moment("09:32:30"))
    return venue, client


def test_check_46_an_open_sale_takes_available_shares(start: Start) -> None:
    """By symbol and by id the same; what a sale promises is not available."""
    _, client = held(start)
    send(client, quantity=4, side="sell", kind="limit", limit_price="120")
    found = client.get_open_position("AAPL")
    assert found == client.get_open_position(found.asset_id)
    assert (found.qty, found.qty_available, found.cost_basis, found.market_value) == ("10", "6", "1000.1", "1000")
    assert (found.unrealized_pl, found.avg_entry_price) == ("-0.1", "100.01")


def test_check_47_shares_that_an_order_holds_cannot_be_sold_again(start: Start) -> None:
    """The refusal names all three quantities."""
    _, client = held(start)
    send(client, quantity=8, side="sell", kind="limit", limit_price="120")
    error = refusal(lambda: send(client, quantity=5, side="sell", kind="limit", limit_price="121"))
    assert (error.status_code, error.code) == (403, 40310000)
    for field in ('"available":"2"', '"existing_qty":"10"', '"held_for_orders":"8"', '"symbol":"AAPL"'):
        assert field in str(error)


def test_check_48_two_purchases_that_fit_alone_but_not_together(start: Start) -> None:
    """The second is refused with both amounts, and fits once the first is cancelled."""
    _, client = start(flat("AAPL", "100", 10), moment("09:31:30"), cash="10000")
    first = send(client, quantity=150, kind="limit", limit_price="99")
    error = refusal(lambda: send(client, quantity=60, kind="limit", limit_price="98"))
    assert (error.status_code, error.code, error.message) == (403, 40310000, "insufficient buying power")
    assert '"buying_power":"5150"' in str(error)
    assert '"cost_basis":"5880"' in str(error)
    client.cancel_order_by_id(first["id"])
    send(client, quantity=60, kind="limit", limit_price="98")


def test_a_part_that_filled_reserves_nothing_more(start: Start) -> None:
    """The rest of the order reserves in proportion."""
    venue, client = start(flat("AAPL", "100", 10, volume=100), moment("09:31:30"), cash="10000", profile="thin")
    send(client, quantity=40, kind="limit", limit_price="101")
    assert client.get_account().buying_power == "15960"
    venue.move(moment("09:32:30"))
    # Ten shares at 100.01 leave an equity of 9999.9, half of 1000 as their margin, and 30 of 40 parts of 4040.
    assert client.get_account().buying_power == "15969.8"


@pytest.mark.parametrize(
    "options,closed",
    [
        (None, "10"),
        (ClosePositionRequest(qty="4"), "4"),
        (ClosePositionRequest(percentage="50"), "5"),
        (ClosePositionRequest(percentage="33.333333333"), "3.3333333333"[:-1]),
    ],
)
def test_check_49_close_a_position(start: Start, options: ClosePositionRequest | None, closed: str) -> None:
    """All, some shares, or a percentage of them."""
    venue, client = held(start)
    sent = client.close_position("AAPL", options)
    assert (sent.qty, sent.side.value, sent.type.value, sent.position_intent.value) == (
        closed,
        "sell",
        "market",
        "sell_to_close",
    )
    venue.move(moment("09:33"))
    left = Decimal(10) - Decimal(closed)
    assert [Decimal(one.qty) for one in client.get_all_positions()] == ([left] if left else [])


def test_check_49_what_cannot_be_closed(start: Start) -> None:
    """An unknown symbol is 404; more than there is, both sizes, and more than all are refused."""
    _, client = held(start)
    error = refusal(lambda: client.close_position("IBM"))
    assert (error.status_code, error.code) == (404, 40410000)
    assert refusal(lambda: client.close_position("AAPL", ClosePositionRequest(qty="11"))).status_code == 403
    for query in ({"qty": "1", "percentage": "5"}, {"percentage": "101"}, {"percentage": "0"}, {"qty": "x"}):
        assert refusal(lambda query=query: client.delete("/positions/AAPL", query)).status_code == 422
    assert client.get_open_position("AAPL").qty_available == "10"


def test_check_50_close_all_with_one_that_is_blocked(tmp_path: pathlib.Path) -> None:
    """Open orders are cancelled, one position is closed, the other's refusal is a body of its own."""
    minutes = sorted([*flat("AAPL", "100", 10), *flat("IBM", "50", 10)], key=lambda one: one.start)
    with simulator.running(tmp_path, minutes=minutes, assets={}) as venue:
        client = client_of(venue)
        venue.move(moment("09:31:30"))
        for symbol in ("AAPL", "IBM"):
            send(client, symbol)
        venue.move(moment("09:32:30"))
        limit = send(client, side="sell", kind="limit", limit_price="120")
        venue.kill()
        (tmp_path / "assets.json").write_text('{"IBM": {"tradable": false}}')
        venue.start()
        blocked = refusal(lambda: client.get("/positions/NOPE"))
        answers = client.close_all_positions(cancel_orders=True)
        assert blocked.status_code == 404
        assert [(one.symbol, one.status) for one in answers] == [("AAPL", 200), ("IBM", 422)]
        first, second = (one.body for one in answers)
        assert isinstance(first, Order)
        assert isinstance(second, FailedClosePositionDetails)
        assert (second.symbol, second.message) == ("IBM", 'asset "IBM" is not tradable')
        assert order(client, limit)["status"] == "canceled"
        venue.move(moment("09:33:30"))
        assert [one.symbol for one in client.get_all_positions()] == ["IBM"]


def test_close_all_leaves_what_orders_hold(start: Start) -> None:
    """Without cancelling first the position that an order holds is refused with the quantities."""
    _, client = held(start)
    send(client, side="sell", kind="limit", limit_price="120")
    (answer,) = client.close_all_positions()
    assert (answer.status, answer.body.available, answer.body.held_for_orders) == (403, 0, 10)


def test_check_51_shorts(start: Start) -> None:
    """Easy to borrow: a negative position; hard to borrow: 422; not wanted by the user: 403."""
    venue, client = start([*flat("AAPL", "100", 10), *flat("IBM", "50", 10)], moment("09:31:30"), assets=HARD)
    send(client, side="sell")
    venue.move(moment("09:32:30"))
    assert (client.get_open_position("AAPL").qty, client.get_open_position("AAPL").side.value) == ("-10", "short")
    hard = refusal(lambda: send(client, "IBM", side="sell"))
    gtc = refusal(lambda: send(client, "IBM", time_in_force="gtc"))
    client.patch("/account/configurations", {"no_shorting": True})
    unwanted = refusal(lambda: send(client, side="sell"))
    assert (hard.status_code, hard.message) == (422, 'asset "IBM" cannot be sold short')
    assert (gtc.status_code, gtc.message) == (422, 'only day orders are allowed for hard-to-borrow asset "IBM"')
    assert (unwanted.status_code, unwanted.message) == (403, "account is not allowed to short")
    assert client.get_account().shorting_enabled is False
    send(client, quantity=4)  # covering is no short


@pytest.mark.parametrize(
    "first,second,accepted",
    [
        (("limit", {"limit_price": "101"}), ("limit", {"limit_price": "100.5"}), False),
        (("limit", {"limit_price": "101"}), ("limit", {"limit_price": "102"}), True),
        (("limit", {"limit_price": "95"}), ("market", {}), False),
        (("limit", {"limit_price": "95"}), ("stop", {"stop_price": "90"}), False),
        (("limit", {"limit_price": "95"}), ("trailing_stop", {"trail_price": "5"}), True),
    ],
)
def test_check_52_wash_trades(start: Start, first: Any, second: Any, accepted: bool) -> None:
    """A purchase that waits against a sale: crossing limits, markets and stops are refused, trailing stops are not."""
    venue, client = start(flat("AAPL", "103", 10), moment("09:31:30"))
    send(client)
    venue.move(moment("09:32:30"))
    buy = send(client, kind=first[0], **first[1])

    def act() -> Any:
        return send(client, side="sell", kind=second[0], **second[1])

    if accepted:
        assert act()["status"] == "pending_new"
        return
    error = refusal(act)
    assert (error.status_code, error.code) == (403, 40310000)
    assert error.message == "potential wash trade detected. use complex orders"
    assert f'"existing_order_id":"{buy["id"]}"' in str(error)
    assert '"reject_reason":' in str(error)


def test_check_53_configurations(start: Start) -> None:
    """A body full of nulls changes what it names; a suspended account may not trade."""
    _, client = held(start)
    before = client.get_account_configurations()
    assert (before.suspend_trade, before.no_shorting, before.max_margin_multiplier) == (False, False, "2")
    changed = before.model_copy(update={"suspend_trade": True, "max_margin_multiplier": "4"})
    assert client.set_account_configurations(changed).suspend_trade is True
    client.patch("/account/configurations", {"no_shorting": True, "suspend_trade": None, "fractional_trading": None})
    after = client.get_account_configurations()
    assert (after.suspend_trade, after.no_shorting, after.fractional_trading) == (True, True, True)
    error = refusal(lambda: send(client))
    assert (error.status_code, error.code, error.message) == (403, 40310000, "account is not authorized to trade")
    assert (client.get_account().trade_suspended_by_user, client.get_account().multiplier) == (True, "4")


@pytest.mark.parametrize(
    "body", [{"no_shorting": "yes"}, {"max_margin_multiplier": "3"}, {"trade_confirm_email": True}, {"nope": 1}]
)
def test_a_configuration_that_does_not_fit_is_refused(start: Start, body: dict[str, Any]) -> None:
    """By the name of the field."""
    _, client = start(flat("AAPL", "100", 10), moment("09:31:30"))
    error = refusal(lambda: client.patch("/account/configurations", body))
    assert (error.status_code, next(iter(body)) in error.message) == (422, True)


def test_the_margin_multiplier_acts(start: Start) -> None:
    """Cash, twice the equity, and four times of it within a session."""
    venue, client = start(flat("AAPL", "100", 390), moment("09:31:30"), cash="10000")
    seen = {}
    for factor in ("1", "2", "4"):
        client.patch("/account/configurations", {"max_margin_multiplier": factor})
        seen[factor] = client.get_account().buying_power
    venue.move(moment("16:30"))
    assert seen == {"1": "10000", "2": "20000", "4": "40000"}
    assert client.get_account().buying_power == "20000"


def test_check_55_portfolio_history(start: Start) -> None:
    """Days and quarters of an hour: as many amounts as labels, none missing, and the newest is the account's."""
    minutes = [*path("AAPL", ["100"] * 6 + ["110"] * 40), *flat("AAPL", "110", 344, start="10:15")]
    minutes += flat("AAPL", "120", 31, day=conformance.NEXT_DAY)
    venue, client = start(minutes, moment("09:31:30"))
    send(client, quantity=100)
    venue.move(moment("10:01", conformance.NEXT_DAY))
    day = client.get_portfolio_history(GetPortfolioHistoryRequest(period="1W", timeframe="1D"))
    assert day.timeframe == "1D"
    assert [len(one) for one in (day.timestamp, day.equity, day.profit_loss, day.profit_loss_pct)] == [2] * 4
    assert day.equity[0] == pytest.approx(float(client.get_account().last_equity))
    assert day.equity[1] == pytest.approx(float(client.get_account().equity))
    assert day.profit_loss == pytest.approx([one - 1_000_000 for one in day.equity])
    fine = client.get_portfolio_history(GetPortfolioHistoryRequest(period="1W", timeframe="15Min"))
    assert len(fine.timestamp) == len(fine.equity) == len(fine.profit_loss) == 26 + 3
    assert None not in fine.equity
    # 100 shares at 100.01, worth 110 from the sixth minute on; the next day's profit begins at nothing.
    assert (fine.equity[0], fine.profit_loss[0]) == (1000999.0, 999.0)
    assert fine.profit_loss[-1] == pytest.approx(fine.equity[-1] - day.equity[0])
    first = simulator.sessions(1)[0].open
    assert fine.timestamp[0] == dt.datetime.fromisoformat(first).timestamp()
    whole = client.get("/account/portfolio/history", {"period": "1W", "timeframe": "15Min", "pnl_reset": "no_reset"})
    assert whole["profit_loss"][-1] == pytest.approx(whole["equity"][-1] - 1_000_000)


@pytest.mark.parametrize(
    "query",
    [
        {"period": "1X"},
        {"timeframe": "2Min"},
        {"timeframe": "1Min", "period": "3M"},
        {"period": "1M", "start": "2012-03-01", "end": "2012-03-02"},
        {"start": "2012-03-02", "end": "2012-03-01"},
        {"pnl_reset": "never"},
    ],
)
def test_a_history_that_cannot_be_shown_is_refused(start: Start, query: dict[str, str]) -> None:
    """By the parameter."""
    _, client = start(flat("AAPL", "100", 10), moment("09:31:30"))
    assert refusal(lambda: client.get("/account/portfolio/history", query)).status_code == 422


@pytest.mark.parametrize("profile", ["paper", "realistic"])
def test_check_56_equity_is_cash_and_positions_after_random_trading(tmp_path: pathlib.Path, profile: str) -> None:
    """The ledger is the sum of the executions; fees appear in the costs profile alone."""
    choose = random.Random(profile)  # noqa: S311 - a test's choices
    prices = [f"{choose.randrange(9000, 11000) / 100:.2f}" for _ in range(391)]
    with simulator.threaded(tmp_path, minutes=path("AAPL", prices), profile=profile) as venue:
        client = client_of(venue)
        venue.move(moment("09:31:30"))
        for step in range(60):
            kind = choose.choice(["market", "limit", "stop"])
            price = {"limit": {"limit_price": "100"}, "stop": {"stop_price": "100"}}.get(kind, {})
            side = choose.choice(["buy", "sell"])
            with contextlib.suppress(APIError):  # what is more than there is
                send(client, quantity=choose.randrange(1, 200), side=side, kind=kind, **price)
            venue.move(moment(f"{9 + (32 + step * 6) // 60:02}:{(32 + step * 6) % 60:02}:30"))
            account = client.get_account()
            values = [Decimal(account.cash), Decimal(account.long_market_value), Decimal(account.short_market_value)]
            assert sum(values) == Decimal(account.equity)
        venue.move(moment("16:00"))
        rows, token = [], ""
        while page := client.get("/account/activities", {"page_token": token, "page_size": 7}):
            rows += page
            token = page[-1]["id"]
        fills = [row for row in rows if row["activity_type"] == "FILL"]
        paid = sum(Decimal(one["price"]) * Decimal(one["qty"]) * (1 if one["side"] == "buy" else -1) for one in fills)
        fees = sum(Decimal(row["net_amount"]) for row in rows if row["activity_type"] == "FEE")
        assert len(fills) > 10
        assert (fees < 0) == (profile == "realistic")
        assert Decimal(client.get_account().cash) == 1_000_000 - paid + fees


def test_watchlists_from_the_first_to_the_last(start: Start) -> None:
    """Made, read, renamed, added to, taken from and deleted by the official client."""
    _, client = start([*flat("AAPL", "100", 10), *flat("IBM", "50", 10)], moment("09:31:30"))
    made = client.create_watchlist(CreateWatchlistRequest(name="mine", symbols=["IBM"]))
    client.add_asset_to_watchlist_by_id(made.id, "AAPL")
    assert [one.name for one in client.get_watchlists()] == ["mine"]
    found = client.get_watchlist_by_id(made.id)
    assert [one.symbol for one in found.assets] == ["IBM", "AAPL"]
    changed = client.update_watchlist_by_id(made.id, UpdateWatchlistRequest(name="ours"))
    assert (changed.name, len(changed.assets)) == ("ours", 2)
    left = client.remove_asset_from_watchlist_by_id(made.id, "IBM")
    assert [one.symbol for one in left.assets] == ["AAPL"]
    twin = refusal(lambda: client.create_watchlist(CreateWatchlistRequest(name="ours", symbols=[])))
    unknown = refusal(lambda: client.add_asset_to_watchlist_by_id(made.id, "NOPE"))
    assert (twin.status_code, unknown.status_code) == (422, 422)
    client.delete_watchlist_by_id(made.id)
    assert client.get_watchlists() == []
    assert refusal(lambda: client.get_watchlist_by_id(made.id)).status_code == 404


def test_assets_are_filtered(start: Start) -> None:
    """By status, exchange and class; of other classes there is none."""
    assets = {"IBM": {"exchange": "NYSE", "name": "International", "fractionable": False}, "AAPL": {"active": False}}
    _, client = start([*flat("AAPL", "100", 10), *flat("IBM", "50", 10)], moment("09:31:30"), assets=assets)

    def symbols(**filters: Any) -> list[str]:
        return [one.symbol for one in client.get_all_assets(GetAssetsRequest(**filters))]

    assert symbols() == ["AAPL", "IBM"]
    assert symbols(status=AssetStatus.ACTIVE) == ["IBM"]
    assert symbols(exchange=AssetExchange.NYSE) == ["IBM"]
    assert symbols(attributes="ptp_no_exception") == []
    assert symbols(asset_class="crypto") == []
    found = client.get_asset("IBM")
    assert (found.name, found.fractionable, found.exchange.value) == ("International", False, "NYSE")
    assert client.get_asset(str(found.id)) == found
    assert refusal(lambda: send(client, "IBM", "0.5")).message == 'asset "IBM" is not fractionable'
    assert refusal(lambda: send(client)).message == 'asset "AAPL" is not active'


@pytest.mark.parametrize(
    "more,feature",
    [
        ({"symbol": "BTC/USD"}, "crypto"),
        ({"symbol": "AAPL240119C00100000"}, "options"),
        ({"order_class": "mleg"}, "multi-leg orders"),
        ({"legs": [{"symbol": "AAPL", "ratio_qty": "1"}]}, "multi-leg orders"),
    ],
)
def test_other_assets_answer_as_to_an_account_without_them(start: Start, more: dict[str, Any], feature: str) -> None:
    """403, and no order."""
    _, client = start(flat("AAPL", "100", 10), moment("09:31:30"))
    error = refusal(lambda: client.post("/orders", conformance.wanted() | more))
    assert (error.status_code, error.message) == (403, f"account is not entitled to {feature}")
    assert client.get("/orders", {"status": "all"}) == []


def test_check_76_what_a_user_has_set_survives_a_sigkill(tmp_path: pathlib.Path) -> None:
    """Configurations, watchlists, history and events."""
    with simulator.running(tmp_path, minutes=flat("AAPL", "100", 10)) as venue:
        client = client_of(venue)
        venue.move(moment("09:31:30"))
        client.patch("/account/configurations", {"no_shorting": True, "max_margin_multiplier": "4"})
        client.create_watchlist(CreateWatchlistRequest(name="mine", symbols=["AAPL"]))
        client.delete_watchlist_by_id(client.create_watchlist(CreateWatchlistRequest(name="x", symbols=[])).id)
        send(client)
        venue.move(moment("09:33:30"))

        def everything() -> list[Any]:
            shown = ("/account/configurations", "/watchlists", "/account/portfolio/history", "/account")
            return [client.get(path) for path in shown]

        before = everything()
        venue.kill()
        venue.start()
        assert everything() == before
        third = client.create_watchlist(CreateWatchlistRequest(name="y", symbols=[]))
        assert str(third.id) not in {one["id"] for one in before[1]}
        events = conformance.replayed(venue, since=moment("09:30"), until=moment("09:33"))
        assert [one["event"] for one in events] == ["pending_new", "new", "fill"]
