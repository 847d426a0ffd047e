"""Columns that measures accept and refuse, sampling at session closes, and what is undefined."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from support import made_up_run
from tradeplane_engine import errors
from tradeplane_engine.domain import times
from tradeplane_engine.measures import inputs, overfitting, periods, random_entry, registry, resampling, tables, tails

ALWAYS_DEFINED = {"final_equity", "net_profit", "trades", "trade_profit", "traded", "fees", "spread_cost",
                  "slippage_cost", "total_cost"}  # fmt: skip


def test_there_are_at_least_45_measures_each_told_in_words() -> None:
    """Names are unique, and each says unit, meaning and source."""
    assert len(registry.MEASURES) >= 45
    assert len(registry.BY_NAME) == len(registry.MEASURES)
    assert all(one.meaning and one.source and one.unit for one in registry.MEASURES)


def test_nothing_is_undefined_never_zero() -> None:
    """A run without a sample, trade or fill has its capital, zero sums, and nothing else."""
    run = inputs.Run(
        curve=inputs.Curve(np.empty(0, np.int64), np.empty(0), 1000.0),
        trades=inputs.Trades.none(),
        fills=inputs.Fills.none(),
    )
    found = registry.compute(run)
    assert {name for name, value in found.items() if value is not None} == ALWAYS_DEFINED
    assert found["final_equity"] == 1000.0


def test_no_trades() -> None:
    """Every measure of trades but their number and sum is undefined."""
    found = registry.compute(made_up_run.bare(made_up_run.reference_returns()))
    undefined = {one.name for one in registry.MEASURES if one.group == "trade" and found[one.name] is None}
    assert undefined == {one.name for one in registry.MEASURES if one.group == "trade"} - ALWAYS_DEFINED
    assert found["cost_bps"] is None
    assert found["beta"] is None


def test_one_bar() -> None:
    """One return has a total and a quantile, and no spread."""
    found = registry.compute(made_up_run.bare(np.array([0.01])))
    assert found["total_return"] == pytest.approx(0.01)
    for name in ("volatility", "sharpe", "skewness", "kurtosis", "autocorrelation", "var_95_normal", "stability"):
        assert found[name] is None, name


@pytest.mark.parametrize("value", [0.0, 0.001, -0.0005, 1 / 3000])
def test_zero_variance(value: float) -> None:
    """A constant return, which scatters by rounding, has no ratio over its deviation."""
    found = registry.compute(made_up_run.bare(np.full(300, value), np.full(300, 0.0007)))
    for name in ("sharpe", "skewness", "kurtosis", "var_95_cornish_fisher", "probabilistic_sharpe", "beta",
                 "correlation", "information_ratio", "treynor", "alpha"):  # fmt: skip
        assert found[name] is None, name


def test_a_rising_curve_has_no_fall_to_divide_by() -> None:
    """Without a loss Calmar, Sortino, Omega, pain and Martin ratio and recovery are undefined; the drawdown is 0."""
    found = registry.compute(made_up_run.bare(np.array([0.01, 0.02, 0.005])))
    for name in ("calmar", "sortino", "omega", "pain_ratio", "martin_ratio", "recovery_factor", "average_drawdown"):
        assert found[name] is None, name
    assert found["max_drawdown"] == 0.0


def test_a_fall_that_lasts_has_no_recovery() -> None:
    """Its length runs to the last sample."""
    found = registry.compute(made_up_run.bare(np.array([0.01, -0.05, 0.01, 0.01])))
    assert (found["max_drawdown_duration"], found["max_drawdown_recovery"]) == (3, None)


def test_a_fall_from_the_start_counts() -> None:
    """The starting equity is a peak: down 10 %, back after two periods."""
    found = registry.compute(made_up_run.bare(np.array([-0.10, 0.05, 0.10])))
    assert found["max_drawdown"] == pytest.approx(-0.10)
    assert (found["max_drawdown_duration"], found["max_drawdown_recovery"]) == (3, 2)


def test_a_ruined_account_lost_everything_and_no_more() -> None:
    """Equity below zero is a return of -1, later ones are 0, and the money lost is told in full."""
    curve = inputs.Curve(made_up_run.sessions(4), np.array([900.0, -200.0, 300.0, 400.0]), 1000.0)
    run = inputs.Run(curve, inputs.Trades.none(), inputs.Fills.none())
    assert curve.returns().tolist() == pytest.approx([-0.1, -1.0, 0.0, 0.0])
    found = registry.compute(run)
    assert (found["max_drawdown"], found["total_return"], found["net_profit"]) == (-1.0, -1.0, -600.0)
    assert list(tables.by_period(run, "year")) == ["2018"]


def test_only_wins() -> None:
    """Profit factor, payoff and Kelly need a loss."""
    run = dataclasses.replace(made_up_run.bare(np.array([0.01, 0.02])), trades=made_up_run.trades([5.0, 7.0]))
    found = registry.compute(run)
    assert (found["win_rate"], found["longest_losing_run"]) == (1.0, 0)
    assert (found["profit_factor"], found["payoff"], found["kelly"], found["average_loss"]) == (None,) * 4


def test_equal_trades_have_no_system_quality() -> None:
    """A P&L that is the same each time has no deviation to divide by."""
    run = dataclasses.replace(made_up_run.bare(np.array([0.01, 0.02])), trades=made_up_run.trades([0.1] * 7))
    assert registry.compute(run, ["sqn"])["sqn"] is None


def test_a_wild_period_is_undefined_when_annualised() -> None:
    """A growth that no float holds is not infinity."""
    assert registry.compute(made_up_run.bare(np.array([99.0])), ["annual_return"])["annual_return"] is None


def test_sampling_takes_the_last_equity_before_each_close() -> None:
    """Bars at and before a close belong to it, a session without a bar repeats, exposure is the session's mean."""
    hour = times.HOUR
    curve = inputs.Curve(
        at=np.array([1, 2, 3, 9], dtype=np.int64) * hour,
        equity=np.array([10.0, 11.0, 12.0, 13.0]),
        start=10.0,
        gross=np.array([1.0, 0.0, 0.0, 0.5]),
    )
    found = curve.sampled(np.array([0, 3, 6, 10, 12], dtype=np.int64) * hour)
    assert (found.at // hour).tolist() == [3, 6, 10]
    assert found.equity.tolist() == [12.0, 12.0, 13.0]
    assert found.gross.tolist() == pytest.approx([1 / 3, 0.0, 0.5])
    assert (found.start, found.net) == (10.0, None)


def test_sampling_must_reach_the_end() -> None:
    """Closes that end before the last bar would hide what happened then."""
    curve = made_up_run.curve(np.array([0.01, 0.02]))
    with pytest.raises(errors.ValueRefused, match=r"closes: must be reaching the last sample"):
        curve.sampled(curve.at[:1])


def test_sampled_returns_compound_to_the_same_total() -> None:
    """However an intraday curve is sampled, its total return stays."""
    curve = made_up_run.curve(made_up_run.market(3, 500))
    every_fifth = curve.at[4::5]
    assert np.prod(1 + curve.sampled(every_fifth).returns()) == pytest.approx(np.prod(1 + curve.returns()))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"quantity": np.array([100.0, -1.0])}, r"trades.quantity\[1\]: must be positive, got -1.0"),
        ({"side": np.array([1, 0])}, r"trades.side\[1\]: must be \+1 or -1, got 0"),
        ({"mae": np.array([0.0, 3.0])}, r"trades.mae\[1\]: must be at most 0, got 3.0"),
        ({"pnl": np.array([np.nan, 1.0])}, r"trades.pnl\[0\]: must be finite, got nan"),
        ({"pnl": np.array([1, 2])}, r"trades.pnl: must be of type float64, got 'int64'"),
        ({"bars": np.array([5])}, r"trades.bars: must be of shape \(2,\), got \(1,\)"),
        ({"exit_at": np.array([0, 0])}, r"trades.exit_at\[0\]: must be at or after entry_at"),
    ],
)
def test_a_broken_column_is_named(change: dict[str, np.ndarray], message: str) -> None:
    """The refusal says column, row, limit and value."""
    with pytest.raises(errors.ValueRefused, match=message):
        made_up_run.trades([1.0, 2.0], **change)


def test_a_curve_needs_increasing_time_and_capital() -> None:
    """Equal instants and a start of zero are refused, and so is a benchmark of another length."""
    with pytest.raises(errors.ValueRefused, match=r"curve.at\[1\]: must be strictly increasing"):
        inputs.Curve(np.array([5, 5]), np.array([1.0, 2.0]), 1.0)
    with pytest.raises(errors.ValueRefused, match=r"curve.start: must be a positive amount, got 0"):
        inputs.Curve(np.array([5]), np.array([1.0]), 0.0)
    with pytest.raises(errors.ValueRefused, match=r"benchmark.returns: must be one per sample of the curve, 3, got 2"):
        made_up_run.bare(np.array([0.1, 0.1, 0.1]), np.array([0.1, 0.1]))


def test_an_unknown_measure_is_named() -> None:
    """A typing error is no undefined value."""
    with pytest.raises(errors.ValueRefused, match="sharp"):
        registry.compute(made_up_run.bare(np.array([0.1])), ["sharp"])


def test_periods_follow_the_calendar() -> None:
    """Samples of a month are one period, named by it."""
    found = periods.split(made_up_run.sessions(45), "month")
    assert [(one.name, one.stop - one.first) for one in found] == [("2018-01", 22), ("2018-02", 20), ("2018-03", 3)]


def test_the_same_seed_gives_the_same_intervals() -> None:
    """And another one does not; each interval surrounds what happened here."""
    run = made_up_run.bare(made_up_run.reference_returns(), made_up_run.market(1, 250))
    names = ("sharpe", "volatility", "beta")
    one, two, other = (
        resampling.intervals(run, resampling.Settings(seed=seed, draws=200), names) for seed in (1, 1, 2)
    )
    assert one == two
    assert one != other
    for name, value in registry.compute(run, names).items():
        assert one[name].low < value < one[name].high


def test_bootstrap_blocks_are_consecutive_and_wrap() -> None:
    """With a mean block of 10, nine of ten steps go to the next sample, and the last is followed by the first."""
    drawn = resampling.rows(5000, block=10.0, generator=np.random.default_rng(1))
    following = np.mean((drawn[1:] - drawn[:-1]) % 5000 == 1)
    assert 0.88 < following < 0.92
    assert drawn.min() >= 0
    assert drawn.max() < 5000


def test_an_interval_needs_measures_of_returns() -> None:
    """Trades cannot be drawn with the returns."""
    with pytest.raises(errors.ValueRefused, match="trades"):
        resampling.intervals(made_up_run.bare(np.zeros(5)), resampling.Settings(seed=1), ["trades"])


def random_trades(entry: np.ndarray, prices: np.ndarray) -> inputs.Trades:
    """Trades of one symbol that are held for five bars."""
    count = entry.size
    return made_up_run.trades(
        [1.0] * count,
        symbol=np.array(["AAA"] * count),
        entry_price=prices[entry],
        exit_price=prices[entry + 5],
    )


def test_timing_by_hindsight_is_significant_and_by_chance_is_not() -> None:
    """Entries before the best five bars beat random ones; entries at seeded random bars do not."""
    moves = made_up_run.market(11, 1000)
    prices = 100 * np.cumprod(np.concatenate(([1.0], 1 + moves)))
    gains = prices[5:] / prices[:-5]
    best = random_trades(np.argsort(-gains)[:40], prices)
    chance = random_trades(np.random.default_rng(4).integers(0, gains.size, 40), prices)
    found = random_entry.significance(best, {"AAA": moves}, seed=1, draws=500)
    assert found.p_value == pytest.approx(1 / 501)
    assert 0.05 < random_entry.significance(chance, {"AAA": moves}, seed=1, draws=500).p_value < 0.95
    assert random_entry.significance(best, {"AAA": moves}, seed=1, draws=500) == found


def test_random_entries_need_the_bars() -> None:
    """A symbol without bars, and a trade longer than its bars, are named."""
    trades = made_up_run.trades([1.0])
    with pytest.raises(errors.ValueRefused, match="AAA"):
        random_entry.significance(trades, {}, seed=1)
    with pytest.raises(errors.ValueRefused, match=r"trades.bars: must be at most 3"):
        random_entry.significance(trades, {"AAA": np.zeros(3)}, seed=1)


def test_overfitting_of_noise_and_of_one_real_trial() -> None:
    """Noise ends below the median about half of the time; a trial that is really better never does."""
    generator = np.random.default_rng(3)
    noise = generator.normal(0, 0.01, (480, 20))
    assert 0.2 < overfitting.probability(noise, blocks=10).probability < 0.8
    noise[:, 4] += 0.005
    assert overfitting.probability(noise, blocks=10).probability == 0.0


def test_a_trial_that_never_trades_ranks_as_zero() -> None:
    """A flat column is worse than a gaining and better than a losing one, and nothing is infinite."""
    noise = np.random.default_rng(3).normal(0, 0.001, (80, 1))
    found = overfitting.probability(np.hstack([noise + 0.01, np.zeros((80, 1)), noise - 0.01]), blocks=8)
    assert (found.probability, found.median_logit) == (0.0, pytest.approx(np.log(3)))


@pytest.mark.parametrize("shape, blocks", [((100, 1), 8), ((100, 5), 7), ((10, 5), 8), ((100, 5), 22), ((100,), 8)])
def test_trials_that_cannot_be_split_are_refused(shape: tuple[int, ...], blocks: int) -> None:
    """One trial, an odd number of blocks, and too few rows have no cross-validation."""
    with pytest.raises(errors.ValueRefused):
        overfitting.probability(np.zeros(shape), blocks=blocks)


def test_exceptions_are_counted_against_earlier_periods_only() -> None:
    """A single crash after a calm window is one exception, and does not excuse itself."""
    calm = np.tile([0.001, -0.001], 60)
    calm[100] = -0.10
    assert tails.var_exceptions(calm, window=50) == 1


def test_the_documentation_lists_every_measure() -> None:
    """The table of docs/reference/measures.md is the registry, row by row."""
    text = (Path(__file__).parents[2] / "docs" / "reference" / "measures.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{one.name}` | {one.group} | {one.unit} | {one.meaning} | {one.source} | {'yes' if one.redrawn else ''} |"
        for one in registry.MEASURES
    ]
