"""Runs a sweep: what is known comes from the cache, the rest runs here, in worker processes or on other machines.

Finished chunks go to the cache before the next one is reported, so a killed sweep that is started again goes on where
it was. The answer does not depend on the number of workers or on what the cache knew.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors, strategy
from tradeplane_engine.data.series import Series, digest
from tradeplane_engine.rules.function import Function
from tradeplane_engine.rules.rule import Rule
from tradeplane_engine.sweep import workers as pools
from tradeplane_engine.sweep.cache import Cache, key_of
from tradeplane_engine.sweep.coded import Coded
from tradeplane_engine.sweep.evaluator import Configuration, Outcome
from tradeplane_engine.sweep.results import Results, results
from tradeplane_engine.sweep.settings import Settings
from tradeplane_engine.sweep.space import Parameters

IntArray = npt.NDArray[np.int64]
Family = type[strategy.Strategy] | Callable[..., Rule | Function]

_CHUNK = 32  # configurations that run, are kept and are reported together; of code only one, as each is a whole run


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is: configurations done, those of them that the cache knew, and all."""

    done: int
    cached: int
    total: int


class Runner:
    """Runs configurations on one data set, none of them twice.

    Parameters
    ----------
    data : one series per symbol
    settings : cash, costs and limits
    ends : instants (ns, ascending) at which each configuration's equity is wanted, such as session closes
    cache : folder of results by content; without one nothing is kept
    """

    def __init__(
        self, data: Sequence[Series], settings: Settings, *, ends: IntArray | None = None, cache: Path | None = None
    ) -> None:
        found = np.zeros(0, dtype=np.int64) if ends is None else np.ascontiguousarray(ends, dtype=np.int64)
        if len(found) > 1 and bool((found[1:] <= found[:-1]).any()):
            raise errors.ValueRefused("ends", "ascending instants", int(found[1:][found[1:] <= found[:-1]][0]))
        self.work = pools.Work(tuple(data), settings, found)
        self.data = digest(data)
        self._cache = None if cache is None else Cache(cache, self.data)
        self._tried = 0

    @property
    def trials(self) -> int:
        """Configurations ever tried on this data, those of earlier sweeps in the cache included."""
        return self._tried if self._cache is None else len(self._cache)

    def outcomes(
        self,
        configurations: Sequence[Configuration],
        pool: pools.Pool,
        progress: Callable[[Progress], None] | None = None,
    ) -> list[Outcome]:
        """Return what each configuration came to, in their order."""
        total = len(configurations)
        found: list[Outcome | None] = [None] * total
        keys: list[str] = []
        if self._cache is not None:
            keys = [key_of(one, self.data, self.work.settings, self.work.ends) for one in configurations]
            found = [self._cache.get(key) for key in keys]
        cached = done = sum(outcome is not None for outcome in found)
        chunks = _chunks([(at, one) for at, one in enumerate(configurations) if found[at] is None])
        for number, outcomes in pool.finished([[one for _, one in chunk] for chunk in chunks]):
            places = [at for at, _ in chunks[number]]
            for at, outcome in zip(places, outcomes, strict=True):
                found[at] = outcome
            if self._cache is not None:
                self._cache.put((keys[at], outcome) for at, outcome in zip(places, outcomes, strict=True))
            done += len(places)
            if progress is not None:
                progress(Progress(done, cached, total))
        self._tried += total
        return [outcome for outcome in found if outcome is not None]


class Sweep:
    """Many configurations of one family on one data set.

    Parameters
    ----------
    data, settings, ends, cache : of the :class:`Runner`
    family : a strategy's class, or what is called with each parameter set by name and returns a rule or a function
        over columns
    parameters : sets of parameters with the same names, such as :func:`~tradeplane_engine.sweep.space.grid` gives

    Raises
    ------
    errors.ValueRefused for parameter sets of different names, and for what the family or a rule refuses.
    """

    def __init__(
        self,
        data: Sequence[Series],
        family: Family,
        parameters: Sequence[Parameters],
        settings: Settings,
        *,
        ends: IntArray | None = None,
        cache: Path | None = None,
    ) -> None:
        self.runner = Runner(data, settings, ends=ends, cache=cache)
        self.parameters = list(parameters)
        self.configurations = [self._made(family, one) for one in self.parameters]

    def run(self, *, workers: int | pools.Start = 1, progress: Callable[[Progress], None] | None = None) -> Results:
        """Run what is not known yet and return all results, in the order of the parameter sets.

        Parameters
        ----------
        workers : see :func:`~tradeplane_engine.sweep.workers.started`
        progress : called after each chunk
        """
        with pools.started(workers, self.runner.work) as pool:
            found = self.runner.outcomes(self.configurations, pool, progress)
        return results(self.parameters, found, self.runner.trials)

    def _made(self, family: Family, parameters: Parameters) -> Configuration:
        if parameters.keys() != self.parameters[0].keys():
            raise errors.ValueRefused("parameters", f"{', '.join(self.parameters[0])} in every set", parameters)
        return configuration(family, parameters)


def configuration(family: Family, parameters: Parameters) -> Configuration:
    """Return what a family makes of parameters; raises ValueRefused where that is nothing to run."""
    if isinstance(family, type) and issubclass(family, strategy.Strategy):
        return Coded(family, parameters)
    try:
        made = family(**parameters)
    except TypeError as error:
        raise errors.ValueRefused("family", f"a function of {', '.join(parameters)}", str(error)) from error
    if not isinstance(made, Rule | Function):
        limit = "a strategy's class, or a function that returns a rule or a function over columns"
        raise errors.ValueRefused("family", limit, made)
    return made


def _chunks(missing: list[tuple[int, Configuration]]) -> list[list[tuple[int, Configuration]]]:
    size = 1 if missing and isinstance(missing[0][1], Coded) else _CHUNK
    return [missing[start : start + size] for start in range(0, len(missing), size)]
