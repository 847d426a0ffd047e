"""What the operator decides about the Environment, a RiskPolicy, and when a condition's time changes."""

import datetime as dt
from typing import Any

import pytest

from support import operator_objects as objects
from tradeplane_api import environment as environment_api
from tradeplane_api import names
from tradeplane_api import risk_policy as risk_policy_api
from tradeplane_engine import errors
from tradeplane_engine.core import gate
from tradeplane_operator import carry_out, conditions, gateway
from tradeplane_operator.reconcile import decision, environment, risk_policy

Json = dict[str, Any]


def trading(**changes: Any) -> gateway.State:
    """Return the word of a gateway that leads, is reconciled and permits trading."""
    answer = {"state": "enabled", "epoch": {"number": 1}, "reconciliation": {"clean": True}, **changes}
    return gateway.State.model_validate(answer)


def decide(**changes: Any) -> environment_api.EnvironmentStatus:
    """Decide about a good Environment, but for the changes."""
    base: Json = {
        "manifest": objects.environment(),
        "policy": objects.stored("RiskPolicy"),
        "state": trading(),
        "silent": (),
        "name": "demo",
    }
    decided = environment.decide(environment.Observed(**{**base, **changes}), now=objects.NOW)
    assert isinstance(decided.status, environment_api.EnvironmentStatus)
    return decided.status


def condition(status: Any, kind: names.Condition) -> tuple[str, str, str]:
    """Read one condition."""
    it = next(each for each in status.conditions if each.type == kind.value)
    return it.status, it.reason, it.message


def test_a_leading_reconciled_gateway_makes_it_ready() -> None:
    """Policy bound, trading permitted, nothing else to say."""
    status = decide()
    assert condition(status, names.Condition.READY)[:2] == ("True", "Operating")
    assert condition(status, names.Condition.TRADING_HALTED)[:2] == ("False", "TradingEnabled")
    assert condition(status, names.Condition.RISK_POLICY_BOUND)[:2] == ("True", "Bound")
    assert status.trading is None


@pytest.mark.parametrize(
    "state,expected",
    [
        (None, ("Unknown", "GatewayUnreachable")),
        (trading(epoch={"number": 0}), ("False", "GatewayStarting")),
        (trading(epoch={"number": 3, "valid": False}), ("False", "GatewayStarting")),
        (trading(epoch=None), ("False", "GatewayStarting")),
        (trading(reconciliation={"clean": False, "differences": ["x"]}), ("False", "NotReconciled")),
        (trading(reconciliation=None), ("False", "NotReconciled")),
    ],
)
def test_ready_needs_a_leading_reconciled_gateway(state: gateway.State | None, expected: tuple[str, str]) -> None:
    """Anything less is not ready, silence is unknown."""
    assert condition(decide(state=state), names.Condition.READY)[:2] == expected


def test_what_was_not_compared_has_no_number_of_differences() -> None:
    """Before the first comparison; after it the differences are counted."""
    not_yet = decide(state=trading(reconciliation={"clean": False, "differences": []}))
    assert condition(not_yet, names.Condition.READY)[2] == "no clean comparison of ledger and broker yet"
    found = decide(state=trading(reconciliation={"clean": False, "differences": ["x"]}))
    assert condition(found, names.Condition.READY)[2] == "1 differences between ledger and broker"


def test_only_one_environment_is_this_installation() -> None:
    """A second one says so and touches nothing else."""
    status = decide(name="other")
    assert condition(status, names.Condition.READY)[:2] == ("False", "NotTheEnvironment")
    assert "got demo" in condition(status, names.Condition.STALLED)[2]


def test_a_missing_policy_is_named() -> None:
    """The account would be judged by nothing."""
    status = decide(policy=None)
    assert condition(status, names.Condition.RISK_POLICY_BOUND)[:2] == ("False", "PolicyNotFound")
    assert "'prudent'" in condition(status, names.Condition.READY)[2]


def test_a_silent_pool_degrades() -> None:
    """Trading may go on, but less works than declared."""
    status, reason, message = condition(decide(silent=(objects.RAY,)), names.Condition.DEGRADED)
    assert (status, reason) == ("True", "RayUnreachable")
    assert objects.RAY in message


def test_the_gateways_part_of_the_status_is_not_compared() -> None:
    """Another manager's change is no reason to write."""
    status = decide()
    manifest = {**objects.environment(), "status": {**status.manifest(), "trading": {"state": "halted"}}}
    assert carry_out.same_status(manifest, status)


def test_an_account_policy_that_nothing_could_act_on_is_refused() -> None:
    """The gateway halts under it; the condition names the field."""
    status = decide(policy=objects.stored("RiskPolicy", ("onBreach", {"order": "flatten"})))
    bound = condition(status, names.Condition.RISK_POLICY_BOUND)
    assert bound[:2] == ("False", "PolicyRefused")
    assert "RiskPolicy prudent: onBreach.order: must be reject" in bound[2]


def policy(
    before: Json | None = None, state: gateway.State | None = None, *, edits: tuple[tuple[str, Any], ...] = ()
) -> decision.Decision:
    """Decide about the RiskPolicy that one Strategy names."""
    manifest = objects.stored("RiskPolicy", *edits, status=before)
    strategies = (
        objects.stored("Strategy"),
        objects.stored("Strategy", ("riskPolicyRef", "other"), name="b", uid="b"),
        objects.stored("Strategy", name="gone", uid="c", deletionTimestamp="2026-11-21T12:00:00Z"),
    )
    return risk_policy.decide(risk_policy.Observed(manifest, strategies, state), now=objects.NOW)


def test_a_policy_names_its_strategies_and_its_hash() -> None:
    """Living ones that refer to it."""
    status = policy().status
    assert isinstance(status, risk_policy_api.RiskPolicyStatus)
    assert status.strategies == ("momentum",)
    assert status.hash is not None


@pytest.mark.parametrize(
    "edit,named",
    [
        (("onBreach", {"order": "halted"}), "onBreach.order"),
        (("onBreach", {"position": "reduce-only"}), "onBreach.position"),
        (("onBreach", {"portfolio": "flatten"}), "onBreach.portfolio"),
        (("onBreach", {"loss": "halted"}), "onBreach.loss"),
        (("onBreach", {"data": "halted"}), "onBreach.data"),
    ],
)
def test_a_policy_with_what_nothing_could_act_on_yet_says_so(edit: tuple[str, Any], named: str) -> None:
    """In the words of the gate, which refuses the same: a limit is never ignored."""
    status = policy(edits=(edit,)).status
    assert isinstance(status, risk_policy_api.RiskPolicyStatus)
    ready, stalled = (next(each for each in status.conditions if each.type == kind) for kind in ("Ready", "Stalled"))
    assert (ready.status, ready.reason, stalled.status) == ("False", "NotSupported", "True")
    assert ready.message.startswith(f"{named}: must be ")
    with pytest.raises(errors.ValueRefused) as refused:
        gate.limits_of(objects.stored("RiskPolicy", edit)["spec"])
    assert str(refused.value).rpartition(", got ")[0] == ready.message.rpartition(", got ")[0]


def test_a_policy_that_rejects_is_ready() -> None:
    """Every limit that the gate judges, and a reject that is spelled out."""
    edits = (
        ("order.maxOpenOrders", 3),
        ("order.maxNotionalPerDay", "2000000"),
        ("order.maxOrdersPerDay", 50),
        ("order.collarBps", 300),
        ("order.maxPerSecond", 9),
        ("order.restricted", ["GME"]),
        ("position.maxNotional", "1"),
        ("portfolio", {"maxGross": "1.5", "maxNet": "1", "maxPositions": 2, "maxConcentration": "0.5"}),
        ("loss", {"maxDailyLoss": "0.02", "maxDrawdown": "0.1", "maxConsecutiveLosses": 3}),
        ("onBreach", {"order": "clip", "position": "clip", "loss": "reject"}),
    )
    status = policy(edits=edits).status
    assert isinstance(status, risk_policy_api.RiskPolicyStatus)
    assert next(each.status for each in status.conditions if each.type == "Ready") == "True"
    assert gate.limits_of(objects.stored("RiskPolicy", *edits)["spec"]).max_open_orders == 3


def test_a_changed_policy_is_an_event_with_both_hashes() -> None:
    """The first look at a policy is none."""
    assert policy().actions == ()
    (event,) = policy({"hash": objects.DIGEST}).actions
    assert isinstance(event, decision.Emit)
    assert event.message.startswith(f"{objects.DIGEST} -> sha256:")


def test_the_last_breach_stays_until_the_next() -> None:
    """It is history, unlike the Strategy's Degraded."""
    breach = {"reason": "gross", "limit": "1.5", "value": "2", "trigger": "2012-03-05T21:00:00Z"}
    view = {"name": "momentum", "uid": "uid-strategy", "generation": 1, "attempt": 1, "breach": breach}
    status = policy(state=trading(strategies=[view])).status
    assert isinstance(status, risk_policy_api.RiskPolicyStatus)
    assert status.last_breach is not None
    assert status.last_breach.value == "2"
    assert policy(status.manifest(), trading()).status == status


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    """A new message or generation is no transition."""
    first = conditions.dated(
        [conditions.is_true(names.Condition.READY, names.Reason.RUNNING, "a")], (), generation=1, now=objects.NOW
    )
    later = objects.NOW + dt.timedelta(hours=1)
    (same,) = conditions.dated(
        [conditions.is_true(names.Condition.READY, names.Reason.SERVING, "b")], first, generation=2, now=later
    )
    assert (same.last_transition_time, same.observed_generation) == ("2026-11-21T12:00:00Z", 2)
    (other,) = conditions.dated(
        [conditions.is_false(names.Condition.READY, names.Reason.STARTING)], first, generation=2, now=later
    )
    assert other.last_transition_time == "2026-11-21T13:00:00Z"
