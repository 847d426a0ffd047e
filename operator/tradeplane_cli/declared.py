"""A Strategy manifest whose signal is code, as a backtest of its class: the same file that a cluster runs.

Symbols, bars, capital, parameters and policy are the manifest's; the account holds the capital and nothing else, and
the RiskPolicy judges it.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tradeplane_cli import trading
from tradeplane_engine import entrypoint, errors, simulation
from tradeplane_engine import strategy as strategies
from tradeplane_engine.core import costs, limits, venue_settings
from tradeplane_engine.data import columns, dataset, readers, series
from tradeplane_engine.domain import times
from tradeplane_engine.venue import actions, profile
from tradeplane_workers import backtest_run

# What the manifest says itself, and so must not be said on the command line.
OPTIONS = {
    "parameters": "--parameters",
    "cash": "--cash",
    "commission_bps": "--commission-bps",
    "half_spread_bps": "--half-spread-bps",
    "allow_short": "--allow-short",
    "timeframe": "--timeframe",
    "orders": "--orders",
    "artifacts": "--artifacts",
    "without": "--without",
}


def has_code(spec: Mapping[str, Any]) -> bool:
    """Whether a class decides for a Strategy."""
    return "code" in spec["signal"]


@dataclass(frozen=True, slots=True)
class Declared:
    """What the manifests say of a run."""

    name: str
    kind: type[strategies.Strategy]
    parameters: Mapping[str, Any]
    symbols: Sequence[str]
    timeframe: times.Nanos
    capital: str
    limits: limits.Limits
    venue: profile.VenueProfile

    @classmethod
    def of(cls, strategy: Mapping[str, Any], policy: Mapping[str, Any], venue: str | None) -> "Declared":
        """Read a Strategy whose signal is code, and its RiskPolicy; raises ValueRefused."""
        spec, code = strategy["spec"], strategy["spec"]["signal"]["code"]
        return cls(
            name=strategy["metadata"]["name"],
            kind=entrypoint.found(code["entrypoint"]),
            parameters=code["parameters"],
            symbols=spec["universe"]["symbols"],
            timeframe=times.duration(spec["bars"]["timeframe"], field="bars.timeframe"),
            capital=spec["portfolio"]["capital"],
            limits=limits.from_spec(policy["spec"]),
            venue=profile.named(venue or backtest_run.PROFILE),
        )


def backtest(
    said: Declared, wanted: Mapping[str, Any] | None, folder: Path, options: argparse.Namespace
) -> simulation.Backtest:
    """Return the backtest of manifests; raises EngineError.

    Parameters
    ----------
    said : by the manifests
    wanted : spec of a Backtest that names the Strategy, whose period and seed it has then
    folder : a dataset, or CSV or Parquet files
    options : period and audit, as the command line has them
    """
    loaded, happened = _data(folder, said.symbols, said.timeframe)
    start = options.start or (wanted and wanted["from"])
    end = options.end or (wanted and wanted["to"])
    if end:
        loaded = loaded.between(None, trading.day(end, "--to") + times.DAY)
    return simulation.Backtest(
        loaded,
        [simulation.Allocation(said.kind, capital=said.capital, name=said.name, parameters=said.parameters)],
        limits=said.limits,
        costs=costs.Costs(half_spread_bps=said.venue.half_spread_bps, schedule=said.venue.schedule),
        venue=venue_settings.Venue(participation=said.venue.participation),
        actions=happened,
        start=trading.day(start, "--from") if start else None,
        audit=options.audit,
        seed=options.seed if options.seed is not None else (wanted or {}).get("seed", 0),
    )


def _data(
    folder: Path, symbols: Sequence[str], timeframe: times.Nanos
) -> tuple[readers.Loaded, Sequence[actions.Action]]:
    if not (folder / "dataset.json").is_file():
        loaded = readers.load(folder, columns.Settings(timeframe=timeframe)).of(symbols)
        return loaded, ()
    found = dataset.read(folder)
    own = times.duration(found.timeframe, field="dataset.timeframe")
    if own != timeframe:
        limit = f"{found.timeframe}, as the dataset (a class is shown bars as they are)"
        raise errors.ValueRefused("bars.timeframe", limit, times.duration_text(timeframe))
    known = readers.load([_series(found, symbol) for symbol in found.symbols])
    return known.of(symbols), [one for each in found.actions if each.symbol in symbols for one in _actions(each)]


def _series(found: dataset.Dataset, symbol: str) -> series.Series:
    history = found.history[symbol]
    kept: dict[str, Any] = {
        name: np.array([getattr(bar, name) for bar in history], dtype=np.int64) for name in series.COLUMNS
    }
    return series.Series(symbol=symbol, **kept)


def _actions(found: Any) -> Iterator[actions.Action]:
    new, old = found.split
    if new != old:
        yield actions.Split(found.symbol, found.ex_start, new, old)
    if found.dividend:
        yield actions.Dividend(found.symbol, found.ex_start, found.dividend)
