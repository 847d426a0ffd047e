"""Interest, borrow fees and settlement by hand."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers
from tradeplane_engine.venue import settlement

SESSIONS = ("2026-11-23", "2026-11-24", "2026-11-25", "2026-11-27", "2026-11-30")


def usd(text: str) -> int:
    """An amount in units of money."""
    return numbers.money(text)


@pytest.mark.parametrize(
    "cash,bps,days,expected",
    [
        ("-36000", 625, 1, "6.25"),
        ("-36000", 625, 3, "18.75"),
        ("-10000", 625, 1, "1.736111112"),
        ("0", 625, 1, "0"),
        ("36000", 625, 1, "0"),
        ("-36000", 0, 1, "0"),
    ],
)
def test_interest_is_charged_on_the_settled_debit(cash: str, bps: int, days: int, expected: str) -> None:
    """6.25 % of 36,000 over 360 days is 6.25 a day; a weekend is three days; a credit earns and costs nothing."""
    assert settlement.interest(usd(cash), Fraction(bps), days=days) == usd(expected)


def test_a_short_pays_for_its_borrow() -> None:
    """30 % a year on 12,000 short is 10 USD a day; a long pays nothing."""
    assert settlement.borrow(usd("-12000"), Fraction(3000)) == usd("10")
    assert settlement.borrow(usd("12000"), Fraction(3000)) == 0


def test_a_negative_rate_is_refused() -> None:
    """Nor are there negative days."""
    with pytest.raises(errors.ValueRefused, match="interest"):
        settlement.interest(usd("-1"), Fraction(-1))
    with pytest.raises(errors.ValueRefused, match="borrow"):
        settlement.borrow(usd("-1"), Fraction(1), days=-1)


@given(st.integers(0, 10**17), st.fractions(0, 10_000, max_denominator=100), st.integers(0, 31))
def test_costs_of_time_are_never_rounded_down(debit: int, bps: Fraction, days: int) -> None:
    """At least the exact cost, by less than 1e-9 USD."""
    exact = debit * bps * days / 10_000 / 360
    assert 0 <= settlement.interest(-debit, bps, days=days) - exact < 1
    assert 0 <= settlement.borrow(-debit, bps, days=days) - exact < 1


@pytest.mark.parametrize(
    "day,after,expected",
    [
        ("2026-11-24", 1, "2026-11-25"),
        ("2026-11-25", 1, "2026-11-27"),
        ("2026-11-25", 2, "2026-11-30"),
        ("2026-11-25", 0, "2026-11-25"),
    ],
)
def test_a_trade_settles_in_a_later_session(day: str, after: int, expected: str) -> None:
    """Thanksgiving is no session, so the trade of the day before settles on Friday."""
    assert settlement.settles(day, SESSIONS, after=after) == expected


@pytest.mark.parametrize("day", ["2026-11-26", "2026-11-30", "2027-01-04"])
def test_a_day_that_the_calendar_cannot_settle_is_refused(day: str) -> None:
    """A holiday, the calendar's last session, and a day after its end."""
    with pytest.raises(errors.ValueRefused, match=day):
        settlement.settles(day, SESSIONS)


@pytest.mark.parametrize(
    "day,sessions",
    [
        ("1990-01-02", 3),
        ("2017-09-01", 3),
        ("2017-09-05", 2),
        ("2024-05-24", 2),
        ("2024-05-28", 1),
        ("2026-11-25", 1),
    ],
)
def test_the_settlement_cycle_became_shorter(day: str, sessions: int) -> None:
    """T+3 until 2017, T+2 until 2024, T+1 since."""
    assert settlement.lag(day) == sessions


def test_settled_cash_leaves_out_what_is_on_its_way() -> None:
    """A sale of 500 and a purchase of 200 settle tomorrow; 100 settled today."""
    pending = (
        settlement.Pending("2026-11-24", usd("100")),
        settlement.Pending("2026-11-25", usd("500")),
        settlement.Pending("2026-11-25", usd("-200")),
    )
    assert settlement.settled_cash(usd("1000"), pending, "2026-11-24") == usd("700")
    assert settlement.settled_cash(usd("1000"), pending, "2026-11-25") == usd("1000")
    assert settlement.outstanding(pending, "2026-11-24") == pending[1:]
