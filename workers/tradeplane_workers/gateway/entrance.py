"""What every request passes before anything is done for it: an id, a bound on its patience, and a bound on its rate."""

import asyncio
import re
import secrets
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import fastapi
import structlog
from starlette import types

from tradeplane_workers.gateway import machine, problems

HEADER = "x-request-id"
_BODY_MAX = 1 << 20  # bytes
_BODY_S = 10.0  # for all of a body to come
_GIVEN = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PER_S = 50.0  # requests of one strategy, on the long run
_BURST = 100.0


class Entrance:
    """Gives each request its id, or keeps the one it came with, in the log and in the answer; waits so long for it."""

    def __init__(self, app: types.ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(HEADER.encode(), b"").decode("latin-1")
        identifier = given if _GIVEN.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = identifier

        async def answer(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (HEADER.encode(), identifier.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=identifier):
            await self._app(scope, _patient(receive), answer)


def _patient(receive: types.Receive) -> types.Receive:
    """Return the body's pieces, for so long and up to so many bytes; afterwards what there is to hear of the client."""
    deadline = asyncio.get_running_loop().time() + _BODY_S
    is_whole, size = False, 0

    async def hear() -> MutableMapping[str, Any]:
        nonlocal is_whole, size
        if is_whole:
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise problems.Problem(408, "request-timeout", f"the body did not come within {_BODY_S:g} s") from None
        is_whole = not message.get("more_body", False)
        size += len(message.get("body", b""))
        if size > _BODY_MAX:
            refused = {"field": "body", "limit": f"at most {_BODY_MAX} bytes", "value": f"at least {size} bytes"}
            raise problems.Problem(413, "content-too-large", f"body: must be {refused['limit']}", (refused,))
        return message

    return hear


@dataclass(slots=True)
class _Allowance:
    left: float
    at_s: float


class Rate:
    """How many requests each strategy may make: a dependency of its routes.

    Parameters
    ----------
    clock : the machine's clocks
    """

    def __init__(self, clock: machine.Clock) -> None:
        self._clock = clock
        self._allowances: dict[str, _Allowance] = {}

    def __call__(self, request: fastapi.Request) -> None:
        """Take one request from a strategy's allowance; raises Problem 429 where nothing is left of it."""
        name, now_s = str(request.path_params["name"]), self._clock().boot_s
        own = self._allowances.setdefault(name, _Allowance(_BURST, now_s))
        own.left = min(own.left + (now_s - own.at_s) * _PER_S, _BURST)
        own.at_s = now_s
        if own.left < 1:
            limit = f"at most {_PER_S:g} a second on the long run and {_BURST:g} at once"
            refused = {"field": "requests", "limit": limit, "value": "one more"}
            raise problems.Problem(429, "rate", f"requests of {name}: must be {limit}", (refused,), retry_after_s=1)
        own.left -= 1
