import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import bar_files
from tradeplane_engine import simulation, strategy
from tradeplane_engine.core import limits
from tradeplane_engine.data import readers
from tradeplane_engine.results import result

EXAMPLES = Path(__file__).parents[2] / "examples" / "strategies"
SHORT = limits.Limits(allow_short=True)
# class and parameters by file
STRATEGIES: dict[str, tuple[str, dict[str, Any]]] = {
    "crossing": ("Crossing", {}),
    "breakout": ("Breakout", {}),
    "mean_reversion": ("MeanReversion", {}),
    "pairs": ("Pairs", {"first": "S0", "second": "S1"}),
    "rank": ("Rank", {}),
    "model_driven": ("ModelDriven", {"enter": 0.004}),
}


def example(name: str) -> Any:
    """Load an example as a user's file."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data() -> readers.Loaded:
    """Six seeded walks; the second follows the first, so that they are a pair."""
    walks = {f"S{number}": bar_files.walk(1_500, seed=number) for number in range(6)}
    apart = np.exp(0.01 * np.sin(np.arange(1_500) / 40))
    for name in ("open", "high", "low", "close"):
        walks["S1"][name] = np.round(walks["S0"][name] * apart, 4)
    return readers.load(walks)


def run(name: str, data: readers.Loaded) -> result.Result:
    """Run an example on the walks."""
    class_name, parameters = STRATEGIES[name]
    own: type[strategy.Strategy] = getattr(example(name), class_name)
    short = SHORT if name == "pairs" else limits.Limits()
    trader = simulation.Allocation(own, capital=1_000_000, parameters=parameters, limits=short)
    return simulation.Backtest(data.series, [trader], limits=short).run()


def test_every_example_is_tested() -> None:
    """No file lies in the folder without a test."""
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(STRATEGIES)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_an_example_trades_and_repeats_itself(name: str, data: readers.Loaded) -> None:
    """Each makes at least ten round trips on seeded bars, has no order refused, and has one hash."""
    found = run(name, data)
    assert len(found.trades) >= 10
    assert len(found.refused) == 0
    assert run(name, data).hash == found.hash


def test_the_breakout_enters_above_and_leaves_below_its_channel(data: readers.Loaded) -> None:
    """Each entry's decision bar closed above the 55 highs before it, each exit's below the 20 lows before it."""
    found = run("breakout", data)
    series = {one.symbol: one for one in data.series}
    for fill in found.fills.iter_rows(named=True):
        bars = series[fill["symbol"]]
        at = int(np.searchsorted(bars.start, int(fill["at"].timestamp()) * 10**9)) - 1
        if fill["side"] == "buy":
            assert bars.close[at] > bars.high[at - 55 : at].max()
        else:
            assert bars.close[at] < bars.low[at - 20 : at].min()


def test_the_pair_is_long_one_and_short_the_other(data: readers.Loaded) -> None:
    """Legs open together, on opposite sides, and no other symbol is traded."""
    trades = run("pairs", data).trades
    assert set(trades["symbol"]) == {"S0", "S1"}
    sides = {}
    for trade in trades.iter_rows(named=True):
        sides.setdefault(trade["entry_at"], set()).add((trade["symbol"], trade["side"]))
    assert all(both in ({("S0", 1), ("S1", -1)}, {("S0", -1), ("S1", 1)}) for both in sides.values())


def test_the_rank_holds_no_more_than_its_names(data: readers.Loaded) -> None:
    """After each choice at most three symbols are held."""
    held: dict[str, float] = {}
    for (at,), fills in run("rank", data).fills.group_by(["at"], maintain_order=True):
        for fill in fills.iter_rows(named=True):
            signed = fill["quantity"] if fill["side"] == "buy" else -fill["quantity"]
            held[fill["symbol"]] = held.get(fill["symbol"], 0) + signed
        assert sum(quantity > 0 for quantity in held.values()) <= 3, at
    assert min(held.values()) >= 0


def test_another_model_takes_the_place_of_the_first(data: readers.Loaded) -> None:
    """A score function that never scores high enough never trades."""
    module = example("model_driven")

    class Silent(module.ModelDriven):  # type: ignore[misc, name-defined]
        """Scores nothing."""

        score = staticmethod(lambda rows: np.zeros(len(rows)))

    assert len(simulation.Backtest(data.series, Silent).run().orders) == 0
