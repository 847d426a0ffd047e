"""Backtest: its Strategy is looked up, one Ray job runs it, and its outcome is recorded once and for all.

An attempt is of the objects as they were when it was promised. While it runs, an edit of them changes nothing: the
period is past, so there is nothing to keep up with. Only an attempt that follows a dead one is of the newer objects.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pydantic

from tradeplane_api import backtest, names, strategy
from tradeplane_operator import artifacts, conditions, render, settings
from tradeplane_operator.ray import port
from tradeplane_operator.reconcile import attempts, decision, references

Json = dict[str, Any]

ATTEMPTS = 6
"""Attempts that end without an outcome before no more follow."""
_FIRST_DELAY_S = 5.0
_LONGEST_DELAY_S = 300.0
# Nothing can change any more; the controller's resynchronisation looks anyway.
_OVER_S = 600.0
OVER = frozenset({names.Phase.SUCCEEDED.value, names.Phase.FAILED.value})

_READY = names.Condition.READY
_PROGRESSING = names.Condition.PROGRESSING
_STALLED = names.Condition.STALLED
_DEGRADED = names.Condition.DEGRADED


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that decides about one Backtest; nothing but the object where it is over.

    strategy, policy, model : that it names, through its Strategy
    jobs : this Backtest's jobs by address
    outcome : of the recorded run
    """

    manifest: Json
    settings: settings.Settings
    environment: Json | None = None
    strategy: Json | None = None
    policy: Json | None = None
    model: Json | None = None
    jobs: attempts.Found = field(default_factory=dict)
    outcome: artifacts.Outcome | None = None

    @property
    def uid(self) -> str:
        """Identity of the object."""
        return str(self.manifest["metadata"]["uid"])

    @property
    def generation(self) -> int:
        """Generation of its spec."""
        return int(self.manifest["metadata"]["generation"])

    @property
    def status(self) -> backtest.BacktestStatus:
        """Status as it stands."""
        return conditions.parsed_status(backtest.BacktestStatus, self.manifest)


@dataclass(frozen=True, slots=True)
class Wanted(attempts.Told):
    """What should run."""

    def covers(self, recorded: backtest.BacktestRun) -> bool:
        """Once Ray has it, an attempt is what was promised; before that it must still be what is declared."""
        return recorded.address == self.address and (recorded.submitted or recorded.config_hash == self.config_hash)

    def promise(self, attempt: int, *, follows: backtest.BacktestRun | None) -> backtest.BacktestRun:
        """Record a new attempt."""
        return self.first(backtest.BacktestRun, "backtest", attempt, follows=follows)

    def bury(self, dead: backtest.BacktestRun, job: port.Job | None, why: str) -> tuple[backtest.BacktestRun, float]:  # noqa: ARG002 - the condition says why
        """Count the failures."""
        return attempts.failed(dead, failures=dead.failures + 1, first_s=_FIRST_DELAY_S, longest_s=_LONGEST_DELAY_S)


def decide(observed: Observed, *, now: dt.datetime) -> decision.Decision:
    """Say what the next step for this Backtest is."""
    current = observed.status
    if observed.manifest["metadata"].get("deletionTimestamp") or current.phase in OVER:
        # Deleted: somebody else's finalizer holds it; for us it is gone, and the sweep stops its job.
        return decision.Decision(None, again_s=_OVER_S)
    try:
        spec = backtest.BacktestSpec.model_validate(observed.manifest["spec"])
    except pydantic.ValidationError as problem:
        return _wait(observed, conditions.violation_of(problem), now=now)
    if current.run is not None and observed.outcome is not None:
        over = _over(observed, spec, current.run, observed.outcome, now=now)
        if over is not None:
            return over
    tested = references.tested(
        spec.strategy_ref,
        environment_manifest=observed.environment,
        strategy_manifest=observed.strategy,
        policy_manifest=observed.policy,
        model_manifest=observed.model,
    )
    if isinstance(tested, conditions.Violation):
        return _lost(observed, spec, tested, now=now)
    return _run(observed, spec, tested, now=now)


def _over(
    observed: Observed,
    spec: backtest.BacktestSpec,
    run: backtest.BacktestRun,
    outcome: artifacts.Outcome,
    *,
    now: dt.datetime,
) -> decision.Decision | None:
    """The recorded run has left a result, or a refusal that a repetition would repeat."""
    ended = run.model_copy(update={"submitted": True, "retry_at": ""})
    if outcome.result is not None:
        findings = [conditions.is_true(_READY, names.Reason.SUCCEEDED, outcome.result.hash)]
        parts = {"phase": names.Phase.SUCCEEDED.value, "run": ended, "result": outcome.result}
        return _decision(observed, [*_in_sample(spec, observed.status.subject), *findings], parts, now=now)
    if outcome.refused:
        return _fail(observed, ended, f"{run.submission_id}: {outcome.error}", now=now)
    return None


def _fail(observed: Observed, run: backtest.BacktestRun, message: str, *, now: dt.datetime) -> decision.Decision:
    findings = [
        conditions.is_false(_READY, names.Reason.BACKTEST_FAILED, message),
        conditions.is_true(_STALLED, names.Reason.BACKTEST_FAILED, f"{message}; delete it and create it again"),
    ]
    ended = run.model_copy(update={"retry_at": ""})
    return _decision(observed, findings, {"phase": names.Phase.FAILED.value, "run": ended}, now=now)


def _run(
    observed: Observed, spec: backtest.BacktestSpec, tested: references.Tested, *, now: dt.datetime
) -> decision.Decision:
    """Everything is there: bring the one job to life, or look at it."""
    current = observed.status
    config = render.backtest_config(
        observed.manifest,
        strategy=tested.strategy,
        references=(tested.model, tested.policy),
        trials=tested.trials,
    )
    wanted = Wanted(observed.uid, observed.generation, tested.address, render.backtest_hash(config))
    known = () if current.run is None else (current.run.attempt,)
    highest = attempts.highest_attempt(observed.uid, observed.generation, observed.jobs, known=known)
    said = "" if observed.outcome is None else observed.outcome.error
    step = attempts.advance(wanted, current.run, observed.jobs, highest=highest, now=now, said=said)
    if step.phase is attempts.Phase.DEAD and step.recorded is not None and step.recorded.failures >= ATTEMPTS:
        why = step.message.rpartition("; next attempt at ")[0]
        return _fail(observed, step.recorded, f"{why}; the last of {ATTEMPTS} attempts", now=now)
    actions: list[decision.Action] = [decision.StopJob(*each) for each in step.stop]
    subject = current.subject
    if step.submit and step.recorded is not None:
        subject = _subject(tested)
        submission = render.backtest_submission(
            config,
            step.recorded,
            variables=observed.settings.training_variables,
            namespace=observed.settings.namespace,
        )
        actions.append(decision.SubmitJob(tested.address, submission))
    phase = names.Phase.RUNNING if step.phase is attempts.Phase.RUNNING else names.Phase.PENDING
    unknown = step.phase is attempts.Phase.UNKNOWN
    parts = {
        "phase": current.phase if unknown and current.phase else phase.value,
        "subject": subject,
        "run": step.recorded,
    }
    findings = [*_in_sample(spec, subject), *_of_step(step)]
    return _decision(observed, findings, parts, tuple(actions), now=now)


def _lost(
    observed: Observed, spec: backtest.BacktestSpec, violation: conditions.Violation, *, now: dt.datetime
) -> decision.Decision:
    """A reference is not there: no job starts, and one that runs goes on with what it was told."""
    run = observed.status.run
    job = None if run is None else (observed.jobs.get(run.address) or {}).get(run.submission_id)
    if run is None or job is None or not job.alive:
        return _wait(observed, violation, now=now)
    findings = [
        *_in_sample(spec, observed.status.subject),
        *_progress(names.Reason.RUNNING, f"{run.submission_id}; meanwhile {violation.message}"),
    ]
    parts = {"phase": names.Phase.RUNNING.value, "run": run.model_copy(update={"submitted": True})}
    return _decision(observed, findings, parts, now=now)


def _wait(observed: Observed, violation: conditions.Violation, *, now: dt.datetime) -> decision.Decision:
    """Something must change first; a Model that is being made comes by itself."""
    findings = [conditions.is_false(_READY, violation.reason, violation.message)]
    waits = _PROGRESSING if violation.reason is names.Reason.MODEL_NOT_READY else _STALLED
    findings.append(conditions.is_true(waits, violation.reason, violation.message))
    return _decision(observed, findings, {"phase": names.Phase.PENDING.value}, now=now)


def _of_step(step: attempts.Step[backtest.BacktestRun]) -> tuple[conditions.Finding, ...]:
    match step.phase:
        case attempts.Phase.UNKNOWN:
            return (conditions.is_unknown(_READY, names.Reason.RAY_UNREACHABLE, step.message),)
        case attempts.Phase.STOPPING:
            return _progress(names.Reason.STOPPING, step.message)
        case attempts.Phase.DEAD:
            return _progress(names.Reason.JOB_FAILED, step.message)
        case attempts.Phase.RUNNING:
            return _progress(names.Reason.RUNNING, step.message)
        case _:
            return _progress(names.Reason.STARTING, step.message)


def _progress(reason: names.Reason, message: str) -> tuple[conditions.Finding, ...]:
    return (conditions.is_false(_READY, reason, message), conditions.is_true(_PROGRESSING, reason, message))


def _in_sample(spec: backtest.BacktestSpec, subject: backtest.Subject | None) -> Iterable[conditions.Finding]:
    """A Model that has seen the period knows the answers."""
    if subject is None or subject.model is None or subject.trained_until is None:
        return
    if spec.from_ >= subject.trained_until:
        return
    message = (
        f"from: must not be before the end of Model {subject.model.name}'s training ({subject.trained_until}) "
        f"for a result out of sample, got {spec.from_}"
    )
    yield conditions.is_true(_DEGRADED, names.Reason.IN_SAMPLE, message)


def _subject(tested: references.Tested) -> backtest.Subject:
    metadata = tested.strategy["metadata"]
    return backtest.Subject(
        strategy_uid=metadata["uid"],
        strategy_generation=metadata["generation"],
        model=tested.model and strategy.ServingModel(name=tested.model["name"], digest=tested.model["digest"]),
        policy=strategy.BoundPolicy(name=tested.policy["name"], hash=tested.policy["hash"]),
        trained_until=tested.trained_until,
    )


def _decision(
    observed: Observed,
    findings: Iterable[conditions.Finding],
    parts: Json,
    actions: tuple[decision.Action, ...] = (),
    *,
    now: dt.datetime,
) -> decision.Decision:
    """Write the whole status; what ``parts`` leaves out stays as it is."""
    at_rest = (
        conditions.is_false(_PROGRESSING, names.Reason.SETTLED),
        conditions.is_false(_STALLED, names.Reason.SETTLED),
        conditions.is_false(_DEGRADED, names.Reason.HEALTHY),
    )
    current = observed.status
    kept = {"subject": current.subject, "run": current.run, "result": current.result}
    written = backtest.BacktestStatus(
        observed_generation=observed.generation,
        conditions=conditions.dated((*at_rest, *findings), current.conditions, generation=observed.generation, now=now),
        **(kept | parts),
    )
    submits = any(isinstance(action, decision.SubmitJob) for action in actions)
    again_s = 0.0 if submits else _OVER_S if written.phase in OVER else decision.SOON_S
    return decision.Decision(written, actions, again_s=again_s)
