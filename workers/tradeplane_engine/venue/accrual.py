"""Fees as they accrue: one account's, or one strategy's, exact by kind and day.

The broker sums the charges of a day per kind and rounds each sum up to the cent (ADR 8): ``booked``
is that at any moment. A strategy's part of it is kept exactly and rounded only as a whole: ``owed``.
"""

from collections.abc import Iterable, Mapping

from tradeplane_engine.domain import numbers
from tradeplane_engine.venue import fees


class Accrual:
    """Charges so far.

    Attributes
    ----------
    exact : sum of all charges in units of 1e-29 USD
    booked : sum over days and kinds, each rounded up to the cent
    """

    __slots__ = ("_booked", "_days", "booked", "exact")

    def __init__(self) -> None:
        self._days: dict[str, dict[str, int]] = {}
        self._booked: dict[str, int] = {}
        self.exact = 0
        self.booked = numbers.Money(0)

    def add(self, charges: Iterable[fees.Charge], day: str) -> None:
        """Take one fill's charges of a day such as ``2012-03-05``."""
        kinds = self._days.setdefault(day, {})
        for charge in charges:
            kinds[charge.kind] = kinds.get(charge.kind, 0) + charge.amount
            self.exact += charge.amount
        before, after = self._booked.get(day, 0), sum(map(fees.booked, kinds.values()))
        self._booked[day] = after
        self.booked = numbers.Money(self.booked + after - before)

    @property
    def charges(self) -> dict[str, dict[str, int]]:
        """Sum of the charges by day and kind, in units of 1e-29 USD."""
        return {day: dict(kinds) for day, kinds in self._days.items()}

    @classmethod
    def resumed(cls, charges: Mapping[str, Mapping[str, int]]) -> "Accrual":
        """Return an accrual that has taken so much by day and kind."""
        found = cls()
        for day, kinds in charges.items():
            found.add([fees.Charge(kind, amount) for kind, amount in kinds.items()], day)
        return found

    @property
    def owed(self) -> numbers.Money:
        """The exact sum, rounded up to 1e-9 USD once."""
        return numbers.Money(-fees.less_charges(0, self.exact))

    def day(self, day: str) -> Mapping[str, numbers.Money]:
        """Return one day's fees per kind, rounded up to the cent."""
        kinds = self._days.get(day, {})
        return fees.day_fees(fees.Charge(kind, amount) for kind, amount in kinds.items())

    @property
    def days(self) -> tuple[str, ...]:
        """Days with charges, in the order in which they came."""
        return tuple(self._days)
