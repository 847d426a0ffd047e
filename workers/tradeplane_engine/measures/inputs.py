"""What a finished run hands to the measures: columns, checked once.

Amounts are USD in float64: a measure is an estimate, and the exact ledger stays the place where money is counted.
Instants are int64 nanoseconds UTC. Every float is finite; a column that does not keep its limits is refused by name.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors
from tradeplane_engine.measures import columns

FloatArray = columns.FloatArray
IntArray = columns.IntArray
TextArray = columns.TextArray

DAYS_OF_SESSIONS = 252
DAYS_OF_ALWAYS = 365


@dataclass(frozen=True, slots=True, eq=False)
class Trades(columns.Table):
    """Round trips, one row each.

    Parameters
    ----------
    strategy, symbol : shape (n,), names
    side : +1 long, -1 short
    entry_at, exit_at : ns UTC
    quantity : shares, positive
    entry_price, exit_price : USD per share, averages of the fills
    pnl : USD after fees
    fees : USD, positive when they cost
    mae, mfe : USD, the worst (at most 0) and best (at least 0) open profit between entry and exit, before fees
    bars : bars of the strategy's timeframe between entry and exit
    """

    strategy: TextArray
    symbol: TextArray
    side: IntArray
    entry_at: IntArray
    exit_at: IntArray
    quantity: FloatArray
    entry_price: FloatArray
    exit_price: FloatArray
    pnl: FloatArray
    fees: FloatArray
    mae: FloatArray
    mfe: FloatArray
    bars: IntArray

    def __post_init__(self) -> None:
        """Refuse columns that break a limit above."""
        columns.table("trades", self)
        columns.require(np.abs(self.side) == 1, "trades.side", "+1 or -1", self.side)
        columns.require(self.exit_at >= self.entry_at, "trades.exit_at", "at or after entry_at", self.exit_at)
        columns.require(self.quantity > 0, "trades.quantity", "positive", self.quantity)
        columns.require(self.entry_price > 0, "trades.entry_price", "positive", self.entry_price)
        columns.require(self.mae <= 0, "trades.mae", "at most 0", self.mae)
        columns.require(self.mfe >= 0, "trades.mfe", "at least 0", self.mfe)
        columns.require(self.bars >= 0, "trades.bars", "at least 0", self.bars)


@dataclass(frozen=True, slots=True, eq=False)
class Fills(columns.Table):
    """Executions, one row each.

    Parameters
    ----------
    at : ns UTC
    strategy, symbol : names
    side : +1 buy, -1 sell
    quantity : shares, positive
    price : USD per share
    fee, spread, slippage : USD, positive when they hurt
    """

    at: IntArray
    strategy: TextArray
    symbol: TextArray
    side: IntArray
    quantity: FloatArray
    price: FloatArray
    fee: FloatArray
    spread: FloatArray
    slippage: FloatArray

    def __post_init__(self) -> None:
        """Refuse columns that break a limit above."""
        columns.table("fills", self)
        columns.require(np.abs(self.side) == 1, "fills.side", "+1 or -1", self.side)
        columns.require(self.quantity > 0, "fills.quantity", "positive", self.quantity)
        columns.require(self.price > 0, "fills.price", "positive", self.price)

    def traded(self) -> FloatArray:
        """Value of each fill, USD, positive; shape (n,)."""
        return self.quantity * self.price


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Equity over time.

    Parameters
    ----------
    at : ns UTC, strictly increasing, shape (n,)
    equity : USD at each instant
    start : USD before the first instant, positive; it counts as the first peak
    gross, net : exposure as fraction of equity, or None where it is not known
    """

    at: IntArray
    equity: FloatArray
    start: float
    gross: FloatArray | None = None
    net: FloatArray | None = None

    def __post_init__(self) -> None:
        """Refuse columns that break a limit above."""
        if not (math.isfinite(self.start) and self.start > 0):
            raise errors.ValueRefused("curve.start", "a positive amount", self.start)
        columns.column("curve.at", self.at, "i", self.at.size)
        columns.require(np.diff(self.at, prepend=self.at[:1] - 1) > 0, "curve.at", "strictly increasing", self.at)
        for name in ("equity", "gross", "net"):
            column = getattr(self, name)
            if column is not None:
                columns.column(f"curve.{name}", column, "f", self.at.size)

    @property
    def ruined(self) -> npt.NDArray[np.bool_]:
        """Whether equity has been zero or less by then; shape (n,)."""
        return np.minimum.accumulate(self.equity) <= 0

    def returns(self) -> FloatArray:
        """Simple return per sample, shape (n,).

        A loss beyond the capital is no return: the sample that ruins the account has -1, those after it 0.
        """
        ruined = self.ruined
        before = np.concatenate(([self.start], self.equity[:-1]))
        found = np.zeros(self.equity.size)
        np.divide(self.equity, before, out=found, where=~ruined)
        found[~ruined] -= 1.0
        if ruined.any():
            found[np.argmax(ruined)] = -1.0
        return found

    def wealth(self) -> FloatArray:
        """Equity as a multiple of the start, 0 from ruin on; shape (n,)."""
        return np.where(self.ruined, 0.0, self.equity / self.start)

    def sampled(self, closes: IntArray) -> "Curve":
        """Return the curve at session closes.

        Equity is the last one known at each close (a session without a sample repeats it); exposure is the mean over
        the session, because a strategy that is flat at the close was not flat all day. Closes before the first sample
        and after the one that covers the last sample are left out.

        Parameters
        ----------
        closes : ns UTC, strictly increasing; they must reach the last sample, else the end would be lost
        """
        columns.column("closes", closes, "i", closes.size)
        columns.require(np.diff(closes) > 0, "closes", "strictly increasing", closes)
        if self.at.size == 0:
            return self
        if closes.size == 0 or closes[-1] < self.at[-1]:
            raise errors.ValueRefused(
                "closes", f"reaching the last sample at {self.at[-1]}", closes[-1] if closes.size else None
            )
        first = int(np.searchsorted(closes, self.at[0]))
        last = int(np.searchsorted(closes, self.at[-1]))
        closes = closes[first : last + 1]
        upto = np.searchsorted(self.at, closes, side="right")
        return Curve(
            at=closes,
            equity=self.equity[upto - 1],
            start=self.start,
            gross=_means(self.gross, upto),
            net=_means(self.net, upto),
        )

    def part(self, first: int, stop: int) -> "Curve":
        """Return samples ``first`` to ``stop`` (excluded) as a curve that starts from the sample before."""
        rows = slice(first, stop)
        return Curve(
            at=self.at[rows],
            equity=self.equity[rows],
            start=float(self.equity[first - 1]) if first else self.start,
            gross=None if self.gross is None else self.gross[rows],
            net=None if self.net is None else self.net[rows],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Benchmark:
    """What the run is compared with: simple returns, one per sample of the curve."""

    name: str
    returns: FloatArray

    def __post_init__(self) -> None:
        """Refuse returns that are not finite or lose more than everything."""
        columns.column("benchmark.returns", self.returns, "f", self.returns.size)
        columns.require(self.returns >= -1, "benchmark.returns", "at least -1", self.returns)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A finished run, as the measures see it.

    Parameters
    ----------
    curve : equity at session closes, or at the ends of days (:func:`.periods.days`)
    trades, fills : what was closed and what was executed
    periods_per_year : samples of the curve in a year, 252, or 365 for 24/7 data
    risk_free : simple rate, fraction per year
    benchmark : aligned with the curve, or None
    path : the curve before sampling, for pictures and the deepest fall within sessions
    strategies : sub-ledger curves by strategy, sampled like ``curve``, where they are known
    charges : costs that belong to no fill (borrow, interest), USD by kind, positive when they hurt
    """

    curve: Curve
    trades: Trades
    fills: Fills
    periods_per_year: int = DAYS_OF_SESSIONS
    risk_free: float = 0.0
    benchmark: Benchmark | None = None
    path: Curve | None = None
    strategies: Mapping[str, Curve] = dataclasses.field(default_factory=dict)
    charges: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a benchmark of another length, and rates and charges that are no numbers."""
        if self.periods_per_year < 1:
            raise errors.ValueRefused("run.periods_per_year", "at least 1", self.periods_per_year)
        if not (math.isfinite(self.risk_free) and self.risk_free > -1):
            raise errors.ValueRefused("run.risk_free", "a fraction above -1", self.risk_free)
        if self.benchmark is not None and self.benchmark.returns.size != self.curve.at.size:
            raise errors.ValueRefused(
                "benchmark.returns", f"one per sample of the curve, {self.curve.at.size}", self.benchmark.returns.size
            )
        for kind, amount in self.charges.items():
            if not math.isfinite(amount):
                raise errors.ValueRefused(f"run.charges.{kind}", "finite", amount)


def _means(column: FloatArray | None, upto: IntArray) -> FloatArray | None:
    """Mean of the samples that end at each bound; the last value where a session has none."""
    if column is None:
        return None
    since = np.concatenate((upto[:1] * 0, upto[:-1]))
    found = column[upto - 1].copy()
    filled = upto > since
    counts = (upto - since)[filled]
    found[filled] = np.add.reduceat(column, since[filled])[: counts.size] / counts
    return found
