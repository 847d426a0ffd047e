"""Knowledge from outside: orders that do not follow from the bars given, and yet foretell the real ones.

A file, a global or an array in a closure holds the future whatever bars a run is given, so no cut shows it. But a run
on bars that never happened does:

1. The early bars are shuffled and their signs drawn anew (:func:`cuts.shuffled`). Only their instants are real.
2. Each order of a run on them is scored by the *real* move of its symbol until the strategy's next order in it, times
   its side; the mean of the sides is taken off first, so that a market that rises proves nothing.
3. An honest strategy knows nothing of the real moves there: the sum is that of fair bets, and exceeds ``LIMIT`` times
   the root of its squares with a chance below exp(-LIMIT^2 / 2), 2 in 10^11.
4. Real moves with a rhythm could meet a timer's by chance. So the sum must also be far above that of the same orders
   against real moves some bars later or earlier, where a rhythm still fits and foreknowledge does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeplane_engine.core import kernel, log
from tradeplane_engine.data import series
from tradeplane_engine.detectors import cuts, findings, replays

DETECTOR = "outside"
LIMIT = 7.0
SHARE = 0.01  # of the instants
LEAST = 5_000  # rows, or all of a shorter history
_ORDERS = 50  # LIMIT^2 is the fewest that could exceed it
_SHIFTS = tuple(range(1, 65))


@dataclass(frozen=True, slots=True)
class _Score:
    """Scores of a strategy's orders in one symbol, in their sequence."""

    at: npt.NDArray[np.int64]
    fair: npt.NDArray[np.float64]

    @property
    def size(self) -> float:
        """Sum over the root of the squares; 0 of nothing."""
        squares = float(np.sum(self.fair**2))
        return float(np.sum(self.fair)) / squares**0.5 if squares > 0 else 0.0


def examine(
    factory: replays.Factory, data: Sequence[series.Series], rng: np.random.Generator
) -> list[findings.Finding]:
    """Run on bars that never happened, in place of these; return who foretold the real ones."""
    replay = replays.run(factory, cuts.shuffled(data, rng))
    if replay is None or replay.failure is not None:
        return []  # it may rightly refuse such bars
    return [
        found
        for slot in replay.kernel.slots
        for number, one in enumerate(data)
        if (found := _judge(slot.name, one, _orders(replay.kernel, slot.number, number))) is not None
    ]


def _orders(run: kernel.Kernel, strategy: int, symbol: int) -> replays.Rows:
    found = replays.rows(run)
    orders = found[(found[:, 0] == log.ORDER) & (found[:, 2] == strategy) & (found[:, 3] == symbol)]
    # Orders of one instant are one decision.
    last = np.append(orders[1:, 1] != orders[:-1, 1], np.ones(min(len(orders), 1), dtype=bool))
    decided: replays.Rows = orders[last]
    return decided


def _judge(strategy: str, one: series.Series, orders: replays.Rows) -> findings.Finding | None:
    if len(orders) < _ORDERS:
        return None
    score = _score(one, orders, 0)
    shifted = [abs(_score(one, orders, shift).size) for most in _SHIFTS for shift in (most, -most)]
    if score.size < LIMIT or score.size < 2.0 * float(np.quantile(shifted, 0.9)):
        return None
    running = np.cumsum(score.fair) / np.sqrt(np.maximum(np.cumsum(score.fair**2), 1e-300))
    first = int((running >= LIMIT).argmax())
    sentence = (
        f"its orders on bars that never happened foretell the real ones ({len(orders)} orders, {score.size:.1f} "
        f"standard deviations, at most {LIMIT} by chance): it knows them from outside the run"
    )
    return findings.proof(DETECTOR, strategy, one, int(score.at[first]), sentence)


def _score(one: series.Series, orders: replays.Rows, shift: int) -> _Score:
    at = orders[:, 1]
    bars = np.searchsorted(one.available_at, at, side="right") - 1
    ends = np.append(bars[1:], len(one) - 1)
    last = len(one) - 1
    price = np.log(one.close[np.clip(np.stack((bars, ends)) + shift, 0, last)])
    sides = np.sign(orders[:, 5]).astype(np.float64)
    return _Score(at, (sides - sides.mean()) * (price[1] - price[0]))
