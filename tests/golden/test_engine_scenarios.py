"""What happens in each golden scenario, compiled and interpreted; ``make golden`` shows where they part, in words."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import scenarios
from support.scenarios import golden, telling

TOOL = Path(__file__).parents[2] / "tools" / "golden.py"


@pytest.mark.parametrize("name", sorted(scenarios.ALL))
def test_a_scenario_is_what_it_was(name: str) -> None:
    """Its orders, fills and words first, so that a failure reads; then its hash."""
    digest, lines = golden.now(name)
    assert lines == golden.stored(name)
    assert digest == golden.hashes()[name]


def test_every_stored_scenario_is_one_that_runs() -> None:
    """None is forgotten, and there are enough of them."""
    stored = {path.stem for path in golden.FOLDER.glob("*.txt")} - {"hashes"}
    assert stored == set(golden.hashes()) == set(scenarios.ALL)
    assert len(stored) >= 60


def test_interpreted_scenarios_are_the_same() -> None:
    """The whole set, in a process that runs the core's Python files."""
    environment = {**os.environ, "TRADEPLANE_INTERPRETED": "1"}
    done = subprocess.run([sys.executable, str(TOOL)], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "interpreted: 0 scenarios differ in events, 0 in their hash alone\n", (
        done.stdout + done.stderr
    )
    assert done.returncode == 0


def test_a_difference_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stored fill at another price is named with its line; nothing is written unless asked for."""
    monkeypatch.setattr(golden, "FOLDER", tmp_path)
    monkeypatch.setattr(golden, "_HASHES", tmp_path / "hashes.txt")
    name = "market_next_open"
    new = golden.differences([name])
    assert [one.sentence for one in new] == [f"{name}: new"]
    assert not list(tmp_path.iterdir())

    golden.write(new)
    assert golden.differences([name]) == []
    path = tmp_path / f"{name}.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("at 100,", "at 99,"), encoding="utf-8")
    (found,) = golden.differences([name])
    assert "line 3: was “2020-01-02T14:31:00Z fill of 1, buy 100 S at 99, fee 0”, is “" in found.sentence

    (tmp_path / "hashes.txt").write_text(f"{name} {'0' * 64}\n", encoding="utf-8")
    golden.write(golden.differences([name]))
    assert golden.differences([name]) == []


@pytest.mark.parametrize(
    "new, expected",
    [
        (["a", "b"], None),
        (["a", "c"], (2, "b", "c")),
        (["a"], (2, "b", "nothing more")),
        (["a", "b", "c"], (3, "nothing more", "c")),
    ],
)
def test_the_first_difference_is_the_first(new: list[str], expected: object) -> None:
    """Also where one list is only longer."""
    assert telling.first_difference(["a", "b"], new) == expected
