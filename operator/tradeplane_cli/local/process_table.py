"""The machine's processes, read from ``/proc``, and ending exactly those that are ours.

A process is ours when its environment carries our tag, when it descends from one of ours, or when it lives in a
session that one of ours opened. No single sign is enough: PostgreSQL and Ray's workers overwrite their environment
with a process title, and Ray's daemons leave the tree of their parent.
"""

import os
import select
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

TAG = "TRADEPLANE_SUPERVISOR"
NAME = "TRADEPLANE_PROCESS"
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Entry:
    """One process; ``started`` (clock ticks since boot) tells a process from a later one with the same id."""

    pid: int
    parent: int
    session: int
    started: int
    zombie: bool


def read(pid: int) -> Entry | None:
    """Read one process, or nothing when it is gone."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The command name stands in parentheses and may itself hold spaces and parentheses.
    fields = text.rpartition(")")[2].split()
    return Entry(
        pid=pid,
        parent=int(fields[1]),
        session=int(fields[3]),
        started=int(fields[19]),
        zombie=fields[0] == "Z",
    )


def snapshot() -> dict[int, Entry]:
    """Read every process of the machine."""
    found = (read(int(path.name)) for path in PROC.iterdir() if path.name.isdigit())
    return {entry.pid: entry for entry in found if entry is not None}


def environment(pid: int) -> dict[str, str]:
    """Read the environment that a process was started with; empty where it cannot be read."""
    try:
        raw = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return {}
    pairs = (item.partition(b"=") for item in raw.split(b"\0") if b"=" in item)
    return {os.fsdecode(key): os.fsdecode(value) for key, _, value in pairs}


def command(pid: int) -> str:
    """Read the command line of a process as one line; empty when it is gone."""
    try:
        raw = (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def is_running(pid: int, started: int) -> bool:
    """Say whether this very process, and not a later one with its id, is running."""
    entry = read(pid)
    return entry is not None and entry.started == started and not entry.zombie


def belonging(
    *,
    tag: str,
    name: str | None = None,
    roots: Iterable[tuple[int, int]] = (),
) -> frozenset[Entry]:
    """Find the living processes of a supervisor, or of one of its named processes.

    Parameters
    ----------
    tag : the supervisor's id
    name : only the processes that this named one started
    roots : (process id, started) of processes known from the supervisor's state
    """
    roots = tuple(roots)
    table = snapshot()
    excluded = {os.getpid()}
    known = {pid for pid, started in roots if pid in table and table[pid].started == started}
    # An id that now belongs to another process proves that no member of the old session is left.
    sessions = {pid for pid, started in roots if pid not in table or table[pid].started == started}
    found: set[int] = set(known)
    for pid, entry in table.items():
        if entry.session in sessions:
            found.add(pid)
            continue
        variables = environment(pid)
        if variables.get(TAG) == tag and (name is None or variables.get(NAME) == name):
            found.add(pid)
    found -= excluded
    while True:
        grown = {pid for pid, entry in table.items() if entry.parent in found or entry.session in found}
        grown -= excluded | found
        if not grown:
            break
        found |= grown
    return frozenset(table[pid] for pid in found if not table[pid].zombie)


def send(entry: Entry, number: signal.Signals) -> None:
    """Send a signal to this very process; nothing happens when it is gone or its id was given to another."""
    try:
        handle = os.pidfd_open(entry.pid)
    except ProcessLookupError:
        return
    try:
        # The descriptor pins the process, so the comparison holds until the signal is sent.
        if is_running(entry.pid, entry.started):
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def wait_gone(entries: Iterable[Entry], *, timeout_s: float) -> bool:
    """Wait until all of these processes have ended."""
    deadline = time.monotonic() + timeout_s
    for entry in entries:
        try:
            handle = os.pidfd_open(entry.pid)
        except ProcessLookupError:
            continue
        try:
            if is_running(entry.pid, entry.started):
                left = max(0.0, deadline - time.monotonic())
                if not select.select([handle], [], [], left)[0]:
                    return False
        finally:
            os.close(handle)
    return True


def end(
    find: Callable[[], frozenset[Entry]],
    *,
    grace_s: float,
    ask: signal.Signals = signal.SIGTERM,
) -> frozenset[Entry]:
    """Ask all processes that ``find`` returns to end, kill those that stay, and return what was left in the end.

    ``find`` is asked again after each round, because a dying process may have started another.
    """
    asked = find()
    for entry in asked:
        send(entry, ask)
    wait_gone(asked, timeout_s=grace_s)
    for _ in range(10):
        rest = find()
        if not rest:
            break
        for entry in rest:
            send(entry, signal.SIGKILL)
        wait_gone(rest, timeout_s=5.0)
    return find()
