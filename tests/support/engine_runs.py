"""Made-up minute bars for runs of the engine, and the same run in plain integers."""

from fractions import Fraction

import numpy as np

from tradeplane_engine import strategy
from tradeplane_engine.core import context, costs, kernel, limits, risk, table
from tradeplane_engine.data import series

MINUTE = 60_000_000_000
START = 1_577_836_800_000_000_000
CASH = 10_000_000 * 10**9
_LOOSE = Fraction(10**9)
# Every limit is set, so that the whole chain runs, and none can bind.
LOOSE = limits.Limits(
    max_notional=10**18,
    max_quantity=10**18,
    max_open_orders=10**6,
    max_weight=_LOOSE,
    max_position_notional=10**18,
    allow_short=True,
    max_gross=_LOOSE,
    max_net=_LOOSE,
    max_positions=10**6,
    max_concentration=_LOOSE,
    max_daily_loss=Fraction(1),  # of an account that stays above 0
    max_drawdown=Fraction(1),
    max_consecutive_losses=10**6,
    max_bar_age=10**15,
)


def walk(symbol: str, rows: int, *, seed: int, gaps: bool = False) -> series.Series:
    """A seeded random walk of minute bars; with gaps, minutes are missing."""
    rng = np.random.default_rng(seed)
    close = np.rint(1_000_000 * np.exp(np.cumsum(rng.normal(0.0, 5e-4, rows)))).astype(np.int64)
    open_ = np.maximum(close + rng.integers(-300, 301, rows), 1)
    high = np.maximum(open_, close) + rng.integers(0, 200, rows)
    low = np.maximum(np.minimum(open_, close) - rng.integers(0, 200, rows), 1)
    steps = rng.integers(1, 5, rows) if gaps else np.ones(rows, dtype=np.int64)
    start = START + np.cumsum(steps) * MINUTE
    return series.Series(
        symbol=symbol,
        start=start,
        end=start + MINUTE,
        available_at=start + MINUTE,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=rng.integers(1, 10_000, rows),
    )


class Cross(strategy.Strategy):
    """Long so many shares while the fast average is above the slow one, 100 at 20 and 50 rows unless given."""

    class Parameters(strategy.Strategy.Parameters):
        """Windows and size."""

        fast: int = 20
        slow: int = 50
        shares: int = 100

    parameters: Parameters

    def on_start(self, ctx: context.Context) -> None:
        """Declare both averages."""
        self.fast = ctx.indicator("sma", self.parameters.fast)
        self.slow = ctx.indicator("sma", self.parameters.slow)
        self.heard: list[tuple[str, int]] = []

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Say what is wanted."""
        ctx.target(bar.symbol, shares=self.parameters.shares if self.fast > self.slow else 0)

    def on_order_update(self, ctx: context.Context, update: kernel.Update) -> None:  # noqa: ARG002 - a hook
        """Keep what was heard."""
        self.heard.append((update.event, update.order.id))


def run(data: list[series.Series], strategy: strategy.Strategy, *, fee_bps: Fraction = Fraction(1)) -> kernel.Kernel:
    """Run one strategy with limits that cannot bind."""
    policy = risk.Policy("loose", LOOSE)
    found = kernel.Kernel(table.Table(data), costs.Costs(commission_bps=fee_bps), CASH, policy)
    found.add("cross", strategy, CASH, policy)
    found.run()
    return found


def oracle(data: list[series.Series], *, fee_bps: int = 1) -> tuple[int, int]:
    """Equity (1e-9 USD) and fills of the same rule, in plain integers."""
    equity, fills, _ = whole_oracle([(one.open.tolist(), one.close.tolist()) for one in data], fee_bps=fee_bps)
    return equity, fills


def whole_oracle(
    data: list[tuple[list[int], list[int]]],
    *,
    fee_bps: Fraction | int = 1,
    windows: tuple[int, int] = (20, 50),
    shares: int = 100,
    digits: list[int] | None = None,
) -> tuple[int, int, int]:
    """Equity, fills and orders left open, from each symbol's opens and closes in units of its digits (4 unless given).

    A fee is rounded once, half to even, to 1e-9 USD.
    """
    fast, slow = windows
    cash, fills, left_open, marks = CASH, 0, 0, 0
    for (opens, closes), places in zip(data, digits or [4] * len(data), strict=True):
        held, size = False, shares * 10 ** (9 - places)
        for at in range(slow - 1, len(closes)):
            wish = slow * sum(closes[at - fast + 1 : at + 1]) > fast * sum(closes[at - slow + 1 : at + 1])
            if wish == held:
                continue
            if at + 1 == len(closes):
                left_open += 1
            else:
                value = opens[at + 1] * size
                cash += (-value if wish else value) - round(Fraction(value) * fee_bps / 10_000)
                fills, held = fills + 1, wish
        marks += closes[-1] * size if held else 0
    return cash + marks, fills, left_open
