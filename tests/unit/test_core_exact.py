from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeplane_engine import errors
from tradeplane_engine.core import exact

MOST = 2**63 - 1
numbers = st.one_of(st.integers(-MOST, MOST), st.integers(-(10**6), 10**6))
positive = st.one_of(st.integers(1, MOST), st.integers(1, 10**6))


def half_even(value: Fraction) -> int:
    """Python's own rounding of an exact fraction."""
    return round(value)


@given(numbers, numbers)
def test_a_sum_is_exact_or_refused(left: int, right: int) -> None:
    """Never a wrap: what leaves 64 bits raises and names its field."""
    if abs(left + right) <= MOST:
        assert exact.add(left, right, "cash") == left + right
    else:
        with pytest.raises(errors.Overflow, match="cash"):
            exact.add(left, right, "cash")


@given(numbers, numbers, positive)
def test_a_ratio_is_rounded_once_half_to_even(amount: int, part: int, whole: int) -> None:
    """The product has 128 bits, so that nothing is lost before the one rounding."""
    expected = half_even(Fraction(amount * part, whole))
    if abs(expected) <= MOST:
        assert exact.ratio(amount, part, whole, "cost") == expected
    else:
        with pytest.raises(errors.Overflow, match="cost"):
            exact.ratio(amount, part, whole, "cost")


@pytest.mark.parametrize(
    "amount, part, whole, expected",
    [(1, 1, 2, 0), (3, 1, 2, 2), (5, 1, 2, 2), (-1, 1, 2, 0), (-3, 1, 2, -2), (-5, 1, 2, -2), (-7, 1, 4, -2)],
)
def test_halves_go_to_the_even_neighbour(amount: int, part: int, whole: int, expected: int) -> None:
    """On both sides of zero."""
    assert exact.ratio(amount, part, whole, "x") == expected


@given(positive, positive, positive)
def test_floor_and_ceiling_are_next_to_each_other(amount: int, part: int, whole: int) -> None:
    """They differ by one unless the division is exact."""
    product = amount * part
    floor, ceiling = product // whole, -(-product // whole)
    if ceiling <= MOST:
        assert exact.floor_ratio(amount, part, whole, "x") == floor
        assert exact.ceil_ratio(amount, part, whole, "x") == ceiling
    else:
        with pytest.raises(errors.Overflow):
            exact.ceil_ratio(amount, part, whole, "x")


@given(
    price=st.integers(1, 10**10),
    quantity=st.integers(1, 10**13),
    digits=st.integers(0, 9),
    part=st.integers(1, 10**6),
    whole=st.integers(1, 10**9),
)
def test_a_fee_is_rounded_once(price: int, quantity: int, digits: int, part: int, whole: int) -> None:
    """Not once for the value and once for its share."""
    unit = 10**digits
    value = Fraction(price * quantity, unit)
    expected = half_even(value * part / whole)
    if half_even(value) > MOST or expected > MOST:
        with pytest.raises(errors.Overflow):
            exact.fee(price, quantity, unit, part, whole)
    else:
        assert exact.fee(price, quantity, unit, part, whole) == expected


@given(amount=st.integers(-(10**18), 10**18), price=st.integers(1, 10**10), digits=st.integers(0, 9))
def test_shares_for_money_are_whole_and_never_too_many(amount: int, price: int, digits: int) -> None:
    """Rounded toward zero, whichever the sign."""
    unit = 10**digits
    shares = int(Fraction(abs(amount) * unit, price * 10**9))
    if shares * 10**9 > MOST:
        with pytest.raises(errors.Overflow, match="quantity"):
            exact.whole_shares(amount, price, unit)
    else:
        assert exact.whole_shares(amount, price, unit) == (shares if amount >= 0 else -shares) * 10**9
