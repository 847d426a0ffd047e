"""What time costs and when a trade is paid: margin interest, borrow fees, and settlement by the session calendar.

Source: ``alpaca-protocol.md`` sections 10.2 and 10.4. Rates are annual, in basis points, over 360 days. Costs are
rounded up to 1e-9 USD, once per entry.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers

_YEAR_DAYS = 360
_BPS = 10_000
# Sessions from trade to settlement, by the first trade day (SEC rule 15c6-1 and its amendments).
_LAGS = (("1995-06-07", 3), ("2017-09-05", 2), ("2024-05-28", 1))


@dataclass(frozen=True, slots=True)
class Pending:
    """Money of a trade that is not settled yet: positive for a sale; ``day`` is the session that settles it."""

    day: str
    amount: int


def interest(settled_cash: int, rate_bps: Fraction, *, days: int = 1) -> numbers.Money:
    """Margin interest on a settled debit for a number of calendar days; 0 without a debit."""
    return _daily(max(-settled_cash, 0), rate_bps, days, "interest")


def borrow(short_value: int, rate_bps: Fraction, *, days: int = 1) -> numbers.Money:
    """Borrow fee of a short for a number of calendar days; ``short_value`` is negative or 0."""
    return _daily(max(-short_value, 0), rate_bps, days, "borrow")


def lag(day: str) -> int:
    """Sessions between a trade of a day and its settlement; before the first rule it is that of the first."""
    place = bisect_right([since for since, _ in _LAGS], day)
    return _LAGS[max(place - 1, 0)][1]


def settles(day: str, sessions: Sequence[str], *, after: int = 1) -> str:
    """Session in which a trade settles; raises ValueRefused past the calendar's end or for a day without a session.

    Parameters
    ----------
    day : session of the trade, such as ``2026-11-25``
    sessions : days with a session, oldest first
    after : sessions in between, 1 since 2024-05-28
    """
    place = bisect_left(sessions, day)
    if place == len(sessions) or sessions[place] != day:
        raise errors.ValueRefused("session", "a day with a session", day)
    if place + after >= len(sessions):
        raise errors.ValueRefused("session", f"followed by {after} sessions of the calendar", day)
    return sessions[place + after]


def settled_cash(cash: int, pending: Iterable[Pending], today: str) -> int:
    """Cash without the money of trades that settle after ``today``."""
    return cash - sum(one.amount for one in pending if one.day > today)


def outstanding(pending: Iterable[Pending], today: str) -> tuple[Pending, ...]:
    """Drop what has settled."""
    return tuple(one for one in pending if one.day > today)


def _daily(amount: int, rate_bps: Fraction, days: int, name: str) -> numbers.Money:
    if rate_bps < 0 or days < 0:
        raise errors.ValueRefused(name, "a rate and a number of days of 0 or more", f"{rate_bps} bps, {days} days")
    cost = -(-amount * rate_bps.numerator * days // (rate_bps.denominator * _BPS * _YEAR_DAYS))
    return numbers.Money(numbers.checked(cost, name))
