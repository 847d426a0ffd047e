"""Indicators, features and signals computed again on cut history: a value may not change when later bars are missing.

Two kinds of cut, because each catches what the other lets through:

- *windows*: just the rows that a value is said to depend on, at seeded points and at the last bar, where the cost does
  not depend on the length of history. A value that depends on more, or on its place, differs.
- *prefixes*: everything up to a row. Most are short, so that all of them together are a small share of the history.

All rows of a cut are compared, bit for bit, from the first defined one on: a function that looks ahead only at some
places of its blocks is caught at any of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import indicators
from tradeplane_engine.core import kernel, table
from tradeplane_engine.data import series
from tradeplane_engine.detectors import cuts, findings
from tradeplane_engine.indicators import columns

DETECTOR = "recomputed"
POINTS = 32
_PREFIXES = 6  # of what is said to depend on a window only
_MARGIN = 300  # rows before a window; more than the 256 windows that a user's function is given at once
_PREFIX_SHARE = 0.1  # of the rows, all prefixes together
_SHORT = 20_000  # rows that prefixes may cost in any case
_LAST_BARS = 32  # symbols whose last bar is examined

Array = npt.NDArray[Any]
Compute = Callable[[series.Series], Mapping[str, Array]]


@dataclass(frozen=True, slots=True)
class Computed:
    """What a run read that was computed in advance from one symbol's bars.

    Parameters
    ----------
    strategy : that read it
    name : for people
    compute : bars of one symbol, n rows, to arrays of n rows by name; rows before ``first`` are not defined
    values : what the run read, per symbol
    first : index of the first defined row
    span : rows, the newest included, that a value depends on; None for all history
    timeframe : of the bars that it was computed from, ns; None for the shortest of each symbol
    """

    strategy: str
    name: str
    compute: Compute
    values: Mapping[str, Mapping[str, Array]]
    first: int = 0
    span: int | None = None
    timeframe: int | None = None

    def of(self, data: Sequence[series.Series]) -> list[series.Series]:
        """Return the series that it was computed from, of a run's, where each symbol's shortest one comes first."""
        if self.timeframe is None:
            return list(data[: len({one.symbol for one in data})])
        return [one for one in data if one.length == self.timeframe]


def declared(run: kernel.Kernel) -> list[Computed]:
    """Return every indicator that the strategies of a run declared."""
    bars = run.table
    return [
        Computed(
            strategy=slot.name,
            name=f"{spec.name}{dict(spec.arguments)}",
            compute=_of_spec(spec),
            values={
                symbol: {name: column[_rows(bars, number, timeframe)] for name, column in values.items()}
                for number, symbol in enumerate(bars.symbols)
            },
            first=spec.warmup,
            span=spec.span,
            timeframe=timeframe,
        )
        for slot in run.slots
        for spec, values, timeframe in slot.declared
    ]


def examine(
    subject: Computed, data: Sequence[series.Series], rng: np.random.Generator, *, audit: bool
) -> list[findings.Finding]:
    """Compute one subject again at seeded points and at the last bars; return what differs.

    With ``audit`` also on the longest series without its last bar, at the price of a whole computation.
    """
    long_enough = [one for one in subject.of(data) if len(one) > subject.first]
    if not long_enough:
        return []
    places: list[tuple[series.Series, int, int]] = []  # series, first row and end of a cut
    if subject.span is not None:
        ends = [(one, _end(one, subject, rng)) for one in _seeded(long_enough, rng, POINTS)]
        ends += [(one, len(one)) for one in long_enough[:_LAST_BARS]]
        reach = max(subject.span, subject.first + 1) + _MARGIN
        places += [(one, max(0, end - reach), end) for one, end in ends]
    places += _prefixes(subject, long_enough, rng)
    longest = max(long_enough, key=len)
    if audit or (subject.span is None and len(longest) <= _SHORT):
        places.append((longest, 0, len(longest) - 1))
    return [found for place in places if (found := _compare(subject, *place)) is not None]


def _prefixes(
    subject: Computed, data: Sequence[series.Series], rng: np.random.Generator
) -> list[tuple[series.Series, int, int]]:
    """Return whole prefixes whose rows together stay below a share of all rows; the first ones are the shortest."""
    count = _PREFIXES if subject.span is not None else POINTS
    budget = max(_PREFIX_SHARE * cuts.rows(data), _SHORT) / count
    found = []
    for number, one in enumerate(_seeded(data, rng, count)):
        # Lengths grow with the square: their mean is a third of the longest.
        most = min(len(one), subject.first + 1 + int(3 * budget * ((number + 1) / count) ** 2))
        found.append((one, 0, int(rng.integers(subject.first + 1, most + 1))))
    return found


def _compare(subject: Computed, one: series.Series, first: int, end: int) -> findings.Finding | None:
    if end - first <= subject.first:
        return None
    try:
        again = subject.compute(cuts.part(one, first, end))
    except Exception as error:  # noqa: BLE001 - a user's function may raise anything
        sentence = f"{subject.name} fails on history that ends here, and not in the run: {error}"
        return findings.at_bar(DETECTOR, subject.strategy, one, end - 1, sentence)
    # The first rows of a window lack rows that they depend on.
    skip = max(subject.first, (subject.span or 1) - 1) if first else subject.first
    worst: tuple[int, str] | None = None
    for name, column in subject.values[one.symbol].items():
        ours, theirs = column[first + skip : end], again[name][skip:]
        if ours.shape != theirs.shape:
            return findings.at_bar(
                DETECTOR, subject.strategy, one, end - 1, f"{subject.name}: {theirs.shape} rows, not {ours.shape}"
            )
        unequal = ~_same(ours, theirs)
        if unequal.any():
            at = int(unequal.argmax())
            text = f"{subject.name} is {ours[at]} in the run and {theirs[at]} on history up to bar {end - 1} alone"
            row = first + skip + at
            worst = min(worst, (row, text)) if worst else (row, text)
    return findings.at_bar(DETECTOR, subject.strategy, one, worst[0], worst[1]) if worst else None


def _same(ours: Array, theirs: Array) -> npt.NDArray[np.bool_]:
    """Say per row whether all values have the same bits; one undefined number is like another."""
    equal: npt.NDArray[np.bool_] = ours == theirs
    if ours.dtype.kind == "f":
        equal &= np.signbit(ours) == np.signbit(theirs)
        equal |= np.isnan(ours) & np.isnan(theirs)
    rows: npt.NDArray[np.bool_] = np.asarray(equal.reshape(len(equal), -1).all(axis=1))
    return rows


def _end(one: series.Series, subject: Computed, rng: np.random.Generator) -> int:
    return int(rng.integers(subject.first + 1, len(one) + 1))


def _seeded(data: Sequence[series.Series], rng: np.random.Generator, count: int) -> list[series.Series]:
    return [data[int(at)] for at in rng.integers(0, len(data), count)]


def _rows(bars: table.Table, symbol: int, timeframe: int | None) -> slice:
    number = bars.series_id(symbol, timeframe)
    return slice(int(bars.starts[number]), int(bars.starts[number + 1]))


def _of_spec(spec: indicators.Spec) -> Compute:
    def compute(one: series.Series) -> Mapping[str, Array]:
        history = columns.Columns(one.digits, one.open, one.high, one.low, one.close, one.volume)
        return {name: output.values for name, output in indicators.batch(spec, history).items()}

    return compute
