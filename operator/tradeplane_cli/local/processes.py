"""How one process is started and how we know that it is ready.

LocalError
├── NotReady      a process ended or was not ready in time; carries the end of its log
└── NotAvailable  something that the machine lacks; the message names the line that installs it
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tradeplane_cli.local import process_table

LOG_TAIL_LINES: Final = 30


class LocalError(Exception):
    """Base of what the embedded environment raises on purpose."""


class NotReady(LocalError):  # noqa: N818 - named for what happened, not for being an exception
    """A process did not become ready; ``log_tail`` is the end of what it wrote."""

    def __init__(self, name: str, why: str, *, log: Path) -> None:
        self.name = name
        self.log = log
        self.log_tail = tail(log)
        super().__init__(f"{name}: {why}\n--- end of {log} ---\n{self.log_tail or '(empty)'}")


class NotAvailable(LocalError):  # noqa: N818 - as above
    """The machine lacks something; the message says what installs it."""


@dataclass(frozen=True)
class Spec:
    """One process to run.

    Parameters
    ----------
    name : as in the log file's name and the progress display
    argv : program and arguments; the program is an absolute path
    log : file that receives standard output and error, appended
    env : variables added to the ones inherited
    ready : returns nothing when the process is ready, else what is still missing
    ready_timeout_s : bound on the wait for readiness
    stop_grace_s : time between SIGTERM and SIGKILL
    user : numeric (user, group) to run as, where root starts it
    directory : working directory
    stop_signal : what asks this process to end
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], str | None] = field(default=lambda: None)
    ready_timeout_s: float = 60.0
    stop_grace_s: float = 10.0
    user: tuple[int, int] | None = None
    directory: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM


def spawn(spec: Spec, *, tag: str) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own, so that the terminal's Ctrl-C reaches only the supervisor."""
    spec.log.parent.mkdir(parents=True, exist_ok=True)
    environment = {
        **{key: value for key, value in os.environ.items() if not _is_private(key)},
        **spec.env,
        process_table.TAG: tag,
        process_table.NAME: spec.name,
    }
    user, group = spec.user or (None, None)
    with spec.log.open("ab") as output:
        return subprocess.Popen(
            spec.argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=spec.directory,
            start_new_session=True,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
        )


def _is_private(variable: str) -> bool:
    """Say whether a variable of the caller's shell must not reach a child: other rights, or other addresses."""
    return variable == "KUBECONFIG" or variable.startswith(("TRADEPLANE_", "RAY_"))


def wait_ready(
    spec: Spec,
    child: "subprocess.Popen[bytes]",
    *,
    waiting: Callable[[str], None] = lambda _missing: None,
) -> float:
    """Wait until the process is ready and return how many seconds it took.

    Raises
    ------
    NotReady : the process ended, or its time is over
    """
    started = time.monotonic()
    missing: str | None = "not asked yet"
    while True:
        code = child.poll()
        if code is not None:
            raise NotReady(spec.name, f"ended with {ending(code)} before it was ready", log=spec.log)
        missing = spec.ready()
        if missing is None:
            return time.monotonic() - started
        waiting(missing)
        if time.monotonic() - started > spec.ready_timeout_s:
            raise NotReady(spec.name, f"not ready after {spec.ready_timeout_s:g} s: {missing}", log=spec.log)
        time.sleep(0.05)


def ending(code: int) -> str:
    """Say how a process ended, from its return code."""
    if code >= 0:
        return f"exit status {code}"
    return f"signal {signal.Signals(-code).name}"


def tail(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    """Return the last lines of a log file."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - 64 * 1024))
            return b"\n".join(stream.read().splitlines()[-lines:]).decode(errors="replace")
    except FileNotFoundError:
        return ""


def python() -> str:
    """Return the interpreter of this environment; children run on the same one."""
    return sys.executable
