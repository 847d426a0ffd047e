"""The journal: every HTTP request, written down when it arrives and completed when it is answered.

It is the outermost layer, so that answers to faults of the server are in it too. Machine time is CLOCK_MONOTONIC in
nanoseconds, which other processes of the same machine can compare with; it appears nowhere else.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tradeplane_simulator import metrics, store

_LOG = structlog.get_logger()


@dataclass(slots=True)
class Entry:
    """What the handlers find out about a request while they answer it."""

    number: int = 0
    account: str = ""
    key_id: str = ""
    client_order_id: str = ""
    status: int | None = None
    answered_ns: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)  # that the answer shall have


class Journal:
    """ASGI layer that keeps the journal.

    Parameters
    ----------
    app : the trading and data interface
    state : where requests are kept
    venue_time : says what the venue's clock shows
    """

    def __init__(self, app: ASGIApp, *, state: store.Store, venue_time: Callable[[], str]) -> None:
        self._app = app
        self._state = state
        self._venue_time = venue_time

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write down one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = time.monotonic_ns()
        entry = Entry()
        entry.number = self._state.journal_received(
            method=scope["method"], path=scope["path"], venue_time=self._venue_time(), received_ns=received
        )
        scope.setdefault("state", {})["entry"] = entry

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
                extra = [(name.lower().encode(), value.encode()) for name, value in entry.headers.items()]
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                entry.answered_ns = time.monotonic_ns()
                # At once and without an await: who has seen the answer finds the complete row.
                self._complete(entry, scope, received=received)

        try:
            await self._app(scope, receive, answer)
        finally:
            if entry.answered_ns is None:
                self._complete(entry, scope, received=received)

    def _complete(self, entry: Entry, scope: Scope, *, received: int) -> None:
        self._state.journal_answered(
            entry.number,
            {
                "status": entry.status,
                "account": entry.account,
                "key_id": entry.key_id,
                "client_order_id": entry.client_order_id,
                "answered": entry.answered_ns,
            },
        )
        route = getattr(scope.get("route"), "path", "none")
        metrics.REQUESTS.labels(scope["method"], route, str(entry.status)).inc()
        if entry.answered_ns is not None:
            metrics.REQUEST_SECONDS.observe((entry.answered_ns - received) / 1_000_000_000)
        _LOG.info(
            "request",
            n=entry.number,
            method=scope["method"],
            path=scope["path"],
            status=entry.status,
            account=entry.account,
            key_id=entry.key_id,
            client_order_id=entry.client_order_id,
        )
