"""Loads an artifact and answers requests with it; swapping artifacts is one assignment.

A batch takes the loaded artifact once, so that all of its answers come from one artifact and name its digest, whatever
is loaded meanwhile.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import prometheus_client
import pydantic

from tradeplane_engine import errors
from tradeplane_engine.features import registry
from tradeplane_engine.models import lightgbm
from tradeplane_workers import artifacts, messages, metrics, translate


class UserConfig(messages.Message):
    """What the operator tells a replica; ``max_batch`` rows are computed by one call of the model at most."""

    model: str
    artifact: str
    digest: str
    features: dict[str, Any]
    max_batch: int = pydantic.Field(ge=1, le=4096)


@dataclass(frozen=True, slots=True)
class Loaded:
    """An artifact in memory, and what it was loaded as."""

    config: UserConfig
    features: registry.FeatureSet
    predictor: lightgbm.LightGbmPredictor


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that cannot be answered; the message names field, limit and value."""

    message: str


Answer = messages.PredictResponse | Refused


class Figures:
    """Metrics of one replica."""

    def __init__(self) -> None:
        self.registry = metrics.registry()
        self.rows = prometheus_client.Counter(
            "tradeplane_model_rows", "Rows scored.", ["model", "digest"], registry=self.registry
        )
        self.refused = prometheus_client.Counter(
            "tradeplane_model_requests_refused", "Requests that cannot be answered.", registry=self.registry
        )
        self.loads = prometheus_client.Counter(
            "tradeplane_model_loads", "Artifacts loaded.", ["result"], registry=self.registry
        )
        self.seconds = prometheus_client.Histogram(
            "tradeplane_model_batch_seconds",
            "Time of one batch inside the replica.",
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5),
            registry=self.registry,
        )


class Core:
    """Answers requests with the artifact that was loaded last.

    Parameters
    ----------
    store : where artifacts are found by digest
    """

    def __init__(self, store: artifacts.ArtifactStore) -> None:
        self._store = store
        self._loaded: Loaded | None = None
        self.figures = Figures()

    @property
    def loaded(self) -> Loaded | None:
        """What answers now."""
        return self._loaded

    def load(self, user_config: Mapping[str, Any]) -> Loaded:
        """Load, verify and swap; raises ModelRefused or ValueRefused and keeps what was loaded."""
        try:
            loaded = self._read(user_config)
        except errors.EngineError:
            self.figures.loads.labels("refused").inc()
            raise
        self._loaded = loaded
        self.figures.loads.labels("loaded").inc()
        return loaded

    def answer(self, requests: Sequence[messages.PredictRequest]) -> list[Answer]:
        """Answer a batch; a request that cannot be answered spoils no other."""
        loaded = self._loaded
        if loaded is None:
            return [Refused("model: nothing is loaded") for _ in requests]
        with self.figures.seconds.time():
            refusals = [_refusal(request, loaded) for request in requests]
            good = [request for request, refusal in zip(requests, refusals, strict=True) if refusal is None]
            scores = iter(_scores(_stacked(good, len(loaded.predictor.names)), loaded))
            answers: list[Answer] = []
            for request, refusal in zip(requests, refusals, strict=True):
                if refusal is not None:
                    self.figures.refused.inc()
                    answers.append(refusal)
                    continue
                found = tuple(next(scores) for _ in request.rows)
                answers.append(
                    messages.PredictResponse(model=loaded.config.model, digest=loaded.config.digest, scores=found)
                )
        self.figures.rows.labels(loaded.config.model, loaded.config.digest).inc(sum(len(one.rows) for one in good))
        return answers

    def _read(self, user_config: Mapping[str, Any]) -> Loaded:
        try:
            config = UserConfig.model_validate(user_config)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise errors.ValueRefused(f"user_config.{place}", first["msg"], first["input"]) from error
        features = translate.features(config.features, "user_config.features")
        predictor = lightgbm.load(self._content(config), expected=config.digest)
        if predictor.names != features.columns:
            raise errors.ModelRefused(
                f"artifact: its columns must be those of {features.name} {features.version} "
                f"({len(features.columns)}), got {len(predictor.names)} other ones"
            )
        return Loaded(config=config, features=features, predictor=predictor)

    def _content(self, config: UserConfig) -> bytes:
        try:
            return self._store.get(config.digest)
        except errors.ModelRefused:
            if not config.artifact or config.artifact == self._store.url(config.digest):
                raise
        # An artifact that was made elsewhere is not in our store; its digest makes its place irrelevant.
        return artifacts.fetch(config.artifact, config.digest)


def _refusal(request: messages.PredictRequest, loaded: Loaded) -> Refused | None:
    names = loaded.predictor.names
    if request.features != names:
        for at, (ours, theirs) in enumerate(zip(names, request.features, strict=False)):
            if ours != theirs:
                return Refused(f"features[{at}]: must be {ours!r}, got {theirs!r}")
        return Refused(f"features: must be {len(names)} columns, got {len(request.features)}")
    for at, row in enumerate(request.rows):
        if len(row) != len(names):
            return Refused(f"rows[{at}]: must have {len(names)} values, got {len(row)}")
    return None


def _stacked(requests: Iterable[messages.PredictRequest], width: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    rows = [[math.nan if value is None else value for value in row] for one in requests for row in one.rows]
    return np.array(rows, dtype=np.float64).reshape(len(rows), width)


def _scores(rows: np.ndarray[Any, np.dtype[np.float64]], loaded: Loaded) -> Iterable[float]:
    # A row scores the same alone and in any batch, so where a batch is cut changes nothing.
    for first in range(0, len(rows), loaded.config.max_batch):
        part = rows[first : first + loaded.config.max_batch]
        yield from loaded.predictor.predict(loaded.predictor.names, part).scores
