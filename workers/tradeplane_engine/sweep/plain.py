"""What the kernel can express: the reasons, by name, for which a table or a configuration needs the event engine.

A limit is judged against bounds that no instant of the run can exceed. Where a bound passes, the limit cannot bind, and
leaving out its check changes nothing; where it does not, the event engine asks at every order.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeplane_engine.core.limits import Limits
from tradeplane_engine.core.table import Table
from tradeplane_engine.sweep.settings import Settings

IntArray = npt.NDArray[np.int64]

_SHARE = 10**9
_SAFE = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """Extremes of a table.

    unit, top_close, top_price : per symbol: price units in one USD, highest close, and highest open or close
    oldest : longest time from a bar's end to its being known, ns
    """

    unit: list[int]
    top_close: list[int]
    top_price: list[int]
    oldest: int

    def worth(self, shares: int) -> int:
        """Most that so many shares of every symbol at once can be worth at a close, money."""
        return sum(shares * close * (_SHARE // unit) for close, unit in zip(self.top_close, self.unit, strict=True))

    def largest(self, shares: int) -> int:
        """Most that so many shares of one symbol can be worth at an open or a close, money."""
        pairs = zip(self.top_price, self.unit, strict=True)
        return max((shares * price * (_SHARE // unit) for price, unit in pairs), default=0)


@dataclass(frozen=True, slots=True)
class Facts:
    """Bounds of one configuration's run; money unless said otherwise.

    most, least : largest size and smallest signed target, shares
    low, high : of equity at any instant
    gross : of worst-case exposure
    single : of one symbol's worst-case exposure
    flow : of the sum of all sizes of cash changes
    fills, symbols : counts
    oldest : age of a bar at its decision, ns
    """

    most: int
    least: int
    low: int
    high: int
    gross: int
    single: int
    flow: int
    fills: int
    symbols: int
    oldest: int


def market(table: Table) -> Market:
    """Take a table's extremes."""
    open_, close = table.columns["open"], table.columns["close"]
    age = table.columns["available_at"] - table.columns["end"]
    top_close, top_price = [], []
    for first, stop in zip(table.starts[:-1].tolist(), table.starts[1:].tolist(), strict=True):
        top_close.append(int(close[first:stop].max()) if stop > first else 0)
        top_price.append(max(top_close[-1], int(open_[first:stop].max())) if stop > first else 0)
    return Market([10**digits for digits in table.digits], top_close, top_price, int(age.max()) if len(age) else 0)


def refuses_table(table: Table, settings: Settings) -> str | None:
    """Return why no configuration of these settings on this table can run in the kernel, or None."""
    if settings.latency:
        return f"latency of {settings.latency} ns"
    if settings.schedule is not None:
        return "fees by date"
    start, known = table.columns["start"], table.columns["available_at"]
    early = start[1:] < known[:-1]
    first = table.starts[(table.starts > 0) & (table.starts < table.rows)]
    early[first - 1] = False  # the next symbol's first row
    if early.any():
        row = int(np.argmax(early))
        symbol = table.symbols[int(np.searchsorted(table.starts, row, "right")) - 1]
        return f"a bar of {symbol} that opens before the last is known"
    return None


def refuses_run(limits: Limits, facts: Facts) -> str | None:
    """Return the first limit that could bind in a run, or money that could leave 64 bits; None where neither can."""
    if max(facts.flow + abs(facts.high) + abs(facts.low), facts.gross) >= _SAFE:
        return "money near 64 bits"
    if facts.least < 0 and not limits.allow_short:
        return "allow_short"
    for name, value, limit in (
        ("restricted", 1, None if limits.restricted is None else 0),  # whether its symbols are, the event engine says
        ("max_orders_per_day", facts.fills + facts.symbols, limits.max_orders_per_day),
        ("max_notional_per_day", facts.flow + facts.gross, limits.max_notional_per_day),
        ("max_bar_age", facts.oldest, limits.max_bar_age),
        ("max_quantity", facts.most * _SHARE, limits.max_quantity),
        ("max_notional", facts.single, limits.max_notional),
        ("max_open_orders", facts.symbols, limits.max_open_orders),
        ("max_position_notional", facts.single, limits.max_position_notional),
        ("max_positions", facts.symbols, limits.max_positions),
        ("max_consecutive_losses", facts.fills + 1, limits.max_consecutive_losses),
    ):
        if limit is not None and value > limit:
            return name
    for name, value, ratio, equity in (
        ("max_weight", facts.single, limits.max_weight, facts.low),
        ("max_gross", facts.gross, limits.max_gross, facts.low),
        ("max_net", facts.gross, limits.max_net, facts.low),
        # The deepest fall that there can be, as a part of the peak that it began at.
        ("max_daily_loss", facts.high - facts.low, limits.max_daily_loss, facts.high),
        ("max_drawdown", facts.high - facts.low, limits.max_drawdown, facts.high),
    ):
        if ratio is not None and (facts.low <= 0 or value * ratio.denominator > ratio.numerator * equity):
            return name
    most = limits.max_concentration
    if most is not None and (facts.low <= 0 or facts.gross**2 * most.denominator > most.numerator * facts.low**2):
        return "max_concentration"
    return None
