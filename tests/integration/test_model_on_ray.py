"""The model application on the one real Ray: served as the operator serves it, called as a strategy calls it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from support import engine_data
from support import ray as ray_support
from tradeplane_engine.models import lightgbm
from tradeplane_operator import render
from tradeplane_operator.ray import external, port
from tradeplane_workers import artifacts, messages
from tradeplane_workers.strategy import figures, model_client

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray"), pytest.mark.timeout(400)]

NAME = "bit-equal"
COLUMNS = engine_data.ALPHA.columns
PATIENCE_S = 120.0


def trained(seed: int) -> bytes:
    """Train a small artifact."""
    training = lightgbm.Training(
        symbols=engine_data.SYMBOLS,
        features=engine_data.ALPHA,
        horizon=1,
        start=engine_data.opening(0),
        end=engine_data.ending(150),
        seed=seed,
        parameters={"num_iterations": "40", "bagging_fraction": "0.5", "bagging_freq": "1"},
    )
    return lightgbm.train(training, engine_data.market(150)).artifact


class Served:
    """One Model on Ray."""

    def __init__(self, adapter: external.ExternalRay, endpoint: ray_support.Endpoint, folder: Path) -> None:
        self.store = artifacts.ArtifactStore(folder.as_uri())
        self._adapter = adapter
        self._endpoint = endpoint
        self._folder = folder
        self.url = render.model_url(endpoint.serve_url, NAME)

    async def declare(self, digest: str, **changed: Any) -> None:
        """Ask for an artifact, in the operator's form."""
        user_config = {
            "model": NAME,
            "artifact": self.store.url(digest),
            "digest": digest,
            "features": {"set": "alpha158", "version": "v1"},
            "max_batch": 4,
        } | changed
        application = {
            "name": f"model-{NAME}",
            "route_prefix": f"/models/{NAME}",
            "import_path": render.IMPORT_PATH,
            "args": {},
            "runtime_env": {"env_vars": {"TRADEPLANE_ARTIFACTS": self._folder.as_uri()}},
            "deployments": [
                {
                    "name": "Predictor",
                    "num_replicas": 1,
                    "ray_actor_options": {"num_cpus": 0.2},
                    "user_config": user_config,
                }
            ],
        }
        config = render.serve_config([application], serve_url=self._endpoint.serve_url)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                # The first PUT starts Serve itself and may outlast a request; the operator repeats it, too.
                with contextlib.suppress(port.RayUnreachable):
                    await self._adapter.serve(config)
                    return

    async def status(self, holds: Callable[[Any], bool]) -> Any:
        """Await a state of the application."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = (await self._adapter.serving()).applications.get(f"model-{NAME}")
                if found is not None and holds(found):
                    return found
                await asyncio.sleep(0.2)

    async def answers_with(self, digest: str) -> None:
        """Await the first answer of an artifact."""
        request = request_of(np.zeros((1, len(COLUMNS))))
        last = ""
        try:
            async with httpx2.AsyncClient(trust_env=False) as client, asyncio.timeout(PATIENCE_S):
                while True:
                    with contextlib.suppress(httpx2.TransportError):
                        answer = await client.post(f"{self.url}/predict", content=request)
                        if answer.status_code == 200 and answer.json()["digest"] == digest:
                            return
                        last = answer.text[:500]
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{last}; {await self._adapter.serving()}") from None

    def client(self, digest: str) -> model_client.ModelClient:
        """Return a strategy's client."""
        reference = messages.ModelReference(
            name=NAME,
            uid="m",
            generation=1,
            url=self.url,
            digest=digest,
            artifact=self.store.url(digest),
            features={"set": "alpha158", "version": "v1"},
            deadline="5s",
        )
        return model_client.ModelClient(reference, counted=figures.Figures())


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """Yield the shared Ray with nothing of ours on it, and leave it so."""
    endpoint = ray_support.shared_ray()
    adapter = external.ExternalRay(endpoint.address, token_file=endpoint.token_file)
    try:
        yield Served(adapter, endpoint, tmp_path)
        await adapter.serve(render.serve_config([], serve_url=endpoint.serve_url))
    finally:
        await adapter.close()


def request_of(rows: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    """Return a PredictRequest as JSON."""
    return json.dumps({"features": COLUMNS, "rows": [[None if np.isnan(v) else v for v in row] for row in rows]})


def rows(count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Rows with some undefined features."""
    made = np.random.default_rng(11).normal(size=(count, len(COLUMNS)))
    made[made > 2] = np.nan
    return made


async def test_a_models_life_on_ray(served: Served) -> None:
    """Served predictions are the artifact's own to the bit; a new digest is live without a restart; errors have names.

    One test, because each start of an application costs ten seconds.
    """
    first, second = trained(1), trained(2)
    digests = [served.store.put(content) for content in (first, second)]
    content = rows(9)

    await served.declare(digests[0])
    await served.answers_with(digests[0])
    prediction = await asyncio.to_thread(served.client(digests[0]).predict, COLUMNS, content)
    alone = lightgbm.load(first).predict(COLUMNS, content)
    assert prediction.digest == digests[0]
    assert np.array(prediction.scores).tobytes() == np.array(alone.scores).tobytes()

    async with httpx2.AsyncClient(trust_env=False) as client:
        many = [client.post(f"{served.url}/predict", content=request_of(content[at : at + 1])) for at in range(9)]
        answers = await asyncio.gather(*many)
        assert [answer.json()["scores"][0] for answer in answers] == list(alone.scores)

        wrong = await client.post(f"{served.url}/predict", json={"features": ["x"], "rows": [[1.0]]})
        assert (wrong.status_code, wrong.json()["detail"]) == (422, f"features[0]: must be {COLUMNS[0]!r}, got 'x'")
        broken = await client.post(f"{served.url}/predict", content="{")
        assert broken.status_code == 422
        assert (await client.get(f"{served.url}/nothing")).status_code == 404

        process = await _start_of_process(client, served.url)
        stopped = asyncio.Event()
        seen = asyncio.create_task(_keep_asking(served.url, content[:1], stopped))
        await served.declare(digests[1])
        await served.answers_with(digests[1])
        stopped.set()
        expected = {
            digest: lightgbm.load(artifact).predict(COLUMNS, content[:1]).scores[0]
            for digest, artifact in zip(digests, (first, second), strict=True)
        }
        pairs = await seen
        assert set(pairs) <= set(expected.items())
        assert {digest for digest, _ in pairs} == set(digests)
        assert await _start_of_process(client, served.url) == process

    await served.declare("sha256:" + "0" * 64)
    failed = await served.status(lambda found: found.status != "RUNNING" or not found.deployments_healthy)
    assert failed is not None


async def _keep_asking(
    url: str, content: np.ndarray[Any, np.dtype[np.float64]], stopped: asyncio.Event
) -> list[tuple[str, float]]:
    """Ask until told to stop; every answer must be one."""
    found = []
    async with httpx2.AsyncClient(trust_env=False) as client:
        while not stopped.is_set():
            answer = await client.post(f"{url}/predict", content=request_of(content))
            assert answer.status_code == 200
            found.append((answer.json()["digest"], answer.json()["scores"][0]))
    return found


async def _start_of_process(client: httpx2.AsyncClient, url: str) -> str:
    """Return when the replica's process started, from its metrics."""
    figures_text = (await client.get(f"{url}/metrics")).text
    return next(line for line in figures_text.splitlines() if line.startswith("process_start_time_seconds"))
