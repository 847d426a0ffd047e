from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import engine_data
from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, orders
from tradeplane_engine.venue import fees, profile

PRICES = st.integers(min_value=1, max_value=10**8).map(numbers.Price)


@given(PRICES)
def test_a_fill_is_never_better_than_the_reference(reference: numbers.Price) -> None:
    """The spread and its rounding go against the trader."""
    costs = engine_data.REALISTIC
    assert costs.fill_price(orders.Side.BUY, reference) > reference
    assert costs.fill_price(orders.Side.SELL, reference) <= reference


def test_the_realistic_profile_charges_the_latest_rates_on_every_day() -> None:
    """Replayed sessions of 2012 cost what they would cost now: 20.60 per million, 0.000195 and 0.000003 per share."""
    charges = engine_data.REALISTIC.charges(
        orders.Side.SELL, numbers.price("100"), engine_data.shares(1000), session="2012-03-05"
    )
    found = {one.kind: Fraction(one.amount, 10**fees.CHARGE_DIGITS) for one in charges}
    assert found == {"SEC": Fraction("2.06"), "TAF": Fraction("0.195"), "CAT": Fraction("0.003")}


def test_the_dated_profile_charges_the_rates_of_the_day() -> None:
    """In March 2012 a sale paid 18.00 USD per million to the SEC."""
    charges = profile.named("dated").charges(
        orders.Side.SELL, numbers.price("100"), engine_data.shares(1000), session="2012-03-05"
    )
    assert Fraction("1.80") == Fraction(charges[0].amount, 10**fees.CHARGE_DIGITS)


def test_an_unknown_profile_is_refused_by_name() -> None:
    """The refusal names the known ones."""
    with pytest.raises(errors.ValueRefused, match="realistic"):
        profile.named("free-lunch")
