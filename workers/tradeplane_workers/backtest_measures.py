"""Measures of a backtest as decimal text, from its equity at the last close of each day.

Conventions: simple returns per day with bars, however many it has, 252 days a year, standard deviation with ddof 1,
Sharpe = mean / s * sqrt(252) without a risk-free rate, drawdown as a negative fraction of the peak. ``sharpe_low`` and
``sharpe_high`` bound the middle 95 % of the Sharpe over seeded resamples in circular blocks (Politis and Romano 1992),
which keep most of the dependence between neighbouring days.
"""

import math
from decimal import Decimal
from typing import Final

import numpy as np
import numpy.typing as npt

from tradeplane_engine import backtest
from tradeplane_engine.domain import numbers, times

FloatArray = npt.NDArray[np.float64]

SESSIONS_PER_YEAR: Final = 252
RESAMPLES: Final = 1000
_TAIL = 0.025
_DIGITS = Decimal("1e-9")
_LARGEST = 10**18
_FEWEST_RETURNS = 2


def of(result: backtest.Result, *, seed: int) -> dict[str, str]:
    """Return the measures that exist, by name: a ratio without a denominator is left out."""
    days = {times.utc_day(point.at): point.equity for point in result.equity}
    first = next((point.equity for point in result.equity if point.equity is not None), None)
    equity = np.array([one for one in days.values() if one is not None], dtype=np.float64)
    found: dict[str, float] = {}
    if first and len(equity) > 1 and (equity > 0).all():
        returns = equity[1:] / equity[:-1] - 1.0
        found = {"total_return": float(equity[-1] / first) - 1.0, "max_drawdown": max_drawdown(equity)}
        if len(returns) >= _FEWEST_RETURNS:
            found["annual_volatility"] = float(returns.std(ddof=1)) * math.sqrt(SESSIONS_PER_YEAR)
            found["sharpe"] = sharpe(returns)
            found["sharpe_low"], found["sharpe_high"] = sharpe_interval(returns, seed=seed)
    texts = {name: text(value) for name, value in found.items()}
    counts = {
        "sessions": len(days),
        "orders": len(result.orders),
        "fills": len(result.fills),
        "refused": len(result.rejects),
    }
    exact = {"fees": result.fees, "dividends_not_paid": result.dividends_not_paid}
    if result.pnl is not None:
        exact["pnl"] = result.pnl
    return {
        **{name: value for name, value in texts.items() if value is not None},
        **{name: str(count) for name, count in counts.items()},
        **{name: numbers.money_text(amount) for name, amount in exact.items()},
    }


def sharpe(returns: FloatArray) -> float:
    """Annual Sharpe ratio of returns per session, shape (n,); NaN where they do not vary."""
    spread = float(returns.std(ddof=1))
    return float(returns.mean()) / spread * math.sqrt(SESSIONS_PER_YEAR) if spread > 0 else math.nan


def max_drawdown(equity: FloatArray) -> float:
    """Largest loss from a peak, as a negative fraction; 0 where there is none."""
    return float((equity / np.maximum.accumulate(equity)).min()) - 1.0


def sharpe_interval(returns: FloatArray, *, seed: int) -> tuple[float, float]:
    """Return the middle 95 % of the Sharpe over resamples; the same seed gives the same interval."""
    count = len(returns)
    length = max(round(count ** (1 / 3)), 1)
    blocks = -(-count // length)
    generator = np.random.Generator(np.random.PCG64(seed))
    starts = generator.integers(0, count, size=(RESAMPLES, blocks))
    places = (starts[:, :, None] + np.arange(length)) % count
    drawn = returns[places.reshape(RESAMPLES, -1)[:, :count]]
    spread = drawn.std(axis=1, ddof=1)
    varied = spread > 0
    if not varied.any():
        return math.nan, math.nan
    found = drawn.mean(axis=1)[varied] / spread[varied] * math.sqrt(SESSIONS_PER_YEAR)
    low, high = np.quantile(found, [_TAIL, 1.0 - _TAIL])
    return float(low), float(high)


def text(value: float) -> str | None:
    """Return plain decimal text with at most 9 digits after the point; None for what is no such number."""
    if not math.isfinite(value) or abs(value) >= _LARGEST:
        return None
    rounded = Decimal(repr(value)).quantize(_DIGITS)
    return format(rounded.normalize() if rounded else Decimal(0), "f")
