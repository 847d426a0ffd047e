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


class _Bets:
    """Orders of a strategy in one symbol, as bets on the moves until its next order there.

    Parameters
    ----------
    one : the real bars
    orders : their rows in the log, in their sequence
    """

    def __init__(self, one: series.Series, orders: replays.Rows) -> None:
        bars = np.searchsorted(one.available_at, orders[:, 1], side="right") - 1
        self._ends = np.stack((bars, np.append(bars[1:], len(one) - 1)))
        sides = np.sign(orders[:, 5]).astype(np.float64)
        self._sides = sides - sides.mean()
        self._prices = np.log(one.close)

    def won(self, shift: int) -> npt.NDArray[np.float64]:
        """Return what each wins against the moves so many bars later."""
        price = self._prices[np.clip(self._ends + shift, 0, len(self._prices) - 1)]
        found: npt.NDArray[np.float64] = self._sides * (price[1] - price[0])
        return found


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
    bets = _Bets(one, orders)
    won = bets.won(0)
    size = _size(won)
    shifted = [abs(_size(bets.won(shift))) for most in _SHIFTS for shift in (most, -most)]
    if size < LIMIT or size < 2.0 * float(np.quantile(shifted, 0.9)):
        return None
    running = np.cumsum(won) / np.sqrt(np.maximum(np.cumsum(won**2), 1e-300))
    first = int((running >= LIMIT).argmax())
    sentence = (
        f"its orders on bars that never happened foretell the real ones ({len(orders)} orders, {size:.1f} "
        f"standard deviations, at most {LIMIT} by chance): it knows them from outside the run"
    )
    return findings.proof(DETECTOR, strategy, one, int(orders[first, 1]), sentence)


def _size(won: npt.NDArray[np.float64]) -> float:
    """Return the sum over the root of the squares; 0 of nothing."""
    squares = float(np.sum(won**2))
    return float(np.sum(won)) / squares**0.5 if squares > 0 else 0.0
