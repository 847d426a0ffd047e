"""Exact arithmetic on scaled 64-bit integers: products in 128 bits, one rounding, and never a wrap.

Units: price 10^-d USD with ``unit = 10**d`` of its symbol, quantity 1e-9 share, money 1e-9 USD. Signed 64-bit results
lie within +-(2^63 - 1); anything beyond raises :class:`~tradeplane_engine.errors.Overflow`, which names the field.
"""

from tradeplane_engine import errors

_MOST = 9_223_372_036_854_775_807  # a C variable in compiled code, where a literal of this size would be an object


def fit(value: int, field: str) -> int:
    """Return ``value`` if it fits 64 bits, else raise Overflow."""
    if -_MOST <= value <= _MOST:
        return value
    raise errors.Overflow(field, "within 64 bits of its unit", float(value))


def add(left: int, right: int, field: str) -> int:
    """Return ``left + right``."""
    total = left  # wider than its operands: see the .pxd
    total = total + right
    if -_MOST <= total <= _MOST:  # not fit(), for speed
        return total
    return fit(total, field)


def notional(price: int, quantity: int, unit: int) -> int:
    """Value of ``quantity`` at ``price`` in money, signed like the quantity, rounded once, half to even."""
    parts = quantity // unit
    if parts * unit == quantity:  # whole shares are: nothing to round, and no division of 128 bits
        product = price
        product = product * parts
        if -_MOST <= product <= _MOST:  # as in add
            return product
        return fit(product, "notional")
    return ratio(price, quantity, unit, "notional")


def ratio(amount: int, part: int, whole: int, field: str) -> int:
    """Return ``amount * part / whole`` rounded half to even; ``whole`` is positive."""
    product = amount
    product = product * part
    quotient = product // whole
    remainder = product - quotient * whole
    if remainder < 0:  # compiled division truncates, Python's floors
        quotient -= 1
        remainder += whole
    twice = 2 * remainder
    if twice > whole or (twice == whole and quotient & 1):
        quotient += 1
    return fit(quotient, field)


def fee(price: int, quantity: int, unit: int, part: int, whole: int) -> int:
    """Return ``part / whole`` of the value of ``quantity`` at ``price`` in money, rounded once, half to even.

    None is negative. The value itself must fit 64 bits; then the product fits 128, with ``part`` below 2^31.
    """
    notional(price, quantity, unit)
    product = price
    product = product * quantity * part
    divisor = unit
    divisor = divisor * whole
    quotient = product // divisor
    twice = 2 * (product - quotient * divisor)
    if twice > divisor or (twice == divisor and quotient & 1):
        quotient += 1
    return fit(quotient, "fee")


def floor_ratio(amount: int, part: int, whole: int, field: str) -> int:
    """Return ``amount * part / whole`` rounded down; none is negative, and ``whole`` is positive."""
    product = amount
    product = product * part
    return fit(product // whole, field)


def ceil_ratio(amount: int, part: int, whole: int, field: str) -> int:
    """Return ``amount * part / whole`` rounded up; none is negative, and ``whole`` is positive."""
    parts = amount // whole
    product = part
    if parts * whole == amount:  # as in notional
        product = product * parts
    else:
        product = product * amount
        product = (product + whole - 1) // whole
    if -_MOST <= product <= _MOST:
        return product
    return fit(product, field)


def whole_shares(amount: int, price: int, unit: int) -> int:
    """Quantity of the whole shares that ``amount`` of money buys at ``price``, rounded toward zero."""
    # money is 1e-9 USD and price 1 / unit USD, so shares = amount * unit / (price * 1e9)
    divisor = price
    divisor = divisor * 1_000_000_000
    size = abs(amount)
    size = size * unit // divisor * 1_000_000_000
    return fit(size if amount >= 0 else -size, "quantity")
