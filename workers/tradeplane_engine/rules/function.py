"""A user's own function over a symbol's columns, in the place of a rule.

It may do what it likes with whole columns, compiled by whatever its author uses (numba is never imported here), and so
it can look ahead, which the honesty detectors look for. What it returns is checked: one whole number of shares per row.
"""

import hashlib
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors
from tradeplane_engine.core.table import Table
from tradeplane_engine.rules import rule

IntArray = npt.NDArray[np.int64]
_PLAIN = (int, float, str, bytes, bool, type(None), np.integer, np.floating)


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """One symbol's bars, oldest first: read-only int64 columns of shape (n,).

    Prices are in units of ``1 / unit`` USD, volume is in shares, instants are ns UTC.
    """

    symbol: str
    unit: int
    start: IntArray
    end: IntArray
    available_at: IntArray
    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray
    volume: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function over columns with its parameters.

    Parameters
    ----------
    function : called once per symbol with its :class:`Bars` and the parameters by name; returns the target in whole
        shares per row, int64 of shape (n,)
    parameters : integers, floats and texts
    version : names the code in place of its own digest; needed where that cannot be told (see ``identity``)
    """

    function: Callable[..., IntArray]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    version: str | None = None

    def wish(self, table: Table) -> IntArray:
        """Return the target per row of a table; raises ValueRefused for another shape, type or size."""
        found = np.empty(table.rows, dtype=np.int64)
        for number, symbol in enumerate(table.symbols):
            first, stop = int(table.starts[number]), int(table.starts[number + 1])
            columns = {name: column[first:stop] for name, column in table.columns.items()}
            bars = Bars(symbol=symbol, unit=10 ** table.digits[number], **columns)
            found[first:stop] = self._checked(self.function(bars, **self.parameters), symbol, stop - first)
        return found

    def identity(self) -> str:
        """Return a digest of the code and the parameters.

        The code is the function's and that of every function of its module that it names, with constants, defaults and
        what it closes over. Raises ValueRefused where it depends on something else: say ``version`` then.
        """
        found = hashlib.sha256()
        if self.version is not None:
            found.update(f"version {self.version}".encode())
        else:
            _describe(self.function, found, set())
        for name, value in sorted(self.parameters.items()):
            _plain(f"parameter {name}", value)
            found.update(f"{name}={type(value).__name__}:{value!r};".encode())
        return found.hexdigest()

    def _checked(self, shares: object, symbol: str, rows: int) -> IntArray:
        if not isinstance(shares, np.ndarray) or shares.dtype != np.int64 or shares.shape != (rows,):
            given = f"{shares.dtype} {shares.shape}" if isinstance(shares, np.ndarray) else type(shares).__name__
            raise errors.ValueRefused(f"shares of {symbol}", f"int64 of shape ({rows},)", given)
        for at, extreme in ((int(shares.argmin()), shares.min()), (int(shares.argmax()), shares.max())) if rows else ():
            if abs(int(extreme)) >= rule.MOST_SHARES:
                raise errors.ValueRefused(f"shares of {symbol}, row {at}", f"within {rule.MOST_SHARES}", int(extreme))
        return shares

    def __str__(self) -> str:
        return f"function({self.identity()})"


def _describe(found: Any, digest: Any, seen: set[int]) -> None:
    """Add a function's code, and that of the functions that it uses, to a digest."""
    plain = getattr(found, "py_func", found)  # what numba wraps
    if not isinstance(plain, types.FunctionType):
        raise errors.ValueRefused("function", "a Python function, or given a version", type(found).__name__)
    if id(plain) in seen:
        return
    seen.add(id(plain))
    digest.update(_code(plain.__code__))
    cells = [cell.cell_contents for cell in plain.__closure__ or ()]
    defaults = [*(plain.__defaults__ or ()), *(plain.__kwdefaults__ or {}).values()]
    for value in (*cells, *defaults):
        _value("closure or default", value, digest, seen)
    for name in _names(plain.__code__):
        if name in plain.__globals__:
            digest.update(f"global {name}:".encode())
            _value(f"global {name}", plain.__globals__[name], digest, seen)


def _value(name: str, value: Any, digest: Any, seen: set[int]) -> None:
    if isinstance(value, types.ModuleType):
        digest.update(f"{value.__name__} {getattr(value, '__version__', '')};".encode())
    elif callable(value):
        _describe(value, digest, seen)
    else:
        _plain(name, value)
        digest.update(f"{type(value).__name__}:{value!r};".encode())


def _plain(name: str, value: Any) -> None:
    if isinstance(value, tuple):
        for one in value:
            _plain(name, one)
    elif not isinstance(value, _PLAIN):
        raise errors.ValueRefused(
            f"{name} of the function", "a number or a text, or give a version", type(value).__name__
        )


def _names(code: types.CodeType) -> list[str]:
    nested = [name for one in code.co_consts if isinstance(one, types.CodeType) for name in _names(one)]
    return sorted({*code.co_names, *nested})


def _code(code: types.CodeType) -> bytes:
    constants = [_code(one) if isinstance(one, types.CodeType) else repr(one).encode() for one in code.co_consts]
    return b"|".join((code.co_code, repr(code.co_names).encode(), repr(code.co_varnames).encode(), *constants))
