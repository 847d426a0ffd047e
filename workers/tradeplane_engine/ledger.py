"""The exact ledger of one account or sub-ledger: positions, cash, fees by day and kind, realised P&L.

Everything is integers (fees: exact fractions until they are booked), so the conservation checks compare with ``==``:

- cash before fees = starting cash - sum of signed fill values
- cash before fees = starting cash + realised P&L - cost of the open positions
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from tradeplane_engine import errors
from tradeplane_engine.domain import bars, numbers, orders
from tradeplane_engine.venue import fees, profile


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
    """

    __slots__ = (
        *("_booked", "_booked_total", "_charges", "_costs", "_exact", "_flow"),
        *("fills", "positions", "realised", "starting"),
    )

    def __init__(self, starting: numbers.Money, costs: profile.VenueProfile) -> None:
        self.starting = starting
        self.positions: dict[str, Position] = {}
        self.realised = numbers.Money(0)
        self.fills = 0
        self._costs = costs
        self._flow = 0
        self._exact = 0
        self._charges: dict[str, dict[str, int]] = {}
        self._booked: dict[str, int] = {}
        self._booked_total = 0

    def apply(self, fill: orders.Fill) -> None:
        """Book one fill; the caller sees to it that each fill comes once."""
        signed = numbers.Quantity(fill.side.sign * fill.quantity)
        value = numbers.notional(fill.price, signed)
        before = self.positions.get(fill.symbol)
        quantity, cost = (before.quantity, before.cost) if before else (numbers.Quantity(0), numbers.Money(0))
        after = numbers.Quantity(numbers.checked(quantity + signed, "position"))
        if quantity * signed >= 0:
            cost_after = cost + value
        elif abs(signed) <= abs(quantity):
            cost_after = numbers.divide_half_even(cost * abs(after), abs(quantity))
        else:  # crossed zero: the whole old position is realised, the rest opens at this price
            cost_after = numbers.notional(fill.price, after)
        self.realised = numbers.Money(numbers.checked(self.realised + cost_after - cost - value, "realised"))
        self._flow = numbers.checked(self._flow + value, "cash")
        self._hold(fill.symbol, after, cost_after)
        self._charge(fill)
        self.fills += 1

    def split(self, symbol: str, ratio: tuple[int, int]) -> None:
        """Turn ``old`` shares into ``new`` at unchanged cost; a part below 1e-9 share is dropped."""
        held = self.positions.get(symbol)
        if held is None:
            return
        new, old = ratio
        size = abs(held.quantity) * new // old
        signed = size if held.quantity > 0 else -size
        self._hold(symbol, numbers.Quantity(numbers.checked(signed, "position")), held.cost)

    def quantity(self, symbol: str) -> numbers.Quantity:
        """Signed shares held."""
        held = self.positions.get(symbol)
        return held.quantity if held else numbers.Quantity(0)

    @property
    def quantities(self) -> dict[str, numbers.Quantity]:
        """Signed shares of every open position."""
        return {symbol: held.quantity for symbol, held in self.positions.items()}

    @property
    def cash_before_fees(self) -> numbers.Money:
        """Starting cash less what the fills cost."""
        return numbers.Money(self.starting - self._flow)

    @property
    def cash(self) -> numbers.Money:
        """Cash with fees as the broker books them: per kind and day, rounded up to the cent."""
        return numbers.Money(self.cash_before_fees - self.fees_booked)

    @property
    def fees_booked(self) -> numbers.Money:
        """Sum of the day fees, the current day's accrual included."""
        return numbers.Money(self._booked_total)

    @property
    def fees_exact(self) -> Fraction:
        """Exact sum of every fill's fees, in units of Money."""
        return fees.exact_fraction(self._exact)

    def day_fees(self, session: str) -> dict[str, numbers.Money]:
        """Return one day's fees per kind, rounded up to the cent."""
        kinds = self._charges.get(session, {})
        return fees.day_fees(fees.Charge(kind, amount) for kind, amount in kinds.items())

    def equity(self, prices: Mapping[str, bars.Bar]) -> numbers.Money | None:
        """Cash (fees as booked) plus positions at the last close; None while a held symbol has no price."""
        value = self._value(prices)
        return None if value is None else numbers.Money(numbers.checked(self.cash + value, "equity"))

    def equity_exact_fees(
        self, prices: Mapping[str, bars.Bar], *, capital: numbers.Money | None = None
    ) -> numbers.Money | None:
        """Capital plus realised and unrealised P&L less the exact fees, rounded down; None as in :meth:`equity`."""
        value = self._value(prices)
        if value is None:
            return None
        start = self.starting if capital is None else capital
        exact = fees.less_charges(start - self._flow + value, self._exact)
        return numbers.Money(numbers.checked(exact, "equity"))

    def check_conservation(self) -> None:
        """Raise LedgerBroken unless cash, realised P&L and cost of the positions add up exactly."""
        cost = sum(held.cost for held in self.positions.values())
        if -self._flow != self.realised - cost:
            raise errors.LedgerBroken(
                f"cash flow {-self._flow} differs from realised {self.realised} less cost {cost} (units of 1e-9 USD)"
            )
        booked = sum(sum(self.day_fees(session).values()) for session in self._charges)
        exact = sum(sum(kinds.values()) for kinds in self._charges.values())
        if booked != self.fees_booked or exact != self._exact or booked < self.fees_exact:
            raise errors.LedgerBroken(f"fees booked {booked} and exact {exact} differ from the running sums")

    def _hold(self, symbol: str, quantity: numbers.Quantity, cost: int) -> None:
        if quantity:
            self.positions[symbol] = Position(quantity, numbers.Money(numbers.checked(cost, "cost")))
            return
        self.positions.pop(symbol, None)
        self.realised = numbers.Money(self.realised - cost)  # zero for a fill; what a split dropped below 1e-9 share

    def _charge(self, fill: orders.Fill) -> None:
        kinds = self._charges.setdefault(fill.session, {})
        for charge in self._costs.charges(fill.side, fill.price, fill.quantity, session=fill.session):
            kinds[charge.kind] = kinds.get(charge.kind, 0) + charge.amount
            self._exact += charge.amount
        before, after = self._booked.get(fill.session, 0), sum(map(fees.booked, kinds.values()))
        self._booked[fill.session] = after
        self._booked_total += after - before

    def _value(self, prices: Mapping[str, bars.Bar]) -> int | None:
        total = 0
        for symbol, held in self.positions.items():
            bar = prices.get(symbol)
            if bar is None:
                return None
            total += numbers.notional(bar.close, held.quantity)
        return total
