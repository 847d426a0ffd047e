"""The bars of one symbol as columns, and their float64 view."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

PRICES = ("open", "high", "low", "close")
FIELDS = (*PRICES, "volume")
_MOST_DIGITS = 9


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """History of one symbol, one row per bar of its own, oldest first.

    Parameters
    ----------
    digits : prices are integers in units of 10^-digits USD, 0 to 9
    open, high, low, close : shape (n,), int64, prices
    volume : shape (n,), int64, shares

    Raises
    ------
    errors.ValueRefused for another type or shape; nothing is converted or copied.
    """

    digits: int
    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray
    volume: IntArray

    def __post_init__(self) -> None:
        checked_digits(self.digits)
        for field in FIELDS:
            values = self.integers(field)
            if values.dtype != np.int64 or values.ndim != 1:
                raise errors.ValueRefused(field, "int64 of one dimension", f"{values.dtype} of shape {values.shape}")
            if len(values) != len(self.open):
                raise errors.ValueRefused(field, f"as long as open ({len(self.open)} rows)", len(values))

    def __len__(self) -> int:
        return len(self.open)

    def integers(self, field: str) -> IntArray:
        """Return a field's integers."""
        found: IntArray = getattr(self, field)
        return found


def checked_digits(digits: int) -> int:
    """Return the digits of prices; raises ValueRefused."""
    if not 0 <= digits <= _MOST_DIGITS:
        raise errors.ValueRefused("digits", f"0 to {_MOST_DIGITS}", digits)
    return digits


def floats(field: str, integers: IntArray, digits: int) -> FloatArray:
    """Return prices in USD, volume in shares; one division, correctly rounded."""
    if field in PRICES:
        return integers / 10.0**digits
    return integers.astype(np.float64)
