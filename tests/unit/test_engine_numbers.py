from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers

INT64 = st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1)


@given(INT64)
def test_quantity_text_parses_back(units: int) -> None:
    """The shortest text of a quantity gives the same integer again."""
    assert units == numbers.quantity(numbers.quantity_text(numbers.Quantity(units)))


@given(INT64)
def test_money_text_parses_back(units: int) -> None:
    """The shortest text of an amount gives the same integer again."""
    assert units == numbers.money(numbers.money_text(numbers.Money(units)))


@given(st.integers(min_value=1, max_value=2**63 - 1))
def test_price_text_parses_back(units: int) -> None:
    """The shortest text of a price gives the same integer again."""
    assert units == numbers.price(numbers.price_text(numbers.Price(units)))


@given(st.integers(min_value=1, max_value=10**8), st.integers(min_value=-(10**14), max_value=10**14))
def test_notional_is_the_exact_product_rounded_once(price: int, quantity: int) -> None:
    """Value of a quantity differs from the exact product by at most half a unit."""
    exact = Decimal(price) * Decimal(quantity) / Decimal(10**4)
    assert abs(numbers.notional(numbers.Price(price), numbers.Quantity(quantity)) - exact) <= Decimal("0.5")


@given(st.integers(min_value=0, max_value=10**18), st.integers(min_value=10**4, max_value=10**9))
def test_bought_shares_never_cost_more_than_the_amount(amount: int, price: int) -> None:
    """Whole shares for an amount cost at most it, and one more would cost more."""
    bought = numbers.shares(numbers.Money(amount), numbers.Price(price))
    assert bought % numbers.ONE_SHARE == 0
    cost = bought * price
    assert cost <= amount * 10**4 < cost + price * numbers.ONE_SHARE


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-inf", "1e400", "", "abc", "1.00001", "0", "-1", "922337203685478", None]
)
def test_bad_prices_are_refused_by_field(text: str) -> None:
    """A price that is no positive decimal of 4 digits in 64 bits names its field."""
    with pytest.raises(errors.ValueRefused, match=r"order\.limit"):
        numbers.price(text, field="order.limit")


def test_a_float_is_refused() -> None:
    """Floats never enter, even where they look exact."""
    with pytest.raises(errors.ValueRefused, match="not a float"):
        numbers.money(1.5)  # type: ignore[arg-type]  # what the test is about


def test_overflow_is_its_own_error() -> None:
    """A value outside 64 bits raises and is never wrapped."""
    with pytest.raises(errors.Overflow):
        numbers.notional(numbers.Price(10**15), numbers.Quantity(10**18))


@pytest.mark.parametrize(
    "numerator,denominator,expected",
    [(5, 2, 2), (7, 2, 4), (-5, 2, -2), (-7, 2, -4), (3, 2, 2), (1, 3, 0), (-2, 3, -1)],
)
def test_division_rounds_half_to_even(numerator: int, denominator: int, expected: int) -> None:
    """Ties go to the even neighbour on both sides of zero."""
    assert expected == numbers.divide_half_even(numerator, denominator)
