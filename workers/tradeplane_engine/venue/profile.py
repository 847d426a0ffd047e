"""The venue profile: what a fill costs. Simulator, backtest and gateway use the same object.

A market order that waits for the open fills at ``open * (1 + half spread)`` for a buy and ``open * (1 - half spread)``
for a sell, rounded to 1e-4 against the trader. Fees of one account are summed per kind and day and then rounded up to
the cent, as Alpaca books them; the exact sum of a day so far is what has accrued.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, orders

# An exact fee is an integer too: price (1e-4) x quantity (1e-9) x a rate in steps of 1e-11 fits in units of 1e-24 USD.
CHARGE_DIGITS = 24
_PER_MONEY: int = 10 ** (CHARGE_DIGITS - numbers.MONEY_DIGITS)
_PER_CENT: int = numbers.ONE_CENT * _PER_MONEY
_PER_VALUE = 10 ** (CHARGE_DIGITS - numbers.PRICE_DIGITS - numbers.QUANTITY_DIGITS)
_PER_SHARE = 10 ** (CHARGE_DIGITS - numbers.QUANTITY_DIGITS)


@dataclass(frozen=True, slots=True)
class Charge:
    """Exact fee of one kind for one fill, in units of 1e-24 USD, so that a day's sum is exact."""

    kind: str
    amount: int


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
    _rates: tuple[int, int, int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Scale the rates once; one too fine to be exact is refused."""
        rates = (
            _steps("sec_per_million", self.sec_per_million / 1_000_000, _PER_VALUE),
            _steps("taf_per_share", self.taf_per_share, _PER_SHARE),
            _steps("taf_cap", self.taf_cap, 10**CHARGE_DIGITS),
            _steps("cat_per_share", self.cat_per_share, _PER_SHARE),
        )
        object.__setattr__(self, "_rates", rates)

    def fill_price(self, side: orders.Side, reference: numbers.Price) -> numbers.Price:
        """Price of a market fill at ``reference``; rounded up for a buy, down for a sell."""
        whole = 10_000 * self.half_spread_bps.denominator
        spread = self.half_spread_bps.numerator
        if side is orders.Side.BUY:
            exact = -(-reference * (whole + spread) // whole)
        else:
            exact = reference * (whole - spread) // whole
        return numbers.Price(numbers.checked(max(exact, 1), "price"))

    def charges(self, side: orders.Side, price: numbers.Price, quantity: numbers.Quantity) -> tuple[Charge, ...]:
        """Exact fees of one fill by kind (SEC and TAF on sales, CAT on both); ``quantity`` is positive."""
        sec, taf, taf_cap, cat = self._rates
        audit = Charge("CAT", cat * quantity)
        if side is orders.Side.BUY:
            return (audit,)
        return (Charge("SEC", sec * price * quantity), Charge("TAF", min(taf * quantity, taf_cap)), audit)


def day_fees(charges: Iterable[Charge]) -> dict[str, numbers.Money]:
    """Sum one account's charges of one day per kind and round each sum up to the cent; sorted by kind."""
    sums: dict[str, int] = {}
    for charge in charges:
        sums[charge.kind] = sums.get(charge.kind, 0) + charge.amount
    return {kind: booked(total) for kind, total in sorted(sums.items()) if total}


def booked(total: int) -> numbers.Money:
    """Round the exact sum of one kind and day up to the cent."""
    cents = -(-total // _PER_CENT)
    return numbers.Money(numbers.checked(cents * numbers.ONE_CENT, "fee"))


def less_charges(amount: int, total: int) -> int:
    """Return an amount in units of Money less exact charges, rounded down."""
    return (amount * _PER_MONEY - total) // _PER_MONEY


def exact_fraction(total: int) -> Fraction:
    """Return an exact sum of charges in units of Money."""
    return Fraction(total, _PER_MONEY)


def _steps(name: str, rate: Fraction, per_unit: int) -> int:
    scaled = rate * per_unit
    if rate < 0 or scaled.denominator != 1:
        raise errors.ValueRefused(name, f"a decimal of 0 or more in steps of 1e-{len(str(per_unit)) - 1}", str(rate))
    return scaled.numerator


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
