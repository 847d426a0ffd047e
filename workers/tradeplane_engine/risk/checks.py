"""The chain of risk checks: each returns a violation with a stable reason, or nothing.

Checks are pure and rely on no other check having run; the first violation of the chain wins. Values are exact integers
(no rounding anywhere), judged on the worst case: every working order at full size, buys and sells each counted.
A reducing order, one that brings a position nearer to zero whatever fills, passes the weight and gross limits always.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from tradeplane_engine.domain import bars, numbers, orders, times
from tradeplane_engine.risk import books
from tradeplane_engine.risk import limits as risk_limits


class Reason(StrEnum):
    """Why an intent was refused; stable words that are counted in metrics and reports."""

    HALTED = "halted"
    UNKNOWN_SYMBOL = "unknown-symbol"
    NO_PRICE = "no-price"
    STALE_BAR = "stale-bar"
    ORDER_QUANTITY = "order-quantity"
    ORDER_NOTIONAL = "order-notional"
    SHORT_NOT_ALLOWED = "short-not-allowed"
    POSITION_WEIGHT = "position-weight"
    PORTFOLIO_GROSS = "portfolio-gross"


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken limit: what was allowed and what the intent would have led to."""

    reason: Reason
    limit: str
    value: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """One intent against one scope's limits and book, which does not contain the intent yet.

    ``gross`` is the book's, where the caller has it; it is computed where it is not given.
    """

    intent: orders.Intent
    limits: risk_limits.Limits
    book: books.Book
    state: orders.State
    now: times.Nanos
    symbols: frozenset[str] | None = None
    gross: books.Gross | None = None

    @property
    def bar(self) -> bars.Bar | None:
        """Last known bar of the intent's symbol."""
        return self.book.prices.get(self.intent.symbol)

    @property
    def reduces(self) -> bool:
        """Whether the intent can only bring the position nearer to zero."""
        if self.intent.side is orders.Side.BUY:
            return self.book.highest(self.intent.symbol) + self.intent.quantity <= 0
        return self.book.lowest(self.intent.symbol) - self.intent.quantity >= 0

    @property
    def worst_after(self) -> int:
        """Largest absolute position that any filling of the working orders and the intent can lead to."""
        return self.book.worst_with(self.intent)


Check = Callable[[Proposal], Violation | None]


def trading_is_halted(proposal: Proposal) -> Violation | None:
    """Only ``enabled`` lets anything leave; the states between act as ``halted`` until they are built."""
    if proposal.state is orders.State.ENABLED:
        return None
    return Violation(Reason.HALTED, orders.State.ENABLED, proposal.state)


def symbol_is_unknown(proposal: Proposal) -> Violation | None:
    """The symbol belongs to the strategy's universe; what left it may still be closed."""
    if proposal.symbols is None or proposal.intent.symbol in proposal.symbols or proposal.reduces:
        return None
    return Violation(Reason.UNKNOWN_SYMBOL, f"one of {sorted(proposal.symbols)}", proposal.intent.symbol)


def price_is_missing(proposal: Proposal) -> Violation | None:
    """A bar of the symbol is known."""
    if proposal.bar is not None:
        return None
    return Violation(Reason.NO_PRICE, "a known bar", f"none of {proposal.intent.symbol}")


def bar_is_stale(proposal: Proposal) -> Violation | None:
    """The symbol's last bar is young enough, and not from after the decision."""
    most = proposal.limits.max_bar_age
    if most is None or proposal.bar is None:
        return None
    age = proposal.now - proposal.bar.end
    if 0 <= age <= most:
        return None
    return Violation(Reason.STALE_BAR, times.duration_text(most), times.duration_text(age))


def quantity_exceeds_limit(proposal: Proposal) -> Violation | None:
    """The order is for something, and for at most ``order.maxQuantity`` shares."""
    quantity, most = proposal.intent.quantity, proposal.limits.max_quantity
    if quantity <= 0:
        return Violation(Reason.ORDER_QUANTITY, "more than 0", numbers.quantity_text(quantity))
    if most is None or quantity <= most:
        return None
    return Violation(Reason.ORDER_QUANTITY, numbers.quantity_text(most), numbers.quantity_text(quantity))


def notional_exceeds_limit(proposal: Proposal) -> Violation | None:
    """The order's value at the last close is at most ``order.maxNotional``."""
    most, bar = proposal.limits.max_notional, proposal.bar
    if most is None or bar is None:
        return None
    value = proposal.intent.quantity * bar.close
    if value <= most * books.EXPOSURE_PER_MONEY:
        return None
    return Violation(Reason.ORDER_NOTIONAL, numbers.money_text(most), _usd(value))


def short_is_not_allowed(proposal: Proposal) -> Violation | None:
    """No sell may end below zero shares, whichever working orders fill."""
    if proposal.limits.allow_short or proposal.intent.side is orders.Side.BUY:
        return None
    lowest = proposal.book.lowest(proposal.intent.symbol) - proposal.intent.quantity
    if lowest >= 0:
        return None
    return Violation(Reason.SHORT_NOT_ALLOWED, "0", numbers.quantity_text(numbers.Quantity(lowest)))


def weight_exceeds_limit(proposal: Proposal) -> Violation | None:
    """The worst-case position is worth at most ``position.maxWeight`` of equity."""
    most, bar = proposal.limits.max_weight, proposal.bar
    if most is None or bar is None or proposal.reduces:
        return None
    return _share_of_equity(Reason.POSITION_WEIGHT, most, proposal.worst_after * bar.close, proposal.book.equity)


def gross_exceeds_limit(proposal: Proposal) -> Violation | None:
    """The worst-case positions together are worth at most ``portfolio.maxGross`` of equity."""
    most, bar = proposal.limits.max_gross, proposal.bar
    if most is None or bar is None or proposal.reduces:
        return None
    before = books.gross(proposal.book) if proposal.gross is None else proposal.gross
    if before.unpriced:  # what has no price has no known value: unknown means no
        return Violation(Reason.PORTFOLIO_GROSS, risk_limits.ratio_text(most), f"no price of {before.unpriced[0]}")
    more = proposal.worst_after - proposal.book.worst(proposal.intent.symbol)
    exposure = before.exposure + more * bar.close
    return _share_of_equity(Reason.PORTFOLIO_GROSS, most, exposure, proposal.book.equity)


CHAIN: tuple[Check, ...] = (
    trading_is_halted,
    symbol_is_unknown,
    price_is_missing,
    bar_is_stale,
    quantity_exceeds_limit,
    notional_exceeds_limit,
    short_is_not_allowed,
    weight_exceeds_limit,
    gross_exceeds_limit,
)


def first_violation(proposal: Proposal) -> Violation | None:
    """Return what the first failing check of the chain says, or None."""
    for check in CHAIN:
        violation = check(proposal)
        if violation is not None:
            return violation
    return None


def _share_of_equity(reason: Reason, most: Fraction, exposure: int, equity: int | None) -> Violation | None:
    value = (equity or 0) * books.EXPOSURE_PER_MONEY
    if value > 0 and exposure * most.denominator <= most.numerator * value:
        return None
    if equity is None:
        share = "unknown equity"
    elif equity <= 0:
        share = f"equity {numbers.money_text(numbers.Money(equity))}"
    else:
        share = risk_limits.ratio_text(Fraction(exposure, value))
    return Violation(reason, risk_limits.ratio_text(most), share)


def _usd(exposure: int) -> str:
    return numbers.money_text(numbers.Money(numbers.divide_half_even(exposure, books.EXPOSURE_PER_MONEY)))
