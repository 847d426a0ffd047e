"""The provider's rows become exact bars and corporate actions, or are refused by name. Pure functions.

A daily bar row is ``{"t": New York midnight of the session, "o", "h", "l", "c", "v"}``; its start, end and
available-at come from the exchange's calendar. The ``t`` of a shorter bar is its start. JSON must have been read by
:func:`loads`, so that no price ever was a float.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tradeplane_engine import errors
from tradeplane_engine.data import quality
from tradeplane_engine.domain import bars, numbers, times
from tradeplane_workers.market_data import sessions

_SYMBOL = re.compile(r"[A-Z][A-Z0-9.]{0,11}")
_SPLIT_TERM_MAX = 999_999
#: Kinds of corporate action that the engine can express, by the provider's name.
ACTION_TYPES = {
    "forward_splits": "forward_split",
    "reverse_splits": "reverse_split",
    "stock_dividends": "stock_dividend",
    "cash_dividends": "cash_dividend",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that must never be traded; ``reason`` is stable and countable."""

    symbol: str
    reason: str
    message: str


def loads(text: str | bytes) -> Any:
    """Read JSON with every number that is no integer as Decimal, NaN and Infinity included."""
    return json.loads(text, parse_float=Decimal, parse_constant=Decimal)


def daily_bar(symbol: str, row: Mapping[str, Any], calendar: sessions.Calendar) -> bars.Bar:
    """Return the exact, checked bar of one row; raises DataRefused with a reason for each way to be wrong."""
    _check_symbol(symbol)
    session = _session(symbol, row, calendar)
    return _bar(symbol, row, start=session.start, end=session.end)


def label(symbol: str, row: Mapping[str, Any]) -> times.Nanos:
    """Return the ``t`` of a row; raises DataRefused for what is no time."""
    text = str(row.get("t"))
    try:
        return times.instant(text, field="t")
    except ValueError as error:
        raise errors.DataRefused(
            "bad-time", f"{symbol}: t must be an RFC 3339 time with an offset, got {text}"
        ) from error


def inside_bar(symbol: str, row: Mapping[str, Any], session: sessions.Session, *, length: times.Nanos) -> bars.Bar:
    """Return the exact, checked bar of a row whose bars are ``length`` long, inside a session, or up to its end.

    Raises DataRefused; a start between two bars is one that this provider cannot have meant.
    """
    _check_symbol(symbol)
    start = label(symbol, row)
    if start % length:
        span = times.duration_text(length)
        raise errors.DataRefused("bad-time", f"{symbol}: t must be a whole multiple of {span}, got {times.text(start)}")
    return _bar(symbol, row, start=start, end=times.Nanos(min(start + length, session.end)))


def _check_symbol(symbol: str) -> None:
    if not _SYMBOL.fullmatch(symbol):
        raise errors.DataRefused("bad-symbol", f"symbol must match {_SYMBOL.pattern}, got {symbol!r}")


def _bar(symbol: str, row: Mapping[str, Any], *, start: times.Nanos, end: times.Nanos) -> bars.Bar:
    raw = quality.RawBar(
        symbol=symbol,
        start=times.text(start),
        end=times.text(end),
        available_at=times.text(times.Nanos(end + sessions.PUBLICATION_DELAY)),
        open=_decimal(row.get("o")),
        high=_decimal(row.get("h")),
        low=_decimal(row.get("l")),
        close=_decimal(row.get("c")),
        volume=_volume(row.get("v")),
    )
    try:
        return quality.bar(raw)
    except errors.DataRefused as error:
        raise errors.DataRefused(error.reason, f"{symbol} {row['t']}: {error}") from error


def actions(
    answer: Mapping[str, Any], calendar: sessions.Calendar
) -> tuple[tuple[bars.CorporateAction, ...], tuple[Refusal, ...]]:
    """Return the corporate actions of one answer, merged per symbol and session, ordered; and what cannot be used.

    An ex-date without a session takes effect at the next one.
    """
    merged: dict[tuple[times.Nanos, str], tuple[Fraction, int]] = {}
    refused: list[Refusal] = []
    for kind in ACTION_TYPES:
        for row in answer.get(kind) or ():
            symbol = str(row.get("symbol", ""))
            try:
                session = calendar.on_or_after(date.fromisoformat(str(row["ex_date"])))
                split, dividend = _effect(kind, row)
            except (KeyError, ValueError, ArithmeticError) as error:
                refused.append(Refusal(symbol, "bad-action", f"{kind} of {symbol}: {error!r}"))
                continue
            if session is None or not _SYMBOL.fullmatch(symbol):
                refused.append(Refusal(symbol, "bad-action", f"{kind} of {symbol!r} on {row['ex_date']}"))
                continue
            key = (session.start, symbol)
            before = merged.get(key, (Fraction(1), 0))
            merged[key] = (before[0] * split, before[1] + dividend)
    ordered = tuple(
        bars.CorporateAction(
            symbol=symbol,
            ex_start=ex_start,
            split=(split.numerator, split.denominator),
            dividend=numbers.Money(dividend),
        )
        for (ex_start, symbol), (split, dividend) in sorted(merged.items())
    )
    return ordered, tuple(refused)


def _session(symbol: str, row: Mapping[str, Any], calendar: sessions.Calendar) -> sessions.Session:
    named = label(symbol, row)
    text = str(row["t"])
    session = calendar.labelled(named)
    if session is not None:
        return session
    if named not in {sessions.midnight(day) for day in _dates_around(named)}:
        raise errors.DataRefused("wrong-time-zone", f"{symbol}: t must be New York midnight, got {text}")
    raise errors.DataRefused(
        quality.Refusal.OUTSIDE_SESSION, f"{symbol}: t must be a day of the exchange's calendar, got {text}"
    )


def _dates_around(at: times.Nanos) -> tuple[date, date]:
    """Return the UTC date of an instant and the one before it, of which one is New York's."""
    day = datetime.fromtimestamp(at // times.SECOND, UTC).date()
    return day - timedelta(days=1), day


def _volume(value: object) -> str | int:
    exact = _decimal(value)
    return int(exact) if exact.is_finite() and exact == int(exact) else str(value)


def _decimal(value: object) -> Decimal:
    """Return an exact number, NaN for everything that is none (a bool, a text, null)."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return Decimal("NaN")
    return Decimal(value)


def _effect(kind: str, row: Mapping[str, Any]) -> tuple[Fraction, int]:
    """Return (split factor, dividend in money units) of one action; raises ValueError, KeyError, ArithmeticError."""
    if kind == "cash_dividends":
        dividend = numbers.money(_exact(row["rate"]), field="rate")
        if dividend < 0:
            raise errors.ValueRefused("rate", "zero or more", row["rate"])
        return Fraction(1), dividend
    if kind == "stock_dividends":
        split = 1 + Fraction(_exact(row["rate"]))
    else:
        split = Fraction(_exact(row["new_rate"])) / Fraction(_exact(row["old_rate"]))
    if split <= 0 or max(split.numerator, split.denominator) > _SPLIT_TERM_MAX:
        raise errors.ValueRefused("split", f"a positive ratio with terms up to {_SPLIT_TERM_MAX}", str(split))
    return split, 0


def _exact(value: object) -> Decimal:
    return Decimal(value) if isinstance(value, str) else _decimal(value)
