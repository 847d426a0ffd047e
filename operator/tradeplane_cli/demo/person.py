"""What a person does with `kubectl` during the demo, and how he waits for it; every command is shown."""

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tradeplane_cli.demo import gather
from tradeplane_cli.local import environment, processes

KINDS = ("environments", "riskpolicies", "models", "strategies")
_POLL_S = 0.1


class DemoFailed(processes.LocalError):
    """A phase did not reach its end; the message says what was missing."""


@dataclass(frozen=True, slots=True)
class Patched:
    """When a patch was sent and when its answer came, CLOCK_MONOTONIC nanoseconds."""

    sent_ns: int
    answered_ns: int


@dataclass(frozen=True, slots=True)
class Person:
    """Someone with a kubeconfig, at a terminal.

    Parameters
    ----------
    say : prints a line
    note : shows what is being waited for
    """

    env: environment.Environment
    client: httpx2.Client
    say: Callable[[str], None]
    note: Callable[[str], None]

    def apply(self, *paths: Path) -> None:
        """Apply manifests as a user would."""
        arguments = [argument for path in paths for argument in ("-f", _short(path))]
        self.say(f"  $ kubectl apply {' '.join(arguments)}")
        self.env.kubectl("apply", *(f"--filename={path}" for path in paths))

    def edit(self, name: str, spec: Mapping[str, Any]) -> None:
        """Merge a change into a Strategy's spec."""
        self._patch("strategy", name, {"spec": spec}, identity="trader")

    def switch(self, word: str) -> Patched:
        """Set the kill-switch, as someone who may, and note when the answer came."""
        return self._patch("configmap", "kill-switch", {"data": {"trading": word}}, identity="risk")

    def conditions(self) -> dict[str, dict[str, str]]:
        """Return the conditions by ``Kind/name``; one that lags behind its object's generation counts as none."""
        found: dict[str, dict[str, str]] = {}
        for item in self._items():
            current = item["metadata"]["generation"]
            found[f"{item['kind']}/{item['metadata']['name']}"] = {
                condition["type"]: condition["status"]
                for condition in item.get("status", {}).get("conditions", ())
                if condition.get("observedGeneration") == current
            }
        return found

    def wait_ready(self, patience_s: float) -> dict[str, dict[str, str]]:
        """Wait until every applied resource is Ready at its generation; raises DemoFailed with the one that is not."""

        def missing() -> str:
            items = self._items()
            if {item["kind"] for item in items} < {"Environment", "RiskPolicy", "Model", "Strategy"}:
                return "resources are not all there"
            return next((text for text in map(_unready, items) if text), "")

        self.wait("Ready", missing, patience_s=patience_s)
        return self.conditions()

    def wait_state(
        self, what: str, missing: Callable[[Mapping[str, Any]], str], patience_s: float
    ) -> Mapping[str, Any]:
        """Wait until the gateway's state lacks nothing and return it; raises DemoFailed."""
        last: dict[str, Any] = {}

        def ask() -> str:
            nonlocal last
            try:
                last = gather.get(self.client, f"{self.env.addresses.url('gateway')}/v1/state")
            except httpx2.HTTPError as error:
                return f"the gateway ({type(error).__name__})"
            return missing(last)

        self.wait(what, ask, patience_s=patience_s)
        return last

    def wait(self, what: str, missing: Callable[[], str], *, patience_s: float) -> None:
        """Ask until nothing is missing; raises DemoFailed, also when a process ended by itself."""
        deadline = time.monotonic() + patience_s
        while text := missing():
            self.note(text)
            self.env.supervisor.check()
            if time.monotonic() > deadline:
                raise DemoFailed(f"{what}: waited {patience_s:.0f} s for: {text}")
            time.sleep(_POLL_S)

    def _items(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(self.env.kubectl("get", ",".join(KINDS), "--output=json"))["items"]
        return items

    def _patch(self, resource: str, name: str, body: Mapping[str, Any], *, identity: str) -> Patched:
        text = json.dumps(body, separators=(",", ":"))
        self.say(f"  $ kubectl patch {resource} {name} --type merge -p '{text}'")
        argv = [
            str(self.env.plane.programs["kubectl"]),
            f"--kubeconfig={self.env.kubeconfig(identity)}",
            "patch",
            resource,
            name,
            "--type=merge",
            f"--patch={text}",
        ]
        sent = time.monotonic_ns()
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
            # kubectl prints when the answer is there; its own end comes later.
            printed = child.stdout.readline() if child.stdout else ""
            answered = time.monotonic_ns()
            _, error = child.communicate()
        if child.returncode != 0:
            raise DemoFailed(f"kubectl patch {resource} {name}: {error.strip()}")
        self.say(f"  {printed.strip()}")
        return Patched(sent, answered)


def _unready(item: Mapping[str, Any]) -> str:
    name = f"{item['kind']}/{item['metadata']['name']}"
    for condition in item.get("status", {}).get("conditions", ()):
        if condition["type"] == "Ready":
            if condition.get("observedGeneration") != item["metadata"]["generation"]:
                return f"{name}: generation {item['metadata']['generation']} not observed yet"
            if condition["status"] != "True":
                return f"{name}: {condition['reason']} {condition['message']}"
            return ""
    return f"{name}: no condition Ready yet"


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(environment.CHECKOUT))
    except ValueError:
        return str(path)
