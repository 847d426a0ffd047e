"""What must hold for any series: scaling, order, bounds, and sums of parts."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import made_up_run
from tradeplane_engine.measures import (
    activity,
    drawdowns,
    execution,
    inputs,
    registry,
    relative,
    resampling,
    returns,
    rolling,
    sharpe,
    tables,
    tails,
    trading,
)

RETURNS = st.lists(st.floats(-0.2, 0.2).map(lambda value: round(value, 6)), min_size=3, max_size=60).map(np.array)
PROFITS = st.lists(st.integers(-500, 500).map(float), min_size=1, max_size=40)


@given(RETURNS, st.floats(0.1, 3))
def test_risk_scales_with_the_returns(values: inputs.FloatArray, factor: float) -> None:
    """Deviation, VaR and ES of k times the returns are k times as large; Sharpe and skew do not move."""
    for formula in (returns.deviation, tails.var_linear, tails.var_order, tails.es, tails.var_normal, tails.es_normal):
        assert formula(values * factor) == pytest.approx(formula(values) * factor, rel=1e-9, abs=1e-15)
    if returns.varying(values) is not None:
        for ratio in (lambda one: returns.sharpe(one, 252), returns.skewness, returns.kurtosis):
            assert ratio(values * factor) == pytest.approx(ratio(values), rel=1e-6, abs=1e-9)


@given(RETURNS, st.randoms(use_true_random=False))
def test_what_ignores_order_does_not_move_with_it(values: inputs.FloatArray, random: object) -> None:
    """A permutation changes no moment, quantile or total return."""
    shuffled = values.tolist()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    other = np.array(shuffled)
    for formula in (returns.total, returns.mean, returns.deviation, tails.var_linear, tails.es):
        assert formula(other) == pytest.approx(formula(values), rel=1e-9, abs=1e-14)
    ratio = returns.omega(values)
    assert returns.omega(other) == (None if ratio is None else pytest.approx(ratio, rel=1e-9))


@given(RETURNS)
def test_drawdown_is_bounded(values: inputs.FloatArray) -> None:
    """It lies in [-1, 0], is 0 at a new peak, and its mean, root mean square and maximum are ordered."""
    wealth = np.cumprod(1 + values)
    found = drawdowns.series(wealth)
    assert (found <= 0).all()
    assert (found >= -1).all()
    assert found[np.argmax(wealth)] == 0 or wealth.max() < 1
    pain, ulcer, deepest = drawdowns.pain(found), drawdowns.ulcer(found), -found.min()
    assert pain <= ulcer * (1 + 1e-12)
    assert ulcer <= deepest * (1 + 1e-12)


@given(RETURNS)
def test_falls_cover_what_is_under_water(values: inputs.FloatArray) -> None:
    """Each sample below its peak lies in exactly one fall, whose depth is the lowest of them."""
    found = drawdowns.series(np.cumprod(1 + values))
    falls = drawdowns.episodes(found)
    covered = [
        row for fall in falls for row in range(fall.peak + 1, fall.last + 1 if fall.recovery is None else fall.recovery)
    ]
    assert covered == np.flatnonzero(found < 0).tolist()
    assert min((fall.depth for fall in falls), default=0.0) == found.min()


@given(RETURNS)
def test_expected_shortfall_is_at_least_value_at_risk(values: inputs.FloatArray) -> None:
    """The mean beyond a quantile is no smaller loss than the quantile."""
    assert tails.es(values) >= tails.var_order(values) - 1e-12
    assert tails.es_tail_mean(values) >= tails.var_order(values) - 1e-12


@given(RETURNS)
def test_a_run_against_itself(values: inputs.FloatArray) -> None:
    """Beta and correlation are 1, alpha and active return 0, both captures 1."""
    run = made_up_run.bare(values, values)
    found = registry.compute(run, ("beta", "correlation", "alpha", "up_capture", "down_capture", "information_ratio"))
    if returns.varying(values) is not None:
        assert found["beta"] == pytest.approx(1, rel=1e-9)
        assert found["correlation"] == pytest.approx(1, rel=1e-9)
        assert found["alpha"] == pytest.approx(0, abs=1e-9)
    assert found["up_capture"] == (pytest.approx(1, rel=1e-6) if (values > 0).any() else None)
    assert found["down_capture"] == (pytest.approx(1, rel=1e-6) if (values < 0).any() else None)
    assert found["information_ratio"] is None


@given(RETURNS, st.floats(0.2, 3), st.floats(-0.001, 0.001))
def test_beta_and_alpha_of_a_line(values: inputs.FloatArray, slope: float, shift: float) -> None:
    """A run that is a line of its benchmark has that slope and intercept."""
    if returns.varying(values) is None:
        return
    own = slope * values + shift
    assert relative.beta(own, values) == pytest.approx(slope, rel=1e-6)
    assert relative.alpha(own, values, 252) == pytest.approx(shift * 252, abs=1e-9)


@given(PROFITS)
def test_trade_measures_agree_with_each_other(pnl: list[float]) -> None:
    """Expectancy is count-weighted wins and losses; profit factor is payoff times wins over losses."""
    trades = made_up_run.trades(pnl)
    wins, losses = sum(value > 0 for value in pnl), sum(value < 0 for value in pnl)
    rebuilt = wins * (trading.average_win(trades) or 0.0) + losses * (trading.average_loss(trades) or 0.0)
    assert trading.expectancy(trades) == pytest.approx(rebuilt / len(pnl), abs=1e-9)
    if wins and losses:
        assert trading.profit_factor(trades) == pytest.approx(trading.payoff(trades) * wins / losses)
    runs = "".join("w" if value > 0 else "l" if value < 0 else "s" for value in pnl)
    assert trading.longest_losing_run(trades) == max(map(len, runs.replace("s", "w").split("w")))
    assert trading.longest_winning_run(trades) == max(map(len, runs.replace("s", "l").split("l")))


@given(PROFITS, st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_reordered_trades_end_where_they_ended(pnl: list[float], seed: int) -> None:
    """A permutation keeps the final equity, and its drawdown lies between none and all losses in a row."""
    found = resampling.reorder(np.array(pnl), start=100_000.0, seed=seed, draws=20)
    assert found.final.low == pytest.approx(100_000 + sum(pnl))
    assert found.final.high == pytest.approx(100_000 + sum(pnl))
    assert sum(value for value in pnl if value < 0) / 100_000 - 1e-12 <= found.worst <= found.median <= 0


@given(RETURNS)
def test_kupiec_is_smallest_at_the_promised_rate(values: inputs.FloatArray) -> None:
    """The likelihood ratio is never negative and 0 where exceptions came as promised."""
    count = values.size * 10
    assert tails.kupiec(periods=count, exceptions=count // 10, tail=0.1).ratio == pytest.approx(0, abs=1e-9)
    for exceptions in (0, count):
        found = tails.kupiec(periods=count, exceptions=exceptions, tail=0.1)
        assert found.ratio > 0
        assert 0 <= found.p_value <= 1


def test_more_trials_never_raise_the_deflated_ratio() -> None:
    """Each further trial asks for more."""
    estimate = sharpe.Estimate(0.1, 1000)
    chances = [sharpe.deflated(estimate, trials=count, variance=0.001) for count in (1, 2, 5, 10, 100, 10_000)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] == sharpe.probabilistic(estimate)


def test_rolling_equals_each_window_alone() -> None:
    """The value at i is the measure of the window that ends there, to the last digits."""
    own, other = made_up_run.market(1, 200), made_up_run.market(2, 200)
    ratio = rolling.sharpe(own, window=30, periods_per_year=252)
    slope = rolling.beta(own, other, window=30)
    spread = rolling.volatility(own, window=30, periods_per_year=252)
    assert np.isnan(ratio[:29]).all()
    for end in range(30, 201, 17):
        window = slice(end - 30, end)
        assert ratio[end - 1] == pytest.approx(returns.sharpe(own[window], 252), rel=1e-12)
        assert slope[end - 1] == pytest.approx(relative.beta(own[window], other[window]), rel=1e-12)
        assert spread[end - 1] == pytest.approx(returns.volatility(own[window], 252), rel=1e-12)


def test_parts_sum_to_the_whole() -> None:
    """Strategies, symbols, years and months hold each trade and each cent of cost once."""
    run = made_up_run.full(count=600, round_trips=150)
    whole = registry.compute(run, ("trades", "trade_profit", "traded"))
    fills = sum(activity.costs(run)[kind] for kind in ("fees", "spread", "slippage"))
    for rows in (
        tables.by_strategy(run),
        tables.by_symbol(run),
        tables.by_period(run, "year"),
        tables.by_period(run, "month"),
    ):
        assert sum(row["trades"] for row in rows.values()) == whole["trades"]
        assert math.fsum(row["trade_profit"] for row in rows.values()) == pytest.approx(whole["trade_profit"])
        assert math.fsum(row["total_cost"] for row in rows.values()) == pytest.approx(fills)


def test_months_compound_to_the_year() -> None:
    """The returns of a year's months give the year's, and those of the years the total."""
    run = made_up_run.full(count=600, round_trips=50)
    months, years = tables.by_period(run, "month"), tables.by_period(run, "year")
    for year, row in years.items():
        product = math.prod(1 + part["total_return"] for name, part in months.items() if name.startswith(year))
        assert product - 1 == pytest.approx(row["total_return"], rel=1e-9)
    total = math.prod(1 + row["total_return"] for row in years.values()) - 1
    assert total == pytest.approx(registry.compute(run, ["total_return"])["total_return"], rel=1e-9)


def test_attribution_sums_to_the_active_return() -> None:
    """Allocation, selection and interaction leave nothing over."""
    generator = np.random.default_rng(5)
    own, other = generator.dirichlet(np.ones(6)), generator.dirichlet(np.ones(6))
    gains, theirs = generator.normal(0, 0.05, (2, 6))
    found = execution.brinson_fachler(weights=own, returns=gains, other_weights=other, other_returns=theirs)
    assert found.total == pytest.approx(float(own @ gains - other @ theirs), rel=1e-12)


def test_spreads_add_up() -> None:
    """Effective spread is realised spread plus impact, and hurts a buyer above the mid."""
    found = execution.spreads(1, 100.03, mid=100.0, later_mid=100.01)
    assert found.effective == pytest.approx(6.0)
    assert found.effective == pytest.approx(found.realised + found.impact)
    assert execution.slippage_bps(-1, 99.95, 100.0) == pytest.approx(5.0)


def test_portfolio_var_parts_sum_to_it() -> None:
    """Component VaR of two assets adds up, and equals the normal VaR of the weighted sum."""
    covariance = np.array([[0.0004, 0.0001], [0.0001, 0.0009]])
    weights, means = np.array([0.6, 0.4]), np.array([0.0002, 0.0005])
    found = tails.portfolio_var(weights, covariance, means)
    assert found.value == pytest.approx(
        1.6448536269514722 * math.sqrt(weights @ covariance @ weights) - weights @ means
    )
    assert found.parts.sum() == pytest.approx(found.value)
