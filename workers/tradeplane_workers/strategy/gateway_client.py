"""The gateway as the venue of a strategy: fence, decisions, what becomes of orders.

Every call is repeated until it is answered; the gateway makes that harmless, because a decision is one row under its
trigger and part. Only the fence's word ends the process.
"""

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import httpx2
import orjson
import pydantic
import structlog

from tradeplane_engine import live, record
from tradeplane_engine.domain import numbers, orders, times
from tradeplane_workers import messages
from tradeplane_workers.strategy import figures, stopping

log = structlog.get_logger(__name__)

_M = TypeVar("_M", bound=messages.Message)
_OK, _FORBIDDEN, _CONFLICT, _TOO_MANY, _SERVER_ERROR = 200, 403, 409, 429, 500
_RETRY_AFTER_MOST_S = 5.0


class Fenced(Exception):  # noqa: N818 - named for what happened
    """Another process decides for this Strategy now; whoever gets this exits."""


class GatewayRefused(Exception):  # noqa: N818 - named for what happened
    """The gateway will never take this request as it is."""


class Conflict(Exception):  # noqa: N818 - named for what happened
    """Another decision stands under this trigger and part; it stays."""


class Gateway:
    """Speaks for one attempt of one Strategy; the venue of its host.

    Parameters
    ----------
    url : base URL of the gateway
    config : this attempt
    stop : ends every wait
    counted : where calls and verdicts are counted
    transport : another HTTP transport, for tests
    """

    def __init__(
        self,
        url: str,
        config: messages.StrategyConfig,
        *,
        stop: stopping.Stop,
        counted: figures.Figures,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._client = httpx2.Client(base_url=url.rstrip("/"), timeout=10.0, transport=transport, trust_env=False)
        self._config = config
        self._stop = stop
        self._counted = counted
        self._path = f"/v1/strategies/{config.name}"
        self._token = ""

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    def take_fence(self) -> live.Place | None:
        """Become the one who decides; returns where decisions ended, if any did. Raises Fenced and GatewayRefused."""
        request = messages.FenceRequest(config=self._config)
        granted = self._call("POST", f"{self._path}/fence", messages.FenceGranted, body=request)
        self._token = granted.token
        if not granted.last_trigger:
            return None
        trigger = times.instant(granted.last_trigger, field="last_trigger")
        return live.Place(trigger, granted.last_part, granted.last_heard)

    def heartbeat(self) -> None:
        """Give a sign of life; raises Fenced where another process decides."""
        self._call("GET", f"{self._path}/book", messages.Book, query={"token": self._token})

    def order_events(self, after: int) -> list[live.OrderEvent]:
        """Return what happened to this strategy's orders behind a place in the sequence; counts as a sign of life."""
        found: list[live.OrderEvent] = []
        while True:
            query = {"token": self._token, "after": str(after)}
            page = self._call("GET", f"{self._path}/order-events", messages.OrderEvents, query=query)
            found.extend(map(_event, page.events))
            if not page.more:
                return found
            after = page.events[-1].sequence

    def submit(self, decision: orders.Decision) -> tuple[live.Verdict, ...] | None:
        """Post a decision until it is recorded; return its verdicts, None where another one stands. Raises Fenced."""
        message = self._message(decision)
        try:
            receipt = self._call("POST", f"{self._path}/decisions", messages.DecisionReceipt, body=message)
        except Conflict as conflict:
            # An earlier attempt decided this trigger and was lost before it knew; what is recorded has acted.
            log.warning(
                "another decision stands", trigger=message.trigger, part=message.part, recorded=str(conflict)[:500]
            )
            verdicts = None
        else:
            verdicts = tuple(map(_verdict, receipt.verdicts))
            for verdict in receipt.verdicts:
                self._counted.verdicts.labels(verdict.reason).inc()
            log.info(
                "decision recorded",
                trigger=message.trigger,
                part=message.part,
                outcome=message.outcome,
                detail=message.detail,
                sequence=receipt.sequence,
                repeated=receipt.repeated,
                intents=len(message.intents),
                refused=[verdict.client_order_id for verdict in receipt.verdicts if verdict.reason],
            )
        self._counted.decisions.labels(message.outcome).inc()
        self._counted.last_trigger.set(decision.trigger / times.SECOND)
        return verdicts

    def _message(self, decision: orders.Decision) -> messages.DecisionMessage:
        return messages.DecisionMessage(
            uid=self._config.uid,
            generation=self._config.generation,
            attempt=self._config.attempt,
            token=self._token,
            trigger=times.text(decision.trigger),
            outcome=decision.outcome.value,
            detail=decision.detail,
            model_digest=decision.model_digest,
            signals=tuple(
                messages.SignalMessage(
                    symbol=signal.symbol,
                    score=signal.score,
                    features=tuple(value if math.isfinite(value) else None for value in signal.features),
                    direction=signal.direction,
                    confidence=signal.confidence,
                    horizon_ns=signal.horizon,
                    model_digest=signal.model,
                )
                for signal in decision.signals
            ),
            intents=tuple(
                messages.IntentMessage(
                    symbol=intent.symbol,
                    side=intent.side.value,
                    quantity=numbers.quantity_text(intent.quantity),
                    number=intent.number,
                    **record.described(intent.terms),
                )
                for intent in decision.intents
            ),
            cancels=decision.cancels,
            part=decision.part,
            heard=decision.heard,
            rung=times.text(decision.rung) if decision.rung else "",
        )

    def _call(
        self,
        method: str,
        path: str,
        kind: type[_M],
        *,
        body: messages.Message | None = None,
        query: Mapping[str, str] | None = None,
    ) -> _M:
        content = None if body is None else body.model_dump_json()
        failures = 0
        while True:
            self._stop.check()
            wait_s = 0.0
            try:
                answer = self._client.request(
                    method, path, content=content, params=query, headers={"content-type": "application/json"}
                )
                if answer.status_code == _OK:
                    return kind.model_validate_json(answer.content)
                problem = _problem(answer)
                wait_s = _retry_after(answer)
            except (httpx2.HTTPError, pydantic.ValidationError) as error:
                problem = f"{type(error).__name__}: {error}"
            self._counted.failures.labels("gateway").inc()
            log.warning("gateway did not answer", path=path, problem=problem, failures=failures + 1)
            if wait_s:
                self._stop.pause(wait_s)
            self._stop.back_off(failures)
            failures += 1


def _verdict(message: messages.Verdict) -> live.Verdict:
    quantity = numbers.quantity(message.quantity, field="quantity") if message.quantity else None
    return live.Verdict(message.client_order_id, message.reason, message.detail, quantity)


def _event(message: messages.OrderEventMessage) -> live.OrderEvent:
    return live.OrderEvent(
        sequence=message.sequence,
        event=live.Happened(message.event),
        client_order_id=message.client_order_id,
        symbol=message.symbol,
        side=orders.Side(message.side),
        quantity=numbers.quantity(message.quantity, field="quantity"),
        trigger=times.instant(message.trigger, field="trigger"),
        at=times.instant(message.at, field="at"),
        executed=numbers.quantity(message.executed, field="executed"),
        price=numbers.price(message.price, field="price") if message.event == "fill" else numbers.Price(0),
        fee=numbers.money(message.fee, field="fee"),
        status=message.status,
        reason=message.reason,
    )


def _problem(answer: httpx2.Response) -> str:
    """Return what to try again for; raises where trying again is wrong."""
    status = answer.status_code
    reason, detail = _reason(answer)
    if status == _FORBIDDEN or (status == _CONFLICT and reason == "fenced"):
        raise Fenced(detail)
    if status == _CONFLICT:
        raise Conflict(detail)
    if status >= _SERVER_ERROR or status == _TOO_MANY:
        return f"HTTP {status}: {detail}"
    raise GatewayRefused(f"HTTP {status}: {detail}")


def _reason(answer: httpx2.Response) -> tuple[str, str]:
    text = answer.text[:2000]
    try:
        content: Any = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return "", text
    return (str(content.get("reason", "")), text) if isinstance(content, dict) else ("", text)


def _retry_after(answer: httpx2.Response) -> float:
    text = answer.headers.get("retry-after", "")
    return min(float(text), _RETRY_AFTER_MOST_S) if text.isdecimal() else 0.0
