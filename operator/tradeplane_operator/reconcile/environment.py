"""Environment: valid, the one of this installation, its policy bound, its gateway leading and reconciled.

The trading part of the status is the gateway's; this reconciler neither writes nor compares it.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pydantic

from tradeplane_api import environment, names
from tradeplane_operator import canonical, conditions, gateway
from tradeplane_operator.reconcile import decision, risk_policy, trading

Json = dict[str, Any]

_READY = names.Condition.READY
_BOUND = names.Condition.RISK_POLICY_BOUND


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that decides about one Environment; ``silent`` are addresses of pools that did not answer."""

    manifest: Json
    policy: Json | None
    state: gateway.State | None
    silent: tuple[str, ...]
    name: str


def decide(observed: Observed, *, now: dt.datetime) -> decision.Decision:
    """Say what to write about this Environment."""
    metadata = observed.manifest["metadata"]
    own = {key: value for key, value in (observed.manifest.get("status") or {}).items() if key != "trading"}
    before = conditions.parsed_status(environment.EnvironmentStatus, {"status": own})
    findings = [
        conditions.is_false(names.Condition.PROGRESSING, names.Reason.SETTLED),
        conditions.is_false(names.Condition.STALLED, names.Reason.SETTLED),
        conditions.is_false(names.Condition.DEGRADED, names.Reason.HEALTHY),
        *_findings(observed),
    ]
    written = environment.EnvironmentStatus(
        observed_generation=metadata["generation"],
        conditions=conditions.dated(findings, before.conditions, generation=metadata["generation"], now=now),
    )
    ready = next(condition for condition in written.conditions if condition.type == _READY)
    return decision.Decision(written, again_s=decision.REST_S if ready.status == "True" else decision.SOON_S)


def _findings(observed: Observed) -> Iterable[conditions.Finding]:
    violation = _violation(observed)
    if violation is not None:
        yield conditions.is_false(_READY, violation.reason, violation.message)
        yield conditions.is_true(names.Condition.STALLED, violation.reason, violation.message)
        if violation.reason in {names.Reason.POLICY_NOT_FOUND, names.Reason.POLICY_REFUSED}:
            yield conditions.is_false(_BOUND, violation.reason, violation.message)
    elif observed.policy is not None:
        yield conditions.is_true(_BOUND, names.Reason.BOUND, canonical.digest(observed.policy["spec"]))
    if observed.silent:
        message = f"Ray does not answer at {', '.join(observed.silent)}"
        yield conditions.is_true(names.Condition.DEGRADED, names.Reason.RAY_UNREACHABLE, message)
    if violation is not None and violation.reason is names.Reason.NOT_THE_ENVIRONMENT:
        return
    yield from _of_gateway(observed.state, is_valid=violation is None)


def _of_gateway(state: gateway.State | None, *, is_valid: bool) -> Iterable[conditions.Finding]:
    if state is None:
        yield trading.unknown()
        ready = conditions.is_unknown(_READY, names.Reason.GATEWAY_UNREACHABLE, "the gateway does not answer")
    else:
        yield trading.halted(*state.trading(""))
        if not state.leading:
            ready = conditions.is_false(_READY, names.Reason.GATEWAY_STARTING, "no gateway holds the epoch")
        elif not state.clean:
            differences = () if state.reconciliation is None else state.reconciliation.differences
            message = (
                f"{len(differences)} differences between ledger and broker"
                if differences
                else "no clean comparison of ledger and broker yet"
            )
            ready = conditions.is_false(_READY, names.Reason.NOT_RECONCILED, message)
        else:
            ready = conditions.is_true(_READY, names.Reason.OPERATING)
    if not is_valid:
        return
    yield ready
    if ready.status != "True":
        yield conditions.is_true(names.Condition.PROGRESSING, ready.reason, ready.message)


def _violation(observed: Observed) -> conditions.Violation | None:
    name = observed.manifest["metadata"]["name"]
    if name != observed.name:
        message = f"metadata.name: this namespace's processes serve the Environment {observed.name}, got {name}"
        return conditions.Violation(names.Reason.NOT_THE_ENVIRONMENT, message)
    try:
        spec = environment.EnvironmentSpec.model_validate(observed.manifest["spec"])
    except pydantic.ValidationError as problem:
        return conditions.violation_of(problem)
    if observed.policy is None:
        message = f"riskPolicyRef: must name a RiskPolicy of this namespace, got {spec.risk_policy_ref!r}"
        return conditions.Violation(names.Reason.POLICY_NOT_FOUND, message)
    policy = risk_policy.usable(observed.policy["spec"])
    if isinstance(policy, conditions.Violation):
        message = f"RiskPolicy {spec.risk_policy_ref}: {policy.message}"
        return conditions.Violation(names.Reason.POLICY_REFUSED, message)
    return None
