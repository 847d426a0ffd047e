"""The venue profile: what a fill costs. Simulator, backtest and gateway use the same object.

A market order that waits for the open fills at ``open * (1 + half spread)`` for a buy and ``open * (1 - half spread)``
for a sell, rounded to 1e-4 against the trader. Fees of one account are summed per kind and day and then rounded up to
the cent, as Alpaca books them; the exact sum of a day so far is what has accrued.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, orders


@dataclass(frozen=True, slots=True)
class Charge:
    """Exact fee of one kind for one fill, as a fraction of a nanodollar so that a day's sum is exact."""

    kind: str
    amount: Fraction


@dataclass(frozen=True, slots=True)
class VenueProfile:
    """Costs of one venue.

    half_spread_bps : distance of a market fill from the reference price, basis points
    sec_per_million : USD per million USD of sales
    taf_per_share, taf_cap : USD per share sold, and the most per trade
    cat_per_share : USD per share, both sides
    """

    name: str
    half_spread_bps: Fraction
    sec_per_million: Fraction
    taf_per_share: Fraction
    taf_cap: Fraction
    cat_per_share: Fraction

    def fill_price(self, side: orders.Side, reference: numbers.Price) -> numbers.Price:
        """Price of a market fill at ``reference``; rounded up for a buy, down for a sell."""
        factor = 1 + side.sign * self.half_spread_bps / 10_000
        exact = reference * factor
        rounded = math.ceil(exact) if side is orders.Side.BUY else math.floor(exact)
        return numbers.Price(numbers.checked(max(rounded, 1), "price"))

    def charges(self, side: orders.Side, price: numbers.Price, quantity: numbers.Quantity) -> tuple[Charge, ...]:
        """Exact fees of one fill by kind (SEC and TAF on sales, CAT on both); ``quantity`` is positive."""
        share_count = Fraction(quantity, numbers.ONE_SHARE)
        unit = 10**numbers.MONEY_DIGITS
        cat = Charge("CAT", self.cat_per_share * share_count * unit)
        if side is orders.Side.BUY:
            return (cat,)
        value = Fraction(price, 10**numbers.PRICE_DIGITS) * share_count
        sec = Charge("SEC", self.sec_per_million * value / 1_000_000 * unit)
        taf = Charge("TAF", min(self.taf_per_share * share_count, self.taf_cap) * unit)
        return (sec, taf, cat)


def day_fees(charges: Iterable[Charge]) -> dict[str, numbers.Money]:
    """Sum one account's charges of one day per kind and round each sum up to the cent; sorted by kind."""
    sums: dict[str, Fraction] = {}
    for charge in charges:
        sums[charge.kind] = sums.get(charge.kind, Fraction(0)) + charge.amount
    return {
        kind: numbers.Money(numbers.checked(math.ceil(total / numbers.ONE_CENT) * numbers.ONE_CENT, "fee"))
        for kind, total in sorted(sums.items())
        if total
    }


_PROFILES = {
    profile.name: profile
    for profile in (
        # Rates of the 2026-09-17 schedule; used for every date, because replayed sessions are research, not tax.
        VenueProfile(
            name="realistic",
            half_spread_bps=Fraction(1),
            sec_per_million=Fraction("20.60"),
            taf_per_share=Fraction("0.000195"),
            taf_cap=Fraction("9.79"),
            cat_per_share=Fraction("0.000003"),
        ),
    )
}


def named(name: str) -> VenueProfile:
    """Return the profile ``name``; raises ValueRefused naming the known ones."""
    try:
        return _PROFILES[name]
    except KeyError:
        raise errors.ValueRefused("venue profile", f"one of {sorted(_PROFILES)}", name) from None
