"""Walk-forward: choices look at their training only, and the stitched run is one honest backtest."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from support import engine_runs, sweep_families
from tradeplane_engine import errors, rules, strategy, study
from tradeplane_engine.core import context, table
from tradeplane_engine.data import series
from tradeplane_engine.measures import inputs
from tradeplane_engine.results import saved
from tradeplane_engine.study import stitched

DAY = 86_400_000_000_000
START = engine_runs.START


def daily(symbol: str, rows: int, *, seed: int) -> series.Series:
    """A seeded walk of daily bars, weekends too."""
    start = START + np.arange(rows) * DAY
    return dataclasses.replace(
        engine_runs.walk(symbol, rows, seed=seed), start=start, end=start + DAY - 1, available_at=start + DAY - 1
    )


DATA = [daily("A", 150, seed=3), daily("B", 150, seed=4)]
GRID = study.Grid({"fast": (3, 5, 8), "slow": (13, 21)})
WALK = study.WalkForward(train=50, test=30, purge=4, embargo=6)
STUDY = study.Study(DATA, sweep_families.cross, GRID, walk_forward=WALK, commission_bps=1)  # type: ignore[arg-type]  # an int is a fraction


@pytest.fixture(scope="module", name="found")
def _found() -> study.Found:
    return STUDY.run()


def test_windows_leave_out_what_they_say() -> None:
    """Purged days before a test, days under embargo after earlier ones; the last test may be shorter."""
    windows = WALK.windows(150)
    assert [(one.first, one.stop) for one in windows] == [(54, 84), (84, 114), (114, 144), (144, 150)]
    assert windows[0].training.tolist() == list(range(50))
    assert windows[1].training.tolist() == list(range(30, 80))
    assert windows[2].training.tolist() == [*range(60, 84), *range(90, 110)]
    anchored = dataclasses.replace(WALK, anchored=True).windows(150)
    assert anchored[2].training.tolist() == [*range(84), *range(90, 110)]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"train": 1}, r"walk_forward.train: must be 2 or more"),
        ({"test": 0}, r"walk_forward.test"),
        ({"purge": -1}, r"walk_forward.purge"),
        ({"embargo": -1}, r"walk_forward.embargo"),
        ({"train": 147}, r"walk_forward.train \+ purge: must be shorter than the 150 days"),
        ({"train": 2, "purge": 0, "test": 2, "embargo": 5}, r"walk_forward.embargo: must be what leaves two days"),
    ],
)
def test_windows_that_cannot_be(change: dict[str, int], message: str) -> None:
    """Are refused by name."""
    with pytest.raises(errors.ValueRefused, match=message):
        dataclasses.replace(WALK, **change).windows(150)


def test_each_choice_is_the_best_of_its_training(found: study.Found) -> None:
    """By the returns of exactly its days."""
    walked = found.walked
    assert walked is not None
    assert len(walked.choices) == 4
    curves = np.concatenate((np.full((6, 1), STUDY.settings().cash), found.tried.curves), axis=1)
    returns = curves[:, 1:] / curves[:, :-1] - 1
    for window, choice in zip(WALK.windows(150), walked.choices, strict=True):
        own = returns[:, window.training]
        ratios = own.mean(axis=1) / own.std(axis=1, ddof=1) * np.sqrt(inputs.DAYS_OF_ALWAYS)
        assert choice.parameters == found.parameters(int(np.argmax(ratios)))
        assert choice.inside == pytest.approx(ratios.max())
    assert len({tuple((one.parameters or {}).values()) for one in walked.choices}) > 1


def test_later_bars_change_no_earlier_choice() -> None:
    """Other bars from a test on leave all choices before it, and their results, as they are."""
    first = STUDY.run().walked
    changed = [
        dataclasses.replace(
            one,
            **{
                name: np.concatenate((getattr(one, name)[:114], getattr(one, name)[114:] * 2))
                for name in ("open", "high", "low", "close")
            },
        )
        for one in DATA
    ]
    second = dataclasses.replace(STUDY, data=changed).run().walked
    assert first is not None
    assert second is not None
    for one, other in zip(first.choices[:2], second.choices[:2], strict=True):
        assert one == other
    assert first.choices[3] != second.choices[3]


def test_the_stitched_run_trades_each_choice_in_its_window(found: study.Found) -> None:
    """Positions are those of the window's rule at every row, and nothing is held before the first test."""
    walked = found.walked
    assert walked is not None
    (parameters,) = [one["parameters"] for one in walked.result.settings["strategies"].values()]
    wanted = np.zeros(300, dtype=np.int64)
    bars = table.Table(DATA)
    for window, choice in zip(WALK.windows(150), walked.choices, strict=True):
        wish = rules.ColumnStrategy(sweep_families.cross(**(choice.parameters or {}))).targets(bars)[0]
        for offset in (0, 150):
            wanted[offset + window.first : offset + window.stop] = wish[offset + window.first : offset + window.stop]
    assert [one["until"] for one in parameters["windows"]][-1] == int(found.days[-1])
    fills = walked.result.frame("fills", numbers="decimal")
    for number, symbol in enumerate(("A", "B")):
        own = fills.filter(fills["symbol"] == symbol)
        held = np.zeros(151, dtype=np.int64)
        for at, side, quantity in zip(own["at"].dt.timestamp("ns"), own["side"], own["quantity"], strict=True):
            held[(at - START) // DAY :] += int(quantity) * (1 if side == "buy" else -1)
        assert held[1:150].tolist() == wanted[number * 150 : number * 150 + 149].tolist()
    assert walked.result.findings is not None
    assert walked.result.findings.honest


def test_the_result_is_of_all_tests_together(found: study.Found) -> None:
    """Measures begin with the first tested day."""
    walked = found.walked
    assert walked is not None
    curve = walked.result.run.curve
    assert curve.equity[53] == curve.start
    total = float(walked.result.final_equity) / curve.start - 1
    assert walked.measures["total_return"] == pytest.approx(total)
    returns = curve.returns()[54:]
    expected = returns.mean() / returns.std(ddof=1) * np.sqrt(inputs.DAYS_OF_ALWAYS)
    assert walked.measures["sharpe"] == pytest.approx(expected)
    outside = [one.outside for one in walked.choices]
    assert walked.efficiency == pytest.approx(sum(outside) / sum(one.inside for one in walked.choices))


class Holds(strategy.Strategy):
    """Holds what it is told, and leaves an order open."""

    class Parameters(strategy.Strategy.Parameters):
        """Shares."""

        shares: int

    parameters: Parameters

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        """Nothing was seen."""
        self.seen = 0

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Hold; with 7 only what was bought at the first bar of A."""
        self.seen += 1
        if self.seen <= (1 if self.parameters.shares == 7 else 2):
            ctx.target(bar.symbol, shares=self.parameters.shares)
        if self.seen == 2 and bar.symbol == "B":
            ctx.order(bar.symbol, "buy", 1, "limit", limit=1, time_in_force="gtc")


def test_a_class_begins_each_window_with_nothing() -> None:
    """What the one before held is closed unless it is wanted, and its orders are cancelled."""
    kind = stitched.stitch(Holds)
    windows = [
        {"after": START + 10 * DAY - 1, "until": START + 20 * DAY - 1, "parameters": {"shares": 5}},
        {"after": START + 20 * DAY - 1, "until": START + 30 * DAY - 1, "parameters": {"shares": 7}},
    ]
    result = STUDY.backtest(DATA, kind, {"windows": windows}).run()
    fills = result.fills
    rows = [
        ((at - START) // DAY, symbol, side, int(quantity))
        for at, symbol, side, quantity in zip(
            fills["at"].dt.timestamp("ns"), fills["symbol"], fills["side"], fills["quantity"], strict=True
        )
    ]
    assert rows == [
        (11, "A", "buy", 5),
        (11, "B", "buy", 5),
        (21, "A", "buy", 2),
        (21, "B", "sell", 5),
        (31, "A", "sell", 7),
    ]
    ended = result.orders.filter(result.orders["kind"] == "limit")
    assert ended["status"].to_list() == ["canceled"] * 2
    assert result.findings is not None
    assert result.findings.honest


def test_a_class_and_its_rule_choose_alike(found: study.Found) -> None:
    """The same choices; the class trades them too."""
    coded = dataclasses.replace(STUDY, family=sweep_families.Cross).run()
    assert coded.walked is not None
    assert found.walked is not None
    assert [one.parameters for one in coded.walked.choices] == [one.parameters for one in found.walked.choices]
    assert coded.walked.result.counts["fills"] > 10


def test_a_window_without_a_score_trades_nothing() -> None:
    """As when nothing was defined yet."""
    found = dataclasses.replace(
        STUDY, search=study.Grid({"fast": (3, 5), "slow": (70,)}), walk_forward=study.WalkForward(40, 40)
    ).run()
    assert found.walked is not None
    first, second, third = found.walked.choices
    assert (first.parameters, first.outside) == (None, pytest.approx(np.nan, nan_ok=True))
    assert second.parameters is not None
    assert third.parameters is not None
    (settings,) = found.walked.result.settings["strategies"].values()
    assert len(settings["parameters"]["windows"]) == 2


def test_a_walk_is_kept(found: study.Found, tmp_path: Path) -> None:
    """Windows and measures in JSON and on the page, the stitched run as a saved one."""
    folder = found.save(tmp_path / "out")
    walked = found.walked
    assert walked is not None
    told = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))["walk_forward"]
    assert told["settings"] == {"train": 50, "test": 30, "purge": 4, "embargo": 6, "anchored": False}
    assert [one["parameters"] for one in told["windows"]] == [one.parameters for one in walked.choices]
    assert told["hash"] == saved.read(folder / "walk-forward").document["hash"] == walked.result.hash
    assert "Walk-forward, out of sample" in (folder / "sweep.html").read_text(encoding="utf-8")
