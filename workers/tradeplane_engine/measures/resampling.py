"""How far a measure could have come out otherwise: stationary block bootstrap of the returns, and reordered trades.

Seeds are parameters; the same seed and numpy give the same intervals.
Source of the bootstrap: Politis and Romano, J. Am. Stat. Assoc. 89 (1994): blocks of geometric length, wrapped around.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.measures import drawdowns, inputs, measure, registry
from tradeplane_engine.measures import sample as samples

FloatArray = inputs.FloatArray
# An interval of a measure that half of the draws cannot define would describe the other half only.
_DEFINED = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """Central interval of the draws."""

    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True, slots=True)
class Settings:
    """Parameters of a bootstrap.

    Parameters
    ----------
    seed : of numpy's PCG64
    draws : number of resampled series
    block : mean block length in periods; None takes the cube root of n, at least 1
    level : probability inside the interval
    """

    seed: int
    draws: int = 1000
    block: float | None = None
    level: float = 0.95

    def __post_init__(self) -> None:
        """Refuse parameters that give no interval."""
        if self.draws < 1:
            raise errors.ValueRefused("draws", "at least 1", self.draws)
        if self.block is not None and not self.block >= 1:
            raise errors.ValueRefused("block", "at least 1 period", self.block)
        if not 0 < self.level < 1:
            raise errors.ValueRefused("level", "between 0 and 1", self.level)


def rows(size: int, *, block: float, generator: np.random.Generator) -> inputs.IntArray:
    """Draw the sample numbers of one stationary bootstrap series; shape (size,)."""
    fresh = generator.random(size) < 1.0 / block
    fresh[0] = True
    begins = generator.integers(0, size, size)
    places = np.arange(size)
    last = np.maximum.accumulate(np.where(fresh, places, 0))
    found: inputs.IntArray = (begins[last] + places - last) % size
    return found


def intervals(run: inputs.Run, settings: Settings, names: Iterable[str] | None = None) -> dict[str, Interval | None]:
    """Percentile intervals of measures of the returns; pairs with the benchmark are drawn together.

    Parameters
    ----------
    names : measures whose ``redrawn`` is set; all of those without names

    Returns
    -------
    None for a measure that fewer than 95 % of the draws define.
    """
    chosen = [one for one in registry.find(names) if one.redrawn or names is not None]
    for one in chosen:
        if not one.redrawn:
            raise errors.ValueRefused("measure", "one that depends on the returns alone", one.name)
    size = run.curve.at.size
    if size < 2:  # noqa: PLR2004 - one period can only be drawn as itself
        return dict.fromkeys((one.name for one in chosen), None)
    generator = np.random.default_rng(settings.seed)
    block = settings.block or max(1.0, size ** (1 / 3))
    found = np.full((settings.draws, len(chosen)), np.nan)
    for draw in range(settings.draws):
        sample = samples.Sample(run, rows(size, block=block, generator=generator))
        for column, one in enumerate(chosen):
            value = measure.evaluate(one, sample)
            found[draw, column] = np.nan if value is None else value
    return {one.name: _interval(found[:, column], settings.level) for column, one in enumerate(chosen)}


@dataclass(frozen=True, slots=True)
class Reordered:
    """What the same trades could have done in another order.

    Parameters
    ----------
    observed : deepest drawdown in the order that happened, fraction of equity
    median, worst : 50 % and 5 % quantiles of the deepest drawdown over the draws
    deeper : share of draws with a drawdown at least as deep as the observed one
    ruined : share of draws that lost all capital on the way
    final : central 95 % interval of the final equity, USD; a point where trades are only reordered
    draws : number of draws
    """

    observed: float
    median: float
    worst: float
    deeper: float
    ruined: float
    final: Interval
    draws: int


def reorder(pnl: FloatArray, *, start: float, seed: int, draws: int = 1000, replace: bool = False) -> Reordered | None:
    """Shuffle the P&L of trades (or draw it with replacement); None without trades.

    Parameters
    ----------
    pnl : shape (n,), USD per trade in the order of exits; sizes stay as they were, nothing is reinvested
    start : USD before the first trade, positive
    """
    if draws < 1:
        raise errors.ValueRefused("draws", "at least 1", draws)
    if not start > 0:
        raise errors.ValueRefused("start", "a positive amount", start)
    if pnl.size == 0:
        return None
    generator = np.random.default_rng(seed)
    falls, finals = np.empty(draws), np.empty(draws)
    for draw in range(draws):
        drawn = generator.choice(pnl, pnl.size, replace=True) if replace else generator.permutation(pnl)
        falls[draw], finals[draw] = _walk(drawn, start)
    observed, _ = _walk(pnl, start)
    return Reordered(
        observed=observed,
        median=float(np.median(falls)),
        worst=float(np.quantile(falls, 0.05)),
        deeper=float(np.mean(falls <= observed)),
        ruined=float(np.mean(falls <= -1)),
        final=Interval(*(float(value) for value in np.quantile(finals, (0.025, 0.975)))),
        draws=draws,
    )


def _walk(pnl: FloatArray, start: float) -> tuple[float, float]:
    wealth = 1.0 + np.cumsum(pnl) / start
    return max(-1.0, float(drawdowns.series(wealth).min())), float(wealth[-1] * start)


def _interval(values: FloatArray, level: float) -> Interval | None:
    defined = values[np.isfinite(values)]
    if defined.size < _DEFINED * values.size:
        return None
    edge = (1.0 - level) / 2
    low, high = np.quantile(defined, (edge, 1.0 - edge))
    return Interval(float(low), float(high), level)
