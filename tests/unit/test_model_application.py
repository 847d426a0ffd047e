"""The Serve shell of the model, called as Serve calls it, without a cluster."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from starlette import requests

from support import engine_data
from tradeplane_engine import errors
from tradeplane_engine.models import lightgbm
from tradeplane_workers import artifacts, messages
from tradeplane_workers.model import application, core

COLUMNS = engine_data.ALPHA.columns


@pytest.fixture
def replica(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> application.Replica:
    """Give a replica without an artifact, whose batches hold one request: Serve's queue needs a cluster."""

    async def batched(self: application.Replica, request: messages.PredictRequest) -> core.Answer:
        (answer,) = self._core.answer([request])
        return answer

    batched.set_max_batch_size = lambda _size: None  # type: ignore[attr-defined]  # as Serve's own method has it
    monkeypatch.setattr(application.Replica, "batched", batched)
    monkeypatch.setenv("TRADEPLANE_ARTIFACTS", tmp_path.as_uri())
    return application.Replica()


@pytest.fixture(scope="module")
def artifact() -> bytes:
    """Train a small artifact."""
    training = lightgbm.Training(
        symbols=engine_data.SYMBOLS,
        features=engine_data.ALPHA,
        horizon=1,
        start=engine_data.opening(0),
        end=engine_data.ending(150),
        seed=1,
        parameters={"num_iterations": "5"},
    )
    return lightgbm.train(training, engine_data.market(150)).artifact


def user_config(folder: Path, artifact: bytes) -> dict[str, Any]:
    """Store an artifact and return its configuration."""
    store = artifacts.ArtifactStore(folder.as_uri())
    digest = store.put(artifact)
    features = {"set": "alpha158", "version": "v1"}
    return {"model": "alpha", "artifact": store.url(digest), "digest": digest, "features": features, "max_batch": 8}


async def call(replica: application.Replica, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """Send one request as Serve's proxy does."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b"", "server": ("x", 80)}
    answer = await replica(requests.Request({**scope, "scheme": "http", "root_path": ""}, receive))
    return answer.status_code, bytes(answer.body)


def request(rows: int = 1) -> bytes:
    """Return a PredictRequest as JSON."""
    return json.dumps({"features": COLUMNS, "rows": [[0.5] * len(COLUMNS)] * rows}).encode()


async def test_nothing_loaded_is_unhealthy(replica: application.Replica) -> None:
    """Before its first artifact a replica fails its health check and answers 503."""
    with pytest.raises(RuntimeError, match="nothing is loaded"):
        await replica.check_health()
    assert (await call(replica, "POST", "/predict", request()))[0] == 503


async def test_concurrent_requests_are_answered_each(
    replica: application.Replica, tmp_path: Path, artifact: bytes
) -> None:
    """Requests that arrive together get their own scores."""
    await replica.reconfigure(user_config(tmp_path, artifact))
    await replica.check_health()
    answers = await asyncio.gather(*(call(replica, "POST", "/predict", request(count)) for count in range(1, 30)))
    assert [status for status, _ in answers] == [200] * 29
    assert [len(json.loads(body)["scores"]) for _, body in answers] == list(range(1, 30))
    assert {json.loads(body)["digest"] for _, body in answers} == {artifacts.digest_of(artifact)}


async def test_a_failed_reload_is_raised(replica: application.Replica, tmp_path: Path, artifact: bytes) -> None:
    """Serve hears that the declared artifact is not there."""
    config = user_config(tmp_path, artifact) | {"digest": "sha256:" + "0" * 64}
    with pytest.raises(errors.ModelRefused):
        await replica.reconfigure(config)


@pytest.mark.parametrize(
    "method, path, body, status",
    [
        ("POST", "/predict", b"{", 422),
        ("POST", "/predict", b'{"features": ["x"], "rows": [[1.0]]}', 422),
        ("POST", "/predict", b'{"features": [], "rows": [], "surprise": 1}', 422),
        ("GET", "/predict", b"", 404),
        ("POST", "/", b"", 404),
        ("GET", "/metrics", b"", 200),
        ("POST", "/models/alpha/predict/", request(), 200),
    ],
)
async def test_requests_are_routed(
    replica: application.Replica, tmp_path: Path, artifact: bytes, method: str, path: str, body: bytes, status: int
) -> None:
    """What is not a prediction that fits is refused with its own status."""
    await replica.reconfigure(user_config(tmp_path, artifact))
    assert (await call(replica, method, path, body))[0] == status
