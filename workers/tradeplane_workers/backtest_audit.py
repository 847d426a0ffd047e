"""The audit of a manifest's backtest: it runs twice more, and what it decided while it knew the same must be the same.

1. On bars that end before the last decision: what looks at the last bar is found out.
2. On bars that are other ones behind the middle of the period: so is what looks further ahead, or outside of the run.

The first decision that differs is the proof.
"""

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np

from tradeplane_engine import backtest, errors, journal
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import bars, numbers, times

Run = Callable[[dataset.Dataset], backtest.Result]
_LEAST = 3  # decisions; with fewer there is no middle
_PERCENT = (60, 140)  # of which a perturbed bar's prices are, at random


def accusation(again: Run, data: dataset.Dataset, found: backtest.Result, *, seed: int) -> str:
    """Return the proof against a run in a sentence, empty for none.

    Parameters
    ----------
    again : the same run on other bars
    data, found : the run's own bars, and what came of them
    seed : of the other future
    """
    triggers = [one.decision.trigger for one in found.decisions]
    if len(triggers) < _LEAST:
        return ""
    last, middle = triggers[-2], triggers[len(triggers) // 2]
    for horizon, other in ((last, _cut(data, last)), (middle, _perturbed(data, middle, seed))):
        what = f"where bars after {times.text(horizon)} are other ones"
        try:
            ours, theirs = (_until(horizon, result) for result in (found, again(other)))
        except errors.EngineError as error:
            return f"the run fails {what}: {error}"
        for did, would in itertools.zip_longest(ours, theirs):
            if did != would:
                first = did or would
                at = "" if first is None else f" at {times.text(first.decision.trigger)}"
                return f"another decision{at} {what}: it depends on later bars, or on something outside of the run"
    return ""


def _until(horizon: times.Nanos, result: backtest.Result) -> list[journal.Decided]:
    return [one for one in result.decisions if one.decision.trigger <= horizon]


def _cut(data: dataset.Dataset, horizon: times.Nanos) -> dataset.Dataset:
    history = {symbol: tuple(bar for bar in own if bar.end <= horizon) for symbol, own in data.history.items()}
    return dataclasses.replace(data, history=history)


def _perturbed(data: dataset.Dataset, horizon: times.Nanos, seed: int) -> dataset.Dataset:
    """Give every bar that ends behind the horizon other prices and another volume."""
    rng = np.random.default_rng(seed)

    def other(bar: bars.Bar) -> bars.Bar:
        if bar.end <= horizon:
            return bar
        percent = int(rng.integers(*_PERCENT))
        opened, high, low, close = (
            numbers.Price(max(price * percent // 100, 1)) for price in (bar.open, bar.high, bar.low, bar.close)
        )
        return dataclasses.replace(
            bar, open=opened, high=high, low=low, close=close, volume=bar.volume * percent // 100
        )

    history = {symbol: tuple(map(other, own)) for symbol, own in sorted(data.history.items())}
    return dataclasses.replace(data, history=history)
