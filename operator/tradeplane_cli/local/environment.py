"""Composes the embedded environment: which processes, with which settings, in which order.

    etcd -> kube-apiserver -> kube-controller-manager     real RBAC, one client certificate per process and person
    postgres, valkey, ray                                 stores and compute
    simulator -> market-data, gateway -> operator         Tradeplane itself

Everything listens on loopback, on ports that were free, and stays there when it is killed and started again.
"""

import contextlib
import dataclasses
import fcntl
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tradeplane_cli.local import (
    access,
    binaries,
    control_plane,
    layout,
    pki,
    ports,
    postgres,
    processes,
    ray,
    supervisor,
    valkey,
)

CHECKOUT: Final = Path(__file__).parents[3]
BROKER_CREDENTIALS: Final = "broker-credentials"
DATABASE: Final = "tradeplane"
VENUE_PROFILE: Final = "realistic"


@dataclass(frozen=True, slots=True)
class Options:
    """What differs between environments.

    Parameters
    ----------
    home : directory of everything that this environment writes
    dataset : folder of bars that the simulator serves
    clock : where the simulator's clock stands at first, RFC 3339
    name : of the Environment, its namespace and its account
    cash : the account's starting cash, a decimal in USD
    cpus : logical CPUs that Ray schedules on
    read_window : age of the switch read above which nothing adds risk
    """

    home: Path
    dataset: Path
    clock: str
    name: str = "demo"
    cash: str = "1000000"
    cpus: int = 8
    read_window: str = "5s"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Ports of Tradeplane's own processes."""

    gateway: int
    market_data: int
    operator: int
    simulator: int
    simulator_control: int
    serve: int

    def url(self, name: str) -> str:
        """Return the base URL of a process."""
        return f"http://127.0.0.1:{getattr(self, name)}"

    def listen(self, name: str) -> str:
        """Return where a process listens, as ``host:port``."""
        return f"127.0.0.1:{getattr(self, name)}"


@dataclass(frozen=True, slots=True)
class Keys:
    """Random API keys of the account: one may trade, one may only read data."""

    directory: Path
    trading: Mapping[str, str] = field(repr=False)
    data: Mapping[str, str] = field(repr=False)

    @property
    def accounts_file(self) -> Path:
        """What the simulator knows of the account."""
        return self.directory / "accounts.json"

    @property
    def data_file(self) -> Path:
        """The key of the market data process."""
        return self.directory / "data-key.json"

    def write(self, *, account: str, cash: str) -> None:
        """Write both files, readable by the owner only."""
        keys = [{**self.trading, "scope": "trading"}, {**self.data, "scope": "data"}]
        pki.write_private(self.accounts_file, json.dumps([{"name": account, "cash": cash, "keys": keys}]).encode())
        pki.write_private(self.data_file, json.dumps(dict(self.data)).encode())


@dataclass(frozen=True)
class Environment:
    """One environment, prepared but not running; ``start`` and the supervisor run it."""

    options: Options
    layout: layout.Layout
    plane: control_plane.ControlPlane
    postgres: postgres.Postgres
    valkey: valkey.Valkey
    ray: ray.Ray
    addresses: Addresses
    keys: Keys
    supervisor: supervisor.Supervisor

    @property
    def manifest(self) -> Path:
        """The Environment manifest, rendered because addresses differ; ``kubectl apply -f`` it."""
        return self.options.home / "environment.yaml"

    def kubeconfig(self, identity: str) -> Path:
        """Return the kubeconfig of a process or person of ``access.ROLES``, issued on first use."""
        path = self.layout.credentials / f"{identity}.kubeconfig"
        if not path.exists():
            access.kubeconfig(self.plane, identity, namespace=self.options.name, path=path)
        return path

    def kubectl(self, *arguments: str, identity: str = "developer", stdin: str | None = None) -> str:
        """Run kubectl as an identity and return its output; raises ``processes.LocalError`` when it fails."""
        return self.plane.kubectl(*arguments, kubeconfig=self.kubeconfig(identity), stdin=stdin)

    def start(self) -> None:
        """Start everything, each process when what it needs is ready."""
        self.start_platform()
        self.start_tradeplane()

    def start_platform(self) -> None:
        """Start the control plane and the stores; Ray, the slowest, starts beside them."""
        self.ray.prepare()
        self.supervisor.launch(self.ray.spec())
        self.start_servers()
        self.supervisor.run(self.plane.controller_manager())
        self.supervisor.await_ready("ray")

    def start_servers(self) -> None:
        """Start the API server with everything that manifests need, and the stores: what a gateway stands on."""
        run = self.supervisor
        for server in (self.plane, self.postgres, self.valkey):
            server.prepare()
        run.run(self.postgres.spec())
        self.postgres.create_database(DATABASE)
        run.run(self.valkey.spec())
        run.run(self.plane.etcd())
        run.run(self.plane.apiserver())
        self.plane.apply_resource_definitions(CHECKOUT / "crds")
        self.plane.apply(*access.manifests(self.options.name), self._secret())
        self.render()

    def start_tradeplane(self) -> None:
        """Start simulator, market data, gateway and operator."""
        for spec in (self.simulator(), self.market_data(), self.gateway(), self.operator()):
            self.supervisor.run(spec)

    def simulator(self) -> processes.Spec:
        """Say how to start the simulator; its state survives a restart."""
        return self._python(
            "simulator",
            "tradeplane_simulator",
            f"--data={self.options.dataset}",
            f"--state={self.layout.data / 'simulator.sqlite'}",
            f"--accounts={self.keys.accounts_file}",
            f"--listen={self.addresses.listen('simulator')}",
            f"--control={self.addresses.listen('simulator_control')}",
            f"--clock={self.options.clock}",
            f"--profile={VENUE_PROFILE}",
            env={},
            port=self.addresses.simulator_control,
        )

    def market_data(self) -> processes.Spec:
        """Say how to start the market data process; it holds a key that may only read data."""
        spec = self._python(
            "market-data",
            "tradeplane_workers.market_data",
            env={
                "KUBECONFIG": str(self.kubeconfig("market-data")),
                "TRADEPLANE_LISTEN": self.addresses.listen("market_data"),
                "TRADEPLANE_REDIS_URL": self.valkey.url(),
                "TRADEPLANE_DATA_KEY_FILE": str(self.keys.data_file),
            },
            port=self.addresses.market_data,
        )
        # It listens when the Environment names its provider, and that a person applies later.
        return dataclasses.replace(spec, ready=lambda: None)

    def gateway(self) -> processes.Spec:
        """Say how to start the gateway; it reads the trading key from the Secret itself."""
        return self._python(
            "gateway",
            "tradeplane_workers.gateway",
            env={
                "KUBECONFIG": str(self.kubeconfig("gateway")),
                "TRADEPLANE_LISTEN": self.addresses.listen("gateway"),
                "TRADEPLANE_DATABASE_URL": self.postgres.url(DATABASE),
                "TRADEPLANE_REDIS_URL": self.valkey.url(),
                "TRADEPLANE_VENUE_PROFILE": VENUE_PROFILE,
                "TRADEPLANE_ARTIFACTS": self.layout.artifacts.as_uri(),
            },
            port=self.addresses.gateway,
        )

    def operator(self) -> processes.Spec:
        """Say how to start the operator."""
        return self._python(
            "operator",
            "tradeplane_operator",
            env={
                "KUBECONFIG": str(self.kubeconfig("operator")),
                "TRADEPLANE_METRICS_LISTEN": self.addresses.listen("operator"),
                "TRADEPLANE_RAY_TOKEN_FILE": str(self.ray.token_file),
                "TRADEPLANE_SERVE_URL": self.addresses.url("serve"),
                # It hands these on to the jobs and replicas that it starts.
                "TRADEPLANE_GATEWAY_URL": self.addresses.url("gateway"),
                "TRADEPLANE_MARKET_DATA_URL": self.addresses.url("market_data"),
                "TRADEPLANE_REDIS_URL": self.valkey.url(),
                "TRADEPLANE_ARTIFACTS": self.layout.artifacts.as_uri(),
            },
            port=self.addresses.operator,
        )

    def facts(self) -> dict[str, Any]:
        """Return what ``tradeplane status`` shows and other programs need."""
        return {
            "name": self.options.name,
            "namespace": self.options.name,
            "kubeconfig": str(self.kubeconfig("developer")),
            "runtime": str(self.layout.runtime),
            "manifest": str(self.manifest),
            "logs": str(self.layout.logs),
            "artifacts": self.layout.artifacts.as_uri(),
            "database": self.postgres.url(DATABASE),
            "redis": self.valkey.url(),
            "kubernetes": self.plane.server,
            "ray": self.ray.address,
            **{name: self.addresses.url(name) for name in ("gateway", "market_data", "simulator", "simulator_control")},
        }

    def _python(self, name: str, module: str, *arguments: str, env: Mapping[str, str], port: int) -> processes.Spec:
        common = {"TRADEPLANE_NAMESPACE": self.options.name, "TRADEPLANE_ENVIRONMENT": self.options.name}
        return processes.Spec(
            name=name,
            argv=(processes.python(), "-m", module, *arguments),
            log=self.layout.logs / f"{name}.log",
            env={**common, **env},
            ready=lambda: None if ports.is_listening(port) else f"port {port}: not listening",
            ready_timeout_s=60.0,
        )

    def _secret(self) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": BROKER_CREDENTIALS, "namespace": self.options.name},
            "stringData": self.keys.trading,
        }

    def render(self) -> None:
        """Write the Environment manifest."""
        broker = self.addresses.listen("simulator")
        document = {
            "apiVersion": "tradeplane.dev/v1alpha1",
            "kind": "Environment",
            "metadata": {"name": self.options.name, "namespace": self.options.name},
            "spec": {
                "mode": "dev",
                "broker": {
                    "urls": {
                        "trading": f"http://{broker}",
                        "stream": f"ws://{broker}/stream",
                        "data": f"http://{broker}",
                        "dataStream": f"ws://{broker}/v2/iex",
                    },
                    "secretRef": BROKER_CREDENTIALS,
                },
                "riskPolicyRef": "prudent",
                "pools": [
                    {"name": role, "role": role, "address": self.ray.address}
                    for role in ("inference", "execution", "research")
                ],
                "readWindow": self.options.read_window,
                "calendar": "XNYS",
            },
        }
        self.manifest.write_text(yaml.safe_dump(document, sort_keys=False))


@contextlib.contextmanager
def opened(options: Options, *, progress: supervisor.Progress) -> Iterator[Environment]:
    """Prepare a fresh environment at ``options.home``; leaving the block ends every process of it.

    What an earlier one left there, processes included, is removed first; its logs too.

    Raises
    ------
    processes.LocalError : another supervisor runs at the same place
    """
    options.home.mkdir(parents=True, exist_ok=True)
    places = layout.of(options.home)
    with (options.home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise processes.LocalError(
                f"{options.home}: another environment is running there: tradeplane status, tradeplane down"
            ) from error
        left_behind = supervisor.recorded(places.state)
        if left_behind is not None:
            left_behind.end()
        _clear(places)
        places.create()
        with supervisor.Supervisor(places.state, progress=progress) as running:
            try:
                environment = compose(options, places, running=running)
                running.record(**environment.facts())
                yield environment
            finally:
                running.end()
                close(places)


def compose(options: Options, places: layout.Layout, *, running: supervisor.Supervisor) -> Environment:
    """Choose ports, make keys and put the parts together; nothing is started."""
    plane_ports, ray_ports = 4, ray.FIXED_PORTS + ray.WORKER_PORTS
    chosen = ports.free(plane_ports + ray_ports + len(dataclasses.fields(Addresses)))
    plane = control_plane.ControlPlane(
        credentials=places.credentials,
        data=places.data / "etcd",
        logs=places.logs,
        programs=binaries.all_found(),
        ports=control_plane.Ports(*chosen[:plane_ports]),
    )
    plane.prepare(namespace=options.name)
    keys = Keys(directory=places.credentials, trading=random_key("TR"), data=random_key("DA"))
    keys.write(account=options.name, cash=options.cash)
    return Environment(
        options=options,
        layout=places,
        plane=plane,
        postgres=postgres.Postgres(directory=places.postgres, log=places.logs / "postgres.log"),
        valkey=valkey.Valkey(directory=places.runtime / "vk", log=places.logs / "valkey.log"),
        ray=ray.Ray(
            directory=places.runtime / "ray",
            log=places.logs / "ray.log",
            token_file=places.credentials / "ray.token",
            chosen=tuple(chosen[plane_ports : plane_ports + ray_ports]),
            env={},
            cpus=options.cpus,
        ),
        addresses=Addresses(*chosen[plane_ports + ray_ports :]),
        keys=keys,
        supervisor=running,
    )


def close(places: layout.Layout) -> None:
    """Keep Ray's logs and remove the runtime directory; every process has ended."""
    logs = places.runtime / "ray" / "session_latest" / "logs"
    if logs.is_dir():
        # Sockets and dangling links lie among them.
        with contextlib.suppress(shutil.Error):
            shutil.copytree(logs, places.logs / "ray", ignore_dangling_symlinks=True)
    shutil.rmtree(places.runtime, ignore_errors=True)


def _clear(places: layout.Layout) -> None:
    for path in (places.data, places.logs, places.artifacts, places.credentials, places.runtime):
        shutil.rmtree(path, ignore_errors=True)


def random_key(prefix: str) -> dict[str, str]:
    """Return a key of a simulated account, as its accounts file has it."""
    return {"key_id": f"{prefix}{secrets.token_hex(9).upper()}", "secret_key": secrets.token_urlsafe(30)}
