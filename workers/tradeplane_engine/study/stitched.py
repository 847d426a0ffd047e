"""The parameters of a walk-forward, each in its own window, as one strategy of one run.

Of a family of rules or functions, the column of each window's configuration is followed in that window; where one ends,
the next one's targets take over. Of a class, a fresh strategy begins in each window: what the one before left open is
cancelled and what it held is closed, unless the new one wants it. Indicators are those of the whole history, so that
a window needs no bars to warm up.
"""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pydantic

from tradeplane_engine import strategy, sweep
from tradeplane_engine.rules import strategies as rules

if TYPE_CHECKING:
    from tradeplane_engine.core.context import Context
    from tradeplane_engine.core.kernel import Update
    from tradeplane_engine.core.table import Bar, Bars, Table

IntArray = npt.NDArray[np.int64]


class Window(pydantic.BaseModel):
    """Parameters and when they trade: bars that become known after ``after`` and at or before ``until`` (ns UTC)."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    after: int
    until: int
    parameters: dict[str, Any]


class Stitched(strategy.Strategy):
    """Base of both kinds."""

    family: ClassVar[Any]

    class Parameters(strategy.Strategy.Parameters):
        """Windows in their order."""

        windows: tuple[Window, ...]

    parameters: Parameters


class StitchedColumns(Stitched):
    """Follows the columns of rules or functions."""

    def on_start(self, ctx: "Context") -> None:
        """Say what is wanted at every bar."""
        ctx.follow(self._targets)

    def _targets(self, bars: "Table") -> tuple[IntArray, IntArray]:
        known = bars.columns["available_at"]
        found = np.zeros(bars.rows, dtype=np.int64)
        for window in self.parameters.windows:
            made = sweep.configuration(type(self).family, window.parameters)
            wish, first = rules.ColumnStrategy(made).targets(bars)  # type: ignore[arg-type]  # no class: see stitch
            defined = np.arange(bars.rows) >= np.repeat(first, np.diff(bars.starts))
            rows = (known > window.after) & (known <= window.until) & defined
            found[rows] = wish[rows]
        return found, np.array(bars.starts[:-1], dtype=np.int64)


class StitchedClass(Stitched):
    """Hands its bars on to a strategy of the window."""

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        self._parts = [type(self).family(**window.parameters) for window in self.parameters.windows]
        self._active: strategy.Strategy | None = None

    def on_start(self, ctx: "Context") -> None:
        """Let every window's strategy declare its indicators."""
        for part in self._parts:
            part.on_start(ctx)

    def on_bar(self, ctx: "Context", bar: "Bar") -> None:
        """Hand a bar on."""
        part = self._part(ctx)
        if part is not None:
            part.on_bar(ctx, bar)

    def on_bars(self, ctx: "Context", bars: "Bars") -> None:
        """Hand the bars of an instant on."""
        part = self._part(ctx)
        if part is not None:
            part.on_bars(ctx, bars)

    def on_order_update(self, ctx: "Context", update: "Update") -> None:
        """Hand on what became of an order."""
        if self._active is not None:
            self._active.on_order_update(ctx, update)

    def on_timer(self, ctx: "Context", name: str) -> None:
        """Hand a timer on."""
        if self._active is not None:
            self._active.on_timer(ctx, name)

    def on_stop(self, ctx: "Context") -> None:
        """Tell the last one that the run is over."""
        if self._active is not None:
            self._active.on_stop(ctx)

    def _part(self, ctx: "Context") -> strategy.Strategy | None:
        """Return the strategy of this instant's window, None outside of all; a new one begins with nothing."""
        pairs = zip(self.parameters.windows, self._parts, strict=True)
        now = next((part for window, part in pairs if window.after < ctx.now <= window.until), None)
        if now is not self._active:
            for order in ctx.open_orders():
                ctx.cancel(order)
            for symbol in ctx.symbols:
                if ctx.position(symbol):
                    ctx.target(symbol, shares=0)
            self._active = now
        return now


def stitch(family: sweep.Family) -> type[Stitched]:
    """Return the strategy's class for a family."""
    name = f"{getattr(family, '__name__', 'family')}-walk-forward"
    if isinstance(family, type) and issubclass(family, strategy.Strategy):
        return type(name, (StitchedClass,), {"family": family, "warm_up": family.warm_up})
    return type(name, (StitchedColumns,), {"family": staticmethod(family)})
