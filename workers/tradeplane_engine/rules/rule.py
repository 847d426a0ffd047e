"""A rule: while a condition holds, hold so many shares, otherwise none, others, or what another rule says."""

from dataclasses import dataclass

from tradeplane_engine import errors
from tradeplane_engine.rules import expressions

MOST_SHARES = 9_000_000_000  # more would leave 64 bits in steps of 1e-9 share
_MOST_CHOICES = 255


@dataclass(frozen=True, slots=True)
class Rule:
    """Target shares per bar of each symbol on its own.

    Parameters
    ----------
    condition : when ``shares`` are wanted
    shares : whole shares, negative for a short
    otherwise : whole shares where the condition is false, or another rule
    """

    condition: expressions.Condition
    shares: int
    otherwise: "int | Rule" = 0

    def __post_init__(self) -> None:
        """Refuse what is no condition and no number of shares."""
        if not isinstance(self.condition, expressions.Condition):
            raise errors.ValueRefused("when", "a condition", self.condition)
        _shares("hold.shares", self.shares)
        if not isinstance(self.otherwise, Rule):
            _shares("hold.otherwise", self.otherwise)
        if len(self.branches()) >= _MOST_CHOICES:
            raise errors.ValueRefused("hold.otherwise", f"fewer than {_MOST_CHOICES} rules", len(self.branches()))

    def branches(self) -> list[tuple[expressions.Condition, int]]:
        """Conditions in the order in which they are asked, with what each wants."""
        found = []
        rule: int | Rule = self
        while isinstance(rule, Rule):
            found.append((rule.condition, rule.shares))
            rule = rule.otherwise
        return found

    def rest(self) -> int:
        """Shares where no condition holds."""
        rule: int | Rule = self
        while isinstance(rule, Rule):
            rule = rule.otherwise
        return rule

    def choices(self) -> list[int]:
        """Every target that the rule can have: ``rest`` first, then those of the branches, the last one first."""
        return [self.rest(), *[shares for _, shares in reversed(self.branches())]]

    def windows(self) -> list[expressions.Window]:
        """Indicators that the rule reads, each once."""
        nodes = [node for condition, _ in self.branches() for node in expressions.every(condition)]
        return list(dict.fromkeys(node for node in nodes if isinstance(node, expressions.Window)))

    def warmup(self) -> int:
        """Rows before the first at which every indicator is defined."""
        return max((window.spec().warmup for window in self.windows()), default=0)

    def __str__(self) -> str:
        """Canonical text: rules with the same text are the same rule."""
        return f"when({self.condition}).hold({self.shares}, otherwise={self.otherwise})"


@dataclass(frozen=True, slots=True)
class When:
    """The first half of a rule."""

    condition: expressions.Condition

    def hold(self, *, shares: int, otherwise: int | Rule = 0) -> Rule:
        """Say what to hold while the condition is true, and what otherwise."""
        return Rule(self.condition, shares, otherwise)


def when(condition: expressions.Condition) -> When:
    """Begin a rule: ``when(condition).hold(shares=100)``."""
    return When(condition)


def _shares(field: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise errors.ValueRefused(field, "whole shares (an int)", value)
    if abs(value) >= MOST_SHARES:
        raise errors.ValueRefused(field, f"within {MOST_SHARES} shares", value)
