"""The core's ledger by symbol, for one account or sub-ledger whose symbols come as they are traded.

Positions, cash and realised P&L are :class:`tradeplane_engine.core.ledger.Ledger`'s; fees accrue beside it, exactly and
as the broker books them, because an account's equity is told with the one and a strategy's with the other.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tradeplane_engine import errors
from tradeplane_engine.core import actions, ledger
from tradeplane_engine.domain import bars, numbers, orders
from tradeplane_engine.venue import accrual, fees, profile

_UNIT = 10**numbers.PRICE_DIGITS
_ROOM = 16  # symbols for which there is room at first


@dataclass(frozen=True, slots=True)
class Position:
    """Signed shares and what they cost (negative for a short); average cost is ``cost / quantity``."""

    quantity: numbers.Quantity
    cost: numbers.Money


class Ledger:
    """Books fills and splits in order.

    Parameters
    ----------
    starting : cash of an account, capital of a strategy
    costs : what a fill costs

    Attributes
    ----------
    losses : closed trades in a row that lost, before fees
    """

    __slots__ = ("_books", "_costs", "_fees", "_ids", "losses")

    def __init__(self, starting: numbers.Money, costs: profile.VenueProfile) -> None:
        self._books = ledger.Ledger(starting, array("q", [_UNIT]) * _ROOM)
        self._ids: dict[str, int] = {}
        self._costs = costs
        self._fees = accrual.Accrual()
        self.losses = 0

    def apply(self, fill: orders.Fill) -> None:
        """Book one fill; the caller sees to it that each fill comes once."""
        realised = self._books.fill(self._id(fill.symbol), fill.side.sign * fill.quantity, fill.price, 0)
        if realised:
            self.losses = self.losses + 1 if realised < 0 else 0
        charges = self._costs.charges(fill.side, fill.price, fill.quantity, session=fill.session)
        self._fees.add(charges, fill.session)

    @property
    def state(self) -> dict[str, Any]:
        """Where it stands, as JSON can hold it: all but what it started with and its marks."""
        return {
            "realised": self._books.realised,
            "fills": self._books.fills,
            "losses": self.losses,
            "positions": {symbol: [held.quantity, held.cost] for symbol, held in self.positions.items()},
            "charges": self._fees.charges,
        }

    @classmethod
    def resumed(cls, starting: numbers.Money, costs: profile.VenueProfile, state: Mapping[str, Any]) -> "Ledger":
        """Return a ledger that goes on from the state of another one."""
        found = cls(starting, costs)
        held = [(found._id(symbol), *entry) for symbol, entry in state["positions"].items()]
        found._books.resume(state["realised"], state["fills"], held)
        found._fees = accrual.Accrual.resumed(state["charges"])
        found.losses = state["losses"]
        return found

    def split(self, symbol: str, ratio: tuple[int, int]) -> None:
        """Turn ``old`` shares into ``new`` at unchanged cost; a part below 1e-9 share is dropped."""
        new, old = ratio
        number = self._id(symbol)
        after = actions.shares(self._books.quantities[number], new, old)
        self._books.split(number, after, 0)  # marked anew whenever equity is asked for

    def quantity(self, symbol: str) -> numbers.Quantity:
        """Signed shares held."""
        known = self._ids.get(symbol)
        return numbers.Quantity(0 if known is None else self._books.quantities[known])

    @property
    def quantities(self) -> dict[str, numbers.Quantity]:
        """Signed shares of every open position."""
        return {symbol: held.quantity for symbol, held in self.positions.items()}

    @property
    def positions(self) -> dict[str, Position]:
        """Every open position."""
        held, costs = self._books.quantities, self._books.costs
        return {
            symbol: Position(numbers.Quantity(held[number]), numbers.Money(costs[number]))
            for symbol, number in self._ids.items()
            if held[number]
        }

    @property
    def fills(self) -> int:
        """Number of fills."""
        return self._books.fills

    @property
    def realised(self) -> numbers.Money:
        """Realised P&L before fees."""
        return numbers.Money(self._books.realised)

    @property
    def cash_before_fees(self) -> numbers.Money:
        """Starting cash less what the fills cost."""
        return numbers.Money(self._books.cash)

    @property
    def cash(self) -> numbers.Money:
        """Cash with fees as the broker books them: per kind and day, rounded up to the cent."""
        return numbers.Money(self._books.cash - self._fees.booked)

    @property
    def fees_booked(self) -> numbers.Money:
        """Sum of the day fees, the current day's accrual included."""
        return self._fees.booked

    @property
    def fees_owed(self) -> numbers.Money:
        """Exact sum of every fill's fees, rounded up once."""
        return self._fees.owed

    @property
    def fees_exact(self) -> Fraction:
        """Exact sum of every fill's fees, in units of Money."""
        return fees.exact_fraction(self._fees.exact)

    def day_fees(self, session: str) -> Mapping[str, numbers.Money]:
        """Return one day's fees per kind, rounded up to the cent."""
        return self._fees.day(session)

    def equity(self, prices: Mapping[str, bars.Bar]) -> numbers.Money | None:
        """Cash (fees as booked) plus positions at the last close; None while a held symbol has no price."""
        found = self._worth(prices)
        return None if found is None else numbers.Money(numbers.checked(found - self._fees.booked, "equity"))

    def equity_exact_fees(
        self, prices: Mapping[str, bars.Bar], *, capital: numbers.Money | None = None
    ) -> numbers.Money | None:
        """Capital plus realised and unrealised P&L less the exact fees, rounded down; None as in :meth:`equity`."""
        found = self._worth(prices)
        if found is None:
            return None
        more = 0 if capital is None else capital - self._books.starting
        return numbers.Money(numbers.checked(fees.less_charges(found + more, self._fees.exact), "equity"))

    def check_conservation(self) -> None:
        """Raise LedgerBroken unless cash, realised P&L, costs and fees add up exactly."""
        self._books.check()
        if sum(self._books.costs) != self._books.cost_total:
            raise errors.LedgerBroken(f"costs {sum(self._books.costs)} differ from their sum {self._books.cost_total}")
        booked = sum(sum(self.day_fees(day).values()) for day in self._fees.days)
        if booked != self.fees_booked or booked < self.fees_exact:
            raise errors.LedgerBroken(f"fees booked {self.fees_booked}, by day {booked}, exact {self.fees_exact}")

    def _id(self, symbol: str) -> int:
        """Number of a symbol in the core's ledger, which is given room for it."""
        number = self._ids.setdefault(symbol, len(self._ids))
        if number >= len(self._books.quantities):
            self._books.widen(array("q", [_UNIT]) * (2 * number))
        return number

    def _worth(self, prices: Mapping[str, bars.Bar]) -> int | None:
        """Cash before fees and positions at the last closes; None while a held symbol has no price."""
        for symbol, number in self._ids.items():
            if not self._books.quantities[number]:
                self._books.mark(number, 0)  # what was sold is worth nothing any more
                continue
            bar = prices.get(symbol)
            if bar is None:
                return None
            self._books.mark(number, bar.close)
        return self._books.equity()
