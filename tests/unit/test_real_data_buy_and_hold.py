"""Twenty years of 299 symbols as they were traded; dividends and splits come with the engine's corporate actions."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tradeplane_engine import simulation, strategy
from tradeplane_engine.core import context, costs, table

DAILY = Path(__file__).parents[3] / "shared" / "data" / "daily" / "us_equity_daily.parquet"
CASH = 10_000_000


class BuyAndHold(strategy.Strategy):
    """Buys 100 shares of each symbol once."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        """Hold nothing yet."""
        self.bought: set[str] = set()

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Buy at the first sight of a symbol."""
        if bar.symbol not in self.bought:
            self.bought.add(bar.symbol)
            ctx.target(bar.symbol, shares=100)


def test_every_symbol_is_bought_at_its_second_open_and_worth_its_last_close() -> None:
    """Each position's cost, worth and fee, and the account's equity, equal a short oracle to the last 1e-9 USD."""
    if not DAILY.exists():
        pytest.skip(f"no real data at {DAILY}")
    frame = pl.read_parquet(DAILY, columns=["symbol", "timestamp", "open", "high", "low", "close", "volume"])
    bought, worth = {}, {}
    for (symbol,), rows in frame.sort("timestamp").group_by(["symbol"], maintain_order=True):
        bought[symbol] = int(np.rint(rows["open"][1] * 1e4)) * 100 * 100_000
        worth[symbol] = int(np.rint(rows["close"][-1] * 1e4)) * 100 * 100_000
    fees = {symbol: amount // 10_000 for symbol, amount in bought.items()}
    assert all(amount % 10_000 == 0 for amount in bought.values())

    found = simulation.Backtest(frame, BuyAndHold, cash=CASH, costs=costs.Costs(commission_bps=Fraction(1))).run()

    positions = found.frame("positions", numbers="decimal")
    exact = {row["symbol"]: (row["cost"].scaleb(9), row["value"].scaleb(9)) for row in positions.iter_rows(named=True)}
    assert exact == {symbol: (bought[symbol], worth[symbol]) for symbol in bought}
    paid = {
        row["symbol"]: row["fee"].scaleb(9) for row in found.frame("fills", numbers="decimal").iter_rows(named=True)
    }
    assert paid == fees
    equity = CASH * 10**9 - sum(bought.values()) - sum(fees.values()) + sum(worth.values())
    assert found.final_equity.scaleb(9) == equity
    assert (len(bought), found.data.high_low_errors, found.data.volume_errors) == (299, 0, 0)
