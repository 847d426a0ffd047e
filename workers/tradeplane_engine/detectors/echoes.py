"""Echoes of the real future: decisions that turn exactly at a price which the run did not have yet.

What holds the real bars often compares one that is still to come with the last close: ``bars[i + 1] > bar.close``. So a
run is given closes that lie one price unit above or below the *real* later price, by the toss of a coin. To an honest
strategy the unit is noise: it hardly ever decides. To one that knows the later price it decides every time. Its orders
then follow our coins, which nobody else has: that is the proof.

Price moves must be many units, or a unit would be more than noise; other series are left alone. And where prices come
back to the same level, a unit decides for honest strategies too. So the first part of the bars lies beside the
*present* real price, which everybody may know: who follows the coins there as closely proves nothing anywhere.
"""

from collections.abc import Sequence

import numpy as np

from tradeplane_engine.core import log
from tradeplane_engine.data import series
from tradeplane_engine.detectors import cuts, findings, replays

DETECTOR = "echoes"
_CONTROL = 0
LEADS = (("close", 0), ("close", 1), ("open", 1), ("close", 2))  # the control; what is compared most
_LIMIT = 7.0  # standard deviations of a sum of coins: by chance 2 in 10^11
_AGREEMENT = 0.4  # and the least correlation of orders and coins: noise of one unit never comes near it
_ORDERS = 20  # without so many in the control nothing is known about a strategy
_NOISE = 20  # units; the least median move of a series, against which one unit is noise


def examine(
    factory: replays.Factory, data: Sequence[series.Series], rng: np.random.Generator
) -> list[findings.Finding]:
    """Run on closes beside the real later prices, in place of these bars; return whose orders follow the coins."""
    by_name = {symbol: number for number, symbol in enumerate(dict.fromkeys(one.symbol for one in data))}
    # Longer bars stay: beside changed ones they would say, at the wrong time, what a shorter one hides.
    worlds = [cuts.led(one, LEADS, rng) for one in data[: len(by_name)]]
    replay = replays.run(factory, [*(changed for changed, _, _ in worlds), *data[len(by_name) :]])
    if replay is None or replay.failure is not None:
        return []  # it may rightly refuse such bars
    orders = replays.rows(replay.kernel)
    orders = orders[orders[:, 0] == log.ORDER]
    coins, leads, bars, numbers = (np.zeros(len(orders), dtype=np.int64) for _ in range(4))
    for symbol, name in enumerate(replay.kernel.table.symbols):
        mine = orders[:, 3] == symbol
        number = by_name[name]
        one = data[number]
        if not mine.any() or np.median(np.abs(np.diff(one.close))) < _NOISE:
            continue
        bars[mine] = np.searchsorted(one.available_at, orders[mine, 1], side="right") - 1
        numbers[mine] = number
        coins[mine], leads[mine] = worlds[number][1][bars[mine]], worlds[number][2][bars[mine]]
    found = []
    for slot in replay.kernel.slots:
        tossed = (orders[:, 2] == slot.number) & (coins != 0)
        control = tossed & (leads == _CONTROL)
        noise = _agreement(np.sign(orders[control, 5]), coins[control])
        for lead, (field, ahead) in enumerate(LEADS):
            mine = tossed & (leads == lead)
            sides = np.sign(orders[mine, 5])
            place = _follows(sides, coins[mine]) if lead != _CONTROL else None
            if place is not None and _agreement(sides, coins[mine]) > 2 * noise:
                sentence = (
                    f"its orders turn exactly at the real {field} of {ahead} bar{'s' * (ahead > 1)} later, which this "
                    "run did not have: it knows the real bars from outside the run"
                )
                one = data[int(numbers[mine][place])]
                found.append(findings.at_bar(DETECTOR, slot.name, one, int(bars[mine][place]), sentence))
    return found


def _agreement(sides: replays.Rows, coins: replays.Rows) -> float:
    """Return how closely sides follow coins, 0 to 1; 1 where there are too few to know."""
    if len(sides) < _ORDERS:
        return 1.0
    return abs(float(np.mean(sides * coins)))


def _follows(sides: replays.Rows, coins: replays.Rows) -> int | None:
    """Return the place of the order that proves that sides follow coins, or None."""
    if len(sides) == 0:
        return None
    fair = sides * coins
    running = np.abs(np.cumsum(fair)) / np.sqrt(np.arange(1, len(fair) + 1))
    if running[-1] < max(_LIMIT, _AGREEMENT * len(fair) ** 0.5):
        return None
    return int((running >= _LIMIT).argmax())
