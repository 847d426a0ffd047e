"""The report as canonical JSON: sorted keys, no blanks, UTF-8, money as decimal text, what is undefined as null.

Numbers that are no money are the shortest decimals that give the same float; counts are integers. Series are those of
the page, thinned (``samples`` says how long the whole one is); :mod:`.parquet` has every row.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from tradeplane_engine.domain import times
from tradeplane_engine.measures import measure, registry, resampling, tables
from tradeplane_engine.report import content, lines, wording

VERSION = 1
_COUNTS = ("count", "periods")
_MONEY = ("entry_price", "exit_price", "pnl", "fees", "mae", "mfe")


def write(found: content.Content) -> str:
    """Return the report as one line of JSON."""
    return json.dumps(value(found), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def value(found: content.Content) -> dict[str, Any]:
    """Return the report as JSON's own types."""
    return {
        "version": VERSION,
        "title": found.title,
        "facts": dict(found.facts),
        "benchmark": found.benchmark,
        "first": None if found.first is None else _time(found.first),
        "last": None if found.last is None else _time(found.last),
        "start": wording.money(found.start),
        "samples": found.samples,
        "window": found.window,
        "draws": found.draws,
        "measures": _row(found.measures),
        "units": {one.name: one.unit for one in registry.MEASURES},
        "intervals": {name: _interval(interval) for name, interval in found.intervals.items()},
        "equity": {name: _line(line, money=True) for name, line in found.equity.items()},
        "series": {name: _line(line, money=False) for name, line in found.series.items()},
        "drawdowns": [
            {
                "peak": _time(fall.peak),
                "trough": _time(fall.trough),
                "recovery": None if fall.recovery is None else _time(fall.recovery),
                "depth": fall.depth,
                "periods": fall.length,
            }
            for fall in found.falls
        ],
        "monthly": dict(found.monthly),
        "monthly_turnover": dict(found.monthly_turnover),
        "years": _rows(found.years),
        "months": _rows(found.months),
        "strategies": _rows(found.strategies),
        "symbols": _rows(found.symbols),
        "costs": {name: wording.money(amount) for name, amount in found.costs.items()},
        "unexplained": wording.money(found.unexplained),
        "histogram": [list(part) for part in found.histogram],
        "traded": None if found.traded is None else _traded(found.traded),
        "evidence": [
            {
                "name": one.name,
                "value": _number(one.value, one.unit),
                "unit": one.unit,
                "meaning": one.meaning,
                "passes": one.good,
            }
            for one in found.findings
        ],
    }


def _traded(seen: content.Traded) -> dict[str, Any]:
    rows = seen.trades
    kept = {name: column.tolist() for name, column in rows.columns().items() if name != "symbol"}
    kept |= {name: [wording.money(amount) for amount in kept[name]] for name in _MONEY}
    kept |= {name: [_time(at) for at in kept[name]] for name in ("entry_at", "exit_at")}
    return {
        "symbol": seen.symbol,
        "price": _line(seen.price, money=True),
        "trades": kept,
        "all_trades": seen.all_trades,
    }


def _rows(found: Mapping[str, tables.Row]) -> dict[str, dict[str, Any]]:
    return {name: _row(row) for name, row in found.items()}


def _row(row: tables.Row) -> dict[str, Any]:
    return {name: _number(number, registry.BY_NAME[name].unit) for name, number in row.items()}


def _number(number: float | None, unit: measure.Unit) -> Any:
    if number is None:
        return None
    if unit == "usd":
        return wording.money(number)
    # A minimum track record is a length that no whole number of periods has.
    return int(number) if unit in _COUNTS and number.is_integer() else number


def _interval(interval: resampling.Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _line(line: lines.Line, *, money: bool) -> dict[str, Any]:
    return {
        "at": [_time(at) for at in line.at.tolist()],
        "values": [_point(point, money=money) for point in line.values.tolist()],
        "samples": line.samples,
    }


def _point(point: float, *, money: bool) -> Any:
    if math.isnan(point):
        return None
    return wording.money(point) if money else point


def _time(at: int) -> str:
    return times.text(times.Nanos(at))
