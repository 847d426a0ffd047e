"""Golden values of the quant reference, sections 7, 8 and 9, and of section 4 where a measure uses it."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from support import made_up_run
from tradeplane_engine.measures import (
    drawdowns,
    execution,
    overfitting,
    registry,
    returns,
    sample,
    sharpe,
    tails,
    trading,
)

SERIES = made_up_run.reference_returns()
# Half a unit of the tenth digit, for a number that begins with 1.
TEN_DIGITS = 5e-10

NAMED = {
    "mean_return": 2.479551591e-4,
    "deviation": 7.656033058e-3,
    "skewness": -0.1492020111,
    "kurtosis": 2.829777133,
    "var_95": 0.01297871734,
    "var_95_order": 0.01301740245,
    "es_95": 0.01568770998,
    "es_95_tail_mean": 0.01558500585,
    "var_95_normal": 0.01234509858,
    "es_95_normal": 0.01554424228,
    "var_95_cornish_fisher": 0.01269290336,
    "var_95_ewma": 0.01156306720,
    "var_99_ewma": 0.01635386661,
    "max_drawdown": -0.06520695918,
    "volatility": 0.1215357570,
    "annual_return": 0.05666579762,
    "sharpe": 0.5141260615,
    "sortino": 0.7372167843,
    "calmar": 0.8690145703,
    "omega": 1.084516325,
    "probabilistic_sharpe": 0.6948707991,
}


def test_the_series_is_the_reference_series() -> None:
    """First values and sum are those that the reference prints."""
    assert SERIES[0] == pytest.approx(0.0064)
    assert SERIES[1] == pytest.approx(0.0149189474, abs=1e-10)
    assert SERIES.sum() == pytest.approx(0.06198878977, rel=TEN_DIGITS)


@pytest.mark.parametrize("name", NAMED)
def test_measure_of_the_reference_series(name: str) -> None:
    """The registry gives the golden value, through equity and back to returns."""
    assert registry.compute(made_up_run.bare(SERIES), [name])[name] == pytest.approx(NAMED[name], rel=TEN_DIGITS)


def test_ewma_variance_follows_its_recursion() -> None:
    """The closed sum equals v_t = 0.94 v_{t-1} + 0.06 r_t^2 from v_0 = r_0^2."""
    variance = SERIES[0] ** 2
    for value in SERIES[1:]:
        variance = 0.94 * variance + 0.06 * value**2
    assert tails.ewma_variance(SERIES) == pytest.approx(variance, rel=1e-13)
    assert variance == pytest.approx(4.941873063e-5, rel=TEN_DIGITS)


def test_kupiec() -> None:
    """Six losses beyond a 1 % VaR in 250 days."""
    found = tails.kupiec(periods=250, exceptions=6, tail=0.01)
    assert (found.ratio, found.p_value) == (pytest.approx(3.555355, abs=5e-7), pytest.approx(0.059354, abs=5e-7))


def test_probabilistic_sharpe_with_a_plain_estimate() -> None:
    """PSR from the population's moments and a ratio per period with ddof 1."""
    estimate = sharpe.Estimate.of(SERIES, returns.sharpe(SERIES, 1))
    assert sharpe.probabilistic(estimate) == pytest.approx(0.6948707991, rel=TEN_DIGITS)


def test_minimum_track_record() -> None:
    """An annual ratio of 2 needs 682.797 days to be above 1."""
    estimate = sharpe.Estimate(sharpe=2 / math.sqrt(250), periods=0)
    assert sharpe.minimum_track_record(estimate, 1 / math.sqrt(250)) == pytest.approx(682.797, abs=5e-4)


def test_deflated_sharpe() -> None:
    """The paper's example: annual 2.5 over 1250 days, skew -3, kurtosis 10, annual variance of the trials 0.5."""
    estimate = sharpe.Estimate(sharpe=2.5 / math.sqrt(250), periods=1250, skewness=-3.0, kurtosis=10.0)
    assert sharpe.expected_maximum(100, 0.5 / 250) == pytest.approx(0.113172, abs=5e-7)
    assert sharpe.deflated(estimate, trials=100, variance=0.5 / 250) == pytest.approx(0.900397, abs=5e-7)
    assert sharpe.deflated(estimate, trials=46, variance=0.5 / 250) == pytest.approx(0.950502, abs=5e-7)


@pytest.mark.parametrize("extra, expected, median", [(0.0, 0.914286, -0.693147), (0.003, 0.0, 2.079442)])
def test_probability_of_overfitting(extra: float, expected: float, median: float) -> None:
    """Eight trials in eight blocks: overfitted as they are, and not where one trial is really better."""
    t, k = np.arange(240)[:, None], np.arange(1, 9)[None, :]
    trials = 0.01 * np.sin(1.3 * t * k + 0.7 * k) + 0.006 * np.cos(0.11 * t**2 + k**2)
    trials[:, 2] += extra
    found = overfitting.probability(trials, blocks=8)
    assert (found.logits.size, found.trials) == (70, 8)
    assert found.probability == pytest.approx(expected, abs=5e-7)
    assert found.median_logit == pytest.approx(median, abs=5e-7)


def test_implementation_shortfall() -> None:
    """Buy 1000 decided at 100: delay 100, execution 120, opportunity 100, fees 4; 324 USD are 32.4 bps."""
    order = execution.Order(
        side=1, quantity=1000, filled=800, decision=100.0, arrival=100.1, average=100.25, end=100.6, fees=4.0
    )
    found = execution.shortfall(order)
    assert (found.delay, found.execution, found.opportunity) == (
        pytest.approx(100),
        pytest.approx(120),
        pytest.approx(100),
    )
    assert (found.total, found.bps) == (pytest.approx(324), pytest.approx(32.4))
    whole = 800 * 100.25 + 200 * 100.6 - 1000 * 100.0 + 4.0
    assert found.total == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("rate, payoff", [(0.55, 1.0), (0.4, 2.0)])
def test_kelly(rate: float, payoff: float) -> None:
    """Both bets of the reference stake a tenth."""
    assert trading.kelly_fraction(rate, payoff) == pytest.approx(0.10)


@pytest.mark.parametrize(
    "formula, expected",
    [
        (np.std, 7.640705649e-3),
        (tails.ewma_variance, 4.941873063e-5),
        (lambda s: drawdowns.maximum(drawdowns.series(np.cumprod(1 + s))), -0.06520695918),
    ],
)
def test_formula_of_the_reference_series(formula: Callable[[np.ndarray], float], expected: float) -> None:
    """The same from returns alone."""
    assert formula(SERIES) == pytest.approx(expected, rel=TEN_DIGITS)


def test_a_sample_of_all_rows_is_the_run() -> None:
    """What a bootstrap computes on the rows in their order is what happened."""
    run = made_up_run.full(count=300, round_trips=50)
    same = sample.Sample(run, np.arange(300))
    happened = registry.compute(run)
    for one in registry.MEASURES:
        if one.redrawn:
            assert one.value(same) == pytest.approx(happened[one.name], rel=1e-9), one.name
