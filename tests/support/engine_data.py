"""Seeded bars, slices and settings for the engine's tests."""

import math
import random
from collections.abc import Iterable, Mapping, Sequence

from tradeplane_engine import desk, portfolio, settings
from tradeplane_engine.core import limits
from tradeplane_engine.data import dataset, quality
from tradeplane_engine.domain import bars, numbers, orders, times
from tradeplane_engine.features import registry
from tradeplane_engine.models import predictor
from tradeplane_engine.venue import profile

SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE")
ALPHA = registry.named("alpha158", "v1")
FIRST_OPEN = times.instant("2020-01-02T14:30:00Z")
SESSION = 6 * times.HOUR + 30 * times.MINUTE
REALISTIC = profile.named("realistic")
DIGEST = "sha256:" + "0" * 64


def opening(session: int) -> times.Nanos:
    """Open of the n-th session; sessions are consecutive days."""
    return times.Nanos(FIRST_OPEN + session * times.DAY)


def ending(session: int) -> times.Nanos:
    """Close of the n-th session."""
    return times.Nanos(opening(session) + SESSION)


def bar(symbol: str = "AAA", session: int = 0, *, price: str = "100", close: str = "", volume: int = 1000) -> bars.Bar:
    """One bar that opens at ``price`` and closes at ``close`` (the same by default)."""
    opened, closed = numbers.price(price), numbers.price(close or price)
    return bars.Bar(
        symbol=symbol,
        start=opening(session),
        end=ending(session),
        available_at=times.Nanos(ending(session) + times.SECOND),
        open=opened,
        high=max(opened, closed),
        low=min(opened, closed),
        close=closed,
        volume=volume,
    )


def walk(symbol: str, sessions: Iterable[int], *, seed: int = 1) -> list[bars.Bar]:
    """Random walk with realistic spans."""
    source = random.Random(f"{symbol}-{seed}")  # noqa: S311 - test data
    close = 100.0
    found = []
    for session in sessions:
        opened = close * math.exp(source.gauss(0, 0.005))
        close = opened * math.exp(source.gauss(0, 0.015))
        high = max(opened, close) * math.exp(abs(source.gauss(0, 0.005)))
        low = min(opened, close) * math.exp(-abs(source.gauss(0, 0.005)))
        found.append(
            bars.Bar(
                symbol=symbol,
                start=opening(session),
                end=ending(session),
                available_at=times.Nanos(ending(session) + times.SECOND),
                open=numbers.Price(round(opened * 10_000)),
                high=numbers.Price(math.ceil(high * 10_000)),
                low=numbers.Price(math.floor(low * 10_000)),
                close=numbers.Price(round(close * 10_000)),
                volume=int(math.exp(source.gauss(13, 0.5))),
            )
        )
    return found


def slices(found: Iterable[bars.Bar], actions: Iterable[bars.CorporateAction] = ()) -> tuple[bars.BarSlice, ...]:
    """Group bars into daily slices."""
    return dataset.slices(found, actions, timeframe="1d")


def market(count: int, *, symbols: Sequence[str] = SYMBOLS, seed: int = 1) -> tuple[bars.BarSlice, ...]:
    """Slices of several random walks."""
    return slices([one for symbol in symbols for one in walk(symbol, range(count), seed=seed)])


def data(found: Iterable[bars.Bar], actions: Iterable[bars.CorporateAction] = ()) -> dataset.Dataset:
    """Dataset of bars that are taken as they are."""
    by_symbol: dict[str, list[bars.Bar]] = {}
    for one in found:
        by_symbol.setdefault(one.symbol, []).append(one)
    return dataset.Dataset(
        name="test",
        timeframe="1d",
        digest=DIGEST,
        origin="random walk",
        licence="none",
        history={symbol: tuple(rows) for symbol, rows in by_symbol.items()},
        actions=tuple(sorted(actions, key=lambda action: (action.ex_start, action.symbol))),
        report=quality.Report(accepted=sum(map(len, by_symbol.values()))),
    )


class LastReturn:
    """A predictor without a model: yesterday's losers score highest (column ROC5)."""

    def __init__(self, digest: str = DIGEST) -> None:
        self.digest = digest
        self.asked: list[int] = []

    def predict(self, names: Sequence[str], rows: predictor.FloatArray) -> predictor.Prediction:
        """Score by the inverse five-bar return."""
        self.asked.append(len(rows))
        return predictor.Prediction(self.digest, tuple(rows[:, list(names).index("ROC5")].tolist()))


def strategy(
    *,
    uid: str = "0a0b",
    generation: int = 1,
    symbols: Sequence[str] = SYMBOLS,
    top: int = 2,
    bottom: int = 1,
    capital: str = "300000",
    allowed: limits.Limits | None = None,
) -> settings.StrategySettings:
    """Settings of a strategy on the random walks."""
    return settings.StrategySettings(
        name="test",
        uid=uid,
        generation=generation,
        symbols=tuple(symbols),
        timeframe="1d",
        features=ALPHA,
        model_digest=DIGEST,
        portfolio=portfolio.TopBottomN(top=top, bottom=bottom, capital=numbers.money(capital)),
        policy="prudent",
        limits=allowed or limits.Limits(allow_short=True),
    )


def account(allowed: limits.Limits | None = None, *, cash: str = "1000000") -> desk.Account:
    """Account of a backtest."""
    return desk.Account(
        ledger="k3j9x2ab",
        cash=numbers.money(cash),
        costs=REALISTIC,
        policy="prudent",
        limits=allowed or limits.Limits(allow_short=True),
    )


def shares(count: int) -> numbers.Quantity:
    """Whole shares."""
    return numbers.Quantity(count * numbers.ONE_SHARE)


def fill(
    side: str,
    count: int | str,
    price: str,
    *,
    symbol: str = "AAA",
    session: str = "2020-01-02",
    order: str = "o",
) -> orders.Fill:
    """One fill of ``count`` shares."""
    return orders.Fill(
        client_order_id=order,
        symbol=symbol,
        side=orders.Side(side),
        quantity=numbers.quantity(str(count)),
        price=numbers.price(price),
        at=FIRST_OPEN,
        session=session,
    )


def quantities(amounts: Mapping[str, int]) -> dict[str, numbers.Quantity]:
    """Whole shares per symbol."""
    return {symbol: shares(count) for symbol, count in amounts.items()}
