"""Bars: prices of one symbol over one interval, with the instant from which they were known."""

from collections.abc import Mapping
from dataclasses import dataclass

from tradeplane_engine.domain import numbers, times


@dataclass(frozen=True, slots=True)
class Bar:
    """One unadjusted bar; ``volume`` in whole shares; ``available_at`` is never before ``end``."""

    symbol: str
    start: times.Nanos
    end: times.Nanos
    available_at: times.Nanos
    open: numbers.Price
    high: numbers.Price
    low: numbers.Price
    close: numbers.Price
    volume: int


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """A split or cash dividend that takes effect before the open of ``ex_start``.

    ``split`` is new shares per old share as a fraction (numerator, denominator), (1, 1) for none;
    ``dividend`` is USD per share on the share basis after the split.
    """

    symbol: str
    ex_start: times.Nanos
    split: tuple[int, int]
    dividend: numbers.Money


@dataclass(frozen=True, slots=True)
class BarSlice:
    """All bars of one timeframe that end together; a symbol without a bar is absent.

    ``actions`` took effect before the open of these bars.
    """

    timeframe: str
    end: times.Nanos
    bars: Mapping[str, Bar]
    actions: tuple[CorporateAction, ...] = ()
