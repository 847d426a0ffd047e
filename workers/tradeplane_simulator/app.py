"""The trading and data port: routes, streams and the form of every refusal, FastAPI's own ones included."""

from collections.abc import Mapping

import structlog
from fastapi import APIRouter, FastAPI, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tradeplane_simulator import (
    account_api,
    actions_api,
    announcements_api,
    credentials,
    data_api,
    errors,
    events_api,
    feeds,
    limits,
    market_api,
    orders_api,
    positions_api,
    queries,
    screener_api,
    simulator,
    streams,
    watchlists_api,
)

_LOG = structlog.get_logger()

# Parts of Alpaca's service that exist there and not here: answered as an account that lacks them, never half.
_NOT_ENTITLED = (
    "/v2/options/{rest:path}",
    "/v1beta1/{rest:path}",
    "/v1beta3/{rest:path}",
    "/v2beta1/{rest:path}",
)
_NOT_ENTITLED_METHODS = (("POST", "/v2/positions/{symbol}/exercise", "options"),)


def bare() -> FastAPI:
    """Return an application that answers every failure in Alpaca's form and never redirects."""
    application = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)

    @application.exception_handler(errors.Refused)
    async def refused(_: Request, error: errors.Refused) -> Response:
        return _refusal(error.refusal)

    @application.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        text = f"{request.method} {request.url.path}: {error.detail}".lower()
        return _refusal(errors.Refusal(error.status_code, error.status_code * 100_000 + 10_000, text))

    @application.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return _refusal(errors.malformed(str(error.errors()[0]["msg"])))

    @application.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> Response:
        _LOG.error("request failed", path=request.url.path, error=type(error).__name__, detail=str(error))
        return _refusal(errors.internal())

    return application


def build(
    venue: simulator.Simulator,
    *,
    recording: feeds.Recording,
    keys: credentials.Keys,
    hub: streams.Hub,
    rates: Mapping[str, limits.Rate],
) -> FastAPI:
    """Return the interface that Alpaca's clients use; ``rates`` limit the requests of accounts."""
    application = bare()
    application.state.limits = limits.Limits(rates)
    application.state.keys = keys
    application.state.venue = venue
    application.state.recording = recording
    trading = (account_api, orders_api, positions_api, watchlists_api, events_api)
    for part in (*trading, market_api, announcements_api, actions_api, screener_api, data_api):
        application.include_router(part.ROUTES)
    application.include_router(_not_entitled())

    @application.websocket("/stream")
    async def trading_stream(socket: WebSocket) -> None:
        await hub.serve_trading(socket)

    @application.websocket("/v2/{feed}")
    async def data_stream(socket: WebSocket, feed: feeds.Feed) -> None:
        await hub.serve_data(socket, feed)

    return application


def _not_entitled() -> APIRouter:
    routes = APIRouter()
    every = ["GET", "POST", "PUT", "PATCH", "DELETE"]

    async def refuse_path(request: Request) -> Response:
        queries.caller(request)
        raise errors.Refused(errors.not_entitled(request.url.path))

    for path in _NOT_ENTITLED:
        routes.add_api_route(path, refuse_path, methods=every)
    for method, path, feature in _NOT_ENTITLED_METHODS:

        async def refuse(request: Request, feature: str = feature) -> Response:
            queries.trader(request)
            raise errors.Refused(errors.not_entitled(feature))

        routes.add_api_route(path, refuse, methods=[method])
    return routes


def _refusal(refusal: errors.Refusal) -> Response:
    return queries.answer(refusal.body(), status=refusal.status)
