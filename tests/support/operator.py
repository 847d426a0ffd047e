"""The operator between a real API server and stand-ins of Ray and the gateway; in this process or as one of its own."""

import contextlib
import datetime as dt
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support import gateway_stand_in, servers
from support import ray as ray_support
from tradeplane_api import kinds
from tradeplane_kube import client
from tradeplane_operator import artifacts, gateway, reconciler, settings, world
from tradeplane_operator.ray import external

Json = dict[str, Any]
EXAMPLES = servers.CHECKOUT / "examples"
BACKTEST = servers.CHECKOUT / "docs" / "how-to" / "backtest.yaml"
KINDS = tuple(kind.plural for kind in kinds.KINDS.values())
SERVE_URL = "http://127.0.0.1:18000"


@dataclass
class Bench:
    """Everything around one operator.

    trained, backtested : what a job of a kind does: its configuration in, its result out; None to go on running
    """

    kube: servers.Kube
    ray: ray_support.StandIn
    ray_address: str
    gateway: gateway_stand_in.GatewayStandIn
    gateway_url: str
    directory: Path
    trained: Callable[[Json], Json | None]
    backtested: Callable[[Json], Json | None]

    @property
    def variables(self) -> dict[str, str]:
        """Process settings of the operator."""
        return {
            "TRADEPLANE_NAMESPACE": self.kube.namespace,
            "TRADEPLANE_ENVIRONMENT": "demo",
            "KUBECONFIG": str(self.kube.kubeconfig_for("operator")),
            "TRADEPLANE_GATEWAY_URL": self.gateway_url,
            "TRADEPLANE_REDIS_URL": "redis://127.0.0.1:1/0",
            "TRADEPLANE_MARKET_DATA_URL": "http://127.0.0.1:1",
            "TRADEPLANE_ARTIFACTS": f"file://{self.directory / 'artifacts'}",
            "TRADEPLANE_SERVE_URL": SERVE_URL,
        }

    def environment(self, **spec: Any) -> Json:
        """Render the Environment."""
        return {
            "apiVersion": "tradeplane.dev/v1alpha1",
            "kind": "Environment",
            "metadata": {"name": "demo", "namespace": self.kube.namespace},
            "spec": {
                "mode": "dev",
                "broker": {
                    "urls": {
                        "trading": "http://127.0.0.1:1",
                        "stream": "ws://127.0.0.1:1/stream",
                        "data": "http://127.0.0.1:1",
                        "dataStream": "ws://127.0.0.1:1/v2/iex",
                    },
                    "secretRef": "broker",
                },
                "riskPolicyRef": "prudent",
                "pools": [
                    {"name": role, "role": role, "address": self.ray_address}
                    for role in ("inference", "execution", "research")
                ],
                **spec,
            },
        }

    def apply(self, *manifests: Json) -> None:
        """Apply as a person would."""
        self.kube.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))

    def apply_examples(self) -> None:
        """Apply the Environment and what the repository ships."""
        self.apply(self.environment())
        self.kube.kubectl("apply", "-f", str(EXAMPLES))

    def patch(self, kind: str, name: str, spec: Json) -> None:
        """Edit a spec as a person would."""
        self.kube.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def get(self, kind: str, name: str) -> Json | None:
        """Read an object; None when it is absent."""
        answer = self.kube.kubectl("get", kind, name, "-o", "json", "--ignore-not-found")
        return json.loads(answer) if answer.strip() else None

    def condition(self, kind: str, name: str, type_: str) -> tuple[str, str]:
        """Read status and reason of a condition."""
        manifest = self.get(kind, name) or {}
        found = {each["type"]: each for each in manifest.get("status", {}).get("conditions", ())}
        it = found.get(type_, {})
        return it.get("status", ""), it.get("reason", "")

    def settled(self) -> bool:
        """Whether everything that exists is Ready at its own generation."""
        listed = json.loads(self.kube.kubectl("get", ",".join(KINDS), "-o", "json"))
        for manifest in listed["items"]:
            ready = [each for each in manifest["status"]["conditions"] if each["type"] == "Ready"]
            if [(each["status"], each["observedGeneration"]) for each in ready] != [
                ("True", manifest["metadata"]["generation"])
            ]:
                return False
        return bool(listed["items"])

    def living(self, kind: str) -> list[ray_support.StandInJob]:
        """Jobs of a kind that run now."""
        return [job for name, job in self.ray.jobs.items() if name.startswith(kind) and job.ended is None]

    def work(self, job: ray_support.StandInJob) -> None:
        """Do what the job's process would do: leave a result, or take the fence."""
        config = job.config
        if job.entrypoint.endswith("tradeplane_workers.strategy"):
            job.status = "RUNNING"
            self.gateway.fence(config)
            return
        job.status = "RUNNING"
        does = self.backtested if job.entrypoint.endswith("jobs backtest") else self.trained
        result = does(config)
        if result is None:
            return
        target = self.directory / "artifacts" / "runs" / f"{job.submission_id}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps({"submission_id": job.submission_id, **result}))
        job.end("FAILED" if result.get("error") else "SUCCEEDED", result.get("error", ""))


def trained(config: Json) -> Json:
    """Answer as a good training: the same training gives the same digest."""
    decides = {key: value for key, value in config["spec"].items() if key != "serving"}
    digest = hashlib.sha256(json.dumps([decides, config["symbols"]], sort_keys=True).encode()).hexdigest()
    return {"digest": f"sha256:{digest}", "artifact": f"file:///artifacts/sha256/{digest}", "rows": 100, "trials": 1}


def backtested(config: Json) -> Json:
    """Answer as a good backtest: the same run gives the same hash."""
    decides = [config["spec"], config["strategy"]["spec"], config["model"]["digest"], config["policy"]["spec"]]
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
    return {
        "hash": f"sha256:{digest}",
        "digest": f"sha256:{digest}",
        "artifact": f"file:///artifacts/sha256/{digest}",
        "data": f"sha256:{digest}",
        "trials": config["trials"],
        "measures": {"total_return": "0.125", "sharpe": "1.5", "max_drawdown": "-0.04"},
    }


@contextlib.contextmanager
def bench(kube: servers.Kube, directory: Path) -> Iterator[Bench]:
    """Yield the surroundings of an operator."""
    stand_in, trading = ray_support.StandIn(), gateway_stand_in.GatewayStandIn()
    with stand_in.serving() as ray_address, trading.serving() as gateway_url:
        made = Bench(kube, stand_in, ray_address, trading, gateway_url, directory, trained, backtested)
        stand_in.run = made.work
        yield made


@contextlib.contextmanager
def process(made: Bench, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the operator as a process of its own, with some settings changed; a failed test shows its log."""
    log = made.directory / f"operator-{time.monotonic_ns()}.log"
    with log.open("wb") as stream:
        running = subprocess.Popen(
            [sys.executable, "-m", "tradeplane_operator"],
            env={**os.environ, **made.variables, **variables},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(15)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
            print(log.read_text()[-6000:])  # noqa: T201 - pytest shows it for a failed test only


def eventually(holds: Callable[[], bool], *, patience_s: float = 40.0, what: str = "") -> None:
    """Wait until it holds; fails otherwise."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(0.2)
    raise AssertionError(f"not within {patience_s} s: {what or holds}")


@contextlib.asynccontextmanager
async def inside(made: Bench, *, wrap: Callable[[Any], Any] = lambda it: it) -> AsyncIterator[world.World]:
    """Yield the edges for passes in this process; ``wrap`` puts a faulty edge around the real one."""
    configured = settings.from_variables(made.variables)
    adapter = external.ExternalRay(made.ray_address)
    async with (
        client.Client(configured.kubeconfig, configured.namespace) as kube,
        gateway.Gateway(configured.gateway_url, time.monotonic) as trading,
    ):
        edge = wrap(adapter)
        yield world.World(
            settings=configured,
            kube=wrap(kube),
            gateway=trading,
            artifacts=artifacts.Artifacts(configured.artifacts),
            ray=lambda _: edge,
            now=lambda: dt.datetime.now(dt.UTC),
        )
    await adapter.close()


KEYS = (
    reconciler.Key(reconciler.SWITCH),
    reconciler.Key("Environment", "demo"),
    reconciler.Key("RiskPolicy", "prudent"),
    reconciler.Key("Model", "alpha"),
    reconciler.Key("Strategy", "momentum"),
    reconciler.Key("Backtest", "momentum-2012"),
    reconciler.Key(reconciler.SWEEP),
)


async def one_round(outside: world.World) -> None:
    """Read the gateway and make one pass for every key."""
    await outside.gateway.read()
    for key in KEYS:
        await reconciler.reconcile(outside, key)
