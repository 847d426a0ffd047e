"""``tradeplane backtest -f``: a Strategy whose signal is code runs its class, as its manifest says."""

import json
import shutil
from pathlib import Path

import pytest

from support import bar_files, servers
from tradeplane_cli import __main__ as command_line
from tradeplane_cli.local import demo_data
from tradeplane_engine import simulation
from tradeplane_engine.core import costs, limits
from tradeplane_engine.results import saved
from tradeplane_engine.venue import profile

MODULE = """\
from tradeplane_engine import strategy


class Rising(strategy.Strategy):
    class Parameters(strategy.Strategy.Parameters):
        window: int = 20
        shares: int = 10

    def on_start(self, ctx):
        self.mean = ctx.indicator("sma", self.parameters.window)

    def on_bar(self, ctx, bar):
        ctx.target(bar.symbol, shares=self.parameters.shares if self.mean < bar.close else 0)
"""
STRATEGY = """\
apiVersion: tradeplane.dev/v1alpha1
kind: Strategy
metadata: {name: rising}
spec:
  universe: {symbols: [A, B]}
  bars: {timeframe: 1m, session: regular}
  signal: {code: {entrypoint: "declared_of_this_test:Rising", parameters: {window: 5}}}
  portfolio: {capital: "20000"}
  riskPolicyRef: prudent
"""
BACKTEST = """\
apiVersion: tradeplane.dev/v1alpha1
kind: Backtest
metadata: {name: once}
spec: {strategyRef: rising, from: "2020-01-01", to: "2020-01-02", seed: 4}
"""


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for seed, symbol in enumerate(("A", "B", "C")):
        bar_files.write(tmp_path / "bars", symbol, bar_files.walk(200, seed=seed))
    (tmp_path / "manifests").mkdir()
    shutil.copy(servers.CHECKOUT / "examples" / "risk-policy.yaml", tmp_path / "manifests")
    (tmp_path / "manifests" / "strategy.yaml").write_text(STRATEGY, encoding="utf-8")
    (tmp_path / "declared_of_this_test.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def command(folder: Path, *words: str, data: str = "bars") -> int:
    """Run the folder's manifests."""
    return command_line.main(["backtest", f"--filename={folder / 'manifests'}", f"--data={folder / data}", *words])


def test_the_class_of_a_manifest_runs(folder: Path) -> None:
    """With its symbols, capital, parameters and policy, and the fees of the venue."""
    assert command(folder, f"--out={folder / 'run'}", "--no-audit") == 0
    found = saved.read(folder / "run").document
    kind = __import__("declared_of_this_test").Rising
    venue = profile.named("realistic")
    prudent = limits.from_spec(
        {
            "order": {"maxNotional": "400000", "maxQuantity": "50000"},
            "position": {"maxWeight": "0.6", "allowShort": True},
            "portfolio": {"maxGross": "1.5"},
            "data": {"maxBarAge": "1h"},
        }
    )
    result = simulation.Backtest(
        {symbol: folder / "bars" / f"{symbol}.parquet" for symbol in ("A", "B")},
        [simulation.Allocation(kind, capital=20_000, name="rising", parameters={"window": 5})],
        limits=prudent,
        costs=costs.Costs(half_spread_bps=venue.half_spread_bps, schedule=venue.schedule),
        examine=False,
    ).run()
    assert found["hash"] == result.hash
    assert found["name"] == "rising"
    assert found["settings"]["costs"]["half_spread"] == "1/10000"
    assert found["summary"]["fills"] > 10


def test_a_backtest_says_the_period(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless the command line does."""
    text = BACKTEST.replace("2020", "2021")
    (folder / "manifests" / "backtest.yaml").write_text(text, encoding="utf-8")
    assert command(folder) == 1
    assert "start: must be at or before the last bar's" in capsys.readouterr().err
    assert command(folder, "--from=2020-01-01", "--to=2020-01-02", "--no-audit") == 0


@pytest.mark.parametrize(
    "words",
    [("--cash=5",), ("--parameters", "window=3"), ("--commission-bps=1",), ("--allow-short",), ("--orders",)],
)
def test_what_the_manifest_says_is_not_said_twice(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """It would be ignored."""
    assert command(folder, *words) == 1
    assert f"{words[0].partition('=')[0]}: must be absent with --filename of a Strategy" in capsys.readouterr().err


@pytest.mark.parametrize(
    "old, new, told",
    [
        ("declared_of_this_test:Rising", "declared_of_this_test:Falling", ("signal.code.entrypoint", "Falling")),
        ("window: 5", "window: five", ("rising.parameters.window", "five")),
        ("[A, B]", "[A, Z]", ("symbol", "one of the data (A, B, C)", "'Z'")),
        ("prudent", "other", ("riskPolicyRef", "other")),
    ],
)
def test_what_cannot_be_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, told: tuple[str, ...]
) -> None:
    """Field, limit and value."""
    assert old in STRATEGY
    (folder / "manifests" / "strategy.yaml").write_text(STRATEGY.replace(old, new), encoding="utf-8")
    assert command(folder) == 1
    said = capsys.readouterr().err
    assert all(word in said for word in told), said


def test_a_dataset_brings_its_corporate_actions(folder: Path) -> None:
    """Splits and dividends of the demo's bars are in the run's events, and bars of another timeframe are refused."""
    demo_data.write(folder / "demo")
    text = STRATEGY.replace("[A, B]", "[AAPL, IBM]").replace("1m", "1d")
    (folder / "manifests" / "strategy.yaml").write_text(text, encoding="utf-8")
    options = ("--from=2004-01-01", "--to=2006-01-01", "--no-audit")
    assert command(folder, *options, f"--out={folder / 'run'}", data="demo") == 0
    rows = saved.read(folder / "run").rows
    assert 6 in rows[:, 0], "a split"
    assert 5 in rows[:, 0], "a dividend"
    (folder / "manifests" / "strategy.yaml").write_text(text.replace("1d", "1h"), encoding="utf-8")
    assert command(folder, *options, data="demo") == 1


def test_the_class_of_a_manifest_is_swept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the manifest says is the same in every trial, its fees and policy too; the best is the manifest's run."""
    words = ["sweep", f"--filename={folder / 'manifests'}", f"--data={folder / 'bars'}", f"--cache={folder / 'cache'}"]
    assert (
        command_line.main([*words, "--space", "window=4:6", "--objective=total_return", f"--out={folder / 'out'}"]) == 0
    )
    assert "3 by the event engine: fees by date" in capsys.readouterr().out
    told = json.loads((folder / "out" / "sweep.json").read_text(encoding="utf-8"))
    assert told["configurations"]["parameters"] == {"window": [4, 5, 6]}
    assert told["study"]["cash"] == "20000"
    assert command(folder, f"--out={folder / 'run'}", "--no-audit") == 0
    assert told["configurations"]["equity"][1] == saved.read(folder / "run").document["summary"]["final_equity"]
    best = saved.read(folder / "out" / "best").document
    assert best["settings"]["limits"]["max_gross"] == "3/2"
    assert command_line.main([*words, "--space", "window=4:6", "--cash=3"]) == 1
    assert "--cash: must be absent with --filename" in capsys.readouterr().err


def test_a_model_is_not_swept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is trained once; and a dataset's corporate actions are no bars."""
    words = ["sweep", "--space", "window=4:6", f"--cache={folder / 'cache'}"]
    examples = servers.CHECKOUT / "examples"
    assert command_line.main([*words, f"--filename={examples}", f"--data={folder / 'bars'}"]) == 1
    assert "signal: must be code" in capsys.readouterr().err
    demo_data.write(folder / "demo")
    assert command_line.main([*words, f"--filename={folder / 'manifests'}", f"--data={folder / 'demo'}"]) == 1
    assert "a sweep knows no corporate actions" in capsys.readouterr().err
