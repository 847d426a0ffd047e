"""Parameter sets of a sweep: all of a grid, or a seeded sample of one."""

import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any

from tradeplane_engine import errors

Parameters = dict[str, Any]


def grid(**values: Sequence[Any]) -> list[Parameters]:
    """Every combination of values, the last parameter changing fastest; raises ValueRefused for none or a double."""
    _checked(values)
    return [dict(zip(values, combination, strict=True)) for combination in itertools.product(*values.values())]


def sample(count: int, *, seed: int, **values: Sequence[Any]) -> list[Parameters]:
    """Seeded choice of ``count`` different combinations, in the order drawn; raises ValueRefused beyond all of them."""
    _checked(values)
    size = 1
    for choices in values.values():
        size *= len(choices)
    if not 0 < count <= size:
        raise errors.ValueRefused("count", f"from 1 to the {size} combinations", count)
    numbers = random.Random(seed).sample(range(size), count)  # noqa: S311 - a seeded choice, no secret
    return [_numbered(number, values) for number in numbers]


def _numbered(number: int, values: Mapping[str, Sequence[Any]]) -> Parameters:
    found: Parameters = {}
    for name in reversed(list(values)):
        number, at = divmod(number, len(values[name]))
        found[name] = values[name][at]
    return {name: found[name] for name in values}


def _checked(values: Mapping[str, Sequence[Any]]) -> None:
    if not values:
        raise errors.ValueRefused("parameters", "at least one", values)
    for name, choices in values.items():
        if len(choices) == 0 or len(set(choices)) < len(choices):
            raise errors.ValueRefused(f"parameter {name}", "at least one value, each once", list(choices))
