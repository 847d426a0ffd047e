"""Runs a sweep: what is known comes from the cache, the rest runs here or in worker processes.

Finished chunks go to the cache before the next one is reported, so a killed sweep that is started again goes on where
it was. The answer does not depend on the number of workers or on what the cache knew.
"""

import concurrent.futures
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors
from tradeplane_engine.core.table import COLUMNS, Table
from tradeplane_engine.data.series import Series, digest
from tradeplane_engine.rules.function import Function
from tradeplane_engine.rules.rule import Rule
from tradeplane_engine.sweep.cache import Cache, key_of
from tradeplane_engine.sweep.evaluator import Evaluator, Outcome
from tradeplane_engine.sweep.results import Results, results
from tradeplane_engine.sweep.settings import Settings
from tradeplane_engine.sweep.space import Parameters

IntArray = npt.NDArray[np.int64]
Chunk = list[tuple[int, Rule | Function]]

_CHUNK = 32  # configurations that run, are kept and are reported together


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is: configurations done, those of them that the cache knew, and all."""

    done: int
    cached: int
    total: int


class Sweep:
    """Many configurations of one family on one data set.

    Parameters
    ----------
    data : one series per symbol
    family : called with each parameter set by name; returns a rule or a function over columns
    parameters : sets of parameters with the same names, such as :func:`~tradeplane_engine.sweep.space.grid` gives
    settings : cash, costs and limits
    ends : instants (ns, ascending) at which each configuration's equity is wanted, such as session closes
    cache : folder of results by content; without one nothing is kept

    Raises
    ------
    errors.ValueRefused for parameter sets of different names, and for what the family or a rule refuses.
    """

    def __init__(
        self,
        data: Sequence[Series],
        family: Callable[..., Rule | Function],
        parameters: Sequence[Parameters],
        settings: Settings,
        *,
        ends: IntArray | None = None,
        cache: Path | None = None,
    ) -> None:
        self.data = tuple(data)
        self.table = Table(data)
        self.parameters = list(parameters)
        self.settings = settings
        self.ends = np.zeros(0, dtype=np.int64) if ends is None else np.ascontiguousarray(ends, dtype=np.int64)
        if len(self.ends) > 1 and bool((self.ends[1:] <= self.ends[:-1]).any()):
            raise errors.ValueRefused(
                "ends", "ascending instants", int(self.ends[1:][self.ends[1:] <= self.ends[:-1]][0])
            )
        self.cache = cache
        self.configurations = [self._made(family, one) for one in self.parameters]

    def run(self, *, workers: int = 1, progress: Callable[[Progress], None] | None = None) -> Results:
        """Run what is not known yet and return all results, in the order of the parameter sets.

        Parameters
        ----------
        workers : processes; more than one starts new interpreters, so that a script needs its ``__main__`` guard, and
            functions must be found by name in a module
        progress : called after each chunk
        """
        if workers < 1:
            raise errors.ValueRefused("workers", "1 or more", workers)
        total = len(self.configurations)
        found: list[Outcome | None] = [None] * total
        kept: Cache | None = None
        keys: list[str] = []
        if self.cache is not None:
            data = digest(self.data)
            kept = Cache(self.cache, data)
            keys = [key_of(one, data, self.settings, self.ends) for one in self.configurations]
            found = [kept.get(key) for key in keys]
        cached = done = sum(outcome is not None for outcome in found)
        missing = [(at, one) for at, one in enumerate(self.configurations) if found[at] is None]
        chunks = [missing[start : start + _CHUNK] for start in range(0, len(missing), _CHUNK)]
        for numbers, outcomes in self._finished(chunks, workers):
            for at, outcome in zip(numbers, outcomes, strict=True):
                found[at] = outcome
            if kept is not None:
                kept.put((keys[at], outcome) for at, outcome in zip(numbers, outcomes, strict=True))
            done += len(numbers)
            if progress is not None:
                progress(Progress(done, cached, total))
        complete = [outcome for outcome in found if outcome is not None]
        return results(self.parameters, complete, len(kept) if kept is not None else total)

    def _finished(self, chunks: list[Chunk], workers: int) -> Iterator[tuple[list[int], list[Outcome]]]:
        """Chunks as they finish: the numbers of their configurations, and what each came to."""
        if workers == 1 or len(chunks) <= 1:
            evaluator = Evaluator(self.table, self.settings, self.ends) if chunks else None
            for chunk in chunks:
                assert evaluator is not None  # noqa: S101 - there are chunks
                yield [at for at, _ in chunk], evaluator.outcomes([one for _, one in chunk])
            return
        with tempfile.TemporaryDirectory(prefix="tradeplane-sweep-") as folder:
            _save(self.table, Path(folder))
            context = multiprocessing.get_context("spawn")
            with concurrent.futures.ProcessPoolExecutor(
                workers, context, initializer=_prepare, initargs=(folder, self.settings, self.ends)
            ) as pool:
                waiting = {pool.submit(_work, [one for _, one in chunk]): chunk for chunk in chunks}
                try:
                    for future in concurrent.futures.as_completed(waiting):
                        yield [at for at, _ in waiting[future]], future.result()
                finally:
                    pool.shutdown(wait=True, cancel_futures=True)

    def _made(self, family: Callable[..., Rule | Function], parameters: Parameters) -> Rule | Function:
        if parameters.keys() != self.parameters[0].keys():
            raise errors.ValueRefused("parameters", f"{', '.join(self.parameters[0])} in every set", parameters)
        made = family(**parameters)
        if not isinstance(made, Rule | Function):
            raise errors.ValueRefused("family", "a function that returns a rule or a function over columns", made)
        return made


_evaluator: list[Evaluator] = []  # of a worker process


def _save(table: Table, folder: Path) -> None:
    for name in COLUMNS:
        np.save(folder / f"{name}.npy", table.columns[name])
    np.save(folder / "starts.npy", table.starts)
    np.save(folder / "digits.npy", np.array(table.digits, dtype=np.int64))
    np.save(folder / "timeframes.npy", np.array(table.timeframes, dtype=np.int64))
    (folder / "symbols").write_text("\n".join(table.symbols))


def _prepare(folder: str, settings: Settings, ends: IntArray) -> None:
    """Open the table in a worker; its columns stay on disk, mapped, and every worker shares them."""
    path = Path(folder)
    columns: dict[str, Any] = {name: np.load(path / f"{name}.npy", mmap_mode="r") for name in COLUMNS}
    starts = np.load(path / "starts.npy").tolist()
    parts = zip((path / "symbols").read_text().split("\n"), starts[:-1], starts[1:], strict=True)
    each = zip(*(np.load(path / f"{name}.npy").tolist() for name in ("digits", "timeframes")), strict=True)
    data = [
        Series(
            symbol=symbol,
            digits=digits,
            timeframe=timeframe,
            **{name: column[first:stop] for name, column in columns.items()},
        )
        for (symbol, first, stop), (digits, timeframe) in zip(parts, each, strict=True)
    ]
    _evaluator[:] = [Evaluator(Table(data), settings, ends)]


def _work(configurations: list[Rule | Function]) -> list[Outcome]:
    return _evaluator[0].outcomes(configurations)
