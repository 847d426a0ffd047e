"""Backtests on a real API server: one run each, whatever happens around it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import operator as support
from support import servers

NAME = "momentum-2012"


@pytest.fixture
def bench(kube: servers.Kube, tmp_path: Path) -> Iterator[support.Bench]:
    """Yield the surroundings of a running operator."""
    with support.bench(kube, tmp_path) as made:
        made.gateway.enable()
        with support.process(made):
            yield made


def status(bench: support.Bench) -> dict[str, Any]:
    """Read the Backtest's status."""
    return (bench.get("backtest", NAME) or {})["status"]


def apply_backtest(bench: support.Bench) -> None:
    """Apply the documented manifest as it is."""
    bench.kube.kubectl("apply", "-f", str(support.BACKTEST))


def runs(bench: support.Bench) -> list[str]:
    """Submission ids of all backtests that ever began."""
    return [name for name in bench.ray.jobs if name.startswith("backtest")]


def test_a_backtest_waits_for_what_it_names_runs_once_and_rests(bench: support.Bench) -> None:
    """Applied first of all, it says what is missing; then one job, its result, and no write and no job ever after."""
    apply_backtest(bench)
    support.eventually(
        lambda: bench.condition("backtest", NAME, "Ready") == ("False", "StrategyNotFound"), what="waits by name"
    )
    bench.apply_examples()
    support.eventually(bench.settled, what="everything Ready, the Backtest too")
    found = bench.get("backtest", NAME) or {}
    model, policy = bench.get("model", "alpha") or {}, bench.get("riskpolicy", "prudent") or {}
    uid, result = found["metadata"]["uid"], found["status"]["result"]
    (run,) = runs(bench)
    config = bench.ray.jobs[run].config
    assert run == f"backtest-{uid}-1-1"
    assert config["spec"] == found["spec"]
    assert config["strategy"]["spec"]["universe"]["symbols"] == ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
    assert config["model"]["digest"] == model["status"]["active"]["digest"]
    assert config["policy"]["hash"] == policy["status"]["hash"]
    assert found["status"]["phase"] == "Succeeded"
    assert found["status"]["subject"]["model"]["digest"] == config["model"]["digest"]
    assert result["measures"] == {"total_return": "0.125", "sharpe": "1.5", "max_drawdown": "-0.04"}
    header, line = (text.split() for text in bench.kube.kubectl("get", "bt").splitlines())
    assert header == ["NAME", "PHASE", "STRATEGY", "RETURN", "SHARPE", "HASH", "AGE"]
    assert line[:-1] == [NAME, "Succeeded", "momentum", "0.125", "1.5", result["hash"]]

    version = found["metadata"]["resourceVersion"]
    bench.ray.lose_everything()
    bench.patch("strategy", "momentum", {"portfolio": {"top": 1}})
    support.eventually(lambda: len(bench.living("strategy")) == 1 and bench.settled(), what="the Strategy runs anew")
    assert (bench.get("backtest", NAME) or {})["metadata"]["resourceVersion"] == version
    assert runs(bench) == []


def test_a_deleted_backtests_job_is_stopped_and_a_new_one_runs_anew(bench: support.Bench) -> None:
    """Deletion takes nothing but the job; the name can be used again for another run."""
    bench.backtested = lambda _: None
    bench.apply_examples()
    apply_backtest(bench)
    support.eventually(lambda: status(bench).get("phase") == "Running", what="running")
    (job,) = bench.living("backtest")
    bench.kube.kubectl("delete", "backtest", NAME)
    support.eventually(lambda: not bench.living("backtest"), what="job stopped")
    assert job.status == "STOPPED"
    bench.backtested = support.backtested
    apply_backtest(bench)
    support.eventually(lambda: status(bench).get("phase") == "Succeeded", what="the second run")
    assert len(runs(bench)) == 2


def test_a_refused_backtest_fails_for_good(bench: support.Bench) -> None:
    """The condition has the job's own words; there is no second attempt."""
    bench.backtested = lambda _: {"error": "from and to: must be a period with bars, got 2012", "refused": True}
    bench.apply_examples()
    apply_backtest(bench)
    support.eventually(lambda: status(bench).get("phase") == "Failed", what="failed")
    found = {each["type"]: each for each in status(bench)["conditions"]}
    assert (found["Stalled"]["status"], found["Stalled"]["reason"]) == ("True", "BacktestFailed")
    assert "must be a period with bars" in found["Ready"]["message"]
    listed = json.loads(bench.kube.kubectl("get", "events", "-o", "json"))["items"]
    assert len(runs(bench)) == 1, listed
