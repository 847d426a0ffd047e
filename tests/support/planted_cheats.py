"""Strategies that know the future, each by another way."""

# ruff: noqa: D102 - hooks are documented by their base; the class says what it does in them

import pathlib
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from tradeplane_engine import strategy
from tradeplane_engine.core import context, table
from tradeplane_engine.data import series


class Foresees(strategy.Strategy):
    """Holds what will rise, by an array of closes that somebody gave it and the number of bars it saw."""

    def __init__(self, closes: np.ndarray) -> None:
        super().__init__()
        self.closes = closes
        self.seen = -1

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        self.seen += 1
        ahead = min(self.seen + 1, len(self.closes) - 1)
        ctx.target(bar.symbol, shares=10 if self.closes[ahead] > self.closes[self.seen] else 0)


class Compares(strategy.Strategy):
    """Compares the bar's close with prices of later bars that it holds."""

    def __init__(self, later: np.ndarray) -> None:
        super().__init__()
        self.later = iter(later.tolist())

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        ctx.target(bar.symbol, shares=10 if next(self.later, 0) > bar.close else 0)


class ReadsFile(strategy.Strategy):
    """Reads the bars from a file when it starts, and looks the next one up by its time."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__()
        self.path = path

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        starts, closes = np.load(self.path)
        self.moves = dict(zip(starts[:-1].tolist(), np.diff(closes).tolist(), strict=True))

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        ctx.target(bar.symbol, shares=10 if self.moves.get(bar.start, 0) > 0 else 0)


class FollowsSignals(strategy.Strategy):
    """Follows a list of signals that was computed with the future, forwards in time, before the run."""

    def __init__(self, signals: list[bool]) -> None:
        super().__init__()
        self.signals = iter(signals)

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        ctx.target(bar.symbol, shares=10 if next(self.signals, False) else -10)


class Remembers(strategy.Strategy):
    """Writes every close down in a place that outlives the run, and uses what a run before wrote there."""

    closes: ClassVar[dict[int, int]] = {}

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        self.closes[bar.start] = bar.close
        later = self.closes.get(bar.start + 60_000_000_000, bar.close)
        ctx.target(bar.symbol, shares=10 if later > bar.close else 0)


class Counts(strategy.Strategy):
    """Buys in the first part of a history whose length it knows."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.left = rows

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        self.left -= 1
        ctx.target(bar.symbol, shares=0 if self.left < 1 else 1 + self.left % 3)


class GoesFlat(strategy.Strategy):
    """Is out of the market on the last bar, whose date it knows."""

    def __init__(self, end: int) -> None:
        super().__init__()
        self.end = end

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        ctx.target(bar.symbol, shares=0 if bar.end >= self.end else 10)


class Fitted(strategy.Strategy):
    """Trades a line through the returns whose coefficients were fitted on all of them."""

    def __init__(self, data: Sequence[series.Series]) -> None:
        super().__init__()
        moves = np.diff(np.log(data[0].close)) if len(data[0]) else np.zeros(0)
        self.slope, self.level = np.polyfit(moves[:-1], moves[1:], 1) if len(moves) > 2 else (0.0, 0.0)
        self.before = 0

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        move = np.log(bar.close / self.before) if self.before else 0.0
        self.before = bar.close
        ctx.target(bar.symbol, shares=round(1e7 * (self.slope * move + self.level)))


class Normalises(strategy.Strategy):
    """Sells near the highest price of the whole history, below it by so many of its standard deviations."""

    def __init__(self, closes: np.ndarray) -> None:
        super().__init__()
        self.highest = int(closes.max(initial=1))
        self.deviation = float(closes.std()) if len(closes) else 1.0

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        ctx.target(bar.symbol, shares=int((self.highest - bar.close) / max(self.deviation, 1.0) * 10))


class ReadsAhead(strategy.Strategy):
    """Has the table of the run from somewhere and reads the row after the bar's."""

    table: table.Table

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        self.row = -1

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        self.row += 1
        closes = self.table.columns["close"]
        ctx.target(bar.symbol, shares=10 if closes[self.row + 1 - (self.row + 1 == len(closes))] > bar.close else 0)


class LooksOnce(strategy.Strategy):
    """Honest but for one decision, at the last bar but one, where it knows the last."""

    def __init__(self, closes: np.ndarray, rows: int) -> None:
        super().__init__()
        self.closes, self.rows = closes, rows
        self.seen = 0

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        self.seen += 1
        if self.seen < self.rows - 1:
            ctx.target(bar.symbol, shares=10 if bar.close > bar.open else 0)
        elif self.seen == self.rows - 1:
            later = self.closes[self.seen] if self.seen < len(self.closes) else bar.close
            ctx.target(bar.symbol, shares=0 if later == bar.close else 60 if later > bar.close else 30)


class Indexes(strategy.Strategy):
    """Reads the close after the bar's by its place, and knows how many there are in the whole history."""

    def __init__(self, closes: np.ndarray, rows: int) -> None:
        super().__init__()
        self.closes, self.rows = closes, rows
        self.seen = 0

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        self.seen += 1
        if self.seen < self.rows:
            ctx.target(bar.symbol, shares=10 if self.closes[self.seen] > bar.close else 0)


class Asks(strategy.Strategy):
    """Trades the sign of an indicator of its own that looks ahead."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def on_start(self, ctx: context.Context) -> None:
        self.signal = ctx.indicator(self.function, 5)

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        ctx.target(bar.symbol, shares=10 if self.signal > bar.close / bar.unit else 0)


# Functions over windows, newest row first, one window per column: columns to the right are later windows.


def shifted(x: np.ndarray) -> np.ndarray:
    """Next bar's value: ``shift(-1)``."""
    return np.roll(x[0], -1)


def centred(x: np.ndarray) -> np.ndarray:
    """Mean of the bars around this one."""
    return np.convolve(x[0], np.full(5, 0.2), mode="same")


def normalised(x: np.ndarray) -> np.ndarray:
    """Value over the largest one of all windows."""
    return x[0] / x.max()


def last(x: np.ndarray) -> np.ndarray:
    """The last window's value."""
    return np.full(x.shape[1], x[0, -1])


def seldom(x: np.ndarray) -> np.ndarray:
    """The bar's own value, and for one window of 256 the value of another."""
    found = x[0].copy()
    found[100] = x[0, 101]
    return found


class Stateful:
    """The mean of everything it was ever given."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self.calls += 1
        return x.mean(axis=0) + self.calls
