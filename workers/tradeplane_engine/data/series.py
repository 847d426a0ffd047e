"""One symbol's bars of one timeframe as columns of integers: the form in which a run reads its data."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import InitVar, dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from tradeplane_engine import errors
from tradeplane_engine.domain import bars, times

IntArray = npt.NDArray[np.int64]

_PRICES = ("open", "high", "low", "close")
COLUMNS = ("start", "end", "available_at", *_PRICES, "volume")
DIGITS_MAX = 9


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Bars of one symbol, oldest first; raises ValueRefused naming the row where they are not.

    Parameters
    ----------
    digits : decimals of a price; a price is an integer in units of ``10**-digits`` USD, 4 unless given, at most 9
    start, end, available_at : shape (n,), ns UTC, starts strictly increasing; ``start < end <= available_at``
    open, high, low, close : shape (n,), price units, positive
    volume : shape (n,), whole shares
    timeframe : length of a whole bar, ns; 0 for that of the longest bar. A session's last bar may be shorter
    checked : whether whoever makes it has already seen that the columns are as they must be
    """

    symbol: str
    start: IntArray
    end: IntArray
    available_at: IntArray
    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray
    volume: IntArray
    digits: int = 4
    timeframe: int = 0
    checked: InitVar[bool] = False

    def __post_init__(self, checked: bool) -> None:
        """Refuse columns of different lengths, prices that are none, and time that runs backwards."""
        if not 0 <= self.digits <= DIGITS_MAX:
            raise errors.ValueRefused(f"{self.symbol}.digits", f"from 0 to {DIGITS_MAX}", self.digits)
        if self.timeframe < 0:
            raise errors.ValueRefused(f"{self.symbol}.timeframe", "0 or more ns", self.timeframe)
        for name in COLUMNS:
            column = getattr(self, name)
            if column.dtype != np.int64 or column.shape != self.start.shape or column.ndim != 1:
                raise errors.ValueRefused(
                    f"{self.symbol}.{name}", f"int64 of shape {self.start.shape}", f"{column.dtype} {column.shape}"
                )
        if checked:
            return
        for name in _PRICES:
            self._refuse_row(name, getattr(self, name) > 0, "positive")
        self._refuse_row("volume", self.volume >= 0, "0 or more")
        self._refuse_row("end", self.end > self.start, "after start")
        self._refuse_row("available_at", self.available_at >= self.end, "at or after end")
        if len(self.start) > 1:
            later = np.concatenate(([True], self.start[1:] > self.start[:-1]))
            self._refuse_row("start", later, "after the row before")
            known = np.concatenate(([True], self.available_at[1:] > self.available_at[:-1]))
            self._refuse_row("available_at", known, "after the row before")

    def __len__(self) -> int:
        return len(self.start)

    @property
    def length(self) -> int:
        """Length of a whole bar, ns; a day where there is none to tell it."""
        return self.timeframe or int((self.end - self.start).max(initial=0)) or times.DAY

    def _refuse_row(self, name: str, good: npt.NDArray[np.bool_], limit: str) -> None:
        if not good.all():
            row = int(np.argmin(good))
            raise errors.ValueRefused(f"{self.symbol}.{name}, row {row}", limit, int(getattr(self, name)[row]))


def of(symbol: str, found: Sequence[bars.Bar]) -> Series:
    """Return one symbol's bars, oldest first, as columns."""
    columns: dict[str, Any] = {
        name: np.fromiter(map(attrgetter(name), found), dtype=np.int64, count=len(found)) for name in COLUMNS
    }
    return Series(symbol=symbol, **columns)


def digest(found: Iterable[Series]) -> str:
    """Return the sha256 over the symbols, units, timeframes and columns of series, in their order."""
    total = hashlib.sha256()
    for one in found:
        total.update(orjson.dumps([one.symbol, one.digits, one.timeframe, len(one)]))
        for name in COLUMNS:
            total.update(np.ascontiguousarray(getattr(one, name), dtype="<i8").data)
    return total.hexdigest()
