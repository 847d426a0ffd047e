"""What a strategy sees and asks for: its context, and the indicators that it declared.

A context is the only way from a strategy into the engine; in a backtest and in live it is the same object. It shows no
bar that was not known, and keeps what is asked for until the strategy's turn ends: then all of it is one decision.
"""

from array import array
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors, indicators
from tradeplane_engine.core import agenda, exact
from tradeplane_engine.core import order as orders
from tradeplane_engine.core.order import Order
from tradeplane_engine.core.risk import Book
from tradeplane_engine.core.table import Bar, Table

_SHARE = 1_000_000_000
_MOST = 9_000_000_000  # shares; more would leave 64 bits


class Indicator:
    """A declared indicator, read at the bar that the strategy is being shown.

    Comparisons of indicators with each other, and with a price in the symbol's integer units, are exact where the
    indicators are: ``fast > slow`` multiplies integers across instead of dividing.

    Attributes
    ----------
    numerator, denominator : of an exact indicator, whose value is their quotient in price units
    value : the value as a float, prices in USD
    """

    __slots__ = ("context", "denominator", "exact_values", "float_values", "is_exact", "spec", "values")

    def __init__(self, context: "Context", spec: indicators.Spec, values: npt.NDArray[Any]) -> None:
        self.context = context
        self.spec = spec
        self.values = values
        self.denominator = spec.denominator
        self.is_exact = spec.exact
        if self.is_exact:
            self.exact_values = values.data
        else:
            self.float_values = values.data

    @property
    def numerator(self) -> int:
        """Numerator of an exact indicator."""
        if not self.is_exact:
            raise errors.ValueRefused("indicator.numerator", "asked of an exact indicator", str(self.spec))
        return self.exact_values[self.context.row]

    @property
    def value(self) -> float:
        """Value as a float; a price is in USD."""
        if not self.is_exact:
            return self.float_values[self.context.row]
        table = self.context.table
        unit = 1 if self.spec.fields == ("volume",) else table.unit[table.symbol_of[self.context.row]]
        return self.exact_values[self.context.row] / (self.denominator * unit)

    def __float__(self) -> float:
        return self.value

    def __lt__(self, other: object) -> bool:
        return self._compare(other) < 0

    def __le__(self, other: object) -> bool:
        return self._compare(other) <= 0

    def __gt__(self, other: object) -> bool:
        return self._compare(other) > 0

    def __ge__(self, other: object) -> bool:
        return self._compare(other) >= 0

    def _compare(self, other: object) -> int:
        row = self.context.row
        if isinstance(other, Indicator):
            second = other
            if self.is_exact and second.is_exact:
                return exact.compare_products(
                    self.exact_values[row], second.denominator, second.exact_values[row], self.denominator
                )
            mine, theirs = self.value, second.value
            return (mine > theirs) - (mine < theirs)
        if self.is_exact and isinstance(other, int):
            numerator = Fraction(self.exact_values[row], self.denominator)
            return (numerator > other) - (numerator < other)
        if isinstance(other, float | int):
            return (self.value > other) - (self.value < other)
        raise errors.ValueRefused("comparison", "with an indicator, an integer price or a float", other)


class Context:
    """One strategy's view of the run.

    Attributes
    ----------
    name : of the strategy
    now : instant of the turn, ns UTC
    """

    __slots__ = ("book", "kernel", "last_row", "ledger", "name", "now", "row", "table", "targets", "wanted")

    def __init__(self, name: str, table: Table, book: Book, kernel: Any) -> None:
        self.name = name
        self.table = table
        self.book = book
        self.ledger = book.ledger
        self.kernel = kernel
        self.now = 0
        self.row = 0
        self.targets: dict[int, int] = {}
        self.wanted: list[Order] = []
        self.last_row = array("q", [-1] * len(table.symbols))

    # What is declared in on_start.

    def indicator(self, what: Any, window: int | None = None, **parameters: Any) -> Any:
        """Declare an indicator over all symbols; only in ``on_start``. Several outputs are attributes by name.

        Parameters
        ----------
        what : name such as ``sma``, or a function over windows of shape (window, n), newest row first
        window : rows
        parameters : further ones of the indicator, such as ``field="high"``
        """
        return self.kernel.declare(self, what, window, parameters)

    def follow(self, shares: npt.NDArray[np.int64], first: npt.NDArray[np.int64]) -> None:
        """Want a target at every bar, all of them known now; only in ``on_start``, and in place of ``on_bar``.

        Only a backtest can do that. Each row is judged in its turn, as if ``on_bar`` had called ``target``.

        Parameters
        ----------
        shares : shape (rows of the table,), target in whole shares
        first : shape (symbols,), first row per symbol at which the target is wanted

        Raises
        ------
        errors.ValueRefused for another shape or type, and for targets that leave 64 bits.
        """
        for field, column, rows in (("shares", shares, self.table.rows), ("first", first, len(self.table.symbols))):
            if column.dtype != np.int64 or column.shape != (rows,) or not column.flags.c_contiguous:
                raise errors.ValueRefused(f"follow.{field}", f"int64 of shape ({rows},)", (column.dtype, column.shape))
        if len(shares) and not (int(shares.min()) > -_MOST and int(shares.max()) < _MOST):
            raise errors.ValueRefused("follow.shares", f"within {_MOST} shares", (shares.min(), shares.max()))
        self.kernel.follow(self, shares, first)

    # What was known at the instant of the turn.

    def close(self, symbol: str) -> int:
        """Last close of a symbol in its price units; raises ValueRefused where none is known yet."""
        return self.table.close[self._newest(symbol)]

    def bar(self, symbol: str) -> Bar:
        """Last bar of a symbol."""
        return Bar(self.table, self._newest(symbol))

    def history(self, symbol: str, rows: int, field: str = "close") -> npt.NDArray[np.int64]:
        """Read-only view of a symbol's last rows of one column, oldest first; fewer where history is shorter."""
        newest = self._newest(symbol)
        first = self.table.first[self.table.ids[symbol]]
        start = newest + 1 - rows
        column: npt.NDArray[np.int64] = self.table.columns[field]
        return column[max(start, first) : newest + 1]

    def position(self, symbol: str) -> int:
        """Signed quantity that the strategy holds, 1e-9 shares."""
        return self.ledger.quantity[self.symbol_id(symbol)]

    @property
    def equity(self) -> int:
        """Equity of the strategy's sub-ledger at the last closes, 1e-9 USD."""
        return self.ledger.equity()

    @property
    def cash(self) -> int:
        """Cash of the strategy's sub-ledger, 1e-9 USD."""
        return self.ledger.cash

    # What the strategy wants.

    def timer(self, at: int, name: str = "") -> None:
        """Ask for ``on_timer`` at an instant (ns UTC) after now, whether bars come then or not."""
        if at <= self.now:
            raise errors.ValueRefused("timer", f"after now ({self.now})", at)
        self.kernel.agenda.add(at, agenda.TIMER, (self.kernel.slots[self.kernel.number_of(self)], name))

    def target(
        self,
        symbol: str,
        *,
        shares: int | Decimal | None = None,
        weight: float | Fraction | None = None,
        notional: int | Decimal | None = None,
    ) -> None:
        """Want a position of so many shares, of a weight in the strategy's equity, or of a value in USD.

        Working orders count toward it, so wanting the same again orders nothing. Weight and notional give whole
        shares at the last close, rounded toward zero. A target across zero closes first; the next turn may open.
        """
        number = self.symbol_id(symbol)
        if type(shares) is int and -_MOST < shares < _MOST:
            quantity = shares
            quantity = quantity * 1_000_000_000
        else:
            quantity = self._quantity(number, shares, weight, notional)
        if number not in self.targets:
            book = self.book
            held = self.ledger.quantity[number] + book._buying[number] - book._selling[number]  # noqa: SLF001 - the book's hot columns
            if held == quantity:
                return
        self.targets[number] = quantity

    def _quantity(self, number: int, shares: Any, weight: Any, notional: Any) -> int:
        """Turn one of the three ways to say a size into a quantity; raises ValueRefused."""
        if (shares is not None) + (weight is not None) + (notional is not None) != 1:
            raise errors.ValueRefused("target", "exactly one of shares, weight, notional", (shares, weight, notional))
        if shares is not None:
            return _scaled(shares, "shares")
        newest = self.last_row[number]
        if newest < 0:
            raise errors.ValueRefused("target", "of a symbol with a known bar", self.table.symbols[number])
        if notional is not None:
            amount = _scaled(notional, "notional")
        else:
            part = Fraction(weight)
            amount = int(self.ledger.equity() * part)  # toward zero
        return exact.whole_shares(amount, self.table.close[newest], self.table.unit[number])

    def order(
        self,
        symbol: str,
        side: str,
        shares: int | Decimal,
        kind: str = "market",
        time_in_force: str = "day",
        *,
        limit: int = 0,
        stop: int = 0,
    ) -> Order:
        """Want an order; ``side`` is buy or sell, prices are in the symbol's units."""
        if side not in {"buy", "sell"}:
            raise errors.ValueRefused("side", "buy or sell", side)
        if kind not in orders.KINDS:
            raise errors.ValueRefused("kind", f"one of {orders.KINDS}", kind)
        if time_in_force not in orders.TIMES_IN_FORCE:
            raise errors.ValueRefused("time_in_force", f"one of {orders.TIMES_IN_FORCE}", time_in_force)
        found = Order(
            self.kernel.number_of(self),
            self.symbol_id(symbol),
            1 if side == "buy" else -1,
            _scaled(shares, "shares"),
            orders.KINDS.index(kind),
            orders.TIMES_IN_FORCE.index(time_in_force),
            limit,
            stop,
        )
        self.wanted.append(found)
        return found

    def cancel(self, order: Order) -> None:
        """Ask the venue to cancel an open order."""
        self.kernel.cancel(order)

    def symbol_id(self, symbol: Any) -> int:
        """Return the id of a symbol; raises ValueRefused for one that the run does not have."""
        found = self.table.ids.get(symbol)
        if found is None:
            raise errors.ValueRefused("symbol", f"one of the run's {len(self.table.symbols)}", symbol)
        return found

    def _newest(self, symbol: str) -> int:
        row = self.last_row[self.symbol_id(symbol)]
        if row < 0:
            raise errors.ValueRefused("symbol", "one with a known bar", symbol)
        return row


def _scaled(value: Any, field: str) -> int:
    """Return shares or USD in steps of 1e-9; raises ValueRefused for a float or a finer number."""
    if isinstance(value, bool | float) or not isinstance(value, int | Decimal | np.integer):
        raise errors.ValueRefused(field, "an int or a Decimal", value)
    scaled = int(value) * _SHARE if not isinstance(value, Decimal) else value.scaleb(9)
    if int(scaled) != scaled:
        raise errors.ValueRefused(field, "a decimal with at most 9 digits after the point", str(value))
    return exact.fit(int(scaled), field)
