import importlib.machinery
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from support import engine_runs
from tradeplane_engine import core


@pytest.mark.parametrize("seed", range(6))
def test_a_run_equals_the_integer_oracle(seed: int) -> None:
    """Equity and number of fills are those of the same rule in plain integers, gaps and unequal lengths included."""
    data = [engine_runs.walk(f"S{n}", 300 + 170 * n, seed=10 * seed + n, gaps=n % 2 == 1) for n in range(3)]
    run = engine_runs.run(data, engine_runs.Cross())
    ledger = run.account.book.ledger
    assert (ledger.equity(), ledger.fills) == engine_runs.oracle(data)


def test_every_order_is_heard_of_twice_and_in_order() -> None:
    """A strategy hears of each order when it is new and when it is filled."""
    strategy = engine_runs.Cross()
    run = engine_runs.run([engine_runs.walk("S", 800, seed=3)], strategy)
    filled = run.account.book.ledger.fills
    assert strategy.heard[: 2 * filled] == [(event, n) for n in range(1, filled + 1) for event in ("new", "fill")]


def test_the_core_is_compiled_where_a_compiler_is() -> None:
    """An installation with a compiler and Python's headers runs extension modules, not the fallback."""
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    if os.environ.get("TRADEPLANE_INTERPRETED") == "1" or not (shutil.which("cc") and headers.exists()):
        pytest.skip("no compiler, no headers, or interpreted on purpose")
    assert core.compiled()


def test_interpreted_and_compiled_runs_have_one_hash() -> None:
    """The same files give the same event log, interpreted in another process."""
    code = """
from support import engine_runs
from tradeplane_engine import core
data = [engine_runs.walk(f"S{n}", 400, seed=n, gaps=True) for n in range(3)]
print(core.compiled(), engine_runs.run(data, engine_runs.Cross()).log.digest({}))
"""
    answers = {}
    for interpreted in ("0", "1"):
        environment = {**os.environ, "TRADEPLANE_INTERPRETED": interpreted, "PYTHONPATH": "tests"}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        compiled, answers[interpreted] = done.stdout.split()
        if interpreted == "1":
            assert compiled == "False"
    assert answers["0"] == answers["1"]


@pytest.mark.parametrize("built, stale", [((), False), (("a",), True), (("a", "b"), False)])
def test_modules_that_were_built_in_part_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: tuple[str, ...], stale: bool
) -> None:
    """Compiled and interpreted modules never meet: all of them or none."""
    monkeypatch.setattr(core, "_FOLDER", tmp_path)
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    for name in [f"{stem}{end}" for stem in "ab" for end in (".py", ".pxd")] + [f"{stem}{suffix}" for stem in built]:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1, 1))
    assert core._stale() is stale


def test_a_module_older_than_its_source_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two versions of one engine never meet."""
    monkeypatch.setattr(core, "_FOLDER", tmp_path)
    for age, name in enumerate(("a.pxd", f"a{importlib.machinery.EXTENSION_SUFFIXES[0]}", "a.py")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (age, age))
    assert core._stale()
