"""The public class of code strategies.

```python
class Cross(strategy.Strategy):
    def on_start(self, ctx):
        self.fast, self.slow = ctx.indicator("sma", 20), ctx.indicator("sma", 50)

    def on_bar(self, ctx, bar):
        ctx.target(bar.symbol, shares=100 if self.fast > self.slow else 0)
```

The same class runs in a backtest and in live. It must not read a clock, a file or a network: what it may know comes
through its context and its hooks.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, TypeVar

import pydantic

from tradeplane_engine import errors

if TYPE_CHECKING:
    from tradeplane_engine.core.context import Context
    from tradeplane_engine.core.kernel import Update
    from tradeplane_engine.core.table import Bar, Bars


_Hook = TypeVar("_Hook", bound=Callable[..., None])


def _does_nothing(hook: _Hook) -> _Hook:
    """Mark a hook of the base class, so that the loop does not call it."""
    hook.does_nothing = True  # type: ignore[attr-defined]  # functions take attributes
    return hook


def refused(kind: "type[Strategy]", where: str, problem: pydantic.ValidationError) -> errors.ValueRefused:
    """Return the error that names the first parameter of a class that its model refuses, below ``where``."""
    first = problem.errors(include_url=False)[0]
    limit = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        limit = f"one of {', '.join(kind.Parameters.model_fields) or 'none'}"
        return errors.ValueRefused(where, limit, str(first["loc"][-1]))
    return errors.ValueRefused(".".join((where, *map(str, first["loc"]))), limit, first["input"])


def made(kind: "type[Strategy]", parameters: Mapping[str, object], name: str) -> "Strategy":
    """Return a fresh strategy; raises ValueRefused for parameters, StrategyFailed for what its constructor raises."""
    try:
        return kind(**parameters)
    except pydantic.ValidationError as problem:
        raise refused(kind, f"{name}.parameters", problem) from problem
    except errors.EngineError:
        raise
    except Exception as problem:
        raise errors.StrategyFailed(name, "__init__", problem) from problem


class Strategy:
    """Base of every code strategy; a hook that is not overridden costs nothing.

    ``Parameters`` is the pydantic model of its parameters, which are validated before the run and lie in
    ``self.parameters``. Hooks see a symbol's bars from the first one on at which every declared indicator is defined
    and before which there are ``warm_up`` others, for ``ctx.history``.
    """

    class Parameters(pydantic.BaseModel):
        """No parameters."""

        model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    parameters: Parameters
    name: ClassVar[str] = ""
    warm_up: ClassVar[int] = 0

    def __init__(self, **parameters: object) -> None:
        self.parameters = self.Parameters(**parameters)

    def on_start(self, ctx: "Context") -> None:
        """Declare indicators, once, before the first bar."""

    @_does_nothing
    def on_bar(self, ctx: "Context", bar: "Bar") -> None:
        """See one bar that has become available, of the symbol and timeframe that it names.

        Bars of one instant come by timeframe, the shortest first, then by symbol.
        """

    @_does_nothing
    def on_bars(self, ctx: "Context", bars: "Bars") -> None:
        """See the bars of one timeframe and one end together, once, after their barrier: ``bars.absent`` had none.

        ``on_bar`` of each bar comes before, and is the only one that hears of a bar which came after the barrier.
        """

    @_does_nothing
    def on_order_update(self, ctx: "Context", update: "Update") -> None:
        """Hear at once what became of an order."""

    def on_timer(self, ctx: "Context", name: str) -> None:
        """Hear a timer that ``ctx.timer`` set."""

    def on_stop(self, ctx: "Context") -> None:
        """Hear that the run is over; nothing can be ordered any more."""
