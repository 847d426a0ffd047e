"""``tradeplane sweep``: from a plain script to a ranking, in any number of processes, killed or not."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support import bar_files
from tradeplane_cli import __main__ as command_line
from tradeplane_engine.results import saved

SCRIPT = """\
import os
import signal

import helper_of_mine
from tradeplane_engine import rules, strategy


def cross(fast, slow, shares=10):
    return rules.when(slow * rules.sum("close", fast) > fast * rules.sum("close", slow)).hold(shares=shares)


class Cross(strategy.Strategy):
    class Parameters(strategy.Strategy.Parameters):
        fast: int
        slow: int = 20
        shares: int = 10

    def on_start(self, ctx):
        if self.parameters.fast == 6 and "KILL" in os.environ:
            os.kill(int(os.environ["KILL"]) or os.getppid(), signal.SIGKILL)
            signal.pause()
        self.fast, self.slow = ctx.indicator("sma", self.parameters.fast), ctx.indicator("sma", self.parameters.slow)

    def on_bar(self, ctx, bar):
        ctx.target(bar.symbol, shares=helper_of_mine.shares(self))
"""
HELPER = """\
def shares(one):
    return one.parameters.shares if one.fast > one.slow else 0
"""
SPACE = ("--space", "fast=2:10:2", "slow=15,20")


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script with a helper beside it, on a few days of bars."""
    for seed, symbol in enumerate(("A", "B")):
        columns = bar_files.walk(160, seed=seed)
        hours = np.arange(160, dtype=np.int64) * 6 * 3_600_000_000
        columns["ts"] = (bar_files.START_US + hours).view("datetime64[us]")
        bar_files.write(tmp_path / "bars", symbol, columns)
    (tmp_path / "mine.py").write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "helper_of_mine.py").write_text(HELPER, encoding="utf-8")
    monkeypatch.delitem(sys.modules, "helper_of_mine", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def words(folder: Path, *more: str, name: str = "Cross") -> list[str]:
    """The command on the folder, with a cache in it."""
    return ["sweep", f"{folder / 'mine.py'}:{name}", f"--data={folder / 'bars'}", f"--cache={folder / 'cache'}", *more]


def command(folder: Path, *more: str, name: str = "Cross") -> int:
    """Run it here."""
    return command_line.main(words(folder, *more, name=name))


def scores(folder: Path) -> list[float]:
    """Scores that a run has kept."""
    found: list[float] = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))["configurations"]["score"]
    return found


def test_a_class_in_a_script_is_swept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The ranking, the evidence and the files; a function that returns a rule gives the same."""
    assert command(folder, *SPACE, f"--out={folder / 'class'}") == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].split() == [
        "fast",
        "slow",
        "sharpe",
        "total_return",
        "max_drawdown",
        "neighbours",
        "least",
        "fills",
    ]
    ranked = [float(line.split()[2]) for line in lines[1:11]]
    assert ranked == sorted(ranked, reverse=True)
    assert "tried 10 here, 0 known before, 10 ever on these bars" in lines
    assert "10 by the event engine: code of a class" in lines
    assert any(line.startswith("deflated_sharpe") for line in lines)
    assert any(line.startswith("probability_of_overfitting") for line in lines)
    assert "best: honest" in lines
    assert "100.0% of 10 configurations" in printed.err
    assert command(folder, *SPACE, f"--out={folder / 'rule'}", name="cross") == 0
    assert "tried 10 here, 0 known before, 20 ever on these bars" in capsys.readouterr().out
    assert scores(folder / "class") == scores(folder / "rule")
    told = json.loads((folder / "class" / "sweep.json").read_text(encoding="utf-8"))
    assert told["configurations"]["parameters"] == {
        "fast": [fast for fast in (2, 4, 6, 8, 10) for _ in range(2)],
        "slow": [15, 20] * 5,
    }
    assert saved.read(folder / "class" / "best").document["hash"] == told["best_hash"]


def test_processes_find_the_script_and_its_helper(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They run the same file."""
    assert command(folder, *SPACE, f"--out={folder / 'one'}") == 0
    options = (f"--cache={folder / 'other'}", "--workers=2", f"--out={folder / 'two'}")
    assert command(folder, *SPACE, *options) == 0
    assert "tried 10 here, 0 known before" in capsys.readouterr().out.split("saved")[1]
    assert (folder / "one" / "sweep.json").read_bytes() == (folder / "two" / "sweep.json").read_bytes()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_sweep_that_was_killed_goes_on(folder: Path, capsys: pytest.CaptureFixture[str], workers: int) -> None:
    """SIGKILL in the middle: what was finished is known, the second run does the rest and finds the same."""
    code = "import sys; from tradeplane_cli import __main__ as c; sys.exit(c.main(sys.argv[1:]))"
    kill = f"import os; os.environ['KILL'] = str(os.getpid() if {workers} == 1 else 0); {code}"
    path = os.pathsep.join(one for one in sys.path if one)
    done = subprocess.run(
        [sys.executable, "-c", kill, *words(folder, *SPACE, f"--workers={workers}")],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    known = sum(file.read_bytes().count(b"\n") for file in (folder / "cache").iterdir())
    assert known == 4 if workers == 1 else known < 10  # of two workers, one may die before the other has told anything
    assert command(folder, *SPACE, f"--out={folder / 'resumed'}") == 0
    assert f"tried 10 here, {known} known before, 10 ever" in capsys.readouterr().out
    assert command(folder, *SPACE, f"--out={folder / 'whole'}", f"--cache={folder / 'other'}") == 0
    assert scores(folder / "resumed") == scores(folder / "whole")


def test_changed_code_is_run_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The script's own, and that of a module that it imports; what was tried before still counts."""
    for number, (file, text) in enumerate(
        (("mine.py", SCRIPT), ("mine.py", SCRIPT + "\n"), ("helper_of_mine.py", HELPER + "\n"))
    ):
        (folder / file).write_text(text, encoding="utf-8")
        code = f"import sys; from tradeplane_cli import __main__ as c; sys.exit(c.main({words(folder, *SPACE)!r}))"
        path = os.pathsep.join(one for one in sys.path if one)
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            check=True,
            text=True,
        )
        assert f"tried 10 here, 0 known before, {10 * (number + 1)} ever" in done.stdout
    assert command(folder, *SPACE) == 0
    assert "tried 10 here, 10 known before, 30 ever" in capsys.readouterr().out


def test_a_walk_forward_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line per window, and what was left out of sample."""
    options = ("--train=15", "--test=10", "--purge=1", "--embargo=2", f"--out={folder / 'out'}")
    assert command(folder, *SPACE, *options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(" in training, " in line for line in lines) == 3
    assert any(line.startswith("out of sample: sharpe") for line in lines)
    told = json.loads((folder / "out" / "sweep.json").read_text(encoding="utf-8"))
    assert told["walk_forward"]["settings"]["embargo"] == 2


def test_a_part_of_the_combinations(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Drawn by the seed, with parameters that are the same in all, on a part of the days."""
    options = ("--random=3", "--seed=5", "--parameters", "shares=7", "--from=2020-01-05", "--objective=total_return")
    assert command(folder, *SPACE, *options, f"--out={folder / 'out'}") == 0
    assert "tried 3 here" in capsys.readouterr().out
    told = json.loads((folder / "out" / "sweep.json").read_text(encoding="utf-8"))
    assert told["study"]["fixed"] == {"shares": 7}
    assert told["study"]["search"]["seed"] == 5
    assert told["days"]["first"] == "2020-01-06T00:00:00Z"


@pytest.mark.parametrize(
    "more, told",
    [
        (("--space", "fast"), ("--space", "NAME=VALUES", "'fast'")),
        (("--space", "fast=2,2"), ("--space", "each once")),
        (("--space", "fast=9:2"), ("--space", "first to last")),
        (("--space", "fast=a:b"), ("first:last:step in numbers",)),
        (("--space", "fast=2,3", "fast=4,5"), ("each name once",)),
        (("--space", "slow=3,4"), ("Cross.parameters.fast", "Field required")),
        (("--space", "fast=2,3", "--random=9"), ("count", "2 combinations", "9")),
        (("--space", "fast=2,3", "--objective=luck"), ("objective", "sharpe", "luck")),
        (("--space", "fast=2,3", "--workers=0"), ("workers", "1 or more")),
        (("--space", "fast=2,3", "--ray=nowhere"), ("--ray", "host:port", "nowhere")),
        (("--space", "fast=2,3", "--ray=ray://127.0.0.1:1"), ("--ray", "a running Ray", "127.0.0.1:1")),
        (("--space", "fast=2,3", "--purge=3"), ("--purge", "absent without --train")),
        (("--space", "fast=2,3", "--train=3"), ("--test", "given for a walk-forward")),
        (("--space", "fast=2,3", "--train=300", "--test=3"), ("walk_forward.train", "300")),
        (("--space", "fast=2,3", "--cash=-3"), ("cash", "-3")),
        (("--space", "fast=2,3", "--parameters", "shares=1.5"), ("Cross.parameters.shares", "1.5")),
    ],
)
def test_what_cannot_be_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], told: tuple[str, ...]
) -> None:
    """Field, limit and value, before anything runs."""
    assert command(folder, *more) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert all(word in printed.err for word in told), printed.err


def test_a_best_one_that_is_not_the_same_twice_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The ranking is printed all the same, and the status is 3."""
    text = SCRIPT.replace("        ctx.target(", "        SEEN.append(bar)\n        ctx.target(")
    text = text.replace("shares=helper_of_mine.shares(self)", "shares=len(SEEN) if self.fast > self.slow else 0")
    (folder / "mine.py").write_text(f"SEEN = []\n{text}", encoding="utf-8")
    assert command(folder, "--space", "fast=3,4") == 3
    printed = capsys.readouterr()
    assert "best: accused" in printed.out.splitlines()
    assert "replayed: Cross, bar" in printed.err


def test_steps_of_a_fraction_are_exact(folder: Path) -> None:
    """0.1 to 0.3 in steps of 0.1 are three values, as they are written."""
    text = SCRIPT.replace("shares: int = 10", "share: float = 0.1\n        shares: int = 10")
    (folder / "mine.py").write_text(text, encoding="utf-8")
    assert command(folder, "--space", "share=0.1:0.3:0.1", "--parameters", "fast=3", f"--out={folder / 'out'}") == 0
    told = json.loads((folder / "out" / "sweep.json").read_text(encoding="utf-8"))
    assert told["configurations"]["parameters"] == {"share": [0.1, 0.2, 0.3]}
