"""The natural logarithm with the same bits on every machine and for any number of values at once.

numpy's own differs between machines and between a block of values and one value.
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def log(values: FloatArray) -> FloatArray:
    """Natural logarithm, within 1 ulp, by additions and multiplications only: the same bits on every machine.

    x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); log(1 + f) by the odd series in s = f / (2 + f).
    NaN, infinity and values of at most zero give NaN: they have none.
    """
    usable = np.isfinite(values) & (values > 0)
    mantissa, exponent = np.frexp(np.where(usable, values, 1.0))
    small = mantissa < _SQRT_HALF
    fraction = np.where(small, 2.0 * mantissa, mantissa) - 1.0
    power = exponent - small
    s = fraction / (2.0 + fraction)
    z = s * s
    series = np.full_like(z, _LOG_TERMS[-1])
    for term in reversed(_LOG_TERMS[:-1]):
        series = term + z * series
    half = 0.5 * fraction * fraction
    correction = s * (half + z * series) + power * _LN2_LOW
    return np.where(usable, power * _LN2_HIGH - ((half - correction) - fraction), np.nan)


_SQRT_HALF = 0.7071067811865476
_LN2_HIGH = 6.93147180369123816490e-01  # ln 2 cut to 32 bits, so that its product with an exponent is exact
_LN2_LOW = 1.90821492927058770002e-10
_LOG_TERMS = tuple(2.0 / (2 * k + 1) for k in range(1, 12))
