"""A rule as a strategy: bar by bar like any other, or as a column that the loop follows."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tradeplane_engine import errors, strategy
from tradeplane_engine.rules import columns, expressions
from tradeplane_engine.rules.function import Function
from tradeplane_engine.rules.rule import Rule

if TYPE_CHECKING:
    from tradeplane_engine.core.context import Context
    from tradeplane_engine.core.table import Bar

_SIGNS: dict[str, Callable[[int, int], bool]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "==": lambda left, right: left == right,
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
        below = [self._value(one, bar, known) for one in expressions.children(node)]
        match node:
            case expressions.Constant():
                return node.value
            case expressions.Column():
                return getattr(bar, node.field)
            case expressions.Window():
                return self._indicators[node].numerator
            case expressions.Plus():
                return below[0] + below[1]
            case expressions.Minus():
                return below[0] - below[1]
            case expressions.Times():
                return node.factor * below[0]
            case expressions.Compare():
                return _SIGNS[node.sign](below[0], below[1])
            case expressions.Crossed():
                holds = _SIGNS[node.sign](below[0], below[1])
                before = self._held_before.get((node, bar.symbol), True)
                self._held_before[node, bar.symbol] = holds
                return holds and not before
            case expressions.Both():
                return below[0] and below[1]
            case expressions.Either():
                return below[0] or below[1]
            case expressions.Not():
                return not below[0]
        raise errors.ValueRefused("rule", "of the nodes that a bar can evaluate", type(node).__name__)


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
        if isinstance(self.rule, Rule):
            shares, first = columns.wish(self.rule, ctx.table)
        else:
            shares, first = self.rule.wish(ctx.table), np.array(ctx.table.starts[:-1], dtype=np.int64)
        ctx.follow(shares, first)
