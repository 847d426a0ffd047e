"""Run a graph over blocks of rows: history in thousands, or one new bar at a time, by the same code.

1. Nodes are put in an order where inputs come first, each once.
2. A block of rows comes in as one array per field. Each node's stage turns the blocks of its inputs into its own; a
   stage remembers what the next block needs (the last ``window - 1`` rows, or the state of a recurrence).
3. A block of a node ends at the same row as the block that came in and holds only defined rows, so blocks of nodes
   with different warm-up are aligned by their ends.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from tradeplane_engine.indicators import nodes

Array = nodes.Array


class Stage(Protocol):
    """What a node does to a block, and what it remembers."""

    def advance(self, blocks: Sequence[Array]) -> Array:
        """Return the defined rows of this block; the inputs' blocks have equal lengths."""


class Program:
    """A graph with its memory; starts before the first row of history."""

    def __init__(self, outputs: Sequence[nodes.Node]) -> None:
        order: list[nodes.Node] = []
        for node in outputs:
            _visit(node, order)
        place = {id(node): at for at, node in enumerate(order)}
        self._nodes = order  # keeps the nodes alive, as their ids are the keys above
        self._steps = [(_stage(node), [place[id(one)] for one in node.inputs]) for node in order]
        self._outputs = [place[id(node)] for node in outputs]
        self._columns = [
            (at, node.field, node.exact) for at, node in enumerate(order) if isinstance(node, nodes.Column)
        ]

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the graph reads."""
        return tuple(dict.fromkeys(field for _, field, _ in self._columns))

    def advance(self, integers: Mapping[str, Array], floats: Mapping[str, Array]) -> list[Array]:
        """Take the next block of each field; return the defined rows of each output, all ending at its last row."""
        found: list[Array] = [_NOTHING] * len(self._steps)
        for at, field, exact in self._columns:
            found[at] = integers[field] if exact else floats[field]
        for at, (stage, inputs) in enumerate(self._steps):
            if stage is not None:
                found[at] = stage.advance(_aligned([found[one] for one in inputs]))
        return [found[at] for at in self._outputs]


def fields_of(graph: nodes.Graph) -> tuple[str, ...]:
    """Return the fields that a graph reads."""
    return Program(list(graph.outputs.values())).fields


_NOTHING = np.empty(0)


def _visit(node: nodes.Node, order: list[nodes.Node]) -> None:
    if any(node is one for one in order):
        return
    for one in node.inputs:
        _visit(one, order)
    order.append(node)


def _aligned(blocks: list[Array]) -> list[Array]:
    if len(blocks) == 1:
        return blocks
    rows = min(block.shape[-1] for block in blocks)
    return [block[block.shape[-1] - rows :] for block in blocks]


def _stage(node: nodes.Node) -> Stage | None:
    match node:
        case nodes.Elementwise():
            return _Elementwise(node)
        case nodes.Windowed():
            return _Windowed(node)
        case nodes.Recurring():
            return _Recurring(node)
        case nodes.Picked():
            return _Picked(node)
        case nodes.Late():
            return _Late(node)
        case _:
            return None


class _Elementwise:
    def __init__(self, node: nodes.Elementwise) -> None:
        self._function = node.function

    def advance(self, blocks: Sequence[Array]) -> Array:
        return self._function(*blocks)


class _Windowed:
    def __init__(self, node: nodes.Windowed) -> None:
        self._function, self._window = node.function, node.window
        self._tails: list[Array] | None = None

    def advance(self, blocks: Sequence[Array]) -> Array:
        joined = [np.concatenate(pair) for pair in zip(self._tails, blocks, strict=True)] if self._tails else blocks
        rows = len(joined[0])
        # Copied, so that a short tail does not keep a whole block alive.
        self._tails = [block[max(0, rows - self._window + 1) :].copy() for block in joined]
        if rows < self._window:
            return joined[0][:0]
        return self._function(*joined, window=self._window)


class _Recurring:
    def __init__(self, node: nodes.Recurring) -> None:
        self._loop, self._outputs = node.loop, node.outputs
        self._parameters = np.array(node.parameters, dtype=np.float64).data
        self._state = np.zeros(node.size).data
        self._skipped = node.skipped

    def advance(self, blocks: Sequence[Array]) -> Array:
        rows = len(blocks[0])
        found = np.empty((self._outputs, rows))
        self._loop(self._parameters, self._state, *(block.data for block in blocks), *(row.data for row in found))
        skip = min(self._skipped, rows)
        self._skipped -= skip
        return found[:, skip:]


class _Picked:
    def __init__(self, node: nodes.Picked) -> None:
        self._which = node.which

    def advance(self, blocks: Sequence[Array]) -> Array:
        found: Array = blocks[0][self._which]
        return found


class _Late:
    def __init__(self, node: nodes.Late) -> None:
        self._skipped = node.skipped

    def advance(self, blocks: Sequence[Array]) -> Array:
        skip = min(self._skipped, len(blocks[0]))
        self._skipped -= skip
        return blocks[0][skip:]
