"""Families as strategies' classes, for the runs of a study that are more than a line in its table."""

from typing import TYPE_CHECKING, Any, ClassVar

import pydantic

from tradeplane_engine import strategy, sweep
from tradeplane_engine.rules import strategies as rules

if TYPE_CHECKING:
    from tradeplane_engine.core.context import Context


class Chosen(strategy.Strategy):
    """Follows the column of a family's rule or function."""

    family: ClassVar[Any]

    class Parameters(strategy.Strategy.Parameters):
        """Whatever the family takes."""

        model_config = pydantic.ConfigDict(extra="allow", frozen=True)

    def on_start(self, ctx: "Context") -> None:
        """Make the rule, and follow it."""
        made = sweep.configuration(type(self).family, self.parameters.model_dump())
        rules.ColumnStrategy(made).on_start(ctx)  # type: ignore[arg-type]  # a class's family is no Chosen


def strategy_of(family: sweep.Family) -> type[strategy.Strategy]:
    """Return the class itself, or one that follows what the family returns."""
    if isinstance(family, type) and issubclass(family, strategy.Strategy):
        return family
    return type(getattr(family, "__name__", "Family"), (Chosen,), {"family": staticmethod(family)})
