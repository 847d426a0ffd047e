"""Alpaca's trading API as a broker: one attempt per order, exact numbers, every answer classified.

What a submission led to is decided by two facts: whether a byte had left, and whether the answer is the broker's own
clear word. A GET is repeated, because it changes nothing; nothing else ever is.
"""

import asyncio
import urllib.parse
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import httpcore2

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, orders, times
from tradeplane_workers.brokers import alpaca_json, alpaca_stream, budget, port, wire

_SUBMIT_TIMEOUT_S = 5.0
_GET_ATTEMPTS = 3
_GET_PAUSE_S = 0.2
_ORDERS_PAGE = 500
_ACTIVITIES_PAGE = 100
# 40010001 is also malformed input and a replace error; only this message says that the order exists.
_DUPLICATE = "client_order_id must be unique"

_OK = 200
_NO_CONTENT = 204
_MULTI_STATUS = 207
_BAD_REQUEST = 400
_NOT_FOUND = 404
_TOO_MANY = 429
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Credentials:
    """Key of a trading account; the secret is not shown."""

    key_id: str = field(repr=False)
    secret_key: str = field(repr=False)


def _terms(terms: orders.Terms) -> dict[str, Any]:
    """Return how an order is worked in Alpaca's fields; a trail in basis points is a percentage there."""
    found: dict[str, Any] = {"type": terms.type, "time_in_force": terms.time_in_force}
    for name in ("limit_price", "stop_price", "trail_price"):
        price = getattr(terms, name)
        if price:
            found[name] = numbers.price_text(price)
    if terms.trail_bps:
        found["trail_percent"] = numbers.scaled_text(terms.trail_bps, 2)
    if terms.extended_hours:
        found["extended_hours"] = True
    return found


class Alpaca:
    """One account over Alpaca's REST interface and trade-updates stream.

    Parameters
    ----------
    trading_url : such as ``https://paper-api.alpaca.markets``; never empty, because an empty one must not mean live
    stream_url : such as ``wss://paper-api.alpaca.markets/stream``
    credentials : key with the trading scope
    timeout_s : longest wait for an answer
    """

    def __init__(
        self, trading_url: str, stream_url: str, *, credentials: Credentials, timeout_s: float = _SUBMIT_TIMEOUT_S
    ) -> None:
        for name, url, schemes in (
            ("broker.urls.trading", trading_url, ("http://", "https://")),
            ("broker.urls.tradingStream", stream_url, ("ws://", "wss://")),
        ):
            if not url.startswith(schemes):
                raise errors.ValueRefused(name, f"a URL that starts with one of {schemes}", url)
        headers = {"APCA-API-KEY-ID": credentials.key_id, "APCA-API-SECRET-KEY": credentials.secret_key}
        self._http = wire.Http(trading_url.rstrip("/") + "/v2", headers=headers, timeout_s=timeout_s)
        self._meter = budget.Meter()
        self._stream_url = stream_url
        self._credentials = credentials

    async def submit(self, request: port.Request, permit: port.Permit) -> port.Outcome:
        """Send an order at most once and say what is known about it afterwards."""
        left = self._meter.read()
        if left is not None and not left.lets_order:
            return port.NotSent("request-budget", f"{left.remaining} of {left.limit} requests left")
        body = {
            "symbol": request.symbol,
            "qty": numbers.quantity_text(request.quantity),
            "side": request.side.value,
            "client_order_id": request.client_order_id,
            **_terms(request.terms),
        }
        dispatch = wire.Dispatch(permit)
        try:
            answer = await self._request("POST", "/orders", dispatch=dispatch, body=alpaca_json.dump(body).encode())
        except wire.PermitRefused as refused:
            return port.NotSent(str(refused))
        except Exception as error:  # noqa: BLE001 - whatever it is, only one fact matters: had a byte left?
            detail = f"{type(error).__name__}: {error}"
            return port.Unknown(detail) if dispatch.sent else port.NotSent("unreachable", detail)
        return _submitted(answer)

    async def cancel(self, broker_order_id: str) -> str:
        """Ask for the cancellation of one order; 204 means asked, not done."""
        answer = await self._once("DELETE", f"/orders/{urllib.parse.quote(broker_order_id, safe='')}")
        if answer.status == _NO_CONTENT:
            return ""
        code, message = alpaca_json.error_of(answer.body)
        if answer.status >= _SERVER_ERROR or answer.status == _TOO_MANY:
            raise port.BrokerUnreachable(f"cancel: status {answer.status}: {message}")
        return f"{answer.status} {code} {message}".strip()

    async def cancel_all(self) -> tuple[str, ...]:
        """Ask for the cancellation of every open order by one request."""
        answer = await self._once("DELETE", "/orders")
        if answer.status not in {_OK, _MULTI_STATUS}:
            raise _refusal(answer)
        rows = alpaca_json.parse(answer.body)
        if not isinstance(rows, list):
            raise alpaca_json.Unreadable(f"cancel all: must be a list, got {rows!r:.80}")
        return tuple(str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row)

    async def order_by_client_id(self, client_order_id: str) -> port.Event | None:
        """Look an order up by our id."""
        query = urllib.parse.urlencode({"client_order_id": client_order_id})
        answer = await self._get(f"/orders:by_client_order_id?{query}", missing_is_answer=True)
        return None if answer is None else alpaca_json.order_event(answer, source="rest")

    async def orders(self, *, status: str, after: times.Nanos | None = None) -> tuple[port.Event, ...]:
        """List orders by submission time; pages overlap by one instant, because no page token exists."""
        found: dict[str, port.Event] = {}
        cursor = after
        while True:
            parameters = {"status": status, "limit": str(_ORDERS_PAGE), "direction": "asc", "nested": "true"}
            if cursor is not None:
                parameters["after"] = times.text(times.Nanos(cursor - 1))
            rows = _rows(await self._get("/orders?" + urllib.parse.urlencode(parameters)))
            page = [alpaca_json.order_event(row, source="rest") for row in rows]
            fresh = [event for event in page if event.broker_order_id not in found]
            found.update({event.broker_order_id: event for event in fresh})
            if len(rows) < _ORDERS_PAGE or not fresh:
                return tuple(found.values())
            cursor = max(event.report.submitted for event in page if event.report is not None)

    async def activities(self, *, after: times.Nanos | None) -> port.Activities:
        """List all bookings, oldest first."""
        fills: list[port.Event] = []
        cash: list[port.CashActivity] = []
        token = ""
        while True:
            parameters = {"direction": "asc", "page_size": str(_ACTIVITIES_PAGE)}
            if after is not None:
                parameters["after"] = times.text(after)
            if token:
                parameters["page_token"] = token
            rows = _rows(await self._get("/account/activities?" + urllib.parse.urlencode(parameters)))
            for row in rows:
                if isinstance(row, dict) and row.get("activity_type") == "FILL":
                    fills.append(alpaca_json.fill_activity(row))
                else:
                    cash.append(alpaca_json.cash_activity(row))
            if len(rows) < _ACTIVITIES_PAGE:
                return port.Activities(tuple(fills), tuple(cash))
            token = str(rows[-1]["id"])

    async def positions(self) -> tuple[port.Position, ...]:
        """List open positions."""
        return tuple(alpaca_json.position(row) for row in _rows(await self._get("/positions")))

    async def account(self) -> port.Account:
        """Return the account."""
        return alpaca_json.account(await self._get("/account"))

    async def asset(self, symbol: str) -> port.Asset | None:
        """Return what may be done with a symbol."""
        answer = await self._get(f"/assets/{urllib.parse.quote(symbol, safe='')}", missing_is_answer=True)
        return None if answer is None else alpaca_json.asset(answer)

    async def clock(self) -> times.Nanos:
        """Return the venue's trading time."""
        return alpaca_json.clock(await self._get("/clock"))

    def budget(self) -> port.Budget | None:
        """Return what is left of the request budget, by the broker's headers."""
        return self._meter.read()

    def updates(self) -> AbstractAsyncContextManager[port.Updates]:
        """Open the trade-updates stream."""
        return alpaca_stream.listen(
            self._stream_url, key_id=self._credentials.key_id, secret_key=self._credentials.secret_key
        )

    async def aclose(self) -> None:
        """Drop all connections."""
        await self._http.aclose()

    async def _get(self, target: str, *, missing_is_answer: bool = False) -> Any:
        attempt = 1
        while True:
            try:
                answer = await self._once("GET", target)
                if answer.status < _SERVER_ERROR and answer.status != _TOO_MANY:
                    break
                failure: port.BrokerError = _refusal(answer)
            except port.BrokerUnreachable as error:
                failure = error
            if attempt == _GET_ATTEMPTS:
                raise failure
            await asyncio.sleep(_GET_PAUSE_S * attempt)
            attempt += 1
        if missing_is_answer and answer.status == _NOT_FOUND and alpaca_json.error_of(answer.body)[0]:
            # Only the broker's own JSON says "none"; a 404 of some proxy does not.
            return None
        if answer.status != _OK:
            raise _refusal(answer)
        return alpaca_json.parse(answer.body)

    async def _request(self, method: str, target: str, *, dispatch: wire.Dispatch, body: bytes = b"") -> wire.Answer:
        self._meter.leaves()
        try:
            answer = await self._http.request(method, target, dispatch=dispatch, body=body)
        except BaseException:
            (self._meter.lost if dispatch.sent else self._meter.stayed)()
            raise
        self._meter.answered(answer.headers)
        return answer

    async def _once(self, method: str, target: str) -> wire.Answer:
        try:
            return await self._request(method, target, dispatch=wire.Dispatch())
        except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            raise port.BrokerUnreachable(f"{method} {target}: {type(error).__name__}: {error}") from error


def _submitted(answer: wire.Answer) -> port.Outcome:
    code, message = alpaca_json.error_of(answer.body)
    if answer.status == _OK:
        try:
            return port.Acknowledged(alpaca_json.order_event(alpaca_json.parse(answer.body), source="submit"))
        except alpaca_json.Unreadable as error:
            return port.Unknown(f"status 200: {error}")
    if answer.status == _TOO_MANY and code:
        return port.NotSent("rate-limit", message)
    if _DUPLICATE in message:
        return port.Unknown(f"status {answer.status}: {message}")
    is_clear = _BAD_REQUEST <= answer.status < _SERVER_ERROR and answer.status != _TOO_MANY
    if is_clear and (code or _is_json(answer.body)):
        return port.Refused(answer.status, code, message)
    return port.Unknown(f"status {answer.status}: {message}")


def _is_json(body: bytes) -> bool:
    try:
        return isinstance(alpaca_json.parse(body), dict)
    except alpaca_json.Unreadable:
        return False


def _refusal(answer: wire.Answer) -> port.BrokerError:
    code, message = alpaca_json.error_of(answer.body)
    if answer.status >= _SERVER_ERROR or answer.status == _TOO_MANY:
        return port.BrokerUnreachable(f"status {answer.status}: {message}")
    return port.BrokerRefused(answer.status, code, message)


def _rows(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise alpaca_json.Unreadable(f"list: must be a list, got {value!r:.80}")
    return value
