"""The exact ledger of an account or of one strategy's part of it: positions, cash, fees, realised P&L.

Everything is a scaled integer, and after every entry two sums must be equal:

    cash = starting + realised - cost of the open positions - fees + other entries

Marks change no cash: the worth of a position is its quantity at the last close, rounded once per symbol.
"""

from array import array
from collections.abc import Sequence

from tradeplane_engine import errors
from tradeplane_engine.core import exact

_MOST = 9_223_372_036_854_775_807  # as in exact, whose calls would cost every mark


class Ledger:
    """Books fills and entries of symbols with the ids 0 to n - 1.

    Parameters
    ----------
    starting : cash of an account, capital of a strategy; money
    unit : price units in one USD, per symbol

    Attributes
    ----------
    cash, realised, fees, other : money; realised is before fees, other is dividends, interest and adjustments
    cost_total, worth_total : sum over the open positions, at cost and at the last marks; money
    quantities, costs : per symbol, 1e-9 shares (signed) and money (negative for a short)
    step : per symbol, money by which the position's worth moves with one price unit; 0 where that is no whole number
    """

    __slots__ = (
        *("cash", "cost", "cost_total", "costs", "fees", "fills", "other", "quantities", "quantity"),
        *("realised", "starting", "step", "unit", "worth", "worth_total"),
    )

    def __init__(self, starting: int, unit: Sequence[int]) -> None:
        self.starting = starting
        self.cash = starting
        self.realised = 0
        self.fees = 0
        self.other = 0
        self.cost_total = 0
        self.worth_total = 0
        self.fills = 0
        self.unit = unit
        zeros = bytes(8 * len(unit))
        self.quantities = array("q", zeros)
        self.costs = array("q", zeros)
        self.quantity = self.quantities
        self.cost = self.costs
        self.step = array("q", zeros)
        self.worth = array("q", zeros)

    def widen(self, unit: Sequence[int]) -> None:
        """Make room for further symbols behind those that there are; ``unit`` is that of all of them."""
        room = array("q", bytes(8 * (len(unit) - len(self.quantities))))
        self.unit = unit
        self.quantities = self.quantities + room
        self.costs = self.costs + room
        self.quantity = self.quantities
        self.cost = self.costs
        self.step = array("q", self.step) + room
        self.worth = array("q", self.worth) + room

    def resume(self, realised: int, fills: int, held: Sequence[tuple[int, int, int]]) -> None:
        """Stand where another ledger of the same start stood that had fills only, all positions unmarked.

        ``held`` has symbol, quantity and cost of each of its positions.
        """
        for symbol, quantity, cost in held:
            self._hold(symbol, quantity)
            self.cost[symbol] = cost
            self.cost_total = exact.add(self.cost_total, cost, "cost")
        self.realised = realised
        self.fills = fills
        self.cash = exact.add(exact.add(self.starting, realised, "cash"), -self.cost_total, "cash")
        self.check()

    # Sums of several terms are taken in 128 bits and fitted once: none can wrap, and none needs a check on the way.

    def mark(self, symbol: int, price: int) -> None:
        """Value the position of a symbol at a price."""
        if self.quantity[symbol] or self.worth[symbol]:
            total = price
            total *= self.step[symbol]
            if not total or total > _MOST or total < -_MOST:
                total = exact.notional(price, self.quantity[symbol], self.unit[symbol])
            worth = total
            total = self.worth_total
            total += worth - self.worth[symbol]
            if total > _MOST or total < -_MOST:
                exact.fit(total, "worth")
            self.worth_total = total
            self.worth[symbol] = worth

    def take(self, symbol: int, worth: int) -> None:
        """Take what the position of a symbol is worth, where it is the only one."""
        if self.quantity[symbol]:
            self.worth_total = worth
            self.worth[symbol] = worth

    def total(self, worth: int) -> None:
        """Take what all positions are worth together."""
        self.worth_total = exact.fit(worth, "worth")

    def _hold(self, symbol: int, quantity: int) -> None:
        """Have a position of so many shares."""
        step = quantity // self.unit[symbol]
        self.step[symbol] = step if step * self.unit[symbol] == quantity else 0
        self.quantity[symbol] = quantity

    def fill(self, symbol: int, signed: int, price: int, fee: int) -> int:
        """Book a fill and its fee (money, positive costs); return the realised P&L of the part that it closed."""
        before = self.quantity[symbol]
        cost = self.cost[symbol]
        unit = self.unit[symbol]
        value = exact.notional(price, signed, unit)
        after = before
        after += signed
        if before == 0 or (before > 0) == (signed > 0):
            cost_after = cost
            cost_after += value
        elif after == 0:
            cost_after = 0
        elif (after > 0) == (before > 0):
            cost_after = exact.ratio(cost, abs(after), abs(before), "cost")
        else:  # crossed zero: the whole old position is realised, the rest opens at this price
            cost_after = exact.notional(price, exact.fit(after, "position"), unit)
        moved = cost_after
        moved -= cost
        realised = moved - value
        cash = self.cash
        cash -= value
        cash -= fee
        fees = self.fees
        fees += fee
        realised_total = self.realised
        realised_total += realised
        cost_total = self.cost_total
        cost_total += moved
        if not (
            -_MOST <= after <= _MOST
            and -_MOST <= cost_after <= _MOST
            and -_MOST <= realised_total <= _MOST
            and -_MOST <= cost_total <= _MOST
            and -_MOST <= cash <= _MOST
            and -_MOST <= fees <= _MOST
        ):  # nothing is booked half; what one fill realises lies between a cost and a value, which fit
            _refuse(after, cost_after, realised_total, cost_total, cash, fees)
        self.fees = fees
        self.realised = realised_total
        self.cost_total = cost_total
        self.cash = cash
        self._hold(symbol, after)
        self.cost[symbol] = cost_after
        self.fills += 1
        self.check()
        return realised

    def book(self, amount: int, field: str) -> None:
        """Book money that no fill moved: a dividend, interest, an adjustment; a fee is negative under ``fees``."""
        cash = exact.add(self.cash, amount, "cash")
        if field == "fees":
            self.fees = exact.add(self.fees, -amount, "fees")
        else:
            self.other = exact.add(self.other, amount, field)
        self.cash = cash
        self.check()

    def split(self, symbol: int, quantity: int, price: int) -> None:
        """Turn a position into so many shares at unchanged cost; one that becomes nothing is realised at its cost."""
        if self.quantity[symbol] == 0 and quantity == 0:
            return
        self._hold(symbol, quantity)
        if quantity == 0:
            self.realised = exact.add(self.realised, -self.cost[symbol], "realised")
            self.cost_total = exact.add(self.cost_total, -self.cost[symbol], "cost")
            self.cost[symbol] = 0
        self.mark(symbol, price)
        self.check()

    def equity(self) -> int:
        """Cash plus the worth of the positions at their last marks."""
        total = self.cash
        total += self.worth_total
        return total if -_MOST <= total <= _MOST else exact.fit(total, "equity")

    def check(self) -> None:
        """Raise LedgerBroken unless cash, realised P&L, costs and fees add up exactly."""
        expected = self.starting
        expected = expected + self.realised - self.cost_total - self.fees + self.other
        if self.cash != expected:
            raise errors.LedgerBroken(f"cash {self.cash} is not what the entries add up to (1e-9 USD)")


def _refuse(position: int, cost: int, realised: int, cost_total: int, cash: int, fees: int) -> None:
    """Raise Overflow naming the first that leaves 64 bits."""
    exact.fit(position, "position")
    exact.fit(cost, "cost")
    exact.fit(realised, "realised")
    exact.fit(cost_total, "cost")
    exact.fit(cash, "cash")
    exact.fit(fees, "fees")
