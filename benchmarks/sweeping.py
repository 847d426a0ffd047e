"""The bench in sweep mode: many pairs of windows over one data set, among them the bench strategy's own.

The answer is that of the one configuration, with the event engine's hash; ``configuration_bars_per_s`` is what all of
them took together: configurations x bars / (prep_s + sweep_s), from float columns in memory to every result.
"""

import time
from decimal import Decimal
from pathlib import Path

import crossing
import peers

from tradeplane_engine import core, errors, simulation, sweep
from tradeplane_engine.core import costs, limits, log
from tradeplane_engine.data import readers
from tradeplane_engine.results import frames

FASTS, SLOWS = (5, 8, 10, 12, 15, 20, 25, 30), (40, 50, 60, 75, 90, 100, 150, 200)


def measured(data: Path, cash: int, digits: int) -> dict[str, object]:
    """Sweep a folder; raises EngineError for data that must not be traded."""
    before = time.perf_counter()
    if not data.is_dir():
        raise errors.DataRefused("unreadable", f"{data}: there is no such folder")
    raws = [raw for file in sorted(data.glob("*.parquet")) for raw in readers.raws(file, symbol=file.stem)]
    if not raws:
        raise errors.DataRefused("unreadable", f"{data}: holds no *.parquet")
    loaded = time.perf_counter()
    prepared, evaluator = _prepared(raws, cash, digits, crossing.LIMITS)
    table = prepared.kernel.table
    ready = time.perf_counter()
    sets = sweep.grid(fast=FASTS, slow=SLOWS)
    outcomes = evaluator.outcomes([crossing.family(**one) for one in sets])
    swept = time.perf_counter()
    rule = crossing.family(crossing.FAST, crossing.SLOW)
    outcome = outcomes[sets.index({"fast": crossing.FAST, "slow": crossing.SLOW})]
    written = evaluator.event_log(rule)
    if (written.rows()[:, 0] == log.REFUSED).any():  # equity fell to nothing, as the event mode finds
        prepared, evaluator = _prepared(
            list(prepared.data.symbols.values()), cash, digits, crossing.LIMITS_WITHOUT_EQUITY
        )
        outcome, written = evaluator.outcomes([rule])[0], evaluator.event_log(rule)
    digest = written.digest(prepared.settings)
    ended = time.perf_counter()
    work = table.rows * len(sets)
    return {
        "symbols": len(table.symbols),
        "bars": table.rows,
        "equity": frames.plain(Decimal(outcome.equity).scaleb(-9)),
        "fills": outcome.fills,
        "orders": outcome.orders,
        "open_orders": outcome.open_orders,
        "rounded_prices": prepared.data.rounded_prices,
        "high_low_errors": prepared.data.high_low_errors,
        "volume_errors": prepared.data.volume_errors,
        "load_s": round(loaded - before, 6),
        "prep_s": round(ready - loaded, 6),
        "run_s": round(ended - swept, 6),
        "bars_per_s": round(table.rows / (ready - loaded + ended - swept)),
        "configurations": len(sets),
        "by_events": sum(one.reason != "" for one in outcomes),
        "sweep_s": round(swept - ready, 6),
        "configuration_bars_per_s": round(work / (swept - loaded)),
        "peak_mib": peers.peak_mib(),
        "detectors_s": None,  # a sweep is not examined; the run that is chosen from it is
        "compiled": core.compiled(),
        "hash": digest,
    }


def _prepared(
    data: object, cash: int, digits: int, allowed: limits.Limits
) -> tuple[simulation.Prepared, sweep.Evaluator]:
    """Read the data once, and prepare the run that names the hash and the evaluator of all configurations."""
    trader = simulation.Allocation(crossing.Column, capital=cash, name="crossing", limits=allowed)
    fee = costs.Costs(commission_bps=crossing.FEE_BPS)
    prepared = simulation.Backtest(data, [trader], costs=fee, limits=allowed, digits=digits).prepare()
    settings = sweep.Settings(cash=cash * 10**9, commission_bps=crossing.FEE_BPS, limits=allowed)
    return prepared, sweep.Evaluator(prepared.kernel.table, settings)
