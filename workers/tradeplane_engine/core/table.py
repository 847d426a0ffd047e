"""Bars of many symbols as columns, and one bar as a row of them.

A :class:`Table` never changes once it is made, so a :class:`Bar` may be kept for as long as a strategy likes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors
from tradeplane_engine.data import series

COLUMNS = ("start", "end", "available_at", "open", "high", "low", "close", "volume")


class Table:
    """Series of bars, joined: the rows of a series are contiguous and oldest first.

    Parameters
    ----------
    joined : one series per symbol, in the order of the symbols' ids

    Attributes
    ----------
    symbols : name by id
    ids : id by name
    digits : decimals of a price, per symbol; a price is an integer in units of ``10**-digits`` USD
    columns : name to int64 array of shape (rows,), read-only; prices in units of ``1 / unit[symbol]`` USD
    symbol_of : id per row
    first : first row per symbol, and the number of rows at the end
    """

    __slots__ = (
        *("available_at", "close", "columns", "digits", "end", "first", "high", "ids", "low", "open", "rows", "start"),
        *("starts", "symbol_of", "symbols", "unit", "volume"),
    )

    def __init__(self, joined: Sequence[series.Series]) -> None:
        self.symbols = tuple([one.symbol for one in joined])
        if len(set(self.symbols)) < len(self.symbols):
            twice = sorted(name for name in self.symbols if self.symbols.count(name) > 1)
            raise errors.ValueRefused("symbol", "in one series only", twice[0])
        self.digits = tuple([one.digits for one in joined])
        self.ids = {name: number for number, name in enumerate(self.symbols)}
        lengths = [len(one.start) for one in joined]
        self.rows = sum(lengths)
        columns = {name: _join([getattr(one, name) for one in joined]) for name in COLUMNS}
        self.columns = columns
        starts = _frozen(np.concatenate(([0], np.cumsum(lengths))).astype(np.int64))
        self.starts = starts
        self.first = starts.data
        self.symbol_of = _frozen(np.repeat(np.arange(len(joined), dtype=np.int32), lengths)).data
        self.unit = _frozen(np.array([10**one.digits for one in joined], dtype=np.int64)).data
        self.start = columns["start"].data
        self.end = columns["end"].data
        self.available_at = columns["available_at"].data
        self.open = columns["open"].data
        self.high = columns["high"].data
        self.low = columns["low"].data
        self.close = columns["close"].data
        self.volume = columns["volume"].data


class Bar:
    """One bar. Prices are integers in units of ``1 / unit`` USD per share, ``volume`` is in whole shares."""

    __slots__ = ("row", "table")

    def __init__(self, table: Table, row: int) -> None:
        self.table = table
        self.row = row

    @property
    def symbol(self) -> str:
        """Name of the symbol."""
        name: str = self.table.symbols[self.table.symbol_of[self.row]]
        return name

    @property
    def unit(self) -> int:
        """Price units in one USD."""
        return self.table.unit[self.table.symbol_of[self.row]]

    @property
    def start(self) -> int:
        """Start of the bar's interval, ns UTC."""
        return self.table.start[self.row]

    @property
    def end(self) -> int:
        """End of the bar's interval, ns UTC."""
        return self.table.end[self.row]

    @property
    def available_at(self) -> int:
        """Instant from which the bar was known, ns UTC."""
        return self.table.available_at[self.row]

    @property
    def open(self) -> int:
        """First price."""
        return self.table.open[self.row]

    @property
    def high(self) -> int:
        """Highest price."""
        return self.table.high[self.row]

    @property
    def low(self) -> int:
        """Lowest price."""
        return self.table.low[self.row]

    @property
    def close(self) -> int:
        """Last price."""
        return self.table.close[self.row]

    @property
    def volume(self) -> int:
        """Shares traded."""
        return self.table.volume[self.row]

    def __repr__(self) -> str:
        return f"Bar({self.symbol}, end={self.end}, close={self.close}/{self.unit})"


def _join(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """Join columns; a single one is used as it is."""
    joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return _frozen(np.ascontiguousarray(joined, dtype=np.int64))


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
