"""Where a decision's rows come from: the last bars (live, replay), or history computed beforehand (backtest).

Both give the same bits, because a row is a function of its window alone.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors
from tradeplane_engine.domain import bars, times
from tradeplane_engine.features import alpha158, history, registry

FloatArray = npt.NDArray[np.float64]
Scorable = tuple[tuple[str, ...], FloatArray]


class LastBars:
    """Keeps each symbol's last window and computes its row when asked."""

    def __init__(self, features: registry.FeatureSet, symbols: Sequence[str]) -> None:
        self._features = features
        self._histories = {symbol: history.SymbolHistory(symbol) for symbol in sorted(symbols)}
        self._end = times.Nanos(0)

    @property
    def window(self) -> int:
        """Slices that a row is made of."""
        return self._features.window

    def observe(self, one: bars.BarSlice) -> None:
        """Take in the next slice, oldest first."""
        for symbol, found in self._histories.items():
            found.append(one.bars.get(symbol), end=one.end, actions=one.actions)
            found.keep_last(self._features.window)
        self._end = one.end

    def rows_at(self, end: times.Nanos) -> Scorable:
        """Return the rows of the slice that was observed last; raises ValueRefused for the end of another one."""
        if end != self._end:
            raise errors.ValueRefused("features", f"asked for at {times.text(self._end)}", times.text(end))
        return self.rows()

    def rows(self) -> Scorable:
        """Return the symbols with a complete window, sorted, and their rows (n, n_features)."""
        windows = [found.newest(self._features.window) for found in self._histories.values()]
        computed, complete = alpha158.newest(windows)
        symbols = tuple(symbol for symbol, there in zip(self._histories, complete, strict=True) if there)
        return symbols, computed[complete]


class Precomputed:
    """Rows of a whole history, looked up by the end of their bars."""

    def __init__(self, rows: dict[int, Scorable], width: int) -> None:
        self._rows = rows
        self._nothing: Scorable = ((), np.empty((0, width)))

    def rows_at(self, end: times.Nanos) -> Scorable:
        """Return as :meth:`LastBars.rows_at`, for any slice."""
        return self._rows.get(end, self._nothing)


def precompute(
    slices: Iterable[bars.BarSlice],
    *,
    symbols: Sequence[str],
    features: registry.FeatureSet,
    start: times.Nanos,
) -> Precomputed:
    """Compute the rows of every slice that ends at or after ``start``."""
    ordered = sorted(symbols)
    found = history.histories(slices, ordered)
    ends = np.array(found[ordered[0]].ends, dtype=np.int64)
    first = max(int(np.searchsorted(ends, start)) - features.window, 0)
    computed = {symbol: alpha158.batch(found[symbol].rows[first:]) for symbol in ordered}
    rows: dict[int, Scorable] = {}
    for at, end in enumerate(ends[first:].tolist()):
        there = tuple(symbol for symbol in ordered if computed[symbol][1][at])
        if there and end >= start:
            rows[end] = there, np.stack([computed[symbol][0][at] for symbol in there])
    return Precomputed(rows, len(features.columns))
