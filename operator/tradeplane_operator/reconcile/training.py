"""A Model's training run: an attempt that is over when its result is in the artifact store.

The result decides, not the job: a run whose result exists is done, whatever Ray remembers of it.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from tradeplane_api import model
from tradeplane_operator import artifacts, render
from tradeplane_operator.ray import port
from tradeplane_operator.reconcile import attempts

_FIRST_DELAY_S = 5.0
_LONGEST_DELAY_S = 300.0
STALLED_AFTER = 3
"""Attempts that failed before a person is asked to look; more follow, at long intervals."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What should be trained."""

    uid: str
    generation: int
    address: str
    spec_hash: str
    symbols: tuple[str, ...]

    def covers(self, recorded: model.TrainingRun) -> bool:
        """An edit of serving is another generation of the same training."""
        return recorded.spec_hash == self.spec_hash

    def promise(self, attempt: int, *, follows: model.TrainingRun | None) -> model.TrainingRun:  # noqa: ARG002 - nothing is carried over
        """Record a new attempt."""
        return model.TrainingRun(
            submission_id=render.submission_id("training", self.uid, self.generation, attempt),
            generation=self.generation,
            attempt=attempt,
            spec_hash=self.spec_hash,
            symbols=self.symbols,
            submitted=False,
        )

    def bury(self, dead: model.TrainingRun, job: port.Job | None, why: str) -> tuple[model.TrainingRun, float]:  # noqa: ARG002 - how long it lived says nothing
        """Keep what was wrong."""
        delay_s = attempts.delay_s(dead.attempt, first_s=_FIRST_DELAY_S, longest_s=_LONGEST_DELAY_S)
        return dead.model_copy(update={"error": why[:4096]}), delay_s


def advance(
    wanted: Wanted,
    recorded: model.TrainingRun | None,
    jobs: Mapping[str, port.Job] | None,
    result: artifacts.RunResult | None,
    *,
    now: dt.datetime,
) -> attempts.Step[model.TrainingRun]:
    """Next step towards an artifact.

    jobs : this Model's jobs, None when Ray did not answer
    result : of ``recorded``, read after the jobs were
    """
    covered = recorded is not None and wanted.covers(recorded)
    if recorded is not None and covered and result is not None and not result.error:
        return attempts.done(recorded)
    found = {wanted.address: jobs}
    highest = attempts.highest_attempt(wanted.uid, wanted.generation, found)
    said = result.error if covered and result is not None else ""
    return attempts.advance(wanted, recorded, found, highest=highest, now=now, said=said)


def version(spec: model.ModelSpec, run: model.TrainingRun, result: artifacts.RunResult) -> model.Version:
    """Describe what a run has made."""
    return model.Version(
        digest=result.digest,
        artifact=result.artifact,
        spec_hash=run.spec_hash,
        features=spec.features,
        submission_id=run.submission_id,
        rows=result.rows,
        trials=result.trials,
        last_label_end=result.last_label_end,
        # The API has no floats.
        metrics={name: f"{value:.9g}" for name, value in sorted(result.metrics.items())},
    )
