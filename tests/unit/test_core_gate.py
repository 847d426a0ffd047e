from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import engine_data
from tradeplane_engine import errors
from tradeplane_engine.core import gate, limits
from tradeplane_engine.core.standing import Standing
from tradeplane_engine.domain import numbers, orders, times

NOW = engine_data.ending(0)
BUY, SELL = orders.Side.BUY, orders.Side.SELL
PRICES = {symbol: engine_data.bar(symbol, price="100") for symbol in ("AAA", "BBB")}
PRICE = 100 * 10**4


def book(
    positions: Mapping[str, int] = {},
    *,
    buying: Mapping[str, int] = {},
    selling: Mapping[str, int] = {},
    equity: str = "100000",
    open_orders: int = 0,
    standing: Standing | None = None,
) -> gate.Book:
    """Book in whole shares at 100 USD."""
    return gate.Book(
        equity=numbers.money(equity),
        positions=engine_data.quantities(positions),
        working_buy=engine_data.quantities(buying),
        working_sell=engine_data.quantities(selling),
        prices=PRICES,
        open_orders=open_orders,
        standing=standing,
    )


def stands(*, session: str = "100000", peak: str = "100000", losses: int = 0) -> Standing:
    """What losses are measured from."""
    equity, opened, highest = (numbers.money(each) for each in ("100000", session, peak))
    return Standing(NOW, equity, equity, opened, highest, losses)


def intent(side: orders.Side, count: int, symbol: str = "AAA") -> orders.Intent:
    """A market order for whole shares."""
    return orders.Intent(symbol=symbol, side=side, quantity=engine_data.shares(count))


def verdict(
    wanted: orders.Intent,
    held: gate.Book,
    allowed: limits.Limits,
    *,
    state: orders.State = orders.State.ENABLED,
    now: times.Nanos = NOW,
) -> gate.Verdict:
    """Judge one intent by one scope."""
    scope = gate.Scope("strategy", allowed, held, frozenset({"AAA", "BBB"}))
    return gate.judge([wanted], state=state, now=now, scopes=[scope])[0]


@pytest.mark.parametrize(
    "allowed,wanted,held,reason",
    [
        ({"max_quantity": 100}, intent(BUY, 101), book(), "order-quantity"),
        ({"max_quantity": 100}, intent(BUY, 100), book(), ""),
        ({}, intent(BUY, 0), book(), "order-quantity"),
        ({}, intent(BUY, -1), book(), "order-quantity"),
        ({"max_notional": 10_000}, intent(BUY, 101), book(), "order-notional"),
        ({"max_notional": 10_000}, intent(BUY, 100), book(), ""),
        ({"max_notional": 10_000}, intent(SELL, 101), book({"AAA": 500}), "order-notional"),
        ({"max_open_orders": 2}, intent(BUY, 1), book(open_orders=1), ""),
        ({"max_open_orders": 2}, intent(BUY, 1), book(open_orders=2), "open-orders"),
        ({}, intent(SELL, 1), book(), "short-not-allowed"),
        ({}, intent(SELL, 100), book({"AAA": 100}), ""),
        ({}, intent(SELL, 101), book({"AAA": 100}), "short-not-allowed"),
        ({}, intent(SELL, 60), book({"AAA": 100}, selling={"AAA": 50}), "short-not-allowed"),
        ({"allow_short": True}, intent(SELL, 1), book(), ""),
        ({"max_weight": "0.5"}, intent(BUY, 500), book(), ""),
        ({"max_weight": "0.5"}, intent(BUY, 501), book(), "position-weight"),
        ({"max_weight": "0.5"}, intent(BUY, 301), book({"AAA": 200}), "position-weight"),
        ({"max_weight": "0.5"}, intent(BUY, 301), book(buying={"AAA": 200}), "position-weight"),
        ({"max_weight": "0.5", "allow_short": True}, intent(SELL, 501), book(), "position-weight"),
        ({"max_weight": "0.5", "allow_short": True}, intent(SELL, 300), book(selling={"AAA": 201}), "position-weight"),
        ({"max_weight": "0.5"}, intent(SELL, 100), book({"AAA": 900}), ""),
        ({"max_weight": "0.5"}, intent(BUY, 1), book(equity="0"), "position-weight"),
        ({"max_weight": "0.5"}, intent(BUY, 1), book(equity="-5"), "position-weight"),
        ({"max_position_notional": 20_000}, intent(BUY, 100), book({"AAA": 100}), ""),
        ({"max_position_notional": 20_000}, intent(BUY, 101), book({"AAA": 100}), "position-notional"),
        ({"max_gross": "1"}, intent(BUY, 501), book({"BBB": 500}), "portfolio-gross"),
        ({"max_gross": "1"}, intent(BUY, 500), book({"BBB": -500}), ""),
        ({"max_gross": "1"}, intent(BUY, 501), book({"BBB": -500}), "portfolio-gross"),
        (
            {"max_gross": "1"},
            intent(BUY, 401),
            book({"BBB": 500}, selling={"BBB": 500}, buying={"BBB": 100}),
            "portfolio-gross",
        ),
        ({"max_gross": "1"}, intent(SELL, 500), book({"AAA": 900, "BBB": 900}), ""),
        ({"max_gross": "0.5"}, intent(BUY, 600), book({"AAA": -500}), ""),
        ({"max_net": "0.5"}, intent(BUY, 700), book({"BBB": -200}), ""),
        ({"max_net": "0.5"}, intent(BUY, 701), book({"BBB": -200}), "portfolio-net"),
        ({"max_net": "0.5", "allow_short": True}, intent(SELL, 301), book({"BBB": -200}), "portfolio-net"),
        ({"max_net": "0.5"}, intent(BUY, 100), book({"BBB": -800}), "portfolio-net"),
        ({"max_net": "0.5"}, intent(BUY, 10), book({"BBB": -10}, equity="0"), "portfolio-net"),
        ({"max_positions": 1}, intent(BUY, 1), book({"AAA": 1}), ""),
        ({"max_positions": 1}, intent(BUY, 1), book(buying={"BBB": 1}), "portfolio-positions"),
        ({"max_concentration": "0.08"}, intent(BUY, 200), book({"BBB": -200}), ""),
        ({"max_concentration": "0.08"}, intent(BUY, 201), book({"BBB": -200}), "portfolio-concentration"),
        ({"max_weight": "0.5"}, intent(BUY, 1), book(selling={"AAA": 900}), "position-weight"),
        ({"max_gross": "1", "allow_short": True}, intent(BUY, 501), book(selling={"BBB": 500}), "portfolio-gross"),
        ({"max_gross": "1"}, intent(BUY, 1, "CCC"), book(), "unknown-symbol"),
        ({"max_daily_loss": "0.1"}, intent(BUY, 1), book(equity="90000", standing=stands()), ""),
        ({"max_daily_loss": "0.1"}, intent(BUY, 1), book(equity="89999.99", standing=stands()), "daily-loss"),
        ({"max_daily_loss": "0.1"}, intent(BUY, 1), book(equity="1", standing=stands(session="1")), ""),
        ({"max_daily_loss": "0.1"}, intent(SELL, 5), book({"AAA": 5}, equity="1", standing=stands()), ""),
        ({"max_drawdown": "0.1"}, intent(BUY, 1), book(standing=stands(peak="111111")), ""),
        ({"max_drawdown": "0.1"}, intent(BUY, 1), book(standing=stands(peak="111112")), "drawdown"),
        ({"max_consecutive_losses": 3}, intent(BUY, 1), book(standing=stands(losses=2)), ""),
        ({"max_consecutive_losses": 3}, intent(BUY, 1), book(standing=stands(losses=3)), "consecutive-losses"),
        ({"max_daily_loss": "0.1"}, intent(BUY, 1), book(), "daily-loss"),
        ({"max_drawdown": "0.1"}, intent(BUY, 1), book(), "drawdown"),
        ({"max_drawdown": "0.1"}, intent(SELL, 5), book({"AAA": 5}), ""),
    ],
)
def test_each_limit_refuses_with_its_own_reason(
    allowed: dict[str, Any], wanted: orders.Intent, held: gate.Book, reason: str
) -> None:
    """On projected positions, working orders at full size; equality is allowed; reducing passes what grows."""
    assert verdict(wanted, held, make(**allowed)).reason == reason


_MONEY = ("max_notional", "max_position_notional")
_RATIOS = ("max_weight", "max_gross", "max_net", "max_concentration", "max_daily_loss", "max_drawdown")


def make(**given: Any) -> limits.Limits:
    """Limits in whole shares, USD and decimal ratios."""
    found = dict(given)
    for name, value in given.items():
        if name in _MONEY:
            found[name] = numbers.money(str(value))
        elif name in _RATIOS:
            found[name] = Fraction(value)
        elif name == "max_quantity":
            found[name] = engine_data.shares(value)
    return limits.Limits(**found)


@pytest.mark.parametrize("state", [state for state in orders.State if state is not orders.State.ENABLED])
def test_every_state_but_enabled_refuses_even_a_reducing_order(state: orders.State) -> None:
    """Until the states between are built they act as halted."""
    judged = verdict(intent(SELL, 1), book({"AAA": 100}), limits.Limits(), state=state)
    assert (judged.reason, judged.detail) == ("halted", f"strategy: halted allows enabled, got {state}")


def test_a_symbol_without_a_bar_cannot_be_ordered() -> None:
    """Unknown means no, even to close."""
    held = replace(book({"AAA": 1}), prices={})
    for wanted in (intent(BUY, 1), intent(SELL, 1)):
        judged = verdict(wanted, held, limits.Limits())
        assert (judged.reason, judged.violation and judged.violation.value) == ("no-price", "none of AAA")


@pytest.mark.parametrize("age,reason", [(0, ""), (times.HOUR, ""), (times.HOUR + 1, "stale-bar"), (-1, "stale-bar")])
def test_the_age_of_the_last_bar_is_bounded(age: int, reason: str) -> None:
    """Too old, or from after the decision: no order."""
    allowed = limits.Limits(max_bar_age=times.HOUR)
    assert verdict(intent(BUY, 1), book(), allowed, now=times.Nanos(NOW + age)).reason == reason


def test_a_bar_from_after_the_decision_is_never_used() -> None:
    """Without a limit on age too; the text is in the units that a person wrote."""
    judged = verdict(intent(BUY, 1), book(), limits.Limits(), now=times.Nanos(NOW - times.MINUTE))
    assert judged.detail == "strategy: stale-bar allows any, got -1m"
    judged = verdict(intent(BUY, 1), book(), limits.Limits(max_bar_age=times.HOUR), now=times.Nanos(NOW + times.DAY))
    assert judged.detail == "strategy: stale-bar allows 1h, got 1d"


@pytest.mark.parametrize(
    "name,reason",
    [("max_gross", "portfolio-gross"), ("max_net", "portfolio-net"), ("max_concentration", "portfolio-concentration")],
)
def test_an_unpriced_position_leaves_the_portfolio_unknown(name: str, reason: str) -> None:
    """What is held or ordered without a known value refuses what would add; the first is named, what reduces passes."""
    for held, unknown in (
        (book({"AAA": 1, "CCC": 1, "DDD": 1}), "CCC"),
        (book({"A": 1, "AAA": 1, "CCC": 1}), "A"),
        (book({"AAA": 1}, buying={"CCC": 1}), "CCC"),
    ):
        judged = verdict(intent(BUY, 1), held, make(**{name: "1"}))
        assert (judged.reason, judged.violation and judged.violation.value) == (reason, f"no price of {unknown}")
        assert verdict(intent(SELL, 1), held, make(**{name: "1"})).accepted


def test_an_unpriced_position_is_a_position() -> None:
    """To count it, its price need not be known."""
    assert verdict(intent(BUY, 1), book({"CCC": 1}), make(max_positions=1)).reason == "portfolio-positions"
    assert verdict(intent(BUY, 1), book({"CCC": 1}), make(max_positions=2)).accepted


@pytest.mark.parametrize("name", _RATIOS)
def test_unknown_equity_refuses_what_increases(name: str) -> None:
    """Without equity no share of it can be judged; closing still passes."""
    held = replace(book({"AAA": 10}), equity=None)
    judged = verdict(intent(BUY, 1), held, make(**{name: "0.5"}))
    assert judged.violation is not None
    assert judged.violation.value == "unknown equity"
    assert verdict(intent(SELL, 1), held, make(**{name: "0.5"})).accepted


def test_a_symbol_that_left_the_universe_may_be_closed() -> None:
    """An edit of the symbols never traps a position."""
    scope = gate.Scope("strategy", limits.Limits(), book({"AAA": 10}), frozenset({"BBB"}))
    judged = gate.judge([intent(SELL, 10), intent(BUY, 1)], state=orders.State.ENABLED, now=NOW, scopes=[scope])
    assert [one.reason for one in judged] == ["", "unknown-symbol"]
    assert judged[1].detail == "strategy: unknown-symbol allows one of ['BBB'], got AAA"


@pytest.mark.parametrize(
    "held, wanted",
    [
        (book({"AAA": -10}), [intent(BUY, 10), intent(BUY, 1)]),
        (book({"AAA": -10}, buying={"AAA": 4}), [intent(BUY, 6), intent(BUY, 1)]),
        (book({"AAA": 10}, selling={"AAA": 4}), [intent(SELL, 7), intent(SELL, 6)][::-1]),
        (book({"AAA": 10}), [intent(SELL, 4), intent(SELL, 7)]),
        (book({"AAA": -10}), [intent(BUY, 9), orders.Intent("AAA", BUY, numbers.Quantity(10**9 + 1))]),
        (book({"AAA": 10}), [intent(SELL, 9), orders.Intent("AAA", SELL, numbers.Quantity(10**9 + 1))]),
    ],
)
def test_a_symbol_that_left_the_universe_may_be_closed_as_far_as_it_is_held(
    held: gate.Book, wanted: list[orders.Intent]
) -> None:
    """Working orders on the same side count; the last share does not cross zero."""
    scope = gate.Scope("strategy", limits.Limits(allow_short=True), held, frozenset({"BBB"}))
    judged = gate.judge(wanted, state=orders.State.ENABLED, now=NOW, scopes=[scope])
    assert [one.reason for one in judged] == ["", "unknown-symbol"]


@pytest.mark.parametrize(
    "allowed, wanted, held, left",
    [
        ({"max_quantity": 100}, 150, book(), 100),
        ({"max_notional": 10_050}, 150, book(), 100),
        ({"max_weight": "0.5"}, 600, book({"AAA": 200}), 300),
        ({"max_weight": "0.5"}, 600, book({"AAA": 500}), 0),
        ({"max_quantity": 100, "max_weight": "0.05"}, 150, book(), 50),
        ({"max_net": "0.5"}, 800, book({"BBB": -200}), 700),
        ({"max_net": "0.5"}, 100, book({"BBB": -800}), 0),
        ({"max_open_orders": 1}, 5, book(open_orders=1), 0),
        ({"max_drawdown": "0.1"}, 5, book(standing=stands(peak="200000")), 0),
    ],
)
def test_a_policy_that_clips_lets_out_the_most_that_passes(
    allowed: dict[str, Any], wanted: int, held: gate.Book, left: int
) -> None:
    """All limits hold of what is left; where only more would pass or nothing, the order is refused for its breach."""
    clips = replace(make(**allowed), on_breach=dict.fromkeys(("order", "position", "portfolio"), limits.Breach.CLIP))
    judged = verdict(intent(BUY, wanted), held, clips)
    assert judged.accepted == (left > 0)
    assert judged.intent.quantity == engine_data.shares(left or wanted)
    assert not verdict(intent(BUY, left + 1), held, make(**allowed)).accepted


def test_what_is_clipped_works_for_those_after_it() -> None:
    """As much as left, and no more: in one decision the next finds all the room that there is."""
    clips = replace(make(max_weight="0.3", max_gross="0.5"), on_breach={"position": limits.Breach.CLIP})
    scope = gate.Scope("strategy", clips, book(), frozenset({"AAA", "BBB"}))
    wanted = [intent(BUY, 600), intent(BUY, 200, "BBB"), intent(BUY, 1)]
    judged = gate.judge(wanted, state=orders.State.ENABLED, now=NOW, scopes=[scope])
    assert [(one.reason, one.intent.quantity // 10**9) for one in judged] == [
        ("", 300),
        ("", 200),
        ("position-weight", 1),
    ]


@pytest.mark.parametrize("allowed", [{"max_consecutive_losses": 3}, {"max_daily_loss": "0.1"}, {"max_drawdown": "0.1"}])
def test_nothing_that_adds_leaves_where_nobody_measured_losses(allowed: dict[str, Any]) -> None:
    """Unknown means no; what reduces passes."""
    assert not verdict(intent(BUY, 1), book({"AAA": 1}), make(**allowed)).accepted
    assert verdict(intent(SELL, 1), book({"AAA": 1}), make(**allowed)).accepted


def test_a_share_of_no_equity_says_so() -> None:
    """Of exactly nothing, too."""
    assert verdict(intent(BUY, 1), book(equity="0"), make(max_weight="0.5")).detail.endswith("got equity 0")


@pytest.mark.parametrize(
    "allowed, count, held, told",
    [
        ({"max_quantity": 100}, 101, book(), "order-quantity allows 100, got 101"),
        ({"max_quantity": 100}, 0, book(), "order-quantity allows more than 0, got 0"),
        ({"max_notional": 10_000}, 101, book(), "order-notional allows 10000, got 10100"),
        ({"max_open_orders": 2}, 1, book(open_orders=2), "open-orders allows 2, got 3"),
        ({"max_weight": "0.5"}, 501, book(), "position-weight allows 0.5, got 0.501"),
        ({"max_concentration": "0.04"}, 201, book(), "portfolio-concentration allows 0.04, got 0.040401"),
        ({"max_concentration": "0.04"}, 1, book(equity="0"), "portfolio-concentration allows 0.04, got equity 0"),
        ({"max_drawdown": "0.1"}, 1, book(standing=stands(peak="200000")), "drawdown allows 0.1, got 0.5"),
        (
            {"max_daily_loss": "0.1"},
            1,
            book(equity="-5", standing=stands(session="0")),
            "daily-loss allows 0.1, got equity 0",
        ),
    ],
)
def test_a_refusal_names_scope_limit_and_value(allowed: dict[str, Any], count: int, held: gate.Book, told: str) -> None:
    """What an operator reads in the condition."""
    assert verdict(intent(BUY, count), held, make(**allowed)).detail == f"strategy: {told}"


def test_exposures_are_rounded_up() -> None:
    """A value above the limit by less than 1e-9 USD is above the limit."""
    wanted = orders.Intent("AAA", BUY, numbers.Quantity(10**9 + 1))
    held = replace(book(), prices={"AAA": engine_data.bar("AAA", price="0.0001")})
    limit = numbers.money("0.0001")
    for name, reason in (("max_notional", "order-notional"), ("max_position_notional", "position-notional")):
        assert verdict(wanted, held, limits.Limits(**{name: limit})).reason == reason
        assert verdict(wanted, held, limits.Limits(**{name: limit + 1})).accepted


def test_accepted_intents_count_for_the_next() -> None:
    """Two orders that each fit do not pass together beyond the limit."""
    scope = gate.Scope("strategy", make(max_gross="1"), book())
    wanted = [intent(BUY, 600), intent(BUY, 600, "BBB"), intent(BUY, 400, "BBB")]
    judged = gate.judge(wanted, state=orders.State.ENABLED, now=NOW, scopes=[scope])
    assert [one.reason for one in judged] == ["", "portfolio-gross", ""]


def test_accepted_intents_are_open_orders_for_the_next() -> None:
    """Refused ones are not."""
    scope = gate.Scope("strategy", make(max_open_orders=3, max_quantity=5), book(open_orders=1))
    wanted = [intent(BUY, 1), intent(BUY, 6), intent(BUY, 1, "BBB"), intent(BUY, 1)]
    judged = gate.judge(wanted, state=orders.State.ENABLED, now=NOW, scopes=[scope])
    assert [one.reason for one in judged] == ["", "order-quantity", "", "open-orders"]


def test_all_scopes_must_agree() -> None:
    """The strategy's policy and the account's both judge; the first that refuses is named."""
    scopes = [gate.Scope("strategy", make(), book()), gate.Scope("account", make(max_quantity=5), book())]
    judged = gate.judge([intent(BUY, 6)], state=orders.State.ENABLED, now=NOW, scopes=scopes)[0]
    assert (judged.scope, judged.reason) == ("account", "order-quantity")


def test_what_one_scope_refuses_works_in_none() -> None:
    """The account's refusal leaves the strategy's room for the next intent."""
    scopes = [
        gate.Scope("strategy", make(max_gross="1"), book()),
        gate.Scope("account", make(max_quantity=700), book(equity="1000000")),
    ]
    wanted = [intent(BUY, 800), intent(BUY, 700)]
    judged = gate.judge(wanted, state=orders.State.ENABLED, now=NOW, scopes=scopes)
    assert [(one.scope, one.reason) for one in judged] == [("account", "order-quantity"), ("", "")]


def test_nobody_judging_means_no() -> None:
    """Without a policy nothing leaves."""
    judged = gate.judge([intent(BUY, 1)], state=orders.State.ENABLED, now=NOW, scopes=[])[0]
    assert (judged.reason, judged.detail) == ("halted", "gate: halted allows at least one policy, got none")


def test_no_intents_no_verdicts() -> None:
    """A decision to do nothing needs no judge."""
    assert gate.judge([], state=orders.State.ENABLED, now=NOW, scopes=[]) == ()


@pytest.mark.parametrize("allowed", [{"max_notional": 10_000}, {"max_gross": "1"}, {}])
def test_a_huge_order_is_refused_and_breaks_nothing(allowed: dict[str, Any]) -> None:
    """What does not fit 64 bits is above every limit, and the next intent is judged as if it had not been."""
    huge = numbers.Quantity(2**63 - 1)
    scope = gate.Scope("strategy", make(**allowed), book({"AAA": 10}))
    wanted = [orders.Intent("AAA", BUY, huge), orders.Intent("BBB", BUY, huge), intent(BUY, 1)]
    judged = gate.judge(wanted, state=orders.State.ENABLED, now=NOW, scopes=[scope])
    assert [one.reason for one in judged] == ["order-quantity", "order-notional", ""]


def test_a_huge_book_lets_nothing_leave() -> None:
    """Positions worth more than 64 bits of money have no known value."""
    held = replace(book(), positions={"AAA": numbers.Quantity(10**18), "BBB": numbers.Quantity(-(10**18))})
    assert verdict(intent(BUY, 1), held, make()).reason == "order-notional"


# --- properties --------------------------------------------------------------------------------------------------

COUNTS = st.integers(min_value=0, max_value=2_000)
SIGNED = st.integers(min_value=-2_000, max_value=2_000)
RATIOS = st.fractions(min_value=Fraction(1, 100), max_value=3, max_denominator=1000)
SYMBOLS = st.sampled_from(["AAA", "BBB"])
HELD = st.sampled_from(["AAA", "BBB", "CCC"])  # the last has no price
INTENTS = st.builds(intent, st.sampled_from([BUY, SELL]), st.integers(min_value=1, max_value=2_000), SYMBOLS)


def books(symbols: st.SearchStrategy[str]) -> st.SearchStrategy[gate.Book]:
    """Books of any size, with or without equity."""
    return st.builds(
        lambda held, buying, selling, equity, open_orders: replace(
            book(held, buying=buying, selling=selling, open_orders=open_orders),
            equity=None if equity is None else numbers.money(str(equity)),
        ),
        st.dictionaries(symbols, SIGNED),
        st.dictionaries(symbols, COUNTS),
        st.dictionaries(symbols, COUNTS),
        st.none() | st.integers(min_value=-1_000, max_value=500_000),
        st.integers(0, 5),
    )


@dataclass(frozen=True)
class After:
    """Positions and working orders in whole shares, counted here by other means than the gate's."""

    positions: dict[str, int]
    buying: dict[str, int]
    selling: dict[str, int]

    @classmethod
    def of(cls, held: gate.Book) -> "After":
        """The book before any intent."""
        return cls(dict(held.positions), dict(held.working_buy), dict(held.working_sell))

    def take(self, wanted: orders.Intent) -> None:
        """Add a working order."""
        side = self.buying if wanted.side is BUY else self.selling
        side[wanted.symbol] = side.get(wanted.symbol, 0) + wanted.quantity

    def reaches(self, symbol: str) -> tuple[int, int]:
        """Lowest and highest position that any filling of the working orders leads to."""
        held = self.positions.get(symbol, 0)
        return held - self.selling.get(symbol, 0), held + self.buying.get(symbol, 0)

    def worst(self, symbol: str) -> int:
        """Largest absolute position."""
        return max(map(abs, self.reaches(symbol)))

    def reduces(self, wanted: orders.Intent) -> bool:
        """Whether an intent can only bring the position nearer to zero."""
        lowest, highest = self.reaches(wanted.symbol)
        return highest + wanted.quantity <= 0 if wanted.side is BUY else lowest - wanted.quantity >= 0


@st.composite
def all_limits(draw: st.DrawFn) -> limits.Limits:
    """Limits of any tightness."""
    gross = draw(st.none() | RATIOS)
    weight, net = draw(st.none() | RATIOS), draw(st.none() | RATIOS)
    return limits.Limits(
        max_quantity=draw(st.none() | st.integers(1, 2_000).map(engine_data.shares)),
        max_notional=draw(st.none() | st.integers(1, 200_000).map(lambda usd: numbers.money(str(usd)))),
        max_open_orders=draw(st.none() | st.integers(1, 10)),
        max_weight=_at_most(weight, gross),
        max_position_notional=draw(st.none() | st.integers(1, 400_000).map(lambda usd: numbers.money(str(usd)))),
        max_gross=gross,
        max_net=_at_most(net, gross),
        max_positions=draw(st.none() | st.integers(1, 3)),
        max_concentration=draw(st.none() | RATIOS),
        allow_short=draw(st.booleans()),
        max_bar_age=draw(st.none() | st.integers(1, times.DAY)),
    )


def _at_most(value: Fraction | None, most: Fraction | None) -> Fraction | None:
    return value if value is None or most is None else min(value, most)


_LOOSEST: dict[str, Any] = {
    "max_quantity": engine_data.shares(2_000),
    "max_notional": numbers.money("200000"),
    "max_open_orders": 10,
    "max_weight": Fraction(3),
    "max_position_notional": numbers.money("400000"),
    "max_gross": Fraction(3),
    "max_net": Fraction(3),
    "max_positions": 3,
    "max_concentration": Fraction(3),
    "max_bar_age": times.DAY,
}


@st.composite
def tightened(draw: st.DrawFn) -> tuple[limits.Limits, limits.Limits]:
    """Limits, and the same with some made stricter."""
    loose = draw(all_limits())
    found: dict[str, Any] = {"allow_short": loose.allow_short and draw(st.booleans())}
    for name, fallback in _LOOSEST.items():
        value = getattr(loose, name)
        if draw(st.booleans()):
            most, by = fallback if value is None else value, draw(st.integers(1, 5))
            value = max(most // by, 1) if isinstance(most, int) else most / by
        found[name] = value
    for name in ("max_weight", "max_net"):
        found[name] = _at_most(found[name], found["max_gross"])
    return loose, limits.Limits(**found)


@given(tightened(), books(HELD), INTENTS, st.integers(0, 2 * times.DAY))
def test_tightening_any_limit_never_allows_more(
    pair: tuple[limits.Limits, limits.Limits], held: gate.Book, wanted: orders.Intent, age: int
) -> None:
    """What the stricter policy accepts, the looser one accepts too."""
    loose, tight = pair
    now = times.Nanos(NOW + age)
    if verdict(wanted, held, tight, now=now).accepted:
        assert verdict(wanted, held, loose, now=now).accepted


@given(all_limits(), books(SYMBOLS), st.lists(INTENTS, min_size=1, max_size=6))
def test_no_increasing_order_breaks_a_limit(
    allowed: limits.Limits, held: gate.Book, wanted: list[orders.Intent]
) -> None:
    """After a decision, what an increasing order was accepted for is within every limit of position and portfolio."""
    scope = gate.Scope("account", allowed, held)
    after = After.of(held)
    for judged in gate.judge(wanted, state=orders.State.ENABLED, now=NOW, scopes=[scope]):
        if not judged.accepted:
            continue
        increases = not after.reduces(judged.intent)
        after.take(judged.intent)
        symbol = judged.intent.symbol
        lowest, _ = after.reaches(symbol)
        if not allowed.allow_short and judged.intent.side is SELL:
            assert lowest >= 0
        if increases:
            check_portfolio(allowed, after, judged.intent, held.equity or 0)


def check_portfolio(allowed: limits.Limits, after: After, wanted: orders.Intent, equity: int) -> None:
    """Compare with every limit on size; whole shares at 100 USD: value in 1e-9 USD is 100 times the quantity."""
    values = {one: 100 * after.worst(one) for one in ("AAA", "BBB")}
    side = 1 if wanted.side is BUY else 0
    net = 100 * abs(sum(after.reaches(one)[side] for one in ("AAA", "BBB")))
    of_equity = (
        (values[wanted.symbol], allowed.max_weight),
        (sum(values.values()), allowed.max_gross),
        (net, allowed.max_net),
    )
    for value, most in of_equity:
        assert most is None or value <= most * equity
    assert allowed.max_position_notional is None or values[wanted.symbol] <= allowed.max_position_notional
    assert allowed.max_positions is None or sum(value != 0 for value in values.values()) <= allowed.max_positions
    if allowed.max_concentration is not None:
        assert sum(Fraction(value, equity) ** 2 for value in values.values()) <= allowed.max_concentration


@given(books(HELD), st.lists(INTENTS, max_size=6), st.sampled_from([one for one in orders.State if one != "enabled"]))
def test_nothing_passes_a_halt(held: gate.Book, wanted: list[orders.Intent], state: orders.State) -> None:
    """No book and no intent gets through any state but enabled."""
    scope = gate.Scope("account", limits.Limits(allow_short=True), held)
    judged = gate.judge(wanted, state=state, now=NOW, scopes=[scope])
    assert all(one.reason == "halted" for one in judged)
    assert len(judged) == len(wanted)


@given(books(SYMBOLS), INTENTS)
def test_what_reduces_passes_limits_that_nothing_else_passes(held: gate.Book, wanted: orders.Intent) -> None:
    """To reduce is always possible, and never enlarges the worst case."""
    tight = limits.Limits(
        allow_short=True, max_weight=Fraction(1, 10**9), max_gross=Fraction(1, 10**9), max_position_notional=1
    )
    after = After.of(held)
    before, reduces = after.worst(wanted.symbol), after.reduces(wanted)
    assert verdict(wanted, held, tight).accepted == reduces
    after.take(wanted)
    if reduces:
        assert after.worst(wanted.symbol) <= before


# --- what a policy may say here --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec,field",
    [
        ({"onBreach": {"order": "halted"}}, "onBreach.order"),
        ({"onBreach": {"position": "reduce-only"}}, "onBreach.position"),
        ({"onBreach": {"portfolio": "flatten"}}, "onBreach.portfolio"),
        ({"onBreach": {"data": "halted"}}, "onBreach.data"),
    ],
)
def test_what_the_gate_cannot_act_on_is_refused_by_name(spec: dict[str, Any], field: str) -> None:
    """Never ignored: the policy as a whole is not used."""
    with pytest.raises(errors.ValueRefused) as refused:
        gate.limits_of(spec)
    assert refused.value.field == field


def test_what_the_gate_can_act_on_is_taken() -> None:
    """Every other limit, and a reject that is spelled out."""
    spec = {
        "order": {"maxNotional": "1", "maxQuantity": "1", "maxOpenOrders": 1},
        "position": {"maxWeight": "1", "maxNotional": "1", "allowShort": True},
        "portfolio": {"maxGross": "1", "maxNet": "1", "maxPositions": 1, "maxConcentration": "1"},
        "loss": {"maxDailyLoss": "0.02", "maxDrawdown": "0.1", "maxConsecutiveLosses": 3},
        "data": {"maxBarAge": "1h"},
        "onBreach": {"order": "clip", "loss": "reject"},
    }
    assert gate.limits_of(spec) == limits.from_spec(spec)
