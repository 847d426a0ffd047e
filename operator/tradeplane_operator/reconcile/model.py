"""Model: an artifact is trained or taken, then served; a new version replaces the old one only when it answers."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pydantic

from tradeplane_api import model, names, status
from tradeplane_operator import artifacts, conditions, render, settings
from tradeplane_operator.ray import port
from tradeplane_operator.reconcile import attempts, decision, references, serving, training

Json = dict[str, Any]

_READY = names.Condition.READY
_PROGRESSING = names.Condition.PROGRESSING
_STALLED = names.Condition.STALLED
_DEGRADED = names.Condition.DEGRADED


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that decides about one Model.

    models : all Models of the namespace, because they share one Serve configuration
    symbols : of the Strategies that name this Model
    jobs : this Model's jobs in the research pool, None when it did not answer
    result : of the recorded training run
    artifact_exists : of ``source.artifact``, None where it is not the source or the store did not answer
    serve : what the inference pool runs, None when it did not answer
    """

    manifest: Json
    models: tuple[Json, ...]
    environment: Json | None
    symbols: tuple[str, ...]
    jobs: Mapping[str, port.Job] | None
    result: artifacts.RunResult | None
    artifact_exists: bool | None
    serve: port.Serve | None
    settings: settings.Settings

    @property
    def generation(self) -> int:
        """Generation of its spec."""
        return int(self.manifest["metadata"]["generation"])

    @property
    def name(self) -> str:
        """Name of the object."""
        return str(self.manifest["metadata"]["name"])

    @property
    def status(self) -> model.ModelStatus:
        """Status as it stands."""
        return conditions.parsed_status(model.ModelStatus, self.manifest)


@dataclass(frozen=True, slots=True)
class _Sourcing:
    """The version to serve, and what is being done to get the declared one."""

    version: model.Version | None
    run: model.TrainingRun | None
    findings: tuple[conditions.Finding, ...] = ()
    actions: tuple[decision.Action, ...] = ()
    plan: status.Plan | None = None
    submits: bool = False


def decide(observed: Observed, *, now: dt.datetime) -> decision.Decision:
    """Say what the next step for this Model is."""
    if observed.manifest["metadata"].get("deletionTimestamp"):
        # Somebody else's finalizer holds it; for us it is gone, and the sweep stops its jobs.
        return decision.Decision(None)
    try:
        spec = model.ModelSpec.model_validate(observed.manifest["spec"])
    except pydantic.ValidationError as problem:
        violation = conditions.violation_of(problem)
        kept = _Sourcing(observed.status.active, observed.status.training, _refusing(violation))
        return _finish(observed, kept, observed.status.serving, (), now=now)
    sourcing = _take(observed, spec) if spec.source.artifact is not None else _train(observed, spec, now=now)
    served, findings, actions = _serve(observed, spec, sourcing, now=now)
    combined = _Sourcing(
        sourcing.version,
        sourcing.run,
        (*findings, *sourcing.findings),
        (*sourcing.actions, *actions),
        sourcing.plan or _serving_plan(observed, spec, sourcing.version),
        sourcing.submits,
    )
    return _finish(observed, combined, served, tuple(combined.actions), now=now)


def _take(observed: Observed, spec: model.ModelSpec) -> _Sourcing:
    """source.artifact: made elsewhere, named by its digest."""
    artifact = spec.source.artifact
    if artifact is None:
        raise AssertionError("source.artifact is missing")
    wanted = model.Version(
        digest=f"sha256:{artifact.sha256}",
        artifact=artifact.uri,
        spec_hash=render.training_hash(spec),
        features=spec.features,
    )
    active = observed.status.active
    if active == wanted or observed.artifact_exists:
        return _Sourcing(wanted, None)
    if observed.artifact_exists is None:
        violation = conditions.Violation(
            names.Reason.ARTIFACTS_UNREACHABLE, f"source.artifact.uri: the store of {artifact.uri} does not answer"
        )
    else:
        violation = conditions.Violation(
            names.Reason.ARTIFACT_MISSING, f"source.artifact.uri: must exist, got {artifact.uri}"
        )
    return _Sourcing(active, None, _refusing(violation), plan=_planned(observed, violation))


def _train(observed: Observed, spec: model.ModelSpec, *, now: dt.datetime) -> _Sourcing:
    """source.training: made by a Ray job, unless the active version was made by the same training."""
    current = observed.status
    spec_hash = render.training_hash(spec)
    if current.active is not None and current.active.spec_hash == spec_hash:
        return _Sourcing(current.active, current.training)
    address = references.pool_address(observed.environment, "research")
    violation = address if isinstance(address, conditions.Violation) else None
    if not observed.symbols:
        message = "no Strategy names this Model, so there are no symbols to train on; apply one that does"
        violation = conditions.Violation(names.Reason.NO_SYMBOLS, message)
    if violation is not None or isinstance(address, conditions.Violation):
        refused = violation or address
        if not isinstance(refused, conditions.Violation):
            raise AssertionError("nothing is violated")
        return _Sourcing(current.active, current.training, _refusing(refused), plan=_planned(observed, refused))
    uid = str(observed.manifest["metadata"]["uid"])
    wanted = training.Wanted(uid, observed.generation, address, spec_hash, observed.symbols)
    step = training.advance(wanted, current.training, observed.jobs, observed.result, now=now)
    actions: list[decision.Action] = [decision.StopJob(*each) for each in step.stop]
    if step.submit and step.recorded is not None:
        submission = render.training_submission(
            render.training_config(observed.manifest, step.recorded),
            variables=observed.settings.training_variables,
            namespace=observed.settings.namespace,
        )
        actions.append(decision.SubmitJob(address, submission))
    made = None
    if step.phase is attempts.Phase.DONE and step.recorded is not None and observed.result is not None:
        made = training.version(spec, step.recorded, observed.result)
    return _Sourcing(
        made or current.active,
        step.recorded,
        tuple(_of_training(current.active, step)),
        tuple(actions),
        _training_plan(observed, step),
        submits=step.submit,
    )


def _of_training(active: model.Version | None, step: attempts.Step[model.TrainingRun]) -> Iterable[conditions.Finding]:
    match step.phase:
        case attempts.Phase.DONE:
            return
        case attempts.Phase.UNKNOWN:
            yield conditions.is_unknown(_READY, names.Reason.RAY_UNREACHABLE, step.message)
            yield conditions.is_true(_DEGRADED, names.Reason.RAY_UNREACHABLE, step.message)
        case attempts.Phase.DEAD:
            yield conditions.is_false(_READY, names.Reason.TRAINING_FAILED, step.message)
            yield conditions.is_true(_DEGRADED, names.Reason.TRAINING_FAILED, step.message)
            if step.recorded is not None and step.recorded.attempt >= training.STALLED_AFTER:
                yield conditions.is_true(_STALLED, names.Reason.TRAINING_FAILED, step.message)
            else:
                yield conditions.is_true(_PROGRESSING, names.Reason.TRAINING_FAILED, step.message)
        case _:
            previous = "" if active is None else f"; {active.digest} still answers"
            message = _progress(step)
            yield conditions.is_false(_READY, names.Reason.TRAINING, f"{message}{previous}")
            yield conditions.is_true(_PROGRESSING, names.Reason.TRAINING, message)


def _progress(step: attempts.Step[model.TrainingRun]) -> str:
    """Say what the run is doing; on which symbols once there is a job."""
    if step.recorded is None or step.phase not in {attempts.Phase.PENDING, attempts.Phase.RUNNING}:
        return step.message
    return f"{step.message} on {', '.join(step.recorded.symbols)}"


def _serve(
    observed: Observed, spec: model.ModelSpec, sourcing: _Sourcing, *, now: dt.datetime
) -> tuple[model.ServingStatus | None, tuple[conditions.Finding, ...], tuple[decision.Action, ...]]:
    """Bring the version to Serve and read back what answers."""
    if sourcing.version is None:
        return None, (), ()
    address = references.pool_address(observed.environment, "inference")
    if isinstance(address, conditions.Violation):
        return observed.status.serving, _refusing(address), ()
    if observed.serve is None:
        message = f"Ray at {address} does not answer"
        unknown = conditions.is_unknown(_READY, names.Reason.RAY_UNREACHABLE, message)
        degraded = conditions.is_true(_DEGRADED, names.Reason.RAY_UNREACHABLE, message)
        return observed.status.serving, (unknown, degraded), ()
    variables = observed.settings.model_variables
    wanted = serving.applications(observed.models, variables=variables)
    application = render.application(
        observed.name, sourcing.version, max_batch=spec.serving.max_batch, variables=variables
    )
    wanted[application["name"]] = application
    place = serving.Place(observed.settings.namespace, observed.settings.serve_url, starts=True, now_s=now.timestamp())
    planned = serving.plan(wanted, observed.serve, place)
    if planned.violation is not None:
        return None, _refusing(planned.violation), ()
    actions = (decision.EnsureServe(address),) if planned.config is not None else ()
    served, findings = _read_back(observed, application, sourcing.version)
    return served, findings, actions


def _read_back(
    observed: Observed, wanted: Json, version: model.Version
) -> tuple[model.ServingStatus | None, tuple[conditions.Finding, ...]]:
    """What answers now: the wanted version, the previous one while the new one comes up, or nothing."""
    found = None if observed.serve is None else observed.serve.applications.get(wanted["name"])
    before = observed.status.serving
    if found is None:
        return None, _deploying(f"{wanted['name']}: not deployed yet")
    if found.status == "DEPLOY_FAILED":
        message = f"{found.name}: {found.message[-1500:]}"
        findings = (
            conditions.is_false(_READY, names.Reason.DEPLOY_FAILED, message),
            conditions.is_true(_STALLED, names.Reason.DEPLOY_FAILED, message),
        )
        return None, findings
    if not render.is_part(wanted, found.config):
        return before, _deploying(f"{found.name}: {found.status} with the previous version")
    if found.status == "RUNNING" and found.deployments_healthy and found.replicas > 0:
        served = model.ServingStatus(
            digest=version.digest,
            url=render.model_url(observed.settings.serve_url, observed.name),
            replicas=found.replicas,
        )
        return served, (conditions.is_true(_READY, names.Reason.SERVING, version.digest),)
    return (before if found.replicas else None), _deploying(f"{found.name}: {found.status} {found.message[-500:]}")


def _deploying(message: str) -> tuple[conditions.Finding, ...]:
    return (
        conditions.is_false(_READY, names.Reason.DEPLOYING, message),
        conditions.is_true(_PROGRESSING, names.Reason.DEPLOYING, message),
    )


def _refusing(violation: conditions.Violation) -> tuple[conditions.Finding, ...]:
    return (
        conditions.is_false(_READY, violation.reason, violation.message),
        conditions.is_true(_STALLED, violation.reason, violation.message),
    )


def _finish(
    observed: Observed,
    sourcing: _Sourcing,
    served: model.ServingStatus | None,
    actions: tuple[decision.Action, ...],
    *,
    now: dt.datetime,
) -> decision.Decision:
    findings = [
        conditions.is_unknown(_READY, names.Reason.PENDING),
        conditions.is_false(_PROGRESSING, names.Reason.SETTLED),
        conditions.is_false(_STALLED, names.Reason.SETTLED),
        conditions.is_false(_DEGRADED, names.Reason.HEALTHY),
        *sourcing.findings,
    ]
    written = model.ModelStatus(
        observed_generation=observed.generation,
        conditions=conditions.dated(findings, observed.status.conditions, generation=observed.generation, now=now),
        active=sourcing.version,
        serving=served,
        training=sourcing.run,
        plan=sourcing.plan,
    )
    by_type = {condition.type: condition.status for condition in written.conditions}
    settled = by_type[_READY.value] == "True" and not actions
    again_s = 0 if sourcing.submits else decision.REST_S if settled else decision.SOON_S
    return decision.Decision(written, actions, again_s=again_s)


def _planned(observed: Observed, violation: conditions.Violation) -> status.Plan | None:
    active = observed.status.active
    if active is None:
        return None
    message = f"{active.digest} goes on: {violation.message}"[:1024]
    return status.Plan(generation=observed.generation, action=names.PlanAction.REFUSED.value, message=message)


def _training_plan(observed: Observed, step: attempts.Step[model.TrainingRun]) -> status.Plan | None:
    if step.phase is attempts.Phase.DONE:
        return None
    message = _progress(step)[:1024]
    return status.Plan(generation=observed.generation, action=names.PlanAction.TRAIN.value, message=message)


def _serving_plan(observed: Observed, spec: model.ModelSpec, version: model.Version | None) -> status.Plan | None:
    """A changed user_config acts in place; anything else about an application restarts its replicas."""
    found = None
    if observed.serve is not None:
        found = observed.serve.applications.get(render.application_name(observed.name))
    if version is None or found is None:
        return None
    wanted = render.application(
        observed.name, version, max_batch=spec.serving.max_batch, variables=observed.settings.model_variables
    )
    if render.is_part(wanted, found.config):
        return None
    action = names.PlanAction.IN_PLACE
    if not render.is_part(_without_user_config(wanted), found.config):
        action = names.PlanAction.REPLICA_RESTART
    message = f"{found.name} gets {version.digest}, max_batch {spec.serving.max_batch}"
    return status.Plan(generation=observed.generation, action=action.value, message=message)


def _without_user_config(application: Json) -> Json:
    deployments = [
        {key: value for key, value in deployment.items() if key != "user_config"}
        for deployment in application["deployments"]
    ]
    return {**application, "deployments": deployments}
