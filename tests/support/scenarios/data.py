"""Bars that are few, far between, fine or wrong."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl

from support.scenarios.making import FREE, Case, bars, plan, run, trade, usd
from tradeplane_engine import simulation
from tradeplane_engine.core import costs


def _buy(ctx: Any, symbol: str = "S", shares: Any = 100) -> Any:
    return ctx.order(symbol, "buy", shares)


def one_bar() -> Case:
    """A symbol of one bar: its order stays open."""
    return trade(bars("100"), {0: _buy})


def an_empty_symbol_beside_another() -> Case:
    """A symbol without bars is there, has no price and cannot be ordered."""
    data = [bars("100", "101", "102"), bars(symbol="E")]
    return trade(data, {0: lambda ctx: [_buy(ctx), _buy(ctx, "E")]})


def symbols_of_unequal_length() -> Case:
    """Each is marked at its own last close."""
    data = [bars("100", "101"), bars("10", "11", "12", "13", "14", symbol="T")]
    return trade(data, {("S", 0): _buy, ("T", 0): lambda ctx: _buy(ctx, "T"), ("T", 3): lambda ctx: _buy(ctx, "T", 1)})


def gaps_between_bars() -> Case:
    """The next open is the symbol's own, however late."""
    data = [bars("100", "101", "120", minutes=[0, 1, 500]), bars(*["10"] * 4, symbol="T", minutes=[0, 7, 90, 501])]
    return trade(data, {("S", 1): _buy, ("T", 1): lambda ctx: _buy(ctx, "T")})


def sub_penny_prices() -> Case:
    """Six digits and nine: prices, fees and money stay exact."""
    data = [
        bars("0.000123", "0.000124", "0.000125", digits=6),
        bars("1.000000001", "1.000000002", "1.000000003", symbol="T", digits=9),
    ]
    steps = {
        ("S", 0): lambda ctx: _buy(ctx, "S", Decimal("1234567.000000001")),
        ("T", 0): lambda ctx: _buy(ctx, "T", Decimal("0.333333333")),
    }
    return trade(data, steps, costs=costs.Costs(half_spread_bps=Fraction(1), commission_bps=Fraction(7, 10)))


def prices_without_cents_and_beyond_half_a_million() -> Case:
    """A share that costs more than a house, in whole dollars."""
    data = bars("543211", "543212", "543213", digits=0)
    return trade(data, {0: lambda ctx: _buy(ctx, "S", 1)}, cash=10_000_000)


def bars_that_do_not_trade() -> Case:
    """Without volume a cap lets nothing trade; without a cap it does."""
    return trade(bars("100 0", "101 0", "102 0", "103 10"), {0: _buy}, venue={"participation": Fraction(1)})


def a_bar_that_contradicts_itself() -> Case:
    """A high below the close is kept as it came, and fills happen on what it says."""
    data = bars("100", "100 100.5 99.5 101", "100")
    return trade(data, {0: lambda ctx: ctx.order("S", "sell", 10, "limit", limit=usd("100.8"))})


def a_frame_with_prices_that_are_rounded() -> Case:
    """Floats become integers by rounding half to even, as the reader counts."""
    frame = pl.DataFrame(
        {
            "date": pl.datetime_range(pl.datetime(2020, 1, 2), pl.datetime(2020, 1, 5), "1d", eager=True),
            "open": [10.00005, 10.00015, 10.00025, 10.1],
            "high": [11.0] * 4,
            "low": [9.0] * 4,
            "close": [10.1, 10.2, 10.3, 10.4],
            "volume": [1e3] * 4,
        }
    )
    found = simulation.Backtest(frame, plan({0: _buy}), limits=FREE, symbol="S", examine=False)
    return Case(found)


def daily_and_minute_symbols_together() -> Case:
    """A bar of a day ends after the minutes that it covers, and is seen then."""
    data = [
        bars("100", "104", symbol="D", minutes=[0, 390], length=390),
        bars(*["10"] * 3, symbol="M", minutes=[0, 1, 391]),
    ]
    return run(data, plan({("D", 0): lambda ctx: _buy(ctx, "M", 7), ("M", 0): lambda ctx: _buy(ctx, "D", 3)}))
