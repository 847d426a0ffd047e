"""Is the timing better than chance? The same trades at random bars.

1. Keep each trade's symbol, side and number of bars; draw its entry uniformly from the bars where it fits.
2. The statistic is the mean return per trade, before costs, which timing does not change.
3. p = (1 + draws at least as good as observed) / (1 + draws), so it is never 0.

Entries are drawn independently, so random trades of one symbol may overlap; a drift of the symbol is in both sides.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.measures import inputs

FloatArray = inputs.FloatArray
_AT_ONCE = 2**22


@dataclass(frozen=True, slots=True)
class Significance:
    """Result of the test.

    Parameters
    ----------
    observed : mean return per trade, fraction
    expected : mean of that over the draws
    p_value : probability of a random timing that does as well
    trades, draws : how many of each
    """

    observed: float
    expected: float
    p_value: float
    trades: int
    draws: int


def significance(
    trades: inputs.Trades, bar_returns: Mapping[str, FloatArray], *, seed: int, draws: int = 1000
) -> Significance | None:
    """Compare the trades' mean return with random entries; None without trades.

    Parameters
    ----------
    trades : round trips; ``bars`` is the holding period, at least 1 is used
    bar_returns : simple return of each bar by symbol, shape (n_bars,), above -1

    Raises
    ------
    ValueRefused : a symbol without bars, or with fewer than a trade was held
    """
    if draws < 1:
        raise errors.ValueRefused("draws", "at least 1", draws)
    if len(trades) == 0:
        return None
    generator = np.random.default_rng(seed)
    sums = np.zeros(draws)
    for symbol in sorted(set(trades.symbol.tolist())):
        rows = trades.symbol == symbol
        sums += _drawn(
            _levels(symbol, bar_returns),
            held=np.maximum(trades.bars[rows], 1),
            side=trades.side[rows],
            generator=generator,
            draws=draws,
        )
    found = sums / len(trades)
    observed = float(np.mean(trades.side * (trades.exit_price / trades.entry_price - 1.0)))
    better = int(np.sum(found >= observed))
    return Significance(observed, float(found.mean()), (1 + better) / (1 + draws), len(trades), draws)


def _levels(symbol: str, bar_returns: Mapping[str, FloatArray]) -> FloatArray:
    """Log wealth before each bar and after the last, shape (n_bars + 1,)."""
    values = bar_returns.get(symbol)
    if values is None:
        raise errors.ValueRefused("bar_returns", "one series for each traded symbol", symbol)
    if not (np.isfinite(values).all() and (values > -1).all()):
        raise errors.ValueRefused(f"bar_returns.{symbol}", "finite and above -1", "a value that is not")
    return np.concatenate(([0.0], np.cumsum(np.log1p(values))))


def _drawn(
    levels: FloatArray,
    *,
    held: inputs.IntArray,
    side: inputs.IntArray,
    generator: np.random.Generator,
    draws: int,
) -> FloatArray:
    """Sum of the returns of one symbol's trades at random entries; shape (draws,)."""
    room = levels.size - held
    if (room < 1).any():
        raise errors.ValueRefused("trades.bars", f"at most {levels.size - 1}, the bars of its symbol", int(held.max()))
    found = np.empty(draws)
    step = max(1, _AT_ONCE // held.size)
    for first in range(0, draws, step):
        count = min(step, draws - first)
        entry = generator.integers(0, room, size=(count, held.size))
        gains = np.expm1(levels[entry + held] - levels[entry])
        found[first : first + count] = (gains * side).sum(axis=1)
    return found
