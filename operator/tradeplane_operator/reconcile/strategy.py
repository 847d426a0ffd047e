"""Strategy: what it refers to is resolved, one job acts, and the gateway says what became of it."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pydantic

from tradeplane_api import names, status, strategy
from tradeplane_operator import conditions, gateway, render, settings
from tradeplane_operator.reconcile import acting, attempts, decision, references, trading

Json = dict[str, Any]

FINALIZER_DEADLINE_S = 120.0

_READY = names.Condition.READY
_PROGRESSING = names.Condition.PROGRESSING
_STALLED = names.Condition.STALLED
_DEGRADED = names.Condition.DEGRADED
_BOUND = names.Condition.RISK_POLICY_BOUND
_MODELS = names.Condition.MODELS_READY


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that decides about one Strategy.

    jobs : this Strategy's jobs by address
    state : the gateway's word, None while it gives none
    """

    manifest: Json
    environment: Json | None
    policy: Json | None
    model: Json | None
    jobs: attempts.Found
    state: gateway.State | None
    settings: settings.Settings

    @property
    def uid(self) -> str:
        """Identity of the object."""
        return str(self.manifest["metadata"]["uid"])

    @property
    def generation(self) -> int:
        """Generation of its spec."""
        return int(self.manifest["metadata"]["generation"])

    @property
    def holds_finalizer(self) -> bool:
        """Whether deletion waits for us."""
        return names.FINALIZER_ORDERS in (self.manifest["metadata"].get("finalizers") or ())

    @property
    def status(self) -> strategy.StrategyStatus:
        """Status as it stands."""
        return conditions.parsed_status(strategy.StrategyStatus, self.manifest)


def decide(observed: Observed, *, now: dt.datetime) -> decision.Decision:
    """Say what the next step for this Strategy is."""
    if observed.manifest["metadata"].get("deletionTimestamp"):
        return _leave(observed, now=now)
    try:
        spec = strategy.StrategySpec.model_validate(observed.manifest["spec"])
    except pydantic.ValidationError as problem:
        return _refused(observed, conditions.violation_of(problem), now=now)
    if not observed.holds_finalizer:
        # Before the first job: from then on a deletion waits until its orders are gone.
        written = _written(observed, [_starting("the finalizer is being set")], now=now)
        return decision.Decision(written, (decision.SetFinalizer(present=True),), again_s=0)
    resolved = references.resolve(
        spec,
        environment_manifest=observed.environment,
        policy_manifest=observed.policy,
        model_manifest=observed.model,
        serve_url=observed.settings.serve_url,
    )
    if spec.suspend:
        return _suspend(observed, resolved, now=now)
    if resolved.first_violation is not None:
        return _blocked(observed, resolved, now=now)
    return _run(observed, resolved, now=now)


def _run(observed: Observed, resolved: references.Resolved, *, now: dt.datetime) -> decision.Decision:
    """Everything is there: bring the one job to life, or look at it."""
    if resolved.address is None or resolved.policy is None:
        raise AssertionError("a resolved reference is missing")
    recorded = observed.status.job
    config = render.strategy_config(
        observed.manifest,
        environment=observed.settings.environment,
        attempt=0,
        references=(resolved.model, resolved.policy),
    )
    wanted = acting.Wanted(observed.uid, observed.generation, resolved.address, render.config_hash(config))
    step = attempts.advance(wanted, recorded, observed.jobs, highest=_highest(observed), now=now)
    actions: list[decision.Action] = [decision.StopJob(*each) for each in step.stop]
    if step.submit and step.recorded is not None:
        submission = render.strategy_submission(
            {**config, "attempt": step.recorded.attempt},
            variables=observed.settings.strategy_variables,
            namespace=observed.settings.namespace,
        )
        actions.append(decision.SubmitJob(resolved.address, submission))
    findings = [*_bound(resolved), *_at_rest(), *_of_trading(observed), *_of_step(observed, step)]
    written = _written(
        observed, findings, now=now, resolved=resolved, job=step.recorded, plan=_plan(observed, wanted, step)
    )
    return decision.Decision(written, tuple(actions), again_s=0 if step.submit else _again(written))


def _suspend(observed: Observed, resolved: references.Resolved, *, now: dt.datetime) -> decision.Decision:
    """The asked-for state is: no process, nothing may leave."""
    step = attempts.end(observed.jobs, observed.status.job)
    ready = {
        attempts.Phase.STOPPED: conditions.is_true(_READY, names.Reason.SUSPENDED, "suspend is true"),
        attempts.Phase.STOPPING: conditions.is_false(_READY, names.Reason.STOPPING, step.message),
    }.get(step.phase, conditions.is_unknown(_READY, names.Reason.RAY_UNREACHABLE, step.message))
    findings = [*_bound(resolved), *_at_rest(), ready]
    plan = None
    if step.phase is not attempts.Phase.STOPPED:
        findings.append(conditions.is_true(_PROGRESSING, names.Reason.STOPPING, step.message))
        plan = _planned(observed, names.PlanAction.STOP, f"suspend is true: {step.message}")
    findings.append(conditions.is_true(names.Condition.TRADING_HALTED, names.Reason.SUSPENDED, "suspend is true"))
    written = _written(observed, findings, now=now, resolved=resolved, job=step.recorded, plan=plan, state="halted")
    return decision.Decision(written, tuple(decision.StopJob(*each) for each in step.stop), again_s=_again(written))


def _blocked(observed: Observed, resolved: references.Resolved, *, now: dt.datetime) -> decision.Decision:
    """A reference is not there: no new job starts, and one that runs goes on under the last declared state."""
    violation = resolved.first_violation
    if violation is None:
        raise AssertionError("nothing is violated")
    findings = [*_bound(resolved), *_at_rest(), *_of_trading(observed)]
    findings.append(conditions.is_false(_READY, violation.reason, violation.message))
    if violation.reason is names.Reason.MODEL_NOT_READY:
        findings.append(conditions.is_true(_PROGRESSING, violation.reason, violation.message))
    else:
        findings.append(conditions.is_true(_STALLED, violation.reason, violation.message))
    job = observed.status.job
    plan = None
    if job is not None and job.generation != observed.generation:
        plan = _planned(observed, names.PlanAction.REFUSED, f"{job.submission_id} goes on: {violation.message}")
    written = _written(observed, findings, now=now, resolved=resolved, job=job, plan=plan)
    return decision.Decision(written, again_s=decision.SOON_S)


def _refused(observed: Observed, violation: conditions.Violation, *, now: dt.datetime) -> decision.Decision:
    findings = [
        *_at_rest(),
        *_of_trading(observed),
        conditions.is_false(_READY, violation.reason, violation.message),
        conditions.is_true(_STALLED, violation.reason, violation.message),
    ]
    plan = _planned(observed, names.PlanAction.REFUSED, violation.message)
    return decision.Decision(_written(observed, findings, now=now, job=observed.status.job, plan=plan))


def _leave(observed: Observed, *, now: dt.datetime) -> decision.Decision:
    """Being deleted: the job first, then the orders, then the finalizer; after the deadline without them."""
    if not observed.holds_finalizer:
        return decision.Decision(None)
    step = attempts.end(observed.jobs, observed.status.job)
    orders = None if observed.state is None else observed.state.open_orders(observed.uid)
    stops = tuple(decision.StopJob(*each) for each in step.stop)
    if step.phase is attempts.Phase.STOPPED and orders == 0:
        return decision.Decision(None, (decision.SetFinalizer(present=False),))
    waiting = f"job: {step.message or 'stopped'}; open orders: {'unknown' if orders is None else orders}"
    age_s = (now - conditions.moment(observed.manifest["metadata"]["deletionTimestamp"])).total_seconds()
    if age_s >= FINALIZER_DEADLINE_S:
        message = f"deleted after {FINALIZER_DEADLINE_S:.0f} s without proof: {waiting}"
        forced = decision.Emit(names.EventReason.FORCED, message, warning=True)
        return decision.Decision(None, (*stops, forced, decision.SetFinalizer(present=False)))
    findings = [
        *_at_rest(),
        conditions.is_false(_READY, names.Reason.DELETING, waiting),
        conditions.is_true(_PROGRESSING, names.Reason.DELETING, waiting),
        conditions.is_true(names.Condition.TRADING_HALTED, names.Reason.DELETING, "the Strategy is being deleted"),
    ]
    plan = _planned(observed, names.PlanAction.STOP, "the Strategy is being deleted")
    written = _written(observed, findings, now=now, job=step.recorded, plan=plan, state="halted")
    return decision.Decision(written, stops, again_s=decision.SOON_S)


def _highest(observed: Observed) -> int:
    known = []
    job = observed.status.job
    if job is not None and job.generation == observed.generation:
        known.append(job.attempt)
    view = None if observed.state is None else observed.state.strategy(observed.uid)
    if view is not None and view.generation == observed.generation:
        known.append(view.attempt)
    return attempts.highest_attempt(observed.uid, observed.generation, observed.jobs, known=tuple(known))


def _starting(message: str) -> conditions.Finding:
    return conditions.is_false(_READY, names.Reason.STARTING, message)


def _at_rest() -> list[conditions.Finding]:
    """What holds unless a later finding says otherwise."""
    return [
        conditions.is_false(_PROGRESSING, names.Reason.SETTLED),
        conditions.is_false(_STALLED, names.Reason.SETTLED),
        conditions.is_false(_DEGRADED, names.Reason.HEALTHY),
    ]


def _bound(resolved: references.Resolved) -> list[conditions.Finding]:
    """RiskPolicyBound and ModelsReady."""
    findings = []
    if resolved.entrypoint:
        findings.append(conditions.is_true(_MODELS, names.Reason.NO_MODELS, f"decided by {resolved.entrypoint}"))
    for kind, reason, part in (
        (_BOUND, names.Reason.BOUND, resolved.policy),
        (_MODELS, names.Reason.MODELS_SERVING, resolved.model),
    ):
        violation = resolved.violations.get(kind)
        if violation is not None:
            findings.append(conditions.is_false(kind, violation.reason, violation.message))
        elif part is not None:
            findings.append(conditions.is_true(kind, reason, part.get("digest") or part.get("hash", "")))
    return findings


def _of_trading(observed: Observed) -> list[conditions.Finding]:
    """TradingHalted, and Degraded for a limit that refused an order of the last decision."""
    if observed.state is None:
        return [
            trading.unknown(),
            conditions.is_true(_DEGRADED, names.Reason.GATEWAY_UNREACHABLE, "the gateway does not answer"),
        ]
    findings = [trading.halted(*observed.state.trading(observed.uid))]
    view = observed.state.strategy(observed.uid)
    if view is not None and view.breach is not None:
        breach = view.breach
        message = f"{breach.reason}: limit {breach.limit}, got {breach.value}, at {breach.trigger}"
        findings.append(conditions.is_true(_DEGRADED, names.Reason.RISK_LIMIT_HIT, message))
    return findings


def _of_step(observed: Observed, step: attempts.Step[strategy.StrategyJob]) -> Iterable[conditions.Finding]:
    """Ready, Progressing and Degraded from where the job stands."""
    match step.phase:
        case attempts.Phase.UNKNOWN:
            yield conditions.is_unknown(_READY, names.Reason.RAY_UNREACHABLE, step.message)
            yield conditions.is_true(_DEGRADED, names.Reason.RAY_UNREACHABLE, step.message)
        case attempts.Phase.STOPPING:
            yield conditions.is_false(_READY, names.Reason.STOPPING, step.message)
            yield conditions.is_true(_PROGRESSING, names.Reason.STOPPING, step.message)
        case attempts.Phase.DEAD:
            yield conditions.is_false(_READY, names.Reason.JOB_FAILED, step.message)
            yield conditions.is_true(_PROGRESSING, names.Reason.JOB_FAILED, step.message)
            yield conditions.is_true(_DEGRADED, names.Reason.JOB_FAILED, step.message)
        case attempts.Phase.RUNNING if observed.state is None:
            yield conditions.is_unknown(_READY, names.Reason.GATEWAY_UNREACHABLE, "the gateway does not answer")
        case attempts.Phase.RUNNING if _acts(observed, step.recorded):
            yield conditions.is_true(_READY, names.Reason.RUNNING, step.message)
        case _:
            yield _starting(step.message)
            yield conditions.is_true(_PROGRESSING, names.Reason.STARTING, step.message)


def _acts(observed: Observed, job: strategy.StrategyJob | None) -> bool:
    """The gateway has given this attempt its fence."""
    view = None if observed.state is None else observed.state.strategy(observed.uid)
    if view is None or job is None:
        return False
    return view.running and (view.generation, view.attempt) == (job.generation, job.attempt)


def _plan(observed: Observed, wanted: acting.Wanted, step: attempts.Step[strategy.StrategyJob]) -> status.Plan | None:
    """What is about to happen, None when nothing is."""
    if step.phase in {attempts.Phase.RUNNING, attempts.Phase.PENDING, attempts.Phase.UNKNOWN}:
        return None
    recorded = observed.status.job
    if recorded is None:
        reason = "the first attempt of this Strategy"
    elif recorded.generation != wanted.generation:
        reason = f"generation {wanted.generation} follows {recorded.submission_id}"
    elif recorded.config_hash != wanted.config_hash:
        reason = f"what its Model serves changed: a new attempt follows {recorded.submission_id}"
    elif recorded.address != wanted.address:
        reason = f"its pool is now at {wanted.address}"
    else:
        reason = f"follows {recorded.submission_id}" if step.phase is attempts.Phase.DEAD else f"{step.message}"
    return _planned(observed, names.PlanAction.NEW_ATTEMPT, reason)


def _planned(observed: Observed, action: names.PlanAction, message: str) -> status.Plan:
    return status.Plan(generation=observed.generation, action=action.value, message=message[:1024])


def _written(
    observed: Observed, findings: Iterable[conditions.Finding], *, now: dt.datetime, **parts: Any
) -> strategy.StrategyStatus:
    """The whole status; parts are resolved, job, plan and state."""
    resolved: references.Resolved | None = parts.get("resolved")
    policy: Mapping[str, Any] | None = None if resolved is None else resolved.policy
    served: Mapping[str, Any] | None = None if resolved is None else resolved.model
    state = parts.get("state")
    if state is None and observed.state is not None:
        state = observed.state.trading(observed.uid)[0]
    return strategy.StrategyStatus(
        observed_generation=observed.generation,
        conditions=conditions.dated(findings, observed.status.conditions, generation=observed.generation, now=now),
        state=state,
        models=() if served is None else (strategy.ServingModel(name=served["name"], digest=served["digest"]),),
        policy=None if policy is None else strategy.BoundPolicy(name=policy["name"], hash=policy["hash"]),
        job=parts.get("job"),
        plan=parts.get("plan"),
    )


def _again(written: strategy.StrategyStatus) -> float:
    """Soon while something is under way or not as asked for."""
    by_type = {condition.type: condition.status for condition in written.conditions}
    settled = by_type.get(_READY.value) == "True" and by_type.get(_PROGRESSING.value) == "False"
    return decision.REST_S if settled else decision.SOON_S
