"""Probability of backtest overfitting by combinatorially symmetric cross-validation (Bailey et al. 2017).

1. Cut the T x N matrix of trial returns into an even number of blocks of rows.
2. For each choice of half of the blocks: the best trial in sample by Sharpe ratio (ddof 1).
3. Its rank among the N trials out of sample (1 = worst, average of ties): w = rank / (N + 1), logit = ln(w / (1 - w)).
4. The probability is the share of logits that are at most 0: the winner ended in the lower half.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.measures import inputs

FloatArray = inputs.FloatArray
_FEWEST_TRIALS = 2
_MOST_BLOCKS = 20
_CHUNK = 512
# Sums of squares lose digits; below this share of mean^2 a variance is rounding.
_ROUNDING = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Overfitting:
    """Result of the test.

    Parameters
    ----------
    probability : share of splits whose winner ranked in the lower half out of sample
    logits : shape (n_splits,)
    trials : number of columns
    """

    probability: float
    logits: FloatArray
    trials: int

    @property
    def median_logit(self) -> float:
        """Median of the logits; positive means that winners stayed good."""
        return float(np.median(self.logits))


def probability(trials: FloatArray, *, blocks: int = 16) -> Overfitting:
    """Estimate how often the best trial in sample is below the median out of sample.

    Parameters
    ----------
    trials : shape (T, N), returns of every trial ever made in the same periods, fraction, finite
    blocks : even number of blocks, at most 20; rows left over by the division are dropped from the start

    Raises
    ------
    ValueRefused : a shape or number of blocks that cannot be split
    """
    if trials.ndim != 2 or trials.shape[1] < _FEWEST_TRIALS:  # noqa: PLR2004 - a matrix
        raise errors.ValueRefused("trials", "of shape (T, N) with N at least 2", trials.shape)
    if not np.isfinite(trials).all():
        raise errors.ValueRefused("trials", "finite", "a value that is not")
    if blocks % 2 or not _FEWEST_TRIALS <= blocks <= _MOST_BLOCKS:
        raise errors.ValueRefused("blocks", f"even, from 2 to {_MOST_BLOCKS}", blocks)
    size = trials.shape[0] // blocks
    if size * blocks < 2 * blocks:
        raise errors.ValueRefused("trials", f"at least {2 * blocks} rows for {blocks} blocks", trials.shape[0])
    cut = trials[trials.shape[0] - size * blocks :].reshape(blocks, size, trials.shape[1])
    sums, squares = cut.sum(axis=1), (cut**2).sum(axis=1)
    count = size * blocks // 2
    chosen = np.zeros((math.comb(blocks, blocks // 2), blocks))
    for row, picked in enumerate(itertools.combinations(range(blocks), blocks // 2)):
        chosen[row, list(picked)] = 1.0
    logits = np.concatenate(
        [
            _logits(
                _ratios(part @ sums, part @ squares, count),
                _ratios((1.0 - part) @ sums, (1.0 - part) @ squares, count),
            )
            for part in np.split(chosen, range(_CHUNK, len(chosen), _CHUNK))
        ]
    )
    return Overfitting(float(np.mean(logits <= 0)), logits, trials.shape[1])


def _ratios(sums: FloatArray, squares: FloatArray, count: int) -> FloatArray:
    """Sharpe ratio per split and trial; one that never moves has 0, one that moves without risk is infinite."""
    mean = sums / count
    variance = (squares - count * mean**2) / (count - 1)
    flat = variance <= _ROUNDING * mean**2
    # Infinity only ranks here; it never leaves as a value.
    still = np.where(mean == 0, 0.0, np.copysign(np.inf, mean))
    return np.where(flat, still, mean / np.sqrt(np.where(flat, 1.0, variance)))


def _logits(inside: FloatArray, outside: FloatArray) -> FloatArray:
    winner = outside[np.arange(len(inside)), np.argmax(inside, axis=1)][:, None]
    rank = (outside < winner).sum(axis=1) + ((outside == winner).sum(axis=1) + 1) / 2
    share = rank / (outside.shape[1] + 1)
    found: FloatArray = np.log(share / (1.0 - share))
    return found
