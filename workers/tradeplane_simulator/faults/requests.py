"""Where requests meet faults: the outermost ASGI layer of the trading and data port.

The journal lies within, so that it has what was processed, whatever the client saw of it.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tradeplane_simulator import errors
from tradeplane_simulator.faults import plan as plans

_HTML = b"<html><head><title>%d</title></head><body><center><h1>%d</h1></center><hr>proxy</body></html>"


@dataclass(slots=True)
class _Answer:
    """What the application answered."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    async def take(self, message: Message) -> None:
        """Keep a message of the application."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", ()))
        else:
            self.body += message.get("body", b"")

    async def give(self, send: Send, *, part: int | None = None) -> None:
        """Send it, or only the first bytes of its body, of which the whole length was said."""
        headers = [(name, value) for name, value in self.headers if name.lower() != b"content-length"]
        headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body[:part], "more_body": part is not None})


class Layer:
    """Lets requests meet the faults of a plan.

    Parameters
    ----------
    app : the trading and data interface
    plan : the faults
    account : whose a request is, by its headers
    """

    def __init__(self, app: ASGIApp, plan: plans.Plan, *, account: Callable[[Mapping[str, str]], str]) -> None:
        self._app = app
        self._plan = plan
        self._account = account

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, well or badly."""
        fault = None
        if scope["type"] == "http" and not self._plan.is_idle:  # whose a request is costs a comparison of secrets
            headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
            fault = self._plan.of_request(scope["method"], scope["path"], self._account(headers))
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.fault == "delay":
            await asyncio.sleep(float(fault.seconds))
            await self._app(scope, receive, send)
        else:
            await self._badly(fault, scope, receive, send)

    async def _badly(self, fault: plans.RequestFault, scope: Scope, receive: Receive, send: Send) -> None:
        again = await _whole(receive)
        answer = _Answer()
        if fault.processed or fault.fault in {"truncate", "twice", "edit", "hide"}:
            await self._app(scope, again(), answer.take)
        match fault.fault:
            case "hang":
                await asyncio.sleep(float(fault.seconds))
                _cut(send)
            case "drop":
                _cut(send)
            case "answer" | "html":
                await _other(fault).give(send)
            case "truncate":
                await answer.give(send, part=len(answer.body) // 2)
                _cut(send)
            case "twice":
                await self._app({**scope, "state": {}}, again(), _Answer().take)
                await answer.give(send)
            case _:
                await _changed(fault, answer).give(send)


async def _whole(receive: Receive) -> Callable[[], Receive]:
    """Read a request's body; return what lets it be read anew each time."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)

    def again() -> Receive:
        parts = [{"type": "http.request", "body": body, "more_body": False}]

        async def read() -> Message:
            return parts.pop() if parts else await receive()

        return read

    return again


def _cut(send: Send) -> None:
    """Drop the connection at once: uvicorn's way to the transport, which ASGI does not have."""
    cycle = getattr(send, "__self__")  # noqa: B009 - mypy knows a callable only
    cycle.response_complete = True
    cycle.transport.abort()


def _other(fault: plans.RequestFault) -> _Answer:
    """Return an answer that has nothing to do with the request."""
    headers = [(name.lower().encode(), value.encode()) for name, value in fault.headers.items()]
    if fault.fault == "html":
        headers.append((b"content-type", b"text/html"))
        return _Answer(fault.status, headers, _HTML % (fault.status, fault.status))
    headers.append((b"content-type", b"application/json"))
    told = fault.body
    if told is None:
        refusal = errors.too_many() if fault.status == 429 else errors.internal()  # noqa: PLR2004 - too many
        told = refusal.body()
    return _Answer(fault.status, headers, json.dumps(told).encode())


def _changed(fault: plans.RequestFault, answer: _Answer) -> _Answer:
    """Return an answer with another view of some objects."""
    try:
        content = json.loads(answer.body)
    except ValueError:
        return answer
    hides = fault.fault == "hide"
    if isinstance(content, dict) and hides and _has(content, fault.having):
        return _Answer(404, answer.headers, json.dumps({"code": 40410000, "message": "order not found"}).encode())
    if isinstance(content, list) and hides:
        content = [each for each in content if not _has(each, fault.having)]
    elif not hides:
        for each in content if isinstance(content, list) else [content]:
            if _has(each, fault.having):
                each.update(fault.body or {})
    return _Answer(answer.status, answer.headers, json.dumps(content).encode())


def _has(each: Any, having: Mapping[str, Any]) -> bool:
    return isinstance(each, dict) and all(each.get(name) == value for name, value in having.items())
