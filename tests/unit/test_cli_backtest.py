"""``tradeplane backtest`` refuses by name what the API server would refuse, before it trains or trades."""

import json
import shutil
from pathlib import Path

import pytest

from support import minute_data, servers
from tradeplane_cli import __main__ as command_line
from tradeplane_cli.local import demo_data
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import timeframes, times
from tradeplane_workers.market_data import sessions

BACKTEST = """\
apiVersion: tradeplane.dev/v1alpha1
kind: Backtest
metadata: {name: second}
spec: {strategyRef: momentum, from: "2012-03-02", to: "2013-03-01"}
"""


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one line with which the command ends."""
    assert command_line.main(["backtest", *words]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


@pytest.fixture(name="manifests")
def _manifests(tmp_path: Path) -> Path:
    return Path(shutil.copytree(servers.CHECKOUT / "examples", tmp_path / "manifests"))


@pytest.mark.parametrize(
    "file, old, new, words",
    [
        ("strategy", '"500000"', '"5e5"', ("Strategy momentum", "portfolio.capital", "5e5")),
        ("strategy", '"500000"', '"0"', ("portfolio.capital", "above 0", "got 0")),
        ("strategy", "capital:", "capitol:", ("portfolio.capitol", "not permitted", "500000")),
        ("strategy", "top: 2", "top: 9", ("portfolio.top + portfolio.bottom", "at most 5", "got 10")),
        ("strategy", "kind: Strategy", "kind: Strategi", ("strategy.yaml", "kind", "Strategi")),
        ("strategy", "name: momentum", "nome: momentum", ("strategy.yaml", "metadata.name", "nome")),
        ("strategy", "kind: Strategy", "kind: {", ("strategy.yaml", "YAML")),
        ("strategy", "kind: Strategy", "kind: Strategy\nkind: Strategy", ("strategy.yaml", "'kind' is there twice")),
        ("strategy", "apiVersion: tradeplane.dev/v1alpha1", "apiVersion: foo/v9", ("apiVersion", "foo/v9")),
        ("strategy", "riskPolicyRef: prudent", "riskPolicyRef: other", ("riskPolicyRef", "RiskPolicy", "other")),
        ("model", "lightgbm", "torch", ("Model alpha", "framework", "lightgbm", "torch")),
        ("model", '"2000-03-01"', '"2013-03-01"', ("training.start", "(2012-03-02)", "2013-03-01")),
        ("risk-policy", '"0.6"', '"1.6"', ("position.maxWeight", "1.5", "1.6")),
    ],
)
def test_manifests_are_held_to_the_api_rules(
    capsys: pytest.CaptureFixture[str], manifests: Path, file: str, old: str, new: str, words: tuple[str, ...]
) -> None:
    """One verdict for one file, wherever it is applied; field, limit and value."""
    path = manifests / f"{file}.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    said = refusal(capsys, f"--filename={manifests}")
    assert all(word in said for word in words), said


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("strategyRef: momentum", "strategyRef: other", ("strategyRef", "a Strategy of", "other")),
        ('"2013-03-01"', '"2012-03-01"', ("Backtest momentum-2012", "from", "before to (2012-03-01)", "2012-03-02")),
        ("seed: 7", "sed: 7", ("Backtest momentum-2012", "sed", "not permitted")),
        ("seed: 7", "seed: 7\n---\n" + BACKTEST, ("at most one Backtest", "momentum-2012", "second")),
    ],
)
def test_a_backtest_among_the_manifests_is_held_to_them(
    capsys: pytest.CaptureFixture[str], manifests: Path, old: str, new: str, words: tuple[str, ...]
) -> None:
    """It names a Strategy of the folder, keeps its own rules, and is the only one."""
    text = (servers.CHECKOUT / "docs" / "how-to" / "backtest.yaml").read_text(encoding="utf-8")
    assert old in text
    (manifests / "backtest.yaml").write_text(text.replace(old, new), encoding="utf-8")
    said = refusal(capsys, f"--filename={manifests}")
    assert all(word in said for word in words), said


@pytest.fixture(scope="module", name="bars")
def _bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bars")
    demo_data.write(folder)
    return folder


@pytest.mark.parametrize(
    "options, words",
    [
        (("--to=yesterday",), ("--to", "a day", "'yesterday'")),
        (("--from=2013-01-01", "--to=2012-12-01"), ("--from and --to", "2000-03-01 to 2013-03-01", "2012-12-02")),
        (("--from=2099-01-01",), ("--from and --to", "2099-01-01")),
        (("--cash=-5",), ("--cash", "above 0", "-5")),
        (("--without=halt",), ("--without", "absent with --filename", "halt")),
    ],
)
def test_options_that_lead_nowhere_are_refused(
    capsys: pytest.CaptureFixture[str], manifests: Path, bars: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    """Not ignored, and no empty result."""
    said = refusal(capsys, f"--filename={manifests}", f"--data={bars}", *options)
    assert all(word in said for word in words), said


@pytest.mark.parametrize("content, words", [("# no record", ("JSON",)), ("[]", ("JSON object", "list"))])
def test_record_that_is_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str, words: tuple[str, ...]
) -> None:
    """The file is named."""
    path = tmp_path / "session.json"
    path.write_text(content, encoding="utf-8")
    said = refusal(capsys, f"--record={path}")
    assert all(word in said for word in (str(path), *words)), said


def test_a_strategy_on_quarters_runs_on_a_dataset_of_minutes(
    capsys: pytest.CaptureFixture[str], manifests: Path, tmp_path: Path
) -> None:
    """The exchange's calendar gives the hours, the Model is trained on the strategy's bars, orders fill in minutes."""
    calendar = sessions.Calendar("XNYS")
    days = [
        timeframes.Hours(one.start, one.end)
        for one in calendar.ending_within(times.instant("2012-03-01T00:00:00Z"), times.instant("2012-03-10T00:00:00Z"))
    ]
    found = [one for symbol in ("AAPL", "IBM") for day in days for one in minute_data.walk(symbol, day)]
    manifest = {"name": "minutes", "timeframe": "1m", "origin": "random walk", "licence": "none"}
    dataset.write(tmp_path / "data", manifest=manifest, found=found, actions=[])
    for name, changes in {
        "strategy": {"[AAPL, FB, GOOG, IBM, MSFT]": "[AAPL, IBM]", "bottom: 1": "bottom: 0"},
        "model": {'"2000-03-01"': '"2012-03-01"', '"2012-03-02"': '"2012-03-09"'},
    }.items():
        path = manifests / f"{name}.yaml"
        text = path.read_text(encoding="utf-8")
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        bars = "  bars: {timeframe: 15m}\n" if name == "strategy" else ""
        path.write_text(text + bars, encoding="utf-8")
    said = command_line.main(["backtest", f"--filename={manifests}", f"--data={tmp_path / 'data'}", "--orders"])
    printed = capsys.readouterr()
    assert (said, printed.err) == (0, "")
    ends = [json.loads(line)["bar_end"] for line in printed.out.splitlines()]
    last_day = timeframes.buckets(days[-1], timeframes.span("15m"))
    assert ends
    assert set(ends) <= {times.text(bucket.end) for bucket in last_day}
