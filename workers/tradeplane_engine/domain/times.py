"""Instants as integer nanoseconds since 1970-01-01 UTC, and their text form at the border."""

import functools
import re
from datetime import UTC, datetime
from typing import NewType

from tradeplane_engine import errors

Nanos = NewType("Nanos", int)

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_UNITS = {"ms": SECOND // 1000, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")


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


@functools.lru_cache(maxsize=1024)  # all orders of a decision have one trigger
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


def duration(text: str, *, field: str = "duration") -> Nanos:
    """Parse a positive span of one unit, such as ``500ms``, ``5s``, ``15m``, ``1h``, ``2d``; raises ValueRefused."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    span = int(match[1]) * _UNITS[match[2]] if match else 0
    if span <= 0:
        raise errors.ValueRefused(field, "a positive duration such as 500ms, 5s, 15m, 1h or 2d", text)
    return Nanos(span)


def duration_text(span: int) -> str:
    """Return the span in the largest unit that divides it, else in nanoseconds."""
    for unit in ("d", "h", "m", "s", "ms"):
        if span % _UNITS[unit] == 0:
            return f"{span // _UNITS[unit]}{unit}"
    return f"{span}ns"


@functools.lru_cache(maxsize=1024)  # all fills of an open have one instant
def utc_day(at: Nanos) -> str:
    """Return the UTC date of an instant; for an instant inside a regular US session it is the New York date too."""
    return datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%d")
