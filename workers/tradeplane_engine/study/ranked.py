"""What a study tried, ranked, with what its heat maps show."""

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tradeplane_engine import simulation, sweep
from tradeplane_engine.measures import inputs
from tradeplane_engine.results import frames, result
from tradeplane_engine.study import evidence, walk_forward

FloatArray = inputs.FloatArray

_MOST_STEPS = 60  # of a heat map's side
_MOST_MAPS = 6


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Scores over two parameters (or one, with ``across`` empty), the others as in the best configuration.

    ``cells`` has a row per value of ``down``; NaN where nothing was tried.
    """

    down: str
    across: str
    rows: Sequence[Any]
    columns: Sequence[Any]
    cells: FloatArray
    fixed: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Ranked:
    """A study's result; configurations are in the order in which they were tried.

    Attributes
    ----------
    study : what was searched, and how
    tried : parameters, equity, fees, counts and curves; ``trials`` is the number ever tried on this data
    cached : configurations that the cache knew
    scores : shape (n,), the objective, NaN where it is undefined
    measures : of each configuration
    best_at : number of the best one
    evidence : how lucky that may be
    days : shape (days,), ns UTC, instants of the curves
    data : digest of the bars
    best_run : the best one as a backtest, not yet run
    walked : the walk-forward, where one was asked for
    """

    study: Mapping[str, Any]
    tried: sweep.Results
    cached: int
    scores: FloatArray
    measures: Sequence[Mapping[str, float | None]]
    best_at: int
    evidence: evidence.Evidence
    days: inputs.IntArray
    data: str
    best_run: simulation.Backtest
    walked: walk_forward.Walked | None

    def __len__(self) -> int:
        return len(self.tried)

    @property
    def best(self) -> dict[str, Any]:
        """Parameters of the best configuration."""
        return self.parameters(self.best_at)

    @functools.cached_property
    def best_result(self) -> result.Result:
        """The best configuration's own backtest, run when it is first asked for."""
        return self.best_run.run()

    def parameters(self, at: int) -> dict[str, Any]:
        """Return the parameters of a configuration."""
        return {name: values[at] for name, values in self.tried.parameters.items()}

    @functools.cached_property
    def ranking(self) -> list[int]:
        """Numbers of the configurations, the best first; those without a score last."""
        found: list[int] = np.argsort(-self.scores, kind="stable").tolist()
        return found

    @functools.cached_property
    def stability(self) -> tuple[FloatArray, FloatArray]:
        """Mean and least score of each configuration's neighbourhood, see :meth:`sweep.Results.stability`."""
        return self.tried.stability(self.scores)

    @functools.cached_property
    def maps(self) -> list[HeatMap]:
        """Heat maps of every pair of parameters that vary, at most six, each with at most sixty values."""
        varied = [
            name for name, values in self.tried.parameters.items() if 1 < len(set(map(repr, values))) <= _MOST_STEPS
        ]
        pairs = list(itertools.combinations(varied, 2)) or [(name, "") for name in varied]
        return [self._map(down, across) for down, across in pairs[:_MOST_MAPS]]

    def frame(self) -> Any:
        """Return a row per configuration: parameters, score, measures, neighbourhood, counts (polars, if installed)."""
        mean, least = self.stability
        columns: dict[str, Any] = {name: np.array(values) for name, values in self.tried.parameters.items()}
        for name in self.measures[0]:
            columns[name] = np.array([np.nan if one[name] is None else one[name] for one in self.measures], np.float64)
        columns |= {
            "neighbourhood_mean": mean,
            "neighbourhood_least": least,
            "equity": frames.Scaled(self.tried.equity.tolist()).array("float"),
            "fees": frames.Scaled(self.tried.fees.tolist()).array("float"),
            "fills": self.tried.fills,
            "by_events": np.array(self.tried.reasons, dtype=np.str_),
        }
        return frames.frame(columns)

    def _map(self, down: str, across: str) -> HeatMap:
        fixed = {name: value for name, value in self.best.items() if name not in {down, across}}
        if across:
            rows, columns, cells = self.tried.matrix(down, across, values=self.scores, fixed=fixed)
        else:
            pairs = dict(zip(self.tried.parameters[down], self.scores, strict=True))
            rows, columns = sorted(pairs, key=repr), [""]
            rows = sorted(pairs) if all(isinstance(one, int | float) for one in pairs) else rows
            cells = np.array([[pairs[one]] for one in rows])
        return HeatMap(down, across, rows, columns, cells, fixed)
