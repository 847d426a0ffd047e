"""Every measure by name.

1. :data:`MEASURES` is the list, in the order in which a reader wants it; :data:`BY_NAME` finds one.
2. :func:`compute` gives the values of some or all of them; what is undefined is None.
"""

from collections.abc import Iterable

from tradeplane_engine import errors
from tradeplane_engine.measures import inputs, measure, of_returns, of_trading
from tradeplane_engine.measures import sample as samples

MEASURES: tuple[measure.Measure, ...] = (
    *of_returns.RETURNS,
    *of_returns.RISK,
    *of_returns.DRAWDOWNS,
    *of_returns.BENCHMARK,
    *of_trading.EXPOSURE,
    *of_trading.TRADES,
    *of_trading.COSTS,
)
BY_NAME = {one.name: one for one in MEASURES}


def compute(run: inputs.Run, names: Iterable[str] | None = None) -> dict[str, float | None]:
    """Return the named measures, or all of them, in the registry's order or in that of ``names``.

    Raises
    ------
    ValueRefused : a name that no measure has
    """
    sample = samples.Sample(run)
    return {one.name: measure.evaluate(one, sample) for one in find(names)}


def find(names: Iterable[str] | None = None) -> tuple[measure.Measure, ...]:
    """Return measures by name, all of them without names."""
    if names is None:
        return MEASURES
    found = []
    for name in names:
        if name not in BY_NAME:
            raise errors.ValueRefused("measure", "a name of the registry", name)
        found.append(BY_NAME[name])
    return tuple(found)
