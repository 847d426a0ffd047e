"""What must hold of time in every run, whatever the strategy does: drawn cases."""

import itertools
import random
from pathlib import Path
from typing import Any, ClassVar

import hypothesis
import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest

from support import bar_files, engine_wild
from support import engine_orders as given
from tradeplane_engine import simulation, strategy
from tradeplane_engine.core import context, limits, log, table, venue_settings

SYMBOLS = ("BB", "AA", "CC")


class Busy(strategy.Strategy):
    """Orders something of every kind of hook, by what the bars say alone."""

    def on_start(self, ctx: context.Context) -> None:
        """Declare on two timeframes."""
        self.fast = ctx.indicator("sma", 3)
        self.slow = ctx.indicator("sma", 2, timeframe="5m")

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Rest below the price, or follow the trend."""
        if bar.timeframe == "1m" and bar.close % 3 == 0:
            ctx.order(bar.symbol, "buy", 5, "limit", limit=bar.close - 20)
        elif bar.timeframe == "5m":
            ctx.target(bar.symbol, shares=10 if self.fast > self.slow else 0)

    def on_bars(self, ctx: context.Context, bars: table.Bars) -> None:
        """Leave what is absent."""
        for symbol in bars.absent:
            ctx.target(symbol, shares=0)


@pytest.fixture(scope="module")
def frames() -> dict[str, pl.DataFrame]:
    """Minutes of three symbols, one of them with gaps."""
    return {
        name: pl.DataFrame(bar_files.walk(240, seed=number, gaps=number == 1)) for number, name in enumerate(SYMBOLS)
    }


def backtest(data: Any) -> simulation.Backtest:
    """Prepare the run of which all forms of the data must have the hash."""
    return simulation.Backtest(data, Busy, timeframes=("5m",), barrier="10s", timeframe="1m", examine=False)


@hypothesis.settings(
    max_examples=8, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(
    order=st.permutations(SYMBOLS),
    cuts=st.lists(st.integers(1, 239), max_size=5, unique=True),
    group=st.integers(1, 300),
)
def test_a_result_does_not_depend_on_files_row_groups_or_the_order_of_symbols(
    frames: dict[str, pl.DataFrame], tmp_path: Path, order: list[str], cuts: list[int], group: int
) -> None:
    """The bars are the same, however they were cut into files and those into row groups."""
    bounds = [0, *sorted(cuts), 240]
    files: dict[str, list[Path]] = {}
    for name in order:
        for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
            files.setdefault(name, []).append(tmp_path / f"{name}-{number}.parquet")
            frames[name][start:stop].write_parquet(files[name][-1], row_group_size=group)
    whole = backtest(frames).run()
    assert backtest(files).run().hash == whole.hash
    assert len(whole.fills) > 20


def test_a_run_twice_is_the_same_run(frames: dict[str, pl.DataFrame]) -> None:
    """Nothing of the process, of memory or of the run before is in it."""
    once = backtest(frames)
    assert once.run().hash == once.run().hash == backtest(frames).run().hash


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(seed=st.integers(0, 2**32))
def test_no_fill_comes_before_its_decision_and_latency(seed: int) -> None:
    """Whatever is ordered, replaced and cancelled, in sessions, extended hours and halts, on any timeframes."""
    found, _ = engine_wild.wild(seed)
    latency = found.flow.latency
    for row in found.log.rows().tolist():
        if row[0] == log.FILL:
            order = found.orders[row[4] - 1]
            assert row[1] >= order.live_from >= order.created
            # The orders of a group and the replacement of an order are with the venue when those before them were.
            if order.replaces is None and order.parent is None:
                assert row[1] >= order.created + latency


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(seed=st.integers(0, 2**32))
def test_time_never_runs_backwards(seed: int) -> None:
    """Rows of the log are in the order of their instants."""
    found, _ = engine_wild.wild(seed)
    at = found.log.rows()[:, 1]
    assert (at[1:] >= at[:-1]).all()


class Keeper(strategy.Strategy):
    """Keeps every bar with what it said then."""

    kept: ClassVar[list[tuple[table.Bar, tuple[Any, ...]]]] = []

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:  # noqa: ARG002 - a hook
        """Keep one."""
        self.kept.append((bar, facts(bar)))

    def on_bars(self, ctx: context.Context, bars: table.Bars) -> None:  # noqa: ARG002 - a hook
        """Keep all."""
        self.kept.extend((bar, facts(bar)) for bar in bars)


def facts(bar: table.Bar) -> tuple[Any, ...]:
    """All that a bar says."""
    prices = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.unit)
    return (bar.symbol, bar.timeframe, bar.start, bar.end, bar.available_at, *prices)


def test_no_bar_object_is_used_again(frames: dict[str, pl.DataFrame]) -> None:
    """Each is an object of its own, and says after the run what it said in it."""
    Keeper.kept = []
    simulation.Backtest(frames, Keeper, timeframes=("5m",), timeframe="1m", examine=False).run()
    assert len({id(bar) for bar, _ in Keeper.kept}) == len(Keeper.kept) > 2 * 720
    assert all(facts(bar) == said for bar, said in Keeper.kept)


class Restless(strategy.Strategy):
    """Buys and sells at the market, at limits and at stops, by a seed."""

    class Parameters(strategy.Strategy.Parameters):
        """Of the draws."""

        seed: int

    parameters: Parameters

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        """Begin to draw."""
        self.rng = random.Random(self.parameters.seed)  # noqa: S311 - must repeat

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Order one share at the market, and another thing."""
        ctx.order("S", "buy", 1, "market", "gtc")
        side = self.rng.choice(("buy", "sell"))
        away = self.rng.randint(0, 30) * (1 if side == "buy" else -1)
        kind = self.rng.choice(("market", "limit", "stop"))
        price = {"limit": {"limit": bar.close - away}, "stop": {"stop": bar.close + away}}.get(kind, {})
        ctx.order("S", side, 1, kind, self.rng.choice(("day", "gtc")), **price)


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(seed=st.integers(0, 10**6), start=st.integers(1, 30), length=st.integers(1, 8))
def test_nothing_fills_in_a_halt_and_all_reopens_at_one_price(seed: int, start: int, length: int) -> None:
    """Between both ends there is no fill; at its end the reopening's open is the price of every market order and stop.

    A limit that it goes through has it too, because it was never better than that.
    """
    rng = np.random.default_rng(seed)
    steps = np.cumsum(rng.integers(-20, 21, (40, 2)).ravel()) + 10_000
    rows = [(int(o), int(max(o, c)) + 5, int(min(o, c)) - 5, int(c)) for o, c in steps.reshape(-1, 2)]
    bars = given.bars(*rows)
    begin, stop = given.instant(start), given.instant(start + length)
    venue = venue_settings.Venue(halts={"S": [(begin, stop)]}, limit_rule="touch")
    allowed = limits.Limits(allow_short=True)
    trader = {"parameters": {"seed": seed}, "limits": allowed, "venue": venue, "examine": False}
    found = simulation.Backtest([bars], Restless, **trader).run()
    fills = [row for row in found.log.tolist() if row[0] == log.FILL]
    assert not [row for row in fills if begin < row[1] < stop]
    reopened = [row for row in fills if row[1] == stop]
    assert {row[6] for row in reopened} <= {rows[start + length][0]}
    assert reopened
