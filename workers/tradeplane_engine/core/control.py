"""Control events of a run: a state that starts to act, and a policy that takes another's place."""

from dataclasses import dataclass
from typing import Any

from tradeplane_engine import errors
from tradeplane_engine.core import halts


@dataclass(frozen=True, slots=True)
class StateChange:
    """A state from an instant on, of one strategy by name or (None) of the account; a lift is a state too."""

    state: int
    strategy: str | None = None
    reason: str = ""

    def act(self, kernel: Any) -> None:
        """Let the state act; raises ValueRefused for a strategy that the run does not have."""
        slot = None
        if self.strategy is not None:
            slot = next((one for one in kernel.slots if one.name == self.strategy), None)
            if slot is None:
                raise errors.ValueRefused("strategy", f"one of {[one.name for one in kernel.slots]}", self.strategy)
        halts.impose(kernel.flow, slot, self.state, self.reason)
