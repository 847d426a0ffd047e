"""Corporate actions as dated events; what each does to the books of a run is :mod:`tradeplane_engine.core.actions`.

- A split turns shares at unchanged cost; what falls below 1e-9 share is cut toward zero, nothing is paid for it.
- A cash dividend is owed for what is held when the ex-date begins, on the share basis after a split of that day. It is
  paid on the pay date where one is given, else on the ex-date. A short pays. What a long gets is rounded down, what a
  short pays is rounded up. Equity does not count what is owed until it is paid, as the broker's does not.
- A rename keeps position, open orders and history under the new symbol.
- A delisting ends the position at a price per share; 0 is worthless.
- Everything else (spin-offs, mergers for shares, rights, ...) is refused by name where somebody has a part in it, and
  flagged where nobody has.
"""

from dataclasses import dataclass
from typing import Any

from tradeplane_engine import errors
from tradeplane_engine.domain import bars, numbers, times

UNDATED = times.Nanos(0)
REFUSED = (
    *("spin_off", "stock_dividend", "unit_split", "stock_merger", "stock_and_cash_merger", "redemption"),
    "rights_distribution",
)


def _text(value: Any, field: str) -> None:
    if not isinstance(value, str) or not value:
        raise errors.ValueRefused(field, "the name of a symbol", value)


def _at(value: Any, field: str) -> None:
    numbers.whole(value, "dated by an int, ns UTC", field=field)


def _money(value: Any, field: str) -> None:
    numbers.whole(value, 'an int of 1e-9 USD per share, as numbers.money("0.25") gives', field=field)


@dataclass(frozen=True, slots=True)
class Split:
    """``new`` shares for ``old`` ones, before the open of ``at``."""

    symbol: str
    at: times.Nanos
    new: int
    old: int

    def __post_init__(self) -> None:
        """Refuse a ratio that is not positive."""
        _text(self.symbol, "split.symbol")
        field = f"split of {self.symbol}"
        _at(self.at, field)
        for shares in (self.new, self.old):
            if numbers.whole(shares, "a ratio of positive integers", field=field) <= 0:
                raise errors.ValueRefused(field, "a ratio of positive integers", (self.new, self.old))


@dataclass(frozen=True, slots=True)
class Dividend:
    """USD per share for who holds at the open of ``at``, the ex-date; paid at ``pay_at``, 0 for the ex-date."""

    symbol: str
    at: times.Nanos
    per_share: numbers.Money
    pay_at: times.Nanos = UNDATED

    def __post_init__(self) -> None:
        """Refuse an amount that is not positive, and a payment before the ex-date."""
        _text(self.symbol, "dividend.symbol")
        field = f"dividend of {self.symbol}"
        _at(self.at, field)
        _at(self.pay_at, field)
        _money(self.per_share, field)
        if self.per_share <= 0:
            raise errors.ValueRefused(field, "more than 0", numbers.money_text(self.per_share))
        if self.pay_at and self.pay_at < self.at:
            raise errors.ValueRefused(field, "paid at or after its ex-date", self.pay_at)


@dataclass(frozen=True, slots=True)
class Rename:
    """The symbol is called ``to`` from the open of ``at`` on; in a run it has that name from its first bar."""

    symbol: str
    at: times.Nanos
    to: str

    def __post_init__(self) -> None:
        """Refuse what is no name, and no instant."""
        _text(self.symbol, "rename.symbol")
        _text(self.to, f"rename of {self.symbol}")
        _at(self.at, f"rename of {self.symbol}")


@dataclass(frozen=True, slots=True)
class Delisting:
    """The symbol ends before the open of ``at``; each share becomes ``per_share`` of cash, 0 when it is worthless."""

    symbol: str
    at: times.Nanos
    per_share: numbers.Money

    def __post_init__(self) -> None:
        """Refuse an amount below 0."""
        _text(self.symbol, "delisting.symbol")
        field = f"delisting of {self.symbol}"
        _at(self.at, field)
        _money(self.per_share, field)
        if self.per_share < 0:
            raise errors.ValueRefused(field, "0 or more", numbers.money_text(self.per_share))


@dataclass(frozen=True, slots=True)
class Other:
    """An action that no run can carry out, by the broker's word for it.

    A run ends at it with DataRefused where the symbol is held or ordered; else it goes on and the result flags it.
    """

    symbol: str
    at: times.Nanos
    kind: str

    def __post_init__(self) -> None:
        """Refuse the word for an action that has a class of its own, and an unknown one."""
        _text(self.symbol, "action.symbol")
        _at(self.at, f"action of {self.symbol}")
        if self.kind not in REFUSED:
            raise errors.ValueRefused(f"action of {self.symbol}", f"one of {REFUSED}", self.kind)


Action = Split | Dividend | Rename | Delisting | Other


def of(action: bars.CorporateAction) -> tuple[Action, ...]:
    """Return a dataset's row as events: the split first, then the dividend on the new share basis."""
    found: list[Action] = []
    if action.split != (1, 1):
        found.append(Split(action.symbol, action.ex_start, *action.split))
    if action.dividend:
        found.append(Dividend(action.symbol, action.ex_start, action.dividend))
    return tuple(found)
