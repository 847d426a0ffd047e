"""The bench's strategy as a user's own kernel in numba: time to its first answer, with and without numba's cache.

    python benchmarks/numba_kernel.py --case single

Two fresh processes, one after the other, over the made-up bars of `benchmarks/engine.py`: the first compiles into an
empty cache, the second finds it there. Seconds are those of the whole process, from its start to its answer.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import crossing
import engine
import numba
import numpy as np
import numpy.typing as npt

from tradeplane_engine import rules, simulation, sweep
from tradeplane_engine.core import costs
from tradeplane_engine.data import readers

if TYPE_CHECKING:
    from tradeplane_engine.rules import Bars


@numba.njit(cache=True)
def targets(close: npt.NDArray[np.int64], fast: int, slow: int, shares: int) -> npt.NDArray[np.int64]:
    """Long while the fast average is above the slow one, in integers."""
    found = np.zeros(len(close), dtype=np.int64)
    fast_sum = slow_sum = 0
    for row in range(len(close)):
        fast_sum += close[row]
        slow_sum += close[row]
        if row >= fast:
            fast_sum -= close[row - fast]
        if row >= slow:
            slow_sum -= close[row - slow]
        if row >= slow - 1 and slow * fast_sum > fast * slow_sum:
            found[row] = shares
    return found


def cross(bars: "Bars", fast: int, slow: int) -> npt.NDArray[np.int64]:
    """Follow the crossing."""
    return targets(bars.close, fast, slow, crossing.SHARES)


def answer(data: Path) -> dict[str, object]:
    """Run the one configuration through the sweep's kernel."""
    fee = costs.Costs(commission_bps=crossing.FEE_BPS)
    raws = [raw for file in sorted(data.glob("*.parquet")) for raw in readers.raws(file, symbol=file.stem)]
    trader = simulation.Allocation(crossing.Column, capital=engine.CASH, name="crossing", limits=crossing.LIMITS)
    prepared = simulation.Backtest(raws, [trader], costs=fee, limits=crossing.LIMITS).prepare()
    settings = sweep.Settings(cash=engine.CASH * 10**9, commission_bps=crossing.FEE_BPS, limits=crossing.LIMITS)
    evaluator = sweep.Evaluator(prepared.kernel.table, settings)
    function = rules.Function(cross, {"fast": crossing.FAST, "slow": crossing.SLOW})
    outcome = evaluator.outcomes([function])[0]
    digest = evaluator.event_log(function).digest(prepared.settings)
    return {"equity": outcome.equity, "fills": outcome.fills, "reason": outcome.reason, "hash": digest}


def main(given: list[str]) -> int:
    """Measure both processes, or (``--inner DIR``) be one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=("single", "multi"), default="single")
    parser.add_argument("--inner", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args(given)
    if chosen.inner is not None:
        print(json.dumps(answer(chosen.inner)))
        return 0
    data = engine.ready(engine.arguments(["--case", chosen.case]))
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as cache:
        for name in ("cold_s", "second_s"):
            started = time.perf_counter()
            done = subprocess.run(
                [sys.executable, __file__, "--inner", str(data)],
                env={**os.environ, "NUMBA_CACHE_DIR": cache},
                check=True,
                capture_output=True,
                text=True,
            )
            found[name] = round(time.perf_counter() - started, 3)
            found |= json.loads(done.stdout)
    print(json.dumps({"case": chosen.case, **found}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
