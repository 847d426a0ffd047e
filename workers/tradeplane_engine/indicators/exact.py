"""Integer statistics of windows: exact, and an overflow is an error, never a wrap."""

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors
from tradeplane_engine.indicators import nodes, windowed

IntArray = npt.NDArray[np.int64]

_INT64_MAX = 2**63 - 1
_LOW_BITS = 32
_LOW_MASK = (1 << _LOW_BITS) - 1


def sums(x: IntArray, window: int) -> IntArray:
    """Sum of each window.

    Running totals may wrap, which costs nothing: they are exact modulo 2^64, so their difference is the window's sum
    as long as that fits, and it does where ``window`` times the largest value does.

    Raises
    ------
    errors.Overflow where a window's sum does not fit 64 bits.
    """
    if _largest(x) * window > _INT64_MAX:
        return _wide_sums(x, window)
    return _running(x, window)


def changes(x: IntArray, window: int) -> IntArray:
    """Newest row minus the row ``window - 1`` rows before; raises Overflow."""
    newest, oldest = x[window - 1 :], x[: len(x) - window + 1]
    found = newest - oldest
    if 2 * _largest(x) > _INT64_MAX:
        wrapped = ((newest ^ oldest) & (newest ^ found)) < 0
        if wrapped.any():
            at = int(wrapped.argmax())
            raise errors.Overflow("change", "within 64 bits", int(newest[at]) - int(oldest[at]))
    return found


def compare(left: IntArray, left_denominator: int, right: IntArray, right_denominator: int) -> npt.NDArray[np.int8]:
    """Return the sign of ``left / left_denominator - right / right_denominator`` per row, without rounding."""
    common = int(np.gcd(left_denominator, right_denominator))
    to_left, to_right = right_denominator // common, left_denominator // common
    if max(_largest(left) * to_left, _largest(right) * to_right) <= _INT64_MAX:
        one, two = left * to_left, right * to_right
    else:
        one, two = left.astype(object) * to_left, right.astype(object) * to_right
    return (one > two).astype(np.int8) - (one < two).astype(np.int8)


def sum_(*, window: int = 20, field: str = "close") -> nodes.Graph:
    """Sum of the last ``window`` rows."""
    return _graph(nodes.over(sums, window, nodes.column(field, exact=True)))


def sma(*, window: int = 20, field: str = "close") -> nodes.Graph:
    """Simple moving average: the sum over the denominator ``window``."""
    return _graph(nodes.over(sums, window, nodes.column(field, exact=True)), denominator=window)


def highest(*, window: int = 20, field: str = "high") -> nodes.Graph:
    """Largest of the last ``window`` rows."""
    return _graph(nodes.over(windowed.highest, window, nodes.column(field, exact=True)))


def lowest(*, window: int = 20, field: str = "low") -> nodes.Graph:
    """Smallest of the last ``window`` rows."""
    return _graph(nodes.over(windowed.lowest, window, nodes.column(field, exact=True)))


def max_(*, window: int = 20, field: str = "close") -> nodes.Graph:
    """Largest of the last ``window`` rows; as ``highest`` but of the close unless named."""
    return highest(window=window, field=field)


def min_(*, window: int = 20, field: str = "close") -> nodes.Graph:
    """Smallest of the last ``window`` rows; as ``lowest`` but of the close unless named."""
    return lowest(window=window, field=field)


def change(*, window: int = 10, field: str = "close") -> nodes.Graph:
    """Value minus the value ``window`` rows before."""
    return _graph(nodes.over(changes, window + 1, nodes.column(field, exact=True)))


def _graph(node: nodes.Node, denominator: int = 1) -> nodes.Graph:
    return nodes.Graph({"value": node}, exact=True, denominator=denominator)


def _largest(x: IntArray) -> int:
    return max(-int(x.min()), int(x.max())) if len(x) else 0


def _running(x: IntArray, window: int) -> IntArray:
    totals = np.cumsum(x)
    found = totals[window - 1 :].copy()
    found[1:] -= totals[:-window]
    return found


def _wide_sums(x: IntArray, window: int) -> IntArray:
    # Halves of 32 bits: with at most 10,000 rows neither half's sum leaves 46 bits.
    low, high = _running(x & _LOW_MASK, window), _running(x >> _LOW_BITS, window)
    high += low >> _LOW_BITS
    half = 1 << (_LOW_BITS - 1)
    outside = (high >= half) | (high < -half)
    if outside.any():
        at = int(outside.argmax())
        value = (int(high[at]) << _LOW_BITS) + (int(low[at]) & _LOW_MASK)
        raise errors.Overflow("sum", "within 64 bits", value)
    return (high << _LOW_BITS) | (low & _LOW_MASK)
