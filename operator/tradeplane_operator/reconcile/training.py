"""The life of a Model's training run: promised, submitted, finished by its result in the artifact store.

The result decides, not the job: a run whose result exists is done, whatever Ray remembers of it.
"""

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass

from tradeplane_api import model
from tradeplane_operator import artifacts, conditions, render
from tradeplane_operator.ray import port

_FIRST_DELAY_S = 5.0
_LONGEST_DELAY_S = 300.0
STALLED_AFTER = 3
"""Attempts that failed before a person is asked to look; more follow, at long intervals."""


class Phase(enum.Enum):
    """Where the run stands."""

    UNKNOWN = "unknown"
    STOPPING = "stopping"
    SUBMITTING = "submitting"
    RUNNING = "running"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What should be trained."""

    uid: str
    generation: int
    spec_hash: str
    features: model.Features
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What to record and do; ``version`` when the run is done."""

    phase: Phase
    run: model.TrainingRun | None
    version: model.Version | None = None
    stop: tuple[str, ...] = ()
    submit: bool = False
    message: str = ""


def advance(
    wanted: Wanted,
    recorded: model.TrainingRun | None,
    jobs: Mapping[str, port.Job] | None,
    result: artifacts.RunResult | None,
    *,
    now: dt.datetime,
) -> Step:
    """Next step towards an artifact.

    jobs : this Model's jobs, None when Ray did not answer
    result : of ``recorded``, read after the jobs were
    """
    current = recorded if recorded is not None and recorded.spec_hash == wanted.spec_hash else None
    if current is not None and result is not None and not result.error:
        return Step(Phase.DONE, current.model_copy(update={"submitted": True}), _version(wanted, current, result))
    if jobs is None:
        return Step(Phase.UNKNOWN, recorded, message="Ray does not answer")
    others = tuple(
        name for name, job in sorted(jobs.items()) if job.alive and (current is None or name != current.submission_id)
    )
    if others:
        return Step(Phase.STOPPING, recorded, stop=others, message=", ".join(others))
    if current is None:
        return _promise(wanted, attempt=_seen(wanted, jobs) + 1)
    return _look(wanted, current, jobs, result, now=now)


def _look(
    wanted: Wanted,
    current: model.TrainingRun,
    jobs: Mapping[str, port.Job],
    result: artifacts.RunResult | None,
    *,
    now: dt.datetime,
) -> Step:
    """The promised run has not succeeded so far."""
    job = jobs.get(current.submission_id)
    if result is None and job is None and not current.submitted:
        return Step(Phase.SUBMITTING, current, submit=True, message=current.submission_id)
    if job is not None and job.alive:
        running = current.model_copy(update={"submitted": True})
        return Step(Phase.RUNNING, running, message=f"{current.submission_id} on {', '.join(current.symbols)}")
    return _follow(wanted, current, _why(job, result), seen=_seen(wanted, jobs), now=now)


def _follow(wanted: Wanted, failed: model.TrainingRun, why: str, *, seen: int, now: dt.datetime) -> Step:
    if failed.retry_at and conditions.moment(failed.retry_at) <= now:
        return _promise(wanted, attempt=max(seen, failed.attempt) + 1)
    if failed.retry_at:
        return Step(Phase.FAILED, failed, message=f"{failed.submission_id}: {failed.error}; again at {failed.retry_at}")
    delay = min(_FIRST_DELAY_S * 2 ** min(failed.attempt - 1, 10), _LONGEST_DELAY_S)
    retry_at = conditions.timestamp(now + dt.timedelta(seconds=delay))
    recorded = failed.model_copy(update={"submitted": True, "error": why[:4096], "retry_at": retry_at})
    return Step(Phase.FAILED, recorded, message=f"{failed.submission_id}: {why}; again at {retry_at}")


def _promise(wanted: Wanted, *, attempt: int) -> Step:
    run = model.TrainingRun(
        submission_id=render.submission_id("training", wanted.uid, wanted.generation, attempt),
        generation=wanted.generation,
        attempt=attempt,
        spec_hash=wanted.spec_hash,
        symbols=wanted.symbols,
        submitted=False,
    )
    return Step(Phase.SUBMITTING, run, submit=True, message=run.submission_id)


def _why(job: port.Job | None, result: artifacts.RunResult | None) -> str:
    if result is not None:
        return result.error
    if job is None:
        return "Ray no longer knows the job and it left no result"
    return f"job {job.status} without a result: {job.message.strip()[-500:]}"


def _seen(wanted: Wanted, jobs: Mapping[str, port.Job]) -> int:
    parsed = (render.parsed_id(name) for name in jobs)
    return max((each[3] for each in parsed if each and each[1:3] == (wanted.uid, wanted.generation)), default=0)


def _version(wanted: Wanted, run: model.TrainingRun, result: artifacts.RunResult) -> model.Version:
    return model.Version(
        digest=result.digest,
        artifact=result.artifact,
        spec_hash=wanted.spec_hash,
        features=wanted.features,
        submission_id=run.submission_id,
        rows=result.rows,
        trials=result.trials,
        last_label_end=result.last_label_end,
        # The API has no floats.
        metrics={name: f"{value:.9g}" for name, value in sorted(result.metrics.items())},
    )
