"""Walk-forward: the best parameters of one stretch of days trade the next one, again and again.

The choice looks at the days of its training window only. The stitched choices run as one backtest: its result is what
somebody would have got who had chosen that way, orders and costs of each change included.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tradeplane_engine import errors, simulation, sweep
from tradeplane_engine.results import result
from tradeplane_engine.study import stitched
from tradeplane_engine.study.scores import FloatArray, IntArray, Scorer


@dataclass(frozen=True, slots=True)
class Window:
    """Numbers of days: those that are looked at, and the first and last + 1 of those that are traded."""

    training: IntArray
    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class WalkForward:
    """Windows in days with bars; raises ValueRefused for what is none.

    Parameters
    ----------
    train : days that a choice looks at
    test : days that it then trades
    purge : days before a test that are not looked at, as what was begun in them ends in the test
    embargo : days after a test that later choices do not look at
    anchored : whether training begins with the first day, always
    """

    train: int
    test: int
    purge: int = 0
    embargo: int = 0
    anchored: bool = False

    def __post_init__(self) -> None:
        """Refuse lengths that are none."""
        for name, least in (("train", 2), ("test", 1), ("purge", 0), ("embargo", 0)):
            if getattr(self, name) < least:
                raise errors.ValueRefused(f"walk_forward.{name}", f"{least} or more days", getattr(self, name))

    def windows(self, days: int) -> list[Window]:
        """Divide so many days; the last test may be shorter. Raises ValueRefused where not even one fits."""
        found: list[Window] = []
        for first in range(self.train + self.purge, days, self.test):
            stop = first - self.purge
            kept = np.arange(0 if self.anchored else stop - self.train, stop)
            for one in found:
                kept = kept[(kept < one.stop) | (kept >= one.stop + self.embargo)]
            if len(kept) < 2:  # noqa: PLR2004 - a deviation needs two
                raise errors.ValueRefused("walk_forward.embargo", "what leaves two days of training", self.embargo)
            found.append(Window(kept, first, min(first + self.test, days)))
        if not found:
            limit = f"shorter than the {days} days of the data"
            raise errors.ValueRefused("walk_forward.train + purge", limit, self.train + self.purge)
        return found


@dataclass(frozen=True, slots=True)
class Choice:
    """What one window chose; instants in ns UTC, the ends of its first and last days.

    ``parameters`` is None, and nothing was traded, where no configuration had a score in the training.
    """

    trained: tuple[int, int]
    tested: tuple[int, int]
    parameters: Mapping[str, Any] | None
    inside: float
    outside: float


@dataclass(frozen=True, slots=True, eq=False)
class Walked:
    """The whole walk.

    Parameters
    ----------
    settings : of the windows
    choices : window by window; ``inside`` and ``outside`` are the objective in training and in the stitched test
    measures : of the stitched run over all tested days
    result : of the stitched run
    """

    settings: WalkForward
    choices: tuple[Choice, ...]
    measures: Mapping[str, float | None]
    result: result.Result

    @property
    def efficiency(self) -> float:
        """Mean objective in the tests as a share of that in the trainings; NaN where that is not positive."""
        pairs = [one for one in self.choices if math.isfinite(one.inside) and math.isfinite(one.outside)]
        inside = sum(one.inside for one in pairs)
        return sum(one.outside for one in pairs) / inside if inside > 0 else math.nan


@dataclass(frozen=True, slots=True)
class Trade:
    """What runs the choices: the family, parameters that are the same in every trial, and what makes a backtest."""

    family: sweep.Family
    fixed: Mapping[str, Any]
    backtest: Callable[[Any, Mapping[str, Any]], simulation.Backtest]


def walk(
    settings: WalkForward, trade: Trade, scorer: Scorer, sets: Sequence[sweep.Parameters], daily: FloatArray
) -> Walked:
    """Choose in every window and trade the choices.

    Parameters
    ----------
    settings, trade, scorer : of the study
    sets : parameters that were tried
    daily : shape (days, n), their returns
    """
    windows = settings.windows(len(scorer.ends))
    chosen = [_best(scorer, daily, window.training) for window in windows]
    ends = scorer.ends
    parts = [
        {
            "after": int(scorer.days.last[window.first - 1]),
            "until": int(scorer.days.last[window.stop - 1]),
            "parameters": {**trade.fixed, **sets[at]},
        }
        for window, (at, _) in zip(windows, chosen, strict=True)
        if at is not None
    ]
    found = trade.backtest(stitched.stitch(trade.family), {"windows": parts}).run()
    returns = found.run.curve.returns()
    choices = tuple(
        Choice(
            trained=(int(ends[window.training[0]]), int(ends[window.training[-1]])),
            tested=(int(ends[window.first]), int(ends[window.stop - 1])),
            parameters=None if at is None else sets[at],
            inside=score,
            outside=scorer.score(returns, np.arange(window.first, window.stop)),
        )
        for window, (at, score) in zip(windows, chosen, strict=True)
    )
    tested = np.arange(windows[0].first, len(ends))
    return Walked(settings, choices, scorer.measures(returns, tested), found)


def _best(scorer: Scorer, daily: FloatArray, days: IntArray) -> tuple[int | None, float]:
    """Return the best configuration of some days and its score; the first of equal ones."""
    found = np.array([scorer.score(column, days) for column in daily.T])
    if not np.isfinite(found).any():
        return None, math.nan
    at = int(np.nanargmax(found))
    return at, float(found[at])
