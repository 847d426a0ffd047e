"""What a fill costs: half a spread in its price, a commission in proportion to its value, and fees by date."""

from decimal import Decimal
from fractions import Fraction
from typing import Protocol

from tradeplane_engine import errors
from tradeplane_engine.core import exact
from tradeplane_engine.core.order import Order
from tradeplane_engine.core.sessions import Sessions
from tradeplane_engine.domain import numbers

_BPS = 10_000
_FINEST = 100_000  # keeps numerators below 2^31


class Accrual(Protocol):
    """Fees that accrue in one run; ``residue`` is what the account has paid more than its strategies, money."""

    residue: int

    def fill(self, order: Order, price: int, quantity: int, digits: int, at: int) -> tuple[int, int]:
        """Return what a fill costs the order's strategy and what it costs the account, money."""

    def most(self, order: Order, price: int, quantity: int, digits: int, at: int) -> int:
        """Return the most that a fill may cost the account, money; nothing is booked."""


class Schedule(Protocol):
    """Fees by date."""

    def accrual(self, sessions: Sessions | None) -> Accrual:
        """Begin the books of a run."""


class Costs:
    """Costs of one venue; raises ValueRefused for a rate that is negative or a float.

    Parameters
    ----------
    half_spread_bps : distance of a market fill from the reference price, basis points
    commission_bps : share of the fill's value, basis points; exact to 1e-9 USD, never rounded to cents
    schedule : fees and commissions by date, such as ``venue.rates.UNITED_STATES``; None for none. What a bar's path
        does under the policies ``worst`` and ``best`` is compared without them
    """

    __slots__ = ("commission", "commission_whole", "half_spread_bps", "schedule", "spread", "spread_whole")

    def __init__(
        self,
        half_spread_bps: Fraction | Decimal | int = Fraction(0),
        commission_bps: Fraction | Decimal | int = Fraction(0),
        schedule: Schedule | None = None,
    ) -> None:
        half_spread_bps = numbers.rate(half_spread_bps, field="half_spread_bps")
        commission_bps = numbers.rate(commission_bps, field="commission_bps")
        for name, rate in (("half_spread_bps", half_spread_bps), ("commission_bps", commission_bps)):
            if not 0 <= rate < _BPS or rate.denominator > _FINEST:
                raise errors.ValueRefused(name, f"from 0 to below {_BPS}, no finer than 1/{_FINEST}", str(rate))
        self.half_spread_bps = half_spread_bps
        self.spread = half_spread_bps.numerator
        self.spread_whole = half_spread_bps.denominator * _BPS
        self.commission = commission_bps.numerator
        self.commission_whole = commission_bps.denominator * _BPS
        self.schedule = schedule

    def price(self, side: int, reference: int) -> int:
        """Price of a market fill at ``reference``: up for a buy, down for a sell, rounded against the trader."""
        if self.spread == 0:
            return reference
        if side > 0:
            return exact.ceil_ratio(reference, self.spread_whole + self.spread, self.spread_whole, "price")
        return max(exact.floor_ratio(reference, self.spread_whole - self.spread, self.spread_whole, "price"), 1)

    def fee(self, price: int, quantity: int, unit: int) -> int:
        """Commission of one fill in money; ``quantity`` is positive."""
        if self.commission == 0:
            return 0
        return exact.fee(price, quantity, unit, self.commission, self.commission_whole)
