"""Fees by date: rates, exact sums, one rounding per account, kind and day."""

import dataclasses
import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, orders
from tradeplane_engine.venue import fees, rates, schedules

LATEST = rates.UNITED_STATES.on("2026-09-17")
THOUSAND = 1000 * numbers.ONE_SHARE


def usd(charges: tuple[fees.Charge, ...]) -> dict[str, Fraction]:
    """Exact fees in USD by kind."""
    return {one.kind: Fraction(one.amount, 10**fees.CHARGE_DIGITS) for one in charges}


def sold(day: str, price: str = "100", quantity: int = THOUSAND) -> dict[str, Fraction]:
    """Exact fees of one sale by kind."""
    return usd(rates.UNITED_STATES.on(day).charges(orders.Side.SELL, numbers.price(price), quantity))


def test_a_buy_pays_only_the_audit_trail_fee() -> None:
    """SEC and TAF are charged on sales."""
    charges = LATEST.charges(orders.Side.BUY, numbers.price("100"), THOUSAND)
    assert usd(charges) == {"CAT": Fraction("0.003")}


def test_a_sale_pays_all_three() -> None:
    """20.60 USD per million, 0.000195 per share, 0.000003 per share."""
    assert sold("2026-09-17") == {"SEC": Fraction("2.06"), "TAF": Fraction("0.195"), "CAT": Fraction("0.003")}


def test_the_taf_has_a_cap_per_trade() -> None:
    """No sale pays more than 9.79 USD of it; 50,206 shares are the first to be capped."""
    assert sold("2026-09-17", "1", 1_000_000 * numbers.ONE_SHARE)["TAF"] == Fraction("9.79")
    assert sold("2026-09-17", "1", 50_206 * numbers.ONE_SHARE)["TAF"] == Fraction("9.79")
    assert sold("2026-09-17", "1", 50_205 * numbers.ONE_SHARE)["TAF"] < Fraction("9.79")


@pytest.mark.parametrize(
    "day,per_million",
    [
        ("2001-12-27", "33.30"),
        ("2001-12-28", "15"),
        ("2003-03-31", "25.20"),
        ("2003-04-01", "46.80"),
        ("2014-03-17", "17.40"),
        ("2014-03-18", "22.10"),
        ("2021-02-24", "22.10"),
        ("2021-02-25", "5.10"),
        ("2024-05-21", "8"),
        ("2024-05-22", "27.80"),
        ("2025-05-13", "27.80"),
        ("2025-05-14", "0"),
        ("2026-04-03", "0"),
        ("2026-04-04", "20.60"),
        ("2030-01-01", "20.60"),
    ],
)
def test_the_sec_rate_changes_with_the_day(day: str, per_million: str) -> None:
    """The last day of a rate still has it, the next has the new one."""
    assert sold(day)["SEC"] == Fraction(per_million) / 10


@pytest.mark.parametrize(
    "day,per_thousand,cap",
    [
        ("2011-06-30", "0.075", "3.75"),
        ("2011-07-01", "0.090", "4.50"),
        ("2021-12-31", "0.119", "5.95"),
        ("2022-01-01", "0.130", "6.49"),
        ("2025-12-31", "0.166", "8.30"),
        ("2026-01-01", "0.195", "9.79"),
    ],
)
def test_the_taf_changes_with_the_day(day: str, per_thousand: str, cap: str) -> None:
    """Rate and cap change together."""
    assert sold(day)["TAF"] == Fraction(per_thousand)
    assert sold(day, "1", 1_000_000 * numbers.ONE_SHARE)["TAF"] == Fraction(cap)


def test_a_day_before_the_table_has_its_first_rates_and_is_named() -> None:
    """Nothing is refused silently: the schedule says which rates are assumed."""
    assert sold("1999-11-01")["SEC"] == Fraction("3.33")
    found = rates.UNITED_STATES.assumed("1999-11-01", "2001-12-27")
    assert len(found) == 3
    assert found[0] == ("SEC rates until 2001-12-26 are assumed: before the first row, which holds from 2001-12-27")


def test_a_doubtful_row_is_named() -> None:
    """A run that touches 2015 learns that its SEC rate is from memory; one of 2019 learns nothing about the SEC's."""
    doubtful = rates.UNITED_STATES.assumed("2015-06-01", "2015-06-30")
    assert any("18.40" in one for one in doubtful)
    assert not any(one.startswith(("SEC", "TAF")) for one in rates.UNITED_STATES.assumed("2019-05-01", "2019-12-31"))


def test_nothing_is_assumed_about_the_latest_schedule() -> None:
    """From 2026-09-17 on every rate is established."""
    assert rates.UNITED_STATES.assumed("2026-09-17", "2026-11-30") == ()


def test_fees_of_a_day_are_summed_before_they_are_rounded_up() -> None:
    """Three tenths of a cent are one cent, not three."""
    charges = [fees.Charge("CAT", 10 ** (fees.CHARGE_DIGITS - 3))] * 3
    assert fees.day_fees(charges) == {"CAT": numbers.ONE_CENT}


def test_a_fee_of_zero_is_not_booked() -> None:
    """In a year without an SEC fee there is no row of 0.00."""
    charges = rates.UNITED_STATES.on("2025-06-02").charges(orders.Side.SELL, numbers.price("100"), THOUSAND)
    assert [one.kind for one in fees.entries(charges, "2025-06-02")] == ["CAT", "TAF"]


def test_a_day_is_booked_as_fee_activities() -> None:
    """One thousand shares at 100 cost 2.06, 0.195 and 0.003, booked as 2.06, 0.20 and 0.01."""
    charges = LATEST.charges(orders.Side.SELL, numbers.price("100"), THOUSAND)
    booked = {one.sub_type: one.fields["net_amount"] for one in fees.entries(charges, "2026-09-17")}
    assert booked == {"REG": "-2.06", "TAF": "-0.2", "CAT": "-0.01"}
    assert fees.entries(charges, "2026-09-17")[1].fields == {
        "activity_sub_type": "REG",
        "date": "2026-09-17",
        "net_amount": "-2.06",
        "description": "SEC fee for trades on 2026-09-17",
        "status": "executed",
    }


CHARGES = st.lists(
    st.builds(fees.Charge, st.sampled_from(("SEC", "TAF", "CAT")), st.integers(min_value=0, max_value=10**32))
)


@given(CHARGES)
def test_booked_fees_are_never_less_than_the_exact_ones_nor_a_cent_more(charges: list[fees.Charge]) -> None:
    """Rounding is never in the trader's favour and never a whole cent against him."""
    for kind, booked in fees.day_fees(charges).items():
        exact = Fraction(sum(one.amount for one in charges if one.kind == kind), 10**fees.CHARGE_DIGITS)
        assert 0 <= Fraction(booked, 10**numbers.MONEY_DIGITS) - exact < Fraction(1, 100)


@given(st.integers(0, 9), st.integers(1, 10**6), st.integers(1, 10**13))
def test_a_fee_does_not_depend_on_the_decimals_of_the_price(digits: int, price: int, quantity: int) -> None:
    """The same price in finer units costs the same."""
    coarse = LATEST.charges(orders.Side.SELL, price, quantity, digits=digits)
    fine = LATEST.charges(orders.Side.SELL, price * 10 ** (9 - digits), quantity, digits=9)
    assert coarse == fine


@pytest.mark.parametrize(
    "name,broken",
    [
        ("sec_per_million", {"sec_per_million": Fraction(1, 3)}),
        ("taf_per_share", {"taf": fees.Taf(Fraction(1, 3), Fraction(1))}),
        ("taf_cap", {"taf": fees.Taf(Fraction(0), Fraction(-1))}),
        ("cat_per_share", {"cat_per_share": Fraction(1, 3)}),
    ],
)
def test_a_rate_too_fine_to_be_exact_is_refused(name: str, broken: dict[str, Fraction]) -> None:
    """A schedule never rounds a fee silently."""
    with pytest.raises(errors.ValueRefused, match=name):
        dataclasses.replace(LATEST, **broken)  # type: ignore[arg-type]


def test_a_table_out_of_order_is_refused() -> None:
    """Rows are oldest first, each day once."""
    with pytest.raises(errors.ValueRefused, match="oldest first"):
        schedules.Dated((("2020-01-01", 1), ("2019-01-01", 2)))


def test_a_text_that_is_no_day_is_refused() -> None:
    """A wrong day never finds a rate."""
    with pytest.raises(errors.ValueRefused, match="2012-03-05"):
        rates.UNITED_STATES.on("5 March 2012")


def test_a_commission_has_a_minimum_per_order_not_per_fill() -> None:
    """At 0.005 per share and 1 USD at least, 100 + 100 + 100 shares cost 1, 0 and 0.50."""
    broker = fees.Commission(per_share=Fraction("0.005"), minimum=Fraction(1))
    states = [(100 * n * numbers.ONE_SHARE, 100 * n * numbers.ONE_SHARE * 500_000) for n in range(4)]
    due = [broker.due(before, after) for before, after in itertools.pairwise(states)]
    assert due == [numbers.money("1"), 0, numbers.money("0.5")]


def test_a_commission_in_basis_points_is_exact() -> None:
    """One basis point of 100 shares at 50.0001 is 0.50000100 USD."""
    broker = fees.Commission(bps=Fraction(1))
    traded = 100 * numbers.ONE_SHARE * numbers.price("50.0001")
    assert broker.due((0, 0), (100 * numbers.ONE_SHARE, traded)) == numbers.money("0.500001")


def test_an_order_that_never_traded_owes_no_minimum() -> None:
    """The minimum is of orders that traded."""
    assert fees.Commission(minimum=Fraction(1)).of(0, 0) == 0


@given(st.lists(st.tuples(st.integers(1, 10**12), st.integers(1, 10**7)), min_size=1, max_size=8))
def test_an_order_pays_its_commission_once_however_it_fills(fills: list[tuple[int, int]]) -> None:
    """The parts add up to the rounded commission of the whole order."""
    broker = fees.Commission(per_share=Fraction("0.0035"), bps=Fraction("0.5"), minimum=Fraction("0.35"))
    quantity = traded = paid = 0
    for size, price in fills:
        after = (quantity + size, traded + size * price)
        paid += broker.due((quantity, traded), after)
        quantity, traded = after
    assert fees.entry(broker.of(quantity, traded)) == paid
