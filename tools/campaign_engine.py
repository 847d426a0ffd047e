"""Run the engine against its peers on many random strategies: what CI does with few seeds.

vectorbt and backtrader come from their published wheels into ``.tradeplane/peers``. NautilusTrader needs a later
Python; ``benchmarks/engine.py --peers`` prints its equity beside ours where it is installed.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / part) for part in ("crds", "operator", "workers", "tests")]

from support import differential  # noqa: E402 - the path above leads to it

_TOGETHER = 50  # cases that one process of a peer runs


def main() -> int:
    """Run; the exit status is 1 where an engine differs, 2 where the peers cannot be had."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=300, help="random strategies per kind and peer")
    parser.add_argument("--first", type=int, default=1000, help="the first seed; CI has those from 0 on")
    given = parser.parse_args()
    python, reason = differential.installed(differential.ENVIRONMENT)
    if python is None:
        print(f"no peers: {reason}", file=sys.stderr)
        return 2
    worst = 0
    for peer, kind in (
        ("backtrader", differential.rule_case),
        ("backtrader", differential.order_case),
        ("vectorbt", differential.rule_case),
    ):
        fills, found = 0, []
        for start in range(given.first, given.first + given.seeds, _TOGETHER):
            seeds = range(start, min(start + _TOGETHER, given.first + given.seeds))
            cases = [kind(seed) for seed in seeds]
            mine = [differential.ours(case) for case in cases]
            answers = differential.theirs(python, peer, cases)
            found += [f"seed {start}, {one}" for one in differential.differences(mine, answers)]
            fills += sum(len(one.fills) for one in mine)
        print(f"{kind.__name__} in {peer}: {given.seeds} strategies, {fills} fills, {len(found)} differ")
        for one in found:
            print(f"    {one}")
        worst = max(worst, int(bool(found)))
    return worst


if __name__ == "__main__":
    sys.exit(main())
