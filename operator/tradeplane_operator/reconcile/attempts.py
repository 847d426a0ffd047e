"""The life of a Ray job, whatever it does.

1. Every living job of the object but the wanted attempt is stopped, and awaited: one acts.
2. An attempt is promised in the status before it is submitted, so that an operator killed in between submits the same.
3. A dead attempt is recorded with the time of the next one; delays double up to a limit.

Strategies, trainings and backtests say by :class:`Wanted` what is particular to them.
"""

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from tradeplane_api import status
from tradeplane_operator import conditions, render
from tradeplane_operator.ray import port

AttemptT = TypeVar("AttemptT", bound=status.Attempt)
ToldT = TypeVar("ToldT", bound=status.ConfiguredAttempt)

_MOST_DOUBLINGS = 10

Found = Mapping[str, Mapping[str, port.Job] | None]
"""Jobs of one object by address and submission id; None where Ray did not answer."""


class Phase(enum.Enum):
    """Where the job stands."""

    UNKNOWN = "unknown"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SUBMITTING = "submitting"
    PENDING = "pending"
    RUNNING = "running"
    DEAD = "dead"
    DONE = "done"


class Wanted(Protocol[AttemptT]):
    """What should run, and how one kind of job records it."""

    @property
    def address(self) -> str:
        """Of the Ray that runs it."""

    def covers(self, recorded: AttemptT) -> bool:
        """Whether a recorded attempt is of what is wanted now."""

    def promise(self, attempt: int, *, follows: AttemptT | None) -> AttemptT:
        """Record of a new attempt, after a dead one or of something new."""

    def bury(self, dead: AttemptT, job: port.Job | None, why: str) -> tuple[AttemptT, float]:
        """Record of a dead attempt, and seconds until the next; the caller dates it."""


@dataclass(frozen=True, slots=True)
class Told:
    """A job that is told everything when it is submitted: whose, of which spec, where, and the hash of what that is."""

    uid: str
    generation: int
    address: str
    config_hash: str

    def first(self, kind: type[ToldT], word: str, attempt: int, *, follows: ToldT | None) -> ToldT:
        """Record a new attempt; ``word`` begins its submission id."""
        return kind(
            submission_id=render.submission_id(word, self.uid, self.generation, attempt),
            address=self.address,
            generation=self.generation,
            attempt=attempt,
            config_hash=self.config_hash,
            submitted=False,
            failures=0 if follows is None else follows.failures,
        )


def failed(dead: ToldT, *, failures: int, first_s: float, longest_s: float) -> tuple[ToldT, float]:
    """Record a dead attempt as one of so many failures in a row; the seconds until the next double up to a limit."""
    return dead.model_copy(update={"failures": failures}), delay_s(failures, first_s=first_s, longest_s=longest_s)


@dataclass(frozen=True, slots=True)
class Step(Generic[AttemptT]):
    """What to record, what to stop, whether to submit ``recorded``, and where that leaves us."""

    phase: Phase
    recorded: AttemptT | None
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


def delay_s(failures: int, *, first_s: float, longest_s: float) -> float:
    """Seconds after so many failures in a row, from 1."""
    return min(first_s * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), longest_s)


def highest_attempt(uid: str, generation: int, found: Found, *, known: tuple[int, ...] = ()) -> int:
    """Highest attempt of a generation in Ray or in ``known``, so that no number is used twice."""
    seen = [
        parsed[3]
        for jobs in found.values()
        for name in jobs or {}
        if (parsed := render.parsed_id(name)) is not None and parsed[1:3] == (uid, generation)
    ]
    return max((*seen, *known), default=0)


def end(found: Found, recorded: AttemptT | None) -> Step[AttemptT]:
    """Nothing should run."""
    alive = living(found)
    silent = unanswered(found)
    if alive:
        return Step(Phase.STOPPING, recorded, stop=alive, message=", ".join(name for _, name in alive))
    if silent is not None:
        return Step(Phase.UNKNOWN, recorded, message=f"Ray at {silent} does not answer")
    return Step(Phase.STOPPED, None)


def done(recorded: AttemptT) -> Step[AttemptT]:
    """The attempt has left what it was for: that decides, whatever Ray remembers of the job."""
    return Step(Phase.DONE, recorded.model_copy(update={"submitted": True}))


def advance(
    wanted: Wanted[AttemptT],
    recorded: AttemptT | None,
    found: Found,
    *,
    highest: int,
    now: dt.datetime,
    said: str = "",
) -> Step[AttemptT]:
    """Next step towards one living job of ``wanted``.

    highest : highest attempt of this generation that anybody has seen
    said : why the recorded attempt failed, by its own word; empty when it left none
    """
    silent = unanswered(found)
    if silent is not None:
        return Step(Phase.UNKNOWN, recorded, message=f"Ray at {silent} does not answer")
    current = recorded if recorded is not None and wanted.covers(recorded) else None
    others = living(found, but=current.submission_id if current else None)
    if others:
        return Step(Phase.STOPPING, recorded, stop=others, message=", ".join(name for _, name in others))
    if current is None:
        return _submit(wanted.promise(highest + 1, follows=None))
    job = (found[wanted.address] or {}).get(current.submission_id)
    if job is None and not current.submitted and not said:
        return _submit(current)
    if job is not None and job.alive:
        phase = Phase.RUNNING if job.status == "RUNNING" else Phase.PENDING
        return Step(phase, current.model_copy(update={"submitted": True}), message=job.submission_id)
    return _follow(wanted, current, job, why=said or _why(job), highest=highest, now=now)


def _submit(promised: AttemptT) -> Step[AttemptT]:
    return Step(Phase.SUBMITTING, promised, submit=True, message=promised.submission_id)


def _follow(
    wanted: Wanted[AttemptT], dead: AttemptT, job: port.Job | None, *, why: str, highest: int, now: dt.datetime
) -> Step[AttemptT]:
    """The attempt has died: first the delay, then the next attempt."""
    if dead.retry_at and conditions.moment(dead.retry_at) <= now:
        return _submit(wanted.promise(max(highest, dead.attempt) + 1, follows=dead))
    recorded = dead
    if not dead.retry_at:
        buried, wait_s = wanted.bury(dead, job, why)
        retry_at = conditions.timestamp(now + dt.timedelta(seconds=wait_s))
        recorded = buried.model_copy(update={"submitted": True, "retry_at": retry_at})
    message = f"{dead.submission_id}: {why}; next attempt at {recorded.retry_at}"
    return Step(Phase.DEAD, recorded, message=message)


def _why(job: port.Job | None) -> str:
    return "Ray no longer knows it" if job is None else f"{job.status}: {job.message.strip()[-500:]}"
