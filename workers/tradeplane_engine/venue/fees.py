"""What a trade costs beside its price: regulators' fees and commissions at the rates of a day.

1. :meth:`~.schedules.Schedule.on` gives the :class:`Rates` of one day; a caller keeps them while the day lasts.
2. :meth:`Rates.charges` gives the exact charges of one fill, as integers of 1e-29 USD.
3. :func:`day_fees` sums one account's charges of one day per kind and rounds each sum up to the cent, once, as Alpaca
   books them; :func:`entries` words them as its FEE activities.
4. A commission is an entry of its order, not of the day: :meth:`Commission.due` rounds the exact sum of the order so
   far half to even to 1e-9 USD, and charges the difference.

Rates by date are :mod:`.schedules`, those of the United States :mod:`.rates`; a run books them by :mod:`.run_fees`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, orders

# Price (1e-9 at the finest) x quantity (1e-9) x a rate in steps of 1e-11 is an integer in units of 1e-29 USD.
CHARGE_DIGITS = 29
_RATE_DIGITS = 11
_FINEST_PRICE = 9
_PER_MONEY: int = 10 ** (CHARGE_DIGITS - numbers.MONEY_DIGITS)
_PER_CENT: int = numbers.ONE_CENT * _PER_MONEY
_PER_VALUE = 10**_RATE_DIGITS
_PER_SHARE = 10 ** (CHARGE_DIGITS - numbers.QUANTITY_DIGITS)

# Alpaca's own sub types of the FEE activity.
_SUB_TYPES = {"SEC": "REG"}


@dataclass(frozen=True, slots=True)
class Charge:
    """Exact fee of one kind for one fill, in units of 1e-29 USD, so that a day's sum is exact."""

    kind: str
    amount: int


@dataclass(frozen=True, slots=True)
class Taf:
    """FINRA's trading activity fee: USD per share sold, and the most per trade."""

    per_share: Fraction
    cap: Fraction


@dataclass(frozen=True, slots=True)
class Commission:
    """What the broker takes per order: USD per share, basis points of the value, and the least per order that traded.

    Raises ValueRefused for a rate that is negative or too fine to be exact.
    """

    per_share: Fraction = Fraction(0)
    bps: Fraction = Fraction(0)
    minimum: Fraction = Fraction(0)
    _steps: tuple[int, int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Scale the rates once."""
        steps = (
            _scaled("commission.per_share", self.per_share, _PER_SHARE),
            _scaled("commission.bps", self.bps / 10_000, _PER_VALUE),
            _scaled("commission.minimum", self.minimum, 10**CHARGE_DIGITS),
        )
        object.__setattr__(self, "_steps", steps)

    def of(self, quantity: int, traded: int, *, digits: int = numbers.PRICE_DIGITS) -> int:
        """Exact commission of an order so far, in units of 1e-29 USD.

        Parameters
        ----------
        quantity : shares traded so far, 1e-9
        traded : sum of price x quantity of the fills so far, in units of 10^-(digits + 9) USD
        digits : decimals of the symbol's prices, at most 9
        """
        if quantity <= 0:
            return 0
        per_share, bps, minimum = self._steps
        scale: int = 10 ** (_FINEST_PRICE - digits)
        return max(per_share * quantity + bps * traded * scale, minimum)

    def due(
        self, before: tuple[int, int], after: tuple[int, int], *, digits: int = numbers.PRICE_DIGITS
    ) -> numbers.Money:
        """Commission that a fill adds, from (quantity, traded) before it and after; an order's sum is rounded once."""
        return numbers.Money(entry(self.of(*after, digits=digits)) - entry(self.of(*before, digits=digits)))


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates of one day; raises ValueRefused for a rate that is negative or too fine to be exact.

    sec_per_million : USD per million USD of sales
    taf : per share sold
    cat_per_share : USD per share, both sides
    """

    sec_per_million: Fraction
    taf: Taf
    cat_per_share: Fraction
    commission: Commission = field(default_factory=Commission)
    _steps: tuple[int, int, int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Scale the rates once, so that a fill costs four products."""
        steps = (
            _scaled("sec_per_million", self.sec_per_million / 1_000_000, _PER_VALUE),
            _scaled("taf_per_share", self.taf.per_share, _PER_SHARE),
            _scaled("taf_cap", self.taf.cap, 10**CHARGE_DIGITS),
            _scaled("cat_per_share", self.cat_per_share, _PER_SHARE),
        )
        object.__setattr__(self, "_steps", steps)

    def charges(
        self, side: orders.Side, price: int, quantity: int, *, digits: int = numbers.PRICE_DIGITS
    ) -> tuple[Charge, ...]:
        """Exact regulators' fees of one fill by kind (SEC and TAF on sales, CAT on both).

        Parameters
        ----------
        price : in units of 10^-digits USD
        quantity : 1e-9 shares, positive
        digits : decimals of the symbol's prices, at most 9
        """
        sec, taf, taf_cap, cat = self._steps
        audit = Charge("CAT", cat * quantity)
        if side is orders.Side.BUY:
            return (audit,)
        value = price * quantity * 10 ** (_FINEST_PRICE - digits)
        return (Charge("SEC", sec * value), Charge("TAF", min(taf * quantity, taf_cap)), audit)


@dataclass(frozen=True, slots=True)
class Entry:
    """A day's fee of one kind as it leaves the account; ``amount`` is negative."""

    kind: str
    sub_type: str
    day: str
    amount: numbers.Money

    @property
    def fields(self) -> dict[str, str]:
        """Alpaca's fields of the FEE activity."""
        return {
            "activity_sub_type": self.sub_type,
            "date": self.day,
            "net_amount": numbers.money_text(self.amount),
            "description": f"{self.kind} fee for trades on {self.day}",
            "status": "executed",
        }


def day_fees(charges: Iterable[Charge]) -> dict[str, numbers.Money]:
    """Sum one account's charges of one day per kind and round each sum up to the cent; sorted by kind."""
    sums: dict[str, int] = {}
    for charge in charges:
        sums[charge.kind] = sums.get(charge.kind, 0) + charge.amount
    return {kind: booked(total) for kind, total in sorted(sums.items()) if total}


def entries(charges: Iterable[Charge], day: str) -> tuple[Entry, ...]:
    """Book one account's charges of one day: an activity per kind, sorted by kind."""
    return tuple(
        Entry(kind, _SUB_TYPES.get(kind, kind), day, numbers.Money(-fee)) for kind, fee in day_fees(charges).items()
    )


def booked(total: int) -> numbers.Money:
    """Round the exact sum of one kind and day up to the cent."""
    cents = -(-total // _PER_CENT)
    return numbers.Money(numbers.checked(cents * numbers.ONE_CENT, "fee"))


def entry(total: int) -> numbers.Money:
    """Round an exact charge half to even to 1e-9 USD."""
    return numbers.Money(numbers.checked(numbers.divide_half_even(total, _PER_MONEY), "commission"))


def less_charges(amount: int, total: int) -> int:
    """Return an amount in units of Money less exact charges, rounded down."""
    return (amount * _PER_MONEY - total) // _PER_MONEY


def exact_fraction(total: int) -> Fraction:
    """Return an exact sum of charges in units of Money."""
    return Fraction(total, _PER_MONEY)


def _scaled(name: str, rate: Fraction, per_unit: int) -> int:
    scaled = rate * per_unit
    if rate < 0 or scaled.denominator != 1:
        raise errors.ValueRefused(name, f"a decimal of 0 or more in steps of 1e-{len(str(per_unit)) - 1}", str(rate))
    return scaled.numerator
