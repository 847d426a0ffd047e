"""What the document of a backtest says in numbers."""

import math

import pytest

from support import engine_data, minute_data
from tradeplane_engine import backtest, desk
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import bars, numbers, orders
from tradeplane_engine.measures import registry
from tradeplane_engine.results import result as results
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


def ran(closes: list[int], *, shares: int = 1000) -> backtest.Result:
    """Hold shares from the first close on, through days with one price each."""
    traded = [
        bars.BarSlice("1d", engine_data.ending(n), {"AAA": engine_data.bar("AAA", n, price=str(price))})
        for n, price in enumerate(closes)
    ]
    made = desk.Desk(engine_data.account(), traded, state=orders.State.ENABLED)
    made.declare(engine_data.strategy())
    made.decide("0a0b", traded[0], lambda ctx: ctx.target("AAA", shares=shares))
    made.advance(traded[-1].end)
    return backtest.result(made)


WAVE = [100 + n * 7 % 11 for n in range(40)]


def test_measures_are_the_registrys() -> None:
    """Under their names, of the curve that every other backtest has, from the starting cash on."""
    found = ran(WAVE)
    assert found.ran is not None
    computed = registry.compute(results.of(found.ran).run)
    told = backtest_result.measures_of(found, seed=1)
    for name in backtest_result.MEASURES:
        assert told.get(name) == backtest_result.text(computed[name]), name
    assert float(told["sharpe_low"]) < float(told["sharpe"]) < float(told["sharpe_high"])
    assert (told["sessions"], told["orders"], told["fills"]) == ("40", "1", "1")
    assert float(told["total_return"]) == pytest.approx(float(told["pnl"]) / 1_000_000, abs=1e-9)


def test_round_trips_are_counted() -> None:
    """A position that is closed is a trade, and one that is open is none."""
    traded = [
        bars.BarSlice("1d", engine_data.ending(n), {"AAA": engine_data.bar("AAA", n, price=str(price))})
        for n, price in enumerate((100, 100, 110, 110))
    ]
    made = desk.Desk(engine_data.account(), traded, state=orders.State.ENABLED)
    made.declare(engine_data.strategy())
    for one, shares in zip(traded, (10, 0, 10), strict=False):
        made.decide("0a0b", one, lambda ctx, shares=shares: ctx.target("AAA", shares=shares))
    made.advance(traded[-1].end)
    told = backtest_result.measures_of(backtest.result(made), seed=0)
    assert (told["trades"], told["win_rate"]) == ("1", "1")


def test_measures_are_of_days_whatever_the_bars() -> None:
    """Two days of minutes are two samples."""
    days = (minute_data.DAY, minute_data.NEXT_DAY)
    traded = dataset.slices([one for day in days for one in minute_data.walk("AAA", day)], (), timeframe="1m")
    made = desk.Desk(engine_data.account(), traded, state=orders.State.ENABLED, days=days)
    made.declare(engine_data.strategy())
    made.decide("0a0b", traded[0], lambda ctx: ctx.target("AAA", shares=1000))
    made.advance(traded[-1].end)
    assert backtest_result.measures_of(backtest.result(made), seed=1)["sessions"] == "2"


def test_the_interval_is_a_function_of_the_seed() -> None:
    """The same seed gives the same bounds, another one others."""
    found = ran(WAVE)
    one, again, other = (backtest_result.measures_of(found, seed=seed) for seed in (7, 7, 8))
    assert one == again
    assert {name for name in one if one[name] != other[name]} == {"sharpe_low", "sharpe_high"}


def test_a_run_without_a_day_has_no_ratio() -> None:
    """Counts and amounts remain."""
    zero = numbers.Money(0)
    nothing = backtest.Result((), (), (), (), (), (), {}, zero, zero, zero, zero)
    assert backtest_result.measures_of(nothing, seed=1) == {
        "sessions": "0",
        "orders": "0",
        "fills": "0",
        "refused": "0",
        "fees": "0",
        "dividends_not_paid": "0",
    }


def test_equity_that_never_varies_has_no_sharpe() -> None:
    """Nothing is divided by zero."""
    told = backtest_result.measures_of(ran(WAVE, shares=0), seed=0)
    assert not {"sharpe", "sharpe_low", "sharpe_high"} & set(told)
