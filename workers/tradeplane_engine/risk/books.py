"""What a limit is judged against: equity, positions, working orders and last bars of a sub-ledger or an account."""

from collections.abc import Mapping
from dataclasses import dataclass

from tradeplane_engine.domain import bars, numbers, orders

# price (1e-4 USD) * quantity (1e-9 share) is exact in units of 1e-13 USD; money is in units of 1e-9 USD.
EXPOSURE_PER_MONEY = 10 ** (numbers.PRICE_DIGITS + numbers.QUANTITY_DIGITS - numbers.MONEY_DIGITS)


@dataclass(frozen=True, slots=True)
class Book:
    """State of one sub-ledger or account at the instant of a decision.

    equity : None when it cannot be known, such as a held symbol without a price
    positions : signed, per symbol; absent is zero
    working_buy, working_sell : unfilled part of open orders, unsigned; an unknown order counts at full size
    prices : last bar known per symbol; a symbol without one cannot be ordered
    """

    equity: numbers.Money | None
    positions: Mapping[str, numbers.Quantity]
    working_buy: Mapping[str, numbers.Quantity]
    working_sell: Mapping[str, numbers.Quantity]
    prices: Mapping[str, bars.Bar]

    def highest(self, symbol: str) -> int:
        """Position if every working buy and no working sell fills."""
        return self.positions.get(symbol, 0) + self.working_buy.get(symbol, 0)

    def lowest(self, symbol: str) -> int:
        """Position if every working sell and no working buy fills."""
        return self.positions.get(symbol, 0) - self.working_sell.get(symbol, 0)

    def worst(self, symbol: str) -> int:
        """Largest absolute position that any filling of the working orders can lead to."""
        return max(abs(self.highest(symbol)), abs(self.lowest(symbol)))

    def worst_with(self, intent: orders.Intent) -> int:
        """Return :meth:`worst` of the intent's symbol with the intent as a working order."""
        highest, lowest = self.highest(intent.symbol), self.lowest(intent.symbol)
        if intent.side is orders.Side.BUY:
            return max(abs(highest + intent.quantity), abs(lowest))
        return max(abs(highest), abs(lowest - intent.quantity))

    def with_working(self, intent: orders.Intent) -> "Book":
        """Return the book with the intent as a working order."""
        symbol = intent.symbol
        buying, selling = self.working_buy, self.working_sell
        if intent.side is orders.Side.BUY:
            buying = {**buying, symbol: numbers.Quantity(buying.get(symbol, 0) + intent.quantity)}
        else:
            selling = {**selling, symbol: numbers.Quantity(selling.get(symbol, 0) + intent.quantity)}
        return Book(self.equity, self.positions, buying, selling, self.prices)

    def symbols(self) -> set[str]:
        """Every symbol with a position or a working order."""
        return {
            symbol
            for side in (self.positions, self.working_buy, self.working_sell)
            for symbol, quantity in side.items()
            if quantity
        }


@dataclass(frozen=True, slots=True)
class Gross:
    """Sum of the worst-case position values, in units of 1e-13 USD, and the held symbols without a price."""

    exposure: int
    unpriced: tuple[str, ...] = ()

    def with_working(self, intent: orders.Intent, book: Book) -> "Gross":
        """Return the gross of ``book`` with the intent as a working order; its symbol has a price."""
        more = book.worst_with(intent) - book.worst(intent.symbol)
        return Gross(self.exposure + more * book.prices[intent.symbol].close, self.unpriced)


def gross(book: Book) -> Gross:
    """Add up a book's worst cases."""
    exposure = 0
    unpriced = []
    for symbol in book.symbols():
        bar = book.prices.get(symbol)
        if bar is None:
            unpriced.append(symbol)
        else:
            exposure += book.worst(symbol) * bar.close
    return Gross(exposure, tuple(sorted(unpriced)))
