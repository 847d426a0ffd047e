"""What the operator decides about a Backtest: state in, decision out."""

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from support import api_cases
from support import operator_objects as objects
from tradeplane_api import backtest as backtest_api
from tradeplane_api import model as model_api
from tradeplane_api import names
from tradeplane_operator import artifacts, carry_out, render
from tradeplane_operator.ray import port
from tradeplane_operator.reconcile import attempts, backtest, decision, sweep

Json = dict[str, Any]
RUN = "backtest-uid-backtest-1-1"
HASH = "sha256:" + "a" * 64
RESULT = backtest_api.Result(
    hash=HASH,
    artifact="file:///artifacts/r",
    digest="sha256:" + "b" * 64,
    data="sha256:" + "c" * 64,
    trials=3,
    measures={"sharpe": "1.5"},
)


def made(*edits: tuple[str, Any], digest: str = objects.DIGEST, **fields: Any) -> Json:
    """Return a Model whose spec has an artifact; it need not serve it."""
    manifest = objects.stored("Model", *edits)
    declared = render.training_hash(model_api.ModelSpec.model_validate(manifest["spec"]))
    return {**manifest, "status": {"active": objects.version(digest, specHash=declared, trials=3) | fields}}


def observed(**changes: Any) -> backtest.Observed:
    """Return a Backtest whose references are all there and which has no job yet."""
    base = backtest.Observed(
        manifest=objects.stored("Backtest"),
        settings=objects.SETTINGS,
        environment=objects.environment(),
        strategy=objects.stored("Strategy"),
        policy=objects.stored("RiskPolicy"),
        model=made(),
        jobs={objects.RAY: {}},
    )
    return replace(base, **changes)


def decide(it: backtest.Observed, *, later_s: float = 0) -> decision.Decision:
    """Decide at the tests' time."""
    return backtest.decide(it, now=objects.NOW + dt.timedelta(seconds=later_s))


def status(decided: decision.Decision) -> backtest_api.BacktestStatus:
    """Return the status that is to be written."""
    assert isinstance(decided.status, backtest_api.BacktestStatus)
    return decided.status


def condition(decided: decision.Decision, kind: names.Condition) -> tuple[str, str, str]:
    """Read one condition."""
    it = next(each for each in status(decided).conditions if each.type == kind.value)
    assert it.observed_generation == 1
    return it.status, it.reason, it.message


def submitted(decided: decision.Decision) -> port.Submission:
    """Return the one job that is submitted."""
    (submit,) = decided.actions
    assert isinstance(submit, decision.SubmitJob)
    return submit.submission


def after(it: backtest.Observed, decided: decision.Decision, **changes: Any) -> backtest.Observed:
    """Return what is observed next: the status is written and something else changed."""
    return replace(it, manifest={**it.manifest, "status": status(decided).manifest()}, **changes)


def jobs(state: str, name: str = RUN, **fields: Any) -> attempts.Found:
    """Return one job at the research pool."""
    return {objects.RAY: {name: port.Job(name, state, namespace="paper", **fields)}}


def running(**changes: Any) -> backtest.Observed:
    """Return a Backtest whose first attempt runs."""
    start = observed()
    promised = after(start, decide(start), jobs=jobs("RUNNING"))
    return replace(after(promised, decide(promised)), **changes)


def test_the_first_attempt_is_promised_and_submitted() -> None:
    """The status names the attempt and what it is of before Ray is asked."""
    decided = decide(observed())
    submission = submitted(decided)
    assert submission.submission_id == RUN
    assert submission.entrypoint == "python -m tradeplane_workers.jobs backtest"
    assert submission.variables["TRADEPLANE_ARTIFACTS"] == "file:///artifacts"
    run, subject = status(decided).run, status(decided).subject
    assert run is not None
    assert subject is not None
    assert (run.submission_id, run.submitted, run.attempt) == (RUN, False, 1)
    assert (subject.strategy_uid, subject.strategy_generation) == ("uid-strategy", 1)
    assert subject.model is not None
    assert (subject.model.digest, subject.policy.name) == (objects.DIGEST, "prudent")
    assert status(decided).phase == "Pending"
    assert condition(decided, names.Condition.READY)[:2] == ("False", "Starting")


def test_code_is_tested_without_a_model() -> None:
    """The subject names no model, and no training can have seen the period."""
    decided = decide(observed(strategy=objects.stored("Strategy", *api_cases.CODE), model=None))
    assert submitted(decided).submission_id == RUN
    subject = status(decided).subject
    assert subject is not None
    assert (subject.model, subject.trained_until) == (None, None)
    assert condition(decided, names.Condition.DEGRADED)[0] == "False"


@pytest.mark.parametrize(
    "changes, condition_type, reason, words",
    [
        ({"strategy": None}, names.Condition.STALLED, "StrategyNotFound", ("strategyRef", "'momentum'")),
        (
            {"strategy": objects.stored("Strategy", deletionTimestamp="2026-01-01T00:00:00Z")},
            names.Condition.STALLED,
            "StrategyNotFound",
            ("strategyRef",),
        ),
        ({"environment": None}, names.Condition.STALLED, "NoEnvironment", ("Environment",)),
        ({"policy": None}, names.Condition.STALLED, "PolicyNotFound", ("riskPolicyRef", "'prudent'")),
        ({"model": None}, names.Condition.STALLED, "ModelNotFound", ("signal.models[0].name", "'alpha'")),
        ({"model": objects.stored("Model")}, names.Condition.PROGRESSING, "ModelNotReady", ("Model alpha",)),
        # Its active version is that of an earlier spec.
        ({"model": objects.served_model()}, names.Condition.PROGRESSING, "ModelNotReady", ("Model alpha",)),
    ],
)
def test_what_is_missing_is_named(
    changes: Json, condition_type: names.Condition, reason: str, words: tuple[str, ...]
) -> None:
    """No job is started before the Strategy and everything that it names is there."""
    decided = decide(observed(**changes))
    assert decided.actions == ()
    assert status(decided).phase == "Pending"
    assert condition(decided, names.Condition.READY)[:2] == ("False", reason)
    assert condition(decided, condition_type)[:2] == ("True", reason)
    assert all(word in condition(decided, names.Condition.READY)[2] for word in words)
    assert decided.again_s == decision.SOON_S


def test_a_strategy_that_is_not_valid_is_named() -> None:
    """One that was stored before a rule existed is not run."""
    strategy = objects.stored("Strategy")
    strategy["spec"]["portfolio"]["top"] = 9
    decided = decide(observed(strategy=strategy))
    assert condition(decided, names.Condition.READY)[:2] == ("False", "StrategyRefused")
    assert "Strategy momentum: portfolio.top + portfolio.bottom" in condition(decided, names.Condition.READY)[2]


def test_a_spec_that_breaks_a_rule_is_not_run() -> None:
    """The reconciler holds the rules that the API server holds."""
    manifest = objects.stored("Backtest")
    manifest["spec"]["to"] = "2000-01-01"
    decided = decide(observed(manifest=manifest))
    assert decided.actions == ()
    assert condition(decided, names.Condition.STALLED)[:2] == ("True", "InvalidSpec")
    assert "from: must be before to (2000-01-01), got 2012-03-02" in condition(decided, names.Condition.READY)[2]


def test_a_model_that_serves_nothing_can_be_tested() -> None:
    """The artifact is enough: a backtest is how one finds out whether to serve it."""
    assert submitted(decide(observed())).submission_id == RUN


def test_a_running_job_is_running() -> None:
    """The phase follows Ray."""
    decided = decide(running())
    assert decided.actions == ()
    assert status(decided).phase == "Running"
    assert condition(decided, names.Condition.PROGRESSING)[:2] == ("True", "Running")
    assert status(decide(running(jobs=jobs("PENDING")))).phase == "Pending"


def test_the_result_is_recorded() -> None:
    """Hash, artifact, trials and measures; whatever Ray remembers of the job."""
    for found in (jobs("SUCCEEDED"), {objects.RAY: {}}, {objects.RAY: None}, jobs("RUNNING")):
        decided = decide(running(jobs=found, outcome=artifacts.Outcome(RESULT)))
        assert status(decided).result == RESULT
        assert status(decided).phase == "Succeeded"
        assert condition(decided, names.Condition.READY) == ("True", "Succeeded", HASH)
        assert condition(decided, names.Condition.PROGRESSING)[0] == "False"
        assert decided.actions == ()


def test_nothing_is_written_once_it_is_over() -> None:
    """Neither an edit of its Strategy nor a Ray that forgot the job makes it run again."""
    it = running(outcome=artifacts.Outcome(RESULT))
    over = after(it, decide(it), jobs={}, strategy=None, model=None, outcome=None)
    assert decide(over) == decision.Decision(None, again_s=600.0)


def test_the_status_is_written_once() -> None:
    """Two passes over the same world write the same status."""
    it = running()
    assert carry_out.same_status(it.manifest, status(decide(it, later_s=5)))


def test_an_edit_after_the_start_changes_nothing() -> None:
    """The run goes on as what it was promised."""
    edited = objects.stored("Strategy", ("portfolio.top", 1), generation=2)
    it = running(strategy=edited, model=made(digest=objects.OTHER_DIGEST))
    decided = decide(it)
    assert decided.actions == ()
    subject = status(decided).subject
    assert subject is not None
    assert (subject.strategy_generation, subject.model.digest) == (1, objects.DIGEST)
    assert status(decide(replace(it, outcome=artifacts.Outcome(RESULT)))).result == RESULT


def test_an_edit_before_ray_has_the_job_is_taken() -> None:
    """A promise that was not kept is made anew for what is declared now, under another number."""
    it = after(observed(), decide(observed()), strategy=objects.stored("Strategy", ("portfolio.top", 1), generation=2))
    decided = decide(it)
    assert submitted(decided).submission_id == "backtest-uid-backtest-1-2"
    subject = status(decided).subject
    assert subject is not None
    assert subject.strategy_generation == 2


def test_what_only_a_trading_strategy_acts_on_does_not_matter() -> None:
    """A suspended Strategy, another pool or deadline promise the same run."""
    first = decide(observed())
    assert status(first).run is not None
    suspended = objects.stored("Strategy", ("suspend", True), generation=2)
    again = decide(after(observed(), first, strategy=suspended, model=made(("serving.deadline", "1s"))))
    assert submitted(again).submission_id == RUN
    assert status(again).run == status(first).run


def test_a_lost_reference_leaves_a_running_job_alone() -> None:
    """It was told everything; its outcome still counts."""
    it = running(strategy=None)
    decided = decide(it)
    assert decided.actions == ()
    assert status(decided).phase == "Running"
    assert "meanwhile strategyRef" in condition(decided, names.Condition.READY)[2]
    assert status(decide(replace(it, outcome=artifacts.Outcome(RESULT)))).phase == "Succeeded"
    gone = decide(replace(it, jobs=jobs("FAILED")))
    assert condition(gone, names.Condition.READY)[:2] == ("False", "StrategyNotFound")


def test_a_refusal_is_final() -> None:
    """The same again would give the same; a person must declare something else."""
    outcome = artifacts.Outcome(None, "from and to: a period with bars", refused=True)
    decided = decide(running(jobs=jobs("FAILED"), outcome=outcome))
    assert status(decided).phase == "Failed"
    assert condition(decided, names.Condition.STALLED)[:2] == ("True", "BacktestFailed")
    assert "a period with bars" in condition(decided, names.Condition.READY)[2]
    assert decided.actions == ()


def test_an_attempt_that_dies_is_followed_a_few_times() -> None:
    """Delays double; after the sixth death there is no next one."""
    it, waited = running(), []
    for attempt in range(1, backtest.ATTEMPTS + 1):
        name = f"backtest-uid-backtest-1-{attempt}"
        it = replace(it, jobs=jobs("FAILED", name, message="exit code 1"))
        decided = decide(it)
        assert decided.actions == ()
        assert "exit code 1" in condition(decided, names.Condition.READY)[2]
        if attempt == backtest.ATTEMPTS:
            break
        assert condition(decided, names.Condition.READY)[:2] == ("False", "JobFailed")
        run = status(decided).run
        assert run is not None
        waited.append((dt.datetime.fromisoformat(run.retry_at) - objects.NOW).total_seconds())
        it = after(it, decided)
        assert decide(it).actions == ()
        again = decide(it, later_s=301)
        assert submitted(again).submission_id == f"backtest-uid-backtest-1-{attempt + 1}"
        it = after(it, again)
    assert waited == [5, 10, 20, 40, 80]
    assert status(decided).phase == "Failed"
    assert "next attempt" not in condition(decided, names.Condition.READY)[2]


def test_a_job_without_a_word_says_what_ray_says() -> None:
    """A run that left an error that is not final is tried again with that error."""
    outcome = artifacts.Outcome(None, "market data: down")
    decided = decide(running(jobs=jobs("FAILED"), outcome=outcome))
    assert "market data: down; next attempt at" in condition(decided, names.Condition.READY)[2]


def test_a_silent_ray_changes_nothing() -> None:
    """The phase stays, and nobody knows."""
    decided = decide(running(jobs={objects.RAY: None}))
    assert decided.actions == ()
    assert status(decided).phase == "Running"
    assert condition(decided, names.Condition.READY)[:2] == ("Unknown", "RayUnreachable")


def test_a_pool_that_moved_stops_the_old_job_first() -> None:
    """The new attempt begins where the Environment says, when the old one has ended."""
    other = "http://other:8265"
    pools = [{"name": "research", "role": "research", "address": other}]
    it = running(environment=objects.stored("Environment", ("pools", pools)))
    moved = decide(replace(it, jobs={**it.jobs, other: {}}))
    assert moved.actions == (decision.StopJob(objects.RAY, RUN),)
    stopped = decide(after(it, moved, jobs={**jobs("STOPPED"), other: {}}))
    (submit,) = stopped.actions
    assert isinstance(submit, decision.SubmitJob)
    assert (submit.address, submit.submission.submission_id) == (other, "backtest-uid-backtest-1-2")


@pytest.mark.parametrize("first, seen", [("2012-03-01", True), ("2012-03-02", False)])
def test_a_period_that_the_model_was_trained_on_is_marked(*, first: str, seen: bool) -> None:
    """Degraded from the promise to the end; the result is there, and nobody can take it for one out of sample."""
    it = observed(manifest=objects.stored("Backtest", ("from", first)))
    promised = decide(it)
    done = decide(after(it, promised, outcome=artifacts.Outcome(RESULT), model=None))
    for decided in (promised, done):
        expected = ("True", "InSample") if seen else ("False", "Healthy")
        assert condition(decided, names.Condition.DEGRADED)[:2] == expected
        assert not seen or "(2012-03-02)" in condition(decided, names.Condition.DEGRADED)[2]


def test_a_deleted_backtests_job_is_stopped() -> None:
    """Of its own namespace, while it lives; one whose object is there is left alone."""
    base = sweep.Observed((), (), (), jobs("RUNNING"), None, None, objects.SETTINGS)  # type: ignore[arg-type]
    stop = (decision.StopJob(objects.RAY, RUN),)
    deleting = objects.stored("Backtest", deletionTimestamp="2026-01-01T00:00:00Z")
    assert sweep.decide(base, now=objects.NOW).actions == stop
    assert sweep.decide(replace(base, backtests=(deleting,)), now=objects.NOW).actions == stop
    assert sweep.decide(replace(base, backtests=(objects.stored("Backtest"),)), now=objects.NOW).actions == ()
    assert decide(observed(manifest=deleting)).actions == ()


@dataclass
class Outside:
    """API server, Ray and store of one Backtest; a write may be the operator's last.

    fatal : number of the write after (or, where ``before``, instead of) which the operator dies
    """

    fatal: int | None = None
    before: bool = False
    status: Json | None = None
    jobs: dict[str, port.Job] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    writes: int = 0

    def life(self, world: backtest.Observed, clock: list[float]) -> bool:
        """Make passes until the operator dies or nothing more is written; say whether it lived."""
        while True:
            run = (self.status or {}).get("run")
            known = None if run is None else self.outcome(run["submissionId"])
            manifest = {**world.manifest, "status": self.status or {}}
            it = replace(world, manifest=manifest, jobs={objects.RAY: dict(self.jobs)}, outcome=known)
            decided = decide(it, later_s=clock[0])
            writes = self.writes
            for write in self._writes(manifest, decided):
                if self.writes + 1 == self.fatal and self.before:
                    self.writes += 1
                    return False
                write()
                self.writes += 1
                if self.writes == self.fatal:
                    return False
            if self.writes == writes:
                return True

    def outcome(self, name: str) -> artifacts.Outcome | None:
        """First attempt: dies without a word; second: succeeds."""
        done = self.jobs.get(name) is not None and self.jobs[name].status == "SUCCEEDED"
        return artifacts.Outcome(RESULT) if done else None

    def _writes(self, manifest: Json, decided: decision.Decision) -> list[Any]:
        found: list[Any] = []
        if decided.status is not None and not carry_out.same_status(manifest, decided.status):
            written = decided.status.manifest()

            def keep() -> None:
                self.status = written

            found.append(keep)
        for action in decided.actions:
            assert isinstance(action, decision.SubmitJob)
            submission = action.submission

            def submit(submission: port.Submission = submission) -> None:
                name = submission.submission_id
                assert (
                    self.told.setdefault(name, submission.variables["TRADEPLANE_CONFIG"])
                    == (submission.variables["TRADEPLANE_CONFIG"])
                )
                self.jobs.setdefault(name, port.Job(name, "RUNNING", namespace="paper"))

            found.append(submit)
        return found


def course(outside: Outside) -> tuple[Any, ...]:
    """Play a whole life: the first attempt dies, the second succeeds; a killed operator is started again."""
    world, clock = observed(), [0.0]

    def settle() -> None:
        while not outside.life(world, clock):
            outside.fatal = None

    settle()
    outside.jobs[RUN] = replace(outside.jobs[RUN], status="FAILED", message="lost")
    settle()
    clock[0] = 60.0
    settle()
    second = "backtest-uid-backtest-1-2"
    outside.jobs[second] = replace(outside.jobs[second], status="SUCCEEDED")
    settle()
    return outside.status, outside.jobs, outside.told


def test_an_operator_killed_at_any_write_changes_nothing() -> None:
    """The end is the same, no attempt is doubled, and each job is told the same whoever submits it."""
    undisturbed = Outside()
    expected = course(undisturbed)
    assert undisturbed.status is not None
    assert undisturbed.status["phase"] == "Succeeded"
    assert len(undisturbed.jobs) == 2
    assert undisturbed.writes >= 8
    for fatal in range(1, undisturbed.writes + 1):
        for before in (False, True):
            assert course(Outside(fatal=fatal, before=before)) == expected, (fatal, before)
