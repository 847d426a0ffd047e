"""What limits on losses are measured from, where nobody sees every close: equity as it was at each decision.

A run keeps the same in its books (:class:`~tradeplane_engine.core.risk.Book`), from every close. The gateway sees an
account when somebody decides, which its strategies do at each of their bars.
"""

from dataclasses import dataclass

from tradeplane_engine.core import risk
from tradeplane_engine.domain import numbers, times


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one scope, as of a decision; money.

    at : the decision's trigger
    capital : what the equity is counted on
    equity : at the last closes that were known
    session_equity : at the last decision before the session opened, the capital before the first; a session's losses
        are measured from it
    peak : the highest so far, the capital at first
    losses : closed trades in a row that lost
    """

    at: times.Nanos
    capital: numbers.Money
    equity: numbers.Money
    session_equity: numbers.Money
    peak: numbers.Money
    losses: int = 0

    @classmethod
    def first(cls, capital: numbers.Money, at: times.Nanos) -> "Standing":
        """Return that of a scope that begins to be measured."""
        return cls(at, capital, capital, capital, capital)

    def funded(self, capital: numbers.Money) -> "Standing":
        """Return it with other capital: what is given or taken is neither won nor lost."""
        more = capital - self.capital
        equity, session, peak = (numbers.Money(one + more) for one in (self.equity, self.session_equity, self.peak))
        return Standing(self.at, capital, equity, session, peak, self.losses)

    def seen(self, equity: numbers.Money, losses: int, at: times.Nanos, *, opened: bool) -> "Standing":
        """Return it after one more look; ``opened`` says whether a session has opened since the last."""
        session = self.equity if opened else self.session_equity
        return Standing(at, self.capital, equity, session, max(self.peak, equity), losses)

    def impose(self, book: risk.Book) -> None:
        """Let a book measure losses from here."""
        book.measure_from(self.session_equity, self.peak, self.losses)
