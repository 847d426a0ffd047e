"""The ledger's lists over HTTP, page by page, and as a stream of server-sent events of what is added to them."""

import asyncio
import heapq
from collections.abc import AsyncIterator
from typing import Annotated, Any

import fastapi
import orjson
from fastapi import responses

from tradeplane_workers.gateway import problems, service
from tradeplane_workers.stores import database, listing

_LIMIT, _LIMIT_MAX = 1000, 10_000
_HEARTBEAT_S = 15.0
_TOGETHER_S = 0.1  # what is added within it is read together
_FOLLOWED = {
    "decision": listing.decisions,
    "order": listing.orders,
    "fill": listing.fills,
    "event": listing.events,
}

After = Annotated[int, fastapi.Query(ge=0, description="place in the ledger's sequence behind which rows are")]
Limit = Annotated[int, fastapi.Query(ge=1, le=_LIMIT_MAX, description="rows at most; fewer mean that it is the end")]
Name = Annotated[str, fastapi.Query(description="only of the strategy of this name")]
Symbol = Annotated[str, fastapi.Query(description="only of this symbol")]
Open = Annotated[bool, fastapi.Query(alias="open", description="only orders that may still fill")]
Row = dict[str, Any]


def refuse_unknown(request: fastapi.Request) -> None:
    """Refuse a parameter that its route does not know: a filter with a misspelt name would filter nothing."""
    known = {one.alias for one in request.scope["route"].dependant.query_params}
    for name in request.query_params:
        if name not in known:
            limit = f"one of {', '.join(sorted(known)) or 'none'}"
            refused = {"field": "query", "limit": limit, "value": name}
            raise problems.Problem(422, "invalid", f"query: must be {limit}, got {name!r}", (refused,))


def router(gateway: service.Gateway) -> fastapi.APIRouter:
    """Return the routes."""
    made = fastapi.APIRouter(prefix="/v1")

    @made.get("/decisions")
    async def decisions(after: After = 0, limit: Limit = _LIMIT, strategy: Name = "") -> list[Row]:
        async with database.transaction(gateway.pool) as connection:
            return await listing.decisions(connection, listing.Page(after, limit, strategy))

    @made.get("/orders")
    async def orders(
        *, after: After = 0, limit: Limit = _LIMIT, strategy: Name = "", symbol: Symbol = "", only_open: Open = False
    ) -> list[Row]:
        page = listing.Page(after, limit, strategy, symbol)
        async with database.transaction(gateway.pool) as connection:
            return await listing.orders(connection, page, only_open=only_open)

    @made.get("/fills")
    async def fills(after: After = 0, limit: Limit = _LIMIT, strategy: Name = "", symbol: Symbol = "") -> list[Row]:
        async with database.transaction(gateway.pool) as connection:
            return await listing.fills(connection, listing.Page(after, limit, strategy, symbol))

    @made.get("/positions")
    async def positions(strategy: Name = "", symbol: Symbol = "") -> list[Row]:
        async with database.transaction(gateway.pool) as connection:
            return await listing.positions(connection, strategy=strategy, symbol=symbol)

    @made.get("/signals")
    async def signals(after: After = 0, limit: Limit = _LIMIT, strategy: Name = "") -> list[Row]:
        """List signals; ``limit`` counts decisions, whose signals are never parted."""
        async with database.transaction(gateway.pool) as connection:
            return await listing.signals(connection, listing.Page(after, limit, strategy))

    @made.get("/events")
    async def events(after: After = 0, limit: Limit = _LIMIT) -> list[Row]:
        async with database.transaction(gateway.pool) as connection:
            return await listing.events(connection, listing.Page(after, limit))

    @made.get("/updates")
    async def updates(
        request: fastapi.Request, after: Annotated[int | None, fastapi.Query(ge=0)] = None
    ) -> responses.StreamingResponse:
        """Stream what is added, from a place on (``after``, or the header ``Last-Event-ID``), or from now on."""
        heard = request.headers.get("last-event-id", "")
        if after is None and heard.isdecimal():
            after = int(heard)
        if after is None:
            async with database.transaction(gateway.pool) as connection:
                after = await listing.last_place(connection)
        return responses.StreamingResponse(_added(gateway, after), media_type="text/event-stream")

    return made


async def _added(gateway: service.Gateway, after: int) -> AsyncIterator[bytes]:
    """Yield server-sent events whose ids are places in the sequence; a comment says at times that all is well."""
    while True:
        rings = gateway.ledger_bell.rings
        pages = []
        async with database.transaction(gateway.pool) as connection:
            end = await listing.last_place(connection)
            for name, listed in _FOLLOWED.items():
                rows = await listed(connection, listing.Page(after, _LIMIT))
                if len(rows) == _LIMIT:  # behind it there may be more of this list, before others of another
                    end = min(end, rows[-1]["sequence"])
                pages.append([(row["sequence"], name, row) for row in rows])
        for sequence, name, row in heapq.merge(*pages, key=lambda entry: entry[0]):
            if sequence <= end:
                yield b"id: %d\nevent: %s\ndata: %s\n\n" % (sequence, name.encode(), orjson.dumps(row))
        after = max(after, end)
        if all(len(page) < _LIMIT for page in pages):
            if not await gateway.ledger_bell.wait(rings, timeout_s=_HEARTBEAT_S):
                yield b": nothing new\n\n"
            await asyncio.sleep(_TOGETHER_S)
