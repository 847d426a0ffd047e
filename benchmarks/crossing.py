"""The bench's strategy in several ways, and limits that run the whole chain and cannot bind.

Long 100 shares while ``50 * sum20 > 20 * sum50`` of the closes as integers, else flat; a tie is flat. The first
decision falls at a symbol's 50th bar.
"""

import dataclasses
from collections import deque
from fractions import Fraction

from tradeplane_engine import rules, strategy
from tradeplane_engine.core import context, kernel, limits, table

FAST, SLOW, SHARES = 20, 50, 100
FEE_BPS = Fraction(1)
_LOOSE = Fraction(10**9)
LIMITS = limits.Limits(
    max_notional=10**18,
    max_quantity=10**18,
    max_open_orders=10**9,
    max_weight=_LOOSE,
    max_position_notional=10**18,
    allow_short=True,
    max_gross=_LOOSE,
    max_net=_LOOSE,
    max_positions=10**9,
    max_concentration=_LOOSE**2,
    max_daily_loss=Fraction(1),
    max_drawdown=Fraction(1),
    max_consecutive_losses=10**9,
    max_bar_age=10**18,
)
# An account worth nothing or less can hold no share of its equity, and has lost all: the limits on both would bind.
LIMITS_WITHOUT_EQUITY = dataclasses.replace(
    LIMITS,
    **dict.fromkeys(("max_weight", "max_gross", "max_net", "max_concentration", "max_daily_loss", "max_drawdown")),  # type: ignore[arg-type]  # None
)


class Hearing(strategy.Strategy):
    """Counts what becomes of its orders."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = 0

    def on_order_update(self, ctx: context.Context, update: kernel.Update) -> None:  # noqa: ARG002 - a hook
        """Count it."""
        self.heard += 1


class Indicators(Hearing):
    """Asks the engine for both averages."""

    def on_start(self, ctx: context.Context) -> None:
        """Declare them."""
        self.fast, self.slow = ctx.indicator("sma", FAST), ctx.indicator("sma", SLOW)

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Compare them."""
        ctx.target(bar.symbol, shares=SHARES if self.fast > self.slow else 0)


class Sums:
    """One symbol's last closes and both sums over them."""

    __slots__ = ("closes", "fast", "missing", "slow", "wish")

    def __init__(self) -> None:
        self.closes = deque([0] * SLOW, SLOW)
        self.fast = self.slow = 0
        self.missing = SLOW
        self.wish = False


class OwnSums(Hearing):
    """Keeps the sums itself and orders where its wish changes."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        """Have no closes yet."""
        self.sums: dict[str, Sums] = {}

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Move both sums by one close."""
        symbol = bar.symbol
        try:
            own = self.sums[symbol]
        except KeyError:
            own = self.sums[symbol] = Sums()
        close = bar.close
        closes = own.closes
        own.fast = fast = own.fast + close - closes[SLOW - FAST]
        own.slow = slow = own.slow + close - closes[0]
        closes.append(close)
        if own.missing > 1:
            own.missing -= 1
        elif (SLOW * fast > FAST * slow) is not own.wish:
            own.wish = not own.wish
            ctx.target(symbol, shares=SHARES if own.wish else 0)


class Slice(Hearing):
    """Sums over a view of the last 50 closes at each bar."""

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Look back."""
        symbol = bar.symbol
        closes = ctx.history(symbol, SLOW)
        if len(closes) == SLOW:
            long = SLOW * closes[SLOW - FAST :].sum() > FAST * closes.sum()
            ctx.target(symbol, shares=SHARES if long else 0)


def family(fast: int, slow: int) -> rules.Rule:
    """The rule for any two windows."""
    return rules.when(slow * rules.sum("close", fast) > fast * rules.sum("close", slow)).hold(shares=SHARES)


class Rule(rules.RuleStrategy):
    """Evaluates the rule at every bar."""

    def __init__(self) -> None:
        super().__init__(family(FAST, SLOW))


class Column(rules.ColumnStrategy):
    """Evaluates the rule over the whole columns before the first bar."""

    def __init__(self) -> None:
        super().__init__(family(FAST, SLOW))


STRATEGIES = {"indicators": Indicators, "own-sums": OwnSums, "slice": Slice, "rule": Rule, "column": Column}
