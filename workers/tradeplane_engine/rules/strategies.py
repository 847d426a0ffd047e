"""A rule as a strategy: bar by bar like any other, or as a column that the loop follows."""

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import strategy
from tradeplane_engine.rules import columns, expressions
from tradeplane_engine.rules.function import Function
from tradeplane_engine.rules.rule import Rule

if TYPE_CHECKING:
    from tradeplane_engine.core.context import Context
    from tradeplane_engine.core.table import Bar, Table

_SIGNS: dict[str, Callable[..., bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
_FUNCTIONS: dict[type, Callable[..., Any]] = {
    expressions.Plus: operator.add,
    expressions.Minus: operator.sub,
    expressions.Both: operator.and_,
    expressions.Either: operator.or_,
    expressions.Not: operator.not_,
}


class RuleStrategy(strategy.Strategy):
    """Evaluates a rule at every bar, in Python's integers; the same in a backtest and in live.

    Parameters
    ----------
    rule : what to hold, for every symbol of the run on its own
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule = rule

    def on_start(self, ctx: "Context") -> None:
        """Declare the rule's indicators."""
        self._indicators = {
            window: ctx.indicator(window.name, window.window, field=window.field) for window in self.rule.windows()
        }
        self._branches = self.rule.branches()
        self._rest = self.rule.rest()
        self._held_before: dict[tuple[expressions.Crossed, str], bool] = {}

    def on_bar(self, ctx: "Context", bar: "Bar") -> None:
        """Want what the first branch says whose condition holds."""
        known: dict[expressions.Node, Any] = {}
        # Every condition is evaluated, also behind one that holds: a crossing must see each bar.
        holding = [self._value(condition, bar, known) for condition, _ in self._branches]
        wanted = next((shares for true, (_, shares) in zip(holding, self._branches, strict=True) if true), self._rest)
        ctx.target(bar.symbol, shares=wanted)

    def _value(self, node: expressions.Node, bar: "Bar", known: dict[expressions.Node, Any]) -> Any:
        if node not in known:
            known[node] = self._evaluate(node, bar, known)
        return known[node]

    def _evaluate(self, node: expressions.Node, bar: "Bar", known: dict[expressions.Node, Any]) -> Any:
        if isinstance(node, expressions.Constant):
            return node.value
        if isinstance(node, expressions.Column):
            return getattr(bar, node.field)
        if isinstance(node, expressions.Window):
            return self._indicators[node].numerator
        below = [self._value(one, bar, known) for one in expressions.children(node)]
        if isinstance(node, expressions.Times):
            return node.factor * below[0]
        if isinstance(node, expressions.Crossed):
            holds = _SIGNS[node.sign](*below)
            before = self._held_before.get((node, bar.symbol), True)
            self._held_before[node, bar.symbol] = holds
            return holds and not before
        function = _SIGNS[node.sign] if isinstance(node, expressions.Compare) else _FUNCTIONS[type(node)]
        return function(*below)


class ColumnStrategy(strategy.Strategy):
    """Evaluates a rule, or a user's function, over the whole table before the first bar; the loop follows the column.

    Only a backtest can do that. Orders, risk, fills and ledger are those of every other strategy.

    Parameters
    ----------
    rule : what to hold, for every symbol of the run on its own
    """

    def __init__(self, rule: Rule | Function) -> None:
        super().__init__()
        self.rule = rule

    def on_start(self, ctx: "Context") -> None:
        """Evaluate, and say what is wanted at every bar."""
        ctx.follow(self.targets)

    def targets(self, bars: "Table") -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the target in whole shares per row, and per symbol the first row at which there is one."""
        if isinstance(self.rule, Rule):
            return columns.wish(self.rule, bars)
        return self.rule.wish(bars), np.array(bars.starts[:-1], dtype=np.int64)
