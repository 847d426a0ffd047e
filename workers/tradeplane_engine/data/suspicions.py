"""Bars that are well-formed and yet hardly true: listed for people, never mended and never left out.

A bar's prices and volume are held to the bars before it, to the symbol's splits and dividends, and to the sessions of
other symbols. What panics and news do is left alone: it trades on heavy volume, so a deep low or a jump is suspicious
only where the volume is ordinary.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from tradeplane_engine.data import series

FloatArray = npt.NDArray[np.float64]

_WINDOW = 21  # rows before a bar that say what is ordinary
# Distances are logarithms: 0.3 is a third.
_OUTLIER = 0.3  # of a high, low or open from everything else in its bar and from the close before
_JUMP = 0.3  # from a close to the next open, on ordinary volume
_BREAK = 0.9  # the same, on any volume: what is left is another company
_UNFIT = 0.25  # between the prices before and after a split and its ratio
_SHIFT = 0.12  # of a few rows as a block, and back
_SHIFT_ROWS = 5
_BACK = 0.03  # how far the way back may be from the way there
_ORDINARY_MOVES = 8  # times the median move; less is a volatile stock
_PANIC_VOLUME = 1.5  # times the median volume: a deep low that traded
_NEWS_VOLUME = 4  # a jump that traded
_STEP_VOLUME = 1000
_COLLAPSE_VOLUME = 0.02
_DIVIDEND = 0.25  # of the price before
_SMALL = 100  # largest denominator of a split that somebody would decide
_MOST_SYMBOLS = Fraction(9, 10)  # that trade in a session which a symbol lacks


@dataclass(frozen=True, slots=True)
class Suspicion:
    """One bar, or one session without a bar, that a person should look at.

    reason : repeated, outlier, jump, shifted, split, dividend, volume or missing
    row : in the symbol's series; of a missing session that of the bar before it
    at : start of the bar, or of the session, ns UTC
    """

    symbol: str
    row: int
    at: int
    reason: str
    sentence: str


def of_bars(
    one: series.Series, splits: Mapping[int, Fraction] | None = None, dividends: Mapping[int, Fraction] | None = None
) -> tuple[Suspicion, ...]:
    """List the suspicious bars of one symbol, raw prices, by row.

    Parameters
    ----------
    splits : new shares for an old one, by the start of the bar before whose open it acts
    dividends : USD per new share, likewise
    """
    if len(one) < 2:  # noqa: PLR2004 - there is nothing to compare one bar with
        return ()
    rows = _Rows(one, splits or {}, dividends or {})
    found = {
        "repeated": (rows.repeated(), "equals the bar before, volume included"),
        "outlier": (rows.outliers(), "high, low or open is far from everything around it"),
        "jump": (rows.jumps(), "opens far from the close before, on ordinary volume"),
        "shifted": (rows.shifted(), "lies beside the rows around it, which agree with each other"),
        "split": (rows.splits(), "a split that the prices do not show, or of an odd ratio"),
        "dividend": (rows.dividends(), "a dividend of a large part of the price"),
        "volume": (rows.volumes(), "volume is out of all proportion to the weeks before"),
    }
    listed = [
        Suspicion(one.symbol, int(row), int(one.start[row]), reason, sentence)
        for reason, (which, sentence) in found.items()
        for row in np.flatnonzero(which)
    ]
    return tuple(sorted(listed, key=lambda each: (each.row, each.reason)))


def missing(data: Sequence[series.Series]) -> tuple[Suspicion, ...]:
    """List the sessions that nearly all symbols which trade around them have, and one lacks, by symbol and session."""
    known = Counter(start for one in data for start in one.start.tolist())
    begun = np.sort([int(one.start[0]) for one in data if len(one)])
    ended = np.sort([int(one.start[-1]) for one in data if len(one)])
    starts = np.array(sorted(known), dtype=np.int64)
    trading = np.searchsorted(begun, starts, side="right") - np.searchsorted(ended, starts, side="left")
    sessions = starts[
        [known[start] >= _MOST_SYMBOLS * int(count) for start, count in zip(starts, trading, strict=True)]
    ]
    found = []
    for one in data:
        inside = sessions[(sessions > one.start[0]) & (sessions < one.start[-1])] if len(one) else sessions[:0]
        for start in np.setdiff1d(inside, one.start).tolist():
            row = int(np.searchsorted(one.start, start)) - 1
            found.append(Suspicion(one.symbol, row, start, "missing", "no bar in a session that others have"))
    return tuple(found)


class _Rows:
    """One symbol's columns as floats, with what each row is compared with."""

    def __init__(self, one: series.Series, splits: Mapping[int, Fraction], dividends: Mapping[int, Fraction]) -> None:
        unit = 10**one.digits
        self.one = one
        ratio, self.paid, self.odd = np.ones(len(one)), np.zeros(len(one)), np.zeros(len(one), dtype=bool)
        for start, each in splits.items():
            ratio[one.start == start] = float(each)
            self.odd |= (one.start == start) & (each != each.limit_denominator(_SMALL))
        for start, each in dividends.items():
            self.paid[one.start == start] = float(each)
        self.open, self.high, self.low, self.close = (
            getattr(one, name) / unit for name in ("open", "high", "low", "close")
        )
        self.before = np.concatenate((self.open[:1], self.close[:-1])) / ratio  # of the first row its open
        fair = np.maximum(self.before - self.paid, 1 / unit)
        self.gap = np.log(self.open / fair)
        self.split = ratio != 1
        self.volume = _over_median(one.volume.astype(np.float64))
        self.calm = _before(np.abs(np.log(self.close / fair)), np.nan)

    def repeated(self) -> npt.NDArray[np.bool_]:
        """Rows that equal the one before; without volume nothing may have traded."""
        same = self.one.volume > 0
        for name in ("open", "high", "low", "close", "volume"):
            column = getattr(self.one, name)
            same &= np.concatenate(([False], column[1:] == column[:-1]))
        return same

    def outliers(self) -> npt.NDArray[np.bool_]:
        """A price beyond everything else of its row; a deep low is believed where much was traded."""
        top = np.maximum(np.maximum(self.open, self.close), self.before)
        bottom = np.minimum(np.minimum(self.open, self.close), self.before)
        above = np.log(self.high / top) > _OUTLIER
        below = (np.log(bottom / self.low) > _OUTLIER) & (self.volume < _PANIC_VOLUME)
        opened = np.log(self.open / np.maximum(self.before, self.close)) > _OUTLIER
        opened |= np.log(np.minimum(self.before, self.close) / self.open) > _OUTLIER
        return np.asarray(above | below | opened)

    def jumps(self) -> npt.NDArray[np.bool_]:
        """An open far from the close before, that no split explains and no volume carries."""
        far = np.abs(self.gap)
        carried = (far > _JUMP) & (self.volume < _NEWS_VOLUME)
        return np.asarray((carried | (far > _BREAK)) & ~self.split)

    def shifted(self) -> npt.NDArray[np.bool_]:
        """A few rows between a jump and its way back, both on ordinary volume."""
        found = np.zeros(len(self.gap), dtype=bool)
        quiet = ~self.split & (self.volume < _NEWS_VOLUME)
        unusual = np.abs(self.gap) > np.maximum(_SHIFT, _ORDINARY_MOVES * self.calm)
        for first in np.flatnonzero(quiet & unusual).tolist():
            for last in range(first + 1, min(first + 1 + _SHIFT_ROWS, len(found))):
                if quiet[last] and abs(self.gap[first] + self.gap[last]) < _BACK:
                    found[first:last] = True
                    break
        return found

    def splits(self) -> npt.NDArray[np.bool_]:
        """A split that does not fit the prices around it, or whose ratio nobody would decide."""
        return np.asarray(self.split & ((np.abs(self.gap) > _UNFIT) | self.odd))

    def dividends(self) -> npt.NDArray[np.bool_]:
        """A dividend of a large part of the price before."""
        return np.asarray(self.paid > _DIVIDEND * self.before)

    def volumes(self) -> npt.NDArray[np.bool_]:
        """A volume that is a thousandfold, or next to nothing."""
        return np.asarray((self.volume > _STEP_VOLUME) | (self.volume < _COLLAPSE_VOLUME))


def _over_median(volume: FloatArray) -> FloatArray:
    """Volume over the median of the rows before; 1 where that is unknown or nothing."""
    usual = _before(volume, 0.0)
    return np.where(usual > 0, volume / np.where(usual > 0, usual, 1.0), 1.0)


def _before(values: FloatArray, unknown: float) -> FloatArray:
    """Median of the window before each row; ``unknown`` where the window is not full."""
    found = np.full(len(values), unknown)
    if len(values) > _WINDOW:
        found[_WINDOW:] = np.median(np.lib.stride_tricks.sliding_window_view(values[:-1], _WINDOW), axis=1)
    return found
