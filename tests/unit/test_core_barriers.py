import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from support import engine_orders as given
from tradeplane_engine import errors, simulation, strategy
from tradeplane_engine.core import context, costs, kernel, limits, log, risk, table, venue_settings
from tradeplane_engine.data import resampling, series
from tradeplane_engine.domain import times

SECOND = times.SECOND
FREE = risk.Policy("free", limits.Limits(allow_short=True))
FLAT = (100, 100, 100, 100)


def bars(symbol: str, minutes: Sequence[int], delays: dict[int, int] | None = None, delay: int = 0) -> series.Series:
    """Minutes of a symbol, known some seconds after their end; of some by number."""
    made = given.bars(*[FLAT] * len(minutes), symbol=symbol, minutes=minutes)
    late = np.array([(delays or {}).get(minute, delay) for minute in minutes], dtype=np.int64) * SECOND
    return dataclasses.replace(made, available_at=made.end + late)


class Gatherer(strategy.Strategy):
    """Keeps what both hooks are shown: (second of the run, symbols or absent ones)."""

    def __init__(self, start: Callable[[context.Context], Any] | None = None, *, order: bool = False) -> None:
        super().__init__()
        self.start = start
        self.order = order
        self.single: list[tuple[float, str]] = []
        self.gathered: list[tuple[float, str, float, str, str]] = []
        self.kept: list[table.Bars] = []

    def on_start(self, ctx: context.Context) -> None:
        """Declare."""
        if self.start is not None:
            self.start(ctx)

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Keep the bar."""
        self.single.append(((ctx.now - given.START) / SECOND, bar.symbol))

    def on_bars(self, ctx: context.Context, bars: table.Bars) -> None:
        """Keep the bars."""
        now, end = ((at - given.START) / SECOND for at in (ctx.now, bars.end))
        self.gathered.append((now, bars.timeframe, end, "".join(bar.symbol for bar in bars), "".join(bars.absent)))
        self.kept.append(bars)
        if self.order:
            ctx.order("A", "buy", 1)


def run(
    data: Sequence[series.Series], *, barrier: int = 0, trader: Gatherer | None = None
) -> tuple[kernel.Kernel, Gatherer]:
    """Run a gatherer."""
    one = trader or Gatherer()
    found = kernel.Kernel(table.Table(data), costs.Costs(), given.CASH, FREE, venue_settings.Venue(), barrier * SECOND)
    found.add("gatherer", one, given.CASH, FREE)
    found.run()
    return found, one


def late_rows(found: kernel.Kernel) -> list[list[int]]:
    """The log's rows of late bars."""
    return [row for row in found.log.rows().tolist() if row[0] == log.LATE]


def test_the_bars_of_an_end_come_once_together_and_the_absent_are_named() -> None:
    """B has no second minute, A no third."""
    _, one = run([bars("A", [0, 1]), bars("B", [0, 2])])
    assert one.gathered == [(60, "1m", 60, "AB", ""), (120, "1m", 120, "A", "B"), (180, "1m", 180, "B", "A")]


def test_bars_are_a_sequence_that_may_be_kept() -> None:
    """Length, index, slice, iteration and membership; the next instant changes nothing of it."""
    _, one = run([bars("A", [0, 1]), bars("B", [0, 1])])
    first = one.kept[0]
    assert (len(first), [bar.symbol for bar in first], first[1].symbol, first[-1].symbol) == (2, ["A", "B"], "B", "B")
    assert [bar.end for bar in first[:1]] == [given.instant(1)]
    assert first[0] in list(first)
    assert [bar.symbol for bar in reversed(first)] == ["B", "A"]
    assert first is not one.kept[1]
    assert "1m" in repr(first)


def test_each_timeframe_has_a_barrier_of_its_own() -> None:
    """At one instant by timeframe; a symbol without the timeframe is not absent from it."""
    minutes = [bars("A", range(10)), bars("B", range(10))]
    _, one = run([*minutes, resampling.resampled(minutes[0], 5 * times.MINUTE)])
    assert [found for found in one.gathered if found[0] == 300] == [
        (300, "1m", 300, "AB", ""),
        (300, "5m", 300, "A", ""),
    ]
    assert len(one.gathered) == 12


def test_a_bar_after_the_barrier_is_late() -> None:
    """It is an event in the log, reaches on_bar and history, and is in no on_bars."""
    found, one = run([bars("A", [0, 1, 2]), bars("B", [0, 1, 2], {1: 7})])
    assert one.gathered == [(60, "1m", 60, "AB", ""), (120, "1m", 120, "A", "B"), (180, "1m", 180, "AB", "")]
    assert one.single == [(60, "A"), (60, "B"), (120, "A"), (127, "B"), (180, "A"), (180, "B")]
    assert late_rows(found) == [
        [log.LATE, given.instant(2) + 7 * SECOND, -1, 1, -1, given.instant(2), times.MINUTE, 7 * SECOND]
    ]


def test_a_barrier_waits_for_what_is_missing_and_no_longer() -> None:
    """All there after 3 s: it passes then. B after 7 s: it passes after the wait of 5 s without B."""
    data = [bars("A", [0, 1, 2]), bars("B", [0, 1, 2], {0: 3, 1: 7})]
    found, one = run(data, barrier=5)
    assert one.gathered == [(63, "1m", 60, "AB", ""), (125, "1m", 120, "A", "B"), (180, "1m", 180, "AB", "")]
    assert [row[7] for row in late_rows(found)] == [2 * SECOND]


def test_a_barrier_that_waits_for_nobody_passes_after_the_last_bar() -> None:
    """What is decided then is ordered, and stays open."""
    found, one = run([bars("A", [0, 1]), bars("B", [0])], barrier=5, trader=Gatherer(order=True))
    assert one.gathered == [(60, "1m", 60, "AB", ""), (125, "1m", 120, "A", "B")]
    assert [(order.created, order.ended) for order in found.orders] == [
        (given.instant(1), True),
        (given.instant(2) + 5 * SECOND, False),
    ]


def test_a_common_delay_makes_nothing_late() -> None:
    """A publication delay of a second moves the barriers by a second."""
    found, one = run([bars("A", [0, 1], delay=1), bars("B", [0, 1], delay=1)])
    assert [at for at, *_ in one.gathered] == [61, 121]
    assert late_rows(found) == []


def test_bars_of_warm_up_are_not_shown_and_not_absent() -> None:
    """B begins a minute later: its average is not defined yet where A's is."""
    data = [bars("A", [0, 1, 2, 3]), bars("B", [1, 2, 3])]
    _, one = run(data, trader=Gatherer(lambda ctx: ctx.indicator("sma", 2)))
    assert [found[3:] for found in one.gathered] == [("A", ""), ("AB", ""), ("AB", "")]
    _, waiting = run(data, barrier=5, trader=Gatherer(lambda ctx: ctx.indicator("sma", 2)))
    assert [found[3:] for found in waiting.gathered] == [("A", ""), ("AB", ""), ("AB", "")]


def test_the_order_of_symbols_changes_no_barrier() -> None:
    """Late bars and waiting ones included, the log is the same by name."""
    data = [bars("A", [0, 1, 2, 3]), bars("B", [0, 1, 3], {1: 7, 3: 2}), bars("C", [1, 2, 3], {2: 4})]
    runs = [simulation.Backtest(each, Gatherer, barrier="3s", examine=False).run().hash for each in (data, data[::-1])]
    assert len(set(runs)) == 1
    other = simulation.Backtest(data, Gatherer, barrier="4s", examine=False).run()
    assert other.hash not in runs


def test_an_honest_strategy_on_late_bars_is_honest() -> None:
    """Cut histories have the same barriers and the same late bars."""
    rng = np.random.default_rng(3)
    data = []
    for symbol in "AB":
        close = 10_000 + np.cumsum(rng.integers(-5, 6, 900))
        late = dict.fromkeys(rng.integers(0, 900, 60).tolist(), 20)
        made = bars(symbol, range(900), late)
        data.append(dataclasses.replace(made, open=close, high=close + 5, low=close - 5, close=close))
    found = simulation.Backtest(data, Momentum, barrier="10s", limits=limits.Limits(allow_short=True)).run()
    assert found.findings is not None
    assert found.findings.found == ()
    assert (found.log[:, 0] == log.LATE).sum() > 50
    assert len(found.fills) > 50


class Momentum(strategy.Strategy):
    """Holds what rose since the last time, of those that are there."""

    def on_start(self, ctx: context.Context) -> None:
        """Declare."""
        self.average = ctx.indicator("sma", 10)

    def on_bars(self, ctx: context.Context, bars: table.Bars) -> None:
        """Close what is absent."""
        for bar in bars:
            rising = ctx.history(bar.symbol, 10)
            ctx.target(bar.symbol, shares=10 if int(rising[-1]) * 10 > int(rising.sum()) else 0)
        for symbol in bars.absent:
            ctx.target(symbol, shares=0)


def test_a_wait_below_nothing_is_refused() -> None:
    """A barrier cannot pass before its first bar."""
    with pytest.raises(errors.ValueRefused, match="barrier: must be 0 or more ns, got -1"):
        kernel.Kernel(table.Table([bars("A", [0])]), costs.Costs(), given.CASH, FREE, barrier=-1)
