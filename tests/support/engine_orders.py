"""Hand-made bars and strategies by the bar, for tests of orders and fills.

Every run checks after each word to a strategy that the books count what the open orders add up to.
"""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from tradeplane_engine import strategy
from tradeplane_engine.core import context, costs, kernel, limits, order, risk, sessions, table, venue_settings
from tradeplane_engine.data import quotes, series

MINUTE = 60_000_000_000
START = 1_577_836_800_000_000_000
CASH = 1_000_000 * 10**9
SHARE = 10**9
FREE = limits.Limits(allow_short=True)

Plan = dict[int | tuple[str, int], Callable[[context.Context], Any]]


def bars(
    *rows: Sequence[int],
    symbol: str = "S",
    minutes: Sequence[int] | None = None,
    length: int = 1,
    late: int = 0,
) -> series.Series:
    """Bars of (open, high, low, close[, volume]) from START on, one a minute; ``late`` minutes until they are known."""
    columns = np.array([(*row, 1000)[:5] for row in rows], dtype=np.int64).T
    start = START + np.array(minutes or range(len(rows)), dtype=np.int64) * MINUTE
    end = start + length * MINUTE
    return series.Series(symbol, start, end, end + late * MINUTE, *np.ascontiguousarray(columns))


def flat(price: int, count: int, volume: int = 1000) -> list[tuple[int, int, int, int, int]]:
    """Bars that do not move."""
    return [(price, price, price, price, volume)] * count


def instant(minute: float) -> int:
    """Instant of a minute of the run."""
    return START + int(minute * MINUTE)


def trading(*pairs: tuple[int, int]) -> sessions.Sessions:
    """Sessions from (open, close) in minutes."""
    opens, closes = np.array([[instant(each) for each in pair] for pair in pairs], dtype=np.int64).T
    return sessions.Sessions(np.ascontiguousarray(opens), np.ascontiguousarray(closes))


def quoted(*rows: Sequence[float], **columns: Any) -> quotes.Quotes:
    """Quotes of one symbol: (minute, bid, ask[, shares on both sides]); 100 shares unless given."""
    at, bid, ask, size = zip(*((*row, 100)[:4] for row in rows), strict=True)
    named: dict[str, Any] = {
        "at": [instant(each) for each in at],
        "symbol": np.zeros(len(rows), dtype=np.int32),
        "bid": bid,
        "ask": ask,
        "bid_size": [each * SHARE for each in size],
        "ask_size": [each * SHARE for each in size],
    } | columns
    return quotes.Quotes(**{k: v if k == "symbol" else np.array(v, dtype=np.int64) for k, v in named.items()})


class Script(strategy.Strategy):
    """Do what a plan says at the n-th bar that it sees (of a symbol), and keep what is heard.

    Attributes
    ----------
    heard : (event, order id, minute)
    fills : (order id, minute, shares, price) of each execution
    """

    def __init__(
        self,
        plan: Plan,
        hook: Callable[[context.Context, kernel.Update], Any] | None = None,
        after: "Callable[[Script], Any] | None" = None,
    ) -> None:
        super().__init__()
        self.after = after
        self.plan = plan
        self.hook = hook
        self.heard: list[tuple[str, int, float]] = []
        self.fills: list[tuple[int, float, float, int]] = []
        self.said: dict[Any, Any] = {}
        self.seen: dict[str, int] = {}
        self.kernel: kernel.Kernel | None = None

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Follow the plan."""
        number = self.seen.get(bar.symbol, -1) + 1
        self.seen[bar.symbol] = number
        for key in (number, (bar.symbol, number)):
            if key in self.plan:
                self.said[key] = self.plan[key](ctx)
        self.check()
        if self.after is not None:
            self.after(self)
            self.check()

    def on_order_update(self, ctx: context.Context, update: kernel.Update) -> None:
        """Keep what was heard."""
        minute = (update.at - START) / MINUTE
        self.heard.append((update.event, update.order.id, minute))
        if update.quantity:
            self.fills.append((update.order.id, minute, update.quantity / SHARE, update.price))
        self.check()
        if self.hook is not None:
            self.hook(ctx, update)

    def check(self) -> None:
        """Compare the books with the orders."""
        assert self.kernel is not None
        for scope in (self.kernel.account, self.kernel.slots[0].scope):
            alive = [one for one in self.kernel.orders if not one.ended]
            assert scope.book.open_orders == len(alive)
            for symbol in range(len(self.kernel.table.symbols)):
                for side, working in ((1, scope.book.buying), (-1, scope.book.selling)):
                    expected = sum(o.counted for o in alive if o.side == side and o.symbol == symbol)
                    assert working[symbol] == expected, f"{side} {symbol}: {alive}"
        for one in self.kernel.orders:
            assert one.ended or one.filled + one.open == one.quantity

    def events(self, number: int) -> list[str]:
        """What was heard of one order."""
        return [event for event, order_id, _ in self.heard if order_id == number]


def run(
    data: series.Series | Iterable[series.Series],
    plan: Plan,
    *,
    venue: venue_settings.Venue | None = None,
    hook: Callable[[context.Context, kernel.Update], Any] | None = None,
    after: Callable[[Script], Any] | None = None,
    spread: Fraction = Fraction(0),
    policy: limits.Limits = FREE,
    book: quotes.Quotes | None = None,
    **settings: Any,
) -> tuple[kernel.Kernel, Script]:
    """Run a plan; settings are those of the venue, where orders fill at a book of quotes if there is one."""
    if book is not None:
        settings["fill_at"] = "book"
    joined = [data] if isinstance(data, series.Series) else list(data)
    found = kernel.Kernel(
        table.Table(joined),
        costs.Costs(half_spread_bps=spread),
        CASH,
        risk.Policy("free", policy),
        venue or venue_settings.Venue(**settings),
        quotes=book,
    )
    script = Script(plan, hook, after)
    script.kernel = found
    found.add("script", script, CASH, risk.Policy("free", policy))
    found.run()
    script.check()
    return found, script


def statuses(found: kernel.Kernel) -> list[str]:
    """Status of each order, by id."""
    return [order.STATUSES[one.status] for one in found.orders]
