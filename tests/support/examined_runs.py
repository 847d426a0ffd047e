"""Runs that are examined: a factory made of a strategy's maker, and the findings."""

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction

from support import engine_runs
from tradeplane_engine import detectors, strategy
from tradeplane_engine.core import costs, kernel, limits, risk, table, venue_settings
from tradeplane_engine.data import series

_VENUE = venue_settings.Venue()
Maker = Callable[[Sequence[series.Series]], dict[str, strategy.Strategy]]


def factory(
    maker: Maker,
    *,
    chosen: limits.Limits = engine_runs.LOOSE,
    half_spread_bps: int = 0,
    latency: int = 0,
    venue: venue_settings.Venue = _VENUE,
    ordered: bool = True,
) -> detectors.Factory:
    """Return what makes a run of the maker's strategies, by default on symbols in the order of their names."""

    def make(data: Sequence[series.Series]) -> kernel.Kernel:
        policy = risk.Policy("chosen", chosen)
        given = sorted(data, key=lambda one: one.symbol) if ordered else list(data)
        fees = costs.Costs(half_spread_bps=Fraction(half_spread_bps), commission_bps=Fraction(1))
        made = kernel.Kernel(
            table.Table(given), fees, engine_runs.CASH, policy, dataclasses.replace(venue, latency=latency)
        )
        for name, one in sorted(maker(data).items()):
            made.add(name, one, engine_runs.CASH, policy)
        return made

    return make


def examine(
    made: detectors.Factory,
    data: Sequence[series.Series],
    *,
    seed: int = 1,
    audit: bool = False,
    options: detectors.Options | None = None,
) -> detectors.Findings:
    """Run and examine."""
    run = made(data)
    run.run()
    return detectors.examine(made, data, run, seed=seed, audit=audit, options=options or detectors.Options())
