"""The account at the venue: how far it lends, what that costs, and which symbols it lends or finances."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from fractions import Fraction

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers
from tradeplane_engine.venue import margin

KINDS = ("cash", "margin")
_RATE_MOST = 1_000_000  # basis points a year


@dataclass(frozen=True, slots=True)
class Account:
    """An account in the terms of ``alpaca-protocol.md`` section 10.2; raises ValueRefused naming field and limit.

    Parameters
    ----------
    kind : ``cash`` pays for everything and sells nothing short; its cash never falls below 0. ``margin`` lends
    multiplier : of a margin account, 2, or 4 within a session; below 2,000 USD of equity it is 1 and nothing is shorted
    settled_only : whether a cash account buys with settled money alone; Alpaca counts all of its cash
    overdraft : whether a cash account pays an execution that costs more than its order was valued at, and more than
        there is
    shorting : whether a margin account may sell short
    interest_bps : on the settled debit at the end of each day, basis points a year of 360 days
    borrow_bps, borrow : on the value of what is short at the end of each day, the same; ``borrow`` by symbol
    hard_to_borrow : symbols of which nothing can be sold short
    unmarginable : symbols that are paid in full
    leverage : 2 or 3 for leveraged funds, whose maintenance is higher
    """

    kind: str = "margin"
    _: KW_ONLY
    multiplier: int = margin.REG_T
    settled_only: bool = False
    overdraft: bool = False
    shorting: bool = True
    interest_bps: Fraction = Fraction(0)
    borrow_bps: Fraction = Fraction(0)
    borrow: Mapping[str, Fraction] = field(default_factory=dict)
    hard_to_borrow: frozenset[str] = frozenset()
    unmarginable: frozenset[str] = frozenset()
    leverage: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no account is."""
        if self.kind not in KINDS:
            raise errors.ValueRefused("account.kind", f"one of {KINDS}", self.kind)
        if self.kind == "margin" and self.multiplier not in {margin.REG_T, margin.INTRADAY}:
            raise errors.ValueRefused("account.multiplier", "2 or 4", self.multiplier)
        if self.kind == "margin" and (self.settled_only or self.overdraft):
            name = "settled_only" if self.settled_only else "overdraft"
            raise errors.ValueRefused(f"account.{name}", "false for a margin account", value=True)
        rates = {"interest_bps": self.interest_bps, "borrow_bps": self.borrow_bps}
        rates |= {f"borrow.{symbol}": rate for symbol, rate in self.borrow.items()}
        for name, rate in rates.items():
            if isinstance(rate, float) or not 0 <= rate <= _RATE_MOST:
                raise errors.ValueRefused(f"account.{name}", f"a Fraction from 0 to {_RATE_MOST}", rate)
        for symbol, times in self.leverage.items():
            if times not in {1, 2, 3}:
                raise errors.ValueRefused(f"account.leverage.{symbol}", "1, 2 or 3", times)

    @property
    def most(self) -> int:
        """The multiplier of its settings."""
        return margin.CASH if self.kind == "cash" else self.multiplier

    @property
    def accrues(self) -> bool:
        """Whether a day costs anything."""
        return bool(self.interest_bps or self.borrow_bps or any(self.borrow.values()))

    def holding(self, symbol: str, quantity: int, price: int, digits: int) -> margin.Holding:
        """Return a position as the margin rules see it."""
        return margin.Holding(
            symbol, quantity, price, digits, symbol not in self.unmarginable, self.leverage.get(symbol, 1)
        )

    def described(self) -> dict[str, object]:
        """Name every setting, in one form."""
        return {
            "kind": self.kind,
            "multiplier": self.most,
            "settled_only": self.settled_only,
            "overdraft": self.overdraft,
            "shorting": self.shorting,
            "interest_bps": str(self.interest_bps),
            "borrow_bps": str(self.borrow_bps),
            "borrow": {symbol: str(rate) for symbol, rate in sorted(self.borrow.items())},
            "hard_to_borrow": sorted(self.hard_to_borrow),
            "unmarginable": sorted(self.unmarginable),
            "leverage": dict(sorted(self.leverage.items())),
        }


def shared(amount: int, weights: list[int]) -> list[int]:
    """Divide an amount in proportion to weights of 0 or more, rounded down; the first that has one takes the rest."""
    total = sum(weights)
    parts = [amount * one // total if total else 0 for one in weights]
    rest = amount - sum(parts)
    for number, one in enumerate(weights):
        if one:
            parts[number] += rest
            break
    return [int(numbers.checked(one, "share")) for one in parts]
