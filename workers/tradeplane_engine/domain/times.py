"""Instants as integer nanoseconds since 1970-01-01 UTC, and their text form at the border."""

from datetime import UTC, datetime
from typing import NewType

from tradeplane_engine import errors

Nanos = NewType("Nanos", int)

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def instant(text: str, *, field: str = "time") -> Nanos:
    """Parse an RFC 3339 time with an offset; raises ValueRefused. Digits past nanoseconds are refused."""
    head, point, tail = text.partition(".")
    digits = ""
    if point:
        digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
        head += tail[len(digits) :]
    try:
        moment = datetime.fromisoformat(head)
    except ValueError:
        raise errors.ValueRefused(field, "an RFC 3339 time", text) from None
    if moment.tzinfo is None or len(digits) > 9 or (point and not digits):  # noqa: PLR2004 - nanoseconds
        raise errors.ValueRefused(field, "an RFC 3339 time with an offset and at most 9 digits", text)
    return Nanos(int(moment.timestamp()) * SECOND + int(digits.ljust(9, "0")))


def text(at: Nanos) -> str:
    """Return the RFC 3339 form in UTC, with the fraction only where there is one."""
    seconds, fraction = divmod(at, SECOND)
    base = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{base}.{fraction:09d}".rstrip("0") + "Z" if fraction else f"{base}Z"


def compact(at: Nanos) -> str:
    """Return ``20120302T210000Z``, the form inside client order ids; whole seconds only."""
    if at % SECOND:
        raise errors.ValueRefused("trigger", "whole seconds", at)
    return datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y%m%dT%H%M%SZ")


def from_compact(text: str) -> Nanos:
    """Parse the form that :func:`compact` writes; raises ValueRefused."""
    try:
        moment = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise errors.ValueRefused("trigger", "of the form 20120302T210000Z", text) from None
    return Nanos(int(moment.timestamp()) * SECOND)
