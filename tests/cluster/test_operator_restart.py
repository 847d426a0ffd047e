"""An operator that dies after any of its writes and is started again reaches the state of one that never died."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import operator as support
from support import servers
from tradeplane_kube import errors
from tradeplane_operator import carry_out

Json = dict[str, Any]

WRITES = frozenset({"apply", "apply_status", "create", "delete", "patch", "submit", "stop", "serve"})
ROUNDS = 60


class Killed(Exception):  # noqa: N818 - what happened to the operator
    """The process ends here."""


class Fate:
    """Counts the writes of all edges together; the one with the fatal number is the last.

    Parameters
    ----------
    fatal : number of the write, from 1; None to live
    answered : whether the fatal write still happened
    """

    def __init__(self, fatal: int | None = None, *, answered: bool = True) -> None:
        self.fatal = fatal
        self.answered = answered
        self.count = 0

    def wrap(self, edge: Any) -> Any:
        """Put an edge under this fate."""
        return _Edge(edge, self)


class _Edge:
    def __init__(self, edge: Any, fate: Fate) -> None:
        self._edge = edge
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._edge, name)
        if name not in WRITES:
            return call

        async def counted(*arguments: Any, **named: Any) -> Any:
            fatal = self._fate.count + 1 == self._fate.fatal
            if fatal and not self._fate.answered:
                self._fate.count += 1
                raise Killed
            # A refused write changes nothing and is none.
            answer = await call(*arguments, **named)
            self._fate.count += 1
            if fatal:
                raise Killed
            return answer

        return counted


def examples(bench: support.Bench) -> None:
    """Declare everything."""
    bench.gateway.enable()
    bench.apply_examples()
    bench.kube.kubectl("apply", "-f", str(support.BACKTEST))


def edits(bench: support.Bench) -> None:
    """Edit the Strategy, the Model's serving and the policy."""
    bench.patch("strategy", "momentum", {"portfolio": {"top": 1}})
    bench.patch("model", "alpha", {"serving": {"maxBatch": 7}})
    bench.patch("riskpolicy", "prudent", {"order": {"maxNotional": "1000"}})


def seed(bench: support.Bench) -> None:
    """Edit the Model's training."""
    bench.patch("model", "alpha", {"source": {"training": {"seed": 8}}})


def deletion(bench: support.Bench) -> None:
    """Delete Strategy, Model and Backtest."""
    bench.kube.kubectl("delete", "strategy", "momentum", "--wait=false")
    bench.kube.kubectl("delete", "model/alpha", "backtest/momentum-2012")


def left(bench: support.Bench) -> bool:
    """Say whether nothing is left of Strategy and Model."""
    gone = bench.get("strategy", "momentum") is None and not bench.ray.applications
    return gone and not bench.living("strategy") and not bench.living("training")


PHASES: tuple[tuple[Callable[[support.Bench], None], Callable[[support.Bench], bool]], ...] = (
    (examples, support.Bench.settled),
    (edits, lambda bench: bench.settled() and len(bench.living("strategy")) == 1),
    (seed, lambda bench: bench.settled() and len(bench.living("strategy")) == 1),
    (deletion, left),
)


def picture(bench: support.Bench, uids: dict[str, str]) -> Json:
    """Everything that must be the same, with the uids of this run, seen so far, replaced by names."""
    listed = json.loads(bench.kube.kubectl("get", ",".join((*support.KINDS, "cm", "events")), "-o", "json"))["items"]
    objects = [each for each in listed if each["apiVersion"] == "tradeplane.dev/v1alpha1"]
    uids |= {each["metadata"]["uid"]: each["metadata"]["name"] for each in objects}
    shown = {
        "applications": bench.ray.applications,
        "jobs": sorted((job.submission_id, job.status, job.variables) for job in bench.ray.jobs.values()),
        "conditions": {
            each["metadata"]["name"]: [
                (condition["type"], condition["status"], condition["reason"], condition["observedGeneration"])
                for condition in each["status"]["conditions"]
            ]
            for each in objects
        },
        "switch": [each["data"] for each in listed if each["metadata"]["name"] == "kill-switch"],
        "events": sorted(each["message"] for each in listed if each["kind"] == "Event"),
    }
    text = json.dumps(shown, sort_keys=True)
    for uid, name in uids.items():
        text = text.replace(uid, name)
    for noise in (bench.kube.namespace, bench.gateway_url, str(bench.directory)):
        text = text.replace(noise, "-")
    pictured: Json = json.loads(text)
    # Sorted anew: the order was that of the uids.
    return {**pictured, "jobs": sorted(pictured["jobs"], key=str)}


async def live(bench: support.Bench, holds: Callable[[support.Bench], bool], fate: Fate) -> None:
    """Make rounds until it holds; raises Killed."""
    async with support.inside(bench, wrap=fate.wrap) as outside:
        for _ in range(ROUNDS):
            before = fate.count
            with contextlib.suppress(errors.KubeError, carry_out.NotNow):
                await support.one_round(outside)
            # Asking a person's kubectl is slow; while the operator still writes, it is too early anyway.
            if fate.count == before and holds(bench):
                return
    raise AssertionError(f"not within {ROUNDS} rounds: {picture(bench, {})}")


async def play(directory: Path, fates: Iterator[Fate]) -> list[Json]:
    """Play all phases; after each death the operator is started again, under the next fate."""
    pictures: list[Json] = []
    uids: dict[str, str] = {}
    directory.mkdir()  # noqa: ASYNC240 - local, and nothing else runs
    with servers.fresh_namespace(directory) as kube, support.bench(kube, directory) as bench:
        fate = next(fates)
        for act, holds in PHASES:
            act(bench)
            while True:
                try:
                    await live(bench, holds, fate)
                except Killed:
                    fate = next(fates)
                else:
                    break
            pictures.append(picture(bench, uids))
    return pictures


@pytest.mark.timeout(600)
async def test_an_operator_killed_after_each_of_its_writes_changes_nothing(tmp_path: Path) -> None:
    """Every life ends with its first write, and yet all phases end in the same picture: no job twice, no orphan."""
    undisturbed = Fate()
    expected = await play(tmp_path / "undisturbed", iter([undisturbed]))
    assert undisturbed.count > 20

    lives: list[Fate] = []

    def short_lives() -> Iterator[Fate]:
        while True:
            lives.append(Fate(1))
            yield lives[-1]

    assert expected == await play(tmp_path / "short", short_lives())
    assert len(lives) > 20


@pytest.mark.timeout(600)
async def test_an_operator_killed_before_a_write_changes_nothing(tmp_path: Path) -> None:
    """One death just before a write, at some places of the whole course."""
    undisturbed = Fate()
    expected = await play(tmp_path / "undisturbed", iter([undisturbed]))
    for number in range(5, undisturbed.count + 1, 15):
        fate = Fate(number, answered=False)
        assert expected == await play(tmp_path / f"n{number}", iter([fate, Fate()])), f"killed at write {number}"
        assert fate.count == number
