"""Every row of a run as Parquet files, for notebooks and databases. pyarrow is imported here and only when asked for.

=================  ==============================================================================================
file               rows
=================  ==============================================================================================
curve.parquet      sampled curve: at, equity, return, drawdown, gross, net, benchmark
path.parquet       curve before sampling, where there is one: at, equity
trades.parquet     round trips, the columns of :class:`~tradeplane_engine.measures.inputs.Trades`
fills.parquet      executions, the columns of :class:`~tradeplane_engine.measures.inputs.Fills`
measures.parquet   scope (run, strategy, symbol, year, month), key, name, unit, value, low, high
=================  ==============================================================================================

Instants are timestamps in ns with zone UTC; amounts are float64 USD; null is undefined.
"""

from pathlib import Path
from typing import Any

import numpy as np

from tradeplane_engine.measures import inputs, registry, sample, tables
from tradeplane_engine.report import content


def write(run: inputs.Run, found: content.Content, directory: Path) -> tuple[Path, ...]:
    """Write the files into an existing directory and return their paths."""
    frames: dict[str, dict[str, Any]] = {"curve": _curve(run)}
    if run.path is not None:
        frames["path"] = {"at": run.path.at, "equity": run.path.equity}
    frames["trades"] = dict(run.trades.columns())
    frames["fills"] = dict(run.fills.columns())
    frames["measures"] = _measures(found)
    return tuple(_file(directory / f"{name}.parquet", columns) for name, columns in frames.items())


def _curve(run: inputs.Run) -> dict[str, Any]:
    whole = sample.Sample(run)
    nothing = np.full(run.curve.at.size, np.nan)
    return {
        "at": run.curve.at,
        "equity": run.curve.equity,
        "return": whole.returns,
        "drawdown": whole.drawdown,
        "gross": nothing if run.curve.gross is None else run.curve.gross,
        "net": nothing if run.curve.net is None else run.curve.net,
        "benchmark": nothing if whole.other is None else whole.other,
    }


def _measures(found: content.Content) -> dict[str, Any]:
    scopes: dict[str, dict[str, tables.Row]] = {
        "run": {"": found.measures},
        "strategy": found.strategies,
        "symbol": found.symbols,
        "year": found.years,
        "month": found.months,
    }
    rows = []
    for scope, keys in scopes.items():
        for key, row in keys.items():
            for name, value in row.items():
                interval = found.intervals.get(name) if scope == "run" else None
                low, high = (None, None) if interval is None else (interval.low, interval.high)
                rows.append((scope, key, name, registry.BY_NAME[name].unit, value, low, high))
    names = ("scope", "key", "name", "unit", "value", "low", "high")
    return {name: [row[number] for row in rows] for number, name in enumerate(names)}


def _file(path: Path, columns: dict[str, Any]) -> Path:
    import pyarrow as pa  # noqa: PLC0415 - a report without Parquet needs no pyarrow
    from pyarrow import parquet  # noqa: PLC0415 - as above

    arrays = {}
    for name, column in columns.items():
        if name == "at" or name.endswith("_at"):
            arrays[name] = pa.array(column, type=pa.timestamp("ns", tz="UTC"))
        elif isinstance(column, np.ndarray):
            arrays[name] = pa.array(column, from_pandas=True)  # NaN becomes null
        else:
            kind = pa.string() if name in {"scope", "key", "name", "unit"} else pa.float64()
            arrays[name] = pa.array(column, type=kind)
    parquet.write_table(pa.table(arrays), path, compression="zstd")
    return path
