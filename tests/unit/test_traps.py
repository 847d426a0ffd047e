"""The traps that backtesting engines fall into, each with the tests that would catch it.

:data:`TRAPS` lists them all, in the order of the field's list of them; where a test elsewhere proves one it is named
there, and the rest is below. A golden scenario is named by ``golden:`` and its name.
"""

import ast
import functools
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from support import engine_orders, engine_runs, scenarios
from support.scenarios import making, signals
from tradeplane_engine import simulation
from tradeplane_engine.core import costs, log
from tradeplane_engine.domain import numbers
from tradeplane_engine.venue import actions

ROOT = Path(__file__).parents[1]
TRAPS: dict[str, tuple[str, ...]] = {
    "fill at the signal bar's close": (
        "unit/test_core_market_orders.py::test_a_market_order_fills_at_the_next_open_by_default",
        "unit/test_core_market_orders.py::test_no_fill_is_before_decision_and_latency",
        "unit/test_detectors_fills.py::test_a_fill_at_the_deciding_close_is_stale_unless_it_is_allowed",
    ),
    "indicator sees the future": (
        "unit/test_engine_indicators.py::test_a_value_does_not_depend_on_later_rows_or_on_the_chunks",
        "unit/test_detectors_cheats.py::test_a_function_that_reads_other_windows_is_caught",
        "unit/test_detectors_cheats.py::test_a_single_look_at_the_last_bar_is_caught_by_the_audit",
    ),
    "warm-up off by one": (
        "unit/test_traps.py::test_the_first_decision_is_at_the_first_defined_bar",
        "unit/test_core_oracle.py::test_a_run_equals_the_integer_oracle",
        "unit/test_engine_indicators.py::test_the_first_defined_row_is_the_warm_up_of_the_spec",
    ),
    "stale price fill": (
        "unit/test_traps.py::test_a_burst_of_another_symbol_fills_nothing_of_this_one",
        "unit/test_core_market_orders.py::test_an_order_never_fills_on_a_bar_that_began_before_it",
        "unit/test_core_gate.py::test_the_age_of_the_last_bar_is_bounded",
        "unit/test_detectors_fills.py::test_every_fill_of_a_real_run_stands",
    ),
    "stop and target in one bar": (
        "unit/test_core_paths.py::test_stop_and_target_in_one_bar_are_decided_by_the_path_policy",
        "unit/test_core_paths.py::test_every_path_lies_between_worst_and_best",
        "golden:bracket_path_worst",
        "golden:bracket_path_adaptive",
    ),
    "stop exactly at its price through a gap": (
        "unit/test_core_limits_and_stops.py::test_a_stop_fills_at_its_price_or_at_a_worse_open",
        "unit/test_core_limits_and_stops.py::test_a_trailing_stop_gaps_like_a_stop",
    ),
    "limit filled by touch": (
        "unit/test_core_limits_and_stops.py::test_a_limit_fills_through_by_touch_or_at_a_gap",
        "unit/test_traps.py::test_limits_that_a_touch_fills_are_more_than_those_that_are_gone_through",
    ),
    "partial fills, cumulative against incremental quantity": (
        "unit/test_core_life_cycle.py::test_any_interleaving_keeps_filled_and_open_and_the_books",
        "unit/test_core_market_orders.py::test_a_participation_cap_fills_part_by_part_and_carries_the_rest_over",
    ),
    "lost, duplicated, late or reordered fill events": (
        "integration/test_gateway_faults.py::test_fills_are_booked_exactly_once_whatever_the_stream_does",
        "integration/test_gateway_faults.py::test_a_difference_is_listed_never_overwritten_and_stops_trading",
    ),
    "ambiguous order submit": (
        "integration/test_gateway_faults.py::test_an_order_that_never_arrived_is_unseen_and_not_sent_again",
        "integration/test_gateway_faults.py::test_a_gateway_killed_anywhere_sends_at_most_once",
    ),
    "fees rounded or missed": (
        "unit/test_venue_fees.py::test_the_sec_rate_changes_with_the_day",
        "unit/test_venue_fees.py::test_fees_of_a_day_are_summed_before_they_are_rounded_up",
        "unit/test_venue_settlement.py::test_a_short_pays_for_its_borrow",
        "unit/test_core_exact.py::test_a_fee_is_rounded_once",
    ),
    "money in floats, price precision cut": (
        "unit/test_traps.py::test_sub_penny_prices_and_nine_decimals_come_back_as_they_went_in",
        "unit/test_engine_readers.py::test_every_decimal_of_four_digits_is_exact",
        "unit/test_core_ledger.py::test_cash_and_positions_are_the_sums_of_the_fills",
        "golden:sub_penny_prices",
    ),
    "time zones, DST, bar label open or close": (
        "unit/test_engine_readers.py::test_a_bar_ends_one_timeframe_after_its_start_and_is_known_after_the_delay",
        "unit/test_engine_readers.py::test_a_time_that_could_mean_two_things_is_refused",
        "golden:week_in_which_clocks_change",
        "golden:bars_known_late",
    ),
    "holidays, early closes, auctions": (
        "golden:half_day_before_a_holiday",
        "unit/test_core_sessions.py::test_an_opg_order_fills_only_at_the_first_open_of_a_session",
        "unit/test_core_sessions.py::test_a_cls_order_without_a_bar_that_reaches_the_close_expires",
        "unit/test_core_sessions.py::test_bars_outside_of_sessions_fill_nothing",
    ),
    "splits and dividends inside a position, open orders across a split": (
        "unit/test_core_corporate_actions.py::test_equity_is_continuous_across_a_split",
        "unit/test_core_corporate_actions.py::test_equity_is_continuous_across_a_dividend_once_it_is_paid",
        "unit/test_core_corporate_actions.py::test_a_split_day_begins_when_the_bar_before_has_acted",
        "unit/test_core_corporate_actions.py::test_a_dividend_is_owed_on_the_ex_date_and_paid_on_the_pay_date",
        "unit/test_core_corporate_actions.py::test_a_short_pays_the_dividend",
        "unit/test_real_data_buy_and_hold.py::test_a_holder_gets_every_split_and_dividend",
    ),
    "back-adjusted history leaks the future": (
        "unit/test_traps.py::test_a_later_action_changes_nothing_before_it",
        "unit/test_engine_features.py::test_a_later_split_does_not_change_an_earlier_row",
    ),
    "survivorship, ticker reuse": (
        "unit/test_core_corporate_actions.py::test_a_delisting_ends_the_position_at_its_price",
        "unit/test_core_corporate_actions.py::test_bars_of_the_old_name_from_the_rename_on_are_somebody_elses",
        "golden:delisting_without_value",
    ),
    "restatements": (
        "unit/test_market_data_minutes.py::test_a_revision_replaces_and_a_second_bar_does_not",
        "integration/test_simulator_data.py::test_a_bar_is_unknown_until_its_publication",
    ),
    "halts and limit-up/-down": (
        "unit/test_core_sessions.py::test_a_halt_fills_nothing_and_the_reopening_bar_does",
        "unit/test_core_sessions.py::test_a_close_inside_a_halt_fills_nothing",
        "golden:states_come_and_go",
    ),
    "orders in flight at the end of a run": (
        "unit/test_core_market_orders.py::test_a_market_order_on_the_last_bar_stays_open_and_is_reported",
        "golden:orders_left_at_the_end",
    ),
    "shared account, many strategies": (
        "unit/test_engine_simulation.py::test_sub_ledgers_add_up_to_the_account_at_every_step",
        "golden:two_strategies_on_opposite_sides",
        "golden:dividend_and_split_reach_every_strategy",
    ),
    "optimisation state leaks between runs": (
        "unit/test_traps.py::test_runs_in_any_order_and_any_number_have_the_same_hashes",
        "unit/test_core_life_cycle.py::test_the_same_run_twice_has_one_hash",
        "unit/test_engine_sweep.py::test_workers_change_nothing",
    ),
    "overfitting by search": (
        "unit/test_measures_golden.py::test_deflated_sharpe",
        "unit/test_measures_golden.py::test_probability_of_overfitting",
        "unit/test_measures_properties.py::test_more_trials_never_raise_the_deflated_ratio",
    ),
    "model and feature skew between training and serving": (
        "unit/test_engine_features.py::test_the_newest_row_alone_has_the_bits_of_the_batch",
        "unit/test_engine_indicators.py::test_live_has_the_bits_of_history",
    ),
}


@functools.cache
def _tests_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (one for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(one.name for one in functions if one.name.startswith("test_"))


@pytest.mark.parametrize("trap", TRAPS)
def test_every_trap_has_a_test_that_exists(trap: str) -> None:
    """A test that was renamed or dropped leaves its trap open."""
    for name in TRAPS[trap]:
        file, _, test = name.partition("::")
        if name.startswith("golden:"):
            assert name.removeprefix("golden:") in scenarios.ALL
        else:
            assert test in _tests_of(ROOT / file), name
    assert len(TRAPS) == 24


def test_the_first_decision_is_at_the_first_defined_bar() -> None:
    """A window of 8 is defined at the eighth bar; prices that rise from the first on buy there, and not a bar later."""
    data = making.bars(*[str(100 + number) for number in range(12)])
    case = making.run(data, signals.Cross)
    (first, *_) = case.prepare().run().log.tolist()
    assert (first[0], first[1]) == (log.ORDER, int(data.end[7]))


def test_a_burst_of_another_symbol_fills_nothing_of_this_one() -> None:
    """Fifty bars of another symbol come before this one's next bar: its order waits for its own price."""
    quiet = engine_orders.bars(*engine_orders.flat(100, 1), *engine_orders.flat(200, 1), minutes=[0, 60])
    busy = engine_orders.bars(*engine_orders.flat(7, 59), symbol="B")
    _, script = engine_orders.run([quiet, busy], {("S", 0): lambda ctx: ctx.order("S", "buy", 1)})
    assert script.fills == [(1, 60.0, 1.0, 200)]


def test_limits_that_a_touch_fills_are_more_than_those_that_are_gone_through() -> None:
    """Every order that a price gone through fills is filled by a touch too, not later, and some only by the touch."""
    more = 0
    for seed in range(8):
        data = making.walk("S", 60, seed)
        plan: engine_orders.Plan = {
            number: functools.partial(_at_a_price_that_comes, data, number) for number in range(0, 58, 3)
        }
        filled: dict[str, dict[int, float]] = {}
        for rule in ("touch", "through"):
            _, script = engine_orders.run(data, plan, limit_rule=rule)
            filled[rule] = {number: minute for number, minute, *_ in script.fills}
        assert all(filled["touch"][number] <= minute for number, minute in filled["through"].items())
        more += len(filled["touch"]) - len(filled["through"])
    assert more > 0


def _at_a_price_that_comes(data: Any, number: int, ctx: Any) -> Any:
    """Rest at the low that the next bars will touch, so that the rule matters."""
    low = int(data.low[number + 1 : number + 4].min())
    return ctx.order("S", "buy", 1, "limit", "gtc", limit=min(low, int(data.close[number])))


def test_sub_penny_prices_and_nine_decimals_come_back_as_they_went_in() -> None:
    """Price and quantity of a fill have every digit of the bar and of the order, as text."""
    data = making.bars("1.000000001", "1.000000007", "1.000000003", digits=9)
    what = making.plan({0: lambda ctx: ctx.order("S", "buy", Decimal("0.123456789"))})
    fills = making.run(data, what, digits=9).prepare().run().frame("fills", numbers="text")
    assert (fills["price"][0], fills["quantity"][0]) == ("1.000000007", "0.123456789")


@pytest.mark.parametrize(
    "later",
    [actions.Split("A", making.minute(30), 3, 1), actions.Dividend("A", making.minute(30), numbers.Money(10**9))],
)
def test_a_later_action_changes_nothing_before_it(later: actions.Action) -> None:
    """What a run does before an action is the same whether the action will come or not."""
    data = making.walk("A", 40, seed=6)
    plain, told = (
        making.run(data, signals.Cross, actions=given).prepare().run().log.tolist() for given in ((), (later,))
    )
    before = [row for row in plain if row[1] < later.at]
    assert before == [row for row in told if row[1] < later.at]
    assert len(before) > 4


def test_runs_in_any_order_and_any_number_have_the_same_hashes() -> None:
    """Nothing of a run, and nothing of a strategy's class, is left for the next one."""
    data = engine_runs.walk("S", 200, seed=9)
    charged = costs.Costs(commission_bps=Fraction(1))
    runs = {
        fast: simulation.Backtest(data, signals.Cross, parameters={"fast": fast}, costs=charged, examine=False)
        for fast in (2, 3, 5)
    }
    first = {fast: one.run().hash for fast, one in runs.items()}
    again = {fast: runs[fast].run().hash for fast in (5, 2, 3, 2)}
    assert first == again
    assert len(set(first.values())) == 3
