from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from support import bar_files, engine_runs
from support import engine_orders as given
from tradeplane_engine import errors, simulation, strategy, sweep
from tradeplane_engine.core import context, costs, kernel, limits, risk, table, venue_settings
from tradeplane_engine.data import columns, readers, resampling, series
from tradeplane_engine.domain import times
from tradeplane_engine.rules import function
from tradeplane_engine.rules import strategies as rules

FIVE = 5 * times.MINUTE
FREE = risk.Policy("free", limits.Limits(allow_short=True))


class Watcher(strategy.Strategy):
    """Keeps what it is shown; ``then`` looks and orders at each bar."""

    def __init__(
        self, then: Callable[[context.Context, table.Bar], Any] | None = None, start: Callable[..., Any] | None = None
    ) -> None:
        super().__init__()
        self.then = then
        self.start = start
        self.seen: list[tuple[float, str, str]] = []
        self.said: list[Any] = []

    def on_start(self, ctx: context.Context) -> None:
        """Declare."""
        self.declared = self.start(ctx) if self.start is not None else None

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Keep the bar."""
        self.seen.append(((bar.available_at - given.START) / given.MINUTE, bar.timeframe, bar.symbol))
        if self.then is not None:
            self.said.append(self.then(ctx, bar))


def ramp(symbol: str = "S", rows: int = 20, first: int = 100) -> series.Series:
    """Minutes whose open is one unit below their close, which rises by two a minute."""
    return given.bars(
        *[(first + 2 * n, first + 2 * n + 1, first + 2 * n, first + 2 * n + 1) for n in range(rows)], symbol=symbol
    )


def several(*bases: series.Series, lengths: tuple[int, ...] = (FIVE,)) -> list[series.Series]:
    """Minutes and the longer bars that they make."""
    return [*bases, *(resampling.resampled(one, length) for length in lengths for one in bases)]


def run(data: list[series.Series], trader: strategy.Strategy, **venue: Any) -> kernel.Kernel:
    """Run one strategy."""
    found = kernel.Kernel(table.Table(data), costs.Costs(), given.CASH, FREE, venue_settings.Venue(**venue))
    found.add("watcher", trader, given.CASH, FREE)
    found.run()
    return found


def test_closes_of_an_instant_come_by_timeframe_then_by_symbol() -> None:
    """Minutes of all symbols, then their five minutes, whatever order the series were given in."""
    for data in (several(ramp("B", 10), ramp("A", 10)), several(ramp("B", 10), ramp("A", 10))[::-1]):
        watcher = Watcher()
        found = run(sorted(data, key=lambda one: one.symbol), watcher)
        at_five = [(timeframe, symbol) for minute, timeframe, symbol in watcher.seen if minute == 5]
        assert at_five == [("1m", "A"), ("1m", "B"), ("5m", "A"), ("5m", "B")]
        assert len(watcher.seen) == 2 * (10 + 2)
        assert found.table.symbols == ("A", "B")


def test_a_shorter_timeframe_comes_first_though_its_symbol_comes_later() -> None:
    """A has bars of five minutes only, B has minutes."""
    data = [resampling.resampled(ramp("A", 10), FIVE), ramp("B", 10)]
    watcher = Watcher()
    run(data, watcher)
    assert [one for one in watcher.seen if one[0] == 5] == [(5, "1m", "B"), (5, "5m", "A")]


def test_orders_fill_on_the_shortest_timeframe() -> None:
    """Decided at a five-minute close, filled at the open of the minute that starts then; a limit within a minute."""

    def then(ctx: context.Context, bar: table.Bar) -> None:
        if bar.timeframe == "5m" and bar.end == given.instant(5):
            ctx.order("S", "buy", 10)
            ctx.order("S", "sell", 1, "limit", limit=114)

    found = run(several(ramp()), Watcher(then))
    fills = [(row[1], row[6]) for row in found.log.rows().tolist() if row[0] == 3]
    assert fills == [(given.instant(5), 110), (given.instant(8), 114)]


def test_marks_and_equity_are_those_of_the_shortest_timeframe() -> None:
    """Longer bars with other closes change no equity, and no instant is added where bars come together."""

    def buy(ctx: context.Context, bar: table.Bar) -> None:
        if bar.timeframe == "1m" and bar.end == given.instant(2):
            ctx.target("S", shares=10)

    alone = run([ramp()], Watcher(buy))
    longer = resampling.resampled(ramp(), FIVE)
    wrong = series.Series("S", longer.start, longer.end, longer.available_at, *[longer.close * 9] * 4, longer.volume)
    both = run([ramp(), wrong], Watcher(buy))
    assert both.equity[: both.instants].tolist() == alone.equity[: alone.instants].tolist()
    assert both.equity_at.tolist() == alone.equity_at.tolist()


def test_history_is_that_of_the_timeframe() -> None:
    """The last close, bar and rows that are known, and nothing of the five minutes that are not over."""
    rows = several(ramp())
    looks: list[Any] = []

    def then(ctx: context.Context, bar: table.Bar) -> None:
        if bar.timeframe == "1m" and bar.end >= given.instant(5):
            found = ctx.history("S", 2, timeframe="5m")
            known = rows[1].close[rows[1].available_at <= ctx.now]
            assert found.tolist() == known[-2:].tolist()
            assert ctx.close("S", timeframe="5m") == ctx.bar("S", timeframe=FIVE).close == known[-1]
            assert ctx.close("S") == bar.close == ctx.history("S", 1)[0]
            looks.append(len(found))

    run(rows, Watcher(then))
    assert looks == [1] * 5 + [2] * 11


def test_indicators_of_another_timeframe_are_read_at_its_newest_bar() -> None:
    """At each minute the average is that of the five-minute closes known then; comparisons are exact across both."""
    rows = several(ramp("A", 40, 100), ramp("B", 40, 900))

    def start(ctx: context.Context) -> Any:
        return ctx.indicator("sma", 3, timeframe="5m"), ctx.indicator("sma", 2)

    def then(ctx: context.Context, bar: table.Bar) -> None:
        slow, fast = watcher.declared
        longer = rows[2 if bar.symbol == "A" else 3]
        known = longer.close[longer.available_at <= ctx.now]
        assert slow.numerator == known[-3:].sum()
        assert slow.value == pytest.approx(known[-3:].sum() / 3 / 1e4)
        recent = ctx.history(bar.symbol, 2)
        assert fast.numerator == recent.sum()
        assert (fast > slow) == (Fraction(int(recent.sum()), 2) > Fraction(int(known[-3:].sum()), 3))

    watcher = Watcher(then, start)
    run(rows, watcher)
    assert len(watcher.said) > 60


def test_no_bar_is_shown_before_every_indicator_is_defined() -> None:
    """The third five-minute bar makes the average: from that instant on minutes are shown, and the bar itself."""
    watcher = Watcher(None, lambda ctx: ctx.indicator("sma", 3, timeframe="5m"))
    run(several(ramp(rows=20)), watcher)
    assert watcher.seen[:2] == [(15, "1m", "S"), (15, "5m", "S")]
    never = Watcher(None, lambda ctx: ctx.indicator("sma", 5, timeframe="5m"))
    run(several(ramp(rows=20)), never)
    assert never.seen == []


def test_a_timeframe_that_the_run_does_not_have_is_refused() -> None:
    """The error names those that it has."""
    for start in (
        lambda ctx: ctx.indicator("sma", 3, timeframe="1h"),
        lambda ctx: ctx.history("S", 1, timeframe="15m"),
        lambda ctx: ctx.close("S", timeframe="2m"),
    ):
        with pytest.raises(errors.ValueRefused, match="timeframe: must be one that S has: 1m, 5m, got"):
            run(several(ramp()), Watcher(None, start))


def test_two_series_of_one_timeframe_and_other_digits_are_refused() -> None:
    """A symbol has one series of each timeframe, and one unit."""
    with pytest.raises(errors.ValueRefused, match="in one series only of each timeframe"):
        table.Table([ramp(), ramp()])
    base, longer = several(ramp())
    names = ("start", "end", "available_at", "open", "high", "low", "close", "volume")
    other = series.Series("S", *[getattr(longer, name) for name in names], digits=2)
    with pytest.raises(errors.ValueRefused, match=r"S\.digits: must be 4 in every timeframe, got 2"):
        table.Table([base, other])


def test_columns_of_targets_and_sweeps_take_one_timeframe() -> None:
    """What follows a row per bar is refused by name, not approximated."""
    data = several(ramp(rows=200))
    with pytest.raises(errors.ValueRefused, match="follow: must be used with one timeframe"):
        run(data, rules.ColumnStrategy(function.Function(lambda bars: np.zeros(len(bars.close), dtype=np.int64))))
    with pytest.raises(errors.ValueRefused, match="one timeframe per symbol in a sweep"):
        sweep.evaluate(table.Table(data), [], sweep.Settings(cash=10**12))


class Slow(strategy.Strategy):
    """Follows the quarter's trend with the minute's timing."""

    def on_start(self, ctx: context.Context) -> None:
        """Declare on two timeframes."""
        self.fast = ctx.indicator("sma", 5)
        self.slow = ctx.indicator("sma", 4, timeframe="15m")

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Long above the slow average, at minutes only."""
        if bar.timeframe == "1m":
            ctx.target(bar.symbol, shares=100 if self.fast > self.slow else 0)


class Ahead(Slow):
    """Its quarter's average is that of the following quarter."""

    def on_start(self, ctx: context.Context) -> None:
        """Declare a function that looks one row ahead."""
        self.fast = ctx.indicator("sma", 5)
        self.slow = ctx.indicator(_next_close, 4, timeframe="15m")


def _next_close(windows: Any) -> Any:
    return np.append(windows[0][1:], windows[0][-1:]).astype(float)


@pytest.fixture(scope="module")
def minutes() -> dict[str, bar_files.Columns]:
    """Minutes of two symbols."""
    return {name: bar_files.walk(3000, seed=number) for number, name in enumerate(("BBB", "AAA"))}


def test_own_bars_and_made_bars_are_one_run(minutes: dict[str, bar_files.Columns]) -> None:
    """Whether quarters are given or made of minutes, and in which order the symbols come, the hash is one."""
    loaded = readers.load(minutes)
    quarters = [resampling.resampled(one, 15 * times.MINUTE) for one in loaded.series]
    own = {
        one.symbol: {
            "ts": one.start.view("datetime64[ns]"),
            **{name: getattr(one, name) / 1e4 for name in ("open", "high", "low", "close")},
            "volume": one.volume,
        }
        for one in quarters
    }
    given_both = simulation.Backtest({"1m": minutes, "15m": own}, Slow).run()
    made = simulation.Backtest(minutes, Slow, timeframes=("15m",)).run()
    turned = simulation.Backtest(dict(reversed(minutes.items())), Slow, timeframes=("15m",)).run()
    assert given_both.hash == made.hash == turned.hash
    assert len(made.fills) > 30
    assert made.findings is not None
    assert made.findings.honest
    only = simulation.Backtest(minutes, engine_runs.Cross).run().hash
    assert only != simulation.Backtest(minutes, engine_runs.Cross, timeframes=("15m",)).run().hash


def test_a_look_ahead_on_a_longer_timeframe_is_named(minutes: dict[str, bar_files.Columns]) -> None:
    """The detectors compute its indicator again on cut history of that timeframe."""
    found = simulation.Backtest(minutes, Ahead, timeframes=("15m",)).run().findings
    assert found is not None
    assert {one.detector for one in found.found} >= {"recomputed"}


def test_keys_that_are_timeframes_exclude_the_argument(minutes: dict[str, bar_files.Columns]) -> None:
    """Two ways to say one thing are refused, and so is a series that would be there twice."""
    with pytest.raises(errors.ValueRefused, match="timeframe: must be the keys of data"):
        simulation.Backtest({"1m": minutes}, Slow, timeframe="1m").run()
    with pytest.raises(errors.ValueRefused, match="in one series only of 15m"):
        simulation.Backtest({"1m": minutes, "15m": minutes}, Slow, timeframes=("15m",)).run()


def test_counts_of_reading_are_those_of_all_timeframes() -> None:
    """A high below its close in the longer bars is counted too."""
    short, long = bar_files.walk(30, seed=1), bar_files.walk(6, seed=2)
    long["high"] = long["low"]
    found = readers.load({"1m": {"X": short}, "5m": {"X": long}}, columns.Settings())
    assert (found.high_low_errors, len(found.series), list(found.symbols)) == (6, 2, ["X"])
