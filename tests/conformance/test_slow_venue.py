"""Conformance checks of a venue that takes its time for cancels and replacements."""

import pathlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.requests import ReplaceOrderRequest

from support import conformance, simulator
from support.conformance import client_of, flat, legs, moment, order, refusal, send

Start = Callable[..., tuple[simulator.Venue, TradingClient]]
SLOW = ("--latency", "90s")


def falls(at: str) -> list[Any]:
    """Minutes at 100 that fall to 94 at an instant."""
    return [*flat("AAPL", "100", int(at[3:]) - 30), *flat("AAPL", "94", 10, start=at)]


async def test_check_37_a_replacement_that_a_fill_beats_is_rejected(start: Start) -> None:
    """The old order fills, the new one is rejected, and both are told."""
    venue, client = start(falls("09:33"), moment("09:31:30"), options=SLOW)
    async with conformance.listening(venue) as updates:
        sent = send(client, kind="limit", limit_price="95")
        new = client.patch(f"/orders/{sent['id']}", {"limit_price": "96"})
        assert (order(client, sent)["status"], new["status"], new["replaces"]) == (
            "pending_replace",
            "pending_new",
            sent["id"],
        )
        venue.move(moment("09:33:30"))
        told = [(one["event"], one["order"]["id"]) for one in await updates.take(6)]
    assert told[2:4] == [("pending_replace", sent["id"]), ("pending_new", new["id"])]
    assert {told[4], told[5]} == {("fill", sent["id"]), ("rejected", new["id"])}
    assert (order(client, sent)["status"], order(client, new)["status"]) == ("filled", "rejected")
    assert order(client, new)["failed_at"] is not None
    assert client.get_open_position("AAPL").qty == "10"


async def test_a_replacement_that_comes_in_time_replaces(start: Start) -> None:
    """After the latency; until then the old order works, reserves what both need, and can be neither cancelled."""
    venue, client = start(falls("09:34"), moment("09:31:30"), options=SLOW)
    sent = send(client, quantity=10, kind="limit", limit_price="95")
    new = client.patch(f"/orders/{sent['id']}", {"limit_price": "96", "qty": "20"})
    assert client.get_account().buying_power == "1998080"
    for one in (sent, new):
        assert refusal(lambda one=one: client.cancel_order_by_id(one["id"])).status_code == 422
    venue.move(moment("09:33:00"))
    assert (order(client, sent)["status"], order(client, new)["status"]) == ("replaced", "new")
    assert client.get_account().buying_power == "1998080"
    venue.move(moment("09:34:30"))
    found = order(client, new)
    assert (found["status"], found["filled_qty"], found["filled_avg_price"]) == ("filled", "20", "94.0094")


async def test_check_40_a_cancel_takes_its_time(start: Start) -> None:
    """pending_cancel until the latency is over; asked for again it stays so."""
    venue, client = start(falls("09:36"), moment("09:31:30"), options=SLOW)
    async with conformance.listening(venue) as updates:
        sent = send(client, kind="limit", limit_price="95")
        client.cancel_order_by_id(sent["id"])
        client.cancel_order_by_id(sent["id"])
        assert order(client, sent)["status"] == "pending_cancel"
        assert [one["id"] for one in client.get("/orders")] == [sent["id"]]
        error = refusal(lambda: client.replace_order_by_id(sent["id"], ReplaceOrderRequest(limit_price=96)))
        assert (error.status_code, error.message) == (422, "order is not open")
        venue.move(moment("09:32:59"))
        assert order(client, sent)["status"] == "pending_cancel"
        venue.move(moment("09:33"))
        assert await updates.events(4) == ["pending_new", "new", "pending_cancel", "canceled"]
    assert order(client, sent)["canceled_at"] == moment("09:33")


def test_check_40_a_fill_may_still_win(start: Start) -> None:
    """The price comes before the cancel does."""
    venue, client = start(falls("09:32"), moment("09:31:30"), options=SLOW)
    sent = send(client, kind="limit", limit_price="95")
    client.cancel_order_by_id(sent["id"])
    venue.move(moment("09:35"))
    assert order(client, sent)["status"] == "filled"
    assert client.get_open_position("AAPL").qty == "10"


def test_check_41_one_of_three_cannot_be_cancelled(start: Start) -> None:
    """The one that is being replaced answers with an error and its reason, the others with 200."""
    venue, client = start(falls("09:36"), moment("09:31:30"), options=SLOW)
    sent = [send(client, kind="limit", limit_price=str(price)) for price in (90, 91, 92)]
    new = client.patch(f"/orders/{sent[2]['id']}", {"limit_price": "93"})
    answers = {str(one.id): one for one in client.cancel_orders()}
    assert [answers[one["id"]].status for one in (*sent, new)] == [200, 200, 422, 422]
    assert answers[sent[2]["id"]].body == {
        "code": 42210000,
        "message": 'order is already in "pending_replace" state',
    }
    venue.move(moment("09:34"))
    assert [one["id"] for one in client.get("/orders")] == [new["id"]]


def test_a_bracket_is_cancelled_together_after_its_time(start: Start) -> None:
    """Its stop stays held until then."""
    venue, client = start(flat("AAPL", "100", 10), moment("09:31"), options=SLOW)
    exits = {"take_profit": {"limit_price": "110"}, "stop_loss": {"stop_price": "90"}}
    sent = send(client, order_class="bracket", **exits)
    venue.move(moment("09:31:30"))
    client.cancel_order_by_id(legs(client, sent)["stop"]["id"])
    venue.move(moment("09:34"))
    assert {leg["status"] for leg in legs(client, sent).values()} == {"canceled"}
    assert client.get("/orders") == []


@pytest.mark.parametrize("asked", ["cancel", "replace"])
def test_check_76_what_is_on_its_way_survives_a_sigkill(tmp_path: pathlib.Path, asked: str) -> None:
    """Killed between a request and its effect, the venue comes back and lets it take effect in time."""
    with simulator.running(tmp_path, minutes=falls("09:36"), options=SLOW) as venue:
        client = client_of(venue)
        venue.move(moment("09:31:30"))
        sent = send(client, kind="limit", limit_price="95")
        if asked == "cancel":
            client.cancel_order_by_id(sent["id"])
        else:
            new = client.patch(f"/orders/{sent['id']}", {"limit_price": "101"})
        before = client.get("/orders", {"status": "all"})
        venue.kill()
        venue.start()
        assert client.get("/orders", {"status": "all"}) == before
        venue.move(moment("09:32:30"))
        assert client.get("/orders", {"status": "all"}) == before
        venue.move(moment("09:33"))
        assert order(client, sent)["status"] == ("canceled" if asked == "cancel" else "replaced")
        venue.move(moment("09:36:30"))
        assert [one.qty for one in client.get_all_positions()] == ([] if asked == "cancel" else ["10"])
        if asked == "replace":
            assert order(client, new)["filled_at"] == moment("09:34")


def test_a_request_takes_effect_when_it_is_due(start: Start) -> None:
    """Between the venue's other events too."""
    venue, client = start(falls("09:36"), moment("09:31:30"), options=("--latency", "45s"))
    sent = send(client, kind="limit", limit_price="95")
    client.cancel_order_by_id(sent["id"])
    venue.move(moment("09:32:20"))
    assert (order(client, sent)["status"], order(client, sent)["canceled_at"]) == ("canceled", moment("09:32:15"))


def test_what_fills_meanwhile_is_not_ordered_again(start: Start) -> None:
    """The total of a replacement counts what the old order filled before it was asked for, and until it came."""
    venue, client = start(flat("AAPL", "100", 10, volume=30), moment("09:31:30"), options=SLOW, profile="thin")
    sent = send(client, quantity=20, kind="limit", limit_price="101", time_in_force="gtc")
    venue.move(moment("09:32:30"))
    assert order(client, sent)["filled_qty"] == "3"
    new = client.patch(f"/orders/{sent['id']}", {"limit_price": "102"})
    venue.move(moment("09:33:59"))
    assert (order(client, sent)["filled_qty"], order(client, sent)["status"]) == ("6", "pending_replace")
    venue.move(moment("09:34:30"))
    first, second = (Decimal(order(client, one)["filled_qty"]) for one in (sent, new))
    assert Decimal(order(client, new)["qty"]) == 20 - first
    venue.move(moment("09:39:30"))
    assert first + Decimal(order(client, new)["filled_qty"]) == Decimal(client.get_open_position("AAPL").qty) == 20
    assert second <= 20 - first
