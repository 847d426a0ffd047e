"""What a strategy asks for, and what it gets for a whole history."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UserFunction = Callable[..., npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Spec:
    """One indicator with all its parameters: a key that two requests for the same numbers share.

    Parameters
    ----------
    name : the indicator's name; for a user's function, ``function:`` and its qualified name
    window : rows of its window, for several windows the longest; 1 for an indicator without a window
    arguments : every parameter with its value, in the order of the indicator's signature
    fields : the fields of the bars that it reads
    outputs : names of its values; ``("value",)`` for a single one
    exact : whether values are integers over ``denominator`` (1 for floats)
    warmup : rows before the first defined one, so also that row's index
    span : rows, the newest included, that a value is a function of; None where it depends on all history. Values of
        such a recursive indicator agree between two starts of history only after about ten windows.
    function : the user's function, else None
    """

    name: str
    window: int
    arguments: tuple[tuple[str, int | float | str], ...]
    fields: tuple[str, ...]
    outputs: tuple[str, ...]
    exact: bool
    denominator: int
    warmup: int
    span: int | None
    function: UserFunction | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """One value of an indicator over a history of n rows.

    Parameters
    ----------
    values : shape (n,); int64 numerators in the field's unit (exact), or float64. Rows before ``first`` are undefined:
        0 in integers and NaN in floats, neither of which may be read. Later NaN is a division by zero.
    denominator : divisor of the numerators; 1 for floats
    first : index of the first defined row, at most n
    """

    values: npt.NDArray[np.int64] | npt.NDArray[np.float64]
    denominator: int
    first: int
