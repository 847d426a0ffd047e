"""What a limit is judged against: equity, positions, working orders and last bars of a sub-ledger or an account."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

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

    def with_working(self, intent: orders.Intent) -> "Book":
        """Return the book with the intent as a working order."""
        symbol = intent.symbol
        if intent.side is orders.Side.BUY:
            more = numbers.Quantity(self.working_buy.get(symbol, 0) + intent.quantity)
            return replace(self, working_buy={**self.working_buy, symbol: more})
        more = numbers.Quantity(self.working_sell.get(symbol, 0) + intent.quantity)
        return replace(self, working_sell={**self.working_sell, symbol: more})

    def symbols(self) -> set[str]:
        """Every symbol with a position or a working order."""
        return {
            symbol
            for side in (self.positions, self.working_buy, self.working_sell)
            for symbol, quantity in side.items()
            if quantity
        }
