"""Runs a search over a family's parameters on one data set."""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from tradeplane_engine import errors, simulation, sweep
from tradeplane_engine.core import costs
from tradeplane_engine.core import limits as risk_limits
from tradeplane_engine.data import readers
from tradeplane_engine.domain import numbers
from tradeplane_engine.measures import periods
from tradeplane_engine.study import evidence, scores
from tradeplane_engine.study import walk_forward as walking
from tradeplane_engine.study.found import Found
from tradeplane_engine.study.search import Search
from tradeplane_engine.study.strategies import strategy_of


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """A search.

    ```python
    found = study.Study("bars/", Cross, study.Grid({"fast": range(5, 30, 5), "slow": (50, 100)})).run(workers=4)
    found.best, found.save("out")
    ```

    Parameters
    ----------
    data : any source of :mod:`tradeplane_engine.data.readers`
    family : a strategy's class, or a function of parameters that returns a rule or a function over columns
    search : which parameters are tried
    cash : of the account, USD
    commission_bps, half_spread_bps : of a fill
    schedule : fees by date; with them the event engine runs every configuration
    limits : of the account
    fixed : parameters that are the same in every trial
    objective : the measure of daily returns that is looked for; more is better
    walk_forward : windows in which to choose and to trade; none unless given
    cache : folder of results by content: what it holds runs never again, and counts as tried
    """

    data: Any
    family: sweep.Family
    search: Search
    _: KW_ONLY
    cash: simulation.Usd = 100_000
    commission_bps: Fraction = Fraction(0)
    half_spread_bps: Fraction = Fraction(0)
    schedule: costs.Schedule | None = None
    limits: risk_limits.Limits = field(default_factory=risk_limits.Limits)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    objective: str = "sharpe"
    walk_forward: walking.WalkForward | None = None
    cache: Path | None = None

    def run(self, *, workers: int | sweep.Start = 1, progress: Callable[[sweep.Progress], None] | None = None) -> Found:
        """Try every parameter set that is not known yet, and weigh what was found; raises EngineError.

        Parameters
        ----------
        workers : processes of this machine, or what starts a pool (:func:`tradeplane_engine.sweep.started`)
        progress : called when trials are finished
        """
        loaded = readers.load(self.data)
        days = periods.days(np.unique(np.concatenate([one.available_at for one in loaded.series])))
        settings = self.settings()
        scorer = scores.Scorer(days, settings.cash, scores.objective(self.objective))
        if self.walk_forward is not None:
            self.walk_forward.windows(len(days.last))  # what cannot be is refused before anything runs
        runner = sweep.Runner(loaded.series, settings, ends=days.last, cache=self.cache)
        sets, outcomes, scored, known = self._tried(runner, scorer, workers, progress)
        tried = sweep.results(sets, outcomes, max(runner.trials, len(sets)))
        daily = scorer.returns(tried.curves)
        score = np.array(scored)
        if not np.isfinite(score).any():
            raise errors.ValueRefused(
                "objective", "defined for at least one configuration (does any of them trade?)", self.objective
            )
        best = int(np.nanargmax(score))
        return Found(
            study=self.describe(),
            tried=tried,
            cached=known,
            scores=score,
            measures=[scorer.measures(column) for column in daily.T],
            best_at=best,
            evidence=evidence.gather(scorer, daily, best, tried.trials),
            days=days.labels,
            data=f"sha256:{runner.data}",
            best_run=self.backtest(loaded, strategy_of(self.family), {**self.fixed, **sets[best]}),
            walked=None
            if self.walk_forward is None
            else walking.walk(self.walk_forward, self._walked(loaded), scorer, sets, daily),
        )

    def settings(self) -> sweep.Settings:
        """Return what every configuration runs under; raises ValueRefused."""
        cash = numbers.money(str(self.cash), field="cash")
        return sweep.Settings(cash, self.commission_bps, self.half_spread_bps, self.limits, schedule=self.schedule)

    def backtest(self, data: Any, kind: Any, parameters: Mapping[str, Any]) -> simulation.Backtest:
        """Return the event engine's run of a strategy under the same settings."""
        return simulation.Backtest(
            data,
            kind,
            cash=self.cash,
            parameters=parameters,
            costs=self.settings().costs(),
            limits=self.limits,
        )

    def _walked(self, loaded: readers.Loaded) -> walking.Trade:
        """Return what trades chosen parameters in their windows."""

        def trade(kind: Any, parameters: Mapping[str, Any]) -> simulation.Backtest:
            return self.backtest(loaded, kind, parameters)

        return walking.Trade(self.family, self.fixed, trade)

    def describe(self) -> dict[str, Any]:
        """Return what was searched, for the result."""
        return {
            "family": getattr(self.family, "__qualname__", repr(self.family)),
            "search": self.search.describe(),
            "objective": self.objective,
            "fixed": dict(self.fixed),
            "cash": str(self.cash),
            "commission_bps": str(self.commission_bps),
            "half_spread_bps": str(self.half_spread_bps),
            "fees": "" if self.schedule is None else repr(self.schedule),
        }

    def _tried(
        self,
        runner: sweep.Runner,
        scorer: scores.Scorer,
        workers: int | sweep.Start,
        progress: Callable[[sweep.Progress], None] | None,
    ) -> tuple[list[sweep.Parameters], list[sweep.Outcome], list[float], int]:
        """Return parameter sets, outcomes, scores, and how many the cache knew."""
        sets: list[sweep.Parameters] = []
        scored: list[float] = []
        outcomes: list[sweep.Outcome] = []
        known = 0
        batches = self.search.batches()
        batch = next(batches, None)
        with sweep.started(workers, runner.work) as pool:
            while batch is not None:
                before, last = len(sets), sweep.Progress(0, len(batch), len(batch))

                def told(now: sweep.Progress, before: int = before, known: int = known) -> None:
                    nonlocal last
                    last = now
                    if progress is not None:
                        progress(sweep.Progress(before + now.done, known + now.cached, self.search.count))

                made = [sweep.configuration(self.family, {**self.fixed, **one}) for one in batch]
                found = runner.outcomes(made, pool, told)
                known += last.cached
                sets += batch
                outcomes += found
                curves = np.array([one.curve for one in found], dtype=np.int64)
                scored += (last_scores := [scorer.score(column) for column in scorer.returns(curves).T])
                try:
                    batch = batches.send(last_scores)
                except StopIteration:
                    batch = None
        return sets, outcomes, scored, known
