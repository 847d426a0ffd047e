"""Rules over whole columns: many rules at once, block by block, in integers.

1. The nodes of all rules become one program in which a node that several rules share is computed once.
2. Every number's range is worked out from the ranges of the columns: a rule whose numbers could leave 64 bits is
   refused before anything is computed, so that nothing ever wraps.
3. Running totals of a column are kept once for all windows. They may wrap; the difference of two is still exact.
4. A block of rows is small enough that its numbers stay in the processor's cache.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine.core import evaluation
from tradeplane_engine.core.table import Table
from tradeplane_engine.rules import expressions, ranges
from tradeplane_engine.rules.rule import Rule

IntArray = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint8]

BLOCK = 8192
_SIGNS: dict[str, np.ufunc] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
}
_FUNCTIONS: dict[type, np.ufunc] = {
    expressions.Plus: np.add,
    expressions.Minus: np.subtract,
    expressions.Both: np.logical_and,
    expressions.Either: np.logical_or,
    expressions.Not: np.logical_not,
}
_Step = Callable[[int, int], None]  # first row of a block, and its rows


class Inputs:
    """What the rules of a sweep read from one table: columns, running totals and other indicators, each made once.

    Parameters
    ----------
    table : the bars
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self._totals: dict[str, IntArray] = {}
        self._indicators: dict[expressions.Window, IntArray] = {}
        self._extremes: dict[str, tuple[int, int]] = {}

    def extremes(self, field: str) -> tuple[int, int]:
        """Smallest and largest value of a column; zeros for an empty table."""
        if field not in self._extremes:
            column = self.table.columns[field]
            self._extremes[field] = (int(column.min()), int(column.max())) if len(column) else (0, 0)
        return self._extremes[field]

    def totals(self, field: str) -> IntArray:
        """Sum of the rows before each row, modulo 2^64; one longer than the table."""
        if field not in self._totals:
            found = np.zeros(self.table.rows + 1, dtype=np.int64)
            np.cumsum(self.table.columns[field], out=found[1:])
            self._totals[field] = found
        return self._totals[field]

    def indicator(self, window: expressions.Window) -> IntArray:
        """An exact indicator per row of the table."""
        if window not in self._indicators:
            self._indicators[window] = evaluation.batch(self.table, window.spec())[0]["value"]
        return self._indicators[window]

    def first(self, rule: Rule) -> IntArray:
        """First row per symbol at which a rule is defined; beyond the symbol's rows where it never is."""
        found: IntArray = self.table.starts[:-1] + rule.warmup()
        return found


def codes(rules: Sequence[Rule], inputs: Inputs) -> list[Codes]:
    """Return per rule the index into ``rule.choices()`` at every row; rows before the first defined one are 0."""
    table = inputs.table
    for rule in rules:
        ranges.checked(rule, inputs.extremes)
    program = _Program(rules, inputs)
    found = [np.empty(table.rows, dtype=np.uint8) for _ in rules]
    for start in range(0, table.rows, BLOCK):
        program.block(start, min(start + BLOCK, table.rows), found)
    for rule, column in zip(rules, found, strict=True):
        ends = zip(table.starts.tolist(), inputs.first(rule).tolist(), table.starts[1:].tolist(), strict=False)
        for start, begin, stop in ends:
            column[start : min(begin, stop)] = 0
    return found


def wish(rule: Rule, table: Table) -> tuple[IntArray, IntArray]:
    """Return the target in whole shares per row, and the first row per symbol at which the rule is defined.

    Rows before that have the rule's ``rest``, which nobody asks for. Raises Overflow for what could leave 64 bits.
    """
    inputs = Inputs(table)
    choices = np.array(rule.choices(), dtype=np.int64)
    # No code is outside of the choices; so told, numpy need not ask.
    return np.take(choices, codes([rule], inputs)[0], mode="clip"), inputs.first(rule)


class _Program:
    """The nodes of some rules in the order in which they can be computed, and a buffer for each."""

    def __init__(self, rules: Sequence[Rule], inputs: Inputs) -> None:
        self.inputs = inputs
        self.rules = rules
        nodes = [node for rule in rules for condition, _ in rule.branches() for node in expressions.every(condition)]
        order = list(dict.fromkeys(nodes))
        self.place = {node: at for at, node in enumerate(order)}
        # A crossing needs the row before, so every block then begins one row earlier.
        self.before = int(any(isinstance(node, expressions.Crossed) for node in order))
        self.values: list[Any] = [None] * len(order)
        self.steps = self._steps(order)
        self.branches = [[(self.place[condition], code) for condition, code in _numbered(rule)] for rule in rules]
        self.crossing_rules = [_crosses(rule) for rule in rules]
        self.firsts = [inputs.first(rule) for rule in rules]

    def block(self, start: int, stop: int, found: list[Codes]) -> None:
        """Evaluate rows ``start`` to ``stop - 1`` of every rule."""
        begin = max(start - self.before, 0)
        rows = stop - begin
        for step in self.steps:
            step(begin, rows)
        skipped = start - begin
        for at, branches in enumerate(self.branches):
            out = found[at][start:stop]
            if len(branches) == 1:
                out[:] = self.values[branches[0][0]][skipped:rows]
            else:
                out[:] = 0
                for place, code in branches:
                    out[self.values[place][skipped:rows]] = code
            if self.crossing_rules[at]:
                self._first_rows(at, start, stop, begin, out)

    def _first_rows(self, at: int, start: int, stop: int, begin: int, out: Codes) -> None:
        """Decide anew at the first row of each symbol, where no crossing is known."""
        for row in self.firsts[at].tolist():
            if start <= row < stop:
                holding = [code for condition, code in _numbered(self.rules[at]) if self._at(condition, row - begin)]
                out[row - start] = holding[-1] if holding else 0

    def _at(self, node: expressions.Node, row: int) -> bool:
        """Value of a condition at a row of the block where every crossing is false."""
        if isinstance(node, expressions.Crossed):
            return False
        if isinstance(node, expressions.Both):
            return self._at(node.left, row) and self._at(node.right, row)
        if isinstance(node, expressions.Either):
            return self._at(node.left, row) or self._at(node.right, row)
        if isinstance(node, expressions.Not):
            return not self._at(node.right, row)
        return bool(self.values[self.place[node]][row])

    def _steps(self, order: list[expressions.Node]) -> list[_Step]:
        size = BLOCK + self.before
        last_use = {below: at for at, node in enumerate(order) for below in expressions.children(node)}
        free: list[npt.NDArray[Any]] = []
        kept: dict[expressions.Node, npt.NDArray[Any]] = {}
        steps = []
        for at, node in enumerate(order):
            if isinstance(node, expressions.Number):
                buffer = free.pop() if free else np.empty(size, dtype=np.int64)
                kept[node] = buffer
            else:
                buffer = np.empty(size, dtype=np.bool_)
            steps.append(self._step(node, at, buffer))
            # Conditions stay: a rule may end in one.
            done = [below for below in dict.fromkeys(expressions.children(node)) if last_use[below] == at]
            free.extend(kept.pop(below) for below in done if below in kept)
        return steps

    def _step(self, node: expressions.Node, at: int, buffer: npt.NDArray[Any]) -> _Step:
        places = [self.place[below] for below in expressions.children(node)]
        if isinstance(node, expressions.Constant | expressions.Column | expressions.Window):
            return self._leaf(node, at, buffer)
        if isinstance(node, expressions.Crossed):
            return _crossing(self.values, at, places, _SIGNS[node.sign], buffer)
        if isinstance(node, expressions.Times):
            return _applied(self.values, at, places, np.multiply, buffer, np.int64(node.factor))
        if isinstance(node, expressions.Compare):
            return _applied(self.values, at, places, _SIGNS[node.sign], buffer)
        return _applied(self.values, at, places, _FUNCTIONS[type(node)], buffer)

    def _leaf(
        self,
        node: expressions.Constant | expressions.Column | expressions.Window,
        at: int,
        buffer: npt.NDArray[Any],
    ) -> _Step:
        if isinstance(node, expressions.Constant):
            constant = np.int64(node.value)
            return lambda _begin, _rows: self.values.__setitem__(at, constant)
        if isinstance(node, expressions.Window) and node.name == "sum":
            return _total(self.values, at, self.inputs.totals(node.field), node.window, buffer)
        column = self.inputs.table.columns[node.field]
        if isinstance(node, expressions.Window):
            column = self.inputs.indicator(node)
        return lambda begin, rows: self.values.__setitem__(at, column[begin : begin + rows])


def _total(values: list[Any], at: int, totals: IntArray, window: int, buffer: IntArray) -> _Step:
    def total(begin: int, rows: int) -> None:
        out = values[at] = buffer[:rows]
        short = min(max(window - 1 - begin, 0), rows)  # rows without a full window before them in the table
        out[:short] = 0
        newest = totals[begin + short + 1 : begin + rows + 1]
        np.subtract(newest, totals[begin + short + 1 - window : begin + rows + 1 - window], out=out[short:])

    return total


def _applied(
    values: list[Any], at: int, places: list[int], function: np.ufunc, buffer: npt.NDArray[Any], *more: np.int64
) -> _Step:
    def apply(begin: int, rows: int) -> None:
        del begin
        values[at] = function(*[values[place] for place in places], *more, out=buffer[:rows])

    return apply


def _crossing(values: list[Any], at: int, places: list[int], sign: np.ufunc, buffer: npt.NDArray[Any]) -> _Step:
    left, right = places
    scratch = np.empty_like(buffer)

    def cross(begin: int, rows: int) -> None:
        del begin
        now = sign(values[left], values[right], out=scratch[:rows])
        out = values[at] = buffer[:rows]
        out[:1] = False
        np.logical_and(now[1:], np.logical_not(now[:-1]), out=out[1:])

    return cross


def _numbered(rule: Rule) -> list[tuple[expressions.Condition, int]]:
    """Conditions from the last asked to the first, each with its index into ``choices``."""
    return [(condition, at + 1) for at, (condition, _) in enumerate(reversed(rule.branches()))]


def _crosses(rule: Rule) -> bool:
    return any(
        isinstance(node, expressions.Crossed)
        for condition, _ in rule.branches()
        for node in expressions.every(condition)
    )
