"""The gate: one decision's intents against every scope that judges them. Backtest and gateway call the same function.

Trading time decides: ``now`` is the decision's trigger (the end of its bar), never the machine's clock, so that a
replay of the ledger's sequence gives the same verdicts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tradeplane_engine.domain import orders, times
from tradeplane_engine.risk import books, checks, limits


@dataclass(frozen=True, slots=True)
class Scope:
    """One policy and what it judges, such as ``strategy`` (its sub-ledger) or ``account``.

    symbols : the only ones that may be ordered; None for any
    """

    name: str
    limits: limits.Limits
    book: books.Book
    symbols: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one intent; without a violation it may be sent."""

    intent: orders.Intent
    scope: str = ""
    violation: checks.Violation | None = None

    @property
    def accepted(self) -> bool:
        """Whether the intent may be sent."""
        return self.violation is None

    @property
    def reason(self) -> str:
        """Stable word for the refusal; empty when accepted."""
        return self.violation.reason.value if self.violation else ""

    @property
    def detail(self) -> str:
        """Sentence that names scope, limit and value; empty when accepted."""
        if self.violation is None:
            return ""
        return f"{self.scope}: {self.violation.reason} allows {self.violation.limit}, got {self.violation.value}"


def judge(
    intents: Sequence[orders.Intent], *, state: orders.State, now: times.Nanos, scopes: Sequence[Scope]
) -> tuple[Verdict, ...]:
    """Judge intents in order; an accepted one is a working order for those after it. All scopes must agree."""
    current = [_Scoped(scope, scope.book, books.gross(scope.book)) for scope in scopes]
    verdicts = []
    for number, intent in enumerate(intents, start=1):
        verdict = _verdict(intent, state=state, now=now, scopes=current)
        verdicts.append(verdict)
        if verdict.accepted and number < len(intents):
            current = [scoped.with_working(intent) for scoped in current]
    return tuple(verdicts)


@dataclass(frozen=True, slots=True)
class _Scoped:
    """A scope with its book so far; gross is carried along, because adding it up anew costs the whole book."""

    scope: Scope
    book: books.Book
    gross: books.Gross

    def with_working(self, intent: orders.Intent) -> "_Scoped":
        return _Scoped(self.scope, self.book.with_working(intent), self.gross.with_working(intent, self.book))


def _verdict(intent: orders.Intent, *, state: orders.State, now: times.Nanos, scopes: Sequence[_Scoped]) -> Verdict:
    if not scopes:  # nobody judged it: unknown means no
        return Verdict(intent, "gate", checks.Violation(checks.Reason.HALTED, "at least one policy", "none"))
    for scoped in scopes:
        scope = scoped.scope
        proposal = checks.Proposal(
            intent=intent,
            limits=scope.limits,
            book=scoped.book,
            state=state,
            now=now,
            symbols=scope.symbols,
            gross=scoped.gross,
        )
        violation = checks.first_violation(proposal)
        if violation is not None:
            return Verdict(intent, scope.name, violation)
    return Verdict(intent)
