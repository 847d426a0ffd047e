from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import engine_data
from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, orders, times
from tradeplane_engine.risk import books, checks, gate, limits

NOW = engine_data.ending(0)
BUY, SELL = orders.Side.BUY, orders.Side.SELL
PRICES = {symbol: engine_data.bar(symbol, price="100") for symbol in ("AAA", "BBB")}
SPEC: Mapping[str, Any] = {
    "order": {"maxNotional": "400000", "maxQuantity": "50000"},
    "position": {"maxWeight": "0.6", "allowShort": True},
    "portfolio": {"maxGross": "1.5"},
    "data": {"maxBarAge": "1h"},
    "onBreach": "reject",
}


def book(
    positions: Mapping[str, int] = {},
    *,
    buying: Mapping[str, int] = {},
    selling: Mapping[str, int] = {},
    equity: str = "100000",
) -> books.Book:
    """Book in whole shares at 100 USD."""
    return books.Book(
        equity=numbers.money(equity),
        positions=engine_data.quantities(positions),
        working_buy=engine_data.quantities(buying),
        working_sell=engine_data.quantities(selling),
        prices=PRICES,
    )


def intent(side: orders.Side, count: int, symbol: str = "AAA") -> orders.Intent:
    """A market order for whole shares."""
    return orders.Intent(symbol=symbol, side=side, quantity=engine_data.shares(count))


def verdict(
    wanted: orders.Intent,
    held: books.Book,
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
        ({"max_notional": 10_000}, intent(BUY, 101), book(), "order-notional"),
        ({"max_notional": 10_000}, intent(BUY, 100), book(), ""),
        ({"max_notional": 10_000}, intent(SELL, 101), book({"AAA": 500}), "order-notional"),
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
        ({"max_weight": "0.5"}, intent(BUY, 1), book(selling={"AAA": 900}), "position-weight"),
        ({"max_gross": "1"}, intent(BUY, 1, "CCC"), book(), "unknown-symbol"),
    ],
)
def test_each_limit_refuses_with_its_own_reason(
    allowed: dict[str, Any], wanted: orders.Intent, held: books.Book, reason: str
) -> None:
    """On projected positions, working orders at full size; equality is allowed; reducing passes weight and gross."""
    assert verdict(wanted, held, make(**allowed)).reason == reason


def make(
    *,
    max_quantity: int | None = None,
    max_notional: int | None = None,
    max_weight: str | None = None,
    max_gross: str | None = None,
    allow_short: bool = False,
) -> limits.Limits:
    """Limits in whole shares, USD and decimal ratios."""
    return limits.Limits(
        max_quantity=None if max_quantity is None else engine_data.shares(max_quantity),
        max_notional=None if max_notional is None else numbers.money(str(max_notional)),
        max_weight=None if max_weight is None else Fraction(max_weight),
        max_gross=None if max_gross is None else Fraction(max_gross),
        allow_short=allow_short,
    )


@pytest.mark.parametrize("state", [state for state in orders.State if state is not orders.State.ENABLED])
def test_every_state_but_enabled_refuses_even_a_reducing_order(state: orders.State) -> None:
    """Until the states between are built they act as halted."""
    judged = verdict(intent(SELL, 1), book({"AAA": 100}), limits.Limits(), state=state)
    assert judged.reason == "halted"


def test_a_symbol_without_a_bar_cannot_be_ordered() -> None:
    """Unknown means no."""
    held = replace(book(), prices={})
    assert verdict(intent(BUY, 1), held, limits.Limits()).reason == "no-price"


@pytest.mark.parametrize("age,reason", [(0, ""), (times.HOUR, ""), (times.HOUR + 1, "stale-bar"), (-1, "stale-bar")])
def test_the_age_of_the_last_bar_is_bounded(age: int, reason: str) -> None:
    """Too old, or from after the decision: no order."""
    allowed = limits.Limits(max_bar_age=times.Nanos(times.HOUR))
    assert verdict(intent(BUY, 1), book(), allowed, now=times.Nanos(NOW + age)).reason == reason


def test_an_unpriced_position_leaves_gross_unknown() -> None:
    """A position whose value nobody knows refuses what would add to gross."""
    held = book({"CCC": 1})
    judged = verdict(intent(BUY, 1), held, make(max_gross="1"))
    assert (judged.reason, judged.violation and judged.violation.value) == ("portfolio-gross", "no price of CCC")


def test_unknown_equity_refuses_what_increases() -> None:
    """Without equity no share of it can be judged; closing still passes."""
    held = replace(book({"AAA": 10}), equity=None)
    assert verdict(intent(BUY, 1), held, make(max_weight="0.5")).reason == "position-weight"
    assert verdict(intent(SELL, 1), held, make(max_weight="0.5")).accepted


def test_a_symbol_that_left_the_universe_may_be_closed() -> None:
    """An edit of the symbols never traps a position."""
    scope = gate.Scope("strategy", limits.Limits(), book({"AAA": 10}), frozenset({"BBB"}))
    judged = gate.judge([intent(SELL, 10), intent(BUY, 1)], state=orders.State.ENABLED, now=NOW, scopes=[scope])
    assert [one.reason for one in judged] == ["", "unknown-symbol"]


def test_a_refusal_names_scope_limit_and_value() -> None:
    """What an operator reads in the condition."""
    judged = verdict(intent(BUY, 101), book(), make(max_notional=10_000))
    assert judged.detail == "strategy: order-notional allows 10000, got 10100"


def test_accepted_intents_count_for_the_next() -> None:
    """Two orders that each fit do not pass together beyond the limit."""
    scope = gate.Scope("strategy", make(max_gross="1"), book())
    wanted = [intent(BUY, 600), intent(BUY, 600, "BBB"), intent(BUY, 400, "BBB")]
    judged = gate.judge(wanted, state=orders.State.ENABLED, now=NOW, scopes=[scope])
    assert [one.reason for one in judged] == ["", "portfolio-gross", ""]


def test_all_scopes_must_agree() -> None:
    """The strategy's policy and the account's both judge; the first that refuses is named."""
    scopes = [gate.Scope("strategy", make(), book()), gate.Scope("account", make(max_quantity=5), book())]
    judged = gate.judge([intent(BUY, 6)], state=orders.State.ENABLED, now=NOW, scopes=scopes)[0]
    assert (judged.scope, judged.reason) == ("account", "order-quantity")


def test_nobody_judging_means_no() -> None:
    """Without a policy nothing leaves."""
    assert not gate.judge([intent(BUY, 1)], state=orders.State.ENABLED, now=NOW, scopes=[])[0].accepted


def test_a_huge_order_is_refused_and_does_not_overflow() -> None:
    """The gate's arithmetic has no 64-bit edge that an intent could reach."""
    wanted = orders.Intent("AAA", BUY, numbers.Quantity(2**63 - 1))
    assert verdict(wanted, book(), make(max_notional=10_000)).reason == "order-notional"
    assert verdict(wanted, book(), make(max_gross="1")).reason == "portfolio-gross"


def test_a_policy_is_read_from_its_spec() -> None:
    """Each field of the spec is a limit."""
    assert limits.from_spec(SPEC) == limits.Limits(
        max_notional=numbers.money("400000"),
        max_quantity=engine_data.shares(50_000),
        max_weight=Fraction(3, 5),
        allow_short=True,
        max_gross=Fraction(3, 2),
        max_bar_age=times.Nanos(times.HOUR),
    )


def test_an_empty_policy_allows_everything_but_shorts() -> None:
    """A limit that does not apply is left out; short sales need a yes."""
    assert limits.from_spec({}) == limits.Limits(allow_short=False)


@pytest.mark.parametrize(
    "group,field,value,named",
    [
        ("order", "maxNotional", "0", "order.maxNotional"),
        ("order", "maxNotional", "-1", "order.maxNotional"),
        ("order", "maxNotional", "many", "order.maxNotional"),
        ("order", "maxQuantity", "0", "order.maxQuantity"),
        ("order", "maxPrice", "1", "order.maxPrice"),
        ("position", "maxWeight", "0", "position.maxWeight"),
        ("position", "maxWeight", "1.6", "position.maxWeight"),
        ("position", "allowShort", "yes", "position.allowShort"),
        ("portfolio", "maxGross", "-1", "portfolio.maxGross"),
        ("data", "maxBarAge", "1", "data.maxBarAge"),
        ("data", "maxBarAge", "0s", "data.maxBarAge"),
        ("loss", "maxDailyLoss", "1", "loss"),
    ],
)
def test_a_bad_policy_is_refused_by_field(group: str, field: str, value: object, named: str) -> None:
    """Zero, negative, unknown and contradicting limits name field, limit and value."""
    spec = {**SPEC, group: {**SPEC.get(group, {}), field: value}}
    with pytest.raises(errors.ValueRefused) as refused:
        limits.from_spec(spec)
    assert refused.value.field == named


def test_only_reject_is_understood_on_a_breach() -> None:
    """A reaction that is not built is refused, not ignored."""
    with pytest.raises(errors.ValueRefused, match="onBreach"):
        limits.from_spec({**SPEC, "onBreach": "flatten"})


# --- properties --------------------------------------------------------------------------------------------------

COUNTS = st.integers(min_value=0, max_value=2_000)
SIGNED = st.integers(min_value=-2_000, max_value=2_000)
RATIOS = st.fractions(min_value=Fraction(1, 100), max_value=3, max_denominator=1000)
SYMBOLS = st.sampled_from(["AAA", "BBB"])
INTENTS = st.builds(intent, st.sampled_from([BUY, SELL]), st.integers(min_value=1, max_value=2_000), SYMBOLS)
BOOKS = st.builds(
    lambda held, buying, selling, equity: book(held, buying=buying, selling=selling, equity=str(equity)),
    st.dictionaries(SYMBOLS, SIGNED),
    st.dictionaries(SYMBOLS, COUNTS),
    st.dictionaries(SYMBOLS, COUNTS),
    st.integers(min_value=-1_000, max_value=500_000),
)


@st.composite
def all_limits(draw: st.DrawFn) -> limits.Limits:
    """Limits of any tightness."""
    gross = draw(st.none() | RATIOS)
    weight = draw(st.none() | RATIOS)
    if gross is not None and weight is not None:
        weight = min(weight, gross)
    return limits.Limits(
        max_quantity=draw(st.none() | st.integers(1, 2_000).map(engine_data.shares)),
        max_notional=draw(st.none() | st.integers(1, 200_000).map(lambda usd: numbers.money(str(usd)))),
        max_weight=weight,
        max_gross=gross,
        allow_short=draw(st.booleans()),
        max_bar_age=draw(st.none() | st.integers(1, times.DAY).map(times.Nanos)),
    )


@st.composite
def tightened(draw: st.DrawFn) -> tuple[limits.Limits, limits.Limits]:
    """Limits, and the same with some made stricter."""
    loose = draw(all_limits())

    def smaller(value: Any, fallback: Any) -> Any:
        if not draw(st.booleans()):
            return value
        most = fallback if value is None else value
        return max(most // draw(st.integers(1, 5)), 1) if isinstance(most, int) else most / draw(st.integers(1, 5))

    weight = smaller(loose.max_weight, Fraction(3))
    gross = smaller(loose.max_gross, Fraction(3))
    if weight is not None and gross is not None:
        weight = min(weight, gross)
    return loose, limits.Limits(
        max_quantity=smaller(loose.max_quantity, engine_data.shares(2_000)),
        max_notional=smaller(loose.max_notional, numbers.money("200000")),
        max_weight=weight,
        max_gross=gross,
        allow_short=loose.allow_short and draw(st.booleans()),
        max_bar_age=smaller(loose.max_bar_age, times.Nanos(times.DAY)),
    )


@given(tightened(), BOOKS, INTENTS, st.integers(0, 2 * times.DAY))
def test_tightening_a_limit_never_allows_more(
    pair: tuple[limits.Limits, limits.Limits], held: books.Book, wanted: orders.Intent, age: int
) -> None:
    """What the stricter policy accepts, the looser one accepts too."""
    loose, tight = pair
    now = times.Nanos(NOW + age)
    if verdict(wanted, held, tight, now=now).accepted:
        assert verdict(wanted, held, loose, now=now).accepted


@given(all_limits(), BOOKS, st.lists(INTENTS, min_size=1, max_size=6))
def test_no_increasing_order_breaks_a_limit(
    allowed: limits.Limits, held: books.Book, wanted: list[orders.Intent]
) -> None:
    """After a decision, a symbol that an increasing order was accepted for is within weight, and all within gross."""
    scope = gate.Scope("account", allowed, held)
    after = held
    for judged in gate.judge(wanted, state=orders.State.ENABLED, now=NOW, scopes=[scope]):
        if not judged.accepted:
            continue
        proposal = checks.Proposal(judged.intent, allowed, after, orders.State.ENABLED, NOW)
        increases = not proposal.reduces
        after = after.with_working(judged.intent)
        if not increases:
            continue
        symbol = judged.intent.symbol
        equity = held.equity or 0
        if allowed.max_weight is not None:
            assert after.worst(symbol) * 1_000_000 <= allowed.max_weight * equity * books.EXPOSURE_PER_MONEY
        if allowed.max_gross is not None:
            gross = sum(after.worst(one) * 1_000_000 for one in after.symbols())
            assert gross <= allowed.max_gross * equity * books.EXPOSURE_PER_MONEY
        if not allowed.allow_short and judged.intent.side is SELL:
            assert after.lowest(symbol) >= 0


@given(BOOKS, st.lists(INTENTS, max_size=6), st.sampled_from([one for one in orders.State if one != "enabled"]))
def test_nothing_passes_a_halt(held: books.Book, wanted: list[orders.Intent], state: orders.State) -> None:
    """No book and no intent gets through any state but enabled."""
    scope = gate.Scope("account", limits.Limits(allow_short=True), held)
    judged = gate.judge(wanted, state=state, now=NOW, scopes=[scope])
    assert all(one.reason == "halted" for one in judged)
    assert len(judged) == len(wanted)


@given(BOOKS, INTENTS)
def test_a_reducing_order_never_enlarges_the_worst_case(held: books.Book, wanted: orders.Intent) -> None:
    """What is called reducing can only bring the position nearer to zero."""
    proposal = checks.Proposal(wanted, limits.Limits(), held, orders.State.ENABLED, NOW)
    if proposal.reduces:
        assert held.with_working(wanted).worst(wanted.symbol) <= held.worst(wanted.symbol)
