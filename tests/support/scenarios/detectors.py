"""What the honesty detectors say of an honest strategy and of one that knows the future."""

from typing import Any

from support.scenarios.making import Case, run, walk
from support.scenarios.signals import Cross
from tradeplane_engine import strategy
from tradeplane_engine.core import context, table

_DATA = walk("A", 250, seed=31)
_RISES = dict(zip(_DATA.end.tolist(), (_DATA.close[1:] > _DATA.close[:-1]).tolist(), strict=False))


class Foresees(strategy.Strategy):
    """Holds what will rise, by a table of what rose."""

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Look it up."""
        ctx.target(bar.symbol, shares=10 if _RISES.get(bar.end) else 0)


def _last_of_all(close: Any) -> Any:
    return close[0] - close.max()


class ByPeak(strategy.Strategy):
    """Uses an indicator that looks at other windows than its own."""

    def on_start(self, ctx: context.Context) -> None:
        """Declare it."""
        self.fall = ctx.indicator(_last_of_all, 3)

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Hold far below the peak that is yet to come."""
        ctx.target(bar.symbol, shares=10 if self.fall.value < -1 else 0)


def honest_strategy_examined() -> Case:
    """Nothing is found."""
    return run(_DATA, Cross, examine=True)


def a_table_of_the_future() -> Case:
    """The first bar that proves it is named."""
    return run(_DATA, Foresees, examine=True)


def an_indicator_that_looks_ahead() -> Case:
    """The indicator is named with the bar at which its value changes when later bars are cut."""
    return run(_DATA, ByPeak, examine=True)
