"""Quotes that orders fill at, and how they are read from where users have them.

A source has one frame, file or mapping of columns per symbol: ``bid`` and ``ask`` (USD), ``bid_size`` and ``ask_size``
(shares; without them a quote has no end), and the instant under a name that a bar's start may have. A side that is
absent, no number, or below one unit is quoted by nobody; of a quote whose bid is above its ask both are.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors
from tradeplane_engine.data import columns, frames, quality

IntArray = npt.NDArray[np.int64]

_SHARE = 1_000_000_000
_ENDLESS = 2**62  # 1e-9 shares
_MOST = 9_000_000_000  # shares, and prices in units: more would leave 64 bits
_NAMES = ("at", "symbol", "bid", "ask", "bid_size", "ask_size")
_SIZED = {"symbol": np.int32}


class Quotes:
    """Quotes of a run's symbols, in the order of time; raises ValueRefused for columns that are none.

    A side that nobody quotes has the price 0. Whoever reads a series sees to it that bid and ask do not cross.

    Parameters
    ----------
    at : shape (n,), ns UTC, never falling; of several at one instant the last one stands
    symbol : shape (n,), int32, the symbol's id in the run
    bid, ask : shape (n,), prices in the symbol's units
    bid_size, ask_size : shape (n,), 1e-9 shares
    """

    __slots__ = _NAMES

    def __init__(
        self,
        at: npt.NDArray[np.int64],
        symbol: npt.NDArray[np.int32],
        bid: npt.NDArray[np.int64],
        ask: npt.NDArray[np.int64],
        bid_size: npt.NDArray[np.int64],
        ask_size: npt.NDArray[np.int64],
    ) -> None:
        columns: dict[str, npt.NDArray[Any]] = dict(
            zip(_NAMES, (at, symbol, bid, ask, bid_size, ask_size), strict=True)
        )
        for name, column in columns.items():
            kind = _SIZED.get(name, np.int64)
            if column.dtype != kind or column.shape != at.shape or not column.flags.c_contiguous:
                raise errors.ValueRefused(f"quotes.{name}", f"{kind.__name__} of shape {at.shape}", column.dtype)
            if len(column) and int(column.min()) < 0:
                raise errors.ValueRefused(f"quotes.{name}", "0 or more", int(column.min()))
        if bool((at[1:] < at[:-1]).any()):
            raise errors.ValueRefused("quotes.at", "in the order of time", "a step back")
        self.at = at
        self.symbol = symbol
        self.bid = bid
        self.ask = ask
        self.bid_size = bid_size
        self.ask_size = ask_size

    def __len__(self) -> int:
        return len(self.at)

    def digest(self) -> str:
        """Return the sha256 of all columns: what a run's identity says of its quotes."""
        found = hashlib.sha256()
        for name in _NAMES:
            found.update(getattr(self, name).astype("<i8").tobytes())
        return found.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """Quotes of a run, and how many of them were crossed or had one side only."""

    quotes: Quotes
    crossed: int
    one_sided: int


def load(source: Mapping[str, Any], digits: Mapping[str, int]) -> Loaded:
    """Return the quotes of a run's symbols, in the order of their ids; raises DataRefused, ValueRefused.

    Parameters
    ----------
    source : per symbol a pandas or polars frame, an Arrow table, a Parquet or CSV file, or a mapping of columns
    digits : decimals of a price, by symbol
    """
    if not isinstance(source, Mapping):
        raise errors.ValueRefused("quotes", "a mapping of symbols to quotes", type(source).__name__)
    for symbol in source:
        if symbol not in digits:
            raise errors.ValueRefused("quotes", f"of the run's symbols ({', '.join(digits)})", symbol)
    parts, crossed, one_sided = [], 0, 0
    for number, (symbol, places) in enumerate(digits.items()):
        if symbol not in source:
            raise errors.ValueRefused("quotes", "of every symbol of the run", f"none of {symbol}")
        raw = _raw(source[symbol], symbol)
        at = _instants(raw)
        bid, ask = _prices(raw, "bid", places), _prices(raw, "ask", places)
        crosses = (bid > ask) & (ask > 0)
        crossed += int(crosses.sum())
        one_sided += int(((bid == 0) != (ask == 0)).sum())
        bid[crosses] = ask[crosses] = 0
        sizes = [_sizes(raw, name) for name in ("bid_size", "ask_size")]
        parts.append((at, np.full(len(at), number, dtype=np.int32), bid, ask, *sizes))
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.argsort(joined[0], kind="stable")
    return Loaded(Quotes(*(np.ascontiguousarray(column[order]) for column in joined)), crossed, one_sided)


def _raw(source: Any, symbol: str) -> columns.Raw:
    names = ("ts", "bid", "ask")
    if isinstance(source, str | Path):
        path = Path(source)
        found = frames.arrays(frames.read(path, frames.QUOTES), path.name, frames.QUOTES)
        return columns.Raw(symbol, found, path.name, names=names)
    if frames.is_frame(source):
        return columns.Raw(symbol, frames.arrays(source, symbol, frames.QUOTES), symbol, names=names)
    return columns.Raw(symbol, frames.renamed(source, symbol, frames.QUOTES), symbol, names=names)


def _instants(raw: columns.Raw) -> IntArray:
    found = columns.nanos(raw)
    back = np.flatnonzero(found[1:] < found[:-1])
    if len(back):
        row = int(back[0]) + 1
        raise raw.refusal(quality.Refusal.OUT_OF_ORDER, row, "ts", "not before that of the row before")
    return found


def _prices(raw: columns.Raw, name: str, places: int) -> IntArray:
    """Return a side's prices in units, 0 where nobody quotes."""
    units = np.rint(_numbers(raw, name) * float(10**places))
    units[~((units >= 1) & (units <= _MOST * float(10**places)))] = 0
    return units.astype(np.int64)


def _sizes(raw: columns.Raw, name: str) -> IntArray:
    """Return a side's sizes, endless where the source has none."""
    if name not in raw.columns:
        return np.full(len(raw), _ENDLESS, dtype=np.int64)
    shares = _numbers(raw, name)
    shares[~((shares > 0) & (shares <= _MOST))] = 0
    return np.rint(shares * _SHARE).astype(np.int64)


def _numbers(raw: columns.Raw, name: str) -> npt.NDArray[np.float64]:
    values = raw.columns[name]
    if values.dtype.kind not in "fiu":
        raise raw.unreadable(f"{name} must hold numbers, got {values.dtype}")
    return values.astype(np.float64)
