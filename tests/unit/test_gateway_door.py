"""The door: rate, cancel budget, self-trade and what the broker lends, of orders that the gate let pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import engine_data
from tradeplane_engine.core import gate, limits
from tradeplane_engine.domain import numbers, orders
from tradeplane_workers.brokers import port
from tradeplane_workers.gateway import door, machine
from tradeplane_workers.stores import orders as orders_store

BUY, SELL = orders.Side.BUY, orders.Side.SELL
EASY = port.Asset("AAPL", tradable=True, shortable=True, easy_to_borrow=True)


def intent(side: orders.Side = BUY, shares: int = 1, symbol: str = "AAPL", **terms: Any) -> orders.Intent:
    """An order, at the market unless it has terms."""
    return orders.Intent(symbol, side, engine_data.shares(shares), orders.Terms(**terms))


def limit(side: orders.Side, price: str) -> orders.Intent:
    """A limit order."""
    return intent(side, type="limit", limit_price=numbers.price(price))


def working(one: orders.Intent, name: str = "other") -> orders_store.Working:
    """An order that is open already."""
    return orders_store.Working(name, one.symbol, one.side, one.terms)


@dataclass
class Asked:
    """What a room is made of, and the room."""

    own: limits.Limits = limits.Limits()  # noqa: RUF009 - frozen
    whole: limits.Limits = limits.Limits()  # noqa: RUF009 - frozen
    now_s: float = 100.0
    left_s: dict[str, tuple[float, ...]] = field(default_factory=dict)
    held: Mapping[str, int] = field(default_factory=dict)
    selling: Mapping[str, int] = field(default_factory=dict)
    open_orders: int = 0
    working: Sequence[orders_store.Working] = ()
    assets: Mapping[str, port.Asset] = field(default_factory=dict)
    budget: port.Budget | None = None

    def stops(self, *intents: orders.Intent) -> list[str]:
        """Bring intents to the door, one after the other; return why each is stopped."""
        book = gate.Book(None, engine_data.quantities(self.held), {}, engine_data.quantities(self.selling), {})
        room = door.Room(
            uid="uid",
            now_s=self.now_s,
            limits={"strategy": self.own, "account": self.whole},
            left_s=self.left_s,
            book=book,
            open_orders=self.open_orders,
            working=self.working,
            assets=self.assets,
            budget=self.budget,
        )
        found = [room.stops(f"order-{number}", each) for number, each in enumerate(intents)]
        self.details = [each.detail for each in found if each is not None]
        return ["" if each is None else each.reason for each in found]


@pytest.mark.parametrize("scope", ["own", "whole"])
def test_so_many_orders_a_second(scope: str) -> None:
    """Of the strategy and of the account, whichever allows less; a second later as many again."""
    asked = Asked(**{scope: limits.Limits(max_per_second=2)})
    assert asked.stops(*[intent()] * 3) == ["", "", "message-rate"]
    asked.now_s += 0.999
    assert asked.stops(intent()) == ["message-rate"]
    asked.now_s += 0.001
    assert asked.stops(*[intent()] * 3) == ["", "", "message-rate"]


def test_another_strategys_orders_count_for_the_account_alone() -> None:
    """Each has its own second."""
    asked = Asked(own=limits.Limits(max_per_second=1), left_s={"another": (100.0,), door.ACCOUNT: (100.0,)})
    assert asked.stops(intent()) == [""]
    asked = Asked(whole=limits.Limits(max_per_second=1), left_s={"another": (100.0,), door.ACCOUNT: (100.0,)})
    assert asked.stops(intent()) == ["message-rate"]
    assert asked.details == ["account: message-rate allows 1 a second, got 2"]


def test_open_orders_are_as_many_as_the_reserve_can_cancel() -> None:
    """With what passed in this decision; where the broker counts nothing there is no such limit."""
    asked = Asked(open_orders=48, budget=port.Budget(200, 180, 50))
    assert asked.stops(*[intent()] * 3) == ["", "", "cancel-budget"]
    assert Asked(open_orders=10**6).stops(intent()) == [""]


@pytest.mark.parametrize(
    "open_order,new,stopped",
    [
        (intent(SELL), intent(BUY), True),
        (intent(SELL), limit(BUY, "1"), True),
        (intent(SELL, type="stop", stop_price=numbers.price("90")), intent(BUY), True),
        (limit(SELL, "101"), limit(BUY, "101"), True),
        (limit(SELL, "101"), limit(BUY, "100.99"), False),
        (limit(BUY, "99"), limit(SELL, "99.01"), False),
        (limit(BUY, "99"), limit(SELL, "99"), True),
        (intent(SELL, type="trailing_stop", trail_bps=100), intent(BUY), False),
        (intent(BUY), intent(BUY), False),
        (intent(SELL, symbol="IBM"), intent(BUY), False),
    ],
)
def test_the_later_of_two_orders_that_could_meet_is_stopped(
    open_order: orders.Intent, new: orders.Intent, stopped: bool
) -> None:
    """Whether the other is open already or came in the same decision; the refusal names it."""
    asked = Asked(working=[working(open_order)], held={"AAPL": 9, "IBM": 9})
    assert asked.stops(new) == ["self-trade" if stopped else ""]
    assert asked.details == (
        ["account: self-trade allows no order that could meet this one, got other"] if stopped else []
    )
    together = Asked(held={"AAPL": 9, "IBM": 9})
    assert together.stops(open_order, new) == ["", "self-trade" if stopped else ""]


@pytest.mark.parametrize(
    "asset,reason",
    [
        (None, "not-shortable"),
        (port.Asset("AAPL", tradable=True, shortable=False, easy_to_borrow=True), "not-shortable"),
        (port.Asset("AAPL", tradable=True, shortable=True, easy_to_borrow=False), "hard-to-borrow"),
        (EASY, ""),
    ],
)
def test_a_short_is_of_what_the_broker_lends(asset: port.Asset | None, reason: str) -> None:
    """What is held may be sold, working sells and those of this decision counted; a share more is a short."""
    assets = {} if asset is None else {"AAPL": asset}
    asked = Asked(held={"AAPL": 10}, selling={"AAPL": 4}, assets=assets)
    assert asked.stops(intent(SELL, 3), intent(SELL, 3), intent(SELL, 1)) == ["", "", reason]
    assert Asked(assets=assets).stops(intent(BUY)) == [""]


@given(st.lists(st.tuples(st.sampled_from((BUY, SELL)), st.integers(1, 200)), max_size=12))
def test_what_passes_never_meets(wanted: list[tuple[orders.Side, int]]) -> None:
    """Of any limit orders of one symbol that pass, no buy is as high as a sell."""
    asked = Asked(held={"AAPL": 10**6})
    intents = [limit(side, str(price)) for side, price in wanted]
    reasons = asked.stops(*intents)
    passed = [each for each, reason in zip(intents, reasons, strict=True) if not reason]
    buys = [each.terms.limit_price for each in passed if each.side is BUY]
    sells = [each.terms.limit_price for each in passed if each.side is SELL]
    assert not buys or not sells or max(buys) < min(sells)
    assert not reasons or reasons[0] == ""


class Broker:
    """Answers one question, or does not."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_down = False

    async def asset(self, symbol: str) -> port.Asset | None:
        """Answer."""
        self.asked.append(symbol)
        if self.is_down:
            raise port.BrokerUnreachable("down")
        return None if symbol == "NONE" else EASY

    def budget(self) -> port.Budget | None:
        """Nobody counts."""
        return None


async def test_the_broker_is_asked_once_an_hour() -> None:
    """What it said holds for as long; no answer is asked for again, and is none."""
    broker, now = Broker(), [0.0]
    made = door.Door(broker, clock=lambda: machine.Instant(now[0], now[0]))  # type: ignore[arg-type]  # all that it uses
    book = gate.Book(None, {}, {}, {}, {})
    scopes = [gate.Scope(name, limits.Limits(allow_short=True), book) for name in ("strategy", "account")]

    def stopped() -> str:
        found = made.room("uid", scopes, working=(), left_s={}).stops("x", intent(SELL))
        return "" if found is None else found.reason

    broker.is_down = True
    await made.learn(["AAPL"])
    assert stopped() == "not-shortable"
    broker.is_down = False
    await made.learn(["AAPL", "AAPL", "NONE"])
    assert stopped() == ""
    now[0] = 3599.0
    await made.learn(["AAPL"])
    assert (stopped(), broker.asked) == ("", ["AAPL", "AAPL", "NONE"])
    now[0] = 3600.0
    assert stopped() == "not-shortable"
    await made.learn(["AAPL"])
    assert (stopped(), broker.asked) == ("", ["AAPL", "AAPL", "NONE", "AAPL"])
