"""What accrues in a run: each fill's fees, booked at once as the broker books their sums (``docs/adr/0008``).

The account owes, per day and kind, the exact sum of the charges rounded up to the cent; a fill costs it what that sum
grows by. A strategy's sub-ledger keeps its charges exactly, and only their sum is rounded, up to 1e-9 USD. What lies
between is less than a cent per kind and day and belongs to the account. A commission is of its order and the same for
both.
"""

from collections.abc import Callable

from tradeplane_engine.core.order import Order
from tradeplane_engine.domain import orders
from tradeplane_engine.venue import days, fees

_NOTHING = fees.Commission()


class Accrual:
    """Fees of one run.

    Parameters
    ----------
    rates : of a day such as ``2012-03-05``
    calendar : tells the day of a fill

    Attributes
    ----------
    residue : what the account has been charged more than its strategies so far, money; it may be below 0
    """

    __slots__ = ("_calendar", "_day", "_exact", "_kinds", "_now", "_orders", "_rates", "residue")

    def __init__(self, rates: Callable[[str], fees.Rates], calendar: days.Days) -> None:
        self._rates = rates
        self._calendar = calendar
        self._day = ""
        self._now: fees.Rates | None = None
        self._kinds: dict[str, int] = {}
        self._exact: dict[int, int] = {}
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
        side = orders.Side.BUY if order.side > 0 else orders.Side.SELL
        charges = rates.charges(side, price, quantity, digits=digits)
        whole = 0
        for charge in charges:
            before = self._kinds.get(charge.kind, 0)
            self._kinds[charge.kind] = before + charge.amount
            whole += fees.booked(before + charge.amount) - fees.booked(before)
        exact = self._exact.get(order.strategy, 0)
        total = exact + sum(charge.amount for charge in charges)
        self._exact[order.strategy] = total
        own = fees.covered(total) - fees.covered(exact)
        self.residue += whole - own
        commission = self._commission(rates.commission, order.id, price, quantity, digits)
        return own + commission, whole + commission

    def most(self, order: Order, price: int, quantity: int, digits: int, at: int) -> int:
        """Return the most that a fill may cost the account, money; nothing is booked."""
        rates = self._rates(self._calendar.of(at))
        side = orders.Side.BUY if order.side > 0 else orders.Side.SELL
        charges = rates.charges(side, price, quantity, digits=digits)
        before = self._orders.get(order.id, (0, 0))
        after = (before[0] + quantity, before[1] + price * quantity)
        commission = rates.commission.due(before, after, digits=digits)
        return sum(fees.booked(charge.amount) for charge in charges) + commission

    def _of(self, day: str) -> fees.Rates:
        if self._now is None or day != self._day:
            self._day = day
            self._now = self._rates(day)
            self._kinds = {}
        return self._now

    def _commission(self, due: fees.Commission, order: int, price: int, quantity: int, digits: int) -> int:
        if due == _NOTHING:
            return 0
        before = self._orders.get(order, (0, 0))
        after = (before[0] + quantity, before[1] + price * quantity)
        self._orders[order] = after
        return due.due(before, after, digits=digits)
