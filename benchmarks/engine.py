"""The engine's bench: one exact strategy, from float columns in memory to the final hash, in one thread of one process.

    python benchmarks/engine.py --case single                 # 1 x 1,000,000 seeded bars, made once per machine
    python benchmarks/engine.py --case multi --strategy own-sums
    python benchmarks/engine.py --data DIR                    # each *.parquet directly in DIR
    python benchmarks/engine.py --case single --peers         # beside the peers of ../shared/bench/peers
    python benchmarks/engine.py --order                       # one order, submit to ledger

The last line of the output is JSON. ``bars_per_s`` is bars / (prep_s + run_s): prep_s turns floats into the run's
integers, run_s is all from ``on_start`` to the hash. Bad data ends with status 2 and a line that names file and row.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import crossing
import made_up
import order_path
import peers
import sweeping

from tradeplane_engine import core, errors, simulation
from tradeplane_engine.core import costs, limits, order
from tradeplane_engine.core import log as logs
from tradeplane_engine.data import readers
from tradeplane_engine.results import frames

CASH = 10_000_000  # USD
DIGITS = 4
REFUSED = 2  # exit status


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=tuple(made_up.CASES), default="single")
    parser.add_argument("--data", type=Path, metavar="DIR", help="run on its *.parquet instead of made-up bars")
    parser.add_argument("--mode", choices=("event", "compiled", "sweep"), default="event")
    parser.add_argument("--strategy", choices=tuple(crossing.STRATEGIES), default="indicators")
    parser.add_argument("--seed", type=int, default=made_up.SEED, help="of the made-up bars")
    parser.add_argument("--symbols", type=int, help="number of made-up symbols")
    parser.add_argument("--bars", type=int, help="number of made-up bars per symbol, or of orders")
    parser.add_argument("--peers", action="store_true", help="run the peers side by side and print ratios")
    parser.add_argument("--rounds", type=int, default=3, help="with --peers: fresh processes per engine, interleaved")
    parser.add_argument("--order", action="store_true", help="measure the path of one order instead")
    parser.add_argument("--make", action="store_true", help="only write the made-up bars")
    found = parser.parse_args(given)
    found.order_bars = found.bars or order_path.BARS
    symbols, bars = made_up.CASES[found.case]
    found.symbols, found.bars = found.symbols or symbols, found.bars or bars
    return found


def main(given: Sequence[str]) -> int:
    """Run what the command line says."""
    chosen = arguments(given)
    if chosen.mode == "compiled":
        chosen.strategy = "column"
    if chosen.order:
        print(json.dumps(order_path.measure(chosen.seed, chosen.order_bars)))
        return 0
    if chosen.make:
        made_up.write(made(chosen), symbols=chosen.symbols, bars=chosen.bars, seed=chosen.seed)
        return 0
    if chosen.peers:
        return beside_peers(chosen, given)
    try:
        if chosen.mode == "sweep":
            chosen.strategy = "family"
            found = sweeping.measured(chosen.data or ready(chosen), CASH, DIGITS)
        else:
            found = measured(chosen.data or ready(chosen), chosen.strategy)
    except errors.EngineError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return REFUSED
    print(json.dumps({"mode": chosen.mode, "strategy": chosen.strategy, **found}))
    return 0


def made(chosen: argparse.Namespace) -> Path:
    """Return the folder of the made-up bars."""
    return made_up.folder(chosen.case, symbols=chosen.symbols, bars=chosen.bars, seed=chosen.seed)


def ready(chosen: argparse.Namespace) -> Path:
    """Return that folder after it was written by another process, whose memory is not this one's peak."""
    target = made(chosen)
    if not target.is_dir():
        sizes = ["--symbols", str(chosen.symbols), "--bars", str(chosen.bars), "--seed", str(chosen.seed)]
        subprocess.run([sys.executable, __file__, "--make", "--case", chosen.case, *sizes], check=True)
    return target


def measured(data: Path, name: str) -> dict[str, object]:
    """Run the strategy on a folder; raises EngineError for data that must not be traded."""
    before = time.perf_counter()
    if not data.is_dir():
        raise errors.DataRefused("unreadable", f"{data}: there is no such folder")
    files = sorted(file for file in data.glob("*.parquet") if file.is_file())
    if not files:
        raise errors.DataRefused("unreadable", f"{data}: holds no *.parquet")
    raws = [raw for file in files for raw in readers.raws(file, symbol=file.stem)]
    loaded, spent = time.perf_counter(), time.process_time()
    ready_to_run = prepared(raws, name, crossing.LIMITS)
    del raws
    ready_at = time.perf_counter()
    found = ready_to_run.run()
    if (found.log[:, 0] == logs.REFUSED).any():
        # Equity fell to nothing. The whole run again counts in full: the work is one run, the time is both.
        print("equity fell to 0: again without the limits that divide by it", file=sys.stderr)
        ready_to_run = prepared(list(found.data.symbols.values()), name, crossing.LIMITS_WITHOUT_EQUITY)
        found = ready_to_run.run()
    ended, spent = time.perf_counter(), time.process_time() - spent
    run = ready_to_run.kernel
    examined = ready_to_run.examine(clock=time.perf_counter)
    for one in examined.found:
        print(f"{one.detector}: {one.strategy}: {one.sentence}", file=sys.stderr)
    return {
        "symbols": len(run.table.symbols),
        "bars": run.table.rows,
        "equity": frames.plain(found.final_equity),
        "fills": run.account.book.ledger.fills,
        "orders": len(run.orders),
        "open_orders": sum(one.status < order.TERMINAL for one in run.orders),
        "rounded_prices": found.data.rounded_prices,
        "high_low_errors": found.data.high_low_errors,
        "volume_errors": found.data.volume_errors,
        "load_s": round(loaded - before, 6),
        "prep_s": round(ready_at - loaded, 6),
        "run_s": round(ended - ready_at, 6),
        "cpu_s": round(spent, 6),  # of both; the fairer figure on a machine that others use too
        "bars_per_s": round(run.table.rows / (ended - loaded)),
        "peak_mib": peers.peak_mib(),
        "detectors_s": round(sum(examined.seconds.values()), 6),
        "honest": examined.honest,
        "compiled": core.compiled(),
        "hash": found.hash,
    }


def prepared(data: object, name: str, allowed: limits.Limits) -> simulation.Prepared:
    """Prepare the strategy on one account of its own; its name is one for all ways to write it."""
    trader = simulation.Allocation(crossing.STRATEGIES[name], capital=CASH, name="crossing", limits=allowed)
    fee = costs.Costs(commission_bps=crossing.FEE_BPS)
    return simulation.Backtest(data, [trader], costs=fee, limits=allowed, digits=DIGITS).prepare()


def beside_peers(chosen: argparse.Namespace, given: Sequence[str]) -> int:
    """Run this bench and the peers in turn, each in fresh processes, and print how many times as fast it is."""
    if chosen.data or not made_up.standard(chosen.case, symbols=chosen.symbols, bars=chosen.bars, seed=chosen.seed):
        print("--peers: their scripts run the two standard cases only", file=sys.stderr)
        return REFUSED
    own = [one for one in given if one != "--peers"]
    ready(chosen)
    found = peers.side_by_side([sys.executable, __file__, *own], chosen.case, made(chosen).parent, chosen.rounds)
    print(json.dumps({"machine": platform.machine(), **found}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
