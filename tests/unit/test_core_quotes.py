"""Orders that fill at a book of quotes: from the quote that stands when the venue has them, up to its sizes."""

import datetime as dt
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from support import engine_orders as given
from tradeplane_engine import errors, simulation, strategy
from tradeplane_engine.core import context, kernel, order, table, venue_settings
from tradeplane_engine.data import quotes

BARS = given.bars(*given.flat(100, 12))
Rows = Sequence[Sequence[float]]


def orders(*args: Any, **rest: Any) -> Callable[[context.Context], Any]:
    """Order of S at a bar."""
    return lambda ctx: ctx.order("S", *args, **rest)


def run(rows: Rows, plan: given.Plan, **rest: Any) -> tuple[kernel.Kernel, given.Script]:
    """Run a plan on flat bars; the first decision falls at minute 1."""
    return given.run(BARS, plan, book=given.quoted(*rows), **rest)


@pytest.mark.parametrize("side, price", [("buy", 101), ("sell", 99)])
def test_a_market_order_takes_the_other_side_of_the_quote_that_stands(side: str, price: int) -> None:
    """At once, however long ago it was quoted; the close of the bar and half a spread on it have no say."""
    _, script = run([(0.5, 99, 101)], {0: orders(side, 10)}, spread=Fraction(50))
    assert script.fills == [(1, 1, 10, price)]


def test_latency_meets_the_quote_that_stands_then() -> None:
    """One of the very instant comes after it."""
    rows = [(0.5, 99, 101), (1.25, 98, 102), (1.5, 97, 103), (1.75, 96, 104)]
    _, script = run(rows, {0: orders("buy", 10)}, latency=given.MINUTE // 2)
    assert script.fills == [(1, 1.5, 10, 102)]


def test_without_a_quote_an_order_waits_for_the_first() -> None:
    """Nobody sells before."""
    _, script = run([(2.5, 99, 101)], {0: orders("buy", 10)})
    assert script.fills == [(1, 2.5, 10, 101)]


def test_a_quote_gives_its_size_and_the_rest_waits_for_the_next() -> None:
    """Of several orders the earlier comes first, and both take from one size."""
    rows = [(0.5, 99, 101, 15), (2.5, 99, 102, 8), (3.5, 99, 103, 100)]
    plan = {0: lambda ctx: (ctx.order("S", "buy", 10), ctx.order("S", "buy", 10), ctx.order("S", "sell", 4))}
    _, script = run(rows, plan)
    assert script.fills == [(1, 1, 10, 101), (2, 1, 5, 101), (3, 1, 4, 99), (2, 2.5, 5, 102)]


def test_a_limit_that_comes_trades_at_the_quote_and_one_that_rests_at_its_own_price() -> None:
    """A touch is enough for the first; the second waits until the price has gone through."""
    at_once, rests = orders("buy", 10, "limit", "gtc", limit=101), orders("buy", 10, "limit", "gtc", limit=100)
    rows = [(0.5, 99, 101), (2.5, 98, 100), (3.5, 96, 98)]
    _, script = run(rows, {0: lambda ctx: (at_once(ctx), rests(ctx))})
    assert script.fills == [(1, 1, 10, 101), (2, 3.5, 10, 100)]
    _, script = run(rows, {0: rests}, limit_rule="touch")
    assert script.fills == [(1, 2.5, 10, 100)]


def test_stops_trigger_on_the_side_that_they_would_trade_at() -> None:
    """A stop-limit that is reached beyond its limit rests, and a trailing stop follows the bid."""
    rows = [(0.5, 99, 101), (2.5, 101, 103), (3.5, 104, 106), (4.5, 100, 102), (5.5, 102, 104)]
    plan = {
        0: lambda ctx: (
            ctx.order("S", "buy", 1, "stop", "gtc", stop=103),
            ctx.order("S", "buy", 2, "stop_limit", "gtc", stop=103, limit=102),
            ctx.order("S", "sell", 3, "trailing_stop", "gtc", trail=4),
        )
    }
    _, script = run(rows, plan)
    assert script.fills == [(1, 2.5, 1, 103), (3, 4.5, 3, 100)]
    _, script = run(rows, plan, limit_rule="touch")
    assert script.fills == [(1, 2.5, 1, 103), (2, 4.5, 2, 102), (3, 4.5, 3, 100)]


@pytest.mark.parametrize(
    "tif, size, filled, status",
    [("ioc", 4, 4, "canceled"), ("ioc", 10, 10, "filled"), ("fok", 9, 0, "canceled"), ("fok", 10, 10, "filled")],
)
def test_at_once_or_never_is_the_quote_that_stands(tif: str, size: int, filled: int, status: str) -> None:
    """What it does not give is cancelled."""
    found, script = run([(0.5, 99, 101, size), (1.5, 99, 101)], {0: orders("buy", 10, "market", tif)})
    assert sum(shares for _, _, shares, _ in script.fills) == filled
    assert given.statuses(found) == [status]


def test_at_once_or_never_without_a_quote_is_cancelled() -> None:
    """Its reason says why."""
    found, _ = run([(5, 99, 101)], {0: orders("buy", 1, "market", "ioc")})
    assert (given.statuses(found), found.orders[0].reason) == (["canceled"], "no-quote")


def test_a_side_that_nobody_quotes_fills_nothing() -> None:
    """The other side does."""
    _, script = run(
        [(0.5, 99, 0), (2.5, 0, 101)], {0: lambda ctx: (ctx.order("S", "buy", 1), ctx.order("S", "sell", 1))}
    )
    assert script.fills == [(2, 1, 1, 99), (1, 2.5, 1, 101)]


def test_nothing_fills_in_a_halt_or_outside_of_the_session() -> None:
    """A day order that was sent in time expires at its close, at that instant."""
    rows = [(minute + 0.5, 99, 101) for minute in range(10)]
    halts = {"S": [(given.instant(1), given.instant(3))]}
    _, script = run(rows, {0: orders("buy", 1)}, halts=halts)
    assert script.fills == [(1, 3.5, 1, 101)]
    hours = given.trading((4, 6), (8, 10))
    found, script = run(
        rows, {0: orders("buy", 1), 4: orders("buy", 1, "limit", limit=50), 6: orders("sell", 2)}, sessions=hours
    )
    assert script.fills == [(1, 4.5, 1, 101), (3, 8.5, 2, 99)]
    assert given.statuses(found) == ["filled", "expired", "filled"]
    assert ("expired", 2, 6) in script.heard


def test_exits_of_a_bracket_work_from_the_fill_on() -> None:
    """One fills at the quote that reaches it, and the other is cancelled."""
    rows = [(0.5, 99, 101), (2.5, 103, 105), (3.5, 104, 106)]
    plan = {0: lambda ctx: ctx.bracket("S", "buy", 10, take_profit=103, stop_loss=90)}
    found, script = run(rows, plan)
    assert script.fills == [(1, 1, 10, 101), (2, 3.5, 10, 103)]
    assert given.statuses(found) == ["filled", "filled", "canceled"]
    stopped = {0: lambda ctx: ctx.bracket("S", "buy", 10, take_profit=130, stop_loss=100)}
    _, script = run(rows, stopped)
    assert script.fills == [(1, 1, 10, 101), (3, 1, 10, 99)]


def test_a_replaced_limit_meets_the_quote_that_stands() -> None:
    """At the price of the quote, which its new limit crosses."""
    said: list[order.Order] = []
    plan = {
        0: lambda ctx: said.append(ctx.order("S", "buy", 10, "limit", "gtc", limit=90)),
        2: lambda ctx: ctx.replace(said[0], limit=105),
    }
    _, script = run([(0.5, 99, 101)], plan)
    assert script.fills == [(2, 3, 10, 101)]


def test_what_an_update_orders_meets_the_same_quote() -> None:
    """In what is left of its size, at the same instant."""

    def again(ctx: context.Context, update: kernel.Update) -> None:
        if update.event == "fill" and update.order.id < 3:
            ctx.order("S", "buy", 10)

    _, script = run([(0.5, 99, 101, 5), (3.5, 99, 102, 25)], {0: orders("buy", 10)}, hook=again)
    assert script.fills == [(1, 1, 5, 101), (1, 3.5, 5, 102), (2, 3.5, 10, 102), (3, 3.5, 10, 102)]


@pytest.mark.parametrize("tif", ["opg", "cls"])
def test_there_are_no_auctions_in_a_book(tif: str) -> None:
    """Refused at the call."""
    with pytest.raises(errors.ValueRefused, match="where orders fill at quotes"):
        run([(0.5, 99, 101)], {0: orders("buy", 1, "market", tif)}, sessions=given.trading((0, 20)))


def test_quotes_and_a_venue_without_a_book_are_refused() -> None:
    """And the other way around."""
    for settings, book in (({"fill_at": "book"}, None), ({}, given.quoted((0, 1, 2)))):
        with pytest.raises(errors.ValueRefused, match="quotes: must be given with fill_at book"):
            given.run(BARS, {}, venue=venue_settings.Venue(**settings), book=book)


@pytest.mark.parametrize(
    "columns, field",
    [
        ({"at": [2, 1]}, "quotes.at"),
        ({"bid": [1, -1]}, "quotes.bid"),
        ({"ask": [1]}, "quotes.ask"),
        ({"symbol": np.zeros(2, dtype=np.int64)}, "quotes.symbol"),
    ],
)
def test_columns_that_are_no_quotes_are_refused(columns: dict[str, Any], field: str) -> None:
    """By name."""
    with pytest.raises(errors.ValueRefused) as refused:
        given.quoted((0, 1, 2), (1, 1, 2), **columns)
    assert refused.value.field == field


# From files and frames.


class Buys(strategy.Strategy):
    """Buys at every bar, and sells at every third."""

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Trade."""
        ctx.order(bar.symbol, "buy", 3)
        if bar.end // given.MINUTE % 3 == 0:
            ctx.order(bar.symbol, "sell", 5)


def made(seed: int, count: int = 900) -> dict[str, Any]:
    """Quotes with every flaw that feeds have, as columns of floats."""
    rng = np.random.default_rng(seed)
    at = given.START + np.sort(rng.integers(0, 60 * given.MINUTE, count))
    middle = np.round(100 + np.cumsum(rng.normal(0, 0.02, count)), 2)
    bid, ask = middle - rng.integers(0, 3, count) / 100, middle + rng.integers(0, 3, count) / 100
    bid[rng.random(count) < 0.02] += 1
    bid[rng.random(count) < 0.02] = np.nan
    ask[rng.random(count) < 0.02] = 0
    sizes = {f"{name}_size": rng.integers(0, 9, count).astype(float) for name in ("bid", "ask")}
    return {"ts": at.view("datetime64[ns]"), "bid": bid, "ask": ask, **sizes}


def backtest(book: Any, **rest: Any) -> simulation.Backtest:
    """Two symbols, an hour of minutes each."""
    data = [given.bars(*given.flat(100_0000, 60), symbol=name) for name in ("A", "B")]
    return simulation.Backtest(
        data,
        Buys,
        cash=10_000_000,
        limits=given.FREE,
        venue=venue_settings.Venue(fill_at="book", **rest),
        quotes=book,
        audit=True,
    )


def oracle(columns: dict[str, Any], executed: np.ndarray[Any, Any]) -> list[tuple[int, int]]:
    """The (price, size) that stood on the other side at each execution of (instant, signed shares)."""
    bid, ask = (np.nan_to_num(columns[name]) for name in ("bid", "ask"))
    found = []
    for at, signed in executed.tolist():
        stands = int(np.searchsorted(columns["ts"].view(np.int64), at, side="right")) - 1
        assert not bid[stands] > ask[stands] > 0
        side = (ask, columns["ask_size"]) if signed > 0 else (bid, columns["bid_size"])
        found.append((round(float(side[0][stands]) * 10_000), int(side[1][stands])))
    return found


@pytest.mark.parametrize("latency", [0, 7 * 10**9])
def test_every_fill_is_at_a_quote_that_stood(latency: int) -> None:
    """At its price, within its size; every kind of source gives one run, which nobody accuses."""
    given_ = {"A": made(1), "B": made(2)}
    result = backtest(given_, latency=latency).run()
    assert result.findings is not None
    assert result.findings.found == ()
    fills = result.log[result.log[:, 0] == 3]
    assert len(fills) > 60
    for number, name in enumerate(("A", "B")):
        own = fills[fills[:, 3] == number]
        stood = oracle(given_[name], np.column_stack((own[:, 1], own[:, 5])))
        assert own[:, 6].tolist() == [price for price, _ in stood]
        assert all(abs(shares) <= size * 10**9 for shares, (_, size) in zip(own[:, 5].tolist(), stood, strict=True))
    frames: list[Callable[[Any], Any]] = [pd.DataFrame, pl.DataFrame]
    for frame in frames:
        again = backtest({name: frame(columns) for name, columns in given_.items()}, latency=latency).run()
        assert again.hash == result.hash
    other = backtest({"A": made(1), "B": made(3)}, latency=latency).run()
    assert other.hash != result.hash


def test_flaws_are_counted_and_fill_nothing(tmp_path: Path) -> None:
    """Crossed quotes are nobody's; a file is read like a frame."""
    columns = {
        "ts": [dt.datetime(2020, 1, 1, 0, n, tzinfo=dt.UTC) for n in range(4)],
        "bid": [1.0, 2.0, None, 1.0],
        "ask": [2.0, 1.0, 2.0, 1.0],
    }
    pl.DataFrame(columns).write_parquet(tmp_path / "S.parquet")
    found = quotes.load({"S": tmp_path / "S.parquet"}, {"S": 4})
    assert (found.crossed, found.one_sided) == (1, 1)
    assert found.quotes.bid.tolist() == [10_000, 0, 0, 10_000]
    assert found.quotes.ask.tolist() == [20_000, 0, 20_000, 10_000]
    assert found.quotes.bid_size.min() == 2**62


@pytest.mark.parametrize(
    "book, message",
    [
        ([], "a mapping of symbols"),
        ({"A": made(1)}, "none of B"),
        ({"A": made(1), "B": made(2), "C": made(3)}, "of the run's symbols"),
        ({"A": made(1), "B": {"ts": [2, 1], "bid": [1, 1], "ask": [1, 1]}}, "row 1"),
        ({"A": made(1), "B": {"ts": [1, 2], "bid": [1, 1]}}, "no column ask"),
    ],
)
def test_what_is_no_book_is_refused(book: Any, message: str) -> None:
    """Naming symbol, row or column."""
    with pytest.raises((errors.ValueRefused, errors.DataRefused), match=message):
        backtest(book).run()
