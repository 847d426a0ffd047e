"""HTTP: bodies are validated here, errors become answers here, nothing is decided here."""

import asyncio
import contextlib
from typing import Annotated, Any

import fastapi
from fastapi import responses

from tradeplane_engine import errors
from tradeplane_engine.domain import times
from tradeplane_workers import messages, metrics
from tradeplane_workers.gateway import entrance, fence, lists, problems, service
from tradeplane_workers.stores import database, story

VERSION = "1"
_SETTLED_MAX_S = 30.0


def create(gateway: service.Gateway) -> fastapi.FastAPI:
    """Return the application."""
    app = fastapi.FastAPI(
        title="Tradeplane gateway",
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        dependencies=[fastapi.Depends(lists.refuse_unknown)],
    )
    app.add_middleware(entrance.Entrance)
    problems.install(app)
    app.include_router(_strategies(gateway))
    app.include_router(_persons(gateway))
    app.include_router(lists.router(gateway))
    app.include_router(_state(gateway))
    return app


def _strategies(gateway: service.Gateway) -> fastapi.APIRouter:
    """What a strategy's process asks for."""
    rate = entrance.Rate(gateway.guard.clock)
    router = fastapi.APIRouter(prefix="/v1/strategies/{name}", dependencies=[fastapi.Depends(rate)])

    @router.post("/fence")
    async def take_fence(name: str, request: messages.FenceRequest) -> messages.FenceGranted:
        _must_match(name, request.config.name)
        try:
            return await gateway.fence(request.config)
        except fence.Fenced as error:
            raise problems.Problem(409, "fenced", str(error)) from error

    @router.post("/decisions")
    async def decide(
        name: str,  # noqa: ARG001 - the token says who it is
        decision: messages.DecisionMessage,
        dry_run: Annotated[bool, fastapi.Query()] = False,  # noqa: FBT002 - a query has names
    ) -> messages.DecisionReceipt:
        return await gateway.decide(decision, dry_run=dry_run)

    @router.get("/book")
    async def book(name: str, token: str) -> messages.Book:
        return await gateway.book(name, token)

    @router.get("/order-events")
    async def order_events(name: str, token: str, after: int = 0) -> messages.OrderEvents:
        return await gateway.order_events(name, token, after=after)

    return router


def _persons(gateway: service.Gateway) -> fastapi.APIRouter:
    """What a person may want done, or told."""
    router = fastapi.APIRouter()

    @router.post("/v1/cancels", status_code=202)
    async def cancel(request: messages.CancelRequest) -> messages.CancelReceipt:
        return await gateway.cancel(request)

    @router.get("/v1/orders/{identifier}/story")
    async def order_story(identifier: str) -> Any:
        async with database.transaction(gateway.pool) as connection:
            found = await story.of_order(connection, identifier)
        if found is None:
            raise problems.Problem(404, "absent", f"no order {identifier!r} in the ledger")
        return found

    return router


def _state(gateway: service.Gateway) -> fastapi.APIRouter:
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

    @router.get("/healthz")
    async def health() -> Any:
        return gateway.health.shown()

    @router.get("/readyz")
    async def readiness() -> responses.JSONResponse:
        return responses.JSONResponse(gateway.health.shown(), status_code=200 if gateway.health.is_ready else 503)

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
