"""The life of a Strategy's Ray job: one acts, an old one is stopped before the next begins, a dead one is followed.

1. Every living job of this Strategy but the wanted attempt is stopped, and awaited.
2. An attempt is promised in the status before it is submitted, so that an operator killed in between submits the same.
3. A dead attempt is recorded with the time of the next one; delays double up to a minute, and start anew after an
   attempt that lived for a minute.
"""

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass

from tradeplane_api import strategy
from tradeplane_operator import conditions, render
from tradeplane_operator.ray import port

_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 60.0
_HEALTHY_LIFE_S = 60.0

Found = Mapping[str, Mapping[str, port.Job] | None]
"""Jobs of one Strategy by address and submission id; None where Ray did not answer."""


class Phase(enum.Enum):
    """Where the job stands."""

    UNKNOWN = "unknown"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SUBMITTING = "submitting"
    PENDING = "pending"
    RUNNING = "running"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What should run."""

    uid: str
    generation: int
    address: str
    config_hash: str


@dataclass(frozen=True, slots=True)
class Step:
    """What to record, what to stop, whether to submit ``job``, and where that leaves us."""

    phase: Phase
    job: strategy.StrategyJob | None
    stop: tuple[tuple[str, str], ...] = ()
    submit: bool = False
    message: str = ""


def living(found: Found, *, but: str | None = None) -> tuple[tuple[str, str], ...]:
    """(address, submission id) of each living job."""
    return tuple(
        (address, job.submission_id)
        for address, jobs in sorted(found.items())
        for job in (jobs or {}).values()
        if job.alive and job.submission_id != but
    )


def unanswered(found: Found) -> str | None:
    """Address of a Ray that did not answer."""
    return next((address for address, jobs in sorted(found.items()) if jobs is None), None)


def end(found: Found, recorded: strategy.StrategyJob | None) -> Step:
    """Nothing should run."""
    alive = living(found)
    silent = unanswered(found)
    if alive:
        return Step(Phase.STOPPING, recorded, stop=alive, message=", ".join(name for _, name in alive))
    if silent is not None:
        return Step(Phase.UNKNOWN, recorded, message=f"Ray at {silent} does not answer")
    return Step(Phase.STOPPED, None)


def advance(
    wanted: Wanted, recorded: strategy.StrategyJob | None, found: Found, *, highest: int, now: dt.datetime
) -> Step:
    """Next step towards one living job of ``wanted``.

    highest : highest attempt of this generation that anybody has seen
    """
    silent = unanswered(found)
    if silent is not None:
        return Step(Phase.UNKNOWN, recorded, message=f"Ray at {silent} does not answer")
    current = recorded if recorded is not None and _is(wanted, recorded) else None
    others = living(found, but=current.submission_id if current else None)
    if others:
        return Step(Phase.STOPPING, recorded, stop=others, message=", ".join(name for _, name in others))
    if current is None:
        return _promise(wanted, attempt=highest + 1, failures=0)
    job = (found[wanted.address] or {}).get(current.submission_id)
    if job is None and not current.submitted:
        return Step(Phase.SUBMITTING, current, submit=True)
    if job is not None and job.alive:
        phase = Phase.RUNNING if job.status == "RUNNING" else Phase.PENDING
        return Step(phase, current.model_copy(update={"submitted": True}), message=job.submission_id)
    return _follow(wanted, current, job, highest=highest, now=now)


def _follow(
    wanted: Wanted, dead: strategy.StrategyJob, job: port.Job | None, *, highest: int, now: dt.datetime
) -> Step:
    """The attempt has died: first the delay, then the next attempt."""
    if dead.retry_at and conditions.moment(dead.retry_at) <= now:
        return _promise(wanted, attempt=max(highest, dead.attempt) + 1, failures=dead.failures)
    why = "Ray no longer knows it" if job is None else f"{job.status}: {job.message.strip()[-500:]}"
    if dead.retry_at:
        return Step(Phase.DEAD, dead, message=f"{dead.submission_id}: {why}; next attempt at {dead.retry_at}")
    failures = 1 if job is not None and job.lifetime_s >= _HEALTHY_LIFE_S else dead.failures + 1
    delay = min(_FIRST_DELAY_S * 2 ** min(failures - 1, 10), _LONGEST_DELAY_S)
    retry_at = conditions.timestamp(now + dt.timedelta(seconds=delay))
    recorded = dead.model_copy(update={"submitted": True, "failures": failures, "retry_at": retry_at})
    return Step(Phase.DEAD, recorded, message=f"{dead.submission_id}: {why}; next attempt at {retry_at}")


def _promise(wanted: Wanted, *, attempt: int, failures: int) -> Step:
    job = strategy.StrategyJob(
        submission_id=render.submission_id("strategy", wanted.uid, wanted.generation, attempt),
        address=wanted.address,
        generation=wanted.generation,
        attempt=attempt,
        config_hash=wanted.config_hash,
        submitted=False,
        failures=failures,
    )
    return Step(Phase.SUBMITTING, job, submit=True, message=job.submission_id)


def _is(wanted: Wanted, job: strategy.StrategyJob) -> bool:
    return (job.generation, job.address, job.config_hash) == (wanted.generation, wanted.address, wanted.config_hash)


def highest_attempt(uid: str, generation: int, found: Found, *, known: tuple[int, ...]) -> int:
    """Highest attempt of a generation in Ray or in ``known``, so that no number is used twice."""
    seen = [
        parsed[3]
        for jobs in found.values()
        for name in jobs or {}
        if (parsed := render.parsed_id(name)) is not None and parsed[1:3] == (uid, generation)
    ]
    return max((*seen, *known), default=0)
