from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import engine_data
from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, orders
from tradeplane_engine.venue import profile

PRICES = st.integers(min_value=1, max_value=10**8).map(numbers.Price)


@given(PRICES)
def test_a_fill_is_never_better_than_the_reference(reference: numbers.Price) -> None:
    """The spread and its rounding go against the trader."""
    costs = engine_data.REALISTIC
    assert costs.fill_price(orders.Side.BUY, reference) > reference
    assert costs.fill_price(orders.Side.SELL, reference) <= reference


def usd(charges: tuple[profile.Charge, ...]) -> dict[str, Fraction]:
    """Exact fees in USD by kind."""
    return {one.kind: Fraction(one.amount, 10**profile.CHARGE_DIGITS) for one in charges}


def test_a_buy_pays_only_the_audit_trail_fee() -> None:
    """SEC and TAF are charged on sales."""
    charges = engine_data.REALISTIC.charges(orders.Side.BUY, numbers.price("100"), engine_data.shares(1000))
    assert usd(charges) == {"CAT": Fraction("0.003")}


def test_a_sale_pays_all_three() -> None:
    """20.60 USD per million, 0.000195 per share, 0.000003 per share."""
    charges = engine_data.REALISTIC.charges(orders.Side.SELL, numbers.price("100"), engine_data.shares(1000))
    assert usd(charges) == {"SEC": Fraction("2.06"), "TAF": Fraction("0.195"), "CAT": Fraction("0.003")}


def test_the_taf_has_a_cap() -> None:
    """No sale pays more than 9.79 USD of it."""
    charges = engine_data.REALISTIC.charges(orders.Side.SELL, numbers.price("1"), engine_data.shares(10**6))
    assert usd(charges)["TAF"] == Fraction("9.79")


def test_fees_of_a_day_are_summed_before_they_are_rounded_up() -> None:
    """Three tenths of a cent are one cent, not three."""
    charges = [profile.Charge("CAT", 10**21)] * 3
    assert profile.day_fees(charges) == {"CAT": numbers.ONE_CENT}


def test_an_unknown_profile_is_refused_by_name() -> None:
    """The refusal names the known ones."""
    with pytest.raises(errors.ValueRefused, match="realistic"):
        profile.named("free-lunch")


def test_a_rate_too_fine_to_be_exact_is_refused() -> None:
    """A profile never rounds a fee silently."""
    with pytest.raises(errors.ValueRefused, match="taf_per_share"):
        replace(engine_data.REALISTIC, taf_per_share=Fraction(1, 3))
