import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pytest

from support import engine_runs, made_rules
from tradeplane_engine import errors, rules, sweep
from tradeplane_engine.core import costs, kernel, limits, risk, table, venue_settings
from tradeplane_engine.data import series

SETTINGS = sweep.Settings(cash=engine_runs.CASH, commission_bps=Fraction(1), limits=engine_runs.LOOSE)
SETS = sweep.grid(fast=(3, 5, 8), slow=(13, 21, 34))


def cross(fast: int, slow: int) -> rules.Rule:
    """A family of two windows."""
    return rules.when(slow * rules.sum("close", fast) > fast * rules.sum("close", slow)).hold(shares=100)


def event_run(
    data: list[series.Series], rule: rules.Rule | rules.Function, settings: sweep.Settings, *, columns: bool = False
) -> kernel.Kernel:
    """The event engine's run: the rule at every bar, or (compiled mode) a followed column."""
    policy = risk.Policy("sweep", settings.limits)
    charges = costs.Costs(half_spread_bps=settings.half_spread_bps, commission_bps=settings.commission_bps)
    venue = venue_settings.Venue(latency=settings.latency)
    run = kernel.Kernel(table.Table(data), charges, settings.cash, policy, venue)
    strategy = rules.ColumnStrategy(rule) if columns or isinstance(rule, rules.Function) else rules.RuleStrategy(rule)
    run.add("sweep", strategy, settings.cash, policy)
    run.run()
    return run


def compare(data: list[series.Series], rule: rules.Rule | rules.Function, settings: sweep.Settings) -> sweep.Outcome:
    """Hold a configuration's result and log to those of both event runs; return it."""
    ends = np.array([engine_runs.START + minutes * engine_runs.MINUTE for minutes in (0, 30, 31, 77, 200, 9999)])
    bars = table.Table(data)
    outcome = sweep.evaluate(bars, [rule], settings, ends)[0]
    digest = sweep.log_of(bars, rule, settings).digest({"x": 1})
    for columns in (False, True):
        run = event_run(data, rule, settings, columns=columns)
        ledger = run.account.book.ledger
        waiting = sum(not order.ended for order in run.orders)
        expected = (ledger.equity(), ledger.fees, ledger.fills, len(run.orders), waiting)
        assert expected == (outcome.equity, outcome.fees, outcome.fills, outcome.orders, outcome.open_orders)
        assert run.log.digest({"x": 1}) == digest
        at = np.searchsorted(run.equity_at[: run.instants], ends, "right")
        curve = np.concatenate(([settings.cash], run.equity[: run.instants]))[at]
        assert curve.tolist() == outcome.curve.tolist()
    return outcome


@pytest.mark.parametrize("seed", range(30))
def test_three_modes_give_one_result(seed: int) -> None:
    """A random rule has the same money, counts, curve and log in the event engine, compiled and in a sweep."""
    outcome = compare(made_rules.data(seed), made_rules.rule(seed), SETTINGS)
    assert outcome.reason == ""


@pytest.mark.parametrize("seed", range(8))
def test_three_modes_agree_with_a_spread_and_odd_rates(seed: int) -> None:
    """Prices moved by half a spread and fees that must be rounded are the same in all modes."""
    settings = dataclasses.replace(SETTINGS, commission_bps=Fraction(7, 3), half_spread_bps=Fraction(13, 10))
    assert compare(made_rules.data(seed), made_rules.rule(seed), settings).reason == ""


@numba.njit  # type: ignore[untyped-decorator]
def crossed(close: npt.NDArray[np.int64], fast: int, slow: int, shares: int) -> npt.NDArray[np.int64]:
    """The crossing with running sums."""
    found = np.zeros(len(close), dtype=np.int64)
    fast_sum = slow_sum = 0
    for row in range(len(close)):
        fast_sum += close[row] - (close[row - fast] if row >= fast else 0)
        slow_sum += close[row] - (close[row - slow] if row >= slow else 0)
        if row >= slow - 1 and slow * fast_sum > fast * slow_sum:
            found[row] = shares
    return found


def kernel_of_numba(bars: rules.Bars, fast: int, slow: int) -> npt.NDArray[np.int64]:
    """A user's kernel."""
    shares: npt.NDArray[np.int64] = crossed(bars.close, fast, slow, 100)
    return shares


def test_a_kernel_of_numba_is_its_rule_in_every_mode() -> None:
    """Money, counts, curve and log are those of the rule that says the same; its identity is that of its source."""
    data = made_rules.data(3)
    function = rules.Function(kernel_of_numba, {"fast": 5, "slow": 21})
    found = compare(data, function, SETTINGS)
    assert (found.reason, found.fills > 0) == ("", True)
    rule = rules.when(21 * rules.sum("close", 5) > 5 * rules.sum("close", 21)).hold(shares=100)
    bars = table.Table(data)
    logs = [sweep.log_of(bars, one, SETTINGS).digest({}) for one in (function, rule)]
    assert logs[0] == logs[1]
    assert function.identity() == rules.Function(kernel_of_numba, {"fast": 5, "slow": 21}).identity()
    assert function.identity() != rules.Function(kernel_of_numba, {"fast": 5, "slow": 22}).identity()


def test_an_order_on_the_last_row_stays_open() -> None:
    """A target that first appears on a symbol's last row is an order without a fill, in every mode."""
    bars = engine_runs.walk("S", 40, seed=1)
    function = rules.Function(lambda one: np.where(np.arange(len(one.close)) == len(one.close) - 1, 5, 0))
    outcome = compare([bars], function, SETTINGS)
    assert (outcome.fills, outcome.orders, outcome.open_orders) == (0, 1, 1)


def test_a_target_across_zero_takes_two_turns() -> None:
    """From long to short in one row: the position closes at the next open and reverses at the one after."""
    bars = engine_runs.walk("S", 6, seed=1)
    function = rules.Function(lambda _: np.array([5, 5, -7, -7, -7, -7]))
    outcome = compare([bars], function, SETTINGS)
    rows = sweep.log_of(table.Table([bars]), function, SETTINGS).rows()
    filled = rows[rows[:, 0] == 3]
    assert outcome.fills == 3
    assert filled[:, 1].tolist() == bars.start[[1, 3, 4]].tolist()
    assert (filled[:, 5] // 10**9).tolist() == [5, -5, -7]


def tight(name: str) -> limits.Limits:
    """Loose limits but one, which binds."""
    values = {
        "max_notional": 10**9,
        "max_quantity": 50 * 10**9,
        "max_open_orders": 1,
        "max_weight": Fraction(1, 10**6),
        "max_position_notional": 10**9,
        "max_gross": Fraction(1, 10**6),
        "max_net": Fraction(1, 10**6),
        "max_positions": 1,
        "max_concentration": Fraction(1, 10**9),
        "max_daily_loss": Fraction(1, 10**6),
        "max_drawdown": Fraction(1, 10**6),
        "max_consecutive_losses": 2,
        "max_bar_age": 1,
    }
    apart = {"max_gross": ("max_weight", "max_net"), "max_drawdown": ("max_daily_loss",)}  # may not exceed the other
    changes: dict[str, Any] = dict.fromkeys(apart.get(name, ()))
    return dataclasses.replace(engine_runs.LOOSE, **changes, **{name: values[name]})


@pytest.mark.parametrize(
    "name",
    [
        *(
            "max_notional",
            "max_quantity",
            "max_open_orders",
            "max_weight",
            "max_position_notional",
            "max_gross",
            "max_net",
        ),
        *("max_positions", "max_concentration", "max_daily_loss", "max_drawdown", "max_consecutive_losses"),
    ],
)
def test_a_limit_that_binds_is_named_and_run_by_the_event_engine(name: str) -> None:
    """Where a limit could bind the event engine runs the configuration, with the result of the rule at every bar."""
    outcome = compare(made_rules.data(2), cross(3, 13), dataclasses.replace(SETTINGS, limits=tight(name)))
    assert outcome.reason == name


@pytest.mark.parametrize(
    "change,reason",
    [
        ({"limits": dataclasses.replace(engine_runs.LOOSE, allow_short=False)}, "allow_short"),
        ({"latency": 1}, "latency of 1 ns"),
        ({"latency": 10 * engine_runs.MINUTE}, "latency of"),
        ({"cash": 2**62 - 1}, "money near 64 bits"),
    ],
)
def test_what_the_kernel_cannot_express_is_named(change: dict[str, object], reason: str) -> None:
    """Shorts that are not allowed, latency and money near its bound go to the event engine, by name."""
    rule = rules.when(rules.change("close", 3) > 0).hold(shares=10, otherwise=-10)
    outcome = compare(made_rules.data(4), rule, dataclasses.replace(SETTINGS, **change))  # type: ignore[arg-type]
    assert outcome.reason.startswith(reason)


def test_an_empty_symbol_before_others_changes_nothing() -> None:
    """Its first row is nobody's: the last bars of the others are still held to each other."""
    empty, single = engine_runs.walk("E", 0, seed=1), engine_runs.walk("S", 1, seed=1)
    assert compare([empty, single], made_rules.rule(1), SETTINGS).reason == ""
    bars = engine_runs.walk("S", 3, seed=1)
    known = bars.available_at.copy()
    known[1] += 2 * engine_runs.MINUTE
    known[2] = known[1] + 1
    late = dataclasses.replace(bars, available_at=known)
    reasons = {
        sweep.evaluate(table.Table(data), [made_rules.rule(1)], SETTINGS, known)[0].reason
        for data in ([late], [empty, late])
    }
    assert len(reasons) == 1
    assert reasons != {""}


def test_bars_that_overlap_are_named() -> None:
    """A bar that opens before the last one is known cannot fill at its symbol's next row: the event engine decides."""
    bars = engine_runs.walk("SLOW", 80, seed=1)
    late = dataclasses.replace(bars, available_at=bars.end + 3 * engine_runs.MINUTE)
    outcome = compare([engine_runs.walk("S", 80, seed=2), late], cross(3, 13), SETTINGS)
    assert outcome.reason == "a bar of SLOW that opens before the last is known"


def test_a_sweep_gives_each_configuration_its_own_result(tmp_path: Path) -> None:
    """Columns of a sweep are the event engine's results in the order of the sets, alone or in two processes."""
    data = made_rules.data(6)
    done: list[sweep.Progress] = []
    one = sweep.Sweep(data, cross, SETS, SETTINGS).run(progress=done.append)
    assert [
        event_run(data, cross(**each), SETTINGS).account.book.ledger.equity() for each in SETS
    ] == one.equity.tolist()
    assert one.parameters == {"fast": [3, 3, 3, 5, 5, 5, 8, 8, 8], "slow": [13, 21, 34] * 3}
    assert (one.trials, done) == (9, [sweep.Progress(9, 0, 9)])
    assert len(list(tmp_path.iterdir())) == 0


def test_workers_change_nothing() -> None:
    """Two worker processes give the columns of one process."""
    data, sets = made_rules.data(7), sweep.grid(fast=tuple(range(2, 12)), slow=(13, 21, 34, 40))
    ends = np.array([engine_runs.START + 90 * engine_runs.MINUTE])
    runs = [sweep.Sweep(data, cross, sets, SETTINGS, ends=ends).run(workers=workers) for workers in (1, 2)]
    assert runs[0].equity.tolist() == runs[1].equity.tolist()
    assert runs[0].curves.tolist() == runs[1].curves.tolist()
    assert len(set(runs[0].equity.tolist())) > 20


def counted(family: Callable[..., rules.Rule], calls: list[int]) -> Callable[..., rules.Function]:
    """A family of functions that counts how often columns are computed."""

    def made(fast: int, slow: int) -> rules.Function:
        def function(bars: object, *, fast: int, slow: int) -> object:
            calls.append(fast)
            one = table.Table([series.Series(**{name: getattr(bars, name) for name in FIELDS}, digits=4)])
            return rules_wish(family(fast, slow), one)

        return rules.Function(function, {"fast": fast, "slow": slow}, version="1")  # type: ignore[arg-type]

    return made


FIELDS = ("symbol", "start", "end", "available_at", "open", "high", "low", "close", "volume")


def rules_wish(rule: rules.Rule, bars: table.Table) -> object:
    """Target of a rule per row."""
    from tradeplane_engine.rules import columns  # noqa: PLC0415 - one use

    return columns.wish(rule, bars)[0]


def test_the_same_configuration_never_runs_twice(tmp_path: Path) -> None:
    """A second sweep takes what is known from the cache, runs only what is new, and counts all trials."""
    data, calls = [engine_runs.walk("S", 120, seed=1)], []
    family = counted(cross, calls)
    first = sweep.Sweep(data, family, SETS[:6], SETTINGS, cache=tmp_path).run()
    assert len(calls) == 6
    seen: list[sweep.Progress] = []
    second = sweep.Sweep(data, family, SETS, SETTINGS, cache=tmp_path).run(progress=seen.append)
    assert len(calls) == 9
    assert second.equity.tolist()[:6] == first.equity.tolist()
    assert (first.trials, second.trials, seen) == (6, 9, [sweep.Progress(9, 6, 9)])


@pytest.mark.parametrize(
    "other",
    [
        lambda data, settings: (data, dataclasses.replace(settings, commission_bps=Fraction(2))),
        lambda data, settings: (data, dataclasses.replace(settings, limits=tight("max_gross"))),
        lambda data, settings: ([dataclasses.replace(data[0], open=data[0].open + 1)], settings),
        lambda data, settings: ([dataclasses.replace(data[0], symbol="T")], settings),
    ],
)
def test_other_data_and_settings_are_other_results(other: Callable[..., tuple[object, object]], tmp_path: Path) -> None:
    """A cached result is not used for other prices, symbols, costs or limits."""
    data, calls = [engine_runs.walk("S", 120, seed=1)], []
    sweep.Sweep(data, counted(cross, calls), SETS[:1], SETTINGS, cache=tmp_path).run()
    before = len(calls)
    changed, settings = other(data, SETTINGS)
    sweep.Sweep(changed, counted(cross, calls), SETS[:1], settings, cache=tmp_path).run()  # type: ignore[arg-type]
    assert len(calls) > before


def test_a_killed_sweep_goes_on_where_it_was(tmp_path: Path) -> None:
    """Chunks that were finished before a kill are not run again, and a torn last line is run anew."""
    code = """
import os, pathlib, sys
from support import engine_runs
from test_engine_sweep import SETTINGS, cross
from tradeplane_engine import sweep
sets = sweep.grid(fast=tuple(range(2, 12)), slow=tuple(range(13, 21)))
def killed(progress):
    if progress.done >= 64:
        os._exit(9)
data = [engine_runs.walk("S", 150, seed=1)]
sweep.Sweep(data, cross, sets, SETTINGS, cache=pathlib.Path(sys.argv[1])).run(progress=killed)
"""
    path = os.pathsep.join([*sys.path, str(Path(__file__).parent)])
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env={**os.environ, "PYTHONPATH": path}, check=False
    )
    assert done.returncode == 9
    (file,) = tmp_path.iterdir()
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 64
    file.write_bytes(b"".join(lines)[:-20])
    sets = sweep.grid(fast=tuple(range(2, 12)), slow=tuple(range(13, 21)))
    data = [engine_runs.walk("S", 150, seed=1)]
    seen: list[sweep.Progress] = []
    resumed = sweep.Sweep(data, cross, sets, SETTINGS, cache=tmp_path).run(progress=seen.append)
    assert seen == [sweep.Progress(80, 63, 80)]
    assert resumed.equity.tolist() == sweep.Sweep(data, cross, sets, SETTINGS).run().equity.tolist()
    again: list[sweep.Progress] = []
    sweep.Sweep(data, cross, sets, SETTINGS, cache=tmp_path).run(progress=again.append)
    assert again == []


def test_a_heat_map_and_its_neighbourhoods() -> None:
    """The matrix has a cell per pair, and stability is the mean and least value of a cell and its neighbours."""
    found = sweep.Sweep([engine_runs.walk("S", 60, seed=1)], cross, SETS, SETTINGS).run()
    values = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9])
    rows, columns, matrix = found.matrix("fast", "slow", values=values)
    assert (rows, columns, matrix.tolist()) == ([3, 5, 8], [13, 21, 34], [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    mean, least = found.stability(values)
    assert (mean[0], least[0]) == ((1 + 2 + 4) / 3, 1)
    assert (mean[4], least[4]) == (5, 2)
    assert found.matrix("fast", "slow")[2][1, 2] == pytest.approx(found.equity[5] * 1e-9)


def test_a_heat_map_needs_every_other_parameter_fixed() -> None:
    """Two configurations in one cell are refused, naming what must be fixed; absent cells are NaN."""
    sets = [{"fast": 3, "slow": 13, "x": 0}, {"fast": 3, "slow": 13, "x": 1}, {"fast": 5, "slow": 21, "x": 0}]
    found = sweep.Sweep(
        [engine_runs.walk("S", 60, seed=1)], lambda fast, slow, x: cross(fast, slow + x), sets, SETTINGS
    ).run()
    with pytest.raises(errors.ValueRefused, match="a value for each of x"):
        found.matrix("fast", "slow")
    assert np.isnan(found.matrix("fast", "slow", fixed={"x": 0})[2]).tolist() == [[False, True], [True, False]]


def test_grids_and_samples() -> None:
    """A grid has every combination in order; a sample is a seeded part of it without repetition."""
    assert sweep.grid(a=(1, 2), b=("x", "y")) == [{"a": a, "b": b} for a in (1, 2) for b in ("x", "y")]
    drawn = sweep.sample(5, seed=3, a=range(10), b=range(10))
    assert (
        drawn == sweep.sample(5, seed=3, a=range(10), b=range(10)) != sweep.sample(5, seed=4, a=range(10), b=range(10))
    )
    assert len({tuple(one.values()) for one in sweep.sample(100, seed=1, a=range(10), b=range(10))}) == 100
    for wrong in ({"a": ()}, {"a": (1, 1)}, {}):
        with pytest.raises(errors.ValueRefused):
            sweep.grid(**wrong)
    with pytest.raises(errors.ValueRefused, match="from 1 to the 4 combinations"):
        sweep.sample(5, seed=1, a=(1, 2), b=(1, 2))


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"cash": 0}, "cash"),
        ({"cash": 1, "latency": -1}, "latency"),
        ({"cash": 1, "commission_bps": Fraction(-1)}, "commission_bps"),
    ],
)
def test_settings_outside_their_limits_are_refused(arguments: dict[str, object], message: str) -> None:
    """Cash, latency and rates that are none are refused by name."""
    with pytest.raises(errors.ValueRefused, match=message):
        sweep.Settings(**arguments)  # type: ignore[arg-type]


def test_a_sweep_refuses_what_it_cannot_take() -> None:
    """Sets of other names, a family that returns no rule, unsorted ends and no workers are refused."""
    data = [engine_runs.walk("S", 60, seed=1)]
    with pytest.raises(errors.ValueRefused, match="fast, slow in every set"):
        sweep.Sweep(data, cross, [SETS[0], {"fast": 1}], SETTINGS)
    with pytest.raises(errors.ValueRefused, match="family"):
        sweep.Sweep(data, lambda fast, slow: fast + slow, SETS, SETTINGS)
    with pytest.raises(errors.ValueRefused, match="ends"):
        sweep.Sweep(data, cross, SETS, SETTINGS, ends=np.array([2, 1]))
    with pytest.raises(errors.ValueRefused, match="workers"):
        sweep.Sweep(data, cross, SETS, SETTINGS).run(workers=0)
