"""The strategy's HTTP clients: what is repeated, what ends the process, what is no signal."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import httpx2
import numpy as np
import pytest

from tradeplane_engine import errors, live
from tradeplane_engine.domain import numbers, orders, times
from tradeplane_workers import history_client, messages
from tradeplane_workers.strategy import figures, gateway_client, model_client, stopping

Handler = Callable[[httpx2.Request], httpx2.Response]
DIGEST = "sha256:" + "a" * 64
TRIGGER = times.instant("2012-03-02T21:00:00Z")
REFERENCE = messages.ModelReference(
    name="alpha",
    uid="m",
    generation=1,
    url="http://model/models/alpha",
    digest=DIGEST,
    artifact="file:///x",
    features={"set": "alpha158", "version": "v1"},
    deadline="200ms",
)
CONFIG = messages.StrategyConfig(
    environment="demo",
    name="momentum",
    uid="u-1",
    generation=2,
    attempt=3,
    spec={},
    model=REFERENCE,
    policy=messages.PolicyReference(name="prudent", hash="sha256:0", spec={}),
)
DECISION = orders.Decision(
    trigger=TRIGGER,
    outcome=orders.Outcome.TRADED,
    intents=(orders.Intent("IBM", orders.Side.SELL, numbers.quantity("10.5")),),
    signals=(orders.Signal("IBM", 0.25, (1.5, float("nan")), 1, 0.75, 60_000_000_000, "sha256:m"),),
    model_digest=DIGEST,
)
RECEIPT = {"sequence": 7, "repeated": False, "verdicts": [{"client_order_id": "x", "reason": "halted"}]}


class Impatient(stopping.Stop):
    """A stop whose pauses take no time; asked to stop after ``most`` of them."""

    def __init__(self, most: int = 10) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self._most = most

    def pause(self, seconds: float) -> None:
        """Count instead of waiting."""
        self.pauses.append(seconds)
        if len(self.pauses) >= self._most:
            raise stopping.Stopped


def gateway(handler: Handler, *, stop: stopping.Stop | None = None) -> gateway_client.Gateway:
    """Return a client of a scripted gateway."""
    return gateway_client.Gateway(
        "http://gateway",
        CONFIG,
        stop=stop if stop is not None else Impatient(),
        counted=figures.Figures(),
        transport=httpx2.MockTransport(handler),
    )


def script(*answers: httpx2.Response | Exception) -> tuple[Handler, list[httpx2.Request]]:
    """Answer one after the other, and keep the requests."""
    left = list(answers)
    seen: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handle, seen


def test_the_fence_names_where_decisions_ended() -> None:
    """The whole configuration is sent; the answer's token is carried from then on."""
    handler, seen = script(
        httpx2.Response(
            200, json={"token": "t", "last_trigger": "2012-03-01T21:00:00Z", "last_part": 2, "last_heard": 17}
        ),
        httpx2.Response(200, json={"symbols": {"IBM": {"position": "-3", "working_buy": "1"}}}),
    )
    client = gateway(handler)
    assert client.take_fence() == live.Place(times.instant("2012-03-01T21:00:00Z"), 2, 17)
    client.heartbeat()
    assert json.loads(seen[0].content)["config"]["attempt"] == 3
    assert seen[1].url.params["token"] == "t"


def test_a_first_fence_has_no_trigger() -> None:
    """An empty last trigger means that nothing was ever decided."""
    handler, _ = script(httpx2.Response(200, json={"token": "t"}))
    assert gateway(handler).take_fence() is None


@pytest.mark.parametrize(
    "answer", [httpx2.Response(403, json={"reason": "fenced"}), httpx2.Response(409, json={"reason": "fenced"})]
)
def test_who_is_fenced_hears_it(answer: httpx2.Response) -> None:
    """403, and 409 with that reason, end the process."""
    handler, _ = script(answer)
    with pytest.raises(gateway_client.Fenced):
        gateway(handler).take_fence()


def test_a_decision_is_exact() -> None:
    """Quantities are decimal text, an undefined feature is null, the key is the trigger."""
    handler, seen = script(httpx2.Response(200, json=RECEIPT))
    gateway(handler).submit(DECISION)
    body = messages.DecisionMessage.model_validate_json(seen[0].content)
    assert (body.trigger, body.generation, body.attempt) == ("2012-03-02T21:00:00Z", 2, 3)
    assert body.intents == (messages.IntentMessage(symbol="IBM", side="sell", quantity="10.5"),)
    said = {"symbol": "IBM", "score": 0.25, "direction": 1, "confidence": 0.75, "horizon_ns": 60_000_000_000}
    assert body.signals[0].model_dump() == {**said, "features": (1.5, None), "model_digest": "sha256:m"}


@pytest.mark.parametrize(
    "terms, shown",
    [
        (orders.Terms("limit", "gtc", numbers.price("5.25")), {"limit_price": "5.25"}),
        (orders.Terms("stop", "day", stop_price=numbers.price("5")), {"stop_price": "5"}),
        (orders.Terms("trailing_stop", "gtc", trail_bps=150), {"trail_bps": 150}),
        (orders.Terms("limit", "day", numbers.price("1"), extended_hours=True), {"extended_hours": True}),
    ],
)
def test_an_order_says_how_it_is_worked(terms: orders.Terms, shown: dict[str, Any]) -> None:
    """Prices as texts; what its type has not is not in the message."""
    handler, seen = script(httpx2.Response(200, json=RECEIPT))
    (intent,) = DECISION.intents
    gateway(handler).submit(dataclasses.replace(DECISION, intents=(dataclasses.replace(intent, terms=terms),)))
    (posted,) = json.loads(seen[0].content)["intents"]
    assert (posted["type"], posted["time_in_force"]) == (terms.type, terms.time_in_force)
    assert {name: posted[name] for name in shown} == shown


def test_a_decision_is_posted_until_it_is_answered() -> None:
    """Outages, 503 and nonsense are repeated with the same bytes."""
    handler, seen = script(
        httpx2.ConnectError("refused"),
        httpx2.Response(503, headers={"retry-after": "2"}),
        httpx2.ReadTimeout("silent"),
        httpx2.Response(200, text="<html>"),
        httpx2.Response(200, json=RECEIPT),
    )
    stop = Impatient()
    gateway(handler, stop=stop).submit(DECISION)
    assert len({request.content for request in seen}) == 1
    assert len(seen) == 5
    assert 2.0 in stop.pauses


def test_another_decision_under_the_trigger_stands() -> None:
    """A conflict is not repeated and not an error: what is recorded has acted."""
    handler, seen = script(httpx2.Response(409, json={"reason": "conflict", "decision": {}}))
    gateway(handler).submit(DECISION)
    assert len(seen) == 1


def test_a_refused_request_is_not_repeated() -> None:
    """422 is a defect that no repetition heals."""
    handler, seen = script(httpx2.Response(422, json={"reason": "refused"}))
    with pytest.raises(gateway_client.GatewayRefused):
        gateway(handler).submit(DECISION)
    assert len(seen) == 1


def test_a_stop_ends_the_repetition() -> None:
    """A process that is told to stop does not wait for the gateway."""
    handler, _ = script(*[httpx2.ConnectError("refused") for _ in range(20)])
    with pytest.raises(stopping.Stopped):
        gateway(handler, stop=Impatient(most=3)).submit(DECISION)


def model(handler: Handler, *, clock: list[float] | None = None) -> model_client.ModelClient:
    """Return a client of a scripted model, on a clock that only pauses move: a busy machine is never late."""
    clock = clock or [0.0]

    def pause(seconds: float) -> None:
        clock[0] += seconds

    return model_client.ModelClient(
        REFERENCE,
        counted=figures.Figures(),
        transport=httpx2.MockTransport(handler),
        now=lambda: clock[0],
        pause=pause,
    )


ROWS = np.array([[1.0, np.nan], [0.1 + 0.2, -0.0]])
SCORES = {"model": "alpha", "digest": DIGEST, "scores": [0.1, -0.2]}


def test_a_prediction_carries_rows_to_the_bit() -> None:
    """NaN is null, and every other float comes back as the same bits."""
    handler, seen = script(httpx2.Response(200, json=SCORES))
    prediction = model(handler).predict(("a", "b"), ROWS)
    request = messages.PredictRequest.model_validate_json(seen[0].content)
    assert (prediction.digest, prediction.scores) == (DIGEST, (0.1, -0.2))
    assert request.rows[0] == (1.0, None)
    assert np.array(request.rows[1], dtype=np.float64).tobytes() == ROWS[1].tobytes()
    assert str(seen[0].url) == "http://model/models/alpha/predict"


@pytest.mark.parametrize(
    "answer, reason",
    [
        (httpx2.ReadTimeout("silent"), "late"),
        (httpx2.Response(422, json={"detail": "features[0]"}), "failed"),
        (httpx2.Response(404), "failed"),
        (httpx2.Response(200, text="nonsense"), "failed"),
        (httpx2.Response(200, json={"scores": [0.1]}), "failed"),
    ],
)
def test_no_usable_answer_is_no_prediction(answer: httpx2.Response | Exception, reason: str) -> None:
    """Late and strange answers are told apart and never become scores."""
    handler, _ = script(answer)
    with pytest.raises(errors.PredictionFailed) as failed:
        model(handler).predict(("a", "b"), ROWS)
    assert failed.value.reason == reason


def test_an_answer_after_the_deadline_is_late() -> None:
    """However it came to be late, and however good it is."""
    clock = [0.0]

    def slow(_request: httpx2.Request) -> httpx2.Response:
        clock[0] += 0.201
        return httpx2.Response(200, json=SCORES)

    with pytest.raises(errors.PredictionFailed) as failed:
        model(slow, clock=clock).predict(("a", "b"), ROWS)
    assert failed.value.reason == "late"


def test_a_replica_that_comes_back_within_the_deadline_answers() -> None:
    """A refused connection and a 503 are tried again while there is time."""
    handler, seen = script(httpx2.ConnectError("refused"), httpx2.Response(503), httpx2.Response(200, json=SCORES))
    assert model(handler).predict(("a", "b"), ROWS).scores == (0.1, -0.2)
    assert len(seen) == 3


def test_a_model_that_stays_away_has_failed() -> None:
    """Until the deadline, not longer."""
    with pytest.raises(errors.PredictionFailed, match=r"until the deadline of 0\.2 s") as failed:
        model(lambda _request: httpx2.Response(503)).predict(("a", "b"), ROWS)
    assert failed.value.reason == "failed"


@pytest.mark.parametrize("status", [409, 422])
def test_a_refused_history_is_told_apart(status: int) -> None:
    """What cannot be answered is not asked again."""
    handler, seen = script(httpx2.Response(status, json={"reason": "not-known-yet"}))
    client = history_client.HistoryClient("http://bars", transport=httpx2.MockTransport(handler))
    with pytest.raises(history_client.HistoryRefusedError, match="not-known-yet"):
        client.slices(["IBM"], timeframe="1d", start=TRIGGER, end=TRIGGER)
    assert len(seen) == 1


def test_a_history_is_asked_again_while_there_is_patience() -> None:
    """503 and lost connections are repeated; the answer becomes exact slices."""
    bar = {"symbol": "IBM", "start": "2012-03-02T14:30:00Z", "end": "2012-03-02T21:00:00Z"}
    bar |= {"available_at": "2012-03-02T21:00:01Z", "open": "1", "high": "2", "low": "1", "close": "1.5", "volume": 3}
    handler, seen = script(
        httpx2.Response(503), httpx2.ConnectError("x"), httpx2.Response(200, json={"bars": [bar], "actions": []})
    )
    client = history_client.HistoryClient("http://bars/", transport=httpx2.MockTransport(handler))
    found = client.slices(["IBM"], timeframe="1d", start=TRIGGER, end=None)
    assert [(one.end, one.bars["IBM"].close) for one in found] == [(TRIGGER, 15000)]
    assert "end" not in seen[0].url.params


def test_an_impatient_history_fails_at_once() -> None:
    """Without patience one failure is the answer."""
    handler, seen = script(httpx2.Response(503))
    client = history_client.HistoryClient("http://bars", patience_s=0.0, transport=httpx2.MockTransport(handler))
    with pytest.raises(history_client.HistoryUnavailableError):
        client.newest(["IBM"], timeframe="1d", last=61)
    assert (len(seen), seen[0].url.params["last"]) == (1, "61")
