"""Servers that all workers of one test run share, started on first use and ended with the run.

The first worker that needs a server starts it under a file lock; the others find it in the run's state. A reaper
process waits for the end of pytest's main process, whatever that end is, and then ends everything of the run: neither
a killed worker nor a killed pytest leaves anything behind.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import re
import secrets
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tradeplane_cli.local import (
    access,
    binaries,
    control_plane,
    layout,
    ports,
    postgres,
    process_table,
    processes,
    valkey,
)

RUN = "TRADEPLANE_TEST_RUN"
CHECKOUT = Path(__file__).parents[2]


def begin() -> None:
    """Choose the run's directory; called once, by pytest's main process, before it starts its workers."""
    base = layout.runtime_base()
    os.environ[RUN] = str(base / f"t{os.getpid()}-{secrets.token_hex(2)}")


@dataclass(frozen=True, slots=True)
class Run:
    """The shared servers of one test run; ``directory`` is short, because sockets live in it."""

    directory: Path

    @property
    def tag(self) -> str:
        """What marks the run's processes."""
        return f"test-{self.directory.name}"

    @contextlib.contextmanager
    def state(self) -> Iterator[dict[str, Any]]:
        """Hold the run's lock and yield its state, which is stored again afterwards."""
        layout.make_runtime(self.directory)
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            path = self.directory / "state.json"
            state: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"roots": [], "closed": False}
            if state["closed"]:
                raise RuntimeError("the test run is over")
            try:
                yield state
            finally:
                fresh = path.with_suffix(".part")
                fresh.write_text(json.dumps(state))
                fresh.rename(path)

    def start(self, spec: processes.Spec, state: dict[str, Any]) -> None:
        """Start a server and record it; the run's lock is held."""
        if not state["roots"]:
            self._start_reaper()
        child = processes.spawn(spec, tag=self.tag)
        entry = process_table.read(child.pid)
        if entry is not None:
            state["roots"].append([entry.pid, entry.started])
        try:
            processes.wait_ready(spec, child)
        except BaseException:
            child.kill()
            child.wait()
            raise
        # It outlives this worker on purpose, so nobody waits for it here.
        child.returncode = 0

    def _start_reaper(self) -> None:
        arguments = [sys.executable, __file__, str(pytest_main()), str(self.directory)]
        reaper = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, start_new_session=True)
        reaper.returncode = 0

    def reap(self, parent: int) -> None:
        """Wait for the end of pytest's main process, then end the run's processes and remove its directory."""
        with contextlib.suppress(ProcessLookupError):
            select.select([os.pidfd_open(parent)], [], [])
        with self.state() as state:
            state["closed"] = True
            roots = [(pid, started) for pid, started in state["roots"]]
        process_table.end(lambda: process_table.belonging(tag=self.tag, roots=roots), grace_s=5.0)
        shutil.rmtree(self.directory, ignore_errors=True)


def current() -> Run:
    """Return the run that this worker belongs to."""
    return Run(Path(os.environ[RUN]))


def pytest_main() -> int:
    """Return the id of pytest's main process, which the run's directory is named after."""
    return int(current().directory.name[1:].partition("-")[0])


def shared_postgres() -> postgres.Postgres:
    """Return the run's PostgreSQL, started on first use."""
    run = current()
    server = postgres.Postgres(directory=run.directory / "pg", log=run.directory / "postgres.log", durable=False)
    with run.state() as state:
        if "postgres" not in state:
            server.prepare()
            run.start(server.spec(), state)
            state["postgres"] = True
    return server


@contextlib.contextmanager
def fresh_database() -> Iterator[str]:
    """Yield the URL of an empty database of the shared PostgreSQL."""
    server = shared_postgres()
    name = f"test_{secrets.token_hex(6)}"
    server.create_database(name)
    try:
        yield server.url(name)
    finally:
        server.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def shared_valkey() -> valkey.Valkey:
    """Return the run's Valkey, started on first use."""
    run = current()
    server = valkey.Valkey(directory=run.directory / "vk", log=run.directory / "valkey.log")
    with run.state() as state:
        if "valkey" not in state:
            server.prepare()
            run.start(server.spec(), state)
            state["valkey"] = True
    return server


def database_number(worker: str) -> int:
    """Return the database of a worker (``gw3``, or ``master`` without workers) in the shared Valkey."""
    digits = re.sub(r"\D", "", worker)
    number = int(digits) + 1 if digits else 0
    if number >= valkey.DATABASES:
        raise ValueError(f"workers: at most {valkey.DATABASES - 1}, got {worker}")
    return number


def shared_control_plane() -> control_plane.ControlPlane:
    """Return the run's etcd and API server with the project's CRDs, started on first use."""
    run = current()
    with run.state() as state:
        known = state.get("control_plane")
        chosen = control_plane.Ports(**known) if known else control_plane.Ports(*ports.free(4))
        plane = control_plane.ControlPlane(
            credentials=run.directory / "k",
            data=run.directory / "etcd",
            logs=run.directory,
            programs=binaries.all_found(),
            ports=chosen,
        )
        if not known:
            plane.prepare()
            run.start(plane.etcd(), state)
            run.start(plane.apiserver(), state)
            state["control_plane"] = dataclasses.asdict(chosen)
        if not state.get("resource_definitions"):
            plane.apply_resource_definitions(CHECKOUT / "crds")
            state["resource_definitions"] = True
    return plane


@dataclass(frozen=True, slots=True)
class Kube:
    """A fresh namespace on the shared API server."""

    plane: control_plane.ControlPlane
    namespace: str
    directory: Path

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; its default namespace is this one."""
        return self.directory / "admin.kubeconfig"

    def kubeconfig_for(self, identity: str) -> Path:
        """Return the kubeconfig of a process or person of ``access.ROLES``, with that identity's rights only."""
        path = self.directory / f"{identity}.kubeconfig"
        if not path.exists():
            access.kubeconfig(self.plane, identity, namespace=self.namespace, path=path)
        return path

    def kubectl(self, *arguments: str, identity: str | None = None, stdin: str | None = None) -> str:
        """Run kubectl in this namespace, as the administrator or as an identity; raises LocalError on failure."""
        kubeconfig = self.kubeconfig if identity is None else self.kubeconfig_for(identity)
        return self.plane.kubectl(*arguments, kubeconfig=kubeconfig, stdin=stdin)


@contextlib.contextmanager
def fresh_namespace(directory: Path) -> Iterator[Kube]:
    """Yield a fresh namespace with the project's Roles; files of its users go below ``directory``."""
    plane = shared_control_plane()
    kube = Kube(plane=plane, namespace=f"test-{secrets.token_hex(5)}", directory=directory)
    plane.apply(*access.manifests(kube.namespace))
    plane.write_admin_kubeconfig(kube.kubeconfig, namespace=kube.namespace)
    # Left behind: without controllers nothing empties a deleted namespace, and the whole server ends with the run.
    yield kube


if __name__ == "__main__":
    Run(Path(sys.argv[2])).reap(int(sys.argv[1]))
