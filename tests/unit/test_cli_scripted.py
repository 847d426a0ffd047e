"""``tradeplane backtest FILE.py:CLASS``: from a plain script to a result, and errors that say where."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support import bar_files, engine_runs, servers
from tradeplane_cli import __main__ as command_line
from tradeplane_cli import progress
from tradeplane_engine import scripts, simulation
from tradeplane_engine.core import context, table
from tradeplane_engine.results import saved

SCRIPT = """\
from tradeplane_engine import strategy

class Cross(strategy.Strategy):
    class Parameters(strategy.Strategy.Parameters):
        fast: int = 5
    def on_start(self, ctx):
        self.fast, self.slow = ctx.indicator("sma", self.parameters.fast), ctx.indicator("sma", 20)
    def on_bar(self, ctx, bar):
        ctx.target(bar.symbol, shares=10 if self.fast > self.slow else 0)
"""
BREAKS = {
    "raises": (
        "ctx.target(bar.symbol, shares=10 if",
        "1 / 0 if bar.symbol == 'B' else ctx.target(bar.symbol, shares=1 if",
    ),
    "asks for a fraction": ("shares=10 if", "shares=1.5 if"),
    "does not start": ("ctx.indicator(", "ctx.nothing("),
    "is no Python": ("class Cross", "class class Cross"),
    "does not import": ("class Cross", "import nothing_of_that_name\n\nclass Cross"),
    "has no such class": ("class Cross", "class Crossing"),
}


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    for seed, symbol in enumerate(("A", "B")):
        bar_files.write(tmp_path / "bars", symbol, bar_files.walk(300, seed=seed))
    (tmp_path / "mine.py").write_text(SCRIPT, encoding="utf-8")
    return tmp_path


def command(folder: Path, *words: str, name: str = "Cross") -> int:
    """Run the script's class on the folder's bars."""
    return command_line.main(["backtest", f"{folder / 'mine.py'}:{name}", f"--data={folder / 'bars'}", *words])


def rows(printed: str) -> dict[str, str]:
    """The summary by name."""
    return {line[:26].strip(): line[26:] for line in printed.splitlines()}


def test_a_class_in_a_script_is_run_and_saved(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The summary and the saved run are those of the same class from Python."""
    words = ("--cash=5000", "--parameters", "fast=3", "--commission-bps=1.5", "--half-spread-bps=2", "--allow-short")
    assert command(folder, *words, f"--out={folder / 'run'}") == 0
    printed = capsys.readouterr()
    shown = rows(printed.out)
    options = {"cash": 5000, "parameters": {"fast": 3}, "examine": False}
    cross = scripts.load(f"{folder / 'mine.py'}")
    plain = simulation.Backtest(folder / "bars", cross, **options).run()
    found = saved.read(folder / "run")
    assert found.document["hash"] == shown["hash"] != plain.hash
    assert found.document["settings"]["costs"]["commission"] == "3/20000"
    assert found.document["settings"]["strategies"]["Cross"]["parameters"] == {"fast": 3}
    assert found.document["settings"]["limits"]["allow_short"] == "True"
    assert found.document["examination"]["audited"]
    assert shown["examined"] == "honest, with an audit"
    assert shown["orders / fills / refused"] == " / ".join(
        str(found.document["summary"][name]) for name in ("orders", "fills", "refused")
    )
    assert "600 bars in" in printed.err
    seconds = json.loads((folder / "run" / "seconds.json").read_text(encoding="utf-8"))
    assert sum(seconds["detectors"].values()) == pytest.approx(float(shown["detectors_s"]), abs=0.01)


def test_without_an_audit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is repeated, and both the summary and the saved run say so."""
    assert command(folder, "--no-audit", f"--out={folder / 'run'}") == 0
    assert rows(capsys.readouterr().out)["examined"] == "honest, without an audit"
    assert not saved.read(folder / "run").document["examination"]["audited"]


def test_a_strategy_that_is_not_the_same_twice_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The status is 3, the summary is there all the same, and the first bar that proves it is told."""
    text = SCRIPT.replace("        ctx.target(", "        SEEN.append(bar)\n        ctx.target(").replace(
        "=10 if", "=len(SEEN) if"
    )
    (folder / "mine.py").write_text(f"SEEN = []\n{text}", encoding="utf-8")
    assert command(folder, "--no-audit") == 3
    printed = capsys.readouterr()
    assert rows(printed.out)["examined"] == "accused, without an audit"
    assert "replayed: Cross, bar" in printed.err


def test_a_period_is_cut_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """First and last day; a period without bars is refused by name."""
    assert command(folder, "--from=2020-01-01", "--to=2020-01-01") == 0
    assert rows(capsys.readouterr().out)["bars"].startswith("600 of 2 symbols, 2020-01-01T00:01:00Z")
    assert command(folder, "--from=2021-01-01") == 1
    assert "start: must be at or before the last bar's, got '2021-01-01" in capsys.readouterr().err


@pytest.mark.parametrize(
    "broken, told",
    [
        ("raises", ("strategy 'Cross' at Bar(B, 1m, end=2020-01-01T00:", "ZeroDivisionError", "mine.py, line 9")),
        (
            "asks for a fraction",
            ("shares", "1.5", "strategy 'Cross' at Bar(A, 1m, end=2020-01-01T00:", "mine.py, line 9"),
        ),
        ("does not start", ("'Cross' at on_start", "nothing", "mine.py, line 7")),
        ("is no Python", ("SyntaxError", "mine.py, line 3")),
        ("does not import", ("nothing_of_that_name", "mine.py, line 3")),
        ("has no such class", ("strategy", "Crossing", "'Cross'")),
    ],
)
def test_errors_say_where(folder: Path, capsys: pytest.CaptureFixture[str], broken: str, told: tuple[str, ...]) -> None:
    """Bar, symbol and field, and the line of the script."""
    old, new = BREAKS[broken]
    assert old in SCRIPT
    (folder / "mine.py").write_text(SCRIPT.replace(old, new), encoding="utf-8")
    assert command(folder) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert all(word in said for word in told), said


@pytest.mark.parametrize(
    "words, told",
    [
        (("--parameters", "fast"), ("--parameters", "name=value", "'fast'")),
        (("--parameters", "fast=3", "fast=4"), ("each name once",)),
        (("--parameters", "fast=slow"), ("Cross.parameters.fast", "'slow'")),
        (("--parameters", "slow=3"), ("Cross.parameters: must be one of fast", "slow")),
        (("--commission-bps=free",), ("--commission-bps", "a number", "free")),
        (("--cash=-1",), ("cash", "-1")),
        (("--from=soon",), ("--from", "a day", "soon")),
        (("--timeframe=week",), ("--timeframe", "week")),
        (("--without=halt",), ("--without", "absent with FILE.py:CLASS")),
        (("--profile=realistic",), ("--profile", "absent with FILE.py:CLASS")),
    ],
)
def test_options_that_cannot_be_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    """Field, limit and value."""
    assert command(folder, *words) == 1
    said = capsys.readouterr().err
    assert all(word in said for word in told), said


def test_options_of_code_are_refused_elsewhere(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They would be ignored."""
    manifests = servers.CHECKOUT / "examples"
    assert command_line.main(["backtest", f"--filename={manifests}", f"--out={folder / 'run'}"]) == 1
    assert "--out: must be absent with --filename" in capsys.readouterr().err


def test_the_one_strategy_of_a_file_needs_no_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With two the names are told; a class that is imported is none of the file's."""
    data = f"--data={folder / 'bars'}"
    assert command_line.main(["backtest", str(folder / "mine.py"), data]) == 0
    (folder / "two.py").write_text(SCRIPT + SCRIPT.replace("Cross", "Other"), encoding="utf-8")
    assert command_line.main(["backtest", str(folder / "two.py"), data]) == 1
    assert "Cross, Other" in capsys.readouterr().err
    (folder / "importing.py").write_text("from mine import Cross\n", encoding="utf-8")
    assert command_line.main(["backtest", str(folder / "importing.py"), data]) == 1
    assert command_line.main(["backtest", f"{folder / 'importing.py'}:Cross", data]) == 0


def test_a_module_of_the_working_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python itself would find it."""
    (folder / "packaged_of_this_test").mkdir()
    (folder / "packaged_of_this_test" / "mine.py").write_text(SCRIPT, encoding="utf-8")
    monkeypatch.chdir(folder)
    assert command_line.main(["backtest", "packaged_of_this_test.mine:Cross", "--data=bars"]) == 0
    assert command_line.main(["backtest", "packaged_of_this_test.other:Cross", "--data=bars"]) == 1


class _Stream(io.StringIO):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    "terminal, expected",
    [(True, "\rten\rtwo\rend\n"), (False, "ten\ntwo\nend\n")],
)
def test_progress_is_one_line_on_a_terminal(expected: str, *, terminal: bool) -> None:
    """And lines elsewhere; what comes too soon after the last one is left out."""
    stream, now = _Stream(terminal=terminal), [0.0]
    shown = progress.Progress(stream, lambda: now[0])
    for at, line in ((10.0, "ten"), (10.1, "too soon"), (20.0, "two")):
        now[0] = at
        shown.show(line)
    shown.end("end")
    assert stream.getvalue() == expected


def test_a_shorter_line_covers_a_longer_one() -> None:
    """What a terminal showed before is not left behind it."""
    stream, now = _Stream(terminal=True), [0.0]
    shown = progress.Progress(stream, lambda: now[0])
    for at, line in ((10.0, "a long line"), (20.0, "short")):
        now[0] = at
        shown.show(line)
    assert stream.getvalue() == "\ra long line\rshort      "


class _Waits(engine_runs.Cross):
    """Waits in the middle of the run until its progress was shown."""

    shown: Callable[[], bool]

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Let the other thread look."""
        super().on_bar(ctx, bar)
        while bar.end > engine_runs.START + 200 * engine_runs.MINUTE and not type(self).shown():
            pass


def test_a_run_is_watched_while_it_goes() -> None:
    """Its share and its rate are shown by a thread, before it is over."""
    stream = _Stream(terminal=True)
    shown = progress.Progress(stream)
    shown.every_s = 0.001
    _Waits.shown = lambda: "%" in stream.getvalue()
    simulation.Backtest([engine_runs.walk("S", 400, seed=1)], _Waits, examine=False).run(
        watch=lambda run: progress.of_run(shown, run)
    )
    lines = stream.getvalue().split("\r")
    assert "% of 400 bars" in lines[1]
    assert lines[-1].startswith("400 bars in")
