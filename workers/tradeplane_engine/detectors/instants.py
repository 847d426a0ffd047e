"""Where to cut: early, so that replays are cheap, and at orders, because there a decision shows what it knew.

A strategy that looks one bar ahead differs from an honest one only in what it decides at the last bar of a cut. So most
cuts end at the bar of an order, half of them at a buy and half at a sell; the others end anywhere. Their sizes are
shares of the run with floors for short histories, never of a time: the same run is cut in the same places everywhere.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tradeplane_engine.core import kernel, log
from tradeplane_engine.data import series
from tradeplane_engine.detectors import cuts, replays

# Shares of the instants, and what the cut ends at: a buy, a sell, anything; the most telling first.
PLAN = (
    *((0.01, 1), (0.004, -1), (0.02, 0), (0.015, -1)),
    *((0.002, 1), (0.004, 1), (0.002, -1), (0.008, 0)),
)
LEAST = 3  # cuts in any case
_BUDGET = 0.04  # of the rows, all cuts together
_PER_SYMBOL = 200  # rows that take as long as what a cut costs per symbol whatever its length
_FLOOR = 80  # instants; the floor of the n-th shortest cut is n times that, down to a quarter with many symbols
_MANY = 8  # symbols
_LATEST = 0.08  # of the rows: a first order that comes later is left to the audit
WHOLE = 5_000  # rows: a history as short is also cut just before its last bar


def early(
    run: kernel.Kernel, data: Sequence[series.Series], closes: npt.NDArray[np.int64], rng: np.random.Generator
) -> list[int]:
    """Return instants at which to cut, ascending, of those at which bars closed."""
    total = cuts.rows(data)
    orders = _orders(run)
    chosen: set[int] = set()
    spent = 0
    for number, (part, side) in enumerate(PLAN):
        floor = _FLOOR * (1 + sorted(PLAN).index((part, side))) * _MANY // min(max(len(data), _MANY), 4 * _MANY)
        target = share(closes, part * rng.uniform(0.6, 1.0), floor)
        instant = _at_order(orders, target, side, number % len(run.slots)) if side else target
        spent += cuts.known_rows(data, instant) + _PER_SYMBOL * len(data)
        if number >= LEAST and spent > max(_BUDGET * total, WHOLE):
            break
        chosen.add(instant)
    if len(orders) and not (orders[:, 1] <= max(chosen)).any():
        first = int(orders[0, 1])
        if cuts.known_rows(data, first) <= max(_LATEST * total, WHOLE):
            chosen.add(first)
    if total <= WHOLE and len(closes) > 1:
        chosen.add(int(closes[-2]))
    # An order may be decided between two closes; the cut is what was known then.
    snapped = {int(closes[max(int(np.searchsorted(closes, one, side="right")) - 1, 0)]) for one in chosen}
    return sorted(one for one in snapped if one < closes[-1])


def share(closes: npt.NDArray[np.int64], part: float, floor: int) -> int:
    """Return the instant at which a share of a run's instants was over, or so many at least where there are."""
    count = max(int(part * len(closes)), floor)
    return int(closes[min(count, len(closes)) - 1])


def telling(run: kernel.Kernel, closes: npt.NDArray[np.int64], rng: np.random.Generator) -> int:
    """Return an instant in the first part of a run at which it ordered something, if it did."""
    return _at_order(_orders(run), share(closes, rng.uniform(0.1, 0.3), 1), int(rng.choice((-1, 1))), 0)


def _orders(run: kernel.Kernel) -> replays.Rows:
    """Return what was ordered, whether it passed the risk chain or not."""
    found = replays.rows(run)
    wanted: replays.Rows = found[(found[:, 0] == log.ORDER) | (found[:, 0] == log.REFUSED)]
    return wanted


def _at_order(orders: replays.Rows, target: int, side: int, strategy: int) -> int:
    """Return the instant of the last order of a side up to a target, of a strategy if it has one; else the target."""
    early_ones = orders[: int(np.searchsorted(orders[:, 1], target, side="right"))]
    wanted = early_ones[early_ones[:, 5] * side > 0]
    own = wanted[wanted[:, 2] == strategy]
    best = own if len(own) else wanted
    return int(best[-1, 1]) if len(best) else target
