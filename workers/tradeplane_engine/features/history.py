"""History of bars as arrays, and windows cut from it, adjusted as known at their newest row.

A row exists for every slice of the strategy's symbols; a symbol without a bar in a slice has a missing (NaN) row there,
like a suspended day. ``factor`` of a row is the total return factor of the corporate actions that took effect before
its open: ``split * (1 + dividend / close)``. A window scales its older rows to the newest one (prices divided, volume
multiplied by the product of the factors in between), so nothing depends on where history begins or on later actions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeplane_engine.domain import bars, numbers

FloatArray = npt.NDArray[np.float64]

FIELDS = ("open", "high", "low", "close", "volume")
_FACTOR = len(FIELDS)
_PRICE_UNIT = 10**numbers.PRICE_DIGITS


@dataclass(frozen=True, slots=True)
class Windows:
    """The last rows of n histories, adjusted to the newest row.

    open, high, low, close : shape (rows, n), USD, row 0 newest, NaN where missing or before history
    volume : shares on the newest row's share basis
    present : shape (n,), rows that history has, at most ``rows``
    """

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    present: npt.NDArray[np.int64]

    @property
    def complete(self) -> npt.NDArray[np.bool_]:
        """Windows that may be scored: full, and neither their oldest nor their newest bar missing; shape (n,)."""
        full = self.present == len(self.close)
        complete: npt.NDArray[np.bool_] = full & np.isfinite(self.close[0]) & np.isfinite(self.close[-1])
        return complete


class SymbolHistory:
    """Rows of one symbol, oldest first: open, high, low, close, volume, factor."""

    __slots__ = ("_dividend", "_rows", "_split", "ends", "symbol")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.ends: list[int] = []
        self._rows: list[tuple[float, ...]] = []
        self._split = 1.0
        self._dividend = 0.0

    def append(self, bar: bars.Bar | None, *, end: int, actions: Iterable[bars.CorporateAction] = ()) -> None:
        """Add the row of the slice that ends at ``end``; an action without a bar waits for the next one."""
        for action in actions:
            if action.symbol == self.symbol:
                self._split *= action.split[0] / action.split[1]
                self._dividend += action.dividend / 10**numbers.MONEY_DIGITS
        if bar is None:
            row: tuple[float, ...] = (np.nan,) * len(FIELDS) + (1.0,)
        else:
            close = bar.close / _PRICE_UNIT
            factor = self._split * (1.0 + self._dividend / close)
            self._split, self._dividend = 1.0, 0.0
            prices = (bar.open / _PRICE_UNIT, bar.high / _PRICE_UNIT, bar.low / _PRICE_UNIT, close)
            row = (*prices, float(bar.volume), factor)
        self.ends.append(end)
        self._rows.append(row)

    def keep_last(self, rows: int) -> None:
        """Forget all but the newest rows."""
        del self._rows[:-rows], self.ends[:-rows]

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> FloatArray:
        """All rows, shape (len, 6)."""
        return np.array(self._rows, dtype=np.float64).reshape(-1, _FACTOR + 1)

    def newest(self, rows: int) -> FloatArray:
        """Return the newest ``rows`` rows (or fewer), shape (rows, 6)."""
        return np.array(self._rows[-rows:], dtype=np.float64).reshape(-1, _FACTOR + 1)


def histories(slices: Iterable[bars.BarSlice], symbols: Sequence[str]) -> dict[str, SymbolHistory]:
    """Build each symbol's history from the slices of these symbols, oldest first."""
    found = {symbol: SymbolHistory(symbol) for symbol in symbols}
    for one in slices:
        for symbol, history in found.items():
            history.append(one.bars.get(symbol), end=one.end, actions=one.actions)
    return found


def windows_at(rows: FloatArray, newest: npt.NDArray[np.int64], *, length: int) -> Windows:
    """Cut a window of ``length`` rows ending at each index of ``newest`` out of one symbol's rows."""
    index = newest[None, :] - np.arange(length)[:, None]
    cut = np.where(index[..., None] >= 0, rows[np.maximum(index, 0)], np.nan)
    return _adjusted(cut, np.minimum(newest + 1, length))


def newest_windows(found: Sequence[FloatArray], *, length: int) -> Windows:
    """Stack the newest window of several symbols' rows, each of shape (at most ``length``, 6)."""
    cut = np.full((length, len(found), _FACTOR + 1), np.nan)
    for column, rows in enumerate(found):
        cut[: len(rows), column] = rows[::-1]
    return _adjusted(cut, np.array([len(rows) for rows in found], dtype=np.int64))


def total_return(rows: FloatArray) -> FloatArray:
    """Growth of one share bought before the first row, actions included, relative to the raw price; shape (len,)."""
    growth: FloatArray = np.multiply.accumulate(rows[:, _FACTOR])
    return growth


def _adjusted(cut: FloatArray, present: npt.NDArray[np.int64]) -> Windows:
    """Scale rows (rows, n, 6), newest first, to the newest one."""
    factor = np.where(np.isnan(cut[..., _FACTOR]), 1.0, cut[..., _FACTOR])
    scale = np.ones_like(factor)
    np.multiply.accumulate(factor[:-1], axis=0, out=scale[1:])
    opened, high, low, close = (np.ascontiguousarray(cut[..., field] / scale) for field in range(4))
    volume = cut[..., 4] * scale
    return Windows(open=opened, high=high, low=low, close=close, volume=volume, present=present)
