"""Where an embedded environment keeps its files.

Reports, manifests, logs and kubeconfigs live under the checkout; sockets, Ray's temp-dir and, as root, PostgreSQL's
data in a short directory of their own, because a socket path ends at 107 bytes and because PostgreSQL, which does not
run as root, must be able to reach its data without anyone widening the permissions of a home.
"""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

# Ray's socket names take up to 67 of the 107 bytes of a socket path.
LONGEST_RUNTIME_DIRECTORY = 36


@dataclass(frozen=True, slots=True)
class Layout:
    """The directories of one environment; ``home`` is ``.tradeplane`` of a checkout or a folder below it."""

    home: Path
    runtime: Path

    @property
    def state(self) -> Path:
        """The file that says what runs, for ``tradeplane status`` and ``down``."""
        return self.home / "state.json"

    @property
    def logs(self) -> Path:
        """One log file per process."""
        return self.home / "logs"

    @property
    def artifacts(self) -> Path:
        """The artifact store."""
        return self.home / "artifacts"

    @property
    def credentials(self) -> Path:
        """Kubeconfigs, keys and certificates; readable by the owner only."""
        return self.home / "credentials"

    @property
    def data(self) -> Path:
        """State of the servers that may live under a home."""
        return self.home / "data"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data and socket; the server cannot run as root, so it must reach this as another user."""
        return self.runtime / "pg"

    def create(self) -> None:
        """Make the directories, closed to other users."""
        for path in (self.home, self.logs, self.artifacts, self.data):
            path.mkdir(parents=True, exist_ok=True)
        self.credentials.mkdir(mode=0o700, exist_ok=True)
        make_runtime(self.runtime)


def make_runtime(path: Path) -> None:
    """Make a runtime directory that others may pass through but not list, refusing one of another user."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    owner = path.stat(follow_symlinks=False).st_uid
    if owner != os.geteuid():
        raise PermissionError(f"runtime directory {path}: must belong to user {os.geteuid()}, belongs to {owner}")
    path.chmod(0o711 if os.geteuid() == 0 else 0o700)


def runtime_base() -> Path:
    """Return the directory below which runtime directories are made."""
    if os.geteuid() == 0 and os.access("/var/lib", os.W_OK):
        return Path("/var/lib/tradeplane")
    session = os.environ.get("XDG_RUNTIME_DIR", "")
    if session and os.access(session, os.W_OK):
        return Path(session) / "tp"
    return Path(tempfile.gettempdir()) / f"tp-{os.geteuid()}"


def of(home: Path) -> Layout:
    """Return the layout of the environment at ``home``; another checkout gets another runtime directory."""
    home = home.absolute()
    name = hashlib.sha256(str(home).encode()).hexdigest()[:8]
    runtime = runtime_base() / name
    if len(str(runtime)) > LONGEST_RUNTIME_DIRECTORY:
        runtime = Path("/tmp") / f"tp-{os.geteuid()}" / name  # noqa: S108 - owner is checked when it is made
    return Layout(home=home, runtime=runtime)
