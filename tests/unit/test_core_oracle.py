import dataclasses
import importlib.machinery
import os
import shutil
import subprocess
import sys
import sysconfig
from fractions import Fraction
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from support import engine_runs
from tradeplane_engine import core, rules, strategy, sweep
from tradeplane_engine.core import costs, kernel, risk, table
from tradeplane_engine.data import series


@pytest.mark.parametrize("seed", range(6))
def test_a_run_equals_the_integer_oracle(seed: int) -> None:
    """Equity and number of fills are those of the same rule in plain integers, gaps and unequal lengths included."""
    data = [engine_runs.walk(f"S{n}", 300 + 170 * n, seed=10 * seed + n, gaps=n % 2 == 1) for n in range(3)]
    run = engine_runs.run(data, engine_runs.Cross())
    ledger = run.account.book.ledger
    assert (ledger.equity(), ledger.fills) == engine_runs.oracle(data)


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A case that was drawn: symbols of unequal lengths, gaps and digits, and the rule's windows, size and fee."""

    data: list[series.Series]
    windows: tuple[int, int]
    shares: int
    fee_bps: Fraction


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    """Draw one; lengths about the slow window are as likely as long ones."""
    seed = draw(st.integers(0, 2**32 - 1))
    fast = draw(st.integers(1, 10))
    slow = draw(st.integers(fast + 1, 30))
    rows = st.one_of(st.integers(0, 2), st.integers(slow - 2, slow + 3), st.integers(50, 250))
    data = []
    for number, length in enumerate(draw(st.lists(rows, min_size=1, max_size=5))):
        one = engine_runs.walk(f"S{number}", length, seed=(seed + number) % 2**32, gaps=draw(st.booleans()))
        data.append(dataclasses.replace(one, digits=draw(st.sampled_from([4, 4, 0, 2, 6, 9]))))
    shares = draw(st.sampled_from([1, 3, 100, 777]))
    if min((one.digits for one in data), default=4) < 4:
        shares = 1  # a share of a million dollars: many of them would not fit the account's 64 bits
    fee = Fraction(draw(st.integers(0, 500)), draw(st.integers(1, 97)))
    return Drawn(data, (fast, slow), shares, fee)


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(drawn())
def test_every_mode_equals_the_integer_oracle(case: Drawn) -> None:
    """Class, rule, column and sweep: equity, fills and open orders are those of plain integers; one log, one hash."""
    fast, slow = case.windows
    found = engine_runs.whole_oracle(
        [(one.open.tolist(), one.close.tolist()) for one in case.data],
        fee_bps=case.fee_bps,
        windows=case.windows,
        shares=case.shares,
        digits=[one.digits for one in case.data],
    )
    above = slow * rules.sum("close", fast) > fast * rules.sum("close", slow)
    rule = rules.when(above).hold(shares=case.shares)
    cross = engine_runs.Cross(fast=fast, slow=slow, shares=case.shares)
    digests = set()
    for strategy_ in (cross, rules.RuleStrategy(rule), rules.ColumnStrategy(rule)):
        run = _run(case, strategy_)
        ledger = run.account.book.ledger
        assert (ledger.equity(), ledger.fills, len(run.open_orders)) == found
        digests.add(run.log.digest({}))
    settings = sweep.Settings(cash=engine_runs.CASH, commission_bps=case.fee_bps, limits=engine_runs.LOOSE)
    bars = table.Table(case.data)
    outcome = sweep.evaluate(bars, [rule], settings, np.array([engine_runs.START], dtype=np.int64))[0]
    assert (outcome.equity, outcome.fills, outcome.open_orders) == found
    digests.add(sweep.log_of(bars, rule, settings).digest({}))
    assert len(digests) == 1


def _run(case: Drawn, what: strategy.Strategy) -> kernel.Kernel:
    policy = risk.Policy("loose", engine_runs.LOOSE)
    run = kernel.Kernel(table.Table(case.data), costs.Costs(commission_bps=case.fee_bps), engine_runs.CASH, policy)
    run.add("cross", what, engine_runs.CASH, policy)
    run.run()
    return run


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
