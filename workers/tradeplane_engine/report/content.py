"""What a report says, gathered once from a run: numbers and thinned series, no markup.

1. Measures of the run and intervals of those that depend on its returns (stationary bootstrap, seeded).
2. Tables per strategy, symbol, year and month.
3. Series for the pictures, thinned to what a screen can show.
4. Evidence: how sure it all is.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.measures import (
    activity,
    columns,
    drawdowns,
    inputs,
    periods,
    registry,
    resampling,
    rolling,
    sample,
    tables,
)
from tradeplane_engine.report import evidence, lines

FloatArray = inputs.FloatArray
# Draws times periods: some ten seconds on one core. A curve that is longer still belongs at session closes first.
_MOST_DRAWN = 20_000_000
_FEWEST_DRAWS = 100
_DEEPEST = 5
_MOST_MARKS = 150


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """Closes of the symbol whose trades are drawn: ns UTC, USD per share."""

    symbol: str
    at: inputs.IntArray
    close: FloatArray

    def __post_init__(self) -> None:
        """Refuse columns of different length and prices that are not finite."""
        columns.column("prices.at", self.at, "i", self.at.size)
        columns.column("prices.close", self.close, "f", self.at.size)
        columns.require(np.diff(self.at) > 0, "prices.at", "strictly increasing", self.at[1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a report shows beside the run.

    Parameters
    ----------
    title : heading
    facts : short lines under it: data, settings, result hash
    seed : of the bootstrap, the reordered trades and the random entries
    draws : resampled series; 0 leaves the intervals out
    window : periods of the rolling measures
    prices : the symbol whose trades are drawn
    known : what only the caller knows: trials, overfitting, bar returns
    """

    title: str = "Backtest"
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    seed: int = 0
    draws: int = 1000
    window: int = 63
    prices: Prices | None = None
    known: evidence.Known = dataclasses.field(default_factory=evidence.Known)

    def __post_init__(self) -> None:
        """Refuse a number of draws or a window that cannot be."""
        if self.draws < 0:
            raise errors.ValueRefused("report.draws", "at least 0", self.draws)
        if self.window < 2:  # noqa: PLR2004 - a deviation needs two values
            raise errors.ValueRefused("report.window", "at least 2 periods", self.window)


@dataclass(frozen=True, slots=True)
class Fall:
    """One of the deepest drawdowns; instants in ns UTC, ``recovery`` None while it lasts."""

    peak: int
    trough: int
    recovery: int | None
    depth: float
    length: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class Traded:
    """A symbol's price and the trades drawn on it: the largest by P&L where there are too many."""

    symbol: str
    price: lines.Line
    ticks: tuple[tuple[int, str], ...]
    trades: inputs.Trades
    entry_rows: inputs.IntArray
    exit_rows: inputs.IntArray
    all_trades: int


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """Everything on the page; money in USD as float, written as decimal text."""

    title: str
    facts: Mapping[str, str]
    benchmark: str | None
    first: int | None
    last: int | None
    start: float
    samples: int
    window: int
    measures: dict[str, float | None]
    intervals: dict[str, resampling.Interval | None]
    draws: int
    equity: dict[str, lines.Line]
    equity_ticks: tuple[tuple[int, str], ...]
    ticks: tuple[tuple[int, str], ...]
    series: dict[str, lines.Line]
    falls: tuple[Fall, ...]
    monthly: dict[str, float]
    monthly_turnover: dict[str, float | None]
    years: dict[str, tables.Row]
    months: dict[str, tables.Row]
    strategies: dict[str, tables.Row]
    symbols: dict[str, tables.Row]
    costs: dict[str, float]
    unexplained: float
    histogram: tuple[tuple[float, float, int], ...]
    traded: Traded | None
    findings: tuple[evidence.Finding, ...]


def build(run: inputs.Run, options: Options) -> Content:
    """Gather a report."""
    whole = sample.Sample(run)
    at = run.curve.at
    draws = min(options.draws, _MOST_DRAWN // max(1, at.size))
    if draws < min(options.draws, _FEWEST_DRAWS):
        draws = 0
    names = [one.name for one in registry.MEASURES if one.redrawn]
    by_month = periods.split(at, "month")
    path = run.path if run.path is not None else run.curve
    return Content(
        title=options.title,
        facts=options.facts,
        benchmark=run.benchmark.name if run.benchmark else None,
        first=int(at[0]) if at.size else None,
        last=int(at[-1]) if at.size else None,
        start=run.curve.start,
        samples=at.size,
        window=options.window,
        measures=registry.compute(run),
        intervals=(
            resampling.intervals(run, resampling.Settings(seed=options.seed, draws=draws), names)
            if draws
            else dict.fromkeys(names)
        ),
        draws=draws,
        equity=_equity(run, path),
        equity_ticks=lines.ticks(path.at),
        ticks=lines.ticks(at),
        series=_series(whole, options.window),
        falls=_falls(whole),
        monthly={
            period.name: float(value)
            for period, value in zip(by_month, periods.compounded(whole.returns, by_month), strict=True)
        },
        monthly_turnover=_monthly_turnover(run, by_month),
        years=tables.by_period(run, "year"),
        months=tables.by_period(run, "month"),
        strategies=tables.by_strategy(run),
        symbols=tables.by_symbol(run),
        costs=activity.costs(run),
        unexplained=tables.unexplained(run),
        histogram=_histogram(whole.returns),
        traded=None if options.prices is None else _traded(run.trades, options.prices),
        findings=evidence.gather(whole, options.known, seed=options.seed, draws=options.draws),
    )


def _equity(run: inputs.Run, path: inputs.Curve) -> dict[str, lines.Line]:
    found = {"equity": lines.line(path.at, path.equity)}
    if run.benchmark is not None and run.curve.at.size:
        wealth = run.curve.start * np.cumprod(1.0 + run.benchmark.returns)
        # Drawn over the path, so the benchmark is read at the session that each sample of the path belongs to.
        rows = np.searchsorted(run.curve.at, path.at, side="right") - 1
        known = np.where(rows < 0, run.curve.start, wealth[np.maximum(rows, 0)])
        found["benchmark"] = lines.line(path.at, known)
    return found


def _series(whole: sample.Sample, window: int) -> dict[str, lines.Line]:
    run, values = whole.run, whole.returns
    at = run.curve.at
    year = run.periods_per_year
    under = np.arange(at.size) - np.maximum.accumulate(np.where(whole.drawdown < 0, -1, np.arange(at.size)))
    found = {
        "drawdown": whole.drawdown,
        "underwater": under.astype(np.float64),
        "sharpe": rolling.sharpe(values, window=window, periods_per_year=year, risk_free=run.risk_free),
        "volatility": rolling.volatility(values, window=window, periods_per_year=year),
        "turnover": activity.turnover_series(run),
    }
    if whole.other is not None:
        found["beta"] = rolling.beta(values, whole.other, window=window)
    if run.curve.gross is not None:
        found["gross"] = run.curve.gross
    if run.curve.net is not None:
        found["net"] = run.curve.net
    return {name: lines.line(at, column) for name, column in found.items()}


def _falls(whole: sample.Sample) -> tuple[Fall, ...]:
    at = whole.run.curve.at
    chosen = sorted(whole.falls, key=lambda fall: fall.depth)[:_DEEPEST]
    return tuple(_fall(at, fall) for fall in chosen)


def _fall(at: inputs.IntArray, fall: drawdowns.Episode) -> Fall:
    first = max(0, fall.peak)
    return Fall(
        peak=int(at[first]),
        trough=int(at[fall.trough]),
        recovery=None if fall.recovery is None else int(at[fall.recovery]),
        depth=fall.depth,
        length=fall.length,
        first=first,
        last=fall.last if fall.recovery is None else fall.recovery,
    )


def _monthly_turnover(run: inputs.Run, by_month: tuple[periods.Period, ...]) -> dict[str, float | None]:
    daily = activity.turnover_series(run)
    sums = ((period.name, float(daily[period.first : period.stop].sum())) for period in by_month)
    return {name: value if np.isfinite(value) else None for name, value in sums}


def _histogram(values: FloatArray, bins: int = 60) -> tuple[tuple[float, float, int], ...]:
    """Count returns in equal bins between the 0.2 % and 99.8 % quantiles; the outer bins hold the rest."""
    if values.size < 2:  # noqa: PLR2004 - one value has no distribution
        return ()
    low, high = (float(value) for value in np.quantile(values, (0.002, 0.998)))
    if not high > low:
        return ()
    counts, edges = np.histogram(
        np.clip(values, low, high), bins=min(bins, max(5, values.size // 5)), range=(low, high)
    )
    return tuple(zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True))


def _traded(trades: inputs.Trades, prices: Prices) -> Traded:
    own = trades.where(trades.symbol == prices.symbol)
    shown = own.where(np.sort(np.argsort(-np.abs(own.pnl), kind="stable")[:_MOST_MARKS]))
    last = max(0, prices.at.size - 1)
    return Traded(
        symbol=prices.symbol,
        price=lines.line(prices.at, prices.close),
        ticks=lines.ticks(prices.at),
        trades=shown,
        entry_rows=np.minimum(np.searchsorted(prices.at, shown.entry_at), last),
        exit_rows=np.minimum(np.searchsorted(prices.at, shown.exit_at), last),
        all_trades=len(own),
    )
