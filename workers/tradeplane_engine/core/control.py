"""Control events of a run: a state that starts to act, a policy that takes another's place, and other capital."""

from dataclasses import dataclass
from typing import Any

from tradeplane_engine import errors
from tradeplane_engine.core import halts, risk


@dataclass(frozen=True, slots=True)
class StateChange:
    """A state from an instant on, of one strategy by name or (None) of the account; a lift is a state too."""

    state: int
    strategy: str | None = None
    reason: str = ""

    def act(self, kernel: Any) -> None:
        """Let the state act; raises ValueRefused for a strategy that the run does not have."""
        halts.impose(kernel.flow, _slot(kernel, self.strategy), self.state, self.reason)


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """A policy that judges a strategy by name, or (None) the account, from the next decision on."""

    policy: risk.Policy
    strategy: str | None = None

    def act(self, kernel: Any) -> None:
        """Let the policy judge; raises ValueRefused for a strategy that the run does not have."""
        slot = _slot(kernel, self.strategy)
        (kernel.account if slot is None else slot.scope).policy = self.policy
        kernel.watch(self.policy)


@dataclass(frozen=True, slots=True)
class CapitalChange:
    """Money that a strategy is given (positive) or gives back; what the account has stays."""

    amount: int
    strategy: str

    def act(self, kernel: Any) -> None:
        """Book it, and measure losses as before; raises ValueRefused for a strategy that the run does not have."""
        if self.amount:
            _slot(kernel, self.strategy).scope.book.fund(self.amount)


def _slot(kernel: Any, name: str | None) -> Any:
    if name is None:
        return None
    found = next((one for one in kernel.slots if one.name == name), None)
    if found is None:
        raise errors.ValueRefused("strategy", f"one of {[one.name for one in kernel.slots]}", name)
    return found
