"""Training samples: feature rows with open-to-open labels, and splits in time that are purged.

A row at bar t is labelled with ``open(t+1+h) / open(t+1) - 1`` on total-return prices, because a decision at the close
of t fills at the next open; its label interval is [open t+1, open t+1+h]. A row belongs before a cut only if its whole
label interval does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeplane_engine.domain import bars, times
from tradeplane_engine.features import alpha158, history, registry

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_OPEN = history.FIELDS.index("open")


@dataclass(frozen=True, slots=True)
class Samples:
    """Rows ordered by (bar end, symbol).

    rows : shape (n, n_features), NaN where undefined
    labels : shape (n,), simple return over the label interval
    bar_ends, label_starts, label_ends : shape (n,), nanoseconds
    """

    rows: FloatArray
    labels: FloatArray
    bar_ends: IntArray
    label_starts: IntArray
    label_ends: IntArray

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Samples":
        """Return the chosen rows."""
        return Samples(
            rows=self.rows[chosen],
            labels=self.labels[chosen],
            bar_ends=self.bar_ends[chosen],
            label_starts=self.label_starts[chosen],
            label_ends=self.label_ends[chosen],
        )


def known_at(slices: Iterable[bars.BarSlice], at: times.Nanos) -> tuple[bars.BarSlice, ...]:
    """Keep what was known at an instant: bars available by then, and the actions of their slices."""
    kept = []
    for one in slices:
        known = {symbol: bar for symbol, bar in one.bars.items() if bar.available_at <= at}
        actions = tuple(action for action in one.actions if action.ex_start <= at)
        if known:
            kept.append(bars.BarSlice(timeframe=one.timeframe, end=one.end, bars=known, actions=actions))
    return tuple(kept)


def build(
    slices: Sequence[bars.BarSlice], *, symbols: Sequence[str], features: registry.FeatureSet, horizon: int
) -> Samples:
    """Return every complete row whose label is known within the slices."""
    found = history.histories(slices, symbols)
    starts = {symbol: _starts(slices, symbol) for symbol in symbols}
    parts = [_of_symbol(found[symbol], starts[symbol], horizon, len(features.columns)) for symbol in sorted(symbols)]
    joined = Samples(
        rows=np.concatenate([part.rows for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        bar_ends=np.concatenate([part.bar_ends for part in parts]),
        label_starts=np.concatenate([part.label_starts for part in parts]),
        label_ends=np.concatenate([part.label_ends for part in parts]),
    )
    order = np.argsort(joined.bar_ends, kind="stable")  # within one bar end: as joined, by symbol
    return _ordered(joined, order)


def before(samples: Samples, cut: int) -> Samples:
    """Keep rows whose label interval has ended by the cut: nothing of them happens after it."""
    return samples.where(samples.label_ends <= cut)


def purged_split(samples: Samples, *, fraction: float) -> tuple[Samples, Samples]:
    """Split by time: the last ``fraction`` of the timestamps validate; training rows that overlap them are dropped.

    A training row stays only if its label interval ends before the first validation row's bar does, so neither its
    label nor anything later than its features overlaps with what validation uses.
    """
    timestamps = np.unique(samples.bar_ends)
    first = timestamps[int(len(timestamps) * (1.0 - fraction))]
    validation = samples.where(samples.bar_ends >= first)
    return samples.where((samples.bar_ends < first) & (samples.label_ends < first)), validation


def _of_symbol(found: history.SymbolHistory, starts: IntArray, horizon: int, width: int) -> Samples:
    rows = found.rows
    count = max(len(rows) - 1 - horizon, 0)
    if not count:
        empty = np.empty(0, dtype=np.int64)
        return Samples(np.empty((0, width)), np.empty(0), empty, empty, empty)
    features, complete = alpha158.batch(rows)
    opens = rows[:, _OPEN] * history.total_return(rows)
    labels = opens[1 + horizon :] / opens[1:-horizon] - 1.0
    usable = complete[:count] & np.isfinite(labels)
    return Samples(
        rows=features[:count][usable],
        labels=labels[usable],
        bar_ends=np.array(found.ends, dtype=np.int64)[:count][usable],
        label_starts=starts[1 : 1 + count][usable],
        label_ends=starts[1 + horizon : 1 + horizon + count][usable],
    )


def _starts(slices: Sequence[bars.BarSlice], symbol: str) -> IntArray:
    """Open of each row; a missing bar has no open, and its row no label, so any value does."""
    return np.array([one.bars[symbol].start if symbol in one.bars else one.end for one in slices], dtype=np.int64)


def _ordered(samples: Samples, order: npt.NDArray[np.intp]) -> Samples:
    return Samples(
        rows=samples.rows[order],
        labels=samples.labels[order],
        bar_ends=samples.bar_ends[order],
        label_starts=samples.label_starts[order],
        label_ends=samples.label_ends[order],
    )


def newest_availability(slices: Sequence[bars.BarSlice]) -> Mapping[str, times.Nanos]:
    """Return the latest ``available_at`` per symbol."""
    latest: dict[str, times.Nanos] = {}
    for one in slices:
        for symbol, bar in one.bars.items():
            latest[symbol] = max(latest.get(symbol, bar.available_at), bar.available_at)
    return latest
