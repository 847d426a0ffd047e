"""Rank correlation of scores with what happened, per timestamp."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def rank_ic(scores: FloatArray, outcomes: FloatArray, groups: npt.NDArray[np.int64], *, least: int = 4) -> FloatArray:
    """Spearman correlation per group (timestamp) with at least ``least`` members; a constant side gives no value.

    Parameters
    ----------
    scores, outcomes, groups : shape (n,), no NaN

    Returns
    -------
    shape (n_groups_used,), in the order of the groups.
    """
    found = []
    for group in np.unique(groups):
        members = groups == group
        if int(members.sum()) >= least:
            value = spearman(scores[members].tolist(), outcomes[members].tolist())
            if value is not None:
                found.append(value)
    return np.array(found, dtype=np.float64)


def spearman(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Spearman correlation with average ranks for ties; None where a side is constant."""
    one, two = _ranks(left), _ranks(right)
    one, two = one - one.mean(), two - two.mean()
    spread = float(np.sqrt((one @ one) * (two @ two)))
    return float(one @ two) / spread if spread else None


def _ranks(values: Sequence[float]) -> FloatArray:
    column = np.asarray(values, dtype=np.float64)
    less = (column[None, :] < column[:, None]).sum(axis=1)
    equal = (column[None, :] == column[:, None]).sum(axis=1)
    ranks: FloatArray = less + (equal + 1) / 2
    return ranks
