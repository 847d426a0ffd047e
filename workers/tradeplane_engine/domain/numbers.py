"""Exact numbers: scaled 64-bit integers for prices, quantities and money.

==========  ========================  =====================
type        one unit is               text form
==========  ========================  =====================
Price       1e-4 USD per share        ``"101.25"``
Quantity    1e-9 share (signed)       ``"10"``, ``"-0.5"``
Money       1e-9 USD (signed)         ``"-1234.56"``
==========  ========================  =====================

``price * quantity`` is money after one rounding, half to even. Everything that leaves 64 bits raises
:class:`~tradeplane_engine.errors.Overflow`. Floats never enter; ``docs/adr/0003-exact-numbers.md`` has the reasons.
"""

import operator
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, NewType

from tradeplane_engine import errors

Price = NewType("Price", int)
Quantity = NewType("Quantity", int)
Money = NewType("Money", int)

PRICE_DIGITS = 4
QUANTITY_DIGITS = 9
MONEY_DIGITS = 9
ONE_SHARE = Quantity(10**QUANTITY_DIGITS)
ONE_CENT = Money(10 ** (MONEY_DIGITS - 2))
_INT64_MAX = 2**63 - 1
_PRICE_TO_MONEY = 10 ** (PRICE_DIGITS + QUANTITY_DIGITS - MONEY_DIGITS)


def price(text: str | Decimal, *, field: str = "price") -> Price:
    """Parse a positive price in USD per share with at most 4 decimals; raises ValueRefused."""
    value = _scaled(text, PRICE_DIGITS, field)
    if value <= 0:
        raise errors.ValueRefused(field, "a positive decimal", str(text))
    return Price(value)


def quantity(text: str | Decimal, *, field: str = "quantity") -> Quantity:
    """Parse a signed number of shares with at most 9 decimals; raises ValueRefused."""
    return Quantity(_scaled(text, QUANTITY_DIGITS, field))


def money(text: str | Decimal, *, field: str = "money") -> Money:
    """Parse a signed amount in USD with at most 9 decimals; raises ValueRefused."""
    return Money(_scaled(text, MONEY_DIGITS, field))


def notional(price: Price, quantity: Quantity) -> Money:
    """Value of ``quantity`` shares at ``price``, signed like the quantity, rounded once, half to even."""
    return Money(checked(divide_half_even(price * quantity, _PRICE_TO_MONEY), "notional"))


def shares(amount: Money, price: Price) -> Quantity:
    """Return the whole shares that ``amount`` buys at ``price``, rounded toward zero."""
    whole = abs(amount) * _PRICE_TO_MONEY // (price * ONE_SHARE)
    signed = whole if amount >= 0 else -whole
    return Quantity(checked(signed * ONE_SHARE, "quantity"))


def checked(value: int, field: str) -> int:
    """Return ``value`` if it fits a signed 64-bit integer, else raise Overflow naming ``field``."""
    if -_INT64_MAX <= value <= _INT64_MAX:
        return value
    raise errors.Overflow(field, "within 64 bits of its unit", value)


def whole(value: Any, limit: str = "an int", *, field: str) -> int:
    """Return an int, one of numpy's as Python's; raises ValueRefused for all else, a bool and a whole float too."""
    try:
        found = operator.index(value)
    except TypeError:
        raise errors.ValueRefused(field, limit, value) from None
    if isinstance(value, bool):
        raise errors.ValueRefused(field, limit, value)
    return checked(found, field)


def rate(value: Any, *, field: str) -> Fraction:
    """Return an exact rate as a fraction; raises ValueRefused for a float, which is none."""
    if isinstance(value, bool) or not isinstance(value, int | Fraction | Decimal):
        raise errors.ValueRefused(field, "an int, a Fraction or a Decimal", value)
    if isinstance(value, Decimal) and not value.is_finite():
        raise errors.ValueRefused(field, "a finite number", str(value))
    return Fraction(value)


def divide_half_even(numerator: int, denominator: int) -> int:
    """Divide integers, rounding half to even; ``denominator`` is positive."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def price_text(value: Price) -> str:
    """Return the shortest decimal text of a price."""
    return _text(value, PRICE_DIGITS)


def quantity_text(value: Quantity) -> str:
    """Return the shortest decimal text of a quantity."""
    return _text(value, QUANTITY_DIGITS)


def money_text(value: Money) -> str:
    """Return the shortest decimal text of an amount."""
    return _text(value, MONEY_DIGITS)


def scaled_text(value: int, digits: int) -> str:
    """Return the shortest decimal text of a number in units of 10^-digits."""
    return _text(value, digits)


def _scaled(text: str | Decimal, digits: int, field: str) -> int:
    if isinstance(text, float):
        raise errors.ValueRefused(field, "a decimal text, not a float", text)
    try:
        scaled = Decimal(text).scaleb(digits)
    except (InvalidOperation, TypeError, ValueError):
        raise errors.ValueRefused(field, "a decimal number", str(text)) from None
    if not scaled.is_finite():
        raise errors.ValueRefused(field, "a finite decimal number", str(text))
    value = int(scaled)
    if value != scaled:
        raise errors.ValueRefused(field, f"a decimal with at most {digits} digits after the point", str(text))
    return checked(value, field)


def _text(value: int, digits: int) -> str:
    whole, fraction = divmod(abs(value), 10**digits)
    sign = "-" if value < 0 else ""
    if fraction == 0:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:0{digits}d}".rstrip("0")
