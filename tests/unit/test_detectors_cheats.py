import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from support import engine_runs, examined_runs, planted_cheats
from tradeplane_engine import detectors, strategy
from tradeplane_engine.core import kernel
from tradeplane_engine.data import series

ROWS = 3_000


@pytest.fixture(scope="module")
def data() -> list[series.Series]:
    """One symbol, long enough that nothing is cut at its end but by an audit."""
    return [engine_runs.walk("S", 2 * ROWS, seed=5)]


def _closes(data: Sequence[series.Series]) -> np.ndarray:
    return data[0].close


def _check(found: detectors.Findings, detector: str, name: str = "cheat") -> detectors.Finding:
    """Return the first finding of a detector, which names the strategy and a bar."""
    proof = next(one for one in found.found if one.detector == detector)
    assert (proof.strategy, proof.symbol) == (name, "S")
    assert proof.index >= 0
    assert name in proof.sentence
    return proof


def _from_data(data: Sequence[series.Series]) -> dict[str, Callable[[], strategy.Strategy]]:
    return {
        "next close": lambda: planted_cheats.Foresees(_closes(data)),
        "length": lambda: planted_cheats.Counts(len(data[0])),
        "last date": lambda: planted_cheats.GoesFlat(int(data[0].end[-1]) if len(data[0]) else 0),
        "future fit": lambda: planted_cheats.Fitted(data),
        "whole history": lambda: planted_cheats.Normalises(_closes(data)),
    }


@pytest.mark.parametrize("way", list(_from_data([])))
def test_what_is_made_from_the_data_of_the_run_is_caught_by_early_cuts(data: list[series.Series], way: str) -> None:
    """A strategy that is built from later bars decides otherwise where they are missing."""
    found = examined_runs.examine(examined_runs.factory(lambda given: {"cheat": _from_data(given)[way]()}), data)
    proof = _check(found, "replayed")
    assert proof.index < len(data[0]) // 5


def test_a_strategy_that_cannot_go_on_without_later_bars_is_caught(data: list[series.Series]) -> None:
    """A strategy that fails at the end of a cut, where the run went on, is named with that bar."""
    rows = len(data[0])
    made = examined_runs.factory(lambda given: {"cheat": planted_cheats.Indexes(_closes(given), rows)})
    assert "IndexError" in _check(examined_runs.examine(made, data), "replayed").sentence


def test_a_table_that_a_strategy_reaches_is_caught_by_early_cuts(data: list[series.Series]) -> None:
    """A strategy that reads the row after the bar's decides otherwise at the end of a cut."""

    def make(given: Sequence[series.Series]) -> kernel.Kernel:
        cheat = planted_cheats.ReadsAhead()
        made = examined_runs.factory(lambda _: {"cheat": cheat})(given)
        cheat.table = made.table
        return made

    _check(examined_runs.examine(make, data), "replayed")


def test_a_closure_over_the_real_bars_is_caught_on_bars_that_never_happened(data: list[series.Series]) -> None:
    """An array in a closure holds the future whatever the run is given; its orders foretell the real bars."""
    closes = _closes(data)
    _check(
        examined_runs.examine(examined_runs.factory(lambda _: {"cheat": planted_cheats.Foresees(closes)}), data),
        "outside",
    )


def test_a_file_that_is_read_is_caught_on_bars_that_never_happened(
    data: list[series.Series], tmp_path: pathlib.Path
) -> None:
    """A strategy that reads the bars of a file knows the real ones when it is given others."""
    path = tmp_path / "bars.npy"
    np.save(path, np.stack((data[0].start, data[0].close)))
    _check(
        examined_runs.examine(examined_runs.factory(lambda _: {"cheat": planted_cheats.ReadsFile(path)}), data),
        "outside",
    )


def test_a_comparison_with_a_real_later_price_is_caught_by_coins(data: list[series.Series]) -> None:
    """A strategy that compares the last close with real prices to come turns exactly at them."""
    for field, ahead in (("close", 1), ("open", 1), ("close", 2)):
        later = getattr(data[0], field)[ahead:]
        made = examined_runs.factory(lambda _, later=later: {"cheat": planted_cheats.Compares(later)})
        _check(examined_runs.examine(made, data), "echoes")


def test_signals_computed_with_the_future_are_caught_on_bars_that_never_happened(data: list[series.Series]) -> None:
    """A list of signals made with later bars fits the real bars and no others."""
    signals = (np.diff(_closes(data)) > 0).tolist()
    made = examined_runs.factory(lambda _: {"cheat": planted_cheats.FollowsSignals(signals)})
    _check(examined_runs.examine(made, data), "outside")


@pytest.mark.parametrize("runs_before, detector", [(0, "replayed"), (2, "echoes")])
def test_what_outlives_a_run_is_caught(data: list[series.Series], runs_before: int, detector: str) -> None:
    """A strategy that remembers a run before it does something else in the next, or foretells the real bars."""
    planted_cheats.Remembers.closes.clear()
    made = examined_runs.factory(lambda _: {"cheat": planted_cheats.Remembers()})
    for _ in range(runs_before):
        made(data).run()
    _check(examined_runs.examine(made, data), detector)


@pytest.mark.parametrize(
    "function",
    [
        planted_cheats.shifted,
        planted_cheats.centred,
        planted_cheats.normalised,
        planted_cheats.last,
        planted_cheats.seldom,
        planted_cheats.Stateful(),
    ],
)
def test_a_function_that_reads_other_windows_is_caught(data: list[series.Series], function: object) -> None:
    """A user's indicator that mixes its columns, or keeps something, has other values on cut history."""
    made = examined_runs.factory(lambda _: {"cheat": planted_cheats.Asks(function)})
    _check(examined_runs.examine(made, data), "recomputed")


@pytest.mark.parametrize(
    "feature",
    [
        lambda one: np.roll(one.close, -1),
        lambda one: one.close / one.close.max(initial=1),
        lambda one: (one.close - one.close.mean()) / max(one.close.std(), 1.0),
        lambda one: np.convolve(one.close, np.ones(5), mode="same"),
        lambda one: one.close - one.close[-1],
        lambda one: np.stack((one.close, one.close[::-1]), axis=1),
    ],
)
def test_a_feature_that_reads_the_whole_history_is_caught(feature: Callable[[series.Series], np.ndarray]) -> None:
    """A feature that shifts back, centres, or normalises by the whole history has other values on cut history."""
    data = [engine_runs.walk("S", ROWS, seed=2)]
    computed = detectors.Computed(
        strategy="cheat",
        name="feature",
        compute=lambda one: {"value": feature(one)},
        values={"S": {"value": feature(data[0])}},
    )
    made = examined_runs.factory(lambda _: {"cheat": engine_runs.Cross()})
    found = examined_runs.examine(made, data, options=detectors.Options(computed=[computed]))
    _check(found, "recomputed")


def test_a_single_look_at_the_last_bar_is_caught_by_the_audit(data: list[series.Series]) -> None:
    """A strategy that cheats in one decision only, at the last bar but one, is named with that bar."""
    rows = len(data[0])
    made = examined_runs.factory(lambda given: {"cheat": planted_cheats.LooksOnce(_closes(given), rows)})
    assert examined_runs.examine(made, data).honest
    proof = _check(examined_runs.examine(made, data, audit=True), "last-bar")
    assert proof.index == rows - 2


def test_a_short_history_is_cut_before_its_last_bar_without_an_audit() -> None:
    """Where a whole run is cheap, the last bar is examined by default."""
    data = [engine_runs.walk("S", ROWS, seed=9)]
    made = examined_runs.factory(lambda given: {"cheat": planted_cheats.LooksOnce(_closes(given), ROWS)})
    assert _check(examined_runs.examine(made, data), "replayed").index == ROWS - 2


def test_a_changed_future_shows_who_knew_it(data: list[series.Series]) -> None:
    """A strategy that was made from later bars does something else before they change."""
    made = examined_runs.factory(lambda given: {"cheat": planted_cheats.Normalises(_closes(given))})
    assert _check(examined_runs.examine(made, data, audit=True), "future").index < len(data[0]) // 3


def test_only_the_cheat_of_an_account_is_named(data: list[series.Series]) -> None:
    """Two strategies on one account: the honest one beside the cheat is not accused."""
    made = examined_runs.factory(
        lambda given: {"cheat": planted_cheats.Foresees(_closes(given)), "honest": engine_runs.Cross()}
    )
    assert {one.strategy for one in examined_runs.examine(made, data, audit=True).found} == {"cheat"}


def test_an_examination_is_the_same_every_time(data: list[series.Series]) -> None:
    """The same run and seed give the same findings and seconds of a stopped clock."""
    made = examined_runs.factory(lambda given: {"cheat": planted_cheats.Foresees(_closes(given))})
    assert examined_runs.examine(made, data) == examined_runs.examine(made, data)
