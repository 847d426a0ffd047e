"""Risk: what may leave. A chain of small checks on projected positions, and the books that they judge.

Each check is a statement that may be violated; it returns a violation with a stable reason, or nothing, and relies on
no other check having run. A limit that is not set is one that nothing exceeds; the first violation wins.

Positions are judged in their worst case: every working order at full size, buys and sells each counted, exposures
rounded up to the next 1e-9 USD. An order that can only bring a position nearer to zero passes the limits on size of
positions, portfolio and losses: to reduce must always be possible.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tradeplane_engine.core import exact
from tradeplane_engine.core.bounds import Bounds
from tradeplane_engine.core.ledger import Ledger
from tradeplane_engine.core.limits import Breach, Limits

ENABLED, REDUCE_ONLY, FLATTEN, HALTED = 0, 1, 2, 3
STATES = ("enabled", "reduce-only", "flatten", "halted")


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken limit: a stable reason, its family, what was allowed and what the order would have led to."""

    reason: str
    family: str
    limit: str
    value: str


class Book:
    """Positions and working orders of one scope (a strategy's sub-ledger, or the account), and what they are worth.

    Attributes
    ----------
    buying, selling : unfilled quantity of the working orders per symbol, 1e-9 shares
    gross, highest_total, lowest_total : worst-case exposure, and net exposure if all buys or all sells fill; money
    peak, session_equity : highest equity so far and equity at the session's open, money
    losses : closed trades in a row that lost
    state : the strictest of the causes that act on this scope
    """

    __slots__ = (
        *("_active", "_buying", "_exposure", "_high", "_is_active", "_low", "_selling", "active", "buying", "gross"),
        *("highest_total", "ledger", "losses", "lowest_total", "measured", "open_orders", "peak", "positions"),
        *("selling", "session_equity", "state"),
    )

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        zeros = bytes(8 * len(ledger.quantities))
        self.buying = array("q", zeros)
        self.selling = array("q", zeros)
        self._buying = self.buying
        self._selling = self.selling
        self._exposure = array("q", zeros)
        self._high = array("q", zeros)
        self._low = array("q", zeros)
        self._active = array("q", zeros)  # the first ``active`` are the symbols with a position or a working order
        self._is_active = array("q", zeros)
        self.active = 0
        self.gross = 0
        self.highest_total = 0
        self.lowest_total = 0
        self.positions = 0
        self.measured = -1
        self.open_orders = 0
        self.losses = 0
        self.state = ENABLED
        self.peak = ledger.starting
        self.session_equity = ledger.starting

    def highest(self, symbol: int) -> int:
        """Position if every working buy and no working sell fills."""
        return exact.add(self.ledger.quantity[symbol], self._buying[symbol], "position")

    def lowest(self, symbol: int) -> int:
        """Position if every working sell and no working buy fills."""
        return exact.add(self.ledger.quantity[symbol], -self._selling[symbol], "position")

    def working(self, symbol: int, side: int, change: int) -> None:
        """Change the unfilled quantity of one side's working orders."""
        if side > 0:
            self._buying[symbol] = exact.add(self._buying[symbol], change, "working")
        else:
            self._selling[symbol] = exact.add(self._selling[symbol], change, "working")
        if not self._is_active[symbol]:
            self._is_active[symbol] = 1
            self._active[self.active] = symbol
            self.active += 1
        self.measured = -1

    def adopt(self, symbol: int, side: int, quantity: int, price: int) -> None:
        """Add a working order to a measured book, whose other symbols stay as they are."""
        instant = self.measured
        self.working(symbol, side, quantity)
        self.open_orders += 1
        if instant >= 0:
            self._touch(symbol, price)
            self.measured = instant

    def released(self) -> None:
        """Count an order that is no longer open."""
        self.open_orders -= 1

    def measure(self, instant: int, price: Sequence[int]) -> None:
        """Value every position and working order at the last prices, once per instant and change."""
        if self.measured == instant:
            return
        gross = 0
        highest_total = 0
        lowest_total = 0
        place = 0
        while place < self.active:
            symbol = self._active[place]
            self._value(symbol, price[symbol])
            if self._exposure[symbol] == 0:
                self.active -= 1
                self._active[place] = self._active[self.active]
                self._is_active[symbol] = 0
                continue
            place += 1
            gross = gross + self._exposure[symbol]
            highest_total = highest_total + self._high[symbol]
            lowest_total = lowest_total + self._low[symbol]
        self.gross = exact.fit(gross, "gross")
        self.highest_total = exact.fit(highest_total, "net")
        self.lowest_total = exact.fit(lowest_total, "net")
        self.positions = self.active
        self.measured = instant

    def _value(self, symbol: int, price: int) -> None:
        """Work out a symbol's worst-case exposure and its values if all buys, and all sells, fill."""
        ledger = self.ledger
        quantity = ledger.quantity[symbol]
        unit = ledger.unit[symbol]
        marked = ledger.marked[symbol] == price and quantity % unit == 0
        if marked and self._buying[symbol] == 0 and self._selling[symbol] == 0:
            worth = ledger.worth[symbol]  # the mark is exact: nothing was rounded
            self._exposure[symbol] = abs(worth)
            self._high[symbol] = worth
            self._low[symbol] = worth
            return
        highest = self.highest(symbol)
        lowest = self.lowest(symbol)
        worst = max(abs(highest), abs(lowest))
        self._exposure[symbol] = exact.ceil_ratio(worst, price, unit, "exposure")
        self._high[symbol] = exact.notional(price, highest, unit)
        self._low[symbol] = exact.notional(price, lowest, unit)

    def _touch(self, symbol: int, price: int) -> None:
        """Value one symbol of a measured book anew."""
        exposure = self._exposure[symbol]
        high = self._high[symbol]
        low = self._low[symbol]
        self._value(symbol, price)
        self.positions += (self._exposure[symbol] != 0) - (exposure != 0)
        self.gross = exact.add(self.gross, exact.add(self._exposure[symbol], -exposure, "gross"), "gross")
        self.highest_total = exact.add(self.highest_total, exact.add(self._high[symbol], -high, "net"), "net")
        self.lowest_total = exact.add(self.lowest_total, exact.add(self._low[symbol], -low, "net"), "net")

    def exposure(self, symbol: int) -> int:
        """Worst-case exposure of a symbol at the last measure, money."""
        return self._exposure[symbol]

    def observe(self) -> None:
        """Note a new peak of equity."""
        equity = self.ledger.equity()
        self.peak = max(self.peak, equity)

    def open_session(self) -> None:
        """Take the equity that the session's losses are measured from."""
        self.session_equity = self.ledger.equity()

    def closed(self, realised: int) -> None:
        """Count a trade that was closed, for the limit on losses in a row."""
        if realised < 0:
            self.losses += 1
        elif realised > 0:
            self.losses = 0


class Proposal:
    """One order against one scope: what is, and what it would lead to in the worst case.

    A scope has one and uses it for order after order. ``price`` is the symbol's last close, 0 where none is known;
    ``value`` the order's at that price.
    """

    __slots__ = (
        *("bar_end", "book", "bounds", "highest", "highest_after", "lowest", "lowest_after", "now", "price"),
        *("quantity", "reduces", "side", "symbol", "unit", "value", "worst_after", "worst_before"),
    )

    def __init__(self, book: Book, bounds: Bounds) -> None:
        self.book = book
        self.bounds = bounds

    def about(self, symbol: int, side: int, quantity: int, price: int, bar_end: int, now: int) -> None:
        """Work out what an order would lead to."""
        self.symbol = symbol
        self.side = side
        self.quantity = quantity
        self.price = price
        self.bar_end = bar_end
        self.now = now
        self.unit = self.book.ledger.unit[symbol]
        self.highest = self.book.highest(symbol)
        self.lowest = self.book.lowest(symbol)
        if side > 0:
            self.highest_after = exact.add(self.highest, quantity, "position")
            self.lowest_after = self.lowest
            self.reduces = self.highest_after <= 0
        else:
            self.highest_after = self.highest
            self.lowest_after = exact.add(self.lowest, -quantity, "position")
            self.reduces = self.lowest_after >= 0
        self.worst_before = max(abs(self.highest), abs(self.lowest))
        self.worst_after = max(abs(self.highest_after), abs(self.lowest_after))
        self.value = exact.ceil_ratio(quantity, price, self.unit, "notional")

    def exposure_after(self) -> int:
        """Worst-case exposure of the symbol with the order, money."""
        return exact.ceil_ratio(self.worst_after, self.price, self.unit, "exposure")

    def gross_after(self) -> int:
        """Worst-case exposure of all symbols with the order, money."""
        more = exact.add(self.exposure_after(), -self.book.exposure(self.symbol), "gross")
        return exact.add(self.book.gross, more, "gross")


def state_forbids(p: Proposal) -> Violation | None:
    """``enabled`` lets everything leave, ``reduce-only`` what reduces, the stricter states nothing."""
    state = p.book.state
    if state == ENABLED or (state == REDUCE_ONLY and p.reduces):
        return None
    return Violation(STATES[state], "state", STATES[ENABLED], STATES[state])


def price_is_missing(p: Proposal) -> Violation | None:
    """A bar of the symbol is known."""
    if p.price > 0:
        return None
    return Violation("no-price", "data", "a known bar", "none")


def bar_is_stale(p: Proposal) -> Violation | None:
    """The symbol's last bar is young enough, and not from after the decision."""
    age = p.now - p.bar_end
    if 0 <= age <= p.bounds.max_bar_age:
        return None
    return Violation("stale-bar", "data", f"{p.bounds.max_bar_age} ns", f"{age} ns")


def quantity_is_not_positive(p: Proposal) -> Violation | None:
    """The order is for something."""
    if p.quantity > 0:
        return None
    return Violation("order-quantity", "order", "more than 0", shares_text(p.quantity))


def quantity_exceeds_limit(p: Proposal) -> Violation | None:
    """The order is for at most ``order.maxQuantity`` shares."""
    if p.quantity <= p.bounds.max_quantity:
        return None
    return Violation("order-quantity", "order", shares_text(p.bounds.max_quantity), shares_text(p.quantity))


def notional_exceeds_limit(p: Proposal) -> Violation | None:
    """The order's value at the last close is at most ``order.maxNotional``."""
    if p.value <= p.bounds.max_notional:
        return None
    return Violation("order-notional", "order", money_text(p.bounds.max_notional), money_text(p.value))


def open_orders_exceed_limit(p: Proposal) -> Violation | None:
    """At most ``order.maxOpenOrders`` are open with this one."""
    if p.book.open_orders < p.bounds.max_open_orders:
        return None
    return Violation("open-orders", "order", str(p.bounds.max_open_orders), str(p.book.open_orders + 1))


def short_is_not_allowed(p: Proposal) -> Violation | None:
    """Unless shorts are allowed, no sell may end below zero shares, whichever working orders fill."""
    if p.side > 0 or p.lowest_after >= 0 or p.bounds.allow_short:
        return None
    return Violation("short-not-allowed", "position", "0", shares_text(p.lowest_after))


def weight_exceeds_limit(p: Proposal) -> Violation | None:
    """The worst-case position is worth at most ``position.maxWeight`` of equity."""
    return None if p.reduces else _share("position-weight", "position", p.exposure_after(), p.bounds.weight, p.bounds.weight_whole, p)


def position_exceeds_limit(p: Proposal) -> Violation | None:
    """The worst-case position is worth at most ``position.maxNotional``."""
    if p.reduces or p.exposure_after() <= p.bounds.max_position_notional:
        return None
    limit = money_text(p.bounds.max_position_notional)
    return Violation("position-notional", "position", limit, money_text(p.exposure_after()))


def gross_exceeds_limit(p: Proposal) -> Violation | None:
    """The worst-case positions together are worth at most ``portfolio.maxGross`` of equity."""
    if p.reduces or p.bounds.gross_whole == 0:
        return None
    after = p.gross_after()
    return _share("portfolio-gross", "portfolio", after, p.bounds.gross, p.bounds.gross_whole, p)


def net_exceeds_limit(p: Proposal) -> Violation | None:
    """Longs less shorts, if this side's working orders all fill, are worth at most ``portfolio.maxNet`` of equity."""
    if p.reduces or p.bounds.net_whole == 0:
        return None
    if p.side > 0:
        net = exact.add(p.book.highest_total, p.value, "net")
    else:
        net = exact.add(p.book.lowest_total, -p.value, "net")
    return _share("portfolio-net", "portfolio", abs(net), p.bounds.net, p.bounds.net_whole, p)


def positions_exceed_limit(p: Proposal) -> Violation | None:
    """At most ``portfolio.maxPositions`` symbols have a position or a working order."""
    count = p.book.positions + (p.book.exposure(p.symbol) == 0)
    if p.reduces or count <= p.bounds.max_positions:
        return None
    return Violation("portfolio-positions", "portfolio", str(p.bounds.max_positions), str(count))


def concentration_exceeds_limit(p: Proposal) -> Violation | None:
    """The squared worst-case weights add up to at most ``portfolio.maxConcentration``."""
    if p.reduces or p.bounds.concentration is None:
        return None
    # The squares add up to no more than the square of the sum: far below the limit a float decides.
    rough_gross: float = p.gross_after()
    rough_equity: float = p.book.ledger.equity()
    if rough_equity > 0 and rough_gross * rough_gross <= p.bounds.rough_concentration * rough_equity * rough_equity:
        return None
    one = p.exposure_after()  # squares leave 64 bits: an ordinary integer, see the .pxd
    squares = one * one
    for place in range(p.book.active):
        symbol = p.book._active[place]  # noqa: SLF001 - a hot column
        if symbol != p.symbol:
            one = p.book.exposure(symbol)
            squares = squares + one * one
    equity = p.book.ledger.equity()
    limit = p.bounds.concentration
    if equity > 0 and squares * limit.denominator <= limit.numerator * equity * equity:
        return None
    value = ratio_text(Fraction(squares, equity * equity)) if equity > 0 else f"equity {money_text(equity)}"
    return Violation("portfolio-concentration", "portfolio", ratio_text(limit), value)


def daily_loss_exceeds_limit(p: Proposal) -> Violation | None:
    """Equity is at most ``loss.maxDailyLoss`` below the session's opening equity."""
    return None if p.reduces else _lost("daily-loss", p.book, p.book.session_equity, p.bounds.daily_loss, p.bounds.daily_loss_whole)


def drawdown_exceeds_limit(p: Proposal) -> Violation | None:
    """Equity is at most ``loss.maxDrawdown`` below its peak."""
    return None if p.reduces else _lost("drawdown", p.book, p.book.peak, p.bounds.drawdown, p.bounds.drawdown_whole)


def losses_exceed_limit(p: Proposal) -> Violation | None:
    """Fewer than ``loss.maxConsecutiveLosses`` closed trades in a row have lost."""
    if p.reduces or p.book.losses < p.bounds.max_consecutive_losses:
        return None
    return Violation("consecutive-losses", "loss", str(p.bounds.max_consecutive_losses), str(p.book.losses))


class Policy:
    """A policy's limits, as given and as numbers; ``watches``: whether marks alone may open a halt."""

    __slots__ = ("bounds", "limits", "name", "watches")

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self.bounds = Bounds(limits)
        self.watches = self.on_breach("loss") not in {Breach.REJECT, Breach.CLIP}

    def on_breach(self, family: str) -> Breach:
        """What a breach of a family leads to."""
        found: Breach = self.limits.on_breach.get(family, Breach.REJECT)
        return found


class Scope:
    """A policy and the book that it judges: ``strategy`` or ``account``."""

    __slots__ = ("book", "name", "policy", "proposal")

    def __init__(self, name: str, policy: Policy, book: Book) -> None:
        self.name = name
        self.policy = policy
        self.book = book
        self.proposal = Proposal(book, policy.bounds)


def first_violation(
    scope: Scope, symbol: int, side: int, quantity: int, price: int, bar_end: int, now: int
) -> Violation | None:
    """Return what the first failing check says about an order in a measured scope, or None."""
    p = scope.proposal
    p.about(symbol, side, quantity, price, bar_end, now)
    return (
        state_forbids(p)
        or price_is_missing(p)
        or quantity_is_not_positive(p)
        or bar_is_stale(p)
        or quantity_exceeds_limit(p)
        or notional_exceeds_limit(p)
        or open_orders_exceed_limit(p)
        or weight_exceeds_limit(p)
        or position_exceeds_limit(p)
        or gross_exceeds_limit(p)
        or net_exceeds_limit(p)
        or positions_exceed_limit(p)
        or concentration_exceeds_limit(p)
        or daily_loss_exceeds_limit(p)
        or drawdown_exceeds_limit(p)
        or losses_exceed_limit(p)
        or short_is_not_allowed(p)
    )


def loss_violation(scope: Scope) -> Violation | None:
    """Return the loss limit that the scope's equity exceeds now, or None."""
    book, bounds = scope.book, scope.policy.bounds
    found = _lost("daily-loss", book, book.session_equity, bounds.daily_loss, bounds.daily_loss_whole)
    if found is not None:
        return found
    found = _lost("drawdown", book, book.peak, bounds.drawdown, bounds.drawdown_whole)
    if found is not None:
        return found
    if book.losses >= bounds.max_consecutive_losses:
        return Violation("consecutive-losses", "loss", str(bounds.max_consecutive_losses), str(book.losses))
    return None


def _share(reason: str, family: str, exposure: int, part: int, whole: int, p: Proposal) -> Violation | None:
    """Return a violation unless exposure is at most ``part / whole`` of equity; nothing is asked where whole is 0."""
    if whole == 0:
        return None
    equity = p.book.ledger.equity()
    if equity > 0 and exact.compare_products(exposure, whole, equity, part) <= 0:
        return None
    value = ratio_text(Fraction(exposure, equity)) if equity > 0 else f"equity {money_text(equity)}"
    return Violation(reason, family, ratio_text(Fraction(part, whole)), value)


def _lost(reason: str, book: Book, start: int, part: int, whole: int) -> Violation | None:
    """Return a violation unless equity is at most ``part / whole`` of a start below it; 0 as in ``_share``."""
    if whole == 0:
        return None
    lost = exact.add(start, -book.ledger.equity(), "loss")
    if start > 0 and exact.compare_products(lost, whole, start, part) <= 0:
        return None
    value = ratio_text(Fraction(lost, start)) if start > 0 else f"equity {money_text(start)}"
    return Violation(reason, "loss", ratio_text(Fraction(part, whole)), value)


def ratio_text(ratio: Fraction) -> str:
    """Decimal text of a ratio, cut after six digits."""
    return f"{float(ratio):.6f}".rstrip("0").rstrip(".")


def money_text(amount: int) -> str:
    """Decimal text of money in USD."""
    return _text(amount)


def shares_text(quantity: int) -> str:
    """Decimal text of a quantity in shares."""
    return _text(quantity)


def _text(value: int) -> str:
    whole, fraction = divmod(abs(value), 1_000_000_000)
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}.{fraction:09d}".rstrip("0").rstrip(".") if fraction else f"{sign}{whole}"
