"""What the venue refuses of a replacement or a cancellation: one test per rule."""

import dataclasses
from typing import Any

import pytest

from tradeplane_engine.domain import numbers
from tradeplane_engine.venue import changes

ONE = numbers.ONE_SHARE
ORDER = changes.Working(status="new", quantity=10 * ONE, kind="limit", limit=numbers.price("99"), time_in_force="gtc")
ROOM = changes.Room(buying_power=numbers.money("100"))
BETTER = changes.Change(limit=numbers.price("100"))


def refused(
    order: changes.Working | None, change: changes.Change = BETTER, room: changes.Room = ROOM
) -> tuple[int, int, str]:
    """Status, code and message of a replacement that must be refused."""
    found = changes.replace_refusal(order, change, room)
    assert found is not None
    return (found.status, found.code, found.message)


def test_a_working_order_can_be_replaced() -> None:
    """New and partly filled orders take a new price or a larger quantity."""
    assert changes.replace_refusal(ORDER, BETTER, ROOM) is None
    partly = dataclasses.replace(ORDER, status="partially_filled", filled=4 * ONE)
    assert changes.replace_refusal(partly, changes.Change(quantity=5 * ONE), ROOM) is None


def test_an_unknown_order_is_not_found() -> None:
    """404 for a replacement and for a cancellation."""
    assert refused(None) == (404, 40410000, "order not found")
    found = changes.cancel_refusal(None)
    assert found is not None
    assert (found.status, found.code, found.message) == (404, 40410000, "order not found")


@pytest.mark.parametrize("status", ["accepted", "pending_new"])
def test_an_order_that_is_not_sent_cannot_be_replaced(status: str) -> None:
    """422 with code 40010001."""
    assert refused(dataclasses.replace(ORDER, status=status)) == (
        422,
        40010001,
        "unable to replace order, order isn't sent to exchange yet",
    )


@pytest.mark.parametrize(
    "status",
    ["held", "pending_cancel", "pending_replace", "filled", "canceled", "expired", "replaced", "rejected"],
)
def test_an_order_that_is_not_open_cannot_be_replaced(status: str) -> None:
    """422 with code 40010001."""
    assert refused(dataclasses.replace(ORDER, status=status)) == (422, 40010001, "order is not open")


@pytest.mark.parametrize(
    "change,message",
    [
        ({"by_notional": True}, "notional orders cannot be replaced"),
        ({"quantity": ONE // 2}, "fractional orders cannot be replaced"),
        ({"order_class": "oto"}, "oto orders cannot be replaced"),
    ],
)
def test_some_orders_are_never_replaced(change: dict[str, Any], message: str) -> None:
    """422 with code 42210000."""
    assert refused(dataclasses.replace(ORDER, **change)) == (422, 42210000, message)


@pytest.mark.parametrize(
    "change",
    [changes.Change(), changes.Change(limit=numbers.price("99"), quantity=10 * ONE, time_in_force="gtc")],
)
def test_a_replacement_changes_something(change: changes.Change) -> None:
    """403 for an empty one and for one that repeats what there is."""
    assert refused(ORDER, change) == (403, 40310000, "order parameters are not changed")


def test_a_replacement_is_for_more_than_has_filled() -> None:
    """The quantity is the total; four of ten filled leave five as the least."""
    partly = dataclasses.replace(ORDER, status="partially_filled", filled=4 * ONE)
    assert refused(partly, changes.Change(quantity=4 * ONE)) == (
        422,
        42210000,
        "qty must be more than the filled_qty of 4",
    )


@pytest.mark.parametrize("quantity", [ONE + 1, -ONE])
def test_a_replacement_is_for_whole_shares(quantity: int) -> None:
    """422 with code 40010001."""
    assert refused(ORDER, changes.Change(quantity=quantity)) == (
        422,
        40010001,
        "qty must be a positive number of whole shares",
    )


@pytest.mark.parametrize(
    "change,message",
    [
        (changes.Change(stop=numbers.price("98")), "limit orders must not have stop_price 98"),
        (changes.Change(trail=numbers.price("1")), "limit orders must not have trail 1"),
        (changes.Change(time_in_force="gtd"), "time_in_force 'gtd' is not known"),
        (
            changes.Change(limit=numbers.price("98"), client_order_id="x" * 129),
            "client_order_id must be a text of at most 128 characters",
        ),
    ],
)
def test_a_replacement_must_make_sense(change: changes.Change, message: str) -> None:
    """422 with code 40010001 and what is wrong."""
    assert refused(ORDER, change) == (422, 40010001, message)


def test_a_replacement_keeps_the_increments() -> None:
    """422 with code 42210000, as for a new order."""
    assert refused(ORDER, changes.Change(limit=numbers.price("98.001"))) == (
        422,
        42210000,
        "invalid limit_price 98.001. sub-penny increment does not fulfill minimum pricing criteria",
    )


def test_a_replacement_needs_an_id_of_its_own() -> None:
    """422 with code 40010001."""
    room = dataclasses.replace(ROOM, used_ids=frozenset({"a-1"}))
    change = dataclasses.replace(BETTER, client_order_id="a-1")
    assert refused(ORDER, change, room) == (422, 40010001, "client_order_id must be unique")
    for fresh in ("a-2", "x" * 128):
        assert changes.replace_refusal(ORDER, dataclasses.replace(BETTER, client_order_id=fresh), room) is None


def test_a_larger_closing_order_needs_the_shares() -> None:
    """Eleven of ten are not there."""
    room = dataclasses.replace(ROOM, available=10 * ONE)
    assert refused(ORDER, changes.Change(quantity=11 * ONE), room) == (
        403,
        40310000,
        "insufficient qty available for order (requested: 11, available: 10)",
    )
    assert changes.replace_refusal(ORDER, changes.Change(limit=numbers.price("98")), room) is None
    full = dataclasses.replace(ORDER, status="partially_filled", filled=4 * ONE)
    six = dataclasses.replace(room, available=6 * ONE)
    assert changes.replace_refusal(full, changes.Change(quantity=9 * ONE), six) is None
    assert changes.replace_refusal(ORDER, changes.Change(quantity=6 * ONE), six) is None


def test_a_larger_order_needs_the_buying_power() -> None:
    """Only what it needs above the old order's reserve counts."""
    room = dataclasses.replace(ROOM, added=numbers.money("100.01"))
    assert refused(ORDER, BETTER, room) == (403, 40310000, "insufficient buying power")
    assert changes.replace_refusal(ORDER, BETTER, dataclasses.replace(room, added=numbers.money("100"))) is None


@pytest.mark.parametrize("status", ["filled", "expired", "replaced", "rejected", "pending_replace"])
def test_an_order_that_has_ended_cannot_be_cancelled(status: str) -> None:
    """422 with code 42210000 and the state."""
    found = changes.cancel_refusal(status)
    assert found is not None
    assert (found.status, found.code, found.message) == (422, 42210000, f'order is already in "{status}" state')


@pytest.mark.parametrize(
    "status", ["accepted", "pending_new", "new", "held", "partially_filled", "pending_cancel", "canceled"]
)
def test_an_open_order_can_be_cancelled_and_again(status: str) -> None:
    """A repeated cancel succeeds."""
    assert changes.cancel_refusal(status) is None
