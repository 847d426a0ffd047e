"""What the document of a backtest says in numbers."""

import math

import pytest

from support import engine_data
from tradeplane_engine import backtest, desk
from tradeplane_engine.domain import numbers, times
from tradeplane_engine.measures import registry
from tradeplane_workers import backtest_result


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
        (None, None),
    ],
)
def test_texts_are_plain_decimals(value: float | None, expected: str | None) -> None:
    """No exponent, no negative zero; what is no number is left out."""
    assert backtest_result.text(value) == expected


def result(equity: list[desk.EquityPoint]) -> backtest.Result:
    """Return a result with nothing but equity."""
    zero = numbers.Money(0)
    return backtest.Result((), (), (), (), tuple(equity), (), {}, zero, zero, zero, zero)


def test_measures_are_of_days_whatever_the_bars() -> None:
    """More points within the days change nothing."""
    days = [engine_data.ending(number) for number in range(4)]
    closes = [numbers.money(text) for text in ("100", "110", "99", "120")]
    plain = [desk.EquityPoint(at, equity) for at, equity in zip(days, closes, strict=True)]
    within = [desk.EquityPoint(times.Nanos(at - times.HOUR), numbers.money("50")) for at in days[1:]]
    hourly = sorted([*plain, *within], key=lambda point: point.at)
    told = backtest_result.measures_of(result(plain), seed=1)
    assert told == backtest_result.measures_of(result(hourly), seed=1)
    assert (told["total_return"], told["max_drawdown"], told["sessions"], told["pnl"]) == ("0.2", "-0.1", "4", "20")


def test_a_measure_is_the_registrys() -> None:
    """Under its name, of the same curve."""
    days = [engine_data.ending(number) for number in range(40)]
    found = result([desk.EquityPoint(at, numbers.Money(10**11 + 10**9 * (n * 7 % 11))) for n, at in enumerate(days)])
    told = backtest_result.measures_of(found, seed=1)
    computed = registry.compute(backtest.measured(found))
    for name in backtest_result.MEASURES:
        assert told.get(name) == backtest_result.text(computed[name]), name
    assert float(told["sharpe_low"]) < float(told["sharpe"]) < float(told["sharpe_high"])


def test_the_interval_is_a_function_of_the_seed() -> None:
    """The same seed gives the same bounds, another one others."""
    days = [engine_data.ending(number) for number in range(40)]
    found = result([desk.EquityPoint(at, numbers.Money(10**11 + 10**9 * (n * 7 % 11))) for n, at in enumerate(days)])
    one, again, other = (backtest_result.measures_of(found, seed=seed) for seed in (7, 7, 8))
    assert one == again
    assert {name for name in one if one[name] != other[name]} == {"sharpe_low", "sharpe_high"}


def test_a_run_without_a_day_has_no_ratio() -> None:
    """Counts and amounts remain."""
    assert backtest_result.measures_of(result([]), seed=1) == {
        "sessions": "0",
        "orders": "0",
        "fills": "0",
        "refused": "0",
        "fees": "0",
        "dividends_not_paid": "0",
    }


def test_equity_that_never_varies_has_no_sharpe() -> None:
    """Nothing is divided by zero."""
    still = [desk.EquityPoint(engine_data.ending(number), numbers.money("100")) for number in range(10)]
    told = backtest_result.measures_of(result(still), seed=0)
    assert not {"sharpe", "sharpe_low", "sharpe_high"} & set(told)
