"""Reading requests at the border: callers, query parameters, JSON bodies with exact numbers, and writing answers."""

import datetime as dt
import json
import time
from collections.abc import Collection, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from fastapi import Request, Response

from tradeplane_engine import errors as engine_errors
from tradeplane_engine.domain import times
from tradeplane_simulator import credentials, errors, limits, sessions, simulator

# Far above any quantity; keeps a short text such as 1e999999 from becoming a million digits.
_EXPONENT_MAX = 30
_TEXT_MAX = 64
_DATE_LENGTH = 10
_DATA = ("/v1/", "/v1beta1/", "/v2/stocks/")


def venue(request: Request) -> simulator.Simulator:
    """Return the venue that this application serves."""
    found: simulator.Simulator = request.app.state.venue
    return found


def caller(request: Request) -> credentials.Caller:
    """Return who calls; raises Refused for a wrong key, and for one request too many."""
    found: credentials.Caller | None = request.app.state.keys.of_request(request.headers)
    if found is None:
        raise errors.Refused(errors.unauthorized())
    request.state.entry.account = found.account
    request.state.entry.key_id = found.key_id
    part = "data" if request.url.path.startswith(_DATA) else "trading"
    window: limits.Window | None = request.app.state.limits.take(found.account, part, now=time.time())
    if window is not None:
        request.state.entry.headers = window.headers
        if window.exceeded:
            raise errors.Refused(errors.too_many())
    return found


def trader(request: Request) -> str:
    """Return the caller's account; raises Refused for a key that may only read market data."""
    found = caller(request)
    if not found.may_trade:
        raise errors.Refused(errors.forbidden())
    return found.account


def answer(content: Any, *, status: int = 200) -> Response:
    """Write JSON."""
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")


def json_object(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object whose numbers keep their exact digits; raises Refused."""
    try:
        body = json.loads(raw, parse_float=decimal, parse_int=decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError, InvalidOperation):
        raise errors.Refused(errors.malformed("request body is malformed")) from None
    if not isinstance(body, dict):
        raise errors.Refused(errors.malformed("request body must be a JSON object"))
    return body


def decimal(text: str) -> Decimal:
    """Parse a number of bounded size exactly; raises ValueRefused."""
    try:
        value = Decimal(text) if len(text) <= _TEXT_MAX else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite() or (value and abs(value.adjusted()) > _EXPONENT_MAX):
        raise engine_errors.ValueRefused("number", f"a decimal of at most {_TEXT_MAX} characters", text[:_TEXT_MAX])
    return value


class Query:
    """Query parameters, each read by type; raises Refused (422) for what cannot be read.

    Parameters
    ----------
    request : the request
    allowed : names that are acted upon; any other one is refused, because a filter without effect misleads
    """

    def __init__(self, request: Request, *, allowed: Collection[str] | None = None) -> None:
        self._values = dict(request.query_params)
        if allowed is not None:
            self.only(allowed)

    def only(self, allowed: Collection[str]) -> None:
        """Refuse parameters that are not acted upon."""
        for name in self._values:
            if name not in allowed:
                raise errors.Refused(errors.malformed(f"parameter {name} is not offered"))

    def text(self, name: str) -> str:
        """Return a text, empty when absent."""
        return self._values.get(name, "")

    def listing(self, name: str) -> list[str]:
        """Return a comma-separated list, empty when absent."""
        return [part for part in self.text(name).split(",") if part]

    def choice(self, name: str, values: Sequence[str]) -> str:
        """Return one of ``values``; the first is the default."""
        value = self.text(name).lower() or values[0]
        if value not in values:
            raise errors.Refused(errors.malformed(f"{name} must be one of {list(values)}, got {value!r}"))
        return value

    def exactly(self, name: str, values: Sequence[str]) -> str:
        """Return one of ``values``, capitalised as they are; the first is the default."""
        value = self.text(name) or values[0]
        if value not in values:
            raise errors.Refused(errors.malformed(f"{name} must be one of {list(values)}, got {value!r}"))
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean, however it is capitalised."""
        return self.choice(name, ("false", "true")) == "true"

    def integer(self, name: str, *, default: int, most: int) -> int:
        """Return a number in [1, most]."""
        text = self.text(name) or str(default)
        if not text.isascii() or not text.isdigit() or len(text) > len(str(most)) or not 1 <= int(text) <= most:
            raise errors.Refused(errors.malformed(f"{name} must be between 1 and {most}, got {text!r}"))
        return int(text)

    def time(self, name: str) -> times.Nanos | None:
        """Return an instant; a bare date means midnight in New York."""
        text = self.text(name)
        if not text:
            return None
        try:
            if len(text) == _DATE_LENGTH:
                return sessions.midnight(dt.date.fromisoformat(text))
            # A plus sign that nobody escaped arrives as a space.
            return times.instant(text.replace(" ", "+"), field=name)
        except ValueError as error:
            raise errors.Refused(errors.malformed(f"{name}: {error}")) from error

    def date(self, name: str) -> dt.date | None:
        """Return a date; of a time only its date counts."""
        text = self.text(name)
        if not text:
            return None
        try:
            return dt.date.fromisoformat(text[:_DATE_LENGTH])
        except ValueError as error:
            raise errors.Refused(errors.malformed(f"{name}: {error}")) from error


def _no_constant(text: str) -> Decimal:
    raise ValueError(text)
