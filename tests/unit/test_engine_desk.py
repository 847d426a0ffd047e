from dataclasses import replace
from fractions import Fraction

import pytest

from support import engine_data
from tradeplane_engine import desk, execution, portfolio
from tradeplane_engine.core import limits
from tradeplane_engine.domain import bars, numbers, orders

UID = "0a0b"
OPEN = limits.Limits(allow_short=True)


def opened(*, allowed: limits.Limits | None = OPEN) -> desk.Desk:
    """A desk at the close of the first session, trading enabled."""
    made = desk.Desk(replace(engine_data.account(), limits=allowed), state=orders.State.ENABLED)
    made.declare(engine_data.strategy())
    made.open_session(session(0))
    return made


def session(number: int, *, price: str = "100", actions: tuple[bars.CorporateAction, ...] = ()) -> bars.BarSlice:
    """All symbols at one price."""
    found = {symbol: engine_data.bar(symbol, number, price=price) for symbol in engine_data.SYMBOLS}
    return bars.BarSlice("1d", engine_data.ending(number), found, actions)


def wants(made: desk.Desk, side: str, count: int, *, symbol: str = "AAA", number: int = 0, uid: str = UID) -> str:
    """Decide on one intent; returns the reason of its refusal."""
    intent = orders.Intent(symbol, orders.Side(side), engine_data.shares(count))
    decision = orders.Decision(engine_data.ending(number), orders.Outcome.TRADED, (intent,))
    return made.decide(uid, decision)[0].reason


def test_a_desk_is_halted_until_somebody_enables_it() -> None:
    """Unknown means no."""
    made = desk.Desk(engine_data.account())
    made.declare(engine_data.strategy())
    made.open_session(session(0))
    assert wants(made, "buy", 1) == "halted"


def test_what_was_sent_is_working_until_it_fills() -> None:
    """First an open order, then a position."""
    made = opened()
    wants(made, "buy", 10)
    assert made.holdings(UID) == {"AAA": execution.Holding(working_buy=engine_data.shares(10))}
    made.open_session(session(1))
    assert made.holdings(UID) == {"AAA": execution.Holding(position=engine_data.shares(10))}


def test_working_orders_of_the_account_are_everybodys() -> None:
    """Another strategy's open order counts against the account's limit, not against one's own."""
    made = opened(allowed=limits.Limits(allow_short=True, max_weight=Fraction(1, 100)))
    made.bind("own", OPEN)
    for uid in ("11", "22"):
        made.declare(replace(engine_data.strategy(uid=uid), policy="own"))
    assert wants(made, "buy", 60, uid="11") == ""
    assert wants(made, "buy", 60, uid="22") == "position-weight"
    assert made.decided[-1].verdicts[0].scope == "account"


def test_open_orders_are_those_that_may_still_fill() -> None:
    """The strategy's own by its policy, everybody's by the account's."""
    made = opened(allowed=limits.Limits(max_open_orders=3))
    made.bind("own", limits.Limits(max_open_orders=2))
    for uid in ("11", "22"):
        made.declare(replace(engine_data.strategy(uid=uid), policy="own"))
    answers = [wants(made, "buy", 1, symbol=symbol, uid="11") for symbol in ("AAA", "BBB", "CCC")]
    assert answers == ["", "", "open-orders"]
    assert made.decided[-1].verdicts[0].detail == "strategy: open-orders allows 2, got 3"
    assert [wants(made, "buy", 1, symbol=symbol, uid="22") for symbol in ("AAA", "BBB")] == ["", "open-orders"]
    assert made.decided[-1].verdicts[0].detail == "account: open-orders allows 3, got 4"
    made.open_session(session(1))
    assert wants(made, "buy", 1, number=1, uid="22") == ""


def test_a_new_generation_judges_by_its_own_symbols_and_capital() -> None:
    """The sub-ledger goes on, the settings are the new ones."""
    made = opened()
    made.bind("prudent", limits.Limits(allow_short=True, max_weight=Fraction(1, 2)))
    assert wants(made, "buy", 1000) == ""
    made.open_session(session(1))
    small = portfolio.TopBottomN(top=1, bottom=1, capital=numbers.money("100000"))
    made.declare(replace(engine_data.strategy(generation=2, symbols=("AAA", "BBB"), top=1), portfolio=small))
    assert wants(made, "buy", 1, symbol="CCC", number=1) == "unknown-symbol"
    assert wants(made, "buy", 501, symbol="BBB", number=2) == "position-weight"
    assert made.sub_ledger(UID).quantity("AAA") == engine_data.shares(1000)


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


@pytest.mark.parametrize("policy", ["prudent", "account"])
def test_a_refused_policy_lets_nothing_leave(policy: str) -> None:
    """The strategy's or the account's: without limits nobody has judged."""
    made = opened()
    if policy == "account":
        made.bind_account("account", None)
    else:
        made.bind("prudent", None)
    assert wants(made, "buy", 1) == "halted"


def test_a_split_restates_positions_and_waiting_orders() -> None:
    """10 held and 10 waiting before a 2:1 split are 40 after it."""
    made = opened()
    wants(made, "buy", 10)
    made.open_session(session(1))
    wants(made, "buy", 10, number=1)
    split = bars.CorporateAction("AAA", engine_data.opening(2), (2, 1), numbers.Money(0))
    made.open_session(session(2, price="50", actions=(split,)))
    assert made.ledger.quantities == made.sub_ledger(UID).quantities == {"AAA": engine_data.shares(40)}
    made.check()


def test_an_order_that_was_never_sent_is_no_order() -> None:
    """Forgetting it takes it out of what is compared; cancelling keeps it."""
    made = opened()
    wants(made, "buy", 10)
    wants(made, "buy", 10, symbol="BBB", number=1)
    first, second = made.orders
    assert made.forget(first)
    assert made.cancel(second)
    made.open_session(session(2))
    assert (list(made.orders), made.fills) == ([second], [])
