"""Each fill's fees in a run, booked at once as the broker books their sums (``docs/adr/0008``).

The account owes, per day and kind, the exact sum of the charges rounded up to the cent; a fill costs it what that sum
grows by. A strategy's sub-ledger keeps its charges exactly, and only their sum is rounded, up to 1e-9 USD. What lies
between is less than a cent per kind and day and belongs to the account. A commission is of its order and the same for
both.
"""

from collections.abc import Callable

from tradeplane_engine.core.order import Order
from tradeplane_engine.domain import orders
from tradeplane_engine.venue import accrual, days, fees

_NOTHING = fees.Commission()


class RunFees:
    """Fees of one run.

    Parameters
    ----------
    rates : of a day such as ``2012-03-05``
    calendar : tells the day of a fill

    Attributes
    ----------
    residue : what the account has been charged more than its strategies so far, money; it may be below 0
    """

    __slots__ = ("_account", "_calendar", "_day", "_now", "_orders", "_own", "_rates", "residue")

    def __init__(self, rates: Callable[[str], fees.Rates], calendar: days.Days) -> None:
        self._rates = rates
        self._calendar = calendar
        self._day = ""
        self._now: fees.Rates | None = None
        self._account = accrual.Accrual()
        self._own: dict[int, accrual.Accrual] = {}
        self._orders: dict[int, tuple[int, int]] = {}
        self.residue = 0

    def fill(self, order: Order, price: int, quantity: int, digits: int, at: int) -> tuple[int, int]:
        """Return what a fill costs the order's strategy and what it costs the account, money.

        Parameters
        ----------
        price, quantity, digits : in units of 10^-digits USD, 1e-9 shares, decimals of the symbol's prices
        at : instant, ns
        """
        rates = self._of(self._calendar.of(at))
        charges = rates.charges(_side(order), price, quantity, digits=digits)
        own = self._own.setdefault(order.strategy, accrual.Accrual())
        part: int = own.owed
        whole: int = self._account.booked
        own.add(charges, self._day)
        self._account.add(charges, self._day)
        part, whole = own.owed - part, self._account.booked - whole
        self.residue += whole - part
        before, after = self._traded(order, price, quantity)
        self._orders[order.id] = after
        commission = rates.commission.due(before, after, digits=digits) if rates.commission != _NOTHING else 0
        return part + commission, whole + commission

    def most(self, order: Order, price: int, quantity: int, digits: int, at: int) -> int:
        """Return the most that a fill may cost the account, money; nothing is booked."""
        rates = self._rates(self._calendar.of(at))
        charges = rates.charges(_side(order), price, quantity, digits=digits)
        commission = rates.commission.due(*self._traded(order, price, quantity), digits=digits)
        return sum(fees.booked(charge.amount) for charge in charges) + commission

    def _of(self, day: str) -> fees.Rates:
        if self._now is None or day != self._day:
            self._day = day
            self._now = self._rates(day)
        return self._now

    def _traded(self, order: Order, price: int, quantity: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Quantity and price x quantity that an order has traded, before a fill and after it."""
        before = self._orders.get(order.id, (0, 0))
        return before, (before[0] + quantity, before[1] + price * quantity)


def _side(order: Order) -> orders.Side:
    return orders.Side.BUY if order.side > 0 else orders.Side.SELL
