"""The model as a strategy's predictor: HTTP within a deadline. Late, failed or strange answers are no signal."""

import time
from collections.abc import Callable, Sequence

import httpx2
import numpy as np
import orjson
import pydantic
import structlog

from tradeplane_engine import errors
from tradeplane_engine.domain import times
from tradeplane_engine.models import predictor
from tradeplane_workers import messages
from tradeplane_workers.strategy import figures

log = structlog.get_logger(__name__)

_OK, _TOO_MANY, _SERVER_ERROR = 200, 429, 500
# A replica that was just replaced is back within this time; the deadline bounds all of it.
_RETRY_S = 0.05


class ModelClient:
    """Calls one Model; implements the engine's Predictor.

    Parameters
    ----------
    reference : URL, deadline and expected digest
    counted : where calls are counted
    transport : another HTTP transport, for tests
    now : monotonic seconds, which the deadline is measured by
    pause : sleeps between attempts within one deadline
    """

    def __init__(
        self,
        reference: messages.ModelReference,
        *,
        counted: figures.Figures,
        transport: httpx2.BaseTransport | None = None,
        now: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._deadline_s = times.duration(reference.deadline, field="model.deadline") / times.SECOND
        self._url = f"{reference.url.rstrip('/')}/predict"
        self._client = httpx2.Client(transport=transport, trust_env=False)
        self._counted = counted
        self._now = now
        self._pause = pause

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    def predict(self, names: Sequence[str], rows: predictor.FloatArray) -> predictor.Prediction:
        """Score ``rows``; raises PredictionFailed. The strategy compares the digest with the one it expects."""
        started = self._now()
        try:
            answer = self._ask(_body(names, rows), until=started + self._deadline_s)
        except errors.PredictionFailed as failure:
            self._counted.predictions.labels(failure.reason).inc()
            log.warning("no prediction", reason=failure.reason, detail=str(failure))
            raise
        self._counted.predictions.labels("answered").inc()
        self._counted.prediction_seconds.observe(self._now() - started)
        return predictor.Prediction(digest=answer.digest, scores=answer.scores)

    def _ask(self, body: bytes, *, until: float) -> messages.PredictResponse:
        problem = ""
        while (left := until - self._now()) > 0:
            try:
                answer = self._client.post(
                    self._url, content=body, timeout=left, headers={"content-type": "application/json"}
                )
            except httpx2.TimeoutException:
                break
            except httpx2.HTTPError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if self._now() > until:
                    break
                if answer.status_code == _OK:
                    return _parsed(answer.content)
                problem = f"HTTP {answer.status_code}: {answer.text[:500]}"
                if answer.status_code < _SERVER_ERROR and answer.status_code != _TOO_MANY:
                    raise errors.PredictionFailed("failed", problem)
            self._pause(min(_RETRY_S, max(until - self._now(), 0.0)))
        if problem:
            raise errors.PredictionFailed("failed", f"{problem}, until the deadline of {self._deadline_s} s")
        raise errors.PredictionFailed("late", f"no answer within {self._deadline_s} s")


def _body(names: Sequence[str], rows: predictor.FloatArray) -> bytes:
    # orjson writes NaN as null and every other float with the digits that give the same bits back.
    content = {"features": list(names), "rows": np.ascontiguousarray(rows)}
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def _parsed(content: bytes) -> messages.PredictResponse:
    try:
        return messages.PredictResponse.model_validate_json(content)
    except pydantic.ValidationError as error:
        raise errors.PredictionFailed("failed", f"not a PredictResponse: {error.error_count()} errors") from error
