"""Margin, buying power and order values by hand, and which way they round."""

import dataclasses
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, orders
from tradeplane_engine.venue import margin

ONE = numbers.ONE_SHARE
BUY, SELL = orders.Side.BUY, orders.Side.SELL


def usd(text: str) -> int:
    """An amount in units of money."""
    return numbers.money(text)


def held(shares: int, price: str, **more: object) -> margin.Holding:
    """A position of whole shares."""
    return dataclasses.replace(margin.Holding("AAA", shares * ONE, numbers.price(price)), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "holding,initial,maintenance",
    [
        (held(100, "100"), "5000", "3000"),
        (held(100, "100", leverage=2), "5000", "5000"),
        (held(100, "100", leverage=3), "5000", "7500"),
        (held(100, "100", marginable=False), "10000", "10000"),
        (held(100, "2.5"), "125", "75"),
        (held(100, "2.4999"), "124.995", "249.99"),
        (held(-100, "100"), "5000", "3000"),
        (held(-100, "100", leverage=3), "5000", "7500"),
        (held(-100, "16"), "800", "500"),
        (held(-100, "17"), "850", "510"),
        (held(-100, "5"), "250", "500"),
        (held(-100, "4.99"), "249.5", "499"),
        (held(-100, "2"), "100", "250"),
    ],
)
def test_requirements_of_one_position(holding: margin.Holding, initial: str, maintenance: str) -> None:
    """Half to open; 30, 50, 75 or 100 % to keep a long; 30 % or 5.00 a share, under 5.00 all or 2.50, for a short."""
    assert (margin.initial(holding), margin.maintenance(holding)) == (usd(initial), usd(maintenance))


@pytest.mark.parametrize(
    "cash,shares,maintenance",
    [("-100000", 2000, "100000"), ("-99999.99", 2000, "60000"), ("-100000", 0, "3000")],
)
def test_a_concentrated_position_on_a_large_debit_needs_half(cash: str, shares: int, maintenance: str) -> None:
    """From 100,000 USD of debit and 70 % of the value on; below either it is 30 %."""
    positions = [held(shares, "100"), *(held(20, "100", symbol=f"S{n}") for n in range(5 if not shares else 0))]
    assert margin.standing(usd(cash), positions).maintenance == usd(maintenance)


def test_a_standing_adds_everything_up() -> None:
    """100 long at 100 and 50 short at 40 on 10,000 of cash."""
    found = margin.standing(usd("10000"), [held(100, "100"), held(-50, "40", symbol="BBB"), held(0, "1")])
    assert found == margin.Standing(usd("10000"), usd("10000"), usd("-2000"), usd("6000"), usd("3600"))
    assert (found.equity, found.excess, found.debit) == (usd("18000"), usd("14400"), 0)


def test_what_is_owed_is_the_debit() -> None:
    """Cash below zero."""
    assert margin.standing(usd("-5"), []).debit == usd("5")


@pytest.mark.parametrize(
    "most,equity,intraday,expected",
    [
        (4, "2000", True, 4),
        (4, "2000", False, 2),
        (4, "1999.999999999", True, 1),
        (2, "50000", True, 2),
        (2, "50000", False, 2),
        (1, "50000", True, 1),
    ],
)
def test_the_multiplier_depends_on_equity_and_time(most: int, equity: str, intraday: bool, expected: int) -> None:
    """Four times within a session from 2,000 USD on, twice overnight, once below."""
    assert margin.multiplier(most, usd(equity), intraday=intraday) == expected


def test_an_unknown_multiplier_is_refused() -> None:
    """Alpaca knows 1, 2 and 4."""
    with pytest.raises(errors.ValueRefused, match="max_margin_multiplier"):
        margin.multiplier(3, usd("50000"), intraday=True)
    with pytest.raises(errors.ValueRefused, match="multiplier"):
        margin.buying_power(margin.standing(0, []), 3)


@pytest.mark.parametrize(
    "cash,shares,factor,reserved,expected",
    [
        ("10000", 0, 1, "0", "10000"),
        ("10000", 0, 2, "0", "20000"),
        ("10000", 0, 4, "0", "40000"),
        ("0", 100, 1, "0", "0"),
        ("0", 100, 2, "0", "10000"),
        ("0", 100, 4, "0", "28000"),
        ("-10000", 200, 2, "0", "0"),
        ("-10000", 200, 4, "0", "16000"),
        ("10000", 0, 2, "4998.50", "15001.50"),
        ("10000", 0, 2, "30000", "0"),
    ],
)
def test_buying_power_by_multiplier(cash: str, shares: int, factor: int, reserved: str, expected: str) -> None:
    """Cash; twice equity over initial; four times equity over maintenance; less what is reserved, at least 0."""
    now = margin.standing(usd(cash), [held(shares, "100")])
    assert margin.buying_power(now, factor, reserved=usd(reserved)) == usd(expected)


def test_intraday_buying_power_never_exceeds_the_published_form() -> None:
    """Four times the excess at the day's start is the most, however the day went."""
    start, now = margin.standing(usd("10000"), []), margin.standing(usd("15000"), [])
    assert margin.buying_power(now, 4, day_start=start) == usd("40000")
    assert margin.buying_power(start, 4, day_start=now) == usd("40000")


QUOTE = margin.Quote(last=numbers.price("100"), bid=numbers.price("99.98"), ask=numbers.price("100.02"))


@pytest.mark.parametrize(
    "side,phase,expected",
    [
        (BUY, "regular", "100.02"),
        (SELL, "regular", "99.98"),
        (BUY, "pre", "100"),
        (SELL, "post", "100"),
        (BUY, "closed", "100"),
    ],
)
def test_a_market_order_is_valued_by_the_phase(side: orders.Side, phase: str, expected: str) -> None:
    """Far side of the quote in regular hours, midpoint in extended hours, last trade when closed."""
    assert margin.order_price(side, QUOTE, phase=phase) == numbers.price(expected)


def test_a_price_is_found_where_the_quote_is_incomplete() -> None:
    """Without a quote the last trade counts, without both nothing is known."""
    assert margin.order_price(BUY, margin.Quote(last=7)) == 7
    assert margin.order_price(BUY, margin.Quote(last=7, ask=9), phase="pre") == 7
    assert margin.order_price(BUY, margin.Quote(ask=9), phase="closed") == 9
    assert margin.order_price(BUY, margin.Quote()) == 0


@pytest.mark.parametrize("limit,expected", [("", "103.0206"), ("103", "103.0206"), ("104", "104")])
def test_a_short_is_valued_above_the_ask(limit: str, expected: str) -> None:
    """The larger of its limit and three per cent over the ask."""
    found = margin.order_price(SELL, QUOTE, limit=numbers.price(limit) if limit else 0, opens_short=True)
    assert found == numbers.price(expected)


@pytest.mark.parametrize("stop,limit", [("49.99", "51.9896"), ("50", "51.25"), ("100.01", "102.5103")])
def test_a_buy_stop_becomes_a_limit(stop: str, limit: str) -> None:
    """Four per cent over a stop below 50 USD, two and a half from there on, rounded up."""
    assert margin.stop_limit(numbers.price(stop), 4) == numbers.price(limit)


def test_a_replacement_holds_the_larger_of_both() -> None:
    """Buying power while a replace is under way."""
    assert (margin.replacing(3, 5), margin.replacing(5, 3)) == (5, 5)


@pytest.mark.parametrize("equity,expected", [("1666.67", False), ("1666.66", True), ("0", True), ("-1", True)])
def test_a_position_above_six_times_the_equity_restricts(equity: str, expected: bool) -> None:
    """10,000 USD of a position need 1,666.67 of equity."""
    assert margin.restricted([held(100, "100")], usd(equity)) is expected
    assert margin.restricted([held(0, "100")], usd(equity)) is False


HOLDINGS = st.lists(
    st.builds(
        margin.Holding,
        symbol=st.sampled_from("ABCD"),
        quantity=st.integers(-(10**13), 10**13),
        price=st.integers(1, 10**8),
        digits=st.integers(2, 9),
        marginable=st.booleans(),
        leverage=st.sampled_from((1, 2, 3)),
    ),
    max_size=5,
)


@given(HOLDINGS, st.integers(-(10**15), 10**15))
def test_rounding_is_never_in_the_traders_favour(holdings: list[margin.Holding], cash: int) -> None:
    """Worth is at most the exact one, requirements are at least it."""
    found = margin.standing(cash, holdings)
    exact = [Fraction(one.price * one.quantity, 10**one.digits) for one in holdings]
    assert found.equity <= cash + sum(exact)
    assert found.initial >= sum(abs(one) for one in exact) / 2
    assert found.maintenance >= sum(abs(one) * 3 / 10 for one in exact)


@given(HOLDINGS, st.integers(-(10**15), 10**15), st.integers(0, 10**15), st.sampled_from((1, 2, 4)))
def test_more_cash_never_buys_less(holdings: list[margin.Holding], cash: int, more: int, factor: int) -> None:
    """Buying power grows with the cash and shrinks with what is reserved."""
    poor, rich = margin.standing(cash, holdings), margin.standing(cash + more, holdings)
    assert margin.buying_power(rich, factor) >= margin.buying_power(poor, factor)
    assert margin.buying_power(poor, factor, reserved=more) <= margin.buying_power(poor, factor)
