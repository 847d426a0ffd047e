"""Runs made of seeded numbers, for the measures and the report."""

import math

import numpy as np

from tradeplane_engine.domain import times
from tradeplane_engine.measures import inputs

SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
START = 1_000_000.0


def reference_returns() -> inputs.FloatArray:
    """Golden series of the quant reference, section 8."""
    return np.array(
        [
            0.0004 + 0.009 * math.sin(1.7 * i) + 0.006 * math.cos(0.37 * i**2) - (0.02 if i % 50 == 49 else 0.0)
            for i in range(250)
        ]
    )


def sessions(count: int) -> inputs.IntArray:
    """Closes at 21:00 UTC of weekdays from 2018-01-02 on."""
    days = np.busday_offset("2018-01-02", np.arange(count), roll="forward")
    return days.astype("datetime64[ns]").astype(np.int64) + 21 * times.HOUR


def curve(returns: inputs.FloatArray, *, start: float = START) -> inputs.Curve:
    """Equity that has these returns at successive sessions."""
    return inputs.Curve(at=sessions(returns.size), equity=start * np.cumprod(1.0 + returns), start=start)


def bare(returns: inputs.FloatArray, other: inputs.FloatArray | None = None) -> inputs.Run:
    """Return a run without trades."""
    return inputs.Run(
        curve=curve(returns),
        trades=inputs.Trades.none(),
        fills=inputs.Fills.none(),
        benchmark=None if other is None else inputs.Benchmark("BENCH", other),
    )


def trades(profits: list[float], **columns: np.typing.NDArray[np.generic]) -> inputs.Trades:
    """Round trips with these profits, one a day, 100 shares from 50 USD on; named columns replace these."""
    count = len(profits)
    at = sessions(count + 5) if count else np.empty(0, dtype=np.int64)
    gain = np.array(profits, dtype=np.float64)
    whole = {
        "strategy": np.array(["trend"] * count, dtype=np.str_),
        "symbol": np.array([SYMBOLS[i % 4] for i in range(count)], dtype=np.str_),
        "side": np.ones(count, dtype=np.int64),
        "entry_at": at[:count],
        "exit_at": at[5:],
        "quantity": np.full(count, 100.0),
        "entry_price": np.full(count, 50.0),
        "exit_price": 50.0 + gain / 100,
        "pnl": gain,
        "fees": np.zeros(count),
        "mae": np.minimum(gain, 0.0) - 50.0,
        "mfe": np.maximum(gain, 0.0) + 50.0,
        "bars": np.full(count, 5, dtype=np.int64),
    }
    return inputs.Trades(**{**whole, **columns})


def market(seed: int, count: int) -> inputs.FloatArray:
    """Daily returns of a made-up market, shape (count,)."""
    generator = np.random.default_rng(seed)
    calm = 0.006 + 0.009 * (np.sin(np.arange(count) / 160.0) > 0.6)
    return generator.normal(0.0004, 1.0, count) * calm + 0.0002


def full(seed: int = 7, count: int = 1500, round_trips: int = 400) -> inputs.Run:
    """Return a run whose equity is that of its trades: two strategies, four symbols, costs, benchmark, exposure.

    Some sides are chosen by looking at the exit, so that the picture has something to show.
    """
    generator = np.random.default_rng(seed)
    prices = prices_of(seed, count)
    entry = np.sort(generator.integers(0, count - 31, round_trips))
    bars = generator.integers(1, 30, round_trips)
    column = generator.integers(0, 4, round_trips)
    entry_price, exit_price = prices[entry, column], prices[entry + bars, column]
    coin = np.where(generator.random(round_trips) < 0.75, 1, -1)
    seen = np.where(exit_price >= entry_price, 1, -1)
    side = np.where(generator.random(round_trips) < 0.14, seen, coin).astype(np.int64)
    quantity = np.rint(150_000 / entry_price)
    fees = 0.00005 * quantity * (entry_price + exit_price)
    gain = side * quantity * (exit_price - entry_price)
    reach = np.abs(generator.normal(0, 0.015, (2, round_trips))) * quantity * entry_price
    at = sessions(count)
    round_trip = inputs.Trades(
        strategy=np.array(["trend", "reversion"])[generator.integers(0, 2, round_trips)],
        symbol=np.array(SYMBOLS)[column],
        side=side,
        entry_at=at[entry],
        exit_at=at[entry + bars],
        quantity=quantity,
        entry_price=entry_price,
        exit_price=exit_price,
        pnl=gain - fees,
        fees=fees,
        mae=np.minimum(gain, 0) - reach[0],
        mfe=np.maximum(gain, 0) + reach[1],
        bars=bars,
    )
    held = np.zeros((count, 4))
    for row in range(round_trips):
        held[entry[row] : entry[row] + bars[row], column[row]] += side[row] * quantity[row]
    moves = np.diff(prices, axis=0, prepend=prices[:1])
    booked = np.bincount(
        np.concatenate((entry, entry + bars)), weights=np.concatenate((fees, fees)) / 2, minlength=count
    )
    before = np.concatenate((held[:1] * 0, held[:-1]))
    equity = START + np.cumsum((before * moves).sum(axis=1) - booked)
    line = inputs.Curve(
        at,
        equity,
        START,
        gross=(np.abs(held) * prices).sum(axis=1) / equity,
        net=(held * prices).sum(axis=1) / equity,
    )
    return inputs.Run(
        curve=line,
        trades=round_trip,
        fills=_fills(round_trip),
        benchmark=inputs.Benchmark("Market", market(seed, count)),
        charges={"borrow": 1834.25, "interest": 611.4},
    )


def prices_of(seed: int, count: int) -> inputs.FloatArray:
    """Closes of the four symbols, shape (count, 4)."""
    generator = np.random.default_rng(seed + 1)
    moves = 0.6 * market(seed, count)[:, None] + generator.normal(0.0002, 0.01, (count, 4))
    return np.round(np.array([80.0, 45.0, 150.0, 20.0]) * np.cumprod(1.0 + moves, axis=0), 4)


def _fills(trades: inputs.Trades) -> inputs.Fills:
    both = np.concatenate
    price = both((trades.entry_price, trades.exit_price))
    quantity = both((trades.quantity, trades.quantity))
    whole = inputs.Fills(
        at=both((trades.entry_at, trades.exit_at)),
        strategy=both((trades.strategy, trades.strategy)),
        symbol=both((trades.symbol, trades.symbol)),
        side=both((trades.side, -trades.side)),
        quantity=quantity,
        price=price,
        fee=both((trades.fees / 2, trades.fees / 2)),
        spread=0.0001 * quantity * price,
        slippage=0.00015 * quantity * price,
    )
    return whole.where(np.argsort(whole.at, kind="stable"))
