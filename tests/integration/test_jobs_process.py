"""The jobs as Ray runs them: a process, its environment, its exit code, the artifact store."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support import engine_data, strategy_peers
from tradeplane_engine.domain import times
from tradeplane_engine.models import lightgbm
from tradeplane_workers import artifacts, messages, translate
from tradeplane_workers.model import core

MARKET = engine_data.market(160)
CONFIG: dict[str, Any] = {
    "submission_id": "training-u-1-1",
    "name": "alpha",
    "uid": "u",
    "generation": 1,
    "spec": {
        "source": {
            "training": {
                "start": "2020-01-01",
                "end": times.text(MARKET[150].end)[:10],
                "seed": 7,
                "parameters": {"num_iterations": "5"},
            }
        }
    },
    "symbols": list(engine_data.SYMBOLS),
}


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[strategy_peers.Peers]:
    """Serve history."""
    served = core.Core(artifacts.ArtifactStore(tmp_path.as_uri()))
    with strategy_peers.serving(strategy_peers.Peers(served, MARKET, len(MARKET))) as serving:
        yield serving


def job(peers: strategy_peers.Peers, folder: Path, config: dict[str, Any] | str, *kind: str) -> "subprocess.Popen[str]":
    """Start a job."""
    env = {
        **os.environ,
        "TRADEPLANE_CONFIG": config if isinstance(config, str) else json.dumps(config),
        "TRADEPLANE_MARKET_DATA_URL": peers.url,
        "TRADEPLANE_ARTIFACTS": folder.as_uri(),
    }
    command = [sys.executable, "-m", "tradeplane_workers.jobs", *kind]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finished(process: "subprocess.Popen[str]") -> tuple[int, list[dict[str, Any]]]:
    """Return exit code and log lines; every line is JSON."""
    output, _ = process.communicate(timeout=90)
    return process.returncode, [json.loads(line) for line in output.splitlines()]


def test_a_job_trains_through_outages(peers: strategy_peers.Peers, tmp_path: Path) -> None:
    """History that fails at first only delays; the artifact in the store is a model of the declared features."""
    peers.trouble = {"history": [503, "cut"]}
    code, lines = finished(job(peers, tmp_path, CONFIG))
    assert code == 0
    store = artifacts.ArtifactStore(tmp_path.as_uri())
    result = store.run("training-u-1-1")
    assert result is not None
    assert lightgbm.load(store.get(result.digest)).names == engine_data.ALPHA.columns
    assert {line["process"] for line in lines} == {"jobs"}
    assert peers.trouble == {"history": []}


def test_a_running_job_serves_its_metrics(peers: strategy_peers.Peers, tmp_path: Path) -> None:
    """While history keeps it waiting, the port that its log names answers with the job and the process's figures."""
    peers.trouble = {"history": [503] * 100}
    process = job(peers, tmp_path, CONFIG)
    try:
        assert process.stdout is not None
        lines = (json.loads(line) for line in process.stdout)
        port = next(line["port"] for line in lines if line["event"] == "metrics served")
        text = httpx2.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    finally:
        process.kill()
        process.communicate()
    assert 'tradeplane_jobs_running{kind="training"} 1.0' in text
    assert "process_resident_memory_bytes" in text


def test_a_job_that_cannot_train_says_so(peers: strategy_peers.Peers, tmp_path: Path) -> None:
    """Exit code 1, and the result names the field."""
    code, _ = finished(job(peers, tmp_path, CONFIG | {"spec": CONFIG["spec"] | {"framework": "torch"}}))
    assert code == 1
    result = artifacts.ArtifactStore(tmp_path.as_uri()).run("training-u-1-1")
    assert result is not None
    assert "framework" in result.error


@pytest.mark.parametrize("config", ["{", "[]", json.dumps({"name": "alpha"})])
def test_a_configuration_that_cannot_be_read_is_refused(
    peers: strategy_peers.Peers, tmp_path: Path, config: str
) -> None:
    """Exit code 2, and nothing is written."""
    code, lines = finished(job(peers, tmp_path, config))
    assert code == 2
    assert "TRADEPLANE_CONFIG" in lines[-1]["error"]
    assert list(tmp_path.iterdir()) == []


def test_a_killed_job_leaves_no_half_result(peers: strategy_peers.Peers, tmp_path: Path) -> None:
    """SIGKILL at any moment leaves nothing that could be taken for a result; the next run succeeds."""
    process = job(peers, tmp_path, CONFIG)
    time.sleep(1.5)  # somewhere between start and end; wherever it is, the fact holds
    process.send_signal(signal.SIGKILL)
    process.communicate()
    store = artifacts.ArtifactStore(tmp_path.as_uri())
    earlier = store.run("training-u-1-1")
    assert earlier is None or store.get(earlier.digest)
    assert finished(job(peers, tmp_path, CONFIG))[0] == 0
    assert isinstance(store.run("training-u-1-1"), messages.TrainingResult)


def backtest_config(store: artifacts.ArtifactStore) -> dict[str, Any]:
    """Train a model into the store and return what a backtest of it is told."""
    training = translate.training(messages.TrainingConfig.model_validate(CONFIG))
    digest = store.put(lightgbm.train(training, MARKET).artifact)
    return {
        "submission_id": "backtest-u-1-1",
        "name": "b",
        "uid": "u",
        "generation": 1,
        "spec": {
            "strategyRef": "s",
            "from": times.text(MARKET[100].end)[:10],
            "to": times.text(MARKET[150].end)[:10],
        },
        "strategy": {
            "name": "s",
            "uid": "u2",
            "generation": 3,
            "spec": {
                "universe": {"symbols": list(engine_data.SYMBOLS)},
                "signal": {"models": [{"name": "alpha"}]},
                "riskPolicyRef": "p",
            },
        },
        "model": {
            "name": "alpha",
            "uid": "u3",
            "generation": 1,
            "url": "",
            "digest": digest,
            "artifact": store.url(digest),
            "features": {"set": "alpha158", "version": "v1"},
            "deadline": "2s",
        },
        "policy": {"name": "p", "hash": "", "spec": {"order": {}, "position": {}, "portfolio": {}}},
    }


def test_a_backtest_runs_through_outages(peers: strategy_peers.Peers, tmp_path: Path) -> None:
    """The second kind of job, on the same history: its document is in the store, and its outcome names the hash."""
    store = artifacts.ArtifactStore(tmp_path.as_uri())
    peers.trouble = {"history": [503, "cut"]}
    code, lines = finished(job(peers, tmp_path, backtest_config(store), "backtest"))
    assert code == 0, lines
    result = store.backtest("backtest-u-1-1")
    assert result is not None
    told = json.loads(store.get(result.digest))
    assert told["hash"] == result.hash
    assert len(told["events"]["equity"]) == 51
    assert told["events"]["fills"]
    assert {line["process"] for line in lines} == {"jobs"}


def test_a_backtest_that_cannot_run_says_so(peers: strategy_peers.Peers, tmp_path: Path) -> None:
    """Exit code 1, and the outcome names the field; without a readable configuration exit code 2 and no outcome."""
    config = backtest_config(artifacts.ArtifactStore(tmp_path.as_uri()))
    spec = config["spec"] | {"from": "2019-01-01", "to": "2019-02-01"}
    assert finished(job(peers, tmp_path, config | {"spec": spec}, "backtest"))[0] == 1
    result = artifacts.ArtifactStore(tmp_path.as_uri()).backtest("backtest-u-1-1")
    assert result is not None
    assert "from and to" in result.error
    code, lines = finished(job(peers, tmp_path, CONFIG, "backtest"))
    assert code == 2
    assert "TRADEPLANE_CONFIG" in lines[-1]["error"]
