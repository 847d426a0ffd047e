"""One number that describes a run: name, unit, meaning, source of the formula, and how it is computed."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tradeplane_engine.measures import sample as samples

Sample = samples.Sample
Group = Literal["return", "risk", "drawdown", "benchmark", "exposure", "trade", "cost"]
Unit = Literal["fraction", "ratio", "usd", "count", "periods", "bars", "days", "bps"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One number that describes a run.

    One with ``redrawn`` depends on the returns alone, so a bootstrap may compute it on drawn samples.
    """

    name: str
    group: Group
    unit: Unit
    meaning: str
    source: str
    value: Callable[[Sample], float | None]
    redrawn: bool = False


def evaluate(measure: Measure, sample: Sample) -> float | None:
    """Return one measure; a value too large for a float (one wild period, annualised) is undefined."""
    try:
        found = measure.value(sample)
    except OverflowError:
        return None
    return float(found) if found is not None and math.isfinite(found) else None
