"""Who runs the configurations of a sweep: this process, or several.

A pool takes chunks and gives back what each came to, as they finish. Other pools (on several machines) have the same
two methods; the engine knows none of them.
"""

import concurrent.futures
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import orjson

from tradeplane_engine import errors, scripts
from tradeplane_engine.core.table import Table
from tradeplane_engine.data.series import COLUMNS, Series
from tradeplane_engine.sweep.coded import Coded
from tradeplane_engine.sweep.evaluator import Configuration, Evaluator, Outcome
from tradeplane_engine.sweep.settings import Settings

IntArray = npt.NDArray[np.int64]
Chunk = Sequence[Configuration]


class Pool(Protocol):
    """Runs chunks of configurations."""

    def finished(self, chunks: Sequence[Chunk]) -> Iterator[tuple[int, list[Outcome]]]:
        """Yield each chunk's number and outcomes as it finishes."""


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """What every configuration needs: the bars, what it runs under, and the instants (ns) of its curve."""

    data: Sequence[Series]
    settings: Settings
    ends: IntArray

    def evaluator(self) -> Evaluator:
        """Return what runs configurations in this process."""
        return Evaluator(Table(self.data), self.settings, self.ends)


Start = Callable[[Work], AbstractContextManager[Pool]]


def started(workers: int | Start, work: Work) -> AbstractContextManager[Pool]:
    """Return a pool; raises ValueRefused for less than one process.

    Parameters
    ----------
    workers : processes of this machine, or what starts another pool; more than one process starts new interpreters, so
        that a script needs its ``__main__`` guard, and classes and functions must be found by name in a file
    work : what the pool's configurations run on
    """
    if callable(workers):
        return workers(work)
    if workers < 1:
        raise errors.ValueRefused("workers", "1 or more", workers)
    return contextlib.nullcontext(Here(work)) if workers == 1 else Processes(work, workers)


class Here:
    """The process that asks."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._evaluator: Evaluator | None = None

    def finished(self, chunks: Sequence[Chunk]) -> Iterator[tuple[int, list[Outcome]]]:
        """Run one chunk after the other."""
        for number, chunk in enumerate(chunks):
            if self._evaluator is None:
                self._evaluator = self._work.evaluator()
            yield number, self._evaluator.outcomes(chunk)


class Processes(AbstractContextManager["Processes"]):
    """Processes of this machine, started when there is something to do for more than one."""

    def __init__(self, work: Work, count: int) -> None:
        self._work = work
        self._count = count
        self._here = Here(work)
        self._open = contextlib.ExitStack()
        self._pool: concurrent.futures.ProcessPoolExecutor | None = None

    def finished(self, chunks: Sequence[Chunk]) -> Iterator[tuple[int, list[Outcome]]]:
        """Run chunks side by side; a single one runs here."""
        if len(chunks) <= 1:
            yield from self._here.finished(chunks)
            return
        for one in chunks[0]:
            _refuse_homeless(one)
        pool = self._started()
        waiting = {pool.submit(_work, list(chunk)): number for number, chunk in enumerate(chunks)}
        try:
            for future in concurrent.futures.as_completed(waiting):
                yield waiting[future], future.result()
        finally:
            for future in waiting:
                future.cancel()

    def _started(self) -> concurrent.futures.ProcessPoolExecutor:
        if self._pool is None:
            folder = self._open.enter_context(tempfile.TemporaryDirectory(prefix="tradeplane-sweep-"))
            _save(self._work, Path(folder))
            arguments = (folder, self._work.settings, scripts.files())
            context = multiprocessing.get_context("spawn")
            self._pool = concurrent.futures.ProcessPoolExecutor(
                self._count, context, initializer=_prepare, initargs=arguments
            )
            self._open.callback(self._pool.shutdown, wait=True, cancel_futures=True)
        return self._pool

    def __exit__(self, *_: object) -> None:
        self._open.close()


def _refuse_homeless(one: Configuration) -> None:
    """Refuse code that was typed into a notebook or a prompt: another process cannot find it."""
    code = one.kind if isinstance(one, Coded) else getattr(one, "function", None)
    file = getattr(sys.modules["__main__"], "__file__", None)  # a prompt that is piped has one that is none
    if getattr(code, "__module__", "") == "__main__" and not (file and Path(file).is_file()):
        raise errors.ValueRefused("workers", "1 for code that is in no file", getattr(code, "__name__", code))


_evaluator: list[Evaluator] = []  # of a worker process


def _save(work: Work, folder: Path) -> None:
    for name in COLUMNS:
        np.save(folder / f"{name}.npy", np.concatenate([getattr(one, name) for one in work.data]))
    np.save(folder / "ends.npy", work.ends)
    found = [[one.symbol, one.digits, one.timeframe, len(one)] for one in work.data]
    (folder / "series.json").write_bytes(orjson.dumps(found))


def _prepare(folder: str, settings: Settings, files: Sequence[str]) -> None:
    """Open the table in a worker; its columns stay on disk, mapped, and every worker shares them."""
    _end_with_parent()
    for file in files:
        scripts.run(file)
    path = Path(folder)
    columns: dict[str, Any] = {name: np.load(path / f"{name}.npy", mmap_mode="r") for name in COLUMNS}
    data: list[Series] = []
    first = 0
    for symbol, digits, timeframe, rows in orjson.loads((path / "series.json").read_bytes()):
        own = {name: column[first : first + rows] for name, column in columns.items()}
        data.append(Series(symbol=symbol, digits=digits, timeframe=timeframe, **own))
        first += rows
    _evaluator[:] = [Work(data, settings, np.load(path / "ends.npy")).evaluator()]


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, killed too: nobody would read its answers."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            multiprocessing.connection.wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def _work(configurations: list[Configuration]) -> list[Outcome]:
    return _evaluator[0].outcomes(configurations)
