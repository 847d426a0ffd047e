"""Options and answers that backtests and sweeps of code share: bars, period, money, costs, parameters, and errors."""

import argparse
import datetime as dt
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson

from tradeplane_engine import errors, scripts
from tradeplane_engine.core import costs, limits
from tradeplane_engine.data import columns, readers
from tradeplane_engine.domain import times

# Those of a venue and an account; names are the attributes of the parsed options.
OPTIONS = {
    "commission_bps": "--commission-bps",
    "half_spread_bps": "--half-spread-bps",
    "allow_short": "--allow-short",
    "timeframe": "--timeframe",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that only code has; bars, period and cash are the command's own."""
    parser.add_argument("--commission-bps", metavar="BPS", help="fee of a fill in 1e-4 of its value (default 0)")
    parser.add_argument(
        "--half-spread-bps", metavar="BPS", help="how much worse than the bar's price a fill is (default 0)"
    )
    parser.add_argument("--allow-short", action="store_true", help="let orders sell what is not held")
    parser.add_argument(
        "--timeframe", metavar="SPAN", help="length of a bar, such as 1m or 1d (default: what the bars show)"
    )


def charges(options: argparse.Namespace) -> tuple[Fraction, Fraction]:
    """Return commission and half spread in basis points; raises ValueRefused naming the option."""
    return tuple(
        _fraction(getattr(options, name) or "0", OPTIONS[name]) for name in ("commission_bps", "half_spread_bps")
    )  # type: ignore[return-value]  # two of them


def costs_of(options: argparse.Namespace) -> costs.Costs:
    """Return what a fill costs."""
    commission, spread = charges(options)
    return costs.Costs(commission_bps=commission, half_spread_bps=spread)


def limits_of(options: argparse.Namespace) -> limits.Limits:
    """Return what the account may do."""
    return limits.Limits(allow_short=options.allow_short)


def bars(options: argparse.Namespace, symbols: Sequence[str] | None = None, *, whole: bool = False) -> readers.Loaded:
    """Read ``--data`` from ``--from`` (``whole``: from its first bar) to ``--to``; raises DataRefused, ValueRefused."""
    if options.data is None:
        raise errors.ValueRefused("--data", "a folder or file of bars", None)
    timeframe = None if options.timeframe is None else times.duration(options.timeframe, field="--timeframe")
    found = readers.load(options.data, columns.Settings(timeframe=timeframe))
    if symbols is not None:
        found = found.of(symbols)
    start = None if options.start is None or whole else day(options.start, "--from")
    end = None if options.end is None else day(options.end, "--to") + times.DAY
    return found if start is None and end is None else found.between(start, end)


def day(text: str, field: str) -> times.Nanos:
    """Return the first instant of a UTC day; raises ValueRefused naming the option."""
    try:
        found = dt.date.fromisoformat(text)
    except ValueError:
        raise errors.ValueRefused(field, "a day such as 2012-03-02", text) from None
    return times.instant(f"{found}T00:00:00Z", field=field)


def parameters(words: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value`` words: JSON where it is, else text; raises ValueRefused."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.isidentifier() or name in found:
            raise errors.ValueRefused("--parameters", "name=value, each name once", word)
        found[name] = value(text)
    return found


def value(text: str) -> Any:
    """Return a value as JSON says it, else as text."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def told(error: Exception, where: str = "") -> str:
    """Return what to print of an error: its message, and where in the strategy it happened."""
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    file = where.rpartition(":")[0] or where
    line = None
    if scripts.is_file(where):
        causes = [error, error.__cause__] if error.__cause__ else [error]
        line = next((found for one in causes if (found := scripts.line_of(one, Path(file).resolve()))), None)
    return f"{error}{notes}{f' ({file}, line {line})' if line else ''}"


def _fraction(text: str, field: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise errors.ValueRefused(field, "a number", text) from None
