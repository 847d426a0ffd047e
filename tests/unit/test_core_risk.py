from array import array
from collections.abc import Callable
from dataclasses import fields, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import engine_runs
from tradeplane_engine import errors
from tradeplane_engine.core import agenda, control, costs, kernel, limits, risk, table
from tradeplane_engine.core.ledger import Ledger

USD = 10**9
SHARE = 10**9
PRICE = 100 * 10**4
UNIT = 10**4


def scope(allowed: limits.Limits, *, cash: int = 1_000_000, state: int = risk.ENABLED) -> risk.Scope:
    """A scope of two symbols with nothing in it."""
    book = risk.Book(Ledger(cash * USD, array("q", (UNIT, UNIT))))
    book.state = state
    return risk.Scope("account", risk.Policy("p", allowed), book)


def ask(one: risk.Scope, *, side: int = 1, shares: int = 10, price: int = PRICE, age: int = 0, **of: Any) -> str:
    """The reason for a refusal of an order of symbol 0, or an empty text."""
    found = risk.Proposal(array("q", (price, price))).weigh(one, 0, side, shares * SHARE, 0, age, 1, **of)
    return found.reason if found else ""


def hold(one: risk.Scope, shares: int, *, symbol: int = 0, price: int = PRICE) -> risk.Scope:
    """Give a scope a position."""
    one.book.ledger.fill(symbol, shares * SHARE, price, 0)
    one.book.ledger.mark(symbol, price)
    one.book.working(symbol, 1, 0)
    return one


SHORT = limits.Limits(allow_short=True)
CASES: list[tuple[str, Callable[[], str], str]] = [
    ("an order within every limit may leave", lambda: ask(scope(engine_runs.LOOSE)), ""),
    ("nothing leaves while halted", lambda: ask(scope(SHORT, state=risk.HALTED)), "halted"),
    ("nothing leaves while flattening", lambda: ask(scope(SHORT, state=risk.FLATTEN)), "flatten"),
    ("nothing that adds leaves while reducing", lambda: ask(scope(SHORT, state=risk.REDUCE_ONLY)), "reduce-only"),
    (
        "what reduces leaves while reducing",
        lambda: ask(hold(scope(SHORT, state=risk.REDUCE_ONLY), 10), side=-1),
        "",
    ),
    (
        "what would cross zero does not reduce",
        lambda: ask(hold(scope(SHORT, state=risk.REDUCE_ONLY), 10), side=-1, shares=11),
        "reduce-only",
    ),
    ("a symbol without a price cannot be ordered", lambda: ask(scope(SHORT), price=0), "no-price"),
    ("an order is for something", lambda: ask(scope(SHORT), shares=0), "order-quantity"),
    ("at the limit of shares", lambda: ask(scope(replace(SHORT, max_quantity=10 * SHARE))), ""),
    ("above the limit of shares", lambda: ask(scope(replace(SHORT, max_quantity=9 * SHARE))), "order-quantity"),
    ("at the limit of value", lambda: ask(scope(replace(SHORT, max_notional=1000 * USD))), ""),
    ("above the limit of value", lambda: ask(scope(replace(SHORT, max_notional=1000 * USD - 1))), "order-notional"),
    ("a young bar", lambda: ask(scope(replace(SHORT, max_bar_age=5)), age=5), ""),
    ("an old bar", lambda: ask(scope(replace(SHORT, max_bar_age=5)), age=6), "stale-bar"),
    ("a bar from the future", lambda: ask(scope(replace(SHORT, max_bar_age=5)), age=-1), "stale-bar"),
    ("a short where none is allowed", lambda: ask(scope(limits.Limits()), side=-1), "short-not-allowed"),
    ("a sale of what is held", lambda: ask(hold(scope(limits.Limits()), 10), side=-1), ""),
    ("at the limit of weight", lambda: ask(scope(replace(SHORT, max_weight=Fraction(1, 1000)))), ""),
    ("above the limit of weight", lambda: ask(scope(replace(SHORT, max_weight=Fraction(1, 1001)))), "position-weight"),
    ("no equity, no weight", lambda: ask(scope(replace(SHORT, max_weight=Fraction(1)), cash=0)), "position-weight"),
    (
        "above the limit of a position's value",
        lambda: ask(hold(scope(replace(SHORT, max_position_notional=1500 * USD)), 6)),
        "position-notional",
    ),
    (
        "gross counts every symbol",
        lambda: ask(hold(scope(replace(SHORT, max_gross=Fraction(15, 10_000))), 6, symbol=1)),
        "portfolio-gross",
    ),
    (
        "gross counts a short like a long",
        lambda: ask(hold(scope(replace(SHORT, max_gross=Fraction(15, 10_000))), -6, symbol=1)),
        "portfolio-gross",
    ),
    (
        "net sets a short against a long",
        lambda: ask(hold(scope(replace(SHORT, max_net=Fraction(5, 10_000))), -6, symbol=1)),
        "",
    ),
    (
        "above the limit of net",
        lambda: ask(hold(scope(replace(SHORT, max_net=Fraction(15, 10_000))), 6, symbol=1)),
        "portfolio-net",
    ),
    (
        "one position too many",
        lambda: ask(hold(scope(replace(SHORT, max_positions=1)), 6, symbol=1)),
        "portfolio-positions",
    ),
    ("more of the same position", lambda: ask(hold(scope(replace(SHORT, max_positions=1)), 6)), ""),
    (
        "too concentrated",
        lambda: ask(hold(scope(replace(SHORT, max_concentration=Fraction(1, 10**6))), 6, symbol=1)),
        "portfolio-concentration",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[name.replace(" ", "-") for name, _, _ in CASES])
def test_the_chain_says(case: tuple[str, Callable[[], str], str]) -> None:
    """Each sentence of the table."""
    _name, answer, reason = case
    assert answer() == reason


def test_working_orders_count_at_full_size() -> None:
    """A working buy uses up the limit although nothing of it has filled."""
    one = scope(replace(SHORT, max_position_notional=1500 * USD))
    one.book.working(0, 1, 6 * SHARE)
    assert ask(one) == "position-notional"
    assert ask(one, side=-1) == ""


@pytest.mark.parametrize("side", [1, -1])
def test_what_closes_a_position_reduces_and_the_least_part_more_does_not(side: int) -> None:
    """An order of the same side that works already counts."""
    one = hold(scope(SHORT, state=risk.REDUCE_ONLY), -10 * side)
    assert ask(one, side=side) == ""
    one.book.working(0, side, 1)
    assert ask(one, side=side) == "reduce-only"


def test_losses_are_measured_from_the_session_and_from_the_peak() -> None:
    """A fall of 10 USD a share on 1,000 shares is 1 % of a million."""
    for name, reason in (("max_daily_loss", "daily-loss"), ("max_drawdown", "drawdown")):
        for limit, expected in ((Fraction(1, 100), ""), (Fraction(99, 10_000), reason)):
            one = hold(scope(replace(SHORT, **{name: limit})), 1000)
            one.book.ledger.mark(0, PRICE - 10 * UNIT)
            assert ask(one) == expected
            assert ask(one, side=-1) == ""


def spent(allowed: limits.Limits, orders: int = 0, usd: int = 0) -> risk.Scope:
    """A scope from which something left since the session opened."""
    one = scope(allowed)
    one.book.spend(orders, usd * USD)
    return one


@pytest.mark.parametrize(
    "allowed,orders,usd,reason",
    [
        ({"max_orders_per_day": 3}, 2, 0, ""),
        ({"max_orders_per_day": 3}, 3, 0, "day-orders"),
        ({"max_notional_per_day": 3000 * USD}, 0, 2000, ""),
        ({"max_notional_per_day": 3000 * USD}, 0, 2001, "day-notional"),
        ({}, 10**6, 9 * 10**9, ""),
    ],
)
def test_a_session_has_its_limits(allowed: dict[str, Any], orders: int, usd: int, reason: str) -> None:
    """On orders and on what they are worth; one that takes another's place is no new one, and the next day is."""
    one = spent(replace(SHORT, **allowed), orders, usd)
    assert ask(one) == reason
    assert ask(one, is_new=False) == ""
    one.book.begin_day()
    assert ask(one) == ""


def test_what_reduces_may_leave_however_much_has_left() -> None:
    """A limit on a day must not keep a position open."""
    one = hold(spent(replace(SHORT, max_orders_per_day=1, max_notional_per_day=1), 5, 5000), 10)
    assert ask(one, side=-1) == ""
    assert ask(one, side=-1, shares=11) == "day-orders"


def test_more_than_64_bits_of_money_a_day_are_as_much_as_any_limit() -> None:
    """No run ends for them, and no limit is as wide."""
    one = spent(SHORT, 1, 9 * 10**9)
    one.book.spend(1, 9 * 10**9 * USD)
    assert one.book.day_notional == 2**63 - 1
    assert ask(one) == ""
    one.policy = risk.Policy("p", replace(SHORT, max_notional_per_day=2**63 - 2))
    assert ask(one) == "day-notional"


@pytest.mark.parametrize(
    "side,limit,stop,reason",
    [
        (1, "103", "", ""),
        (1, "103.01", "", "price-collar"),
        (1, "1", "", ""),
        (-1, "97", "", ""),
        (-1, "96.99", "", "price-collar"),
        (-1, "900", "", ""),
        (1, "123.6", "120", ""),
        (1, "123.61", "120", "price-collar"),
        (-1, "77.6", "80", ""),
        (-1, "77.59", "80", "price-collar"),
    ],
)
def test_a_limit_price_is_near_what_it_is_measured_from(side: int, limit: str, stop: str, reason: str) -> None:
    """Three per cent worse than the last close of 100, or than its own stop, and any price that is better."""
    one = scope(replace(SHORT, collar_bps=300))
    assert ask(one, side=side, limit=_price(limit), stop=_price(stop) if stop else 0) == reason
    assert ask(scope(SHORT), side=side, limit=_price(limit)) == ""


def _price(text: str) -> int:
    return round(float(text) * UNIT)


def test_a_restricted_symbol_may_only_be_left() -> None:
    """By name; where no symbol has one, by its number."""
    one = scope(replace(SHORT, restricted=("symbol 0",)))
    assert ask(one) == "restricted"
    assert ask(hold(one, 10), side=-1) == ""
    assert ask(scope(replace(SHORT, restricted=("symbol 1",)))) == ""


def test_losing_trades_in_a_row_stop_what_adds() -> None:
    """A winner in between starts the count again; a trade that neither won nor lost leaves it."""
    one = scope(replace(SHORT, max_consecutive_losses=2))
    for realised, expected in ((-1, ""), (1, ""), (-1, ""), (0, ""), (-1, "consecutive-losses")):
        one.book.closed(realised)
        assert ask(one) == expected


FRACTIONS = st.fractions(Fraction(1, 10_000), Fraction(1, 50), max_denominator=10_000)
# Every limit that a policy has, as small as the made-up book may reach.
LIMITS: dict[str, st.SearchStrategy[Any]] = {
    "max_notional": st.integers(1, 6_000 * USD),
    "max_quantity": st.integers(1, 60 * SHARE),
    "max_open_orders": st.integers(1, 4),
    "max_notional_per_day": st.integers(1, 10_000).map(lambda usd: usd * USD),
    "max_orders_per_day": st.integers(1, 4),
    "collar_bps": st.integers(1, 10_000),
    "max_weight": FRACTIONS,
    "max_position_notional": st.integers(1, 15_000 * USD),
    "max_gross": FRACTIONS,
    "max_net": FRACTIONS,
    "max_positions": st.integers(1, 3),
    "max_concentration": st.fractions(Fraction(1, 10**8), Fraction(1, 1000), max_denominator=10**8),
    "max_daily_loss": FRACTIONS,
    "max_drawdown": FRACTIONS,
    "max_consecutive_losses": st.integers(1, 3),
    "max_bar_age": st.integers(1, 10),
}


@pytest.mark.parametrize("name", LIMITS)
@given(data=st.data())
def test_tightening_any_limit_never_allows_more(name: str, data: st.DataObject) -> None:
    """What the tighter limit lets pass, the looser one lets pass too."""
    tight, loose = sorted([data.draw(LIMITS[name]), data.draw(LIMITS[name])])
    held, other, fall = (data.draw(st.integers(-50, 50)) for _ in range(3))
    working, losses, age = (data.draw(st.integers(0, most)) for most in (50, 3, 10))
    side, shares = data.draw(st.sampled_from((1, -1))), data.draw(st.integers(1, 50))
    data_orders, cents = data.draw(st.integers(0, 4)), data.draw(st.integers(-9_000, 9_000))

    def answer(limit: Any) -> str:
        one = hold(hold(scope(replace(SHORT, **{name: limit})), held), other, symbol=1)
        one.book.adopt(0, side, working * SHARE, PRICE)
        for _ in range(losses):
            one.book.closed(-1)
        one.book.ledger.mark(0, PRICE - fall * UNIT)
        one.book.spend(data_orders, data_orders * 1000 * USD)
        return ask(one, side=side, shares=shares, age=age, limit=PRICE + cents * UNIT // 100)

    assert answer(loose) == "" or answer(tight) != ""


def test_every_limit_is_tightened_above() -> None:
    """A limit that is added is added there."""
    assert set(LIMITS) == {field.name for field in fields(limits.Limits)} - {
        "allow_short",
        "max_per_second",
        "on_breach",
        "restricted",
    }


def test_an_unknown_equity_is_no_equity() -> None:
    """Whatever a fraction of it limits refuses what adds, and the refusal says why."""
    for name in ("max_weight", "max_gross", "max_net", "max_concentration", "max_daily_loss", "max_drawdown"):
        one = scope(replace(SHORT, **{name: Fraction(1)}))
        one.book.valued = False
        found = risk.Proposal(array("q", (PRICE, PRICE))).weigh(one, 0, 1, SHARE, 0, 0, 1)
        assert found is not None
        assert (found.limit, found.value) == ("1", "unknown equity")
    one = scope(limits.Limits(max_consecutive_losses=1))
    one.book.valued = False
    assert risk.loss_violation(one) is None


def test_a_book_names_its_symbols() -> None:
    """By the names that it was given, else by number."""
    book = risk.Book(Ledger(0, array("q", (UNIT, UNIT))), ("AAA", "BBB"))
    assert (book.name(1), scope(SHORT).book.name(1)) == ("BBB", "symbol 1")


def test_a_position_without_a_price_stays_known() -> None:
    """It is counted, named and not forgotten from one measure to the next; with a price it is worth something."""
    one = hold(scope(replace(SHORT, max_gross=Fraction(1))), 5, symbol=1)
    for instant in (1, 2):
        prices = array("q", (PRICE, 0))
        one.book.measure(instant, prices)
        assert (one.book.unpriced, one.book.positions, one.book.gross) == (1, 1, 0)
        found = risk.Proposal(prices).weigh(one, 0, 1, SHARE, instant, instant, 1)
        assert found is not None
        assert (found.reason, found.value) == ("portfolio-gross", "no price of symbol 1")
    one.book.measure(3, array("q", (PRICE, PRICE)))
    assert (one.book.unpriced, one.book.positions, one.book.gross) == (-1, 1, 500 * USD)


def test_a_book_is_measured_once_an_instant() -> None:
    """An order that is accepted meanwhile is valued by itself, and everything else keeps its value until the next."""
    one = hold(scope(SHORT), 5, symbol=1)
    one.book.measure(0, array("q", (PRICE, PRICE)))
    one.book.adopt(0, 1, SHARE, PRICE)
    assert one.book.gross == 600 * USD
    for instant, gross in ((0, 600), (1, 1200)):
        one.book.measure(instant, array("q", (2 * PRICE, 2 * PRICE)))
        assert one.book.gross == gross * USD


@pytest.mark.parametrize("side", [1, -1])
def test_an_equity_beyond_64_bits_is_never_a_peak(side: int) -> None:
    """The widest that fits is seen as it is; what is wider by one step of the price is refused."""
    book = risk.Book(Ledger(side * (2**63 - 1), array("q", (UNIT,))))
    book.ledger.fill(0, side * SHARE, PRICE, 0)
    book.ledger.mark(0, PRICE)
    assert book.observe() == side * (2**63 - 1)
    book.ledger.mark(0, PRICE + 1)
    with pytest.raises(errors.Overflow):
        book.observe()


def unit_book() -> risk.Book:
    """A book of two symbols whose 1e-9 share is worth its price in money."""
    return risk.Book(Ledger(0, array("q", (1, 1))))


@pytest.mark.parametrize("side", [1, -1])
def test_working_quantity_has_64_bits(side: int) -> None:
    """The last that fits counts, and one more is refused by name and counts nothing."""
    book = unit_book()
    book.working(0, side, 2**63 - 2)
    book.working(0, side, 1)
    with pytest.raises(errors.Overflow, match="working"):
        book.working(0, side, 1)
    assert max(book.buying[0], book.selling[0]) == 2**63 - 1


def test_exposures_together_have_64_bits() -> None:
    """As widely as they fit; both nets lie within."""
    book, prices = unit_book(), array("q", (1, 1))
    book.adopt(0, 1, 2**63 - 2, 1)
    book.adopt(1, -1, 1, 1)
    book.measure(0, prices)
    assert (book.gross, book.highest_total, book.lowest_total) == (2**63 - 1, 2**63 - 2, -1)
    with pytest.raises(errors.Overflow, match="gross"):
        book.adopt(1, -1, 1, 1)


@pytest.mark.parametrize("side", [1, -1])
def test_the_value_of_a_position_has_64_bits(side: int) -> None:
    """From the least, 1e-9 USD, to two units of it at a price that is the widest that fits, or one too many."""
    book = unit_book()
    book.ledger.fill(0, side, 1, 0)
    book.working(0, 1, 0)
    book.measure(0, array("q", (1, 1)))
    assert (book.gross, book.highest_total) == (1, side)
    book.ledger.fill(0, side, 1, 0)
    book.working(0, 1, 0)
    book.measure(0, array("q", (2**62 - 1, 1)))
    assert (book.gross, book.highest_total) == (2**63 - 2, side * (2**63 - 2))
    with pytest.raises(errors.Overflow, match="notional"):
        book.measure(1, array("q", (2**62, 1)))


@pytest.mark.parametrize("side", [1, -1])
def test_a_position_in_its_worst_case_has_64_bits(side: int) -> None:
    """What is held and what works on the same side, together."""
    book, prices = unit_book(), array("q", (1, 1))
    book.ledger.fill(0, side * (2**63 - 2), 0, 0)
    book.working(0, side, 1)
    book.measure(0, prices)
    assert book.gross == 2**63 - 1
    book.working(0, side, 1)
    with pytest.raises(errors.Overflow, match="position"):
        book.measure(1, prices)


def test_a_concentration_is_judged_where_no_float_can_tell() -> None:
    """Two weights of 1 are within 2, and what is above it by less than the last bit of a float is not."""
    equity = 2**53 + 3
    for off, expected in ((0, None), (2, "portfolio-concentration")):
        book = risk.Book(Ledger(equity, array("q", (UNIT, UNIT))))
        one = risk.Scope("account", risk.Policy("p", replace(SHORT, max_concentration=Fraction(2))), book)
        book.adopt(1, 1, equity + off, UNIT)
        found = risk.Proposal(array("q", (UNIT, UNIT))).weigh(one, 0, 1, equity - off, 0, 0, 1)
        assert (found and found.reason) == expected


@pytest.mark.parametrize("name", ["max_weight", "max_gross", "max_net", "max_concentration"])
def test_the_least_equity_is_equity(name: str) -> None:
    """Of 1e-9 USD an order worth 1e-9 USD is all: within a limit of 1, and above one of a half."""
    for allowed, expected in ((Fraction(1), None), (Fraction(1, 2), "1")):
        one = scope(replace(SHORT, **{name: allowed}), cash=0)
        one.book.fund(1)
        found = risk.Proposal(array("q", (UNIT, UNIT))).weigh(one, 0, 1, 1, 0, 0, 1)
        assert (found and found.value) == expected


@pytest.mark.parametrize("name", ["max_daily_loss", "max_drawdown"])
def test_the_least_loss_is_a_loss(name: str) -> None:
    """Of 1e-9 USD; and of nothing, nothing is lost."""
    for allowed, expected in ((Fraction(1), None), (Fraction(1, 2), "1")):
        one = scope(replace(SHORT, **{name: allowed}), cash=0)
        assert risk.loss_violation(one) is None
        one.book.fund(1)
        one.book.ledger.book(-1, "fees")
        found = risk.loss_violation(one)
        assert (found and found.value) == expected


@pytest.mark.parametrize("action", [one for one in limits.Breach if one is not limits.Breach.CLIP])
def test_marks_are_watched_where_a_loss_opens_a_halt(action: limits.Breach) -> None:
    """A loss that only refuses orders waits for one."""
    assert risk.Policy("p", limits.Limits(on_breach={"loss": action})).watches == (action is not limits.Breach.REJECT)


def test_every_reason_has_its_sentence() -> None:
    """The words of the chain are those of the table, and those of the tests on open orders and losses."""
    others = {
        "price-collar",
        "restricted",
        "day-orders",
        "day-notional",
        "open-orders",
        "daily-loss",
        "drawdown",
        "consecutive-losses",
    }
    assert {reason for _, _, reason in CASES if reason} | others == set(risk.REASONS)
    assert len(risk.REASONS) == len(set(risk.REASONS))


def test_every_exposure_of_gross_is_rounded_up() -> None:
    """Each symbol's by itself, to the next 1e-9 USD: a part of a unit that is held already uses up a whole one."""
    for allowed, expected in ((200_000, "portfolio-gross"), (200_001, "")):
        one = scope(replace(SHORT, max_gross=Fraction(allowed, 1_000_000 * USD)))
        one.book.ledger.fill(1, SHARE + 1, 1, 0)
        one.book.ledger.mark(1, 1)
        one.book.working(1, 1, 0)
        assert ask(one, shares=1, price=1) == expected


def test_open_orders_are_bounded() -> None:
    """The one that is judged counts; what ended is no longer open."""
    one = scope(replace(SHORT, max_open_orders=2))
    one.book.adopt(1, 1, SHARE, PRICE)
    assert ask(one) == ""
    one.book.adopt(1, 1, SHARE, PRICE)
    assert ask(one) == "open-orders"
    one.book.released()
    assert ask(one) == ""


@pytest.mark.parametrize(
    "given, field",
    [
        ({"max_notional": 0}, "order.maxNotional"),
        ({"max_positions": -1}, "portfolio.maxPositions"),
        ({"max_weight": Fraction(2), "max_gross": Fraction(1)}, "position.maxWeight"),
        ({"max_net": Fraction(2), "max_gross": Fraction(1)}, "portfolio.maxNet"),
        ({"max_daily_loss": Fraction(1, 5), "max_drawdown": Fraction(1, 10)}, "loss.maxDailyLoss"),
        ({"on_breach": {"margin": limits.Breach.REJECT}}, "onBreach.margin"),
        ({"on_breach": {"order": "foo"}}, "onBreach.order"),
        ({"on_breach": {"order": None}}, "onBreach.order"),
        ({"on_breach": {"loss": "clip"}}, "onBreach.loss"),
        ({"on_breach": 5}, "onBreach"),
        ({"max_drawdown": Fraction(3, 2)}, "loss.maxDrawdown"),
        ({"max_daily_loss": 2}, "loss.maxDailyLoss"),
        ({"max_gross": 1.5}, "portfolio.maxGross"),
        ({"max_weight": 0.1}, "position.maxWeight"),
        ({"max_drawdown": 0.1}, "loss.maxDrawdown"),
        ({"max_notional": 1.5}, "order.maxNotional"),
        ({"max_notional": "1000"}, "order.maxNotional"),
        ({"max_quantity": True}, "order.maxQuantity"),
        ({"max_bar_age": "1h"}, "data.maxBarAge"),
        ({"max_positions": 2.0}, "portfolio.maxPositions"),
        ({"allow_short": 1}, "position.allowShort"),
        ({"on_breach": {"loss": limits.Breach.CLIP}}, "onBreach.loss"),
    ],
)
def test_a_policy_that_contradicts_itself_or_holds_another_type_is_refused(given: dict[str, Any], field: str) -> None:
    """The error names the field as a manifest does."""
    with pytest.raises(errors.ValueRefused) as refused:
        limits.Limits(**given)
    assert refused.value.field == field


def test_a_limit_is_the_same_in_whatever_type_it_is_given() -> None:
    """The word of a breach is the breach, and an exact number is the fraction that it says."""
    given = limits.Limits(
        on_breach={"order": "clip", "loss": "flatten"}, max_weight=Decimal("0.5"), max_gross=2, max_drawdown=1
    )
    assert given.on_breach["order"] is limits.Breach.CLIP
    assert given == limits.Limits(
        on_breach={"order": limits.Breach.CLIP, "loss": limits.Breach.FLATTEN},
        max_weight=Fraction(1, 2),
        max_gross=Fraction(2),
        max_drawdown=Fraction(1),
    )


class Buyer(engine_runs.Cross):
    """Wants 100 shares of everything at every bar, and sets a timer at the first."""

    def on_start(self, ctx: Any) -> None:  # noqa: ARG002 - a hook
        """Nothing to declare."""
        self.heard: list[tuple[str, int]] = []
        self.rang: list[tuple[str, int]] = []

    def on_bar(self, ctx: Any, bar: table.Bar) -> None:
        """Want 100 shares."""
        if not self.rang:
            ctx.timer(ctx.now + 90 * 10**9, "tea")
            self.rang.append(("set", ctx.now))
        ctx.target(bar.symbol, shares=100)

    def on_timer(self, ctx: Any, name: str) -> None:
        """Keep when it rang."""
        self.rang.append((name, ctx.now))


def run(allowed: limits.Limits, *, controls: tuple[tuple[int, int], ...] = ()) -> tuple[kernel.Kernel, Buyer]:
    """Run the buyer on 20 bars under a policy, with states that start to act at the ends of bars."""
    data, buyer = [engine_runs.walk("S", 20, seed=1)], Buyer()
    found = kernel.Kernel(table.Table(data), costs.Costs(), 10**6 * USD, risk.Policy("account", engine_runs.LOOSE))
    found.add("buyer", buyer, 10**6 * USD, risk.Policy("own", allowed))
    for bar, state in controls:
        found.agenda.add(int(data[0].end[bar]), agenda.CONTROL, control.StateChange(state, "buyer", "test"))
    found.run()
    return found, buyer


def test_a_clipped_order_is_cut_to_what_passes() -> None:
    """The largest whole number of shares that the limit allows."""
    allowed = limits.Limits(max_quantity=30 * SHARE, on_breach={"order": limits.Breach.CLIP})
    found, _ = run(allowed)
    assert [order.quantity // SHARE for order in found.orders] == [30, 30, 30, 10]


def test_a_breach_may_halt() -> None:
    """After it nothing leaves, and open orders are cancelled."""
    allowed = limits.Limits(max_quantity=30 * SHARE, on_breach={"order": limits.Breach.HALTED})
    found, buyer = run(allowed)
    assert found.orders == []
    assert found.slots[0].scope.book.state == risk.HALTED
    assert {event for event, _ in buyer.heard} == {"refused"}


def test_a_loss_may_flatten_without_any_order() -> None:
    """The marks alone exceed the limit; the position is closed at the next open by the engine's own order."""
    allowed = limits.Limits(max_drawdown=Fraction(1, 10**7), on_breach={"loss": limits.Breach.FLATTEN})
    found, _ = run(allowed)
    assert [order.role for order in found.orders] == ["order", "flatten"]
    assert found.account.book.ledger.quantities[0] == 0


def test_a_state_acts_from_its_instant_on_and_can_be_lifted() -> None:
    """Halted from the first bar's end to the tenth's: the buy comes with the tenth bar."""
    found, _ = run(limits.Limits(), controls=((0, risk.HALTED), (9, risk.ENABLED)))
    assert [order.created for order in found.orders] == [found.table.columns["end"][9]]


def test_a_halt_cancels_what_is_open() -> None:
    """The order of the first bar is cancelled when the state of the same instant's next bar forbids it."""
    data, buyer = [engine_runs.walk("S", 20, seed=1, gaps=True)], Buyer()
    found = kernel.Kernel(table.Table(data), costs.Costs(), 10**6 * USD, risk.Policy("a", limits.Limits()))
    found.add("buyer", buyer, 10**6 * USD, risk.Policy("own", limits.Limits()))
    gap = next(n for n in range(19) if data[0].start[n + 1] > data[0].end[n] + 1)
    first = int(data[0].end[0])
    found.agenda.add(first, agenda.CONTROL, control.StateChange(risk.HALTED, None, "before"))
    found.agenda.add(int(data[0].end[gap]), agenda.CONTROL, control.StateChange(risk.ENABLED, None, "lift"))
    found.agenda.add(int(data[0].end[gap]) + 1, agenda.CONTROL, control.StateChange(risk.HALTED, None, "again"))
    found.run()
    assert [order.reason or order.status for order in found.orders] == [7]
    assert ("canceled", 1) in buyer.heard
    assert found.account.book.open_orders == 0
    assert found.account.book.buying[0] == 0


def test_a_timer_rings_between_bars() -> None:
    """At its own instant, whether a bar comes then or not."""
    found, buyer = run(limits.Limits())
    first = int(found.table.columns["end"][0])
    assert buyer.rang == [("set", first), ("tea", first + 90 * 10**9)]


def test_strategies_act_in_the_order_of_their_names() -> None:
    """A name out of order, or twice, is refused."""
    found = kernel.Kernel(
        table.Table([engine_runs.walk("S", 5, seed=1)]), costs.Costs(), USD, risk.Policy("a", limits.Limits())
    )
    found.add("b", Buyer(), USD, risk.Policy("p", limits.Limits()))
    for name in ("a", "b"):
        with pytest.raises(errors.ValueRefused, match="name"):
            found.add(name, Buyer(), USD, risk.Policy("p", limits.Limits()))
