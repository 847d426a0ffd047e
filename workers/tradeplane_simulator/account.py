"""An account's cash and positions, exactly: every fill, fee and split gives a new value.

Cash changes by the notional of a fill and by fees, nothing else. A position carries its cost, so that the average
entry price never has to be rounded to be kept.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tradeplane_engine.domain import numbers, times
from tradeplane_engine.venue import margin
from tradeplane_simulator import book


@dataclass(frozen=True, slots=True)
class Position:
    """A holding; ``quantity`` and ``cost`` are negative for a short."""

    symbol: str
    quantity: numbers.Quantity
    cost: numbers.Money


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the account's user may set, in Alpaca's words."""

    fractional_trading: bool = True
    max_margin_multiplier: str = "2"
    no_shorting: bool = False
    suspend_trade: bool = False
    trade_confirm_email: str = "all"
    ptp_no_exception_entry: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """State of one account between two events.

    last_equity : equity at the last close
    settled_at : the last close whose fees are booked
    unsettled : executions since then, which the next close charges
    """

    name: str
    id: str
    created_at: times.Nanos
    cash: numbers.Money
    last_equity: numbers.Money
    settled_at: times.Nanos
    positions: Mapping[str, Position] = field(default_factory=dict)
    unsettled: tuple[book.Execution, ...] = ()
    configuration: Configuration = Configuration()

    def held(self, symbol: str) -> numbers.Quantity:
        """Return the signed holding of a symbol."""
        position = self.positions.get(symbol)
        return position.quantity if position else numbers.Quantity(0)


@dataclass(frozen=True, slots=True)
class Valuation:
    """What an account is worth at given prices; ``short_value`` is negative."""

    cash: numbers.Money
    long_value: numbers.Money
    short_value: numbers.Money

    @property
    def equity(self) -> numbers.Money:
        """Cash plus positions."""
        return numbers.Money(self.cash + self.long_value + self.short_value)

    @property
    def gross(self) -> numbers.Money:
        """Value of all positions without their signs."""
        return numbers.Money(self.long_value - self.short_value)


def value(account: Account, prices: Mapping[str, numbers.Price]) -> Valuation:
    """Value an account; every held symbol must have a price."""
    values = [numbers.notional(prices[position.symbol], position.quantity) for position in account.positions.values()]
    return Valuation(
        cash=account.cash,
        long_value=numbers.Money(sum(amount for amount in values if amount > 0)),
        short_value=numbers.Money(sum(amount for amount in values if amount < 0)),
    )


def standing(account: Account, prices: Mapping[str, numbers.Price]) -> margin.Standing:
    """Return what an account is worth, and the margin that its positions require."""
    held = account.positions.values()
    return margin.standing(account.cash, (margin.Holding(one.symbol, one.quantity, prices[one.symbol]) for one in held))


def factor(account: Account, equity: int, *, is_open: bool) -> int:
    """Return by how much an account may multiply its equity now."""
    return margin.multiplier(int(account.configuration.max_margin_multiplier), equity, intraday=is_open)


def fill(account: Account, execution: book.Execution) -> Account:
    """Book one execution."""
    signed = numbers.Quantity(execution.side.sign * execution.quantity)
    paid = numbers.notional(execution.price, signed)
    return dataclasses.replace(
        account,
        cash=numbers.Money(numbers.checked(account.cash - paid, "cash")),
        positions=_with(account.positions, _moved(account.positions.get(execution.symbol), execution, signed=signed)),
        unsettled=(*account.unsettled, execution),
    )


def charge(account: Account, fees: Iterable[numbers.Money]) -> Account:
    """Take fees from the cash."""
    return dataclasses.replace(account, cash=numbers.Money(numbers.checked(account.cash - sum(fees), "cash")))


def split(account: Account, symbol: str, *, ratio: tuple[int, int]) -> Account:
    """Turn each old share into ``ratio`` new ones; the cost stays. Less than 1e-9 of a share is dropped."""
    position = account.positions.get(symbol)
    if position is None:
        return account
    changed = dataclasses.replace(position, quantity=scaled(position.quantity, ratio))
    return dataclasses.replace(account, positions=_with(account.positions, changed))


def scaled(quantity: numbers.Quantity, ratio: tuple[int, int]) -> numbers.Quantity:
    """Return a quantity after a split, rounded toward zero at 1e-9 of a share."""
    new, old = ratio
    amount = abs(quantity) * new // old
    return numbers.Quantity(numbers.checked(amount if quantity >= 0 else -amount, "quantity"))


def _moved(position: Position | None, execution: book.Execution, *, signed: numbers.Quantity) -> Position:
    held = position or Position(execution.symbol, numbers.Quantity(0), numbers.Money(0))
    after = numbers.Quantity(numbers.checked(held.quantity + signed, "quantity"))
    if held.quantity * signed >= 0:
        cost = held.cost + numbers.notional(execution.price, signed)
    elif after * held.quantity >= 0:
        # A reduction keeps the average entry price: the cost shrinks with the quantity.
        cost = numbers.divide_half_even(held.cost * abs(after), abs(held.quantity))
    else:
        cost = numbers.notional(execution.price, after)
    return Position(held.symbol, after, numbers.Money(numbers.checked(cost, "cost")))


def _with(positions: Mapping[str, Position], changed: Position) -> dict[str, Position]:
    others = {symbol: position for symbol, position in positions.items() if symbol != changed.symbol}
    if changed.quantity:
        others[changed.symbol] = changed
    return dict(sorted(others.items()))
