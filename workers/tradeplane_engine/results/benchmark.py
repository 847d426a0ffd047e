"""What a run is compared with: one symbol, bought at its first open and held, its dividends reinvested."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tradeplane_engine.data import series
from tradeplane_engine.measures import inputs, periods
from tradeplane_engine.venue import actions as venue_actions

_NANO = 10**9


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The symbol's bars, raw, and its splits and dividends."""

    bars: series.Series
    actions: Sequence[venue_actions.Action] = ()

    def compared(self, days: periods.Days) -> inputs.Benchmark:
        """Return its total return on each day; 0 where it has no bar yet and where it has none any more."""
        one = self.bars
        known = np.searchsorted(one.available_at, days.last, side="right")
        close = np.concatenate((one.open[:1], one.close)).astype(np.float64)
        worth = close * self._shares(close)
        held = np.concatenate((worth[:1], worth[known]))
        return inputs.Benchmark(one.symbol, held[1:] / held[:-1] - 1.0 if len(one) else np.zeros(len(days.last)))

    def _shares(self, close: inputs.FloatArray) -> inputs.FloatArray:
        """Return what one share at the first open has become by each close."""
        one = self.bars
        found = np.ones(len(close))
        for action in sorted(self.actions, key=lambda one: one.at):
            if action.symbol != one.symbol:
                continue
            first = int(np.searchsorted(one.start, action.at)) + 1  # bars of before are on the old basis
            if isinstance(action, venue_actions.Split):
                found[first:] *= action.new / action.old
            elif isinstance(action, venue_actions.Dividend) and 1 < first < len(close):
                before = close[first - 1] * found[first - 1] / found[first] / 10**one.digits  # after a split of the day
                found[first:] *= 1.0 + action.per_share / _NANO / before
        return found
