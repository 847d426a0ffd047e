"""Risk: what may leave. A chain of limits on projected positions, and the books that they judge.

The first limit that is violated wins, and says so with a stable reason.

Positions are judged in their worst case: every working order at full size, buys and sells each counted, exposures
rounded up to the next 1e-9 USD. An order that can only bring a position nearer to zero passes the limits on size of
positions, portfolio and losses: to reduce must always be possible.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tradeplane_engine.core import exact
from tradeplane_engine.core.ledger import Ledger
from tradeplane_engine.core.limits import Breach, Limits, ratio_text
from tradeplane_engine.domain import numbers, times

NEVER = 9223372036854775807  # a limit that nothing reaches
_MOST = 9223372036854775807  # as in exact
_WHOLE_BPS = 10_000
UNKNOWN = -9223372036854775807  # an equity that nobody knows, of which no fraction is anything

ENABLED, REDUCE_ONLY, FLATTEN, HALTED = 0, 1, 2, 3
_ENABLED, _REDUCE_ONLY = ENABLED, REDUCE_ONLY  # C variables in compiled code
STATES = ("enabled", "reduce-only", "flatten", "halted")

# The words of every refusal, in the order of the chain. They are counted in metrics and reports and never change.
REASONS = (
    *("halted", "flatten", "reduce-only", "no-price", "stale-bar", "order-quantity", "order-notional"),
    *("price-collar", "open-orders", "restricted", "day-orders", "day-notional"),
    *("short-not-allowed", "position-weight", "position-notional", "portfolio-gross", "portfolio-net"),
    *("portfolio-positions", "portfolio-concentration", "daily-loss", "drawdown", "consecutive-losses"),
)


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken limit: a stable reason, its family, what was allowed and what the order would have led to."""

    reason: str
    family: str
    limit: str
    value: str


class Book:
    """Positions and working orders of one scope (a strategy's sub-ledger, or the account), and what they are worth.

    Parameters
    ----------
    symbols : their names by id, for what a refusal says
    open_orders : that are open already

    Attributes
    ----------
    buying, selling : unfilled quantity of the working orders per symbol, 1e-9 shares
    gross, highest_total, lowest_total : worst-case exposure, and net exposure if all buys or all sells fill; money
    peak, session_equity : highest equity so far and equity at the session's open (:mod:`.session_opens`), money
    losses : closed trades in a row that lost
    day_orders, day_notional : what left since the session opened; a count, and money
    unpriced : a symbol with a position or working order that had no price at the last measure; -1 for none
    state : the strictest of the causes that act on this scope
    valued : whether the ledger's equity is known
    """

    __slots__ = (
        *("_active", "_actives", "_buying", "_exposure", "_high", "_is_active", "_low", "_selling"),
        *("buying", "day_notional", "day_orders", "gross", "highest_total", "ledger"),
        *("losses", "lowest_total", "measured", "open_orders", "peak", "positions", "selling", "session_equity"),
        *("state", "symbols", "unpriced", "valued"),
    )

    def __init__(self, ledger: Ledger, symbols: Sequence[str] = (), open_orders: int = 0) -> None:
        self.ledger = ledger
        self.symbols = symbols
        zeros = bytes(8 * len(ledger.quantities))
        self.buying = array("q", zeros)
        self.selling = array("q", zeros)
        self._buying = self.buying
        self._selling = self.selling
        self._exposure = array("q", zeros)
        self._high = array("q", zeros)
        self._low = array("q", zeros)
        # Symbols that may have a position or a working order: the first ``_actives`` ids of ``_active``.
        self._active = array("q", zeros)
        self._is_active = array("q", zeros)
        self._actives = 0
        self.gross = 0
        self.highest_total = 0
        self.lowest_total = 0
        self.positions = 0
        self.measured = -1
        self.unpriced = -1
        self.open_orders = open_orders
        self.losses = 0
        self.day_orders = 0
        self.day_notional = 0
        self.state = ENABLED
        self.valued = True
        self.peak = ledger.starting
        self.session_equity = ledger.starting

    def equity(self) -> int:
        """The ledger's equity, or UNKNOWN."""
        return self.ledger.equity() if self.valued else UNKNOWN

    def name(self, symbol: int) -> str:
        """Name of a symbol."""
        return self.symbols[symbol] if self.symbols else f"symbol {symbol}"

    def highest(self, symbol: int) -> int:
        """Position if every working buy and no working sell fills."""
        return exact.add(self.ledger.quantity[symbol], self._buying[symbol], "position")

    def lowest(self, symbol: int) -> int:
        """Position if every working sell and no working buy fills."""
        return exact.add(self.ledger.quantity[symbol], -self._selling[symbol], "position")

    def working(self, symbol: int, side: int, change: int) -> None:
        """Change the unfilled quantity of one side's working orders."""
        total = self._buying[symbol] if side > 0 else self._selling[symbol]
        total += change
        if total > _MOST or total < -_MOST:
            exact.fit(total, "working")
        if side > 0:
            self._buying[symbol] = total
        else:
            self._selling[symbol] = total
        if not self._is_active[symbol]:
            self._is_active[symbol] = 1
            self._active[self._actives] = symbol
            self._actives += 1
        self.measured = -1

    def adopt(self, symbol: int, side: int, quantity: int, price: int) -> None:
        """Add a working order to a measured book, whose other symbols stay as they are."""
        instant = self.measured
        self.working(symbol, side, quantity)
        self.open_orders += 1
        if instant >= 0:
            self._revalue(symbol, price)
            self.measured = instant

    def released(self) -> None:
        """Count an order that is no longer open."""
        self.open_orders -= 1

    def measure(self, instant: int, price: Sequence[int]) -> None:
        """Value every position and working order at the last prices, once per instant and change."""
        if self.measured == instant:
            return
        self.positions = 0
        self.unpriced = -1
        gross, highest, lowest = 0, 0, 0  # sums of 64-bit numbers in 128 bits: fitted once, at the end
        kept = 0
        for place in range(self._actives):
            symbol = self._active[place]
            self._exposure[symbol] = 0
            self._value(symbol, price[symbol])
            gross += self._exposure[symbol]
            highest += self._high[symbol]
            lowest += self._low[symbol]
            if self._exposure[symbol] == 0 and price[symbol] > 0:
                self._is_active[symbol] = 0
            else:
                self._active[kept] = symbol
                kept += 1
        self._actives = kept
        self._total(gross, highest, lowest)
        self.measured = instant

    def _revalue(self, symbol: int, price: int) -> None:
        """Value one symbol of a measured book anew."""
        gross, highest, lowest = self.gross, self.highest_total, self.lowest_total
        gross -= self._exposure[symbol]
        highest -= self._high[symbol]
        lowest -= self._low[symbol]
        self._value(symbol, price)
        gross += self._exposure[symbol]
        highest += self._high[symbol]
        lowest += self._low[symbol]
        self._total(gross, highest, lowest)

    def _total(self, gross: int, highest: int, lowest: int) -> None:
        """Take sums over all symbols; both nets lie within the gross."""
        if gross > _MOST:
            exact.fit(gross, "gross")
        self.gross = gross
        self.highest_total = highest
        self.lowest_total = lowest

    def _value(self, symbol: int, price: int) -> None:
        """Value what a symbol's position may come to: worst case, all buys filled, all sells filled."""
        ledger = self.ledger
        if ledger.step[symbol] and not self._buying[symbol] and not self._selling[symbol]:
            product = price
            product *= ledger.step[symbol]
            if product > _MOST or product < -_MOST:
                exact.fit(product, "notional")
            high = low = product
            exposure = high if high > 0 else -high
            worst = 1  # whatever it is, it is not 0
        else:
            lowest = highest = ledger.quantity[symbol]
            highest += self._buying[symbol]
            lowest -= self._selling[symbol]
            worst = max(-lowest, highest)  # the highest is not below the lowest
            if worst > _MOST:
                exact.fit(worst, "position")
            unit = ledger.unit[symbol]
            exposure = exact.ceil_ratio(worst, price, unit, "exposure")
            high = exact.notional(price, highest, unit)
            low = exact.notional(price, lowest, unit)
        if price <= 0 and worst != 0 and self.unpriced < 0:
            self.unpriced = symbol
        self.positions += (worst != 0) - (self._exposure[symbol] != 0)
        self._exposure[symbol] = exposure
        self._high[symbol] = high
        self._low[symbol] = low

    def exposure(self, symbol: int) -> int:
        """Worst-case exposure of a symbol at the last measure, money."""
        return self._exposure[symbol]

    def squares(self, symbol: int, exposure: int) -> float:
        """Sum of the squared exposures with one symbol at another exposure, as a float of money squared."""
        total = float(exposure) * float(exposure)
        for place in range(self._actives):
            other = self._active[place]
            if other != symbol:
                one = float(self._exposure[other])
                total += one * one
        return total

    def exact_squares(self, symbol: int, exposure: int) -> int:
        """The same sum as an unbounded integer."""
        total = exposure * exposure
        for place in range(self._actives):
            other = self._active[place]
            if other != symbol:
                one = self.exposure(other)
                total = total + one * one
        return total

    def observe(self) -> int:
        """Note a new peak of equity, and return the equity."""
        ledger = self.ledger
        equity = ledger.cash
        equity += ledger.worth_total  # not equity(), for speed
        if equity > _MOST or equity < -_MOST:
            exact.fit(equity, "equity")
        if equity > self.peak:
            self.peak = equity
        return equity

    def open_session(self) -> None:
        """Take the equity that the session's losses are measured from."""
        self.session_equity = self.ledger.equity()

    def measure_from(self, session_equity: int, peak: int, losses: int) -> None:
        """Measure losses from what somebody else has seen."""
        self.session_equity = session_equity
        self.peak = peak
        self.losses = losses

    def spend(self, orders: int, notional: int) -> None:
        """Count what leaves: orders, and what they are worth. More than 64 bits of money is as much as any limit."""
        self.day_orders += orders
        total = self.day_notional
        total += notional
        self.day_notional = min(total, _MOST)

    def begin_day(self) -> None:
        """Count what leaves from nothing."""
        self.day_orders = 0
        self.day_notional = 0

    def fund(self, amount: int) -> None:
        """Book other capital in the ledger: what is given or taken is neither won nor lost."""
        self.ledger.book(amount, "capital")
        self.session_equity = exact.add(self.session_equity, amount, "capital")
        self.peak = exact.add(self.peak, amount, "capital")

    def closed(self, realised: int) -> None:
        """Count a trade that was closed, for the limit on losses in a row."""
        if realised < 0:
            self.losses += 1
        elif realised > 0:
            self.losses = 0


class Policy:
    """A policy's limits as plain integers; a limit that is left out is one that nothing reaches.

    ``watches`` says whether marks alone may open a halt, ``measures`` whether a limit of the portfolio looks at all
    positions.
    """

    __slots__ = (
        *(
            "allow_short",
            "collar",
            "concentration",
            "concentration_whole",
            "daily_loss",
            "daily_loss_whole",
            "drawdown",
        ),
        *("drawdown_whole", "gross", "gross_whole", "limits", "max_bar_age", "max_losses", "max_notional"),
        *("max_day_notional", "max_day_orders", "max_open_orders", "max_position_notional", "max_positions"),
        *("max_quantity", "measures", "name", "net", "net_whole", "restricted", "rough_concentration", "watches"),
        *("weight", "weight_whole"),
    )

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self.max_quantity = _most(limits.max_quantity)
        self.max_notional = _most(limits.max_notional)
        self.max_open_orders = _most(limits.max_open_orders)
        self.max_day_notional = _most(limits.max_notional_per_day)
        self.max_day_orders = _most(limits.max_orders_per_day)
        self.collar = -1 if limits.collar_bps is None else limits.collar_bps
        self.restricted = None if limits.restricted is None else frozenset(limits.restricted)
        self.max_position_notional = _most(limits.max_position_notional)
        self.max_positions = _most(limits.max_positions)
        self.max_losses = _most(limits.max_consecutive_losses)
        self.max_bar_age = _most(limits.max_bar_age)
        self.allow_short = limits.allow_short
        self.weight, self.weight_whole = _fraction(limits.max_weight)
        self.gross, self.gross_whole = _fraction(limits.max_gross)
        self.net, self.net_whole = _fraction(limits.max_net)
        self.concentration, self.concentration_whole = _fraction(limits.max_concentration)
        self.rough_concentration = self.concentration / self.concentration_whole * (1 - 1e-9)
        self.daily_loss, self.daily_loss_whole = _fraction(limits.max_daily_loss)
        self.drawdown, self.drawdown_whole = _fraction(limits.max_drawdown)
        self.measures = min(self.max_positions, self.gross, self.net, self.concentration) != NEVER
        self.watches = self.on_breach("loss") not in {Breach.REJECT, Breach.CLIP}

    def on_breach(self, family: str) -> Breach:
        """What a breach of a family leads to."""
        found: Breach = self.limits.on_breach.get(family, Breach.REJECT)
        return found


class Scope:
    """A policy and the book that it judges: ``strategy`` or ``account``."""

    __slots__ = ("book", "name", "policy")

    def __init__(self, name: str, policy: Policy, book: Book) -> None:
        self.name = name
        self.policy = policy
        self.book = book


class Proposal:
    """One order against one scope: what is, and what it would lead to in the worst case.

    Parameters
    ----------
    prices : last close per symbol, 0 where none is known; they are read as they are when an order is weighed

    Attributes
    ----------
    price, value : the symbol's last close, and what the order is worth at it
    """

    __slots__ = (
        *("bar_end", "book", "equity", "exposure_after", "limit", "lowest_after", "now"),
        *("is_new", "orders", "policy", "price", "prices", "quantity", "reduces", "side", "stop", "symbol", "value"),
        *("worst_after",),
    )

    book: Book
    policy: Policy

    def __init__(self, prices: Sequence[int]) -> None:
        self.prices = prices

    def weigh(
        self,
        scope: Scope,
        symbol: int,
        side: int,
        quantity: int,
        bar_end: int,
        now: int,
        orders: int,
        limit: int = 0,
        stop: int = 0,
        is_new: bool = True,  # noqa: FBT001, FBT002 - C's arguments have no names
    ) -> "Violation | None":
        """Ask the chain about an order of ``quantity`` (1e-9 shares) on one side (1 buy, -1 sell).

        ``orders`` is how many will be open for it: one, and its exits. ``limit`` and ``stop`` are its prices, 0 for
        none; one that takes another's place is not ``is_new``.
        """
        book = scope.book
        price = self.prices[symbol]
        self.book = book
        self.policy = scope.policy
        self.symbol = symbol
        self.side = side
        self.quantity = quantity
        self.price = price
        self.bar_end = bar_end
        self.now = now
        self.orders = orders
        self.limit = limit
        self.stop = stop
        self.is_new = is_new
        highest = book.ledger.quantity[symbol]
        lowest = highest
        highest += book._buying[symbol]
        lowest -= book._selling[symbol]
        if side > 0:
            highest += quantity
        else:
            lowest -= quantity
        worst = max(-lowest, highest)
        if worst > _MOST:
            exact.fit(worst, "position")
        self.worst_after = worst
        self.lowest_after = lowest
        self.reduces = highest <= 0 if side > 0 else lowest >= 0
        unit = book.ledger.unit[symbol]
        self.value = exact.ceil_ratio(quantity, price, unit, "notional")
        self.exposure_after = exact.ceil_ratio(self.worst_after, price, unit, "exposure")
        self.equity = book.equity()
        return first_violation(self)


def first_violation(p: Proposal) -> Violation | None:
    """The chain, by family: the first limit that is violated wins. What only reduces passes the last three."""
    found = _of_data(p)
    if found is None:
        found = _of_order(p)
    if found is not None or p.reduces:
        return found
    found = _of_position(p)
    if found is None and p.policy.measures:
        found = _of_portfolio(p)
    return _of_losses(p.book, p.policy, p.equity) if found is None else found


def _of_data(p: Proposal) -> Violation | None:
    """What must be known and open for any order to leave."""
    state = p.book.state
    if state != _ENABLED and not (state == _REDUCE_ONLY and p.reduces):  # reduce-only lets leave what reduces
        return Violation(STATES[state], "state", STATES[ENABLED], STATES[state])
    if p.price <= 0:
        return Violation("no-price", "data", "a known bar", f"none of {p.book.name(p.symbol)}")
    age = p.now - p.bar_end
    if age < 0 or age > p.policy.max_bar_age:  # a decision rests on no bar from after it
        return Violation("stale-bar", "data", _span(p.policy.max_bar_age), _span(age))
    return None


def _of_order(p: Proposal) -> Violation | None:
    """The limits on an order by itself, and on what is open and leaves with it; what reduces a position may leave."""
    policy = p.policy
    if p.quantity <= 0 or p.quantity > policy.max_quantity:
        limit = _shares(policy.max_quantity) if p.quantity > 0 else "more than 0"
        return Violation("order-quantity", "order", limit, _shares(p.quantity))
    if p.value > policy.max_notional:
        return Violation("order-notional", "order", _usd(policy.max_notional), _usd(p.value))
    found = None
    if p.limit != 0 and policy.collar >= 0:
        found = _of_price(p)
    if found is None:
        found = _of_counts(p)
    if found is None and p.side < 0 and p.lowest_after < 0 and not policy.allow_short:  # whichever working orders fill
        found = Violation("short-not-allowed", "position", "0", _shares(p.lowest_after))
    return found


def _of_counts(p: Proposal) -> Violation | None:
    """The limits on how many are open, an order and its exits too, and on what left since the session opened."""
    book, policy = p.book, p.policy
    if book.open_orders + p.orders > policy.max_open_orders:
        return Violation("open-orders", "order", str(policy.max_open_orders), str(book.open_orders + p.orders))
    if p.reduces or not p.is_new:
        return None
    if policy.restricted is not None and book.name(p.symbol) in policy.restricted:
        return Violation("restricted", "order", "what makes the position smaller", book.name(p.symbol))
    if book.day_orders + p.orders > policy.max_day_orders:
        return Violation("day-orders", "order", str(policy.max_day_orders), str(book.day_orders + p.orders))
    worth = book.day_notional
    worth += p.value
    if policy.max_day_notional != NEVER and worth > policy.max_day_notional:
        return Violation("day-notional", "order", _usd(policy.max_day_notional), _usd(min(worth, _MOST)))
    return None


def _of_price(p: Proposal) -> Violation | None:
    """The limit on how much worse than the last close, or than its own stop, an order may let itself be filled."""
    reference = p.stop if p.stop != 0 else p.price
    part, whole = p.limit, reference
    part *= _WHOLE_BPS
    whole *= _WHOLE_BPS + p.side * p.policy.collar
    if (part - whole) * p.side <= 0:
        return None
    worse = ratio_text(Fraction(p.side * (p.limit - reference), reference))
    return Violation("price-collar", "order", ratio_text(Fraction(p.policy.collar, _WHOLE_BPS)), worse)


def _of_position(p: Proposal) -> Violation | None:
    """The limits on the symbol's position in its worst case."""
    policy, after = p.policy, p.exposure_after
    if not _within(after, policy.weight, policy.weight_whole, p.equity):
        return _share("position-weight", "position", after, policy.weight, policy.weight_whole, p.equity)
    if after > policy.max_position_notional:
        return Violation("position-notional", "position", _usd(policy.max_position_notional), _usd(after))
    return None


def _of_portfolio(p: Proposal) -> Violation | None:
    """The limits on all positions together, each in its worst case."""
    book, policy = p.book, p.policy
    book.measure(p.now, p.prices)
    before = book.exposure(p.symbol)
    found = _of_gross(p, before)
    if found is None:
        found = _of_net(p)
    if found is None:
        count = book.positions + (before == 0)
        if count > policy.max_positions:
            found = Violation("portfolio-positions", "portfolio", str(policy.max_positions), str(count))
    return _of_concentration(p) if found is None else found


def _of_gross(p: Proposal, before: int) -> Violation | None:
    """Longs and shorts are worth at most a share of equity; ``before`` is the symbol's part without the order."""
    part, whole = p.policy.gross, p.policy.gross_whole
    if part == NEVER:
        return None
    if p.book.unpriced >= 0:
        return _unpriced("portfolio-gross", p.book, part, whole)
    gross = exact.add(p.book.gross, p.exposure_after - before, "gross")
    if _within(gross, part, whole, p.equity):
        return None
    return _share("portfolio-gross", "portfolio", gross, part, whole, p.equity)


def _of_net(p: Proposal) -> Violation | None:
    """Longs less shorts, if this side's working orders all fill, are worth at most a share of equity."""
    part, whole = p.policy.net, p.policy.net_whole
    if part == NEVER:
        return None
    if p.book.unpriced >= 0:
        return _unpriced("portfolio-net", p.book, part, whole)
    if p.side > 0:
        net = abs(exact.add(p.book.highest_total, p.value, "net"))
    else:
        net = abs(exact.add(p.book.lowest_total, -p.value, "net"))
    if _within(net, part, whole, p.equity):
        return None
    return _share("portfolio-net", "portfolio", net, part, whole, p.equity)


def _of_concentration(p: Proposal) -> Violation | None:
    """The squared weights add up to at most a limit: a float decides far from it, integers close to it and beyond."""
    policy = p.policy
    if policy.concentration == NEVER:
        return None
    if p.book.unpriced >= 0:
        return _unpriced("portfolio-concentration", p.book, policy.concentration, policy.concentration_whole)
    equity = float(p.equity)
    if equity > 0 and p.book.squares(p.symbol, p.exposure_after) < policy.rough_concentration * equity * equity:
        return None
    return _concentration(p, p.equity, p.exposure_after)


def _concentration(p: Proposal, equity: int, exposure: int) -> Violation | None:
    squares = p.book.exact_squares(p.symbol, exposure)
    limit = Fraction(p.policy.concentration, p.policy.concentration_whole)
    if equity > 0 and squares <= limit * equity * equity:
        return None
    value = ratio_text(Fraction(squares, equity * equity)) if equity > 0 else _without(equity)
    return Violation("portfolio-concentration", "portfolio", ratio_text(limit), value)


def loss_violation(scope: Scope) -> Violation | None:
    """Return the loss limit that the scope's equity exceeds now, or None."""
    return _of_losses(scope.book, scope.policy, scope.book.equity())


def _of_losses(book: Book, policy: Policy, equity: int) -> Violation | None:
    """The limits on what was lost: since the session's open, from the peak, in trades in a row."""
    found = None
    if policy.daily_loss != NEVER:
        found = _lost("daily-loss", book.session_equity, equity, policy.daily_loss, policy.daily_loss_whole)
    if found is None and policy.drawdown != NEVER:
        found = _lost("drawdown", book.peak, equity, policy.drawdown, policy.drawdown_whole)
    if found is None and book.losses >= policy.max_losses:
        found = Violation("consecutive-losses", "loss", str(policy.max_losses), str(book.losses))
    return found


def _lost(reason: str, start: int, equity: int, part: int, whole: int) -> Violation | None:
    if equity == UNKNOWN:
        return Violation(reason, "loss", ratio_text(Fraction(part, whole)), _without(equity))
    lost = exact.add(start, -equity, "loss")
    if lost <= 0 or _within(lost, part, whole, start):
        return None
    value = ratio_text(Fraction(lost, start)) if start > 0 else _without(start)
    return Violation(reason, "loss", ratio_text(Fraction(part, whole)), value)


def _within(amount: int, part: int, whole: int, of: int) -> bool:
    """Say whether an amount is at most a fraction of another; no fraction of nothing is anything."""
    if part == NEVER:
        return True
    left, right = amount, part
    left *= whole
    right *= of
    return of > 0 and left <= right


def _share(reason: str, family: str, exposure: int, part: int, whole: int, equity: int) -> Violation:
    value = ratio_text(Fraction(exposure, equity)) if equity > 0 else _without(equity)
    return Violation(reason, family, ratio_text(Fraction(part, whole)), value)


def _unpriced(reason: str, book: Book, part: int, whole: int) -> Violation:
    """What has no price has no known value, and unknown means no."""
    return Violation(reason, "portfolio", ratio_text(Fraction(part, whole)), f"no price of {book.name(book.unpriced)}")


def _most(limit: int | None) -> int:
    return NEVER if limit is None else limit


def _fraction(limit: Fraction | None) -> tuple[int, int]:
    return (NEVER, 1) if limit is None else (limit.numerator, limit.denominator)


def _without(equity: int) -> str:
    return "unknown equity" if equity == UNKNOWN else f"equity {_usd(equity)}"


def _usd(amount: int) -> str:
    return numbers.money_text(numbers.Money(amount))


def _shares(quantity: int) -> str:
    return numbers.quantity_text(numbers.Quantity(quantity))


def _span(age: int) -> str:
    return "any" if age == NEVER else times.duration_text(age)
