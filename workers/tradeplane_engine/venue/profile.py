"""The venue profile: what a fill costs. Simulator, backtest and gateway use the same object.

A market order that waits for the open fills at ``open * (1 + half spread)`` for a buy and ``open * (1 - half spread)``
for a sell, rounded to 1e-4 against the trader. Fees come from the profile's schedule (:mod:`.fees`).
"""

from dataclasses import dataclass
from fractions import Fraction

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, orders
from tradeplane_engine.venue import fees, rates, schedules


@dataclass(frozen=True, slots=True)
class VenueProfile:
    """Costs of one venue.

    half_spread_bps : distance of a market fill from the reference price, basis points
    schedule : fees by date
    participation : largest share of a bar's volume that fills: of an account in a backtest, of a group of orders at the
        simulator; None for all that is wanted
    """

    name: str
    half_spread_bps: Fraction
    schedule: schedules.Schedule
    participation: Fraction | None = None

    def fill_price(self, side: orders.Side, reference: numbers.Price) -> numbers.Price:
        """Price of a market fill at ``reference``; rounded up for a buy, down for a sell."""
        whole = 10_000 * self.half_spread_bps.denominator
        spread = self.half_spread_bps.numerator
        if side is orders.Side.BUY:
            exact = -(-reference * (whole + spread) // whole)
        else:
            exact = reference * (whole - spread) // whole
        return numbers.Price(numbers.checked(max(exact, 1), "price"))

    def charges(
        self, side: orders.Side, price: numbers.Price, quantity: numbers.Quantity, *, session: str
    ) -> tuple[fees.Charge, ...]:
        """Exact fees of one fill in a session such as ``2012-03-05``, by kind; ``quantity`` is positive."""
        return self.schedule.on(session).charges(side, price, quantity)


# The 2026-09-17 schedule.
_LATEST = fees.Rates(
    sec_per_million=Fraction("20.60"),
    taf=fees.Taf(Fraction("0.000195"), Fraction("9.79")),
    cat_per_share=Fraction("0.000003"),
)
_NONE = fees.Rates(sec_per_million=Fraction(0), taf=fees.Taf(Fraction(0), Fraction(0)), cat_per_share=Fraction(0))
_PROFILES = {
    profile.name: profile
    for profile in (
        # The latest rates on every date, because replayed sessions are research, not tax.
        VenueProfile("realistic", Fraction(1), schedules.constant("2026-09-17", _LATEST)),
        VenueProfile("dated", Fraction(1), rates.UNITED_STATES),
        VenueProfile("paper", Fraction(1), schedules.constant("2026-09-17", _NONE)),
        VenueProfile("thin", Fraction(1), schedules.constant("2026-09-17", _LATEST), participation=Fraction(1, 10)),
    )
}


def named(name: str) -> VenueProfile:
    """Return the profile ``name``; raises ValueRefused naming the known ones."""
    try:
        return _PROFILES[name]
    except KeyError:
        raise errors.ValueRefused("venue profile", f"one of {sorted(_PROFILES)}", name) from None
