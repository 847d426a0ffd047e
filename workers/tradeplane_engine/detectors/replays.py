"""Replays: the same strategies on other bars, and the first thing that they did differently.

1. A kernel is made by the factory on other bars and runs; ``on_stop`` is left out, because a cut history ends where the
   whole one goes on.
2. Of both event logs the rows up to the horizon are taken, without the END row.
3. The first row that differs is the proof: up to there both knew the same.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors
from tradeplane_engine.core import kernel, log, order
from tradeplane_engine.data import series
from tradeplane_engine.detectors import cuts, findings

Factory = Callable[[Sequence[series.Series]], kernel.Kernel]
Rows = npt.NDArray[np.int64]

_KIND, _AT, _STRATEGY, _SYMBOL, _ID, _A, _C = 0, 1, 2, 3, 4, 5, 7
_SHARE = 1e9


@dataclass(frozen=True, slots=True)
class Replay:
    """A run on other bars, and the error that ended it."""

    kernel: kernel.Kernel
    failure: Exception | None

    @property
    def began(self) -> bool:
        """Whether the run came past ``on_start``; a failure before says nothing, as a cut may be too short for it."""
        return self.failure is None or self.kernel.started


def run(factory: Factory, data: Sequence[series.Series]) -> Replay | None:
    """Run what a factory makes of other bars; None where it refuses to make anything of them."""
    try:
        made = factory(data)
    except Exception:  # noqa: BLE001 - a strategy's own constructor runs here
        return None
    for slot in made.slots:
        with contextlib.suppress(AttributeError):  # of a class with slots and no base of ours
            object.__setattr__(slot.strategy, "on_stop", _nothing)
    try:
        made.run()
    except Exception as error:  # noqa: BLE001 - a strategy may raise anything; what it means is judged below
        return Replay(made, error)
    return Replay(made, None)


def rows(made: kernel.Kernel) -> Rows:
    """Return the rows of a run's log without its end, which is the last one."""
    found: Rows = made.log.rows()
    return found[:-1] if len(found) and found[-1, _KIND] == log.END else found


def comparable(found: Rows, horizon: cuts.Horizon) -> Rows:
    """Return the rows on which runs must agree that know the same up to a horizon."""
    at = found[:, _AT]
    first, last = (int(np.searchsorted(at, horizon.until, side=side)) for side in ("left", "right"))
    for index in range(first, last):
        if int(found[index, _SYMBOL]) in horizon.opening and _of_an_open(found, found[index]):
            return found[:index]
    return found[:last]


def _of_an_open(found: Rows, row: Rows) -> bool:
    """Say whether a row may be the deed of an open: a fill, or the end of an order that trades there or never."""
    if row[_KIND] == log.STATUS:
        ordered = found[(found[:, _KIND] == log.ORDER) & (found[:, _ID] == row[_ID])]
        return len(ordered) > 0 and int(ordered[0, _C]) % 10 not in {order.DAY, order.GTC}
    return bool(row[_KIND] == log.FILL)


def difference(
    detector: str, data: Sequence[series.Series], run_rows: Rows, replay: Replay, horizon: cuts.Horizon
) -> findings.Finding | None:
    """Return the first proof that a replay, which knew the same up to the horizon, did something else."""
    ours, theirs = comparable(run_rows, horizon), comparable(rows(replay.kernel), horizon)
    least = min(len(ours), len(theirs))
    unequal = (ours[:least] != theirs[:least]).any(axis=1)
    place = int(unequal.argmax()) if unequal.any() else least
    did, would = (one[place] if place < len(one) else None for one in (ours, theirs))
    if replay.failure is not None and would is None and replay.kernel.now <= horizon.until:
        return _failed(detector, data, replay, horizon)
    # Strategies act by number: of two rows of one instant, the one of the lower number is what the other run lacks.
    both = [one for one in (did, would) if one is not None]
    first = min(both, key=lambda one: (int(one[_AT]), int(one[_STRATEGY])), default=None)
    if first is None:
        return None
    names = [slot.name for slot in replay.kernel.slots]
    strategy = names[int(first[_STRATEGY])] if first[_STRATEGY] >= 0 else "account"
    one = data[max(int(first[_SYMBOL]), 0)]
    known = findings.instant_text(horizon.until)
    sentence = (
        f"the run {_deed(did, data)}, but {_deed(would, data)} where bars after {known} are other ones: "
        "it depends on later bars, or on something outside the run"
    )
    return findings.proof(detector, strategy, one, int(first[_AT]), sentence)


def _failed(
    detector: str, data: Sequence[series.Series], replay: Replay, horizon: cuts.Horizon
) -> findings.Finding | None:
    """Return the finding of a strategy that cannot go on without later bars."""
    error = replay.failure
    slots = replay.kernel.slots
    name = error.name if isinstance(error, errors.StrategyFailed) else slots[0].name
    newest = max(range(len(data)), key=lambda number: _newest_end(data[number], replay.kernel.now))
    sentence = (
        f"fails where bars after {findings.instant_text(horizon.until)} are other ones, and not in the run: {error}"
    )
    return findings.proof(detector, name, data[newest], replay.kernel.now, sentence)


def _newest_end(one: series.Series, instant: int) -> int:
    index = int(np.searchsorted(one.available_at, instant, side="right")) - 1
    return int(one.available_at[index]) if index >= 0 else -1


def _deed(row: Any, data: Sequence[series.Series]) -> str:
    """Say what a row of the log is."""
    if row is None:
        return "does nothing more"
    kind = log.KINDS[int(row[_KIND])]
    symbol = data[int(row[_SYMBOL])].symbol if row[_SYMBOL] >= 0 else "the account"
    at = findings.instant_text(int(row[_AT]))
    if kind in {"order", "refused", "fill"}:
        side = "buy" if row[_A] > 0 else "sell"
        return f"has {kind} {side} {abs(int(row[_A])) / _SHARE:g} {symbol} at {at}"
    return f"has {kind} of {symbol} at {at}"


def _nothing(ctx: object) -> None:
    """Take the place of ``on_stop``."""
