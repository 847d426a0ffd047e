"""RiskPolicy: valid or not, its hash, who is bound to it, and the last limit it hit."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import pydantic

from tradeplane_api import names, risk_policy
from tradeplane_operator import canonical, conditions, gateway
from tradeplane_operator.reconcile import decision

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that decides about one RiskPolicy; ``strategies`` are all of the namespace."""

    manifest: Json
    strategies: tuple[Json, ...]
    state: gateway.State | None


def usable(spec: Json) -> risk_policy.RiskPolicySpec | conditions.Violation:
    """Read a spec; a violation where it is not valid, or has a limit or reaction that nothing could act on."""
    try:
        read = risk_policy.RiskPolicySpec.model_validate(spec)
    except pydantic.ValidationError as problem:
        return conditions.violation_of(problem)
    missing = risk_policy.not_acting(read)
    return conditions.Violation(names.Reason.NOT_SUPPORTED, missing) if missing else read


def decide(observed: Observed, *, now: dt.datetime) -> decision.Decision:
    """Say what to write about this policy; the gateway reads its spec itself."""
    metadata = observed.manifest["metadata"]
    before = conditions.parsed_status(risk_policy.RiskPolicyStatus, observed.manifest)
    spec_hash = canonical.digest(observed.manifest["spec"])
    read = usable(observed.manifest["spec"])
    if isinstance(read, conditions.Violation):
        findings = [
            conditions.is_false(names.Condition.READY, read.reason, read.message),
            conditions.is_true(names.Condition.STALLED, read.reason, read.message),
        ]
    else:
        findings = [
            conditions.is_true(names.Condition.READY, names.Reason.VALID, spec_hash),
            conditions.is_false(names.Condition.STALLED, names.Reason.SETTLED),
        ]
    findings.append(conditions.is_false(names.Condition.PROGRESSING, names.Reason.SETTLED))
    bound = [
        each["metadata"]
        for each in observed.strategies
        if each["spec"].get("riskPolicyRef") == metadata["name"] and not each["metadata"].get("deletionTimestamp")
    ]
    written = risk_policy.RiskPolicyStatus(
        observed_generation=metadata["generation"],
        conditions=conditions.dated(findings, before.conditions, generation=metadata["generation"], now=now),
        hash=spec_hash,
        strategies=tuple(sorted(each["name"] for each in bound)),
        last_breach=_last_breach({each["uid"] for each in bound}, observed.state) or before.last_breach,
    )
    actions: tuple[decision.Action, ...] = ()
    if before.hash is not None and before.hash != spec_hash:
        message = f"{before.hash} -> {spec_hash}; acts on the next order"
        actions = (decision.Emit(names.EventReason.POLICY_CHANGED, message),)
    return decision.Decision(written, actions)


def _last_breach(uids: set[str], state: gateway.State | None) -> risk_policy.Breach | None:
    """The latest breach of the bound strategies."""
    if state is None:
        return None
    found = [view for view in state.strategies if view.uid in uids and view.breach is not None]
    latest = max(found, key=lambda view: (view.breach.trigger if view.breach else "", view.name), default=None)
    if latest is None or latest.breach is None:
        return None
    return risk_policy.Breach(
        strategy=latest.name,
        reason=latest.breach.reason[:64],
        limit=latest.breach.limit[:64],
        value=latest.breach.value[:64],
        trigger=latest.breach.trigger[:40],
    )
