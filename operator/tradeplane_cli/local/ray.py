"""One Ray head on loopback, without a cluster.

Every port is chosen, because a second Ray on default ports has a dead jobs interface; its REST interface asks for a
token; the processes of jobs and replicas inherit the environment that is given here, so it must hold no secret.
"""

import os
import secrets
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tradeplane_cli.local import layout, pki, ports, processes

OBJECT_STORE_BYTES: Final = 200 * 1024 * 1024
# One per worker process: Serve's controller and proxy, replicas, job supervisors and drivers, and some to spare.
WORKER_PORTS: Final = 48
FIXED_PORTS: Final = 9


@dataclass(frozen=True)
class Ray:
    """One head node.

    Parameters
    ----------
    directory : Ray's temp-dir; short, because sockets live in it
    log : output of ``ray start``
    token_file : holds the token of the REST interface
    chosen : ``FIXED_PORTS`` + ``WORKER_PORTS`` free ports
    env : variables of jobs and replicas
    cpus : logical CPUs to schedule on; small jobs may share a core
    """

    directory: Path
    log: Path
    token_file: Path
    chosen: tuple[int, ...]
    env: Mapping[str, str]
    cpus: int

    @property
    def address(self) -> str:
        """The URL of the REST interface."""
        return f"http://127.0.0.1:{self.chosen[1]}"

    def prepare(self) -> None:
        """Write the token, and refuse a directory that sockets would not fit."""
        longest = layout.LONGEST_RUNTIME_DIRECTORY + len("/ray")
        if len(str(self.directory)) > longest:
            raise processes.LocalError(
                f"Ray's temp-dir {self.directory}: must have at most {longest} bytes, has {len(str(self.directory))}"
            )
        self.directory.mkdir(parents=True, exist_ok=True)
        if not self.token_file.exists():
            pki.write_private(self.token_file, secrets.token_hex(32).encode())

    def spec(self) -> processes.Spec:
        """Say how to start the head."""
        gcs, dashboard, agent, agent_grpc, runtime_env, metrics, client, objects, node = self.chosen[:FIXED_PORTS]
        workers = ",".join(str(port) for port in self.chosen[FIXED_PORTS:])
        program = Path(processes.python()).with_name("ray")
        return processes.Spec(
            name="ray",
            argv=(
                str(program),
                "start",
                "--head",
                "--block",
                "--node-ip-address=127.0.0.1",
                f"--port={gcs}",
                "--dashboard-host=127.0.0.1",
                f"--dashboard-port={dashboard}",
                f"--dashboard-agent-listen-port={agent}",
                f"--dashboard-agent-grpc-port={agent_grpc}",
                f"--runtime-env-agent-port={runtime_env}",
                f"--metrics-export-port={metrics}",
                f"--ray-client-server-port={client}",
                f"--object-manager-port={objects}",
                f"--node-manager-port={node}",
                f"--worker-port-list={workers}",
                f"--num-cpus={self.cpus}",
                "--num-gpus=0",
                f"--object-store-memory={OBJECT_STORE_BYTES}",
                f"--temp-dir={self.directory}",
                "--disable-usage-stats",
                "--include-log-monitor=false",
                "--log-style=record",
                "--log-color=false",
            ),
            log=self.log,
            env={
                **self.env,
                # A job's entry point says `python`: it must be this environment's.
                "PATH": os.pathsep.join((str(program.parent), os.environ.get("PATH", ""))),
                # Keeps all ports but one on loopback; --node-ip-address alone does not (docs: Ray's habits).
                "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
                "RAY_AUTH_MODE": "token",
                "RAY_AUTH_TOKEN_PATH": str(self.token_file),
                "RAY_USAGE_STATS_ENABLED": "0",
            },
            ready=self.missing,
            ready_timeout_s=180.0,
        )

    def missing(self) -> str | None:
        """Say what the head still lacks: the agent comes last, and no job starts without it."""
        request = urllib.request.Request(f"{self.address}/api/jobs/")  # noqa: S310 - a loopback address of our own
        request.add_header("Authorization", f"Bearer {self.token_file.read_text()}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=5.0):
                pass
        except (OSError, ValueError) as error:
            return f"jobs interface: {error}"
        return None if ports.is_listening(self.chosen[2]) else "agent: not listening"
