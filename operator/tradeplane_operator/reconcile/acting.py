"""A Strategy's job: an attempt that acts until it is stopped, and starts anew when it dies."""

from dataclasses import dataclass

from tradeplane_api import strategy
from tradeplane_operator.ray import port
from tradeplane_operator.reconcile import attempts

_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 60.0
_HEALTHY_LIFE_S = 60.0
"""An attempt that lived so long starts the delays anew."""


@dataclass(frozen=True, slots=True)
class Wanted(attempts.Told):
    """What should act."""

    def covers(self, recorded: strategy.StrategyJob) -> bool:
        """A process learns of an edit, a digest or a pool only by a new attempt."""
        found = (recorded.generation, recorded.address, recorded.config_hash)
        return found == (self.generation, self.address, self.config_hash)

    def promise(self, attempt: int, *, follows: strategy.StrategyJob | None) -> strategy.StrategyJob:
        """Record a new attempt."""
        return self.first(strategy.StrategyJob, "strategy", attempt, follows=follows)

    def bury(self, dead: strategy.StrategyJob, job: port.Job | None, why: str) -> tuple[strategy.StrategyJob, float]:  # noqa: ARG002 - the condition says why
        """Count the failures in a row."""
        failures = 1 if job is not None and job.lifetime_s >= _HEALTHY_LIFE_S else dead.failures + 1
        return attempts.failed(dead, failures=failures, first_s=_FIRST_DELAY_S, longest_s=_LONGEST_DELAY_S)
