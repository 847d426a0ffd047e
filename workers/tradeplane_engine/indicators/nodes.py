"""What an indicator is made of: a graph of nodes over the columns of one symbol's bars.

A node says how its rows follow from the rows of its inputs; it holds no data. Three kinds compute: *elementwise* (a row
from the same row of its inputs), *windowed* (a row from the last rows of its inputs) and *recurring* (a row from this
row and a small state). :mod:`~tradeplane_engine.indicators.stages` runs a graph over blocks of rows.

``first`` is the index of a node's first defined row; ``span`` is the number of rows, the newest included, that a row
depends on, or None where it depends on all history since its start.

Only operations whose result is fixed by IEEE 754 are used (+, -, x, /, square root, comparisons; logarithms are our
own), each applied to a row alone. So a value has the same bits in a block of one row and in a block of thousands.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine.domain import logarithms

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]
Function = Callable[..., Array]


@dataclass(frozen=True, eq=False, kw_only=True)
class Node:
    """A step of a graph; equal only to itself, so that a node used twice is computed once."""

    inputs: tuple["Node", ...] = ()
    first: int = 0
    span: int | None = 1

    def __add__(self, other: "Node | float") -> "Node":
        return _binary(np.add, self, other)

    def __radd__(self, other: float) -> "Node":
        return each(lambda x: other + x, self)

    def __sub__(self, other: "Node | float") -> "Node":
        return _binary(np.subtract, self, other)

    def __rsub__(self, other: float) -> "Node":
        return each(lambda x: other - x, self)

    def __mul__(self, other: "Node | float") -> "Node":
        return _binary(np.multiply, self, other)

    def __rmul__(self, other: float) -> "Node":
        return each(lambda x: other * x, self)

    def __truediv__(self, other: "Node | float") -> "Node":
        """Divide; NaN where the divisor is zero, which is the rule for every indicator that names no other."""
        return _binary(ratio, self, other)


@dataclass(frozen=True, eq=False, kw_only=True)
class Column(Node):
    """A field of the bars: its integers where ``exact``, else its float64 (prices in USD, volume in shares)."""

    field: str
    exact: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class Elementwise(Node):
    """``function`` of the same row of each input."""

    function: Function


@dataclass(frozen=True, eq=False, kw_only=True)
class Windowed(Node):
    """``function(*inputs, window)``: ``window - 1 + n`` rows of each input, oldest first, to n rows."""

    function: Function
    window: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Recurring(Node):
    """A loop of :mod:`~tradeplane_engine.indicators.recurrences` with its parameters and the size of its state.

    Its rows are a column of ``outputs`` values each; ``skipped`` rows after its inputs' first are not defined yet.
    """

    loop: Callable[..., None]
    parameters: tuple[float, ...]
    size: int
    skipped: int
    outputs: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Picked(Node):
    """One of the values of a recurring node."""

    which: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Late(Node):
    """The rows of its input from ``first`` on."""

    skipped: int


@dataclass(frozen=True, slots=True)
class Graph:
    """Named outputs; where ``exact`` they are integers over ``denominator``."""

    outputs: Mapping[str, Node]
    exact: bool = False
    denominator: int = 1


def column(field: str, *, exact: bool = False) -> Node:
    """Return a field of the bars."""
    return Column(field=field, exact=exact)


def single(node: Node) -> Graph:
    """Return the graph of one float output, ``value``."""
    return Graph({"value": node})


def each(function: Function, *inputs: Node) -> Node:
    """Apply an elementwise function of IEEE operations."""
    return Elementwise(inputs=inputs, first=_first(inputs), span=_span(inputs, 1), function=function)


def over(function: Function, window: int, *inputs: Node) -> Node:
    """Apply a function of :mod:`~tradeplane_engine.indicators.windowed` to each window of ``window`` rows."""
    first, span = _first(inputs) + window - 1, _span(inputs, window)
    return Windowed(inputs=inputs, first=first, span=span, function=function, window=window)


def lag(node: Node, rows: int) -> Node:
    """Return the value ``rows`` rows before."""
    return over(_oldest, rows + 1, node)


def change(node: Node, rows: int = 1) -> Node:
    """Return the value minus the value ``rows`` rows before."""
    return node - lag(node, rows)


def recur(
    loop: Callable[..., None],
    *inputs: Node,
    parameters: tuple[float, ...] = (),
    size: int,
    skipped: int = 0,
    outputs: int = 1,
) -> tuple[Node, ...]:
    """Run a loop over the inputs; one node for each of its outputs."""
    node = Recurring(
        inputs=inputs,
        first=_first(inputs) + skipped,
        span=None,
        loop=loop,
        parameters=parameters,
        size=size,
        skipped=skipped,
        outputs=outputs,
    )
    return tuple(Picked(inputs=(node,), first=node.first, span=None, which=which) for which in range(outputs))


def late(node: Node, first: int) -> Node:
    """Return the node from row ``first`` on, which is not before its own first."""
    if first == node.first:
        return node
    return Late(inputs=(node,), first=first, span=node.span, skipped=first - node.first)


def ratio(above: Array, below: Array | float, empty: float = np.nan) -> FloatArray:
    """Divide; ``empty`` where the divisor is zero."""
    zero = np.equal(below, 0.0)
    found: FloatArray = np.where(zero, empty, above / np.where(zero, 1.0, below))
    return found


def ratio_or(above: Node, below: Node, empty: float) -> Node:
    """Divide; ``empty`` where the divisor is zero."""
    return each(lambda one, two: ratio(one, two, empty), above, below)


def larger(one: Node, two: Node) -> Node:
    """Return the larger of two; NaN where either is."""
    return each(np.maximum, one, two)


def smaller(one: Node, two: Node) -> Node:
    """Return the smaller of two; NaN where either is."""
    return each(np.minimum, one, two)


def rise(node: Node) -> Node:
    """Return the value where it is positive, else 0."""
    return each(lambda x: np.where(x > 0, x, 0.0), node)


def fall(node: Node) -> Node:
    """Return the size of the value where it is negative, else 0."""
    return each(lambda x: np.where(x < 0, -x, 0.0), node)


def dominant(one: Array, two: Array) -> FloatArray:
    """Return the first where it is positive and larger than the second, else 0."""
    return np.where((one > 0) & (one > two), one, 0.0)


def size(node: Node) -> Node:
    """Return the absolute value."""
    return each(np.abs, node)


def root(node: Node) -> Node:
    """Return the square root."""
    return each(np.sqrt, node)


def log(node: Node) -> Node:
    """Return the natural logarithm; NaN of a value that is not positive."""
    return each(logarithms.log, node)


def _binary(function: Function, one: Node, two: Node | float) -> Node:
    if isinstance(two, Node):
        return each(function, one, two)
    return each(lambda x: function(x, two), one)


def _oldest(values: Array, window: int) -> Array:
    return values[: len(values) - window + 1]


def _first(inputs: tuple[Node, ...]) -> int:
    return max(node.first for node in inputs)


def _span(inputs: tuple[Node, ...], window: int) -> int | None:
    longest = 0
    for node in inputs:
        if node.span is None:
            return None
        longest = max(longest, node.span)
    return longest + window - 1
