"""Compute a spec over a whole history, or one new bar at a time, with the same bits at every row."""

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.indicators import columns, nodes, registry, spec, stages

CHUNK = 8192  # rows computed at once: temporaries stay in the processor's cache; changes no bit


def batch(one: spec.Spec, history: columns.Columns) -> dict[str, spec.Output]:
    """Compute every output of a spec over a history, by name.

    Raises
    ------
    errors.Overflow where an exact value does not fit 64 bits.
    """
    graph = registry.graph(one)
    program = _program(graph)
    rows = len(history)
    found = {name: np.zeros(rows, np.int64) if one.exact else np.full(rows, np.nan) for name in graph.outputs}
    for start in range(0, rows, CHUNK):
        end = min(start + CHUNK, rows)
        integers = {field: history.integers(field)[start:end] for field in one.fields}
        blocks = program.advance(integers, _floats(one, integers, history.digits))
        for values, block in zip(found.values(), blocks, strict=True):
            values[end - len(block) : end] = block
    first = min(one.warmup, rows)
    return {name: spec.Output(values, one.denominator, first) for name, values in found.items()}


class Incremental:
    """A spec over the bars of one symbol as they come.

    Parameters
    ----------
    one : what to compute
    digits : prices are integers in units of 10^-digits USD
    """

    def __init__(self, one: spec.Spec, *, digits: int = 4) -> None:
        self.spec = one
        self._digits = columns.checked_digits(digits)
        self._program = _program(registry.graph(one))
        self._reads = [(at, field) for at, field in enumerate(columns.FIELDS) if field in one.fields]
        self._values: tuple[int | float | None, ...] = (None,) * len(one.outputs)

    def push(self, open: int, high: int, low: int, close: int, volume: int) -> None:  # noqa: A002 - a bar
        """Take the next bar: prices in their integer unit, volume in shares.

        Raises
        ------
        errors.Overflow where an exact value does not fit 64 bits; the object must not be used after that.
        """
        bar = (open, high, low, close, volume)
        try:
            integers = {field: np.array((bar[at],), np.int64) for at, field in self._reads}
        except OverflowError:
            raise errors.Overflow("bar", "within 64 bits of its unit", bar) from None
        blocks = self._program.advance(integers, _floats(self.spec, integers, self._digits))
        self._values = tuple(block[0].item() if len(block) else None for block in blocks)

    @property
    def value(self) -> int | float | None:
        """The newest row's first output: an int numerator (exact) or a float; None during warm-up."""
        return self._values[0]

    @property
    def values(self) -> tuple[int | float | None, ...]:
        """The newest row's outputs in the order of ``spec.outputs``."""
        return self._values


def _program(graph: nodes.Graph) -> stages.Program:
    first = max(node.first for node in graph.outputs.values())
    return stages.Program([nodes.late(node, first) for node in graph.outputs.values()])


def _floats(one: spec.Spec, integers: dict[str, columns.IntArray], digits: int) -> dict[str, columns.FloatArray]:
    if one.exact:
        return {}
    return {field: columns.floats(field, values, digits) for field, values in integers.items()}
