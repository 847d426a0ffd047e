"""Calendar months and years of a curve, by the UTC date of its samples (a US session close has the New York date)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tradeplane_engine.measures import inputs

Unit = Literal["year", "month"]
_CODES: dict[Unit, str] = {"year": "Y", "month": "M"}


@dataclass(frozen=True, slots=True)
class Period:
    """Samples ``first`` to ``stop`` (excluded) of the period ``name``, such as ``2024`` or ``2024-03``."""

    name: str
    first: int
    stop: int


def split(at: inputs.IntArray, unit: Unit) -> tuple[Period, ...]:
    """Return the periods that have samples, in the order of time.

    Parameters
    ----------
    at : ns UTC, strictly increasing
    """
    if at.size == 0:
        return ()
    dates = at.astype("datetime64[ns]").astype(f"datetime64[{_CODES[unit]}]")
    starts = np.flatnonzero(np.concatenate(([True], dates[1:] != dates[:-1])))
    stops = [*starts[1:].tolist(), at.size]
    return tuple(Period(str(dates[first]), first, stop) for first, stop in zip(starts.tolist(), stops, strict=True))


def compounded(returns: inputs.FloatArray, periods: tuple[Period, ...]) -> inputs.FloatArray:
    """Compound the returns within each period; shape (n_periods,)."""
    if not periods:
        return np.empty(0)
    found: inputs.FloatArray = np.multiply.reduceat(1.0 + returns, [period.first for period in periods]) - 1.0
    return found
