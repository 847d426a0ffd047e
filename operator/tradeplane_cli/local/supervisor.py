"""Starts processes in order, watches them, and ends exactly those.

Nothing is restarted silently: a process that ended by itself is an error that ``check`` raises, with the end of its
log. What runs is written to a state file after every change, so that another command finds and ends it when the
supervisor itself was killed.
"""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final, Protocol, Self

from tradeplane_cli.local import process_table, processes

VERSION: Final = 1


class Progress(Protocol):
    """Where the supervisor says what it is doing."""

    def waiting(self, name: str, missing: str) -> None:
        """A process is running but not ready; ``missing`` says why."""
        ...

    def ready(self, name: str, seconds: float) -> None:
        """A process is ready, so many seconds after its start."""
        ...

    def ending(self, name: str) -> None:
        """A process is being ended."""
        ...


@dataclass(frozen=True, slots=True)
class Started:
    """A process that was started and not ended by us since."""

    spec: processes.Spec
    child: "subprocess.Popen[bytes]"
    root: tuple[int, int]
    at: float


class Supervisor:
    """Runs the processes of one environment; use it as a context manager, which ends them all.

    Parameters
    ----------
    state : the file that says what runs
    progress : where to show what happens
    facts : what else a reader of the state file wants to know, such as addresses
    """

    def __init__(self, state: Path, *, progress: Progress, facts: Mapping[str, Any] | None = None) -> None:
        self.id = secrets.token_hex(8)
        self._state = state
        self._progress = progress
        self._facts = dict(facts or {})
        self._started: dict[str, Started] = {}
        self._specs: dict[str, processes.Spec] = {}
        # Every process that was ever started: a member of its session may outlive it.
        self._roots: dict[str, list[tuple[int, int]]] = {}
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def running(self) -> tuple[str, ...]:
        """Names of the processes that were started and not ended, in the order of their start."""
        return tuple(self._started)

    def run(self, spec: processes.Spec) -> float:
        """Start a process, wait until it is ready and return how many seconds that took; see ``await_ready``."""
        self.launch(spec)
        return self.await_ready(spec.name)

    def launch(self, spec: processes.Spec) -> None:
        """Start a process without waiting for it."""
        with self._lock:
            if spec.name in self._started:
                raise processes.LocalError(f"{spec.name}: is running already")
            child = processes.spawn(spec, tag=self.id)
            entry = process_table.read(child.pid)
            root = (child.pid, entry.started if entry else 0)
            self._specs[spec.name] = spec
            self._started[spec.name] = Started(spec=spec, child=child, root=root, at=time.monotonic())
            self._roots.setdefault(spec.name, []).append(root)
            self._write()

    def await_ready(self, name: str) -> float:
        """Wait until a launched process is ready and return how many seconds after its start that was.

        Raises
        ------
        processes.NotReady : it ended or took too long; it is not running then
        """
        started = self._started[name]
        try:
            processes.wait_ready(
                started.spec, started.child, waiting=lambda missing: self._progress.waiting(name, missing)
            )
        except processes.NotReady:
            self.kill(name)
            raise
        seconds = time.monotonic() - started.at
        self._progress.ready(name, seconds)
        return seconds

    def start(self, name: str) -> float:
        """Start a process again that was killed or stopped, as it was started before."""
        if name not in self._specs:
            raise processes.LocalError(f"process: must be one of {', '.join(self._specs)}, got {name!r}")
        return self.run(self._specs[name])

    def kill(self, name: str) -> None:
        """End a process and everything that it started by SIGKILL, at once, as a crash would."""
        self._end(name, None)

    def stop(self, name: str) -> None:
        """Ask a process and everything that it started to end, and kill what stays."""
        started = self._started.get(name)
        if started is not None:
            self._end(name, started.spec)

    def members(self, name: str) -> frozenset[process_table.Entry]:
        """Return the living processes that belong to a named one, itself included."""
        return process_table.belonging(tag=self.id, name=name, roots=self._roots.get(name, ()))

    def kill_members(self, name: str, having: str) -> tuple[int, ...]:
        """End by SIGKILL those processes of a named one whose command line holds a text, and return their ids.

        So does one Ray job or one replica die while Ray lives: ``kill_members("ray", "tradeplane_workers.strategy")``,
        ``kill_members("ray", "ray::ServeReplica:model-alpha")``.

        Raises
        ------
        processes.LocalError : no such process is running
        """
        found = [entry for entry in self.members(name) if having in process_table.command(entry.pid)]
        if not found:
            raise processes.LocalError(f"{name}: none of its processes has {having!r} in its command line")
        for entry in found:
            process_table.send(entry, signal.SIGKILL)
        process_table.wait_gone(found, timeout_s=5.0)
        return tuple(sorted(entry.pid for entry in found))

    def pid(self, name: str) -> int:
        """Return the process id of a running process."""
        started = self._started.get(name)
        if started is None or started.child.poll() is not None:
            raise processes.LocalError(f"{name}: is not running")
        return started.child.pid

    def check(self) -> None:
        """Raise when a process ended that nobody asked to end.

        Raises
        ------
        processes.NotReady : with the name, how it ended and the end of its log
        """
        for name, started in self._started.items():
            code = started.child.poll()
            if code is not None:
                raise processes.NotReady(name, f"ended with {processes.ending(code)}", log=started.spec.log)

    def end(self) -> None:
        """End everything, the last started first; a second Ctrl-C does not leave half of it running."""
        with uninterrupted():
            for name in reversed(tuple(self._started)):
                self._progress.ending(name)
                self.stop(name)
            roots = [root for known in self._roots.values() for root in known]
            left = process_table.end(lambda: process_table.belonging(tag=self.id, roots=roots), grace_s=1.0)
            if left:
                raise processes.LocalError(f"processes {sorted(entry.pid for entry in left)}: could not be ended")
            self._state.unlink(missing_ok=True)

    def record(self, **facts: Any) -> None:
        """Add facts to the state file."""
        with self._lock:
            self._facts.update(facts)
            self._write()

    def _end(self, name: str, polite: processes.Spec | None) -> None:
        with self._lock:
            # Found before the first dies: what it started may then hang from nothing that is still known.
            found = self.members(name)
            roots = {*self._roots.get(name, ()), *((entry.pid, entry.started) for entry in found)}
            left = process_table.end(
                lambda: process_table.belonging(tag=self.id, name=name, roots=roots),
                ask=polite.stop_signal if polite else signal.SIGKILL,
                grace_s=polite.stop_grace_s if polite else 0.0,
            )
            started = self._started.pop(name, None)
            if left:
                raise processes.LocalError(f"{name}: processes {sorted(e.pid for e in left)} could not be ended")
            if started is not None:
                started.child.wait()
            self._write()

    def _write(self) -> None:
        own = process_table.read(os.getpid())
        document = {
            "version": VERSION,
            "id": self.id,
            "supervisor": {"pid": os.getpid(), "started": own.started if own else 0},
            "processes": {
                name: {"pid": started.root[0], "started": started.root[1], "log": str(started.spec.log)}
                for name, started in self._started.items()
            },
            "roots": [root for known in self._roots.values() for root in known],
            "facts": self._facts,
        }
        self._state.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._state.with_suffix(".part")
        fresh.write_text(json.dumps(document, indent=1))
        fresh.rename(self._state)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An environment as its state file describes it."""

    state: Path
    document: Mapping[str, Any]

    @property
    def supervisor_runs(self) -> bool:
        """Whether the supervisor that wrote the file is alive."""
        found = self.document["supervisor"]
        return process_table.is_running(found["pid"], found["started"])

    @property
    def facts(self) -> Mapping[str, Any]:
        """Addresses and paths, as the environment recorded them."""
        found: Mapping[str, Any] = self.document["facts"]
        return found

    def processes(self) -> dict[str, bool]:
        """Return each process's name and whether it runs."""
        return {
            name: process_table.is_running(found["pid"], found["started"])
            for name, found in self.document["processes"].items()
        }

    def end(self) -> None:
        """End the supervisor, if it still runs, and everything that it started."""
        found = self.document["supervisor"]
        own = process_table.read(found["pid"])
        # `up` ends everything itself when asked to; what follows is for one that was killed or hangs.
        if own is not None and own.started == found["started"] and own.pid != os.getpid():
            process_table.send(own, signal.SIGTERM)
            process_table.wait_gone([own], timeout_s=60.0)
        roots = [(pid, started) for pid, started in self.document["roots"]]
        left = process_table.end(lambda: process_table.belonging(tag=self.document["id"], roots=roots), grace_s=5.0)
        if left:
            raise processes.LocalError(f"processes {sorted(entry.pid for entry in left)}: could not be ended")
        self.state.unlink(missing_ok=True)


def recorded(state: Path) -> Recorded | None:
    """Read a state file; nothing when there is none."""
    try:
        document = json.loads(state.read_text())
    except FileNotFoundError:
        return None
    if document.get("version") != VERSION:
        raise processes.LocalError(f"{state}: version must be {VERSION}, got {document.get('version')!r}")
    return Recorded(state=state, document=document)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back SIGINT, SIGTERM and SIGHUP while the block runs; outside the main thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in held}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into KeyboardInterrupt while the block runs, so that leaving it cleans up."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    held = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in held}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
