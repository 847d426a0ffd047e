import dataclasses

import numpy as np
import pytest

from support import engine_runs, examined_runs, honest_strategies
from tradeplane_engine import detectors
from tradeplane_engine.core import log
from tradeplane_engine.data import series
from tradeplane_engine.detectors import cuts, echoes, instants, replays

DATA = [engine_runs.walk(name, 600, seed=at, gaps=at == 1) for at, name in enumerate("AB")]


def test_a_cut_knows_what_was_available_and_nothing_else() -> None:
    """All rows available at the instant are in the cut, the others are not, and symbols stay."""
    instant = int(DATA[0].available_at[300])
    cut, horizon = cuts.known(DATA, instant)
    assert [one.symbol for one in cut] == ["A", "B"]
    for one, whole in zip(cut, DATA, strict=True):
        assert (one.available_at <= instant).all()
        assert len(one) == int((whole.available_at <= instant).sum())
    assert horizon.until <= instant


def test_the_horizon_is_the_first_open_that_a_cut_lacks() -> None:
    """A bar that opened before the cut and was not known limits what may be compared."""
    late = dataclasses.replace(DATA[0], available_at=DATA[0].end + 150 * 10**9)
    instant = int(late.available_at[100])
    _, horizon = cuts.known([late], instant)
    assert horizon == cuts.Horizon(int(late.start[101]), frozenset({0}))
    assert horizon.until < instant


def _plausible(one: series.Series) -> bool:
    return bool(
        (one.high >= np.maximum(one.open, one.close)).all() and (one.low <= np.minimum(one.open, one.close)).all()
    )


def test_a_mirrored_future_leaves_the_past_and_turns_every_move() -> None:
    """Bars that start before the instant stay; after it what rose falls, and instants are the same."""
    instant = int(DATA[0].start[200])
    changed = cuts.mirrored(DATA, instant)[0][0]
    assert (changed.close[:200] == DATA[0].close[:200]).all()
    assert (changed.start == DATA[0].start).all()
    before, after = np.diff(DATA[0].close)[200:], np.diff(changed.close)[200:]
    large = np.abs(before) > 5
    assert (np.sign(before[large]) == -np.sign(after[large])).all()
    assert _plausible(changed)


def test_shuffled_bars_have_the_same_instants_and_unrelated_moves() -> None:
    """Nothing but the instants of the real bars is left."""
    for one, real in zip(cuts.shuffled(DATA, np.random.default_rng(1)), DATA, strict=True):
        assert (one.start == real.start).all()
        assert _plausible(one)
        assert abs(np.corrcoef(np.diff(one.close), np.diff(real.close))[0, 1]) < 0.15


def test_led_bars_lie_one_unit_beside_the_later_price() -> None:
    """Each close is a later real price plus its coin, where that bar exists."""
    one, coins, which = cuts.led(DATA[0], echoes.LEADS, np.random.default_rng(1))
    for lead, (field, ahead) in enumerate(echoes.LEADS):
        rows = np.flatnonzero((which == lead) & (coins != 0))
        assert (one.close[rows] - getattr(DATA[0], field)[rows + ahead] == coins[rows]).all()
        assert len(rows) > 100
    assert set(coins.tolist()) == {-1, 0, 1}
    assert _plausible(one)


def test_cuts_end_at_orders_and_are_few_rows() -> None:
    """Most cuts end at an instant of an order, buys and sells, and together they are a small share of a long run."""
    data = [engine_runs.walk("A", 60_000, seed=8)]
    run = examined_runs.factory(lambda _: {"cross": engine_runs.Cross()})(data)
    run.run()
    chosen = instants.early(run, data, run.equity_at, np.random.default_rng(3))
    assert len(chosen) >= instants.LEAST
    assert sum(cuts.known_rows(data, one) for one in chosen) < 0.1 * cuts.rows(data)
    rows = replays.rows(run)
    orders = rows[rows[:, 0] == log.ORDER]
    sides = {int(np.sign(orders[orders[:, 1] == one][0, 5])) for one in chosen if (orders[:, 1] == one).any()}
    assert sides == {-1, 1}
    assert chosen == instants.early(run, data, run.equity_at, np.random.default_rng(3))


@pytest.mark.parametrize("bars, noted", [(1_200, False), (5_000, True)])
def test_a_late_first_order_is_replayed_where_that_is_cheap(bars: int, noted: bool) -> None:
    """A cut ends at the first order if it comes in the first part of the run; else the findings say that none did."""
    data = [engine_runs.walk("A", 20_000, seed=8)]
    made = examined_runs.factory(lambda _: {"waits": honest_strategies.Waits(bars)})
    run = made(data)
    run.run()
    first = int(data[0].available_at[bars])
    assert (first in instants.early(run, data, run.equity_at, np.random.default_rng(3))) is not noted
    found = detectors.examine(made, data, run, seed=1)
    assert found.honest
    assert len(found.notes) == noted


@pytest.mark.parametrize("name", ["Rising", "Answers", "AtOnce", "Rests", "Timed"])
@pytest.mark.parametrize("late", [0, 200 * 10**9])
def test_a_cut_anywhere_agrees_up_to_its_horizon(name: str, late: int) -> None:
    """At every tenth instant the rows of a replay up to the horizon are those of the run, neither more nor fewer."""
    made = examined_runs.factory(lambda _: {name: honest_strategies.MAKERS[name]()})
    data = [
        dataclasses.replace(cuts.part(one, 0, 150), available_at=one.end[:150] + (late + at * 7 * 10**9) * (late > 0))
        for at, one in enumerate(DATA)
    ]
    run = made(data)
    run.run()
    rows = replays.rows(run)
    for instant in run.equity_at[: run.instants : 10].tolist():
        cut, horizon = cuts.known(data, instant)
        again = replays.run(made, cut)
        ours, theirs = replays.comparable(rows, horizon), replays.comparable(replays.rows(again.kernel), horizon)
        assert np.array_equal(ours, theirs)
        # What is decided at the horizon itself is compared.
        decided = rows[(rows[:, 0] == log.ORDER) & (rows[:, 1] < horizon.until)]
        assert len(ours) >= len(decided)
