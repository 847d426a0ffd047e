"""Other histories: what was known at an instant, and bars that did not happen.

A history is cut by ``available_at``, because that is what a strategy may know. A changed history keeps every instant of
the real one; its moves are mirrored (up becomes down) or also shuffled, so that its bars are plausible and its prices
positive, and nobody who sees them learns anything of the real ones.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine.data import series

_FARTHEST = 4.0  # of a changed price from its start, as a logarithm: 1/55 to 55 times


@dataclasses.dataclass(frozen=True, slots=True)
class Horizon:
    """Up to where two runs must agree that know the same bars up to some instant.

    Before ``until`` they saw the same bars open and close. At ``until`` itself they still close the same bars, ring the
    same timers and take the same decisions; then bars of the symbols ``opening`` open, which one of them may lack. So
    orders decided at ``until`` are comparable, and what the opens do at that instant is not, nor is what follows it.
    """

    until: int
    opening: frozenset[int]


def rows(data: Sequence[series.Series]) -> int:
    """Return the number of bars."""
    return sum(len(one) for one in data)


def known_rows(data: Sequence[series.Series], instant: int) -> int:
    """Return the number of bars that were known at an instant."""
    return sum(int(np.searchsorted(one.available_at, instant, side="right")) for one in data)


def part(one: series.Series, first: int, stop: int) -> series.Series:
    """Return rows of a series."""
    columns: dict[str, Any] = {name: getattr(one, name)[first:stop] for name in series.COLUMNS}
    return series.Series(one.symbol, digits=one.digits, timeframe=one.timeframe, checked=True, **columns)


def known(data: Sequence[series.Series], instant: int) -> tuple[list[series.Series], Horizon]:
    """Return what was known at an instant, and up to where a run on it must agree with the whole run."""
    cut, starts = [], []
    symbols = len({one.symbol for one in data})  # series of longer timeframes come after those on which orders fill
    for number, one in enumerate(data):
        count = int(np.searchsorted(one.available_at, instant, side="right"))
        cut.append(part(one, 0, count))
        # A bar that was not yet known may have opened before: what filled at its open is missing in the cut.
        starts.append(int(one.start[count]) if number < symbols and count < len(one) else None)
    return cut, _horizon(data, instant, starts)


def mirrored(data: Sequence[series.Series], instant: int) -> tuple[list[series.Series], Horizon]:
    """Return bars of which all that start at an instant or later move the other way, and the horizon."""
    changed, starts = [], []
    for one in data:
        first = int(np.searchsorted(one.start, instant, side="left"))
        count = len(one) - first
        changed.append(_moved(one, first, np.arange(count), np.full(count, -1.0)))
        starts.append(int(one.start[first]) if count else None)
    return changed, _horizon(data, instant, starts)


def shuffled(data: Sequence[series.Series], rng: np.random.Generator) -> list[series.Series]:
    """Return bars at the same instants whose moves are the real ones in another order and with other signs.

    Bars of one instant share their sign. Nothing but the instants says anything about the real bar.
    """
    instants = np.unique(np.concatenate([one.start for one in data]))
    signs = rng.choice((-1.0, 1.0), len(instants))
    return [_moved(one, 0, rng.permutation(len(one)), signs[np.searchsorted(instants, one.start)]) for one in data]


def led(
    one: series.Series, leads: Sequence[tuple[str, int]], rng: np.random.Generator
) -> tuple[series.Series, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return bars that close one unit above or below a later real price, by coins; the coins; and which lead it was.

    The leads (field, bars ahead) take turns in equal parts of the series. Where there is no such bar, the coin is 0.
    """
    count = len(one)
    which = np.arange(count) * len(leads) // max(count, 1)
    rows = np.arange(count)
    wanted = rows + np.array([ahead for _, ahead in leads])[which]
    coins = np.where(wanted < count, rng.choice((-1, 1), count), 0)
    prices = np.stack([getattr(one, field) for field, _ in leads])
    close = np.maximum(prices[which, np.minimum(wanted, count - 1)] + coins, 1)
    open_ = np.concatenate((one.open[:1], close[:-1]))
    top, bottom = np.maximum(open_, close), np.minimum(open_, close)
    above = np.maximum(one.high - np.maximum(one.open, one.close), 0)
    below = np.maximum(np.minimum(one.open, one.close) - one.low, 0)
    changed = dataclasses.replace(one, open=open_, high=top + above, low=np.maximum(bottom - below, 1), close=close)
    return changed, coins, which


def _horizon(data: Sequence[series.Series], instant: int, starts: Sequence[int | None]) -> Horizon:
    """Return the horizon of two histories that differ from the bars on that start at ``starts``."""
    until = min(instant, min((start for start in starts if start is not None), default=instant))
    places = [int(np.searchsorted(one.start, until)) for one in data]
    # Opens act in the sequence of order ids, whatever their symbol: where one is missing, the others come too early.
    opening = [at < len(one) and int(one.start[at]) == until for one, at in zip(data, places, strict=True)]
    return Horizon(until, frozenset(number for number, opens in enumerate(opening) if opens))


def _moved(
    one: series.Series, first: int, order: npt.NDArray[np.int64], signs: npt.NDArray[np.float64]
) -> series.Series:
    """Build the rows from ``first`` on anew from their moves, taken in an order and with signs."""
    if len(order) == 0:
        return one
    close = one.close[first:]
    anchor = float(one.close[first - 1] if first else one.open[0])
    before = np.concatenate(([anchor], close[:-1].astype(np.float64)))
    up = signs > 0
    # Logarithms of numpy may differ in the last bit between machines; nothing that is compared depends on them.
    moves = {name: np.log(getattr(one, name)[first:] / before)[order] for name in ("open", "high", "low", "close")}
    path = np.clip(np.cumsum(signs * moves["close"]), -_FARTHEST, _FARTHEST)
    start = anchor * np.exp(np.concatenate(([0.0], path[:-1])))
    ends = _price(anchor * np.exp(path))
    opens = _price(start * np.exp(signs * moves["open"]))
    # Seen in a mirror the highest price is the lowest.
    highs = _price(start * np.exp(np.where(up, moves["high"], -moves["low"])))
    lows = _price(start * np.exp(np.where(up, moves["low"], -moves["high"])))
    columns = {
        "open": opens,
        "high": np.maximum(np.maximum(opens, ends), highs),
        "low": np.minimum(np.minimum(opens, ends), lows),
        "close": ends,
        "volume": one.volume[first:][order],
    }
    whole: dict[str, Any] = {
        name: np.concatenate((getattr(one, name)[:first], column)) for name, column in columns.items()
    }
    return dataclasses.replace(one, **whole)


def _price(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return np.maximum(np.rint(values), 1.0).astype(np.int64)
