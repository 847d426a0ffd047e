"""Equity and exposure over time, recomputed from a run's fills and bars: what each strategy's sub-ledger was worth.

The account's own curve is recorded while the run goes; a strategy's is needed only when somebody asks for it. A sample
at T is taken after the paths and ends of bars and before the opens at T: a fill at an open counts from the next one on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tradeplane_engine.core import actions, table
from tradeplane_engine.data import series
from tradeplane_engine.domain import numbers
from tradeplane_engine.results.round_trips import Fill, Split, cut

_SHARE = 1_000_000_000
_SMALL = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class Worth:
    """Money over time, 1e-9 USD; each of shape (n,)."""

    equity: series.IntArray
    gross: series.IntArray
    net: series.IntArray


@dataclass(frozen=True, slots=True)
class Moves:
    """What moved one ledger: starting cash, then fills and splits, and entries (instant, money), in their order."""

    starting: int
    fills: Sequence[Fill | Split]
    entries: Sequence[tuple[int, int]] = ()


def worth(moves: Moves, bars: table.Table, units: list[int], instants: series.IntArray) -> Worth:
    """Return equity, gross and net value of the positions that these moves led to, at the last closes.

    Parameters
    ----------
    moves : of one ledger
    bars, units : of the run; price units in one USD per symbol
    instants : shape (n,), ns UTC, increasing
    """
    by_symbol: dict[int, list[Fill | Split]] = {}
    paid: list[tuple[int, int]] = []
    booked: list[tuple[int, int]] = []  # corporate actions and the like come before the closes of their instant
    for fill in moves.fills:
        by_symbol.setdefault(fill.symbol, []).append(fill)
        if isinstance(fill, Split):
            continue
        value = numbers.divide_half_even(fill.price * fill.signed, units[fill.symbol])
        (booked if fill.order < 0 or fill.early else paid).append((fill.at, -value - fill.fee))
    cash = moves.starting + _sums(paid, instants)
    cash += _sums(booked, instants, side="right") + _sums(moves.entries, instants, side="right")
    gross, net = np.zeros_like(cash), np.zeros_like(cash)
    for symbol, own in by_symbol.items():
        traded, changed = _quantities(own)
        quantity = _sums(traded, instants) + _sums(changed, instants, side="right")
        rows = slice(int(bars.starts[symbol]), int(bars.starts[symbol + 1]))
        last = np.maximum(np.searchsorted(bars.columns["available_at"][rows], instants, side="right") - 1, 0)
        prices = bars.columns["close"][rows][last]
        for one in own:
            if isinstance(one, Fill):
                continue
            old = (instants >= one.at) & (bars.columns["end"][rows][last] <= one.at)
            prices[old] = [actions.restated(price, one.new, one.old) for price in prices[old].tolist()]
        values = _values(prices, quantity, units[symbol])
        gross += np.abs(values)
        net += values
    return Worth(cash + net, gross, net)


def _quantities(moves: Sequence[Fill | Split]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Changes of what is held: by fills, and by corporate actions."""
    traded: list[tuple[int, int]] = []
    changed: list[tuple[int, int]] = []
    held = 0
    for one in moves:
        change = cut(held, one) - held if isinstance(one, Split) else one.signed
        late = isinstance(one, Fill) and one.order > 0 and not one.early
        (traded if late else changed).append((one.at, change))
        held += change
    return traded, changed


def _sums(
    moves: Sequence[tuple[int, int]], instants: series.IntArray, side: Literal["left", "right"] = "left"
) -> series.IntArray:
    """Sum of all that moved before each instant; with side right, at it too."""
    at = np.array([one for one, _ in moves], dtype=np.int64)
    total = np.concatenate(([0], np.cumsum(np.array([amount for _, amount in moves], dtype=np.int64))))
    found: series.IntArray = total[np.searchsorted(at, instants, side=side)]
    return found


def _values(price: series.IntArray, quantity: series.IntArray, unit: int) -> series.IntArray:
    """Price times quantity in money, rounded half to even as the ledger does, without leaving 64 bits."""
    whole, part = np.divmod(quantity, _SHARE)
    scale = _SHARE // unit  # a unit is 10**d with d at most 9
    if int(price.max(initial=0)) * _SHARE < _SMALL:
        product = price * part
        quotient, remainder = np.divmod(product, unit)
        twice = 2 * remainder
        floor: series.IntArray = price * scale * whole + quotient
        floor += (twice > unit) | ((twice == unit) & (floor & 1 == 1))
        return floor
    exact = [numbers.divide_half_even(p * q, unit) for p, q in zip(price.tolist(), quantity.tolist(), strict=True)]
    return np.array(exact, dtype=np.int64)
