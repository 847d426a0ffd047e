"""Conformance checks of single orders: types, times in force, sizes and ids."""

import pathlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from alpaca.trading.client import TradingClient

from support import conformance, simulator
from support.conformance import client_of, flat, moment, order, path, refusal, send

Start = Callable[..., tuple[simulator.Venue, TradingClient]]


def test_check_11_market_buy_fills_at_the_ask(start: Start) -> None:
    """The ask is half a spread above the next minute's open."""
    venue, client = start(flat("AAPL", "100", 5), moment("09:31"))
    sent = send(client)
    venue.move(moment("09:32"))
    found = order(client, sent)
    assert sent["status"] in {"pending_new", "new", "accepted"}
    assert (found["status"], found["filled_qty"], found["filled_avg_price"]) == ("filled", "10", "100.01")


def test_check_14_limit_under_the_bid_waits_for_the_ask(start: Start) -> None:
    """New until the price comes down to it, then filled at its limit or lower."""
    venue, client = start(path("AAPL", ["100", "100", "100", "98", "98"]), moment("09:31"))
    sent = send(client, kind="limit", limit_price="99")
    venue.move(moment("09:32"))
    assert order(client, sent)["status"] == "new"
    venue.move(moment("09:33"))
    found = order(client, sent)
    assert (found["status"], Decimal(found["filled_avg_price"]) <= 99) == ("filled", True)


def test_check_15_stop_sell_triggers_once_and_fills_as_market(start: Start) -> None:
    """Half a spread under the price that triggered it; the price's way back changes nothing."""
    venue, client = start(path("AAPL", ["100", "100", "100", "96", "102", "95"]), moment("09:30"))
    send(client)
    venue.move(moment("09:31"))
    sent = send(client, side="sell", kind="stop", stop_price="98")
    venue.move(moment("09:35"))
    found = order(client, sent)
    assert (found["status"], found["filled_avg_price"]) == ("filled", "97.9902")
    assert client.get_all_positions() == []


@pytest.mark.parametrize("opened,price", [("102.4", "102.4103"), ("103", None)])
def test_check_16_buy_stop_caps_its_fill(start: Start, opened: str, price: str | None) -> None:
    """Two and a half per cent over a stop at 100: filled under it, not above, and still shown as a stop."""
    minutes = [*flat("AAPL", "99", 2), *flat("AAPL", opened, 3, start="09:32")]
    venue, client = start(minutes, moment("09:31"))
    sent = send(client, kind="stop", stop_price="100")
    venue.move(moment("09:34"))
    found = order(client, sent)
    assert (found["type"], found["stop_price"], found["limit_price"]) == ("stop", "100", None)
    assert (found["status"], found["filled_avg_price"]) == ("filled" if price else "new", price)


def test_check_17_stop_limit_with_a_gap_is_triggered_and_stays(start: Start) -> None:
    """The market opens beyond both prices; it fills when the price comes back to the limit."""
    minutes = [*path("AAPL", ["100", "100", "100"]), *path("AAPL", ["110", "110", "103", "103"], start="09:32")]
    venue, client = start(minutes, moment("09:31"))
    sent = send(client, kind="stop_limit", stop_price="102", limit_price="104")
    venue.move(moment("09:33"))
    assert (order(client, sent)["status"], order(client, sent)["filled_qty"]) == ("new", "0")
    venue.move(moment("09:35"))
    assert (order(client, sent)["status"], order(client, sent)["filled_avg_price"]) == ("filled", "104")


def test_check_18_trailing_stop_follows_and_triggers_on_the_way_down(start: Start) -> None:
    """High-water mark and stop move with the price, one per cent apart; then it sells at the market."""
    minutes = [
        *flat("AAPL", "100", 2),
        *flat("AAPL", "104", 1, start="09:32"),
        *flat("AAPL", "106", 1, start="09:33"),
        *flat("AAPL", "105.5", 1, start="09:34"),
        *flat("AAPL", "104", 1, start="09:35"),
    ]
    venue, client = start(minutes, moment("09:30"))
    send(client)
    venue.move(moment("09:31"))
    sent = send(client, side="sell", kind="trailing_stop", trail_percent="1", time_in_force="gtc")
    seen = []
    for minute in ("09:32", "09:33", "09:34"):
        venue.move(moment(minute))
        found = order(client, sent)
        seen.append((found["status"], found["hwm"], found["stop_price"]))
    assert seen == [("new", "104", "102.96"), ("new", "106", "104.94"), ("new", "106", "104.94")]
    venue.move(moment("09:36"))
    found = order(client, sent)
    assert (found["status"], found["filled_avg_price"]) == ("filled", "103.9896")


def test_check_18_trailing_stop_does_not_trigger_outside_regular_hours(start: Start) -> None:
    """A price far under it after the close leaves it open; the next session's first one fills it."""
    minutes = [
        *flat("AAPL", "100", 2),
        *flat("AAPL", "90", 5, start="16:30"),
        *flat("AAPL", "91", 2, day=conformance.NEXT_DAY),
    ]
    venue, client = start(minutes, moment("09:30"))
    send(client)
    venue.move(moment("09:31"))
    sent = send(client, side="sell", kind="trailing_stop", trail_percent="1", time_in_force="gtc")
    venue.move(moment("17:00"))
    assert order(client, sent)["status"] == "new"
    venue.move(moment("09:31", conformance.NEXT_DAY))
    assert (order(client, sent)["status"], order(client, sent)["filled_avg_price"]) == ("filled", "90.9909")


def test_check_19_ioc_fills_what_it_can(start: Start) -> None:
    """A tenth of the minute's volume fills, the rest is canceled."""
    venue, client = start(flat("AAPL", "100", 5, volume=300), moment("09:31"), profile="thin")
    sent = send(client, quantity=50, kind="limit", limit_price="101", time_in_force="ioc")
    venue.move(moment("09:33"))
    found = order(client, sent)
    assert (found["status"], found["filled_qty"], found["filled_avg_price"]) == ("canceled", "30", "100.01")
    assert client.get_open_position("AAPL").qty == "30"


def test_check_20_fok_is_all_or_nothing(start: Start) -> None:
    """What cannot fill completely does not fill; what can does."""
    venue, client = start(flat("AAPL", "100", 5, volume=300), moment("09:31"), profile="thin")
    large = send(client, quantity=50, time_in_force="fok")
    small = send(client, quantity=30, time_in_force="fok")
    venue.move(moment("09:33"))
    assert [(order(client, one)["status"], order(client, one)["filled_qty"]) for one in (large, small)] == [
        ("canceled", "0"),
        ("filled", "30"),
    ]


async def test_check_21_day_order_through_the_close(start: Start) -> None:
    """Expired at the close, with the event."""
    venue, client = start(flat("AAPL", "100", 390), moment("15:58"))
    async with conformance.listening(venue) as updates:
        sent = send(client, kind="limit", limit_price="90")
        venue.move(moment("16:01"))
        *_, last = await updates.take(3)
    found = order(client, sent)
    assert (found["status"], found["expired_at"]) == ("expired", moment("16:00"))
    assert (last["event"], last["timestamp"], last["order"]["id"]) == ("expired", moment("16:00"), sent["id"])


async def test_check_22_gtc_order_ends_after_ninety_days(tmp_path: pathlib.Path) -> None:
    """At 16:15 New York, through pending_cancel."""
    with simulator.threaded(tmp_path, {"AAPL": [("100", "100")] * 66}) as venue:
        client = client_of(venue)
        venue.to_open(0)
        sent = send(client, kind="limit", limit_price="90", time_in_force="gtc")
        venue.move("2012-05-31T20:14:59Z")
        assert (sent["expires_at"], order(client, sent)["status"]) == ("2012-05-31T20:15:00Z", "new")
        async with conformance.listening(venue) as updates:
            venue.move("2012-05-31T20:15:01Z")
            assert await updates.events(2) == ["pending_cancel", "canceled"]
        found = order(client, sent)
        assert (found["status"], found["canceled_at"]) == ("canceled", "2012-05-31T20:15:00Z")


@pytest.mark.parametrize("tif,at", [("opg", "09:29"), ("cls", "15:51")])
def test_check_23_auctions_close_before_they_happen(start: Start, tif: str, at: str) -> None:
    """Refused from 09:28 and from 15:50, taken again at 19:01 for the next one."""
    minutes = [*flat("AAPL", "100", 390), *flat("AAPL", "101", 390, day=conformance.NEXT_DAY)]
    minutes += flat("AAPL", "99", 2, start="08:00")
    venue, client = start(sorted(minutes, key=lambda one: one.start), moment(at))
    error = refusal(lambda: send(client, time_in_force=tif))
    venue.move(moment("19:01"))
    sent = send(client, time_in_force=tif)
    assert (error.status_code, sent["status"]) == (422, "accepted")
    venue.move(moment("16:00", conformance.NEXT_DAY))
    assert order(client, sent)["filled_avg_price"] == "101.0101"


def test_check_24_extended_hours_are_for_day_limits(start: Start) -> None:
    """A market order is refused, a limit fills at eight in the morning."""
    day = conformance.NEXT_DAY
    minutes = [
        *flat("AAPL", "100", 2),
        *flat("AAPL", "100", 5, start="08:00", day=day),
        *flat("AAPL", "101", 5, day=day),
    ]
    venue, client = start(minutes, moment("08:00", day))
    error = refusal(lambda: send(client, extended_hours=True))
    sent = send(client, kind="limit", limit_price="100.5", extended_hours=True)
    plain = send(client, kind="limit", limit_price="100.5")
    venue.move(moment("08:02", day))
    assert (error.status_code, error.message) == (422, "extended hours order must be DAY limit orders")
    assert (sent["status"], plain["status"]) == ("pending_new", "accepted")
    assert (order(client, sent)["status"], order(client, plain)["status"]) == ("filled", "accepted")


def test_check_24_an_extended_order_of_the_night_works_from_four_and_ends_at_eight(start: Start) -> None:
    """It is released before the open and goes on after the close."""
    minutes = [
        *flat("AAPL", "100", 2),
        *flat("AAPL", "101", 5, start="08:00", day=conformance.NEXT_DAY),
        *flat("AAPL", "101", 390, day=conformance.NEXT_DAY),
        *flat("AAPL", "90", 2, start="18:00", day=conformance.NEXT_DAY),
        *flat("AAPL", "90", 2, day="2012-03-06"),
    ]
    venue, client = start(minutes, "2012-03-03T12:00:00Z")
    sent = [send(client, kind="limit", limit_price=price, extended_hours=True) for price in ("95", "80")]
    venue.move(moment("03:59", conformance.NEXT_DAY))
    assert order(client, sent[0])["status"] == "accepted"
    venue.move(moment("04:00", conformance.NEXT_DAY))
    assert order(client, sent[0])["status"] == "new"
    venue.move(moment("18:02", conformance.NEXT_DAY))
    assert order(client, sent[0])["status"] == "filled"
    venue.move("2012-03-06T01:00:00Z")
    assert (order(client, sent[1])["status"], sent[1]["expires_at"]) == ("expired", "2012-03-06T01:00:00Z")


def test_check_25_notional_buys_a_fraction(start: Start) -> None:
    """The amount stays, the quantity is what it bought to nine digits."""
    venue, client = start(flat("AAPL", "100", 5), moment("09:31"))
    sent = send(client, quantity=None, notional=500.75)
    venue.move(moment("09:32"))
    found = order(client, sent)
    assert (sent["notional"], sent["qty"], found["qty"]) == ("500.75", None, None)
    assert (found["status"], found["filled_qty"]) == ("filled", "5.0069993")


FRACTION: list[tuple[dict[str, Any], str]] = [
    ({"kind": "limit", "limit_price": "90", "time_in_force": "gtc"}, "fractional orders must be DAY orders"),
    (
        {"kind": "trailing_stop", "trail_price": "1"},
        "fractional orders must be market, limit, stop, or stop_limit orders",
    ),
    (
        {"order_class": "bracket", "take_profit": {"limit_price": "110"}, "stop_loss": {"stop_price": "90"}},
        "fractional orders must be simple orders",
    ),
    ({"side": "sell"}, "fractional orders cannot be sold short"),
]


@pytest.mark.parametrize("more,message", FRACTION)
def test_check_26_what_a_fraction_cannot_be(start: Start, more: dict[str, Any], message: str) -> None:
    """Each refused with its own message."""
    _, client = start(flat("AAPL", "100", 5), moment("09:31"))
    error = refusal(lambda: send(client, quantity="0.5", **more))
    assert (error.status_code, error.code, error.message) == (422, 42210000, message)


def test_check_26_an_asset_without_fractions(start: Start) -> None:
    """Whole shares are taken, a part and an amount are refused."""
    assets = {"AAPL": {"fractionable": False}}
    _, client = start(flat("AAPL", "100", 5), moment("09:31"), assets=assets)
    for more in ({"quantity": "0.5"}, {"quantity": None, "notional": "50"}):
        error = refusal(lambda more=more: send(client, **more))
        assert (error.status_code, error.code, error.message) == (403, 40310000, 'asset "AAPL" is not fractionable')
    assert send(client)["qty"] == "10"


@pytest.mark.parametrize("price,accepted", [(290.123, False), (0.1 + 0.2, False), (0.1234, True)])
def test_check_27_increments_of_prices(start: Start, price: float, accepted: bool) -> None:
    """Two decimals from a dollar on, four below; a float's dirt is refused and not rounded away."""
    _, client = start(flat("AAPL", "0.5", 5), moment("09:31"))

    def act() -> Any:
        return send(client, kind="limit", limit_price=price)

    if accepted:
        assert act()["limit_price"] == "0.1234"
    else:
        assert refusal(act).status_code == 422
