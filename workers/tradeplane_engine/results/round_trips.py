"""Round trips of a run, from its fills and its bars.

A round trip is a strategy's position in a symbol from flat to flat; a fill that crosses zero ends one and begins the
next, and its fee is divided by quantity. Profit is the money that the trip's fills moved, so it is the same under FIFO
and average cost; entry and exit price are the averages of the fills that enlarged and reduced the position.

The worst and best open profit (MAE, MFE) look at the trip's own fills and at the lows and highs of the bars that start
from one fill on and before the next: a bar that a fill fell into is not looked at again for the time before it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tradeplane_engine.core import actions, table
from tradeplane_engine.data import series
from tradeplane_engine.domain import numbers


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution; ``signed`` quantity in 1e-9 shares, price in the symbol's units, fee in money.

    early : whether it came before the closes of its instant
    """

    at: int
    strategy: int
    symbol: int
    order: int
    signed: int
    price: int
    fee: int
    early: bool = False


@dataclass(frozen=True, slots=True)
class Split:
    """``new`` shares for ``old`` ones of a symbol from an instant on."""

    at: int
    symbol: int
    new: int
    old: int


@dataclass(slots=True)
class Trip:
    """A round trip; money 1e-9 USD, quantity 1e-9 shares, values before fees.

    quantity : the most that was held
    entered, left : quantity that enlarged and that reduced the position, on the share basis of its end
    entry_value, exit_value : value of these
    worst, best : open profit, at most and at least 0
    bars : of the symbol, from entry to exit
    """

    strategy: int
    symbol: int
    side: int
    entry_at: int
    exit_at: int = 0
    quantity: int = 0
    entered: int = 0
    left: int = 0
    entry_value: int = 0
    exit_value: int = 0
    fees: int = 0
    worst: int = 0
    best: int = 0
    bars: int = 0
    flow: int = field(default=0)

    @property
    def profit(self) -> int:
        """Profit after fees."""
        return self.flow - self.fees


class Finder:
    """Follows one strategy's position in one symbol."""

    def __init__(self, bars: table.Table, symbol: int, unit: int) -> None:
        rows = slice(int(bars.starts[symbol]), int(bars.starts[symbol + 1]))
        self.start: series.IntArray = bars.columns["start"][rows]
        self.high: series.IntArray = bars.columns["high"][rows]
        self.low: series.IntArray = bars.columns["low"][rows]
        self.unit = unit
        self.held = 0
        self.since = 0
        self.trip: Trip | None = None

    def take(self, fill: Fill) -> Iterator[Trip]:
        """Take the next fill; yield the round trip that it ended."""
        rest, fee = fill.signed, fill.fee
        if self.trip is not None:
            self._watch(self.trip, fill.at)
            if (self.held > 0) != (rest > 0):
                closing = min(abs(rest), abs(self.held)) * (1 if rest > 0 else -1)
                part = fee * closing // rest
                self._book(self.trip, fill, closing, part)
                rest, fee = rest - closing, fee - part
                if self.held == 0:
                    self.trip.exit_at = fill.at
                    yield self.trip
                    self.trip = None
        if rest:
            if self.trip is None:
                self.trip = Trip(fill.strategy, fill.symbol, 1 if rest > 0 else -1, fill.at)
            self._book(self.trip, fill, rest, fee)
        self.since = fill.at

    def split(self, one: Split) -> None:
        """Restate what is held."""
        if self.trip is None:
            return
        trip = self.trip
        self._watch(trip, one.at)
        self.since = one.at
        self.held = cut(self.held, one)
        trip.quantity, trip.entered, trip.left = (cut(each, one) for each in (trip.quantity, trip.entered, trip.left))
        if self.held == 0:
            self.trip = None  # cut to nothing: there is no exit, and no trip

    def _book(self, trip: Trip, fill: Fill, signed: int, fee: int) -> None:
        value = numbers.divide_half_even(fill.price * signed, self.unit)
        trip.flow -= value
        trip.fees += fee
        self.held += signed
        if (signed > 0) == (trip.side > 0):
            trip.entered += abs(signed)
            trip.entry_value += abs(value)
        else:
            trip.left += abs(signed)
            trip.exit_value += abs(value)
        trip.quantity = max(trip.quantity, abs(self.held))
        self._seen(trip, fill.price)

    def _watch(self, trip: Trip, until: int) -> None:
        """Look at the bars since the last fill."""
        first, stop = np.searchsorted(self.start, (self.since, until)).tolist()
        if stop > first:
            trip.bars += stop - first
            self._seen(trip, int(self.low[first:stop].min()))
            self._seen(trip, int(self.high[first:stop].max()))

    def _seen(self, trip: Trip, price: int) -> None:
        profit = trip.flow + numbers.divide_half_even(price * self.held, self.unit)
        trip.worst = min(trip.worst, profit)
        trip.best = max(trip.best, profit)


def cut(quantity: int, split: Split) -> int:
    """Return a signed quantity after a split, cut toward zero."""
    return actions.shares(quantity, split.new, split.old)


def find(moves: Sequence[Fill | Split], bars: table.Table, units: list[int]) -> list[Trip]:
    """Return the ended round trips of a run in the order of their ends; moves must be in theirs.

    Parameters
    ----------
    moves : fills of all strategies, and splits
    bars : of the run
    units : price units in one USD, per symbol
    """
    finders: dict[tuple[int, int], Finder] = {}
    found: list[Trip] = []
    for fill in moves:
        if isinstance(fill, Split):
            for (_, symbol), finder in finders.items():
                if symbol == fill.symbol:
                    finder.split(fill)
            continue
        key = (fill.strategy, fill.symbol)
        if key not in finders:
            finders[key] = Finder(bars, fill.symbol, units[fill.symbol])
        found.extend(finders[key].take(fill))
    return found
