"""How many bars a second a declared strategy decides on, against a bare Python loop of one process.

The whole path is on: desk and kernel, predict port, signals, targets, risk chain, market, two exact ledgers, fees by
the day, equity at each close, client order ids. Features are computed beforehand, as a backtest does; the model answers
at once. Baseline: a bare Python event loop, which is what the language allows; every real engine adds its work to it.

    python benchmarks/declared.py [symbols] [bars]

Scores change rarely (the held names rotate every 50 sessions), as a strategy's do; the number of orders is printed.
"""

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from tradeplane_engine import declarative, desk, portfolio, settings
from tradeplane_engine.core import kernel, limits
from tradeplane_engine.domain import bars, numbers, orders, times
from tradeplane_engine.features import registry, sources
from tradeplane_engine.models import predictor
from tradeplane_engine.venue import profile

REPEATS = 5
ROTATION = 50
FAST, SLOW = 20, 50
DIGEST = "sha256:" + "0" * 64
FEATURES = registry.FeatureSet(name="score", version="v1", columns=("score",), window=1)
LIMITS = limits.Limits(
    max_notional=numbers.money("1000000"),
    max_quantity=numbers.quantity("1000000"),
    max_weight=Fraction(1000),
    allow_short=True,
    max_gross=Fraction(1000),
    max_bar_age=times.Nanos(times.DAY),
)


class FirstColumn:
    """The score is the only feature."""

    def predict(self, names: Sequence[str], rows: predictor.FloatArray) -> predictor.Prediction:
        """Answer the column, whatever it is called."""
        assert len(names) == 1  # noqa: S101 - the benchmark's own set
        return predictor.Prediction(DIGEST, tuple(rows[:, 0].tolist()))


def market(symbols: int, sessions: int) -> tuple[bars.BarSlice, ...]:
    """Seeded random walks on daily sessions."""
    source = np.random.default_rng(7)
    names = [f"S{number:03d}" for number in range(symbols)]
    closes = 100 * np.exp(np.cumsum(source.normal(0, 0.01, (sessions, symbols)), axis=0).clip(-2, 2))
    units = np.round(closes * 10_000).astype(int).tolist()
    found = []
    for session, row in enumerate(units):
        start = times.Nanos(session * times.DAY + 14 * times.HOUR)
        end = times.Nanos(start + 6 * times.HOUR)
        there = {
            name: bars.Bar(
                name,
                start,
                end,
                end,
                numbers.Price(close),
                numbers.Price(close + 100),
                numbers.Price(max(close - 100, 1)),
                numbers.Price(close),
                1000,
            )
            for name, close in zip(names, row, strict=True)
        }
        found.append(bars.BarSlice("1d", end, there))
    return tuple(found)


def precomputed(slices: Sequence[bars.BarSlice]) -> sources.Precomputed:
    """Scores that rotate every ``ROTATION`` sessions."""
    names = tuple(sorted(slices[0].bars))
    column = np.arange(len(names), dtype=np.float64)
    rows = {
        one.end: (names, np.roll(column, session // ROTATION)[:, None].copy()) for session, one in enumerate(slices)
    }
    return sources.Precomputed(rows, 1)


def engine(slices: Sequence[bars.BarSlice], features: sources.Precomputed) -> desk.Desk:
    """Run the loop over everything."""
    names = tuple(sorted(slices[0].bars))
    strategy = settings.StrategySettings(
        name="bench",
        uid="bench",
        generation=1,
        symbols=names,
        timeframe="1d",
        features=FEATURES,
        model_digest=DIGEST,
        portfolio=portfolio.TopBottomN(top=1, bottom=0, capital=numbers.money("500000")),
        policy="bench",
        limits=LIMITS,
    )
    account = desk.Account(
        ledger="bench",
        cash=numbers.money("1000000"),
        costs=profile.named("realistic"),
        policy="bench",
        limits=LIMITS,
    )
    keeper = desk.Desk(account, slices, state=orders.State.ENABLED)
    keeper.declare(strategy)
    declared = declarative.Declarative(strategy, features=features, model=FirstColumn())
    for one in slices:
        keeper.decide(strategy.uid, one, declared.shown(one.bars.values()))
    return keeper


class Crossing:
    """Long while the mean of 20 closes is above that of 50: what a bare loop runs per bar."""

    __slots__ = ("at", "closes", "fast", "slow", "wants")

    def __init__(self, closes: list[float]) -> None:
        self.closes = closes
        self.fast = self.slow = 0.0
        self.at = 0
        self.wants = False

    def on_bar(self, queue: list[tuple[int, int]], symbol: int, close: float) -> None:
        """Update both sums and queue an order where they cross."""
        at, closes = self.at, self.closes
        self.at = at + 1
        self.fast += close - (closes[at - FAST] if at >= FAST else 0.0)
        self.slow += close - (closes[at - SLOW] if at >= SLOW else 0.0)
        if at >= SLOW - 1:
            wants = self.fast / FAST > self.slow / SLOW
            if wants is not self.wants:
                self.wants = wants
                queue.append((symbol, 100 if wants else -100))


def bare(opens: list[list[float]], closes: list[list[float]]) -> float:
    """A bare event loop: queued orders fill at the open, then one callback per bar. No risk, ledger, ids or events."""
    strategies = [Crossing(column) for column in closes]
    queue: list[tuple[int, int]] = []
    held = [0] * len(closes)
    cash = 0.0
    for at in range(len(closes[0])):
        if queue:
            for symbol, change in queue:
                price = opens[symbol][at]
                cash -= change * price + abs(change) * price * 1e-4
                held[symbol] += change
            queue = []
        for symbol, strategy in enumerate(strategies):
            strategy.on_bar(queue, symbol, closes[symbol][at])
    return cash + sum(count * column[-1] for count, column in zip(held, closes, strict=True))


def seconds(work: Callable[[], object]) -> float:
    """Median of a few runs."""
    taken = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def main() -> None:
    """Print one JSON line."""
    symbols = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 200_000  # noqa: PLR2004 - the second argument
    slices = market(symbols, count // symbols)
    features = precomputed(slices)
    gc.collect()
    gc.freeze()  # the data is not garbage; a process that only backtests would do the same
    kept = engine(slices, features)
    kept.check()
    total = len(slices) * symbols
    names = sorted(slices[0].bars)
    opens = [[one.bars[name].open / 10_000 for one in slices] for name in names]
    closes = [[one.bars[name].close / 10_000 for one in slices] for name in names]
    ours, floor = seconds(lambda: engine(slices, features)), seconds(lambda: bare(opens, closes))
    print(
        json.dumps(
            {
                "compiled": not kernel.__file__.endswith(".py"),
                "symbols": symbols,
                "bars": total,
                "orders": len(kept.journal.orders),
                "fills": len(kept.journal.fills),
                "engine_bars_per_s": round(total / ours),
                "orders_per_100_bars": round(100 * len(kept.journal.orders) / total, 2),
                "bare_python_loop_bars_per_s": round(total / floor),
                "ratio_to_bare_python_loop": round(floor / ours, 4),
                "target_bars_per_s": 250_000,
                "ratio_to_target": round(total / ours / 250_000, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
