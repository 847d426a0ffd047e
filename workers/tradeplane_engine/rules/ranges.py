"""Ranges of a rule's numbers, from those of the columns: what could leave 64 bits is known before it is computed."""

from collections.abc import Callable

from tradeplane_engine import errors
from tradeplane_engine.rules import expressions
from tradeplane_engine.rules.rule import Rule

Range = tuple[int, int]
Extremes = Callable[[str], Range]  # smallest and largest value of a column

_LARGEST = 2**63 - 1


def checked(rule: Rule, extremes: Extremes) -> dict[expressions.Number, Range]:
    """Bounds of every number of a rule; raises Overflow naming the first that could leave 64 bits."""
    found: dict[expressions.Number, Range] = {}
    for condition, _ in rule.branches():
        for node in expressions.every(condition):
            if isinstance(node, expressions.Number):
                low, high = _range(node, extremes, found)
                if low < -_LARGEST or high > _LARGEST:
                    raise errors.Overflow(f"rule: {node}", "within 64 bits at every bar", (low, high))
                found[node] = (low, high)
    return found


def _range(node: expressions.Number, extremes: Extremes, known: dict[expressions.Number, Range]) -> Range:
    if isinstance(node, expressions.Constant):
        return node.value, node.value
    if isinstance(node, expressions.Column):
        return extremes(node.field)
    if isinstance(node, expressions.Window):
        return _window(node, *extremes(node.field))
    below = [known[one] for one in expressions.children(node) if isinstance(one, expressions.Number)]
    if isinstance(node, expressions.Times):
        ends = [node.factor * end for end in below[0]]
        return min(ends), max(ends)
    (a, b), (c, d) = below
    return (a + c, b + d) if isinstance(node, expressions.Plus) else (a - d, b - c)


def _window(node: expressions.Window, low: int, high: int) -> Range:
    if node.name == "sum":
        return node.window * min(low, 0), node.window * max(high, 0)
    return (low - high, high - low) if node.name == "change" else (low, high)
