"""What a run is compared with."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import bar_files, engine_runs
from tradeplane_engine import errors, simulation, strategy
from tradeplane_engine.data import readers
from tradeplane_engine.domain import numbers, times
from tradeplane_engine.measures import periods
from tradeplane_engine.results import benchmark
from tradeplane_engine.venue import actions

DAYS = 400


class Holds(strategy.Strategy):
    """Holds as much as it began with can buy."""

    def on_bar(self, ctx: Any, bar: Any) -> None:
        """Want it once."""
        if ctx.position(bar.symbol) == 0:
            ctx.target(bar.symbol, shares=1000)


def daily(close: list[float]) -> dict[str, dict[str, np.ndarray]]:
    """Daily bars of one symbol that open where they close."""
    column = np.array(close)
    prices = dict.fromkeys(("open", "high", "low", "close"), column)
    days = np.arange(len(close), dtype=np.int64) * times.DAY + times.instant("2024-01-01T00:00:00Z")
    return {"A": {"ts": days, "volume": np.full(len(close), 10**6), **prices}}


def compared(close: list[float], *given: actions.Action) -> list[float]:
    """Return the total returns per day."""
    one = readers.load(daily(close)).series[0]
    found = benchmark.Source(one, given).compared(periods.days(one.available_at))
    return found.returns.tolist()


def at(day: int) -> times.Nanos:
    """Begin of a day."""
    return times.Nanos(times.instant("2024-01-01T00:00:00Z") + day * times.DAY)


def test_a_total_return_knows_splits_and_dividends() -> None:
    """A split changes nothing, a dividend is worth what the price falls by, and on one day the split comes first."""
    assert compared([100, 110, 99]) == pytest.approx([0.0, 0.1, -0.1])
    assert compared([100, 50, 55], actions.Split("A", at(1), 2, 1)) == pytest.approx([0.0, 0.0, 0.1])
    assert compared([100, 90, 99], actions.Dividend("A", at(1), numbers.money("10"))) == pytest.approx([0, -0.01, 0.1])
    both = (actions.Dividend("A", at(1), numbers.money("5")), actions.Split("A", at(1), 2, 1))
    assert compared([100, 45, 45], both[1], both[0]) == pytest.approx([0.0, -0.01, 0.0])
    other = actions.Split("B", at(1), 2, 1)
    assert compared([100, 50], other) == pytest.approx([0.0, -0.5])


def test_who_holds_the_benchmark_has_its_beta() -> None:
    """Almost all of the capital in the symbol that the run is compared with."""
    close = (100 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, DAYS)))).round(2).tolist()
    found = simulation.Backtest(daily(close), Holds, cash=100_000, benchmark="A").run()
    measured = found.measures(["beta", "correlation", "benchmark_return", "alpha"])
    assert measured["beta"] == pytest.approx(1.0, abs=0.05)
    assert measured["correlation"] == pytest.approx(1.0, abs=0.05)
    assert None not in measured.values()
    assert found.hash == simulation.Backtest(daily(close), Holds, cash=100_000).run().hash
    assert "beta" in found.report_json()


def test_a_benchmark_may_have_bars_of_its_own(tmp_path: Path) -> None:
    """From a file; before its first bar and after its last it does not move."""
    bar_files.write(tmp_path, "SPY", bar_files.walk(300, seed=4))
    data = [engine_runs.walk("A", 2_000, seed=3)]
    found = simulation.Backtest(data, Holds, benchmark=str(tmp_path / "SPY.parquet")).run()
    assert found.run.benchmark is not None
    assert found.run.benchmark.returns.size == found.run.curve.at.size
    assert found.benchmark is not None
    assert found.benchmark.bars.symbol == "SPY"


@pytest.mark.parametrize("given", ["SPY", "no/such.parquet"])
def test_an_unknown_benchmark_is_refused_by_name(given: str) -> None:
    """It is neither a symbol of the data nor a file."""
    with pytest.raises(errors.ValueRefused, match=r"benchmark: must be a file, or a symbol of the data \(A\)"):
        simulation.Backtest([engine_runs.walk("A", 100, seed=3)], Holds, benchmark=given).run()


def test_bars_of_two_symbols_are_no_benchmark() -> None:
    """Which of them would it be."""
    both = [engine_runs.walk(name, 100, seed=3) for name in "BC"]
    with pytest.raises(errors.ValueRefused, match="benchmark: must be bars of one symbol"):
        simulation.Backtest([engine_runs.walk("A", 100, seed=3)], Holds, benchmark=both).run()
