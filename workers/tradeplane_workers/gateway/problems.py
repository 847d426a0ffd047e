"""Errors as problem details (RFC 9457), with a word that never changes, and what a value had to be.

``reason`` is the word; ``errors`` names field, limit and value of each one that was refused; ``request_id`` finds the
request in the log. A secret is never told back.
"""

import http
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import fastapi
import structlog
from fastapi import exceptions as fastapi_exceptions
from fastapi import responses
from starlette import exceptions as starlette_exceptions

from tradeplane_engine import errors
from tradeplane_workers.gateway import decisions, fence
from tradeplane_workers.stores import database

MEDIA_TYPE = "application/problem+json"
_log = structlog.get_logger(__name__)
_SECRET = re.compile("token|secret|password|key", re.IGNORECASE)
_SHOWN = 200  # characters of a refused value


class Problem(starlette_exceptions.HTTPException):
    """An answer that is no success.

    Parameters
    ----------
    reason : a word that programs may rely on
    detail : for people
    refused : field, limit and value of what was not accepted
    more : members beyond the standard's
    retry_after_s : when to ask again; 0 where that would change nothing
    """

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        refused: Sequence[Mapping[str, str]] = (),
        *,
        more: Mapping[str, Any] | None = None,
        retry_after_s: int = 0,
    ) -> None:
        super().__init__(status, detail)
        self.reason = reason
        self.refused = tuple(refused)
        self.more = more or {}
        self.retry_after_s = retry_after_s


def install(app: fastapi.FastAPI) -> None:
    """Let an application answer every error with its problem."""
    for kind in (
        *(Problem, fence.Fenced, decisions.Conflict, decisions.NotReady, errors.ValueRefused, *database.FAILURES),
        database.OtherHistory,
        *(fastapi_exceptions.RequestValidationError, starlette_exceptions.HTTPException, Exception),
    ):
        app.add_exception_handler(kind, _answer)


def of(error: Exception) -> Problem:
    """Return the problem that an error is to whoever asked."""
    for kinds, make in _KINDS:
        if isinstance(error, kinds):
            return make(error)
    return Problem(500, "internal", "the gateway's log has the cause under this request_id")


def _conflict(error: Any) -> Problem:
    return Problem(409, "conflict", str(error), more={"decision": error.receipt.model_dump(mode="json")})


def _unreadable(error: Any) -> Problem:
    refused = tuple(_refused(_path(one["loc"]), one["msg"], one.get("input", "")) for one in error.errors())
    detail = "; ".join(f"{one['field']}: {one['limit']}, got {one['value']}" for one in refused)
    return Problem(422, "invalid", detail, refused)


def _plain(error: Any) -> Problem:
    word = http.HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    return Problem(error.status_code, word, str(error.detail))


_KINDS: tuple[tuple[Any, Callable[[Any], Problem]], ...] = (
    (Problem, lambda error: error),
    (fence.Fenced, lambda error: Problem(403, "fenced", str(error))),
    (decisions.Conflict, _conflict),
    (decisions.NotReady, lambda error: Problem(503, "not-ready", str(error), retry_after_s=1)),
    (
        errors.ValueRefused,
        lambda error: Problem(422, "invalid", str(error), (_refused(error.field, error.limit, error.value),)),
    ),
    (fastapi_exceptions.RequestValidationError, _unreadable),
    (starlette_exceptions.HTTPException, _plain),
    (
        (*database.FAILURES, database.OtherHistory),
        lambda error: Problem(503, "ledger-away", f"{type(error).__name__}: {error}", retry_after_s=1),
    ),
)


async def _answer(request: fastapi.Request, error: Exception) -> responses.JSONResponse:
    problem = of(error)
    if problem.status_code == http.HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request failed", path=request.url.path, exc_info=error)
    body = {
        "type": "about:blank",
        "title": http.HTTPStatus(problem.status_code).phrase,
        "status": problem.status_code,
        "detail": problem.detail,
        "reason": problem.reason,
        "request_id": request.scope.get("state", {}).get("request_id", ""),
        **({"errors": list(problem.refused)} if problem.refused else {}),
        **problem.more,
    }
    headers = {"Retry-After": str(problem.retry_after_s)} if problem.retry_after_s else None
    return responses.JSONResponse(body, problem.status_code, headers, media_type=MEDIA_TYPE)


def _refused(name: str, limit: str, value: object) -> dict[str, str]:
    shown = "***" if _SECRET.search(name) else f"{value!r}"[:_SHOWN]
    return {"field": name, "limit": limit, "value": shown}


def _path(location: tuple[str | int, ...]) -> str:
    """Return where a value stood, as its sender wrote it: ``intents[0].quantity``."""
    text = ""
    for part in location[1:] or location:  # the first says query, path or body
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
