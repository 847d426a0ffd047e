"""HTTP side of the market data process: history, health, metrics."""

from collections.abc import Callable, Mapping
from typing import Any

import fastapi
import pydantic
from fastapi import responses

from tradeplane_engine import errors
from tradeplane_engine.domain import bars, timeframes, times
from tradeplane_workers import bar_messages, messages, metrics
from tradeplane_workers.market_data import figures, provider

_LAST_MAX = 10_000
_SYMBOLS: pydantic.TypeAdapter[tuple[str, ...]] = pydantic.TypeAdapter(tuple[messages.Symbol, ...])


def application(readers: Mapping[str, Any], *, ready: Callable[[], bool], counted: figures.Figures) -> fastapi.FastAPI:
    """Return the HTTP application.

    Parameters
    ----------
    readers : the provider's past (``history.Reader``, ``buckets.Reader``) by channel, such as ``1d`` or ``5m:extended``
    ready : whether bars are coming in and going out
    counted : what ``/metrics`` shows
    """
    app = fastapi.FastAPI(title="tradeplane market data", docs_url=None, redoc_url=None)

    @app.exception_handler(errors.ValueRefused)
    async def refused(_request: fastapi.Request, error: Exception) -> responses.JSONResponse:
        return responses.JSONResponse({"reason": "refused", "detail": str(error)}, status_code=422)

    @app.exception_handler(NotKnownYetError)
    async def not_known_yet(_request: fastapi.Request, error: Exception) -> responses.JSONResponse:
        return responses.JSONResponse({"reason": "not-known-yet", "detail": str(error)}, status_code=409)

    @app.exception_handler(provider.ProviderFailedError)
    async def provider_failed(_request: fastapi.Request, error: Exception) -> responses.JSONResponse:
        body = {"reason": "provider-failed", "detail": str(error)}
        return responses.JSONResponse(body, status_code=503, headers={"Retry-After": "1"})

    @app.get("/v1/history")
    async def read_history(
        symbols: str,
        timeframe: str,
        session: str = timeframes.REGULAR,
        start: str | None = None,
        end: str | None = None,
        last: int | None = None,
    ) -> fastapi.Response:
        reader = _reader(readers, timeframe, session)
        if start is not None and last is None:
            answer = await _between(reader, _symbols(symbols), start, end)
        elif start is None and end is None and last is not None:
            answer = await _newest(reader, _symbols(symbols), last)
        else:
            raise errors.ValueRefused("start, end, last", "either start (and end), or last", f"{start}, {end}, {last}")
        return fastapi.Response(answer.model_dump_json(), media_type="application/json")

    @app.get("/healthz")
    async def health() -> responses.JSONResponse:
        is_ready = ready()
        return responses.JSONResponse({"ready": is_ready}, status_code=200 if is_ready else 503)

    @app.get("/metrics")
    async def measured() -> fastapi.Response:
        return fastapi.Response(metrics.exposition(counted.registry), media_type=metrics.CONTENT_TYPE)

    return app


class NotKnownYetError(Exception):
    """The range reaches past what the provider has; an answer would silently be shorter than what was asked for."""


def _reader(readers: Mapping[str, Any], timeframe: str, session: str) -> Any:
    """Return the reader of a timeframe and session; raises ValueRefused by the parameter's name."""
    if timeframe not in timeframes.ALL:
        raise errors.ValueRefused("timeframe", f"one of: {', '.join(timeframes.ALL)}", timeframe)
    found = readers.get(timeframe if session == timeframes.REGULAR else f"{timeframe}:{session}")
    if found is None:
        allowed = timeframes.REGULAR if timeframe == timeframes.DAY else f"one of: {', '.join(timeframes.SESSIONS)}"
        raise errors.ValueRefused("session", allowed, session)
    return found


async def _newest(reader: Any, symbols: tuple[str, ...], last: int) -> messages.History:
    if not 1 <= last <= _LAST_MAX:
        raise errors.ValueRefused("last", f"1 to {_LAST_MAX} bars", last)
    newest = await reader.newest_end(symbols)
    if newest is None:
        return messages.History(bars=(), actions=())
    sessions = reader.calendar.newest(last, until=newest)
    found = await reader.read_bars(symbols, sessions[0], sessions[-1])
    return _answer(found, await reader.read_actions(symbols, sessions[0], sessions[-1]))


async def _between(reader: Any, symbols: tuple[str, ...], start: str, end: str | None) -> messages.History:
    since = times.instant(start, field="start")
    until = await reader.horizon(symbols) if end is None else times.instant(end, field="end")
    if end is not None and until < since:
        raise errors.ValueRefused("end", f"at or after start ({start})", end)
    wanted = reader.calendar.ending_within(since, until)
    known = tuple(session for session in wanted if session.available_at <= reader.machine_now())
    if end is not None and known != wanted:
        raise NotKnownYetError(f"end: must be in the past, got {end}")
    if not known:
        return messages.History(bars=(), actions=())
    # Without an end the provider's own clock decides: a replayed one stands before the machine's.
    found = await reader.read_bars(symbols, known[0], known[-1] if end is not None else None)
    newest = max((bar.end for bar in found), default=None)
    if end is not None and not await reader.has_passed(symbols, known[-1].end, found):
        limit = "earlier" if newest is None else f"before the session after {times.text(newest)}"
        raise NotKnownYetError(f"end: must be {limit}, got {end}: no symbol has a bar at {times.text(known[-1].end)}")
    if newest is None:
        return messages.History(bars=(), actions=())
    last = reader.calendar.newest(1, until=newest)[0]
    return _answer(found, await reader.read_actions(symbols, known[0], last))


def _answer(found: tuple[bars.Bar, ...], actions: tuple[bars.CorporateAction, ...]) -> messages.History:
    return messages.History(
        bars=tuple(bar_messages.bar_message(bar) for bar in found),
        actions=tuple(bar_messages.action_message(action) for action in actions),
    )


def _symbols(text: str) -> tuple[str, ...]:
    try:
        return _SYMBOLS.validate_python(tuple(sorted(set(text.split(",")))))
    except pydantic.ValidationError:
        raise errors.ValueRefused("symbols", "symbols separated by commas", text) from None
