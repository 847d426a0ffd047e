"""Trades and quotes of one symbol: columns in the order of time, and rows made of them when they are asked for.

Where a recording has bars alone, each bar gives two trades of one lot, at its open when it starts and at its close when
it ends, with a quote around each as wide as the venue's profile fills at. Nothing else of a bar is known at an instant.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tradeplane_engine.domain import bars, numbers, orders, times
from tradeplane_engine.venue import profile

IntArray = npt.NDArray[np.int64]
OPENING, CLOSING = "OQ", "6M"
_LOT = 100
_NO_EXCHANGE = "V"


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade; ``conditions`` is a character each; ``update`` says what has become of it since, if anything."""

    symbol: str
    at: times.Nanos
    number: int
    price: numbers.Price
    size: int
    exchange: str
    conditions: str
    tape: str
    update: str = ""


@dataclass(frozen=True, slots=True)
class Quote:
    """One quote; a side that nobody quotes has price and size 0; sizes in shares."""

    symbol: str
    at: times.Nanos
    bid: numbers.Price
    bid_size: int
    ask: numbers.Price
    ask_size: int
    exchange: str
    tape: str


@dataclass(frozen=True, slots=True)
class Measures:
    """What trades tell of a bar beside its prices: how many they were, and their average price by volume."""

    count: int
    average: numbers.Price


class _Ordered:
    """Whatever has an instant per row, never falling."""

    at: IntArray

    def __len__(self) -> int:
        return len(self.at)

    def span(self, first: times.Nanos, last: times.Nanos) -> range:
        """Return the places of the rows in [first, last]."""
        bounds = np.searchsorted(self.at, [first, last + 1])
        return range(int(bounds[0]), int(bounds[1]))

    def newest(self, at: times.Nanos) -> int | None:
        """Return the place of the newest row that is not after ``at``."""
        place = int(np.searchsorted(self.at, at, side="right")) - 1
        return place if place >= 0 else None


@dataclass(frozen=True, slots=True)
class Trades(_Ordered):
    """Trades of one symbol.

    at : ns UTC
    price, size : units of 1e-4 USD, shares
    exchange, conditions : a letter; a text of one character per condition
    number : the trades' ids
    counted : which of them are part of a bar's volume, count and average price
    voided : by place, from when on a trade is known not to stand, and Alpaca's word for it
    """

    symbol: str
    at: IntArray
    price: IntArray
    size: IntArray
    exchange: Sequence[str]
    conditions: Sequence[str]
    number: IntArray
    counted: npt.NDArray[np.bool_]
    voided: Mapping[int, tuple[times.Nanos, str]] = field(default_factory=dict)
    tape: str = "C"

    def measures(self, first: times.Nanos, end: times.Nanos) -> Measures | None:
        """Return count and average price of the trades in [first, end); None where none is counted."""
        span = self.span(first, times.Nanos(end - 1))
        counted = self.counted[span.start : span.stop]
        price, size = (column[span.start : span.stop][counted] for column in (self.price, self.size))
        shares = int(size.sum())
        if not shares:
            return None
        return Measures(len(size), numbers.Price(numbers.divide_half_even(int(price @ size), shares)))

    def row(self, place: int, at: times.Nanos) -> Trade:
        """Return a trade as it is known at an instant."""
        since, word = self.voided.get(place, (times.Nanos(0), ""))
        return Trade(
            symbol=self.symbol,
            at=times.Nanos(int(self.at[place])),
            number=int(self.number[place]),
            price=numbers.Price(int(self.price[place])),
            size=int(self.size[place]),
            exchange=str(self.exchange[place]),
            conditions=str(self.conditions[place]),
            tape=self.tape,
            update=word if word and since <= at else "",
        )


@dataclass(frozen=True, slots=True)
class Quotes(_Ordered):
    """Quotes of one symbol; columns as of :class:`Quote`."""

    symbol: str
    at: IntArray
    bid: IntArray
    bid_size: IntArray
    ask: IntArray
    ask_size: IntArray
    exchange: Sequence[str]
    tape: str = "C"

    def row(self, place: int) -> Quote:
        """Return a quote."""
        return Quote(
            symbol=self.symbol,
            at=times.Nanos(int(self.at[place])),
            bid=numbers.Price(int(self.bid[place])),
            bid_size=int(self.bid_size[place]),
            ask=numbers.Price(int(self.ask[place])),
            ask_size=int(self.ask_size[place]),
            exchange=str(self.exchange[place]),
            tape=self.tape,
        )


@dataclass(frozen=True, slots=True)
class Tape:
    """What was traded and quoted of one symbol."""

    trades: Trades
    quotes: Quotes


def empty(symbol: str) -> Tape:
    """Return the tape of a symbol that nobody has traded or quoted."""
    none = np.zeros(0, dtype=np.int64)
    return Tape(
        Trades(symbol, none, none, none, (), (), none, none.astype(np.bool_)),
        Quotes(symbol, none, none, none, none, none, ()),
    )


def of_bars(
    symbol: str,
    found: Sequence[bars.Bar],
    *,
    opens: Collection[times.Nanos],
    closes: Collection[times.Nanos],
    costs: profile.VenueProfile,
) -> Tape:
    """Return what bars tell of trades and quotes; ``opens`` and ``closes`` are those of the sessions."""
    at: list[int] = []
    price: list[numbers.Price] = []
    conditions: list[str] = []
    for bar in found:
        at += [bar.start, bar.end]
        price += [bar.open, bar.close]
        conditions += [OPENING[0] if bar.start in opens else "@", CLOSING[0] if bar.end in closes else "@"]
    instants, sizes = np.array(at, dtype=np.int64), np.full(len(at), _LOT, dtype=np.int64)
    exchanges = [_NO_EXCHANGE] * len(at)
    trades = Trades(
        symbol,
        instants,
        np.array(price, dtype=np.int64),
        sizes,
        exchanges,
        conditions,
        np.arange(1, len(at) + 1, dtype=np.int64),
        np.zeros(len(at), dtype=np.bool_),
    )
    bid, ask = (
        np.array([costs.fill_price(side, one) for one in price], dtype=np.int64)
        for side in (orders.Side.SELL, orders.Side.BUY)
    )
    return Tape(trades, Quotes(symbol, instants, bid, sizes, ask, sizes, exchanges))
