"""Runs the configurations of a sweep as tasks of a Ray, on as many machines as it has.

The bars are sent once and every worker reads them from the object store. Code that was loaded from a file travels by
value, as the file is on no other machine; tradeplane itself must be installed there.
"""

import contextlib
import logging
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import ray
from ray import cloudpickle

from tradeplane_engine import errors, scripts, sweep

Chunk = Sequence[sweep.Configuration]
_CONNECT_S = 5.0


def start(address: str) -> sweep.Start:
    """Return what connects to a Ray and starts a pool on it.

    Parameters
    ----------
    address : ``host:port`` of a node of which this machine is one, or ``ray://host:port`` from outside
    """

    @contextlib.contextmanager
    def started(work: sweep.Work) -> Iterator[sweep.Pool]:
        _knock(address)
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise errors.ValueRefused("--ray", "the address of a running Ray", f"{address} ({error})") from error
        try:
            yield _Pool(work)
        finally:
            ray.shutdown()

    return started


def _knock(address: str) -> None:
    """Raise ValueRefused where nobody listens: Ray itself would try for half a minute and more."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise errors.ValueRefused("--ray", "host:port or ray://host:port", address)
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise errors.ValueRefused("--ray", "the address of a running Ray", f"{address} ({error})") from error


class _Pool:
    """Tasks of the Ray that this process is connected to."""

    def __init__(self, work: sweep.Work) -> None:
        for module in scripts.modules():
            cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]  # Ray has no types
        self._work = ray.put(work)
        self._task: Any = ray.remote(num_cpus=1, max_retries=3)(_outcomes)

    def finished(self, chunks: Sequence[Chunk]) -> Iterator[tuple[int, list[sweep.Outcome]]]:
        """Yield chunks as they finish."""
        waiting = {
            self._task.remote(self._work.hex(), self._work, list(chunk)): number for number, chunk in enumerate(chunks)
        }
        while waiting:
            ready, _ = ray.wait(list(waiting), num_returns=1)
            for one in ready:
                try:
                    yield waiting.pop(one), ray.get(one)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from error


_evaluators: dict[str, Any] = {}  # of a worker process: the last one, by the name of its work


def _outcomes(name: str, work: sweep.Work, configurations: list[sweep.Configuration]) -> list[sweep.Outcome]:
    """Run a chunk in a worker; the table is made once per process."""
    if name not in _evaluators:
        _evaluators.clear()
        _evaluators[name] = work.evaluator()
    found: list[sweep.Outcome] = _evaluators[name].outcomes(configurations)
    return found
