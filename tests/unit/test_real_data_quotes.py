"""Two days of real quotes, with all that feeds contain: every order fills at what stood."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tradeplane_engine import simulation, strategy
from tradeplane_engine.core import context, limits, log, table, venue_settings
from tradeplane_engine.data import quotes
from tradeplane_engine.venue import calendars

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "ticks"
LATENCY = 25_000_000
SHARE = 10**9


class Trades(strategy.Strategy):
    """Buys and sells in turn, at the market and at limits, at every bar."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        """Begin."""
        self.bars = 0

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Order."""
        self.bars += 1
        side = "buy" if self.bars % 2 else "sell"
        ctx.order(bar.symbol, side, 250)
        ctx.order(bar.symbol, side, 10, "limit", limit=bar.close + (200 if side == "sell" else -200))


@pytest.fixture(scope="module")
def ticks() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Quotes and trades."""
    if not FOLDER.is_dir():
        pytest.skip(f"no real data at {FOLDER}")
    return (
        pl.read_parquet(FOLDER / "taq_quotes_XXX_20180102_03.parquet"),
        pl.read_parquet(FOLDER / "taq_trades_XXX_20180102_03.parquet"),
    )


def book(frame: pl.DataFrame) -> pl.DataFrame:
    """Return quotes under the names that a run reads, sizes in shares."""
    sizes = ((pl.col(f"{side}_size_lots") * 100).alias(f"{side}_size") for side in ("bid", "ask"))
    return frame.sort("timestamp", maintain_order=True).select("timestamp", "bid", "ask", *sizes)


def minutes(frame: pl.DataFrame) -> pl.DataFrame:
    """Return five minutes of trades as bars."""
    price, every = pl.col("price"), pl.col("timestamp").dt.truncate("5m").alias("ts")
    values = [
        price.first().alias("open"),
        price.max().alias("high"),
        price.min().alias("low"),
        price.last().alias("close"),
    ]
    bars = (
        frame.sort("timestamp").group_by(every, maintain_order=True).agg(*values, pl.col("size").sum().alias("volume"))
    )
    return bars.filter(pl.col("ts").dt.date() < pl.date(2018, 1, 4))


def test_real_quotes_fill_every_order_at_what_stood(ticks: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    """In the session, after the latency, within the size, a resting limit at its price; flaws are counted."""
    frame, bars = book(ticks[0]), minutes(ticks[1])
    loaded = quotes.load({"XXX": frame}, {"XXX": 4})
    assert (loaded.crossed, loaded.one_sided) == (0, 61)  # 44 bids without an ask, 17 asks without a bid, 35 of neither
    hours = calendars.new_york("2018-01-02", "2018-01-03")
    result = simulation.Backtest(
        bars,
        Trades,
        cash=10_000_000,
        symbol="XXX",
        limits=limits.Limits(allow_short=True),
        venue=venue_settings.Venue(fill_at="book", sessions=hours, latency=LATENCY),
        quotes={"XXX": frame},
        audit=True,
    ).run()
    assert result.findings is not None
    assert result.findings.found == ()
    fills = result.log[result.log[:, 0] == log.FILL]
    assert len(fills) > 250
    resting = stood_at(loaded.quotes, fills, result._tables.run.orders)
    assert resting > 20


def stood_at(found: quotes.Quotes, fills: Any, orders: list[Any]) -> int:
    """Hold each fill against the quotes; return how many were of limits that had rested."""
    resting = 0
    for _, at, _, _, number, signed, price, _ in fills.tolist():
        order = orders[number - 1]
        assert at >= order.live_from == order.created + LATENCY
        first, last = (int(np.searchsorted(found.at, at, side=side)) for side in ("left", "right"))
        # An order comes before the quotes of its own instant; one that waited meets the last of them.
        standing = {first - 1, last - 1}
        side, sizes = (found.ask, found.ask_size) if signed > 0 else (found.bid, found.bid_size)
        rested = order.limit == price and price not in {int(side[one]) for one in standing}
        resting += rested
        if rested:
            assert any((int(side[one]) - price) * order.side < 0 < int(side[one]) for one in standing)
        else:
            assert price in {int(side[one]) for one in standing}
        assert abs(signed) <= max(int(sizes[one]) for one in standing)
    return resting
