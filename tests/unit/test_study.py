"""A study tries parameters, ranks them, and says how lucky the best may be."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from support import engine_runs, sweep_families
from tradeplane_engine import errors, rules, simulation, study, sweep
from tradeplane_engine.core import limits
from tradeplane_engine.data import series
from tradeplane_engine.measures import overfitting, sharpe
from tradeplane_engine.results import saved

DAY = 86_400_000_000_000


def daily(symbol: str, rows: int, *, seed: int) -> series.Series:
    """A seeded walk of daily bars, weekends too."""
    minutes = engine_runs.walk(symbol, rows, seed=seed)
    start = engine_runs.START + np.arange(rows) * DAY
    return dataclasses.replace(minutes, start=start, end=start + DAY, available_at=start + DAY)


DATA = [daily("A", 220, seed=3), daily("B", 200, seed=4)]
GRID = study.Grid({"fast": (3, 5, 8), "slow": (13, 21, 34)})
STUDY = study.Study(DATA, sweep_families.cross, GRID, commission_bps=1)  # type: ignore[arg-type]  # an int is a fraction


@pytest.fixture(scope="module", name="found")
def _found() -> study.Found:
    return STUDY.run()


def test_each_configuration_is_the_backtest_of_its_parameters(found: study.Found) -> None:
    """Score, equity and fills are those of the event engine's own run of the class."""
    for at in (0, 4, found.best_at):
        backtest = simulation.Backtest(
            DATA, sweep_families.Cross, parameters=found.parameters(at), costs=STUDY.settings().costs(), examine=False
        )
        result = backtest.run()
        assert int(found.tried.equity[at]) == int(result.final_equity * 10**9)
        assert found.tried.fills[at] == len(result.fills)
        measured = result.measures(["sharpe", "max_drawdown", "total_return"])
        assert {name: pytest.approx(found.measures[at][name]) for name in measured} == measured
    assert found.best_result.final_equity * 10**9 == int(found.tried.equity[found.best_at])


def test_a_class_and_its_rule_have_the_same_scores(found: study.Found) -> None:
    """The kernel ran the rules, the event engine the class, and the table says so."""
    coded = dataclasses.replace(STUDY, family=sweep_families.Cross).run()
    assert coded.tried.equity.tolist() == found.tried.equity.tolist()
    assert coded.scores.tolist() == found.scores.tolist()
    assert set(found.tried.reasons) == {""}
    assert set(coded.tried.reasons) == {"code of a class"}


def test_the_best_is_the_highest_score(found: study.Found) -> None:
    """Ranking, stability and heat maps are of the objective."""
    assert found.best == found.parameters(int(np.argmax(found.scores)))
    assert [found.scores[at] for at in found.ranking] == sorted(found.scores, reverse=True)
    (one,) = found.maps
    assert (one.down, one.across, list(one.rows), list(one.columns)) == ("fast", "slow", [3, 5, 8], [13, 21, 34])
    assert one.cells.ravel().tolist() == found.scores.tolist()
    mean, least = found.stability
    assert mean[4] == pytest.approx(found.scores[[1, 3, 4, 5, 7]].mean())
    assert least[4] == found.scores[[1, 3, 4, 5, 7]].min()


def test_another_objective(found: study.Found) -> None:
    """Any measure of daily returns; one that looks at trades is refused by name."""
    other = dataclasses.replace(STUDY, objective="total_return").run()
    assert other.tried.equity[other.best_at] == max(found.tried.equity)
    with pytest.raises(errors.ValueRefused, match=r"objective: must be a measure of returns.*win_rate"):
        dataclasses.replace(STUDY, objective="win_rate").run()


def test_evidence_counts_every_trial(found: study.Found, tmp_path: Path) -> None:
    """Deflated Sharpe and PBO are those of the measures, of all configurations ever tried on these bars."""
    findings = {one.name: one for one in found.evidence.findings}
    days = found.days
    returns = np.array([_returns(curve, STUDY.settings().cash) for curve in found.tried.curves]).T
    assert findings["probability_of_overfitting"].value == overfitting.probability(returns).probability
    ratios = np.array([one.mean() / one.std(ddof=1) for one in returns.T])
    estimate = sharpe.Estimate.of(returns[:, found.best_at], float(ratios[found.best_at]))
    expected = sharpe.deflated(estimate, trials=9, variance=float(ratios.var(ddof=1)))
    assert findings["deflated_sharpe"].value == pytest.approx(expected)
    assert "probabilistic_sharpe" in findings
    assert len(days) == 220
    dataclasses.replace(STUDY, cache=tmp_path, search=study.Grid({"fast": (2,), "slow": (9, 10)})).run()
    again = dataclasses.replace(STUDY, cache=tmp_path).run()
    assert (found.tried.trials, again.tried.trials, len(again)) == (9, 11, 9)
    more = {one.name: one for one in again.evidence.findings}["deflated_sharpe"]
    assert "11 worthless trials" in more.meaning
    assert more.value < findings["deflated_sharpe"].value


def _returns(curve: np.typing.NDArray[np.int64], cash: int) -> Any:
    return np.diff(curve, prepend=cash) / np.concatenate(([cash], curve[:-1]))


def test_what_one_configuration_cannot_show_is_noted() -> None:
    """No spread of ratios, no rank: said, not left out in silence."""
    found = dataclasses.replace(STUDY, search=study.Grid({"fast": (3,), "slow": (13,)})).run()
    assert [one.name for one in found.evidence.findings] == ["probabilistic_sharpe", "minimum_track_record"]
    assert [note.split(":")[0] for note in found.evidence.notes] == [
        "no deflated Sharpe ratio",
        "no probability of overfitting",
    ]


def test_nothing_that_trades_is_refused() -> None:
    """A score that no configuration has cannot be looked for."""
    with pytest.raises(errors.ValueRefused, match="objective: must be defined"):
        dataclasses.replace(STUDY, fixed={"shares": 0}).run()


def test_a_limit_that_may_bind_needs_the_event_engine() -> None:
    """What the kernel cannot express is run by events, and named."""
    bound = dataclasses.replace(STUDY, limits=limits.Limits(max_positions=1)).run()
    assert set(bound.tried.reasons) == {"max_positions"}
    loose = dataclasses.replace(STUDY, limits=limits.Limits(max_positions=2)).run()
    assert set(loose.tried.reasons) == {""}
    assert bound.tried.fills.tolist() != loose.tried.fills.tolist()


def test_workers_change_nothing(found: study.Found) -> None:
    """Two processes find what one finds, of a class too."""
    both = [dataclasses.replace(STUDY, family=sweep_families.Cross).run(workers=workers) for workers in (1, 2)]
    assert both[0].tried.equity.tolist() == both[1].tried.equity.tolist() == found.tried.equity.tolist()


NOTEBOOK = """
import dataclasses, pathlib
from tradeplane_engine import errors, strategy, study
from test_study import DATA

class Rising(strategy.Strategy):
    class Parameters(strategy.Strategy.Parameters):
        window: int
    def on_start(self, ctx):
        self.mean = ctx.indicator("sma", self.parameters.window)
    def on_bar(self, ctx, bar):
        ctx.target(bar.symbol, shares=1 if self.mean < bar.close else 0)

search = study.Study(DATA, Rising, study.Grid({"window": (3, 5)}))
assert len(search.run()) == 2
for more in ({"workers": 2}, {"cache": "cache"}):
    try:
        kept = dataclasses.replace(search, cache=pathlib.Path(more["cache"])) if "cache" in more else search
        kept.run(workers=more.get("workers", 1))
    except errors.ValueRefused as refused:
        print(refused)
"""


def test_a_class_of_a_notebook_runs_in_its_own_process_only(tmp_path: Path) -> None:
    """Others could not find it, and no digest could tell it from another: both is said."""
    path = os.pathsep.join([*sys.path, str(Path(__file__).parent)])
    done = subprocess.run(
        [sys.executable],
        input=NOTEBOOK,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        check=False,
        text=True,
    )
    said = done.stdout.splitlines()
    assert said[:1] == ["workers: must be 1 for code that is in no file, got 'Rising'"], done.stderr
    assert said[1:] == ["strategy: must be a class in a file, so that its results can be kept, got 'Rising'"]


def test_a_class_never_runs_twice_on_the_same_bars(tmp_path: Path) -> None:
    """Its results are known by its code, its parameters and the bars, those that were not given too."""
    made = sweep_families.Cross.made
    one = dataclasses.replace(
        STUDY, family=sweep_families.Cross, cache=tmp_path, search=study.Grid({"fast": (3, 5)}), fixed={"slow": 21}
    )
    one.run()
    made.clear()
    again = one.run()
    assert (made, again.cached) == ([], 2)
    other = dataclasses.replace(one, fixed={"slow": 21, "shares": 100}).run()
    assert (made, other.cached) == ([], 2)
    changed = dataclasses.replace(one, fixed={"slow": 22}).run()
    assert (made, changed.cached) == ([3, 5], 0)


def test_a_random_search_is_a_seeded_part_of_the_grid(found: study.Found) -> None:
    """Its scores are those of the grid."""
    drawn = dataclasses.replace(STUDY, search=study.Random(GRID.values, 4, seed=7)).run()
    sets = [found.parameters(at) for at in range(9)]
    for at in range(4):
        assert drawn.scores[at] == found.scores[sets.index(drawn.parameters(at))]
    assert drawn.tried.parameters == {
        name: [one[name] for one in sweep.sample(4, seed=7, **GRID.values)] for name in ("fast", "slow")
    }


def test_optuna_suggests_from_the_values() -> None:
    """The same seed suggests the same sets, each of them is tried once, and the best of a small grid is found."""
    values = {"fast": tuple(range(2, 12)), "slow": (13, 21, 34)}
    search = study.Optuna(values, 40, seed=1)
    both = [dataclasses.replace(STUDY, search=search).run(workers=workers) for workers in (1, 2)]
    assert both[0].tried.parameters == both[1].tried.parameters
    sets = [tuple(both[0].parameters(at).values()) for at in range(len(both[0]))]
    assert len(set(sets)) == len(sets) > 10
    whole = dataclasses.replace(STUDY, search=study.Grid(values)).run()
    assert both[0].scores[both[0].best_at] >= np.quantile(whole.scores, 0.9)


def test_optuna_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extra that installs it."""
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(errors.ValueRefused, match=r"tradeplane\[optuna\]"):
        dataclasses.replace(STUDY, search=study.Optuna(GRID.values, 3)).run()


def test_progress_counts_what_was_known(tmp_path: Path) -> None:
    """Done, known before, and all."""
    dataclasses.replace(STUDY, cache=tmp_path, search=study.Grid({"fast": (3,), "slow": (13, 21)})).run()
    seen: list[sweep.Progress] = []
    found = dataclasses.replace(STUDY, cache=tmp_path).run(progress=seen.append)
    assert seen == [sweep.Progress(9, 2, 9)]
    assert found.cached == 2


def test_a_study_is_kept(found: study.Found, tmp_path: Path) -> None:
    """JSON with every configuration, a page without network, and the best run, ready to be compared."""
    folder = found.save(tmp_path / "out")
    told = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    assert told["configurations"]["score"] == found.scores.tolist()
    assert told["configurations"]["neighbourhood_mean"] == found.stability[0].tolist()
    assert told["configurations"]["neighbourhood_least"] == found.stability[1].tolist()
    assert (told["tried"], told["trials"], told["walk_forward"]) == (9, 9, None)
    assert told["best"]["parameters"] == found.best
    assert told["best_hash"] == saved.read(folder / "best").document["hash"] == found.best_result.hash
    assert {one["name"] for one in told["evidence"]} >= {"deflated_sharpe", "probability_of_overfitting"}
    assert told["maps"][0]["cells"][2] == found.scores[6:].tolist()
    page = (folder / "sweep.html").read_text(encoding="utf-8")
    assert page.count("<script") == page.count("http://") == page.count("https://") == 0
    for words in ("fast by slow", "Deflated Sharpe", "Probability of overfitting", "neighbour", found.best_result.hash):
        assert words in page
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(errors.ValueRefused, match="out: must be a folder"):
        found.save(tmp_path / "mine")


def test_a_frame_of_all_configurations(found: study.Found) -> None:
    """A row each."""
    frame = found.frame()
    assert isinstance(frame, pl.DataFrame)
    assert frame["sharpe"].to_list() == found.scores.tolist()
    assert frame.columns[:2] == ["fast", "slow"]


def test_one_parameter_has_a_map_too() -> None:
    """A column of values, in their order."""
    found = dataclasses.replace(STUDY, search=study.Grid({"fast": (8, 3, 5)}), fixed={"slow": 21}).run()
    (one,) = found.maps
    assert (one.down, one.across, list(one.rows)) == ("fast", "", [3, 5, 8])
    assert one.cells[:, 0].tolist() == [found.scores[at] for at in (1, 2, 0)]


def test_a_family_that_returns_nothing_to_run_is_refused() -> None:
    """And one that does not take the parameters."""
    with pytest.raises(errors.ValueRefused, match="a strategy's class, or a function"):
        dataclasses.replace(STUDY, family=lambda fast, slow: fast + slow).run()
    with pytest.raises(errors.ValueRefused, match="a function of fast, slow"):
        dataclasses.replace(
            STUDY, family=lambda quick: rules.when(rules.change("close", quick) > 0).hold(shares=1)
        ).run()
    with pytest.raises(errors.ValueRefused, match=r"Cross.parameters.slow"):
        dataclasses.replace(
            STUDY, family=sweep_families.Cross, fixed={"slow": "x"}, search=study.Grid({"fast": (1,)})
        ).run()
