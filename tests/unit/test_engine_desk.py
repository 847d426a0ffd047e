"""The desk: one account on the kernel, by the names of a session; what its market, policies and books must do."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from support import engine_data
from tradeplane_engine import desk, errors
from tradeplane_engine.core import limits
from tradeplane_engine.domain import bars, numbers, orders
from tradeplane_engine.venue import accrual

UID = "0a0b"
OPEN = limits.Limits(allow_short=True)
SESSIONS = 6


def session(
    number: int,
    *,
    price: str = "100",
    close: str = "",
    without: str = "",
    actions: tuple[bars.CorporateAction, ...] = (),
) -> bars.BarSlice:
    """All symbols at one price, but for one that has no bar."""
    names = [symbol for symbol in engine_data.SYMBOLS if symbol != without]
    found = {symbol: engine_data.bar(symbol, number, price=price, close=close) for symbol in names}
    return bars.BarSlice("1d", engine_data.ending(number), found, actions)


def opened(
    *special: bars.BarSlice, allowed: limits.Limits | None = OPEN, state: orders.State = orders.State.ENABLED
) -> desk.Desk:
    """A desk at the close of the first session; some of those to come are special."""
    ends = {one.end: one for one in special}
    plain = [session(number) for number in range(SESSIONS)]
    traded = [ends.get(one.end, one) for one in plain]
    made = desk.Desk(replace(engine_data.account(), limits=allowed), traded, state=state)
    made.declare(engine_data.strategy())
    return made


def wants(made: desk.Desk, side: str, count: int, *, symbol: str = "AAA", number: int = 0, uid: str = UID) -> str:
    """Decide on one order at the close of a session; returns the reason of its refusal."""
    before = len(made.journal.rejects)
    made.decide(uid, session(number), lambda ctx: ctx.order(symbol, side, count))
    return made.journal.rejects[-1].reason if len(made.journal.rejects) > before else ""


def targets(made: desk.Desk, wanted: Mapping[str, int], number: int = 0) -> orders.Decision:
    """Decide on targets."""

    def act(ctx: Any) -> None:
        for symbol, count in wanted.items():
            ctx.target(symbol, shares=count)

    return made.decide(UID, session(number), act)


def close(made: desk.Desk, number: int) -> None:
    """Move to the close of a session."""
    made.advance(engine_data.ending(number))


def test_a_desk_is_halted_until_somebody_enables_it() -> None:
    """Unknown means no."""
    made = opened(state=orders.State.HALTED)
    assert wants(made, "buy", 1) == "halted"
    made.enter(orders.State.ENABLED)
    assert wants(made, "buy", 1, number=1) == ""


@pytest.mark.parametrize("state", [one for one in orders.State if one is not orders.State.ENABLED])
def test_every_state_but_enabled_lets_nothing_leave(state: orders.State) -> None:
    """The states in between act as halted until they are built; the reason is the first that is looked at."""
    made = opened(allowed=limits.Limits(max_quantity=1))
    made.enter(state)
    assert wants(made, "buy", 1) == "halted"


# The market: day market orders that wait for the next open of their symbol.


def test_an_order_fills_at_the_next_open_with_the_spread() -> None:
    """A buy pays one basis point more than the open, a sale receives one less, at the open's instant, on its day."""
    made = opened(session(1, price="100", close="120"))
    targets(made, {"AAA": 10, "BBB": -10})
    close(made, 1)
    bought, sold = made.journal.fills
    assert bought == orders.Fill(
        client_order_id=next(iter(made.journal.orders)),
        symbol="AAA",
        side=orders.Side.BUY,
        quantity=engine_data.shares(10),
        price=numbers.price("100.01"),
        at=engine_data.opening(1),
        session="2020-01-03",
    )
    assert (sold.side, sold.price) == (orders.Side.SELL, numbers.price("99.99"))


def test_no_order_fills_on_the_bar_that_decided_it() -> None:
    """The decision comes after everything that its session did."""
    made = opened()
    targets(made, {"AAA": 10})
    close(made, 0)
    assert made.journal.fills == []


def test_what_was_sent_is_working_until_it_fills() -> None:
    """Wanting the same again orders nothing, before the fill and after it."""
    made = opened()
    assert len(targets(made, {"AAA": 10}).intents) == 1
    assert made.holds(UID) == {}
    close(made, 1)
    assert made.holds(UID) == {"AAA": engine_data.shares(10)}
    assert targets(made, {"AAA": 10}, number=1).intents == ()


def test_an_order_without_a_bar_expires_at_the_close() -> None:
    """A day order lives one session; it never fills at a stale price."""
    made = opened(session(1, without="AAA"))
    targets(made, {"AAA": 10})
    close(made, 2)
    assert (made.journal.fills, made.journal.expired) == ([], list(made.journal.orders))


def test_fills_come_in_the_order_of_sending() -> None:
    """The order of fills is the order of arrival, not of symbols."""
    made = opened()
    targets(made, {"BBB": 10, "AAA": 10})
    close(made, 1)
    assert [fill.symbol for fill in made.journal.fills] == ["BBB", "AAA"]


def test_a_cancelled_order_does_not_fill_and_is_cancelled_once() -> None:
    """What was taken out is gone; only an open order can be cancelled."""
    made = opened()
    targets(made, {"AAA": 10})
    (name,) = made.journal.orders
    assert made.cancel(name)
    assert not made.cancel(name)
    close(made, 1)
    assert made.journal.fills == []


def test_an_order_that_was_never_sent_is_no_order() -> None:
    """Forgetting it takes it out of what is compared; cancelling keeps it."""
    made = opened()
    targets(made, {"AAA": 10, "BBB": 10})
    first, second = made.journal.orders
    assert made.forget(first)
    assert made.cancel(second)
    assert not made.forget("nobody")
    close(made, 2)
    assert (list(made.journal.orders), made.journal.fills) == ([second], [])


def test_an_id_is_used_once() -> None:
    """Orders of one symbol in one decision are numbered; a trigger that is decided again gives none."""
    made = opened()

    def twice(ctx: Any) -> None:
        ctx.order("AAA", "buy", 1)
        ctx.order("AAA", "buy", 1)

    made.decide(UID, session(0), twice)
    assert [orders.parse_client_order_id(name).number for name in made.journal.orders] == [0, 1]
    with pytest.raises(errors.ValueRefused, match="client_order_id"):
        made.decide(UID, session(0), twice)


@pytest.mark.parametrize("ratio,after", [((2, 1), 40), ((1, 2), 10)])
def test_a_split_restates_positions_and_waiting_orders(ratio: tuple[int, int], after: int) -> None:
    """10 held and 10 waiting before a 2:1 split are 40 after it; a reverse split keeps market orders as well."""
    split = bars.CorporateAction("AAA", engine_data.opening(2), ratio, numbers.Money(0))
    made = opened(session(2, price="50", actions=(split,)))
    targets(made, {"AAA": 10})
    targets(made, {"AAA": 20}, number=1)
    close(made, 2)
    assert made.positions == made.holds(UID) == {"AAA": engine_data.shares(after)}
    assert [order.quantity for order in made.journal.orders.values()] == [engine_data.shares(10)] * 2
    made.check()


# Who judges.


def both(made: desk.Desk) -> None:
    """Declare two strategies with a policy of their own."""
    for uid in ("11", "22"):
        made.declare(replace(engine_data.strategy(uid=uid), policy="own"))


def test_working_orders_of_the_account_are_everybodys() -> None:
    """Another strategy's open order counts against the account's limit, not against one's own."""
    made = opened(allowed=limits.Limits(allow_short=True, max_weight=Fraction(1, 100)))
    made.bind("own", OPEN)
    both(made)
    assert wants(made, "buy", 60, uid="11") == ""
    assert wants(made, "buy", 60, uid="22") == "position-weight"
    assert made.journal.rejects[-1].scope == "account"


def test_open_orders_are_those_that_may_still_fill() -> None:
    """The strategy's own by its policy, everybody's by the account's."""
    made = opened(allowed=limits.Limits(max_open_orders=3))
    made.bind("own", limits.Limits(max_open_orders=2))
    both(made)
    answers = [wants(made, "buy", 1, symbol=symbol, uid="11") for symbol in ("AAA", "BBB", "CCC")]
    assert answers == ["", "", "open-orders"]
    assert made.journal.rejects[-1].detail == "strategy: open-orders allows 2, got 3"
    assert [wants(made, "buy", 1, symbol=symbol, uid="22") for symbol in ("AAA", "BBB")] == ["", "open-orders"]
    assert made.journal.rejects[-1].detail == "account: open-orders allows 3, got 4"
    assert wants(made, "buy", 1, number=1, uid="22") == ""


def test_a_new_generation_is_judged_by_its_own_capital() -> None:
    """The sub-ledger goes on, the settings are the new ones."""
    made = opened()
    made.bind("prudent", limits.Limits(allow_short=True, max_weight=Fraction(1, 2)))
    assert wants(made, "buy", 1000) == ""
    close(made, 1)
    made.declare(engine_data.strategy(generation=2, symbols=("AAA", "BBB"), top=1, capital="100000"))
    assert wants(made, "buy", 501, symbol="BBB", number=2) == "position-weight"
    assert wants(made, "buy", 499, symbol="BBB", number=3) == ""
    assert made.holds(UID)["AAA"] == engine_data.shares(1000)
    made.check()


def test_a_policy_as_read_last_beats_the_one_a_generation_came_with() -> None:
    """A generation's copy may be older than the edit that the gateway has already read."""
    made = opened()
    made.bind("prudent", limits.Limits(allow_short=True, max_quantity=engine_data.shares(5)))
    made.declare(engine_data.strategy(generation=2, allowed=OPEN))
    assert wants(made, "buy", 6) == "order-quantity"


def test_an_edit_of_the_policy_acts_on_the_next_decision() -> None:
    """Wherever the policy is used, account included."""
    made = opened()
    assert wants(made, "buy", 6) == ""
    made.bind("prudent", limits.Limits(allow_short=True, max_quantity=engine_data.shares(5)))
    assert wants(made, "buy", 6, number=1) == "order-quantity"


@pytest.mark.parametrize(
    "refuse", [lambda made: made.bind("prudent", None), lambda made: made.bind_account("account", None)]
)
def test_a_refused_policy_lets_nothing_leave(refuse: Callable[[desk.Desk], None]) -> None:
    """The strategy's or the account's: without limits nobody has judged."""
    made = opened()
    refuse(made)
    assert wants(made, "buy", 1) == "halted"


# The books.


def test_fees_accrue_by_the_day_on_the_account_and_exactly_for_a_strategy() -> None:
    """Three sales of one day are 3 x 0.0206 + 0.0002 USD of fees: a cent and more for each kind, once."""
    made = opened()
    targets(made, {"AAA": -10, "BBB": -10, "CCC": -10})
    close(made, 1)
    own, exact = made._strategies[UID].slot.scope.book.ledger.fees, accrual.Accrual()
    for fill in made.journal.fills:
        exact.add(engine_data.REALISTIC.charges(fill.side, fill.price, fill.quantity, session=fill.session), "day")
    assert exact.day("day") == {
        "CAT": numbers.money("0.01"),
        "SEC": numbers.money("0.07"),
        "TAF": numbers.money("0.01"),
    }
    assert (made.ledger.fees, own) == (numbers.money("0.09"), exact.owed)
    assert numbers.money("0.06") < own < numbers.money("0.07")
    made.check()


def test_a_charge_that_one_side_misses_is_noticed() -> None:
    """The strategies' fees and what they are rounded by are the account's."""
    made = opened()
    targets(made, {"AAA": -10})
    close(made, 1)
    made.ledger.book(-1, "fees")
    with pytest.raises(errors.LedgerBroken, match="fees"):
        made.check()


def test_a_strategy_that_fails_is_named() -> None:
    """With the instant of its turn."""
    with pytest.raises(errors.StrategyFailed, match="0a0b"):
        opened().decide(UID, session(0), lambda ctx: ctx.no_such_thing())  # type: ignore[attr-defined]  # on purpose
