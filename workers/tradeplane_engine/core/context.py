"""What a strategy sees and asks for: its context, and the indicators that it declared.

A context is the only way from a strategy into the engine; in a backtest and in live it is the same object. It shows no
bar that was not known, and keeps what is asked for until the strategy's turn ends: then all of it is one decision.
Table, kernel, rows and what is wanted are attributes with an underscore: interpreted, they are private by convention;
compiled, they do not exist outside the core.
"""

from array import array
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors, indicators
from tradeplane_engine.core import agenda, exact, wishes
from tradeplane_engine.core import order as orders
from tradeplane_engine.core.order import Order, at_market
from tradeplane_engine.core.risk import Book
from tradeplane_engine.core.table import COLUMNS, Bar, Table
from tradeplane_engine.domain import numbers, times
from tradeplane_engine.domain import orders as domain

_MOST = 9_000_000_000  # shares; more would leave 64 bits


class Indicator:
    """A declared indicator, read at the bar that the strategy is being shown.

    Of another timeframe than that bar's it is read at its symbol's newest bar of that timeframe.

    Comparisons of indicators with each other, and with a price in the symbol's integer units, are exact where the
    indicators are: ``fast > slow`` multiplies integers across instead of dividing.

    Attributes
    ----------
    numerator, denominator : of an exact indicator, whose value is their quotient in price units
    value : the value as a float, prices in USD
    """

    __slots__ = ("_context", "_exact_values", "_float_values", "_series", "_several", "denominator", "is_exact", "spec")

    def __init__(
        self, context: "Context", spec: indicators.Spec, values: npt.NDArray[Any], numbers: npt.NDArray[np.int64]
    ) -> None:
        self._context = context
        self._several = len(self._context._last_row) > len(numbers)
        self._series = numbers.data
        self.spec = spec
        self.denominator = spec.denominator
        self.is_exact = spec.exact
        self._read(values)

    def _read(self, values: npt.NDArray[Any]) -> None:
        """Read another column from now on."""
        if self.is_exact:
            self._exact_values = values.data
        else:
            self._float_values = values.data

    @property
    def numerator(self) -> int:
        """Numerator of an exact indicator."""
        if not self.is_exact:
            raise errors.ValueRefused("indicator.numerator", "asked of an exact indicator", str(self.spec))
        return self._exact_values[self._at()]

    @property
    def value(self) -> float:
        """Value as a float; a price is in USD."""
        row = self._at()
        if not self.is_exact:
            return self._float_values[row]
        table = self._context._table
        unit = 1 if self.spec.fields == ("volume",) else table.unit[table.symbol_of[row]]
        return self._exact_values[row] / (self.denominator * unit)

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

    def _at(self) -> int:
        """Row at which it is read."""
        context = self._context
        row = context._row
        if self._several:
            row = context._last_row[self._series[context._table.symbol_of[row]]]
        return row

    def _compare(self, other: object) -> int:
        row = self._at() if self._several else self._context._row
        if isinstance(other, Indicator):
            second = other
            if self.is_exact and second.is_exact:
                there = second._at() if self._several else row
                left = self._exact_values[row]
                left *= second.denominator
                right = second._exact_values[there]
                right *= self.denominator
                return (left > right) - (left < right)
            mine, theirs = self.value, second.value
            return (mine > theirs) - (mine < theirs)
        if self.is_exact and isinstance(other, int):
            numerator = Fraction(self._exact_values[row], self.denominator)
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

    __slots__ = (
        *("_book", "_kernel", "_last_row", "_ledger", "_row", "_table", "_targets", "_wanted"),
        *("explanations", "name", "now"),
    )

    def __init__(self, name: str, table: Table, book: Book, kernel: Any) -> None:
        self.name = name
        self._table = table
        self._book = book
        self._ledger = book.ledger
        self._kernel = kernel
        self.now = 0
        self._row = 0
        self._targets: dict[int, int] = {}
        self._wanted: list[Order] = []
        self.explanations: list[domain.Explanation] = []
        self._last_row = array("q", [-1] * len(table.timeframes))

    # What is declared in on_start.

    def indicator(self, what: Any, window: int | None = None, *, timeframe: Any = None, **parameters: Any) -> Any:
        """Declare an indicator over all symbols; only in ``on_start``. Several outputs are attributes by name.

        Parameters
        ----------
        what : name such as ``sma``, or a function over windows of shape (window, n), newest row first
        window : rows
        timeframe : of the bars that it is made of, such as ``1h``; the shortest of each symbol unless given
        parameters : further ones of the indicator, such as ``field="high"``
        """
        return self._kernel.declare(self, what, window, parameters, timeframe)

    def follow(self, targets: Callable[[Table], tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]) -> None:
        """Want a target at every bar, all of them known now; only in ``on_start``, and in place of ``on_bar``.

        Only a backtest can do that. Each row is judged in its turn, as if ``on_bar`` had called ``target``.

        Parameters
        ----------
        targets : from the table of all bars to shares, shape (rows,), the target in whole shares, and first, shape
            (symbols,), the first row per symbol at which it is wanted; it must use no bar later than the row

        Raises
        ------
        errors.ValueRefused for another shape or type, for targets that leave 64 bits, and where a symbol has several
        timeframes.
        """
        if self._table.base_rows < self._table.rows:
            raise errors.ValueRefused("follow", "used with one timeframe per symbol", self._table.labels)
        shares, first = targets(self._table)
        for field, column, rows in (("shares", shares, self._table.rows), ("first", first, len(self._table.symbols))):
            if column.dtype != np.int64 or column.shape != (rows,) or not column.flags.c_contiguous:
                raise errors.ValueRefused(f"follow.{field}", f"int64 of shape ({rows},)", (column.dtype, column.shape))
        if len(shares) and not (int(shares.min()) > -_MOST and int(shares.max()) < _MOST):
            raise errors.ValueRefused("follow.shares", f"within {_MOST} shares", (shares.min(), shares.max()))
        self._kernel.follow(self, shares, first)

    # What was known at the instant of the turn.

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the run, those without a bar so far too."""
        names: tuple[str, ...] = self._table.symbols
        return names

    def close(self, symbol: str, timeframe: Any = None) -> int:
        """Last close of a symbol in its price units; raises ValueRefused where none is known yet.

        Here and below the bars are those of a timeframe such as ``1h``, of the symbol's shortest one unless given.
        """
        return self._table.close[self._newest(symbol, timeframe)]

    def bar(self, symbol: str, timeframe: Any = None) -> Bar:
        """Last bar of a symbol."""
        return Bar(self._table, self._newest(symbol, timeframe))

    def history(self, symbol: str, rows: int, field: str = "close", timeframe: Any = None) -> npt.NDArray[np.int64]:
        """Read-only copy of a symbol's last rows of one column, oldest first; fewer where history is shorter.

        A view would lead, by its ``base``, to the rows that nobody knows yet.
        """
        if numbers.whole(rows, "an int of 0 or more", field="rows") < 0:
            raise errors.ValueRefused("rows", "an int of 0 or more", rows)
        if field not in COLUMNS:
            raise errors.ValueRefused("field", f"one of {COLUMNS}", field)
        newest = self._newest(symbol, timeframe)
        first = self._table.first[self._table.series_of[newest]]
        start = newest + 1 - rows
        column: npt.NDArray[np.int64] = self._table.columns[field]
        found = column[max(start, first) : newest + 1].copy()
        found.flags.writeable = False
        return found

    def position(self, symbol: str) -> int:
        """Signed quantity that the strategy holds, 1e-9 shares."""
        return self._ledger.quantity[self.symbol_id(symbol)]

    @property
    def equity(self) -> int:
        """Equity of the strategy's sub-ledger at the last closes, 1e-9 USD."""
        return self._ledger.equity()

    @property
    def cash(self) -> int:
        """Cash of the strategy's sub-ledger, 1e-9 USD."""
        return self._ledger.cash

    # What the strategy wants.

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
        number = self._table.ids.get(symbol, -1)
        if number < 0:
            number = self.symbol_id(symbol)  # which refuses it
        if type(shares) is int and -_MOST < shares < _MOST:
            quantity = shares
            quantity = quantity * 1_000_000_000
        else:
            quantity = self._quantity(number, shares, weight, notional)
        if number not in self._targets:
            book = self._book
            held = self._ledger.quantity[number] + book._buying[number] - book._selling[number]
            if held == quantity:
                return
        self._targets[number] = quantity

    def _quantity(self, number: int, shares: Any, weight: Any, notional: Any) -> int:
        """Turn one of the three ways to say a size into a quantity; raises ValueRefused."""
        if (shares is not None) + (weight is not None) + (notional is not None) != 1:
            raise errors.ValueRefused("target", "exactly one of shares, weight, notional", (shares, weight, notional))
        if shares is not None:
            return wishes.scaled(shares, "shares")
        price = self._price(number, "target")
        if notional is not None:
            amount = wishes.scaled(notional, "notional")
        else:
            amount = int(self._ledger.equity() * wishes.weight(weight))  # toward zero
            numbers.checked(amount, "weight")
        return exact.whole_shares(amount, price, self._table.unit[number])

    def _price(self, number: int, field: str) -> int:
        """Return a symbol's last price; raises ValueRefused where none is known."""
        newest = self._last_row[number]
        if newest < 0:
            raise errors.ValueRefused(field, "of a symbol with a known bar", self._table.symbols[number])
        return self._kernel.mark(number) or self._table.close[newest]

    def _worth(self, number: int, notional: int | Decimal) -> tuple[int, int]:
        """Return USD in money, and the quantity that it is at the last price; raises ValueRefused for none."""
        amount = wishes.scaled(notional, "notional")
        if amount <= 0:
            raise errors.ValueRefused("notional", "more than 0 USD", str(notional))
        price = self._price(number, "notional")
        quantity = exact.floor_ratio(amount, self._table.unit[number], price, "quantity")
        if quantity == 0:
            raise errors.ValueRefused("notional", f"at least 1e-9 share at {price}", str(notional))
        return amount, quantity

    # What the strategy says about its decision.

    def signal(
        self,
        symbol: str,
        strength: float,
        *,
        direction: int = 0,
        confidence: float | None = None,
        horizon: int | None = None,
        model: str = "",
        features: Sequence[float] = (),
    ) -> None:
        """Record what speaks for a position; it moves nothing. Raises ValueRefused naming a field that is none.

        Parameters
        ----------
        strength : finite, in the unit of whatever gave it
        direction : 1 long, -1 short, 0 neither
        confidence : probability that the direction is right, from 0 to 1, where one is known
        horizon : for how long it speaks, ns, where that is known
        model : digest of the artifact that gave it
        features : the row that it was computed from
        """
        self.symbol_id(symbol)
        found = domain.Signal(symbol, strength, tuple(features), direction, confidence, horizon, model)
        self._explanation().signals.append(found)

    def outcome(self, outcome: domain.Outcome, detail: str = "") -> None:
        """Record what the turn led to, and why; ``traded`` where nothing is said."""
        found = self._explanation()
        found.outcome = domain.Outcome(outcome)
        found.detail = detail

    def _explanation(self) -> domain.Explanation:
        """The one of this turn."""
        if not self.explanations or self.explanations[len(self.explanations) - 1].at != self.now:
            self.explanations.append(domain.Explanation(times.Nanos(self.now)))
        return self.explanations[len(self.explanations) - 1]

    def _take(self, number: int) -> list[Order]:
        """Return what is wanted as orders, and want nothing more; a target becomes a market order for what it lacks."""
        wanted, self._wanted = self._wanted, []
        book = self._book
        for symbol, wish in self._targets.items():
            held = self._ledger.quantity[symbol]
            change = missing(wish, held, book._buying[symbol], book._selling[symbol])
            if change > 0:
                wanted.append(at_market(number, symbol, 1, change))
            elif change < 0:
                wanted.append(at_market(number, symbol, -1, -change))
        self._targets.clear()
        return wanted

    def timer(self, at: int, name: str = "") -> None:
        """Ask for ``on_timer`` at an instant (ns UTC) after now, whether bars come then or not."""
        if numbers.whole(at, "an int of ns", field="timer") <= self.now:
            raise errors.ValueRefused("timer", f"after now ({self.now})", at)
        if not isinstance(name, str):
            raise errors.ValueRefused("timer", "named by text", name)
        self._kernel.agenda.add(at, agenda.TIMER, (self._kernel.slots[self._kernel.number_of(self)], name))

    def order(
        self,
        symbol: str,
        side: str,
        shares: int | Decimal | None = None,
        kind: str = "market",
        time_in_force: str = "day",
        *,
        notional: int | Decimal | None = None,
        limit: int = 0,
        stop: int = 0,
        trail: int = 0,
        trail_bps: int = 0,
        extended_hours: bool = False,
    ) -> Order:
        """Want an order; prices are in the symbol's units. Raises ValueRefused naming a field that does not fit.

        Parameters
        ----------
        side : buy or sell
        kind : market, limit, stop, stop_limit or trailing_stop
        time_in_force : day, gtc, opg, cls, ioc or fok
        notional : USD in the place of ``shares``, of a market order for the day. It becomes shares, in steps of 1e-9,
            at the price of its first fill, and is judged before at the last close; a sale never crosses zero
        trail, trail_bps : distance of a trailing stop from the best price, in price units or basis points
        extended_hours : whether it works before the open and after the close too; limit orders for the day or gtc do
        """
        number = self.symbol_id(symbol)
        found = wishes.single(
            self._kernel.number_of(self),
            number,
            side,
            shares,
            kind,
            time_in_force,
            limit=limit,
            stop=stop,
            trail=trail,
            trail_bps=trail_bps,
            sessions=self._kernel.has_sessions,
            auctions=not self._kernel.market.quoted,
            extended=self._kernel.has_extended_hours if extended_hours else None,
            notional=None if notional is None else self._worth(number, notional),
        )
        self._wanted.append(found)
        return found

    def bracket(
        self,
        symbol: str,
        side: str,
        shares: int | Decimal,
        *,
        take_profit: int = 0,
        stop_loss: int = 0,
        stop_limit: int = 0,
        limit: int = 0,
        stop: int = 0,
        time_in_force: str = "day",
    ) -> Order:
        """Want an entry (market, limit, stop or both) and the exits of what it opens, held until it is complete.

        ``take_profit`` is a limit, ``stop_loss`` a stop, with ``stop_limit`` a stop-limit; one of the two makes it an
        OTO. The exits are the entry's ``legs``. An entry that ends incomplete takes them with it.
        """
        if time_in_force not in {"day", "gtc"}:
            raise errors.ValueRefused("time_in_force", "day or gtc for a bracket", time_in_force)
        kind = ("market", "limit", "stop", "stop_limit")[(limit != 0) + 2 * (stop != 0)]
        entry = self.order(symbol, side, shares, kind, time_in_force, limit=limit, stop=stop)
        self._wanted.pop()  # it is wanted only if the exits are right
        prices = wishes.exits(
            entry.side, take_profit=take_profit, stop_loss=stop_loss, stop_limit=stop_limit, both=False
        )
        orders.bracket(entry, orders.exits(entry, *prices))
        self._wanted.append(entry)
        return entry

    def oco(
        self,
        symbol: str,
        side: str,
        shares: int | Decimal,
        *,
        take_profit: int,
        stop_loss: int,
        stop_limit: int = 0,
        time_in_force: str = "day",
    ) -> Order:
        """Want two exits of a position, of which one fills; returns the limit, whose leg is the stop."""
        if time_in_force not in {"day", "gtc"}:
            raise errors.ValueRefused("time_in_force", "day or gtc for an oco", time_in_force)
        limit = wishes.units(take_profit, "take_profit")
        first = self.order(symbol, side, shares, "limit", time_in_force, limit=limit)
        self._wanted.pop()
        prices = wishes.exits(-first.side, take_profit=limit, stop_loss=stop_loss, stop_limit=stop_limit, both=True)
        found = orders.pair(first, prices[1], prices[2])
        self._wanted.append(found)
        return found

    def replace(self, order: Order, *, limit: int = 0, stop: int = 0, trail: int = 0, trail_bps: int = 0) -> Order:
        """Ask for other prices: a new order takes the place of an open one, with what is open of it.

        Returns the new order; it is ``rejected`` where the old one ended before.
        """
        found = wishes.replacement(order, limit=limit, stop=stop, trail=trail, trail_bps=trail_bps)
        self._kernel.replace(order, found)
        return found

    def cancel(self, order: Order) -> None:
        """Ask the venue to cancel an open order, and with it its bracket or pair; one that has ended stays."""
        if order.id == 0:
            self._wanted = [one for one in self._wanted if one is not order and order not in one.legs]
        self._kernel.cancel(order)

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        """Return the strategy's open orders by id, of one symbol or of all; held legs are among them."""
        number = self._kernel.number_of(self)
        wanted = range(len(self._table.symbols)) if symbol is None else (self.symbol_id(symbol),)
        found: dict[int, Order] = {}
        for each in wanted:
            for order in self._kernel.market.books[each]:
                if order.strategy == number:
                    for member in (order, *orders.group(order)):
                        if not member.ended and member.id:
                            found[member.id] = member
        return [found[key] for key in sorted(found)]

    def symbol_id(self, symbol: Any) -> int:
        """Return the id of a symbol; raises ValueRefused for one that the run does not have."""
        found = self._table.ids.get(symbol)
        if found is None:
            raise errors.ValueRefused("symbol", f"one of the run's {len(self._table.symbols)}", symbol)
        return found

    def _newest(self, symbol: str, timeframe: Any) -> int:
        row = self._last_row[self._table.series_id(self.symbol_id(symbol), timeframe)]
        if row < 0:
            raise errors.ValueRefused("symbol", "one with a known bar", symbol)
        return row


def missing(target: int, held: int, buying: int, selling: int) -> int:
    """Return the signed quantity to order, so that a position comes nearer to its target and never crosses zero.

    A target on the other side closes first, and a later turn opens. Working orders (``buying`` and ``selling``,
    unsigned) count as if they will fill where that asks for less, and as if they will not where that could cross zero.
    """
    if held < 0:
        return -missing(-target, -held, selling, buying)
    if held > 0:
        change = max(target, 0) - (held + buying - selling)
        return change if change >= 0 else max(change, min(selling - held, 0))
    if buying and selling:
        return 0
    if buying:
        return max(target - buying, 0)
    return min(target + selling, 0) if selling else target
