"""Symbols that changed their name: the bars under both names become one series, under the new one.

So position, open orders and history go on, and a strategy that knows one name knows all of it. Bars of the old name
from the rename on are of somebody else, who has the name now.
"""

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.data import columns, readers, series

_COLUMNS = ("start", "end", "available_at", "open", "high", "low", "close", "volume")


def joined(loaded: readers.Loaded, symbol: str, to: str, at: int) -> readers.Loaded:
    """Return the bars with ``symbol``'s before an instant (ns) as the first ones of ``to``.

    Bars that are one series under the new name already stay as they are. Raises DataRefused where ``to`` has bars from
    before, or none from then on although ``symbol`` goes on; ValueRefused where their digits differ.
    """
    found = dict(loaded.symbols)
    old, new = found.get(symbol), found.get(to)
    if old is None:
        return loaded
    ends = int(np.searchsorted(old.series.start, at))
    if any(one.series.symbol == symbol and one.series.start[0] < at for one in loaded.longer):
        limit = f"of one timeframe for {symbol}, which becomes {to} (timeframes= makes longer ones)"
        raise errors.ValueRefused("data", limit, "several")
    if new is None:
        if ends < len(old.series):
            raise errors.DataRefused("rename", f"{symbol} becomes {to}, which has no bars, and {symbol}'s go on")
        return loaded
    if len(new.series) and new.series.start[0] < at:
        raise errors.DataRefused("rename", f"{to} has bars from before {symbol} becomes {to}: two symbols of one name")
    if new.series.digits != old.series.digits:
        raise errors.ValueRefused(f"{to}.digits", f"{old.series.digits}, those of {symbol}", new.series.digits)
    # What reading counted is of the whole of each source.
    found[to] = columns.Imported(
        _concatenated(to, old.series, new.series, ends),
        old.rounded_prices + new.rounded_prices,
        old.high_low_errors + new.high_low_errors,
        old.volume_errors + new.volume_errors,
    )
    if ends == len(old.series):
        del found[symbol]
    else:
        found[symbol] = columns.Imported(_from(old.series, ends))
    return replace(loaded, symbols=MappingProxyType(dict(sorted(found.items()))))


def _concatenated(name: str, old: series.Series, new: series.Series, ends: int) -> series.Series:
    parts: dict[str, Any] = {one: np.concatenate((getattr(old, one)[:ends], getattr(new, one))) for one in _COLUMNS}
    return replace(new, symbol=name, **parts)


def _from(one: series.Series, first: int) -> series.Series:
    return replace(one, **{column: getattr(one, column)[first:] for column in _COLUMNS})
