"""The Serve application: ``tradeplane_workers.model.application:build``.

``POST <route>/predict`` takes a PredictRequest and answers a PredictResponse: 422 for a request that does not fit the
model, 503 while nothing is loaded. ``GET <route>/metrics`` shows the replica's figures.
"""

import asyncio
import os
from collections.abc import Mapping
from typing import Any

import orjson
import pydantic
import structlog
from ray import serve
from starlette import requests, responses

from tradeplane_workers import artifacts, logs, messages, metrics
from tradeplane_workers.model import core

log = structlog.get_logger(__name__)

# Requests that arrive while a batch is computed form the next one; waiting for company would only add latency.
_BATCH_WAIT_S = 0.0
_BATCH_REQUESTS = 64
_ONGOING_REQUESTS = 256
_HEALTH_PERIOD_S = 2.0


class Replica:
    """One process that answers for one Model."""

    def __init__(self) -> None:
        logs.configure("model")
        self._core = core.Core(artifacts.ArtifactStore(os.environ.get("TRADEPLANE_ARTIFACTS", "")))

    async def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        """Load what ``user_config`` names; requests that are being answered finish with the artifact before it.

        A failure is raised, so that Serve reports it: a replica that cannot have the declared artifact must not look
        healthy with another one.
        """
        loaded = await asyncio.to_thread(self._core.load, user_config)
        most = min(loaded.config.max_batch, _BATCH_REQUESTS)
        self.batched.set_max_batch_size(most)  # type: ignore[attr-defined]  # Ray's type of a batched method lacks it
        log.info("artifact loaded", model=loaded.config.model, digest=loaded.config.digest)

    async def check_health(self) -> None:
        """Fail while nothing is loaded."""
        if self._core.loaded is None:
            raise RuntimeError("model: nothing is loaded")

    async def __call__(self, request: requests.Request) -> responses.Response:
        """Route one HTTP request."""
        place = request.method, request.url.path.rstrip("/").rpartition("/")[2]
        if place == ("GET", "metrics"):
            return responses.Response(metrics.exposition(self._core.figures.registry), media_type=metrics.CONTENT_TYPE)
        if place != ("POST", "predict"):
            return _json({"reason": "not-found", "detail": f"{place[0]} {request.url.path}"}, status=404)
        return await self._predict(await request.body())

    async def _predict(self, body: bytes) -> responses.Response:
        if self._core.loaded is None:
            return _json({"reason": "not-loaded", "detail": "model: nothing is loaded"}, status=503)
        try:
            request = messages.PredictRequest.model_validate_json(body)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            return _json({"reason": "refused", "detail": f"{place}: {first['msg']}"}, status=422)
        answer = await self.batched(request)
        if isinstance(answer, core.Refused):
            return _json({"reason": "refused", "detail": answer.message}, status=422)
        return _json(answer.model_dump())

    @serve.batch(max_batch_size=_BATCH_REQUESTS, batch_wait_timeout_s=_BATCH_WAIT_S)
    async def batched(self, batch: list[messages.PredictRequest]) -> list[core.Answer]:
        """Answer the requests that arrived together; called with one request at a time."""
        return self._core.answer(batch)


Predictor: Any = serve.deployment(
    name="Predictor", max_ongoing_requests=_ONGOING_REQUESTS, health_check_period_s=_HEALTH_PERIOD_S
)(Replica)


def build(_args: Mapping[str, Any]) -> Any:
    """Return the application; everything it needs comes by ``user_config`` and ``TRADEPLANE_ARTIFACTS``."""
    return Predictor.bind()


def _json(content: Mapping[str, Any], *, status: int = 200) -> responses.Response:
    return responses.Response(orjson.dumps(content), status_code=status, media_type="application/json")
