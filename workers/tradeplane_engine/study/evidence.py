"""How much of a search's best result may be luck: PSR, deflated Sharpe ratio, probability of overfitting."""

from dataclasses import dataclass

import numpy as np

from tradeplane_engine.measures import inputs, overfitting, returns, sharpe
from tradeplane_engine.report import evidence
from tradeplane_engine.study.scores import Scorer

FloatArray = inputs.FloatArray
_BLOCKS = 16
_MOST_CELLS = 100_000_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """Findings about the best configuration, and why one that a reader looks for is absent."""

    findings: tuple[evidence.Finding, ...]
    notes: tuple[str, ...]


def gather(scorer: Scorer, daily: FloatArray, best: int, trials: int) -> Evidence:
    """Return the evidence.

    Parameters
    ----------
    scorer : of the study
    daily : shape (days, n), returns of every configuration
    best : column of the best one
    trials : configurations ever tried on this data, at least n
    """
    notes = []
    ratios = [returns.sharpe(column, 1, 0.0) for column in daily.T]
    variance = sharpe.variance_of_trials(np.array([one for one in ratios if one is not None], dtype=np.float64))
    if variance is None:
        notes.append("no deflated Sharpe ratio: fewer than two configurations have a Sharpe ratio")
    search, why = _overfitting(daily)
    if why:
        notes.append(why)
    known = evidence.Known(None if variance is None else evidence.Trials(trials, variance), search)
    return Evidence(evidence.gather(scorer.sample(daily[:, best]), known, seed=0, draws=0), tuple(notes))


def _overfitting(daily: FloatArray) -> tuple[overfitting.Overfitting | None, str]:
    days, count = daily.shape
    blocks = min(_BLOCKS, days // 2 // 2 * 2)
    if count < 2 or blocks < 2:  # noqa: PLR2004 - a rank and a split need two
        return None, f"no probability of overfitting: {count} configurations over {days} days"
    if days * count > _MOST_CELLS:
        return None, f"no probability of overfitting: {days * count:,} returns are more than {_MOST_CELLS:,}"
    while blocks > 2 and days // blocks < 2:  # noqa: PLR2004 - a block needs two days
        blocks -= 2
    return overfitting.probability(daily, blocks=blocks), ""
