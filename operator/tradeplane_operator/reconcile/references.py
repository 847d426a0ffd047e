"""What a Strategy refers to: a pool, a RiskPolicy, a Model. Each is resolved or says what is in the way.

A Backtest refers to a Strategy and through it to the same, but needs a Model's artifact, not its server.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pydantic

from tradeplane_api import environment, model, names, status, strategy
from tradeplane_operator import conditions, render
from tradeplane_operator.reconcile import risk_policy

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resolved:
    """Each part is either there or violated.

    policy, model : as the job is told; no model for a Strategy whose signal is code
    entrypoint : of the code that decides, empty for a Strategy with a Model
    violations : of what is missing, by the condition that shows it; Ready for the pool
    """

    address: str | None
    policy: Json | None
    model: Json | None
    entrypoint: str
    violations: Mapping[names.Condition, conditions.Violation]

    @property
    def first_violation(self) -> conditions.Violation | None:
        """The first in the order pool, policy, model."""
        order = (names.Condition.READY, names.Condition.RISK_POLICY_BOUND, names.Condition.MODELS_READY)
        return next((self.violations[kind] for kind in order if kind in self.violations), None)


def resolve(
    spec: strategy.StrategySpec,
    *,
    environment_manifest: Json | None,
    policy_manifest: Json | None,
    model_manifest: Json | None,
    serve_url: str,
) -> Resolved:
    """Look up everything that a Strategy names."""
    violations: dict[names.Condition, conditions.Violation] = {}
    address = _address(spec, environment_manifest)
    if isinstance(address, conditions.Violation):
        violations[names.Condition.READY] = address
    policy = _policy(spec, policy_manifest)
    if isinstance(policy, conditions.Violation):
        violations[names.Condition.RISK_POLICY_BOUND] = policy
    served = None if spec.signal.model is None else _model(spec.signal.model, model_manifest, serve_url=serve_url)
    if isinstance(served, conditions.Violation):
        violations[names.Condition.MODELS_READY] = served
    return Resolved(
        address=None if isinstance(address, conditions.Violation) else address,
        policy=None if isinstance(policy, conditions.Violation) else policy,
        model=None if isinstance(served, conditions.Violation) else served,
        entrypoint="" if spec.signal.code is None else spec.signal.code.entrypoint,
        violations=violations,
    )


@dataclass(frozen=True, slots=True)
class Tested:
    """What a Backtest trades, with all that its job is told about it."""

    address: str
    strategy: Json
    policy: Json
    model: Json | None
    trials: int
    trained_until: str | None


def tested(
    name: str,
    *,
    environment_manifest: Json | None,
    strategy_manifest: Json | None,
    policy_manifest: Json | None,
    model_manifest: Json | None,
) -> Tested | conditions.Violation:
    """Look up the Strategy of a Backtest and what that names; the first violation in the order of the fields."""
    spec = _strategy(name, strategy_manifest)
    if isinstance(spec, conditions.Violation):
        return spec
    address = pool_address(environment_manifest, "research")
    if isinstance(address, conditions.Violation):
        return address
    policy = _policy(spec, policy_manifest)
    if isinstance(policy, conditions.Violation):
        return policy
    if strategy_manifest is None:
        raise AssertionError("a resolved reference is missing")
    if spec.signal.model is None:
        return Tested(address, strategy_manifest, policy, model=None, trials=1, trained_until=None)
    made = _version(spec.signal.model, model_manifest)
    if isinstance(made, conditions.Violation):
        return made
    if model_manifest is None:
        raise AssertionError("a resolved reference is missing")
    model_spec, version = made
    training = model_spec.source.training
    return Tested(
        address=address,
        strategy=strategy_manifest,
        policy=policy,
        model=render.model_reference(model_manifest, version, model_spec, url=""),
        trials=max(version.trials, 1),
        trained_until=None if training is None else training.end,
    )


def pool_address(environment_manifest: Json | None, role: str, name: str | None = None) -> str | conditions.Violation:
    """Address of a pool, or why there is none."""
    if environment_manifest is None:
        return conditions.Violation(
            names.Reason.NO_ENVIRONMENT,
            "this namespace has no Environment; apply the one that `tradeplane up` rendered",
        )
    try:
        spec = environment.EnvironmentSpec.model_validate(environment_manifest["spec"])
    except pydantic.ValidationError as problem:
        violation = conditions.violation_of(problem)
        return conditions.Violation(names.Reason.NO_ENVIRONMENT, f"the Environment is not valid: {violation.message}")
    address = spec.address(role, name)
    if address is None:
        have = ", ".join(f"{pool.name} ({pool.role})" for pool in spec.pools)
        wanted = f"pool: must name a pool of role {role} in the Environment ({have}), got {name!r}"
        unnamed = f"pools: the Environment must have one of role {role}, got {have}"
        return conditions.Violation(names.Reason.NO_POOL, unnamed if name is None else wanted)
    return address


def _address(spec: strategy.StrategySpec, environment_manifest: Json | None) -> str | conditions.Violation:
    return pool_address(environment_manifest, "execution", spec.pool)


def _strategy(name: str, manifest: Json | None) -> strategy.StrategySpec | conditions.Violation:
    if manifest is None or manifest["metadata"].get("deletionTimestamp"):
        return conditions.Violation(
            names.Reason.STRATEGY_NOT_FOUND, f"strategyRef: must name a Strategy of this namespace, got {name!r}"
        )
    try:
        return strategy.StrategySpec.model_validate(manifest["spec"])
    except pydantic.ValidationError as problem:
        violation = conditions.violation_of(problem)
        return conditions.Violation(names.Reason.STRATEGY_REFUSED, f"Strategy {name}: {violation.message}")


def _policy(spec: strategy.StrategySpec, manifest: Json | None) -> Json | conditions.Violation:
    name = spec.risk_policy_ref
    if manifest is None:
        return conditions.Violation(
            names.Reason.POLICY_NOT_FOUND, f"riskPolicyRef: must name a RiskPolicy of this namespace, got {name!r}"
        )
    policy = risk_policy.usable(manifest["spec"])
    if isinstance(policy, conditions.Violation):
        return conditions.Violation(names.Reason.POLICY_REFUSED, f"RiskPolicy {name}: {policy.message}")
    if spec.portfolio.bottom and not policy.position.allow_short:
        return conditions.Violation(
            names.Reason.POLICY_CONTRADICTS,
            f"portfolio.bottom: must be 0 under RiskPolicy {name} (position.allowShort is false), "
            f"got {spec.portfolio.bottom}",
        )
    return render.policy_reference(manifest)


def _model(name: str, manifest: Json | None, *, serve_url: str) -> Json | conditions.Violation:
    if manifest is None or manifest["metadata"].get("deletionTimestamp"):
        return conditions.Violation(
            names.Reason.MODEL_NOT_FOUND, f"signal.models[0].name: must name a Model of this namespace, got {name!r}"
        )
    current = conditions.parsed_status(model.ModelStatus, manifest)
    ready = next((each for each in current.conditions if each.type == names.Condition.READY), None)
    if current.active is None or current.serving is None or current.serving.digest != current.active.digest:
        return conditions.Violation(names.Reason.MODEL_NOT_READY, f"Model {name} serves no version: {_reason(ready)}")
    try:
        model_spec = model.ModelSpec.model_validate(manifest["spec"])
    except pydantic.ValidationError as problem:
        violation = conditions.violation_of(problem)
        return conditions.Violation(names.Reason.MODEL_NOT_READY, f"Model {name}: {violation.message}")
    return render.model_reference(manifest, current.active, model_spec, url=render.model_url(serve_url, name))


def _version(name: str, manifest: Json | None) -> tuple[model.ModelSpec, model.Version] | conditions.Violation:
    """The version that the Model's spec asks for; not one from before a pending edit."""
    if manifest is None or manifest["metadata"].get("deletionTimestamp"):
        return conditions.Violation(
            names.Reason.MODEL_NOT_FOUND, f"signal.models[0].name: must name a Model of this namespace, got {name!r}"
        )
    current = conditions.parsed_status(model.ModelStatus, manifest)
    try:
        model_spec = model.ModelSpec.model_validate(manifest["spec"])
    except pydantic.ValidationError as problem:
        violation = conditions.violation_of(problem)
        return conditions.Violation(names.Reason.MODEL_NOT_READY, f"Model {name}: {violation.message}")
    if current.active is None or current.active.spec_hash != render.training_hash(model_spec):
        ready = next((each for each in current.conditions if each.type == names.Condition.READY), None)
        return conditions.Violation(
            names.Reason.MODEL_NOT_READY, f"Model {name} has no artifact of its spec yet: {_reason(ready)}"
        )
    return model_spec, current.active


def _reason(ready: status.Condition | None) -> str:
    return "nothing is known of it yet" if ready is None else f"{ready.reason}: {ready.message}"
