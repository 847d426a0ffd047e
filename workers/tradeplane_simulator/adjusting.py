"""Bars adjusted for splits and dividends that were known by an instant: exact, rounded once, half to even.

Going back over an ex-date, a split divides prices and multiplies volumes; a dividend multiplies prices by one less its
share of the close before, and leaves volumes alone.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from tradeplane_engine.domain import bars, numbers, times
from tradeplane_simulator import dataset

RAW, SPLIT, DIVIDEND, SPIN_OFF, ALL = "raw", "split", "dividend", "spin-off", "all"
KINDS: Final = (RAW, SPLIT, DIVIDEND, SPIN_OFF, ALL)


@dataclass(frozen=True, slots=True)
class Factor:
    """What multiplies the bars that start before an instant."""

    before: times.Nanos
    price: Fraction
    volume: Fraction


def factors(data: dataset.Dataset, symbol: str, at: times.Nanos, kinds: Collection[str]) -> list[Factor]:
    """Return the factors of a symbol's actions that have taken effect by an instant, oldest first.

    A dividend without any close before it has none; the recording knows of no spin-off.
    """
    splits, dividends = not {SPLIT, ALL}.isdisjoint(kinds), not {DIVIDEND, ALL}.isdisjoint(kinds)
    found: list[Factor] = []
    if not splits and not dividends:
        return found
    days = data.days(symbol, at)
    for action in data.actions:
        if action.symbol != symbol or action.ex_start > at:
            continue
        ratio = Fraction(*action.split)
        price, volume = (1 / ratio, ratio) if splits else (Fraction(1), Fraction(1))
        earlier = [day for day in days if day.start < action.ex_start]
        if dividends and action.dividend and earlier:
            # The dividend is of one share after the split, the close of one before it.
            paid = Fraction(action.dividend, 10 ** (numbers.MONEY_DIGITS - numbers.PRICE_DIGITS)) * ratio
            price *= 1 - paid / earlier[-1].close
        if price != 1 or volume != 1:
            found.append(Factor(action.ex_start, price, volume))
    return found


def adjusted(bar: bars.Bar, found: Sequence[Factor]) -> bars.Bar:
    """Return a bar times all factors of later instants."""
    price, volume = Fraction(1), Fraction(1)
    for factor in found:
        if bar.start < factor.before:
            price, volume = price * factor.price, volume * factor.volume
    if price == 1 and volume == 1:
        return bar
    shares = numbers.divide_half_even(bar.volume * volume.numerator, volume.denominator)
    return dataclasses.replace(
        bar,
        open=_price(bar.open, price),
        high=_price(bar.high, price),
        low=_price(bar.low, price),
        close=_price(bar.close, price),
        volume=shares,
    )


def grouped(
    labelled: Iterable[tuple[times.Nanos, bars.Bar]], label: Callable[[times.Nanos], times.Nanos]
) -> list[tuple[times.Nanos, bars.Bar]]:
    """Return daily bars of one symbol as those of longer periods, by the function that names a day's period."""
    periods: dict[times.Nanos, bars.Bar] = {}
    for at, bar in labelled:
        period = label(at)
        so_far = periods.get(period, bar)
        periods[period] = dataclasses.replace(
            so_far,
            high=max(so_far.high, bar.high),
            low=min(so_far.low, bar.low),
            close=bar.close,
            end=bar.end,
            available_at=bar.available_at,
            volume=bar.volume if so_far is bar else so_far.volume + bar.volume,
        )
    return list(periods.items())


def _price(value: numbers.Price, factor: Fraction) -> numbers.Price:
    return numbers.Price(max(numbers.divide_half_even(value * factor.numerator, factor.denominator), 1))
