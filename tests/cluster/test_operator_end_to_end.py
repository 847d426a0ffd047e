"""The operator as a process on a real API server, between stand-ins of Ray and the gateway."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import operator as support
from support import servers


@pytest.fixture
def bench(kube: servers.Kube, tmp_path: Path) -> Iterator[support.Bench]:
    """Yield the surroundings."""
    with support.bench(kube, tmp_path) as made:
        yield made


@pytest.fixture
def running(bench: support.Bench) -> Iterator[support.Bench]:
    """Yield the surroundings of a running operator that has reached the state of the examples."""
    bench.gateway.enable()
    with support.process(bench):
        bench.apply_examples()
        support.eventually(bench.settled, what="everything Ready")
        yield bench


def config(bench: support.Bench) -> dict[str, Any]:
    """What the one living strategy job was told."""
    (job,) = bench.living("strategy")
    return job.config


def test_the_examples_become_ready_from_apply_alone(running: support.Bench) -> None:
    """Training, artifact, serving, strategy, policy and switch follow from kubectl apply."""
    (job,) = running.living("strategy")
    uid = (running.get("strategy", "momentum") or {})["metadata"]["uid"]
    assert job.submission_id == f"strategy-{uid}-1-1"
    model = running.get("model", "alpha") or {}
    assert job.config["model"]["digest"] == model["status"]["serving"]["digest"]
    assert job.config["model"]["url"] == f"{support.SERVE_URL}/models/alpha"
    assert running.ray.applications["model-alpha"]["deployments"][0]["user_config"] == {
        "model": "alpha",
        "artifact": model["status"]["active"]["artifact"],
        "digest": model["status"]["active"]["digest"],
        "features": {"set": "alpha158", "version": "v1"},
        "max_batch": 64,
    }
    assert running.condition("strategy", "momentum", "RiskPolicyBound") == ("True", "Bound")
    assert running.condition("strategy", "momentum", "ModelsReady") == ("True", "ModelsServing")
    assert running.condition("strategy", "momentum", "TradingHalted") == ("False", "TradingEnabled")
    switch = running.get("configmap", "kill-switch") or {}
    assert switch["data"] == {"trading": "halted"}
    policy = running.get("riskpolicy", "prudent") or {}
    assert policy["status"]["strategies"] == ["momentum"]
    assert policy["status"]["hash"] == job.config["policy"]["hash"]


def test_an_edited_strategy_is_a_new_attempt_that_knows_the_edit(running: support.Bench) -> None:
    """The old job ends before the new one begins, under the next generation."""
    running.patch("strategy", "momentum", {"portfolio": {"top": 1}})
    support.eventually(lambda: running.settled() and config(running)["generation"] == 2, what="generation 2")
    assert config(running)["spec"]["portfolio"]["top"] == 1
    first, second = (job for name, job in running.ray.jobs.items() if name.startswith("strategy"))
    assert first.ended is not None
    assert first.ended <= second.started


def test_suspend_stops_the_process_and_resuming_starts_it(running: support.Bench) -> None:
    """Suspended is Ready, halted and without a job."""
    running.patch("strategy", "momentum", {"suspend": True})
    support.eventually(
        lambda: running.condition("strategy", "momentum", "Ready") == ("True", "Suspended"), what="suspended"
    )
    assert not running.living("strategy")
    assert running.condition("strategy", "momentum", "TradingHalted") == ("True", "Suspended")
    running.patch("strategy", "momentum", {"suspend": False})
    support.eventually(lambda: len(running.living("strategy")) == 1 and running.settled(), what="resumed")


def test_a_batch_size_acts_in_place_and_disturbs_neither_training_nor_strategy(running: support.Bench) -> None:
    """serving.maxBatch reaches the user_config; no job starts."""
    jobs = list(running.ray.jobs)
    running.patch("model", "alpha", {"serving": {"maxBatch": 7}})

    def arrived() -> bool:
        return running.ray.applications["model-alpha"]["deployments"][0]["user_config"]["max_batch"] == 7

    support.eventually(lambda: arrived() and running.settled(), what="max_batch 7")
    assert list(running.ray.jobs) == jobs


def test_a_deadline_reaches_the_strategy(running: support.Bench) -> None:
    """serving.deadline is the caller's business: a new attempt of the same generation."""
    running.patch("model", "alpha", {"serving": {"deadline": "900ms"}})
    support.eventually(
        lambda: len(running.living("strategy")) == 1 and config(running)["model"]["deadline"] == "900ms",
        what="deadline",
    )
    assert (config(running)["generation"], config(running)["attempt"]) == (1, 2)


def test_another_seed_trains_anew_and_the_strategy_expects_the_new_digest(running: support.Bench) -> None:
    """An edit of source.training gives a new artifact, served, then expected."""
    before = config(running)["model"]["digest"]
    running.patch("model", "alpha", {"source": {"training": {"seed": 8}}})
    support.eventually(
        lambda: len(running.living("strategy")) == 1 and config(running)["model"]["digest"] != before, what="digest"
    )
    support.eventually(running.settled, what="settled")
    served = running.ray.applications["model-alpha"]["deployments"][0]["user_config"]["digest"]
    assert config(running)["model"]["digest"] == served


def test_an_edited_policy_is_bound_anew_without_a_new_attempt(running: support.Bench) -> None:
    """A policy's edit acts on the next order, at the gateway: hash and Event, no restart."""
    (before,) = running.living("strategy")
    running.patch("riskpolicy", "prudent", {"order": {"maxNotional": "1000"}})
    old = before.config["policy"]["hash"]

    def bound() -> bool:
        return (running.get("strategy", "momentum") or {})["status"]["policy"]["hash"] != old

    support.eventually(bound, what="new hash")
    assert running.living("strategy") == [before]
    events = json.loads(running.kube.kubectl("get", "events", "-o", "json"))["items"]
    assert any(old in event["message"] for event in events if event["reason"] == "PolicyChanged")


def test_a_dead_job_is_followed_by_the_next_attempt(running: support.Bench) -> None:
    """Degraded names the cause until the next attempt acts."""
    (job,) = running.living("strategy")
    job.end("FAILED", "Job entrypoint command failed with exit code 1")
    support.eventually(
        lambda: running.condition("strategy", "momentum", "Degraded") == ("True", "JobFailed"), what="degraded"
    )
    support.eventually(lambda: running.settled() and config(running)["attempt"] == 2, what="attempt 2")
    assert running.condition("strategy", "momentum", "Degraded") == ("False", "Healthy")


def test_a_persons_halt_leaves_ready_true(running: support.Bench) -> None:
    """TradingHalted=True beside Ready=True."""
    running.gateway.state = "halted"
    running.gateway.causes = [{"kind": "switch", "state": "halted", "message": "trading is halted"}]
    support.eventually(
        lambda: running.condition("strategy", "momentum", "TradingHalted") == ("True", "Switch"), what="halted"
    )
    assert running.condition("strategy", "momentum", "Ready")[0] == "True"
    assert running.condition("environment", "demo", "TradingHalted") == ("True", "Switch")


def test_a_refused_order_degrades_the_strategy_until_a_decision_without_one(running: support.Bench) -> None:
    """RiskLimitHit names limit and value, on the Strategy and its policy."""
    uid = config(running)["uid"]
    breach = {"reason": "order-notional", "limit": "400000", "value": "500000", "trigger": "2012-03-05T21:00:00Z"}
    running.gateway.breaches[uid] = breach
    support.eventually(
        lambda: running.condition("strategy", "momentum", "Degraded") == ("True", "RiskLimitHit"), what="breach"
    )
    support.eventually(
        lambda: (
            ((running.get("riskpolicy", "prudent") or {})["status"].get("lastBreach") or {}).get("value") == "500000"
        ),
        what="last breach",
    )
    del running.gateway.breaches[uid]
    support.eventually(
        lambda: running.condition("strategy", "momentum", "Degraded") == ("False", "Healthy"), what="healthy"
    )


def test_a_ray_that_came_back_empty_is_filled_again(running: support.Bench) -> None:
    """Applications are served and the strategy acts again, under a number never used before."""
    running.ray.lose_everything()
    support.eventually(
        lambda: len(running.living("strategy")) == 1 and "model-alpha" in running.ray.applications, what="filled"
    )
    support.eventually(running.settled, what="settled")
    assert config(running)["attempt"] == 2
    assert not any(name.startswith("training") for name in running.ray.jobs)


def test_deleting_a_strategy_waits_for_its_orders_and_leaves_no_job(running: support.Bench) -> None:
    """The finalizer goes when the job is stopped and the gateway reports no open order."""
    uid = config(running)["uid"]
    running.gateway.open_orders[uid] = 1
    running.kube.kubectl("delete", "strategy", "momentum", "--wait=false")
    support.eventually(lambda: not running.living("strategy"), what="job stopped")
    support.eventually(
        lambda: running.condition("strategy", "momentum", "Ready") == ("False", "Deleting"), what="deleting"
    )
    assert running.get("strategy", "momentum") is not None
    running.gateway.open_orders[uid] = 0
    support.eventually(lambda: running.get("strategy", "momentum") is None, what="gone")
    assert not running.living("strategy")


def test_deleting_a_model_takes_it_from_serve(running: support.Bench) -> None:
    """Its application leaves the configuration; the Strategy says which reference is missing."""
    running.kube.kubectl("delete", "model", "alpha")
    support.eventually(lambda: "model-alpha" not in running.ray.applications, what="not served")
    support.eventually(
        lambda: running.condition("strategy", "momentum", "ModelsReady") == ("False", "ModelNotFound"), what="missing"
    )


def test_a_deleted_switch_comes_back_halted_and_an_existing_one_is_left_alone(running: support.Bench) -> None:
    """The operator creates the switch as halted and never writes it otherwise."""
    running.kube.kubectl("patch", "configmap", "kill-switch", "--type=merge", "-p", '{"data":{"trading":"enabled"}}')
    running.kube.kubectl("delete", "strategy", "momentum")
    assert (running.get("configmap", "kill-switch") or {})["data"] == {"trading": "enabled"}
    running.kube.kubectl("delete", "configmap", "kill-switch")
    support.eventually(lambda: running.get("configmap", "kill-switch") is not None, what="created")
    assert (running.get("configmap", "kill-switch") or {})["data"] == {"trading": "halted"}


def test_at_rest_nothing_is_written(running: support.Bench) -> None:
    """No object changes its resourceVersion and Ray gets no write over more than one resynchronisation at rest."""

    def versions() -> list[str]:
        listed = running.kube.kubectl("get", "environments,strategies,models,riskpolicies,cm,events", "-o", "json")
        return [each["metadata"]["resourceVersion"] for each in json.loads(listed)["items"]]

    support.eventually(running.settled, what="settled")
    before, writes = versions(), list(running.ray.writes)
    looked = [0]

    def fifteen_seconds() -> bool:
        looked[0] += 1
        assert versions() == before
        return looked[0] >= 40

    support.eventually(fifteen_seconds, patience_s=60, what="rest")
    assert running.ray.writes == writes
