"""What a trade costs beside its price: regulators' fees and commissions, each rate with the day from which it holds.

1. :meth:`Schedule.on` gives the :class:`Rates` of one day; a caller keeps them while the day lasts.
2. :meth:`Rates.charges` gives the exact charges of one fill, as integers of 1e-29 USD.
3. :func:`day_fees` sums one account's charges of one day per kind and rounds each sum up to the cent, once, as Alpaca
   books them; :func:`entries` words them as its FEE activities.
4. A commission is an entry of its order, not of the day: :meth:`Commission.due` rounds the exact sum of the order so
   far half to even to 1e-9 USD, and charges the difference.

The dated tables are in :mod:`~tradeplane_engine.venue.rates`.
"""

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Generic, TypeVar

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

T = TypeVar("T")


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
class Doubt:
    """Days from ``first`` to ``last`` whose rates are assumed, and why."""

    first: str
    last: str
    reason: str


@dataclass(frozen=True, slots=True)
class Dated(Generic[T]):
    """Values by the New York day from which they hold, oldest first; a day before the first has the first's value."""

    rows: tuple[tuple[str, T], ...]
    doubts: tuple[Doubt, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a table without rows or order; raises ValueRefused."""
        days = [_day(since) for since, _ in self.rows]
        if not days or sorted(set(days)) != days:
            raise errors.ValueRefused("rates", "a table of at least one row, oldest first", [str(day) for day in days])

    @property
    def days(self) -> list[str]:
        """The days on which a value begins."""
        return [since for since, _ in self.rows]

    def on(self, day: str) -> T:
        """Value of a day such as ``2012-03-05``."""
        return self.rows[max(bisect_right(self.days, day) - 1, 0)][1]

    def assumed(self, first: str, last: str) -> tuple[Doubt, ...]:
        """Doubts about the days from ``first`` to ``last``, the one about the time before the table included."""
        before = Doubt("0001-01-01", _before(self.rows[0][0]), f"before the first row, which holds from {self.days[0]}")
        return tuple(doubt for doubt in (before, *self.doubts) if doubt.first <= last and first <= doubt.last)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Every rate of a venue by date."""

    name: str
    sec: Dated[Fraction]
    taf: Dated[Taf]
    cat: Dated[Fraction]
    commission: Dated[Commission] = field(default_factory=lambda: Dated((("0001-01-01", Commission()),)))
    _starts: list[str] = field(init=False, repr=False, compare=False)
    _rates: list[Rates] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Merge the tables once, so that a day is one search."""
        starts = sorted({*self.sec.days, *self.taf.days, *self.cat.days, *self.commission.days})
        rates = [Rates(self.sec.on(day), self.taf.on(day), self.cat.on(day), self.commission.on(day)) for day in starts]
        object.__setattr__(self, "_starts", starts)
        object.__setattr__(self, "_rates", rates)

    def on(self, day: str) -> Rates:
        """Rates of a New York day such as ``2012-03-05``; raises ValueRefused for a text that is no day."""
        return self._rates[max(bisect_right(self._starts, str(_day(day))) - 1, 0)]

    def assumed(self, first: str, last: str) -> tuple[str, ...]:
        """Say in words which rates of the days from ``first`` to ``last`` are assumed; empty when none is."""
        tables = (("SEC", self.sec), ("TAF", self.taf), ("CAT", self.cat), ("commission", self.commission))
        return tuple(
            f"{kind} rates until {doubt.last} are assumed: {doubt.reason}"
            for kind, table in tables
            for doubt in table.assumed(str(_day(first)), str(_day(last)))
        )


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


def constant(name: str, rates: Rates) -> Schedule:
    """Return a schedule whose rates hold on every day."""
    first = "0001-01-01"
    return Schedule(
        name=name,
        sec=Dated(((first, rates.sec_per_million),)),
        taf=Dated(((first, rates.taf),)),
        cat=Dated(((first, rates.cat_per_share),)),
        commission=Dated(((first, rates.commission),)),
    )


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


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise errors.ValueRefused("day", "a date such as 2012-03-05", text) from None


def _before(day: str) -> str:
    found = _day(day)
    return str(found - dt.timedelta(days=1)) if found > dt.date.min else day
