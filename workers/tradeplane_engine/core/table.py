"""Bars of many symbols as columns, and one bar as a row of them.

A :class:`Table` never changes once it is made, so a :class:`Bar` may be kept for as long as a strategy likes.

A symbol has one series of bars or several of different timeframes. The shortest one is what its orders fill on and what
marks it; those of all symbols come first, so that a symbol's id is the number of its shortest series.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors
from tradeplane_engine.data import series
from tradeplane_engine.domain import times

COLUMNS = series.COLUMNS
_ROWS_MAX = 2**31 - 1  # a row's number has 32 bits where there are many of them


class Table:
    """Series of bars, joined: the rows of a series are contiguous and oldest first.

    Parameters
    ----------
    joined : series of different symbols or timeframes; symbols have their ids in the order in which they come first

    Attributes
    ----------
    symbols : name by id
    ids : id by name
    digits : decimals of a price, per symbol; a price is an integer in units of ``10**-digits`` USD
    columns : name to int64 array of shape (rows,), read-only; prices in units of ``1 / unit[symbol]`` USD
    timeframes : length of a whole bar per series, ns; ``labels`` has them as text
    numbers : number of a series by (symbol id, timeframe)
    series_of : number of the series per row; ``symbol_of`` is that of its symbol
    rank : place of each series where several have a bar at one instant: by timeframe, then symbol id
    first : first row per series, and the number of rows at the end
    base_rows : rows of the symbols' shortest series, which come first
    """

    __slots__ = (
        *("available_at", "base_rows", "close", "columns", "digits", "end", "first", "high", "ids", "labels", "low"),
        *("numbers", "open", "rank", "rows", "series_of", "start", "starts", "symbol_of", "symbols", "timeframes"),
        *("unit", "volume"),
    )

    def __init__(self, joined: Sequence[series.Series]) -> None:
        ordered, symbols = _ordered(joined)
        self.symbols = tuple(symbols)
        self.ids = {name: number for number, name in enumerate(self.symbols)}
        self.digits = tuple([one.digits for one in ordered[: len(self.symbols)]])
        self.timeframes = tuple([one.length for one in ordered])
        self.labels = tuple([times.duration_text(one) for one in self.timeframes])
        owners = [self.ids[one.symbol] for one in ordered]
        self.numbers = {key: number for number, key in enumerate(zip(owners, self.timeframes, strict=True))}
        self.rank = _frozen(np.argsort(np.lexsort((owners, self.timeframes))).astype(np.int64))
        lengths = [len(one.start) for one in ordered]
        self.rows = sum(lengths)
        if self.rows > _ROWS_MAX:
            raise errors.ValueRefused("rows", f"at most {_ROWS_MAX} in one run", self.rows)
        self.base_rows = sum(lengths[: len(self.symbols)])
        columns = {name: _join([getattr(one, name) for one in ordered]) for name in COLUMNS}
        self.columns = columns
        starts = _frozen(np.concatenate(([0], np.cumsum(lengths))).astype(np.int64))
        self.starts = starts
        self.first = starts.data
        self.series_of = _frozen(np.repeat(np.arange(len(ordered), dtype=np.int32), lengths)).data
        self.symbol_of = self.series_of
        if len(ordered) > len(self.symbols):
            self.symbol_of = _frozen(np.repeat(np.array(owners, dtype=np.int32), lengths)).data
        self.unit = _frozen(np.array([10**digits for digits in self.digits], dtype=np.int64)).data
        self.start = columns["start"].data
        self.end = columns["end"].data
        self.available_at = columns["available_at"].data
        self.open = columns["open"].data
        self.high = columns["high"].data
        self.low = columns["low"].data
        self.close = columns["close"].data
        self.volume = columns["volume"].data

    def symbol_at(self, row: int) -> int:
        """Return the id of a row's symbol."""
        return self.symbol_of[row]

    def timeframe_of(self, row: int) -> int:
        """Return the length of a whole bar of a row's series, ns."""
        length: int = self.timeframes[self.series_of[row]]
        return length

    def label_of(self, row: int) -> str:
        """Return that as text."""
        label: str = self.labels[self.series_of[row]]
        return label

    def series_id(self, symbol: int, timeframe: Any) -> int:
        """Return the number of a symbol's series of a timeframe, text or ns, or (None) its shortest; ValueRefused."""
        if timeframe is None:
            return symbol
        length = times.duration(timeframe, field="timeframe") if isinstance(timeframe, str) else timeframe
        found = self.numbers.get((symbol, length))
        if found is None:
            known = [times.duration_text(one) for owner, one in sorted(self.numbers) if owner == symbol]
            raise errors.ValueRefused(
                "timeframe", f"one that {self.symbols[symbol]} has: {', '.join(known)}", timeframe
            )
        return found


class Bar:
    """One bar. Prices are integers in units of ``1 / unit`` USD per share, ``volume`` is in whole shares."""

    __slots__ = ("_row", "_table")

    def __init__(self, table: Table, row: int) -> None:
        self._table = table
        self._row = row

    @property
    def symbol(self) -> str:
        """Name of the symbol."""
        name: str = self._table.symbols[self._table.symbol_of[self._row]]
        return name

    @property
    def timeframe(self) -> str:
        """How long a whole bar of its series lasts, such as ``1m`` or ``1h``."""
        return self._table.label_of(self._row)

    @property
    def unit(self) -> int:
        """Price units in one USD."""
        return self._table.unit[self._table.symbol_of[self._row]]

    @property
    def start(self) -> int:
        """Start of the bar's interval, ns UTC."""
        return self._table.start[self._row]

    @property
    def end(self) -> int:
        """End of the bar's interval, ns UTC."""
        return self._table.end[self._row]

    @property
    def available_at(self) -> int:
        """Instant from which the bar was known, ns UTC."""
        return self._table.available_at[self._row]

    @property
    def open(self) -> int:
        """First price."""
        return self._table.open[self._row]

    @property
    def high(self) -> int:
        """Highest price."""
        return self._table.high[self._row]

    @property
    def low(self) -> int:
        """Lowest price."""
        return self._table.low[self._row]

    @property
    def close(self) -> int:
        """Last price."""
        return self._table.close[self._row]

    @property
    def volume(self) -> int:
        """Shares traded."""
        return self._table.volume[self._row]

    def __repr__(self) -> str:
        end = times.text(times.Nanos(self.end))
        return f"Bar({self.symbol}, {self.timeframe}, end={end}, close={self.close}/{self.unit})"


class Bars:
    """The bars of one timeframe that ended together, in the order of symbol ids: a sequence of :class:`Bar`.

    Attributes
    ----------
    timeframe : of all of them, such as ``1m``
    end : of all of them, ns UTC
    absent : symbols that have bars of this timeframe, and none that ended then and was known in time
    """

    __slots__ = ("_bars", "absent", "end", "timeframe")

    def __init__(self, bars: list[Bar], timeframe: str, end: int, absent: tuple[str, ...]) -> None:
        self._bars = bars
        self.timeframe = timeframe
        self.end = end
        self.absent = absent

    def __len__(self) -> int:
        return len(self._bars)

    def __getitem__(self, index: Any) -> Any:
        return self._bars[index]

    def __iter__(self) -> Iterator[Bar]:
        return iter(self._bars)

    def __repr__(self) -> str:
        return f"Bars({self.timeframe}, end={self.end}, {len(self._bars)} bars, absent={self.absent})"


def _ordered(joined: Sequence[series.Series]) -> tuple[list[series.Series], list[str]]:
    """Return the series with each symbol's shortest one first, in the order of ids, and the symbols; ValueRefused."""
    own: dict[str, list[tuple[int, series.Series]]] = {}
    for one in joined:
        own.setdefault(one.symbol, []).append((one.length, one))
    if len(own) == len(joined):
        return list(joined), list(own)
    shortest, longer = [], []
    for number, (symbol, found) in enumerate(own.items()):
        found.sort(key=_length)
        lengths = [length for length, _ in found]
        if len(set(lengths)) < len(lengths):
            raise errors.ValueRefused("symbol", "in one series only of each timeframe", symbol)
        for length, one in found[1:]:
            if one.digits != found[0][1].digits:
                raise errors.ValueRefused(f"{symbol}.digits", f"{found[0][1].digits} in every timeframe", one.digits)
            longer.append((length, number, one))
        shortest.append(found[0][1])
    longer.sort(key=_place)
    return [*shortest, *(one for _, _, one in longer)], list(own)


def _length(found: tuple[int, series.Series]) -> int:
    return found[0]


def _place(found: tuple[int, int, series.Series]) -> tuple[int, int]:
    return found[:2]


def _join(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """Join columns; a single one, and those that lie one behind the other in one array, are used as they are."""
    joined = parts[0] if len(parts) == 1 else _as_they_lie(parts)
    if joined is None:
        joined = np.concatenate(parts)
    return _frozen(np.ascontiguousarray(joined, dtype=np.int64))


def _as_they_lie(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any] | None:
    """Return the part of an array that consecutive views of it are, or None where they are none."""
    whole = parts[0].base if parts else None
    if not isinstance(whole, np.ndarray) or whole.ndim != 1 or not whole.flags.c_contiguous:
        return None
    first = place = parts[0].ctypes.data
    for part in parts:
        if part.base is not whole or part.ctypes.data != place or not part.flags.c_contiguous:
            return None
        place += part.nbytes
    begin = (first - whole.ctypes.data) // whole.itemsize
    found: npt.NDArray[Any] = whole[begin : begin + (place - first) // whole.itemsize]
    return found


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
