"""Measures of a backtest, by the golden series of the quant reference (section 8) and by hand."""

import math

import numpy as np
import pytest

from support import engine_data
from tradeplane_engine import backtest, desk
from tradeplane_engine.domain import numbers, times
from tradeplane_workers import backtest_measures

PLACES = np.arange(250)
GOLDEN = 0.0004 + 0.009 * np.sin(1.7 * PLACES) + 0.006 * np.cos(0.37 * PLACES**2) - 0.02 * (PLACES % 50 == 49)


def test_sharpe_and_drawdown_of_the_golden_series() -> None:
    """Values of empyrical and quantstats."""
    equity = np.concatenate([[1.0], np.cumprod(1.0 + GOLDEN)])
    assert backtest_measures.sharpe(GOLDEN) == pytest.approx(0.5141260615, abs=1e-10)
    assert backtest_measures.max_drawdown(equity) == pytest.approx(-0.06520695918, abs=1e-11)


def test_the_interval_is_a_function_of_the_seed() -> None:
    """The same seed gives the same bounds, another one others, and the Sharpe lies between them."""
    low, high = backtest_measures.sharpe_interval(GOLDEN, seed=7)
    assert (low, high) == backtest_measures.sharpe_interval(GOLDEN, seed=7)
    assert (low, high) != backtest_measures.sharpe_interval(GOLDEN, seed=8)
    assert low < backtest_measures.sharpe(GOLDEN) < high


def test_the_interval_covers_what_it_says() -> None:
    """Of independent returns with a known Sharpe, about 95 % of the intervals hold it."""
    source = np.random.Generator(np.random.PCG64(1))
    true = 0.05
    held = 0
    for seed in range(200):
        low, high = backtest_measures.sharpe_interval(source.normal(true, 1.0, 250), seed=seed)
        held += low <= true * math.sqrt(252) <= high
    assert 180 <= held <= 198


@pytest.mark.parametrize(
    "value, expected",
    [
        (0.0, "0"),
        (-1e-12, "0"),
        (1.5, "1.5"),
        (-0.1234567894, "-0.123456789"),
        (1e-9, "0.000000001"),
        (1e15, "1000000000000000"),
        (math.nan, None),
        (math.inf, None),
        (1e18, None),
    ],
)
def test_texts_are_plain_decimals(value: float, expected: str | None) -> None:
    """No exponent, no negative zero; what is no number is left out."""
    assert backtest_measures.text(value) == expected


def test_measures_are_of_days_whatever_the_bars() -> None:
    """More points within the days change nothing, and a day without a price is left out."""
    days = [engine_data.ending(number) for number in range(4)]
    closes = [numbers.money(text) for text in ("100", "110", "99", "120")]
    plain = [desk.EquityPoint(at, equity) for at, equity in zip(days, closes, strict=True)]
    within = [desk.EquityPoint(times.Nanos(at - times.HOUR), numbers.money("50")) for at in days[1:]]
    hourly = sorted([*plain, *within], key=lambda point: point.at)
    told = backtest_measures.of(result(plain), seed=1)
    assert told == backtest_measures.of(result(hourly), seed=1)
    assert told["total_return"] == "0.2"
    assert told["max_drawdown"] == "-0.1"
    assert told["sessions"] == "4"
    unknown = [*plain[:2], desk.EquityPoint(days[2], None), plain[3]]
    assert backtest_measures.of(result(unknown), seed=1)["max_drawdown"] == "0"


def test_a_run_without_a_day_has_no_ratio() -> None:
    """Counts and amounts remain."""
    told = backtest_measures.of(result([]), seed=1)
    assert told == {
        "sessions": "0",
        "orders": "0",
        "fills": "0",
        "refused": "0",
        "fees": "0",
        "dividends_not_paid": "0",
    }


def result(equity: list[desk.EquityPoint]) -> backtest.Result:
    """Return a result with nothing but equity."""
    zero = numbers.Money(0)
    return backtest.Result((), (), (), (), tuple(equity), (), {}, zero, zero, zero, zero)


def test_returns_that_never_vary_have_no_sharpe() -> None:
    """Nothing is divided by zero."""
    still = np.zeros(10)
    assert math.isnan(backtest_measures.sharpe(still))
    assert all(map(math.isnan, backtest_measures.sharpe_interval(still, seed=0)))
