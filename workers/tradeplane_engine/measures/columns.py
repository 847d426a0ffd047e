"""Tables as columns of one length, and the checks of a column; a refusal names column, row, limit and value."""

import dataclasses
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
TextArray = npt.NDArray[np.str_]
_KINDS: dict[Any, str] = {FloatArray: "f", IntArray: "i", TextArray: "U"}
_TYPES: dict[str, Any] = {"f": np.float64, "i": np.int64, "U": np.str_}


class Table:
    """Columns of one length; subclasses are frozen dataclasses whose fields are all arrays."""

    __slots__ = ()

    def __len__(self) -> int:
        """Return the number of rows."""
        return next(iter(self.columns().values())).size

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns by name, in their order."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    def where(self, rows: npt.NDArray[Any]) -> Self:
        """Return the rows that a mask or an index array names."""
        return type(self)(**{name: column[rows] for name, column in self.columns().items()})

    @classmethod
    def none(cls) -> Self:
        """Return the table without rows."""
        fields = dataclasses.fields(cls)  # type: ignore[arg-type]
        return cls(**{field.name: np.empty(0, dtype=_TYPES[_KINDS[field.type]]) for field in fields})


def table(name: str, values: Table) -> None:
    """Refuse a table whose columns differ in length or have the wrong type."""
    size = len(values)
    for field in dataclasses.fields(values):  # type: ignore[arg-type]
        column(f"{name}.{field.name}", getattr(values, field.name), _KINDS[field.type], size)


def column(field: str, values: npt.NDArray[Any], kind: str, size: int) -> None:
    """Refuse a column of another shape or type (``f`` float64, ``i`` int64, ``U`` text), and floats not finite."""
    if values.ndim != 1 or values.size != size:
        raise errors.ValueRefused(field, f"of shape ({size},)", values.shape)
    if values.dtype.kind != kind or (kind in "if" and values.dtype.itemsize != 8):  # noqa: PLR2004 - 64 bits
        raise errors.ValueRefused(field, f"of type {np.dtype(_TYPES[kind]).name}", str(values.dtype))
    if kind == "f":
        require(np.isfinite(values), field, "finite", values)


def require(kept: npt.NDArray[np.bool_], field: str, limit: str, values: npt.NDArray[Any]) -> None:
    """Refuse the first row that does not keep the limit, naming it."""
    if not kept.all():
        row = int(np.argmin(kept))
        raise errors.ValueRefused(f"{field}[{row}]", limit, values[row].item())
