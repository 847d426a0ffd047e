"""What the operator decides about a Strategy: state in, decision out."""

import datetime as dt
import json
from dataclasses import replace
from typing import Any

import pytest

from support import api_cases
from support import operator_objects as objects
from tradeplane_api import names
from tradeplane_operator import gateway, render
from tradeplane_operator.ray import port
from tradeplane_operator.reconcile import decision, strategy

HELD = {"finalizers": [names.FINALIZER_ORDERS]}
Json = dict[str, Any]


def trading(**changes: Any) -> gateway.State:
    """Return the word of a gateway that leads and permits trading."""
    answer = {"state": "enabled", "epoch": {"number": 1}, "reconciliation": {"clean": True}, **changes}
    return gateway.State.model_validate(answer)


def view(**changes: Any) -> Json:
    """Return this Strategy as a gateway shows it."""
    return {
        "name": "momentum",
        "uid": "uid-strategy",
        "generation": 1,
        "attempt": 1,
        "running": True,
        "state": "enabled",
        "open_orders": 0,
        **changes,
    }


def observed(**changes: Any) -> strategy.Observed:
    """Return a Strategy whose references are all there and which has no job yet."""
    base = strategy.Observed(
        manifest=objects.stored("Strategy", **HELD),
        environment=objects.environment(),
        policy=objects.stored("RiskPolicy"),
        model=objects.served_model(),
        jobs={objects.RAY: {}},
        state=trading(),
        settings=objects.SETTINGS,
    )
    return replace(base, **changes)


def decide(it: strategy.Observed, *, later_s: float = 0) -> decision.Decision:
    """Decide at the tests' time."""
    return strategy.decide(it, now=objects.NOW + dt.timedelta(seconds=later_s))


def condition(decided: decision.Decision, kind: names.Condition) -> tuple[str, str, str]:
    """Read one condition of the status that is to be written."""
    assert decided.status is not None
    found = {each.type: each for each in decided.status.conditions}  # type: ignore[attr-defined]
    it = found[kind.value]
    return it.status, it.reason, it.message


def after(it: strategy.Observed, decided: decision.Decision, **changes: Any) -> strategy.Observed:
    """Return what is observed next: the status is written and something else changed."""
    assert decided.status is not None
    return replace(it, manifest={**it.manifest, "status": decided.status.manifest()}, **changes)


def with_job(status: str, name: str = "strategy-uid-strategy-1-1", **fields: Any) -> dict[str, dict[str, port.Job]]:
    """Return one job at the pool's address."""
    return {objects.RAY: {name: port.Job(name, status, namespace="paper", **fields)}}


def running() -> strategy.Observed:
    """Return a Strategy whose first attempt runs and holds its fence."""
    start = observed()
    return after(start, decide(start), jobs=with_job("RUNNING"), state=trading(strategies=[view()]))


def test_the_finalizer_comes_before_the_first_job() -> None:
    """Nothing is submitted while a deletion would not wait."""
    decided = decide(observed(manifest=objects.stored("Strategy")))
    assert decided.actions == (decision.SetFinalizer(present=True),)


def test_the_first_attempt_is_promised_and_submitted() -> None:
    """The status names the attempt before Ray is asked."""
    decided = decide(observed())
    (submit,) = decided.actions
    assert isinstance(submit, decision.SubmitJob)
    assert submit.submission.submission_id == "strategy-uid-strategy-1-1"
    assert submit.submission.entrypoint == "python -m tradeplane_workers.strategy"
    assert submit.submission.variables["TRADEPLANE_GATEWAY_URL"] == "http://gateway"
    job = decided.status.job  # type: ignore[union-attr]
    assert (job.submission_id, job.submitted) == ("strategy-uid-strategy-1-1", False)


def test_a_promised_attempt_that_ray_does_not_know_is_submitted_again() -> None:
    """An operator killed between promise and submission gives the same job."""
    first = observed()
    decided = decide(first)
    assert decide(after(first, decided)).actions == decided.actions


def test_running_and_fenced_is_ready() -> None:
    """Ready needs the gateway's word, not only Ray's."""
    decided = decide(running())
    assert condition(decided, names.Condition.READY)[:2] == ("True", "Running")
    assert decided.actions == ()
    assert decided.again_s == decision.REST_S


def test_running_without_its_fence_is_not_ready() -> None:
    """The gateway still names another attempt."""
    decided = decide(replace(running(), state=trading(strategies=[view(attempt=2)])))
    assert condition(decided, names.Condition.READY)[:2] == ("False", "Starting")


def test_a_silent_gateway_makes_ready_and_halted_unknown() -> None:
    """Unknown is neither yes nor no."""
    decided = decide(replace(running(), state=None))
    assert condition(decided, names.Condition.READY)[:2] == ("Unknown", "GatewayUnreachable")
    assert condition(decided, names.Condition.TRADING_HALTED)[:2] == ("Unknown", "GatewayUnreachable")


def test_a_silent_ray_changes_nothing() -> None:
    """No job is started because the list of jobs could not be read."""
    decided = decide(replace(running(), jobs={objects.RAY: None}))
    assert decided.actions == ()
    assert condition(decided, names.Condition.READY)[:2] == ("Unknown", "RayUnreachable")


def test_a_new_generation_stops_the_old_attempt_first() -> None:
    """The plan is told, the old job is stopped, and nothing is submitted yet."""
    it = running()
    it.manifest["metadata"]["generation"] = 2
    decided = decide(it)
    assert decided.actions == (decision.StopJob(objects.RAY, "strategy-uid-strategy-1-1"),)
    plan = decided.status.plan  # type: ignore[union-attr]
    assert (plan.action, plan.generation) == ("NewAttempt", 2)
    assert "strategy-uid-strategy-1-1" in plan.message


def test_the_new_attempt_follows_the_end_of_the_old_one() -> None:
    """Once it is stopped, generation 2 begins with attempt 1."""
    it = running()
    it.manifest["metadata"]["generation"] = 2
    (submit,) = decide(replace(it, jobs=with_job("STOPPED"))).actions
    assert isinstance(submit, decision.SubmitJob)
    assert submit.submission.submission_id == "strategy-uid-strategy-2-1"


def test_another_digest_is_a_new_attempt_of_the_same_generation() -> None:
    """A process cannot learn which digest to expect but by a new attempt."""
    it = replace(running(), model=objects.served_model(objects.OTHER_DIGEST))
    assert decide(it).actions == (decision.StopJob(objects.RAY, "strategy-uid-strategy-1-1"),)
    (submit,) = decide(replace(it, jobs=with_job("STOPPED"))).actions
    assert isinstance(submit, decision.SubmitJob)
    assert submit.submission.submission_id == "strategy-uid-strategy-1-2"


def test_an_edited_policy_is_no_new_attempt() -> None:
    """The gateway reads policies itself; the next order is judged by the new one."""
    policy = objects.stored("RiskPolicy", ("order.maxNotional", "1"))
    decided = decide(replace(running(), policy=policy))
    assert decided.actions == ()
    assert decided.status.policy.hash == render.policy_reference(policy)["hash"]  # type: ignore[union-attr]


def test_a_models_generation_alone_is_no_new_attempt() -> None:
    """An edit of its batch size is none of the strategy's business."""
    assert decide(replace(running(), model=objects.served_model(generation=9))).actions == ()


def test_a_dead_job_waits_before_the_next_attempt() -> None:
    """The first delay is a second; then attempt 2."""
    it = replace(running(), jobs=with_job("FAILED", message="exit code 1"))
    decided = decide(it)
    assert decided.actions == ()
    status, reason, message = condition(decided, names.Condition.DEGRADED)
    assert (status, reason) == ("True", "JobFailed")
    assert "exit code 1" in message
    waiting = after(it, decided)
    assert decide(waiting).actions == ()
    (submit,) = decide(waiting, later_s=1).actions
    assert isinstance(submit, decision.SubmitJob)
    assert submit.submission.submission_id == "strategy-uid-strategy-1-2"


def test_delays_double_while_attempts_die_young() -> None:
    """1, 2, 4 … up to 60 s; an attempt that lived for a minute starts anew."""
    it, delays = running(), []
    for attempt in range(1, 9):
        dead = replace(it, jobs=with_job("FAILED", f"strategy-uid-strategy-1-{attempt}"))
        decided = decide(dead)
        retry_at = dt.datetime.fromisoformat(decided.status.job.retry_at)  # type: ignore[union-attr]
        delays.append((retry_at - objects.NOW).total_seconds())
        promised = decide(after(dead, decided), later_s=61)
        it = after(dead, promised)
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]
    old = replace(it, jobs=with_job("FAILED", "strategy-uid-strategy-1-9", started_s=1.0, ended_s=100.0))
    assert decide(old).status.job.failures == 1  # type: ignore[union-attr]


def test_a_job_that_ray_forgot_is_followed_by_a_higher_attempt() -> None:
    """Ray lost its GCS: the number is never used twice, because the gateway would refuse it."""
    it = running()
    once = decide(it)
    lost = after(it, once, jobs={objects.RAY: {}})
    (submit,) = decide(after(lost, decide(lost)), later_s=1).actions
    assert isinstance(submit, decision.SubmitJob)
    assert submit.submission.submission_id == "strategy-uid-strategy-1-2"


def test_attempts_count_on_from_the_gateways_and_rays() -> None:
    """A status that was lost does not bring an old number back."""
    found = with_job("STOPPED", "strategy-uid-strategy-1-4")
    decided = decide(observed(jobs=found, state=trading(strategies=[view(attempt=6)])))
    assert decided.status.job.attempt == 7  # type: ignore[union-attr]


def test_suspend_stops_the_job_and_is_then_ready() -> None:
    """The asked-for state is no process and nothing that may leave."""
    it = running()
    it.manifest["spec"] = {**it.manifest["spec"], "suspend": True}
    assert decide(it).actions == (decision.StopJob(objects.RAY, "strategy-uid-strategy-1-1"),)
    decided = decide(replace(it, jobs=with_job("STOPPED")))
    assert condition(decided, names.Condition.READY)[:2] == ("True", "Suspended")
    assert condition(decided, names.Condition.TRADING_HALTED)[:2] == ("True", "Suspended")
    assert decided.status.state == "halted"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "changes,kind,reason,words",
    [
        ({"environment": None}, names.Condition.READY, "NoEnvironment", "tradeplane up"),
        ({"policy": None}, names.Condition.RISK_POLICY_BOUND, "PolicyNotFound", "riskPolicyRef"),
        (
            {"policy": objects.stored("RiskPolicy", ("position.allowShort", False))},
            names.Condition.RISK_POLICY_BOUND,
            "PolicyContradicts",
            "portfolio.bottom: must be 0 under RiskPolicy prudent (position.allowShort is false), got 1",
        ),
        ({"model": None}, names.Condition.MODELS_READY, "ModelNotFound", "signal.models[0].name"),
        ({"model": objects.stored("Model")}, names.Condition.MODELS_READY, "ModelNotReady", "alpha"),
    ],
)
def test_a_missing_reference_is_named_and_starts_nothing(
    changes: Json, kind: names.Condition, reason: str, words: str
) -> None:
    """The condition names field, limit and value."""
    decided = decide(observed(**changes))
    assert decided.actions == ()
    assert condition(decided, kind)[:2] == ("False", reason)
    assert words in condition(decided, kind)[2]
    assert condition(decided, names.Condition.READY)[:2] == ("False", reason)


def test_code_needs_no_model() -> None:
    """The class is imported where it runs: for the operator nothing is missing, and the condition says what decides."""
    decided = decide(observed(manifest=objects.stored("Strategy", *api_cases.CODE, **HELD), model=None))
    (submit,) = decided.actions
    assert isinstance(submit, decision.SubmitJob)
    told = json.loads(submit.submission.variables["TRADEPLANE_CONFIG"])
    assert told["model"] is None
    assert told["spec"]["signal"]["code"]["entrypoint"] == "desk.crossing:Crossing"
    assert condition(decided, names.Condition.MODELS_READY) == (
        "True",
        "NoModels",
        "decided by desk.crossing:Crossing",
    )
    assert decided.status.models == ()  # type: ignore[union-attr]


def test_code_that_cannot_start_is_shown_with_its_own_words() -> None:
    """What the process said last is in the condition: the class that is missing, the parameter that does not fit."""
    said = "refused error=signal.code.entrypoint: must be a module that can be imported, got desk.crossing:Crossing"
    start = observed(manifest=objects.stored("Strategy", *api_cases.CODE, **HELD), model=None)
    decided = decide(after(start, decide(start), jobs=with_job("FAILED", message=said)))
    status, reason, message = condition(decided, names.Condition.READY)
    assert (status, reason) == ("False", "JobFailed")
    assert said in message


def test_a_policy_that_contradicts_itself_is_refused() -> None:
    """An object written before a rule existed is still refused by the reconciler."""
    policy = objects.stored("RiskPolicy")
    policy["spec"]["position"]["maxWeight"] = "9"
    status, reason, message = condition(decide(observed(policy=policy)), names.Condition.RISK_POLICY_BOUND)
    assert (status, reason) == ("False", "PolicyRefused")
    assert "position.maxWeight: must be at most portfolio.maxGross (1.5), got 9" in message


def test_a_policy_that_nothing_could_act_on_is_refused() -> None:
    """The gateway would let nothing leave under it, so the job is not started; the message names the field."""
    policy = objects.stored("RiskPolicy", ("onBreach", {"loss": "halted"}))
    decided = decide(observed(policy=policy))
    status, reason, message = condition(decided, names.Condition.RISK_POLICY_BOUND)
    assert (status, reason) == ("False", "PolicyRefused")
    assert message.startswith("RiskPolicy prudent: onBreach.loss: must be reject")
    assert decided.actions == ()


def test_a_pool_that_does_not_exist_is_named() -> None:
    """The message lists what there is."""
    manifest = objects.stored("Strategy", ("pool", "fast"), **HELD)
    status, reason, message = condition(decide(observed(manifest=manifest)), names.Condition.READY)
    assert (status, reason) == ("False", "NoPool")
    assert "fast" in message
    assert "execution (execution)" in message


def test_a_lost_reference_leaves_the_running_job_alone() -> None:
    """Trading goes on under the last declared state; the gateway judges each order anyway."""
    assert decide(replace(running(), policy=None)).actions == ()


def test_a_persons_halt_leaves_ready_true() -> None:
    """TradingHalted says what stops, Ready that the asked-for state is reached."""
    causes = [{"kind": "switch", "state": "halted", "message": "trading is halted"}]
    state = trading(state="halted", causes=causes, strategies=[view()])
    decided = decide(replace(running(), state=state))
    assert condition(decided, names.Condition.READY)[0] == "True"
    assert condition(decided, names.Condition.TRADING_HALTED)[:2] == ("True", "Switch")
    assert decided.status.state == "halted"  # type: ignore[union-attr]


def test_an_unknown_state_acts_as_halted() -> None:
    """A word that this operator does not know permits nothing."""
    decided = decide(replace(running(), state=trading(state="Enabled", strategies=[view()])))
    assert decided.status.state == "halted"  # type: ignore[union-attr]


def test_a_breach_degrades_and_names_limit_and_value() -> None:
    """Until the gateway shows none."""
    breach = {"reason": "order-notional", "limit": "10", "value": "11", "trigger": "t"}
    state = trading(strategies=[view(breach=breach)])
    status, reason, message = condition(decide(replace(running(), state=state)), names.Condition.DEGRADED)
    assert (status, reason) == ("True", "RiskLimitHit")
    assert "limit 10, got 11" in message


def deleting(**changes: Any) -> strategy.Observed:
    """Return a Strategy that is being deleted at the tests' time, its job stopped."""
    manifest = objects.stored("Strategy", deletionTimestamp="2026-11-21T12:00:00Z", **HELD)
    return observed(manifest=manifest, jobs=with_job("STOPPED"), **changes)


def test_deletion_stops_the_job_first() -> None:
    """The finalizer stays while a process may decide."""
    it = replace(deleting(), jobs=with_job("RUNNING"))
    assert decide(it).actions == (decision.StopJob(objects.RAY, "strategy-uid-strategy-1-1"),)


@pytest.mark.parametrize(
    "state",
    [
        None,
        trading(strategies=[view(open_orders=1)]),
        trading(counts={"open_orders": 1}),
        trading(strategies=[view(open_orders=0)], ledger_readable=False),
    ],
)
def test_deletion_waits_for_the_gateways_word(state: gateway.State | None) -> None:
    """An open order, anybody's where the gateway does not tell them apart, or silence keeps the finalizer."""
    decided = decide(deleting(state=state))
    assert decided.actions == ()
    assert condition(decided, names.Condition.READY)[:2] == ("False", "Deleting")


def test_deletion_ends_with_the_proof() -> None:
    """Job stopped and no open order: the finalizer goes."""
    decided = decide(deleting(state=trading(strategies=[view(open_orders=0)])))
    assert decided.actions == (decision.SetFinalizer(present=False),)


def test_deletion_ends_after_its_deadline_with_a_warning() -> None:
    """119 s is too early; at 120 s the Event says what was not proved."""
    it = deleting(state=None)
    assert decide(it, later_s=119).actions == ()
    warning, finalizer = decide(it, later_s=120).actions
    assert isinstance(warning, decision.Emit)
    assert warning.warning
    assert "open orders: unknown" in warning.message
    assert finalizer == decision.SetFinalizer(present=False)


def test_the_same_world_gives_the_same_status() -> None:
    """A second look at rest writes nothing."""
    it = running()
    decided = decide(it)
    assert decide(after(it, decided), later_s=500).status == decided.status
