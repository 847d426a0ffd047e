"""The gate: one decision's intents against every scope that judges them. Backtest and gateway call the same function.

Trading time decides: ``now`` is the decision's trigger (the end of its bar), never the machine's clock, so that a
replay of the ledger's sequence gives the same verdicts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    current = tuple(scopes)
    verdicts = []
    for intent in intents:
        verdict = _verdict(intent, state=state, now=now, scopes=current)
        verdicts.append(verdict)
        if verdict.accepted:
            current = tuple(replace(scope, book=scope.book.with_working(intent)) for scope in current)
    return tuple(verdicts)


def _verdict(intent: orders.Intent, *, state: orders.State, now: times.Nanos, scopes: Sequence[Scope]) -> Verdict:
    if not scopes:  # nobody judged it: unknown means no
        return Verdict(intent, "gate", checks.Violation(checks.Reason.HALTED, "at least one policy", "none"))
    for scope in scopes:
        proposal = checks.Proposal(
            intent=intent, limits=scope.limits, book=scope.book, state=state, now=now, symbols=scope.symbols
        )
        violation = checks.first_violation(proposal)
        if violation is not None:
            return Verdict(intent, scope.name, violation)
    return Verdict(intent)
