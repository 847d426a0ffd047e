"""A user's numpy function over windows, called so that history and live give the same bits.

numpy fixes the order of a sum for one shape, not for all shapes: ``x.sum(axis=0)`` of shape (window, 1) may add in
another order than of shape (window, 256). So the function always gets 256 windows in the same memory order; where
there are fewer, the last one is repeated and its repetitions are dropped.
"""

import functools

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.indicators import nodes, spec, windowed

WIDTH = 256


def graph(function: spec.UserFunction, window: int, fields: tuple[str, ...]) -> nodes.Graph:
    """Return the graph of a user's function of some fields."""
    inputs = [nodes.column(field) for field in fields]
    return nodes.single(nodes.over(functools.partial(_call, function), window, *inputs))


def _call(function: spec.UserFunction, *values: nodes.FloatArray, window: int) -> nodes.FloatArray:
    views = [windowed.rows(one, window) for one in values]
    count = views[0].shape[1]
    found = np.empty(count)
    for start in range(0, count, WIDTH):
        places = np.minimum(np.arange(start, start + WIDTH), count - 1)
        blocks = [np.ascontiguousarray(view[:, places]) for view in views]
        for block in blocks:
            block.flags.writeable = False
        answer = function(*blocks)
        if not isinstance(answer, np.ndarray) or answer.shape != (WIDTH,) or answer.dtype != np.float64:
            shown = (
                f"{answer.dtype} of shape {answer.shape}" if isinstance(answer, np.ndarray) else type(answer).__name__
            )
            raise errors.ValueRefused("function's result", f"float64 of shape ({WIDTH},)", shown)
        found[start : start + WIDTH] = answer[: count - start]
    return found
