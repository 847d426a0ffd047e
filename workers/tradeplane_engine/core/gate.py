"""The gate: one decision's intents against every scope that judges them. Backtest and gateway call the same function.

The chain is that of :mod:`tradeplane_engine.core.risk`, on books made of what a ledger and a market know by symbol. The
gate adds what a chain cannot see: that nobody judges, that trading is not enabled, that a symbol is not a strategy's.

Trading time decides: ``now`` is the decision's trigger (the end of its bar), never the machine's clock, so that a
replay of the ledger's sequence gives the same verdicts.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tradeplane_engine import errors
from tradeplane_engine.core import exact, limits, risk
from tradeplane_engine.core.ledger import Ledger
from tradeplane_engine.core.standing import Standing
from tradeplane_engine.domain import bars, numbers, orders, times

HALTED = "halted"
UNKNOWN_SYMBOL = "unknown-symbol"
_NOTHING = numbers.Money(0)
_UNIT = 10**numbers.PRICE_DIGITS
_MANY = 2**31 - 1  # losses that a book can count
_ACTING = (limits.Breach.REJECT, limits.Breach.CLIP)


@dataclass(frozen=True, slots=True)
class Book:
    """What is known of one sub-ledger or account at the instant of a decision.

    equity : None when it cannot be known, such as a held symbol without a price
    positions : signed, per symbol; absent is zero
    working_buy, working_sell : unfilled part of open orders, unsigned; an unknown order counts at full size
    prices : last bar known per symbol; a symbol without one cannot be ordered
    open_orders : orders of which a part may still fill
    day_orders, day_notional : what left since the session opened
    standing : what limits on losses are measured from; without it they let nothing leave that adds
    """

    equity: numbers.Money | None
    positions: Mapping[str, numbers.Quantity]
    working_buy: Mapping[str, numbers.Quantity]
    working_sell: Mapping[str, numbers.Quantity]
    prices: Mapping[str, bars.Bar]
    open_orders: int = 0
    day_orders: int = 0
    day_notional: numbers.Money = _NOTHING
    standing: Standing | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """One policy and what it judges, such as ``strategy`` (its sub-ledger) or ``account``.

    symbols : the only ones that may be ordered, others may be closed; None for any
    """

    name: str
    limits: limits.Limits
    book: Book
    symbols: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one intent; without a violation it may be sent, made smaller where a policy clips.

    notional : what an accepted one is worth at its symbol's last close, and counts for in the day
    """

    intent: orders.Intent
    scope: str = ""
    violation: risk.Violation | None = None
    notional: numbers.Money = _NOTHING

    @property
    def accepted(self) -> bool:
        """Whether the intent may be sent."""
        return self.violation is None

    @property
    def reason(self) -> str:
        """Stable word for the refusal; empty when accepted."""
        return self.violation.reason if self.violation else ""

    @property
    def detail(self) -> str:
        """Sentence that names scope, limit and value; empty when accepted."""
        if self.violation is None:
            return ""
        return f"{self.scope}: {self.violation.reason} allows {self.violation.limit}, got {self.violation.value}"


def limits_of(spec: Mapping[str, Any]) -> limits.Limits:
    """Read a RiskPolicy's spec for the gate; raises ValueRefused naming field, limit and value.

    A reaction that opens a halt is refused by name: what is there always acts.
    """
    allowed = limits.from_spec(spec)
    for family, action in allowed.on_breach.items():
        if action not in _ACTING:
            limit = f"{' or '.join(_ACTING)}, which is all that the gateway does on a breach"
            raise errors.ValueRefused(f"onBreach.{family}", limit, action.value)
    return allowed


def judge(
    intents: Sequence[orders.Intent], *, state: orders.State, now: times.Nanos, scopes: Sequence[Scope]
) -> tuple[Verdict, ...]:
    """Judge intents in order; an accepted one is a working order for those after it. All scopes must agree."""
    chains = [_Chain(scope, intents, now) for scope in scopes]
    verdicts = []
    for intent in intents:
        verdict = _verdict(intent, state=state, chains=chains)
        if verdict.accepted:
            notional = chains[0].notional(verdict.intent)  # at prices that all scopes share
            verdict = replace(verdict, notional=notional)
            for chain in chains:
                chain.adopt(verdict.intent, notional)
        verdicts.append(verdict)
    return tuple(verdicts)


def _verdict(intent: orders.Intent, *, state: orders.State, chains: Sequence["_Chain"]) -> Verdict:
    if not chains:  # nobody judged it: unknown means no
        return Verdict(intent, "gate", risk.Violation(HALTED, "state", "at least one policy", "none"))
    if state is not orders.State.ENABLED:  # the states between act as halted until they are built
        return Verdict(intent, chains[0].name, risk.Violation(HALTED, "state", orders.State.ENABLED.value, state.value))
    for chain in chains:
        violation = chain.violation(intent)
        if violation is not None:
            smaller = _passing(intent, chains) if chain.clips(violation) else 0
            if smaller:
                return Verdict(replace(intent, quantity=numbers.Quantity(smaller)))
            return Verdict(intent, chain.name, violation)
    return Verdict(intent)


def _passing(intent: orders.Intent, chains: Sequence["_Chain"]) -> int:
    """Return the largest whole number of shares that passes every chain, as a run does; 0 for none.

    Halving finds it where fewer shares never break what more do not. Of a net that crosses zero they can: then it finds
    fewer, or none.
    """
    low, high = 0, intent.quantity // numbers.ONE_SHARE
    while low < high:
        middle = (low + high + 1) // 2
        smaller = replace(intent, quantity=numbers.Quantity(middle * numbers.ONE_SHARE))
        if all(chain.violation(smaller) is None for chain in chains):
            low = middle
        else:
            high = middle - 1
    return low * numbers.ONE_SHARE


class _Chain:
    """A scope as the core sees it: symbols are numbers, positions cost nothing, so that equity is what was given."""

    __slots__ = ("_book", "_ends", "_ids", "_now", "_prices", "_proposal", "_scope", "_symbols", "name")

    def __init__(self, scope: Scope, intents: Sequence[orders.Intent], now: times.Nanos) -> None:
        given = scope.book
        held, buying, selling = given.positions, given.working_buy, given.working_sell
        names = sorted({*held, *buying, *selling, *(intent.symbol for intent in intents)})
        known = [given.prices.get(name) for name in names]
        ledger = Ledger(given.equity or 0, array("q", [_UNIT]) * len(names))
        self.name = scope.name
        self._now = now
        self._symbols = scope.symbols
        self._ids = {name: number for number, name in enumerate(names)}
        self._prices = array("q", [0 if bar is None else bar.close for bar in known])
        self._ends = array("q", [0 if bar is None else bar.end for bar in known])
        self._proposal = risk.Proposal(self._prices)
        self._book = risk.Book(ledger, names, given.open_orders)
        self._book.valued = given.equity is not None and not (scope.limits.measures_losses and given.standing is None)
        if given.standing is not None:
            given.standing.impose(self._book)
        else:  # nobody knows how many: as many as it takes
            self._book.measure_from(0, 0, _MANY)
        self._book.spend(given.day_orders, given.day_notional)
        for number, name in enumerate(names):
            ledger.quantities[number] = held.get(name, 0)
            self._book.working(number, 1, buying.get(name, 0))
            self._book.working(number, -1, selling.get(name, 0))
        self._scope = risk.Scope(scope.name, risk.Policy(scope.name, scope.limits), self._book)

    def violation(self, intent: orders.Intent) -> risk.Violation | None:
        """Return the first limit that the intent breaks, or None."""
        symbol = self._ids[intent.symbol]
        try:
            return self._foreign(intent) or self._chain(symbol, intent)
        except errors.Overflow as error:  # no limit is as wide as the numbers, and no intent gets beyond them
            reason = "order-quantity" if error.field == "position" else "order-notional"
            return risk.Violation(reason, "order", "within 64 bits", f"{error.field} of {error.value}")

    def clips(self, violation: risk.Violation) -> bool:
        """Say whether the policy lets a smaller order leave where a limit of this family is exceeded."""
        return self._scope.policy.on_breach(violation.family) is limits.Breach.CLIP

    def adopt(self, intent: orders.Intent, notional: numbers.Money) -> None:
        """Take an accepted intent, and what it is worth, as a working order that counts for the day."""
        symbol = self._ids[intent.symbol]
        self._book.adopt(symbol, intent.side.sign, intent.quantity, self._prices[symbol])
        self._book.spend(1, notional)

    def notional(self, intent: orders.Intent) -> numbers.Money:
        """Return what an intent is worth at its symbol's last close."""
        return numbers.Money(
            exact.ceil_ratio(intent.quantity, self._prices[self._ids[intent.symbol]], _UNIT, "notional")
        )

    def _chain(self, symbol: int, intent: orders.Intent) -> risk.Violation | None:
        return self._proposal.weigh(
            self._scope,
            symbol,
            intent.side.sign,
            intent.quantity,
            self._ends[symbol],
            self._now,
            1,
            intent.terms.limit_price,
            intent.terms.stop_price,
        )

    def _foreign(self, intent: orders.Intent) -> risk.Violation | None:
        """The symbol belongs to the strategy's universe; what left it may still be closed."""
        if self._symbols is None or intent.symbol in self._symbols or self._reduces(intent):
            return None
        return risk.Violation(UNKNOWN_SYMBOL, "state", f"one of {sorted(self._symbols)}", intent.symbol)

    def _reduces(self, intent: orders.Intent) -> bool:
        symbol = self._ids[intent.symbol]
        if intent.side is orders.Side.BUY:
            return self._book.highest(symbol) + intent.quantity <= 0
        return self._book.lowest(symbol) - intent.quantity >= 0
