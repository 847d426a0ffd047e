"""Frames: columns by name, for the eye and for statistics as floats, and exactly where somebody asks.

They are polars where it is installed; elsewhere :class:`Columns`, a dict of numpy arrays.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Numbers = Literal["float", "text", "decimal"]
NUMBERS: tuple[Numbers, ...] = ("float", "text", "decimal")
_NANO = 9


class Columns(dict[str, npt.NDArray[Any]]):
    """A frame without polars: arrays by name."""

    def to_pandas(self) -> Any:
        """Return a pandas frame."""
        import pandas as pd  # noqa: PLC0415 - only where the user has asked for it

        return pd.DataFrame(dict(self))


@dataclass(frozen=True, slots=True)
class Scaled:
    """A column of scaled integers; ``digits`` after the point, for all rows or per row."""

    values: Sequence[int]
    digits: int | Sequence[int] = _NANO

    def array(self, form: Numbers) -> npt.NDArray[Any]:
        """Return the column in one of the three forms."""
        each = [self.digits] * len(self.values) if isinstance(self.digits, int) else self.digits
        if form == "float":
            return np.array([value / 10**digits for value, digits in zip(self.values, each, strict=True)], np.float64)
        found = [Decimal(value).scaleb(-digits) for value, digits in zip(self.values, each, strict=True)]
        if form == "decimal":
            return np.array(found, dtype=object)
        return np.array([plain(one) for one in found], dtype=np.str_)


def plain(value: Decimal) -> str:
    """Decimal text without exponent and without zeros at its end."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def arrays(columns: Mapping[str, Any], form: Numbers) -> dict[str, npt.NDArray[Any]]:
    """Return the columns as arrays, scaled integers in one of the three forms."""
    return {key: one.array(form) if isinstance(one, Scaled) else one for key, one in columns.items()}


def frame(columns: dict[str, npt.NDArray[Any]]) -> Any:
    """Return a polars frame, or Columns without polars."""
    try:
        import polars as pl  # noqa: PLC0415 - optional
    except ImportError:
        return Columns(columns)
    found = {key: pl.Series(key, one.tolist() if one.dtype == object else one) for key, one in columns.items()}
    return pl.DataFrame(found).with_columns(pl.selectors.datetime().dt.replace_time_zone("UTC"))


def times(instants: npt.ArrayLike) -> npt.NDArray[np.datetime64]:
    """Return a column of instants from ns UTC."""
    return np.array(instants, dtype=np.int64).view("datetime64[ns]")


def text(words: Iterable[str]) -> npt.NDArray[np.str_]:
    """Return a column of words."""
    return np.array(list(words), dtype=np.str_)
