"""Conformance checks of brackets, OCO and OTO, of replacements and of cancels."""

import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, TimeInForce
from alpaca.trading.requests import (
    GetOrderByIdRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLossRequest,
    TakeProfitRequest,
)

from support import conformance, simulator
from support.conformance import client_of, flat, legs, moment, order, refusal, send

Start = Callable[..., tuple[simulator.Venue, TradingClient]]
EXITS = {"order_class": "bracket", "take_profit": {"limit_price": "110"}, "stop_loss": {"stop_price": "90"}}


def states(client: TradingClient, found: Any) -> tuple[str, str, str]:
    """Status of a bracket's entry, of its take-profit and of its stop."""
    now = order(client, found)
    by_type = {leg["type"]: leg["status"] for leg in now["legs"]}
    return now["status"], by_type["limit"], by_type["stop"]


async def test_check_28_bracket_buy_holds_its_legs_until_the_entry_is_filled(start: Start) -> None:
    """Three orders; then the limit is new and the stop stays held; nested shows them under their entry."""
    venue, client = start(flat("AAPL", "100", 5), moment("09:31:30"))
    async with conformance.listening(venue) as updates:
        sent = client.submit_order(
            MarketOrderRequest(
                symbol="AAPL",
                qty=10,
                side=OrderSide.BUY,
                time_in_force=TimeInForce.DAY,
                order_class=OrderClass.BRACKET,
                take_profit=TakeProfitRequest(limit_price=110),
                stop_loss=StopLossRequest(stop_price=90),
            )
        )
        assert [(leg.type.value, leg.status.value) for leg in sent.legs] == [("limit", "held"), ("stop", "held")]
        assert len(client.get("/orders")) == 3
        venue.move(moment("09:32"))
        told = [(one["event"], one["order"]["type"]) for one in await updates.take(4)]
    found = client.get_order_by_id(sent.id, GetOrderByIdRequest(nested=True))
    assert (found.status.value, found.order_class.value) == ("filled", "bracket")
    assert [(leg.type.value, leg.status.value) for leg in found.legs] == [("limit", "new"), ("stop", "held")]
    assert [leg.side.value for leg in found.legs] == ["sell", "sell"]
    assert told == [("pending_new", "market"), ("new", "market"), ("fill", "market"), ("new", "limit")]
    assert len(client.get("/orders", {"nested": "True", "status": "all"})) == 1
    assert client.get("/orders", {"nested": "True"}) == []
    assert {one["type"] for one in client.get("/orders")} == {"limit", "stop"}


def bracket(start: Start, *then: str) -> tuple[simulator.Venue, TradingClient, Any]:
    """A bracket whose entry is filled at 09:32, before minutes at these prices."""
    minutes = flat("AAPL", "100", 3)
    for number, price in enumerate(then):
        minutes += flat("AAPL", price, 1, start=f"09:{33 + number}")
    venue, client = start(minutes, moment("09:31"))
    sent = send(client, **EXITS)
    venue.move(moment("09:32"))
    return venue, client, sent


def test_check_29_take_profit_cancels_the_stop(start: Start) -> None:
    """Filled at its price or better, and nothing is left of the position."""
    venue, client, sent = bracket(start, "111")
    venue.move(moment("09:34"))
    assert states(client, sent) == ("filled", "filled", "canceled")
    assert client.get_all_positions() == []


def test_check_30_stop_cancels_the_take_profit(start: Start) -> None:
    """The position is sold at the market."""
    venue, client, sent = bracket(start, "89")
    venue.move(moment("09:34"))
    assert states(client, sent) == ("filled", "canceled", "filled")
    assert legs(client, sent)["stop"]["filled_avg_price"] == "88.9911"
    assert client.get_all_positions() == []


def test_check_31_partial_take_profit_shrinks_the_stop(start: Start) -> None:
    """Where a minute has volume for four shares, the stop is for the six that are left."""
    minutes = [*flat("AAPL", "100", 3), *flat("AAPL", "111", 1, start="09:33", volume=40)]
    minutes += flat("AAPL", "85", 1, start="09:34")
    venue, client = start(minutes, moment("09:31"), profile="thin")
    sent = send(client, **EXITS)
    venue.move(moment("09:33"))
    found = legs(client, sent)
    assert (found["limit"]["status"], found["limit"]["filled_qty"]) == ("partially_filled", "4")
    assert (found["stop"]["status"], found["stop"]["qty"]) == ("held", "6")
    assert (client.get_open_position("AAPL").qty, client.get_open_position("AAPL").qty_available) == ("6", "0")
    venue.move(moment("09:35"))
    assert states(client, sent) == ("filled", "canceled", "filled")
    assert client.get_all_positions() == []


async def test_check_32_cancel_of_the_entry_cancels_all_three(start: Start) -> None:
    """Each with its event."""
    venue, client = start(flat("AAPL", "100", 5), moment("09:31"))
    async with conformance.listening(venue) as updates:
        sent = send(client, kind="limit", limit_price="95", **EXITS)
        client.cancel_order_by_id(sent["id"])
        assert await updates.events(5) == ["pending_new", "new", "canceled", "canceled", "canceled"]
    assert states(client, sent) == ("canceled", "canceled", "canceled")


def test_a_cancelled_exit_takes_the_other_one_with_it(start: Start) -> None:
    """The position stays, and all of it is free again."""
    _, client, sent = bracket(start)
    client.cancel_order_by_id(legs(client, sent)["limit"]["id"])
    assert states(client, sent) == ("filled", "canceled", "canceled")
    assert client.get_open_position("AAPL").qty_available == "10"


def test_check_33_oco_is_a_limit_with_one_leg(start: Start) -> None:
    """For a position that exists; the stop that fills ends the limit."""
    minutes = [*flat("AAPL", "100", 3), *flat("AAPL", "89", 2, start="09:33")]
    venue, client = start(minutes, moment("09:30"))
    exits = {**EXITS, "order_class": "oco"}
    assert refusal(lambda: send(client, side="sell", kind="limit", **exits)).status_code == 422
    send(client)
    venue.move(moment("09:31"))
    sent = send(client, side="sell", kind="limit", **exits)
    assert (sent["type"], sent["limit_price"], sent["order_class"]) == ("limit", "110", "oco")
    assert [(leg["type"], leg["stop_price"], leg["status"]) for leg in sent["legs"]] == [("stop", "90", "held")]
    assert (client.get_open_position("AAPL").qty_available, order(client, sent)["status"]) == ("0", "new")
    venue.move(moment("09:34"))
    assert (order(client, sent)["status"], legs(client, sent)["stop"]["status"]) == ("canceled", "filled")
    assert client.get_all_positions() == []


def test_check_33_oto_is_an_entry_with_one_leg(start: Start) -> None:
    """Its stop works once the entry is filled."""
    minutes = [*flat("AAPL", "100", 3), *flat("AAPL", "89", 2, start="09:33")]
    venue, client = start(minutes, moment("09:31"))
    sent = send(client, order_class="oto", stop_loss={"stop_price": "90", "limit_price": "88"})
    assert [(leg["type"], leg["status"]) for leg in sent["legs"]] == [("stop_limit", "held")]
    venue.move(moment("09:32"))
    assert [leg["status"] for leg in order(client, sent)["legs"]] == ["new"]
    venue.move(moment("09:34"))
    assert legs(client, sent)["stop_limit"]["filled_avg_price"] == "88.9911"


def test_check_34_bracket_with_its_stop_above_the_market(start: Start) -> None:
    """Refused with the price that it was compared with."""
    _, client = start(flat("AAPL", "100", 5), moment("09:31"))
    error = refusal(lambda: send(client, **{**EXITS, "stop_loss": {"stop_price": "101"}}))
    assert (error.status_code, error.code) == (422, 42210000)
    assert error.message == "stop_loss.stop_price must be <= base_price - 0.01"
    assert '"base_price":"100"' in str(error)


async def test_check_35_replace_makes_a_new_order(start: Start) -> None:
    """Each names the other, both are told of, and the new price is the one that fills."""
    minutes = [*flat("AAPL", "100", 3), *flat("AAPL", "96.5", 2, start="09:33")]
    venue, client = start(minutes, moment("09:31"))
    async with conformance.listening(venue) as updates:
        sent = send(client, kind="limit", limit_price="95", time_in_force="gtc")
        new = client.replace_order_by_id(sent["id"], ReplaceOrderRequest(limit_price=97))
        told = [(one["event"], one["order"]["id"]) for one in await updates.take(4)]
    old = order(client, sent)
    assert (str(new.replaces), new.status.value, new.limit_price, new.qty) == (sent["id"], "new", "97", "10")
    assert (old["status"], old["replaced_by"], old["limit_price"]) == ("replaced", str(new.id), "95")
    assert old["replaced_at"] is not None
    assert new.client_order_id != old["client_order_id"]
    assert told[2:] == [("replaced", sent["id"]), ("new", str(new.id))]
    venue.move(moment("09:34"))
    assert client.get_order_by_id(new.id).filled_avg_price == "96.5097"
    assert order(client, sent)["filled_qty"] == "0"


def test_check_36_replace_before_the_venue_has_it(start: Start) -> None:
    """An order that waits for the open is accepted, and cannot be replaced yet; nor can one that has ended."""
    venue, client = start(flat("AAPL", "100", 5), moment("09:31"))
    venue.move(moment("17:00"))
    sent = send(client, kind="limit", limit_price="95")
    for expected in ("unable to replace order, order isn't sent to exchange yet", "order is not open"):
        error = refusal(lambda: client.replace_order_by_id(sent["id"], ReplaceOrderRequest(limit_price=96)))
        assert (error.status_code, error.code, error.message) == (422, 40010001, expected)
        client.cancel_order_by_id(sent["id"])


@pytest.mark.parametrize(
    "change,status,message",
    [
        ({"limit_price": "95"}, 403, "order parameters are not changed"),
        ({}, 403, "order parameters are not changed"),
        ({"limit_price": "95.005"}, 422, "sub-penny increment"),
        ({"stop_price": "94"}, 422, "limit orders must not have stop_price 94"),
        ({"qty": "1.5"}, 422, "qty must be a positive number of whole shares"),
        ({"limit_price": "96", "client_order_id": "mine"}, 422, "client_order_id must be unique"),
        ({"qty": "30000"}, 403, "insufficient buying power"),
        ({"side": "sell"}, 422, "side cannot be replaced"),
    ],
)
def test_what_a_replacement_may_not_be(start: Start, change: dict[str, str], status: int, message: str) -> None:
    """Refused, and the order is as it was."""
    _, client = start(flat("AAPL", "100", 5), moment("09:31"))
    sent = send(client, kind="limit", limit_price="95", client_order_id="mine")
    before = order(client, sent)
    error = refusal(lambda: client.patch(f"/orders/{sent['id']}", change))
    assert (error.status_code, message in error.message) == (status, True), error.message
    assert order(client, sent) == before


def test_a_replacement_can_change_quantity_and_time_in_force(start: Start) -> None:
    """The quantity is the total; what is reserved follows it."""
    minutes = [*flat("AAPL", "100", 390), *flat("AAPL", "94", 2, day=conformance.NEXT_DAY)]
    venue, client = start(minutes, moment("09:31"))
    sent = send(client, kind="limit", limit_price="95")
    new = client.patch(f"/orders/{sent['id']}", {"qty": "25", "time_in_force": "gtc"})
    assert (new["qty"], new["time_in_force"], client.get_account().buying_power) == ("25", "gtc", "1997625")
    venue.move(moment("09:31", conformance.NEXT_DAY))
    assert (order(client, new)["status"], order(client, new)["filled_qty"]) == ("filled", "25")


def test_a_part_that_filled_stays_with_the_old_order(start: Start) -> None:
    """Three of ten filled before: the new order is for the other seven of a total of ten."""
    minutes = [*flat("AAPL", "100", 3, volume=30), *flat("AAPL", "100", 2, start="09:33")]
    venue, client = start(minutes, moment("09:31"), profile="thin")
    sent = send(client, kind="limit", limit_price="101", time_in_force="gtc")
    new = client.patch(f"/orders/{sent['id']}", {"limit_price": "102"})
    venue.move(moment("09:34"))
    assert (order(client, sent)["filled_qty"], new["qty"]) == ("3", "7")
    assert (order(client, new)["status"], client.get_open_position("AAPL").qty) == ("filled", "10")


def test_an_exit_can_be_replaced(start: Start) -> None:
    """The bracket's stop moves up, is still the stop of that bracket, and still ends it."""
    venue, client, sent = bracket(start, "94")
    stop = legs(client, sent)["stop"]
    new = client.patch(f"/orders/{stop['id']}", {"stop_price": "95"})
    assert (new["status"], legs(client, sent)["stop"]["id"], new["replaces"]) == ("held", new["id"], stop["id"])
    venue.move(moment("09:34"))
    assert states(client, sent) == ("filled", "canceled", "filled")
    assert order(client, stop)["status"] == "replaced"


def test_an_entry_that_is_replaced_keeps_its_exits(start: Start) -> None:
    """They are legs of the new one."""
    minutes = [*flat("AAPL", "100", 3), *flat("AAPL", "96.5", 1, start="09:33"), *flat("AAPL", "111", 1, start="09:34")]
    venue, client = start(minutes, moment("09:31"))
    sent = send(client, kind="limit", limit_price="95", **EXITS)
    new = client.patch(f"/orders/{sent['id']}", {"limit_price": "97"})
    assert [leg["status"] for leg in new["legs"]] == ["held", "held"]
    venue.move(moment("09:35"))
    assert states(client, new) == ("filled", "filled", "canceled")


async def test_check_38_cancel_is_told(start: Start) -> None:
    """204, the event, and a second cancel is tolerated."""
    venue, client = start(flat("AAPL", "100", 5), moment("09:31"))
    async with conformance.listening(venue) as updates:
        sent = send(client, kind="limit", limit_price="95")
        assert client.cancel_order_by_id(sent["id"]) is None
        assert client.cancel_order_by_id(sent["id"]) is None
        client.post("/orders", conformance.wanted("AAPL", 1, kind="limit", limit_price="94"))
        assert await updates.events(5) == ["pending_new", "new", "canceled", "pending_new", "new"]


@pytest.mark.parametrize("wanted", ["bracket", "oco", "replaced", "trailing", "partial"])
def test_check_76_a_group_survives_a_sigkill(tmp_path: pathlib.Path, wanted: str) -> None:
    """Killed in mid-session, the venue comes back with every order as it was, and the group goes on."""
    minutes = [*flat("AAPL", "100", 3, volume=40), *flat("AAPL", "105", 1, start="09:33", volume=40)]
    minutes += [*flat("AAPL", "88", 2, start="09:34")]
    settings = {"profile": "thin"} if wanted == "partial" else {}
    with simulator.running(tmp_path, minutes=minutes, **settings) as venue:
        client = client_of(venue)
        venue.move(moment("09:30"))
        sent = send(client, **({} if wanted in {"oco", "trailing"} else EXITS))
        venue.move(moment("09:32"))
        if wanted == "oco":
            sent = send(client, side="sell", kind="limit", **{**EXITS, "order_class": "oco"})
        if wanted == "trailing":
            sent = send(client, side="sell", kind="trailing_stop", trail_price="3")
        if wanted == "replaced":
            client.patch(f"/orders/{legs(client, sent)['stop']['id']}", {"stop_price": "93"})
        venue.move(moment("09:33"))
        before = client.get("/orders", {"status": "all"}), client.get("/account"), client.get("/positions")
        venue.kill()
        venue.start()
        assert (client.get("/orders", {"status": "all"}), client.get("/account"), client.get("/positions")) == before
        venue.move(moment("09:36"))
        assert client.get_all_positions() == []
        assert client.get("/orders") == []


def test_check_76_what_a_split_restated_is_not_restated_again(tmp_path: pathlib.Path) -> None:
    """Killed after a split, the venue comes back with twice the shares at half the price, and they fill once."""
    prices = {"AAPL": [("100", "100"), ("50", "51"), ("44", "44")]}
    with simulator.running(tmp_path, prices, actions=[simulator.Action("AAPL", 1, split=(2, 1))]) as venue:
        client = client_of(venue)
        venue.to_bars(0)
        sent = send(
            client, kind="limit", limit_price="90", time_in_force="gtc", **{**EXITS, "stop_loss": {"stop_price": "60"}}
        )
        venue.to_close(1)
        before = order(client, sent)
        assert (before["qty"], before["limit_price"]) == ("20", "45")
        assert [(leg["qty"], leg["limit_price"] or leg["stop_price"]) for leg in before["legs"]] == [
            ("20", "55"),
            ("20", "30"),
        ]
        venue.kill()
        venue.start()
        assert order(client, sent) == before
        venue.to_close(2)
        assert (order(client, sent)["filled_qty"], client.get_open_position("AAPL").qty) == ("20", "20")


async def test_a_day_order_at_the_market_becomes_one_that_lasts(start: Start) -> None:
    """Replaced in a session in which its symbol trades no more, it fills at the next one's open."""
    minutes = [*flat("AAPL", "100", 390), *flat("IBM", "50", 2), *flat("IBM", "51", 2, day=conformance.NEXT_DAY)]
    venue, client = start(minutes, moment("10:00"))
    sent = send(client, "IBM")
    assert order(client, sent)["status"] == "new"
    new = client.patch(f"/orders/{sent['id']}", {"time_in_force": "gtc"})
    venue.move(moment("16:00"))
    assert order(client, new)["status"] == "new"
    venue.move(moment("09:30", conformance.NEXT_DAY))
    assert (order(client, new)["status"], order(client, new)["filled_avg_price"]) == ("filled", "51.0051")
    assert client.get_open_position("IBM").qty == "10"
