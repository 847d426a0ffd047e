"""HTTP: bodies are validated here, errors become answers here, nothing is decided here."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import fastapi
from fastapi import responses

from tradeplane_engine import errors
from tradeplane_engine.domain import times
from tradeplane_workers import messages, metrics
from tradeplane_workers.gateway import decisions, fence, service
from tradeplane_workers.stores import database, listing

_RETRY_AFTER = {"Retry-After": "1"}
_SETTLED_MAX_S = 30.0
_LISTS: dict[str, Callable[[Any], Awaitable[list[listing.Row]]]] = {
    "decisions": listing.decisions,
    "orders": listing.orders,
    "fills": listing.fills,
    "positions": listing.positions,
    "signals": listing.signals,
    "events": listing.events,
}


def create(gateway: service.Gateway) -> fastapi.FastAPI:
    """Return the application."""
    app = fastapi.FastAPI(title="Tradeplane gateway", docs_url=None, redoc_url=None)
    app.include_router(_writing(gateway))
    app.include_router(_reading(gateway))

    @app.exception_handler(fence.Fenced)
    async def fenced(_: fastapi.Request, error: fence.Fenced) -> responses.JSONResponse:
        return responses.JSONResponse({"reason": "fenced", "detail": str(error)}, 403)

    @app.exception_handler(errors.ValueRefused)
    async def refused(_: fastapi.Request, error: errors.ValueRefused) -> responses.JSONResponse:
        return responses.JSONResponse({"reason": "invalid", "detail": str(error)}, 422)

    @app.exception_handler(decisions.NotReady)
    async def not_ready(_: fastapi.Request, error: decisions.NotReady) -> responses.JSONResponse:
        return responses.JSONResponse({"reason": "not-ready", "detail": str(error)}, 503, _RETRY_AFTER)

    for failure in (*database.FAILURES, database.OtherHistory):
        app.add_exception_handler(failure, _ledger_away)
    return app


async def _ledger_away(_: fastapi.Request, error: Exception) -> responses.Response:
    body = {"reason": "ledger-away", "detail": f"{type(error).__name__}: {error}"}
    return responses.JSONResponse(body, 503, _RETRY_AFTER)


def _writing(gateway: service.Gateway) -> fastapi.APIRouter:
    router = fastapi.APIRouter(prefix="/v1/strategies/{name}")

    @router.post("/fence")
    async def take_fence(name: str, request: messages.FenceRequest) -> Any:
        _must_match(name, request.config.name)
        try:
            return await gateway.fence(request.config)
        except fence.Fenced as error:
            return responses.JSONResponse({"reason": "fenced", "detail": str(error)}, 409)

    @router.post("/decisions")
    async def decide(name: str, decision: messages.DecisionMessage) -> Any:  # noqa: ARG001 - the token says who it is
        try:
            return await gateway.decide(decision)
        except decisions.Conflict as conflict:
            body = {"reason": "conflict", "decision": conflict.receipt.model_dump(mode="json")}
            return responses.JSONResponse(body, 409)

    @router.get("/book")
    async def book(name: str, token: str) -> messages.Book:
        return await gateway.book(name, token)

    @router.get("/order-events")
    async def order_events(name: str, token: str, after: int = 0) -> messages.OrderEvents:
        return await gateway.order_events(name, token, after=after)

    return router


def _reading(gateway: service.Gateway) -> fastapi.APIRouter:
    router = fastapi.APIRouter()

    @router.get("/v1/state")
    async def state() -> Any:
        return await gateway.views.state()

    @router.get("/v1/settled")
    async def settled(trigger: str, timeout_s: float = 10.0) -> Any:
        waiting = await _wait_until_settled(gateway, times.instant(trigger, field="trigger"), timeout_s=timeout_s)
        return {"settled": not waiting, "waiting_for": waiting}

    @router.get("/v1/account")
    async def account() -> Any:
        return await gateway.views.account()

    @router.get("/v1/session-record")
    async def session_record() -> Any:
        return await gateway.views.session_record()

    @router.get("/v1/{name}")
    async def listed(name: str) -> Any:
        if name not in _LISTS:
            raise fastapi.HTTPException(404, f"no list {name!r}; there are {sorted(_LISTS)}")
        async with database.transaction(gateway.pool) as connection:
            return await _LISTS[name](connection)

    @router.get("/healthz")
    async def health() -> Any:
        return {"ok": True}

    @router.get("/metrics")
    async def exposition() -> responses.Response:
        gateway.refresh_gauges()
        return responses.Response(metrics.exposition(gateway.metrics.registry), media_type=metrics.CONTENT_TYPE)

    return router


def _must_match(name: str, config_name: str) -> None:
    if name != config_name:
        raise errors.ValueRefused("config.name", name, config_name)


async def _wait_until_settled(gateway: service.Gateway, trigger: times.Nanos, *, timeout_s: float) -> list[str]:
    waiting: list[str] = ["the ledger"]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(min(timeout_s, _SETTLED_MAX_S)):
            while waiting:
                rings = gateway.ledger_bell.rings
                waiting = await gateway.views.waiting_for(trigger)
                if waiting:
                    # A second bounds what rings no ledger bell, such as a strategy that is deleted.
                    await gateway.ledger_bell.wait(rings, timeout_s=1.0)
    return waiting
