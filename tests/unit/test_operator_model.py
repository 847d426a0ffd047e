"""What the operator decides about a Model, and about the one Serve configuration of all Models."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from support import operator_objects as objects
from tradeplane_api import model as model_api
from tradeplane_api import names
from tradeplane_operator import artifacts, render
from tradeplane_operator.ray import port
from tradeplane_operator.reconcile import decision, model, serving, sweep

Json = dict[str, Any]
RUN = "training-uid-model-1-1"
RESULT = artifacts.RunResult(
    submission_id=RUN, digest=objects.DIGEST, artifact="file:///a", rows=10, metrics={"ic": 0.031}
)


def observed(**changes: Any) -> model.Observed:
    """Return a Model that one Strategy names and nobody has trained."""
    manifest = changes.pop("manifest", objects.stored("Model"))
    base = model.Observed(
        manifest=manifest,
        models=(manifest,),
        environment=objects.environment(),
        symbols=("AAPL", "IBM"),
        jobs={},
        result=None,
        artifact_exists=None,
        serve=port.Serve({}),
        settings=objects.SETTINGS,
    )
    return replace(base, **changes)


def decide(it: model.Observed, *, later_s: float = 0) -> decision.Decision:
    """Decide at the tests' time."""
    return model.decide(it, now=objects.NOW + dt.timedelta(seconds=later_s))


def status(decided: decision.Decision) -> model_api.ModelStatus:
    """Return the status that is to be written."""
    assert isinstance(decided.status, model_api.ModelStatus)
    return decided.status


def condition(decided: decision.Decision, kind: names.Condition) -> tuple[str, str, str]:
    """Read one condition."""
    it = next(each for each in status(decided).conditions if each.type == kind.value)
    return it.status, it.reason, it.message


def after(it: model.Observed, decided: decision.Decision, **changes: Any) -> model.Observed:
    """Return what is observed next: the status is written and something else changed."""
    manifest = {**it.manifest, "status": status(decided).manifest()}
    return replace(it, manifest=manifest, models=(manifest,), **changes)


def job(state: str, name: str = RUN, **fields: Any) -> dict[str, port.Job]:
    """Return one job."""
    return {name: port.Job(name, state, namespace="paper", **fields)}


def trained() -> model.Observed:
    """Return a Model whose training has left its result."""
    start = observed()
    return after(start, decide(start), jobs=job("SUCCEEDED"), result=RESULT)


def application(decided_by: model.Observed, **changes: Any) -> port.Application:
    """Return the application of a trained Model as Serve shows it when all is well."""
    version = status(decide(decided_by)).active
    assert version is not None
    config = render.application("alpha", version, max_batch=64, variables=objects.SETTINGS.model_variables)
    fields = {"status": "RUNNING", "config": config, "deployments_healthy": True, "replicas": 1, **changes}
    return port.Application("model-alpha", **fields)


def serving_model(**changes: Any) -> model.Observed:
    """Return a Model that is trained and served."""
    it = trained()
    found = port.Serve({"model-alpha": application(it, **changes)}, listening="serve:8000")
    return after(it, decide(it), serve=found)


def test_training_is_promised_and_submitted() -> None:
    """The run's symbols are those of the Strategies that name the Model."""
    decided = decide(observed())
    (submit,) = decided.actions
    assert isinstance(submit, decision.SubmitJob)
    assert submit.submission.submission_id == RUN
    assert status(decided).training.symbols == ("AAPL", "IBM")  # type: ignore[union-attr]
    assert condition(decided, names.Condition.READY)[:2] == ("False", "Training")


def test_without_a_strategy_there_is_nothing_to_train_on() -> None:
    """The condition says what is missing."""
    decided = decide(observed(symbols=()))
    assert decided.actions == ()
    assert condition(decided, names.Condition.STALLED)[:2] == ("True", "NoSymbols")


def test_the_result_decides_not_the_job() -> None:
    """A run whose result exists is done, even when Ray has forgotten the job."""
    decided = decide(replace(trained(), jobs={}))
    assert status(decided).active.digest == objects.DIGEST  # type: ignore[union-attr]
    assert status(decided).active.metrics == {"ic": "0.031"}  # type: ignore[union-attr]
    assert decision.EnsureServe(objects.RAY) in decided.actions


def test_served_and_read_back_is_ready() -> None:
    """RUNNING, healthy and with our configuration."""
    decided = decide(serving_model())
    assert condition(decided, names.Condition.READY)[:2] == ("True", "Serving")
    assert status(decided).serving.digest == objects.DIGEST  # type: ignore[union-attr]
    assert decided.actions == ()


@pytest.mark.parametrize("changes", [{"status": "DEPLOYING"}, {"deployments_healthy": False}, {"replicas": 0}])
def test_ready_needs_running_healthy_and_a_replica(changes: Json) -> None:
    """Ray's 200 to a PUT says nothing."""
    assert condition(decide(serving_model(**changes)), names.Condition.READY)[:2] == ("False", "Deploying")


def test_a_failed_deployment_says_why() -> None:
    """DEPLOY_FAILED brings Ray's message into the condition."""
    decided = decide(serving_model(status="DEPLOY_FAILED", message="No module named x"))
    assert condition(decided, names.Condition.STALLED)[:2] == ("True", "DeployFailed")
    assert "No module named x" in condition(decided, names.Condition.READY)[2]
    assert status(decided).serving is None


def test_the_previous_version_answers_while_the_next_is_trained() -> None:
    """An edit of training neither stops nor unloads what serves."""
    it = serving_model()
    settled = after(it, decide(it), result=None, jobs={})
    spec = objects.stored("Model", ("source.training.seed", 8))["spec"]
    manifest = {**settled.manifest, "spec": spec, "metadata": {**settled.manifest["metadata"], "generation": 2}}
    decided = decide(replace(settled, manifest=manifest, models=(manifest,)))
    (submit,) = decided.actions
    assert isinstance(submit, decision.SubmitJob)
    assert submit.submission.submission_id == "training-uid-model-2-1"
    assert status(decided).serving.digest == objects.DIGEST  # type: ignore[union-attr]
    assert condition(decided, names.Condition.READY)[:2] == ("False", "Training")
    assert status(decided).plan.action == "Train"  # type: ignore[union-attr]


def test_a_batch_size_is_planned_in_place_and_trains_nothing() -> None:
    """Only the user_config differs."""
    it = serving_model()
    settled = after(it, decide(it))
    spec = objects.stored("Model", ("serving.maxBatch", 7))["spec"]
    manifest = {**settled.manifest, "spec": spec, "metadata": {**settled.manifest["metadata"], "generation": 2}}
    decided = decide(replace(settled, manifest=manifest, models=(manifest,)))
    assert decided.actions == (decision.EnsureServe(objects.RAY),)
    assert status(decided).plan.action == "InPlace"  # type: ignore[union-attr]


def test_a_failed_training_is_tried_again_and_then_stalls() -> None:
    """Delays grow; from the third failure on a person is asked."""
    it = observed()
    it = after(it, decide(it))
    for attempt in (1, 2, 3):
        name = f"training-uid-model-1-{attempt}"
        result = artifacts.RunResult(submission_id=name, error="source.training.start: no bars")
        it = replace(it, jobs=job("FAILED", name), result=result)
        decided = decide(it)
        assert condition(decided, names.Condition.READY)[:2] == ("False", "TrainingFailed")
        assert "no bars" in condition(decided, names.Condition.READY)[2]
        assert (condition(decided, names.Condition.STALLED)[0] == "True") == (attempt == 3)
        it = after(it, decided)
        again = decide(it, later_s=301)
        (submit,) = again.actions
        assert isinstance(submit, decision.SubmitJob)
        assert submit.submission.submission_id == f"training-uid-model-1-{attempt + 1}"
        it = after(it, again)


def test_an_artifact_is_served_without_training() -> None:
    """source.artifact is named by its digest and never trained."""
    manifest = objects.stored("Model", ("source", {"artifact": {"uri": "s3://m/a", "sha256": "a" * 64}}))
    decided = decide(observed(manifest=manifest, artifact_exists=True))
    assert status(decided).active.digest == "sha256:" + "a" * 64  # type: ignore[union-attr]
    assert decided.actions == (decision.EnsureServe(objects.RAY),)


@pytest.mark.parametrize("exists,reason", [(False, "ArtifactMissing"), (None, "ArtifactsUnreachable")])
def test_a_missing_artifact_is_named(*, exists: bool | None, reason: str) -> None:
    """And not deployed."""
    manifest = objects.stored("Model", ("source", {"artifact": {"uri": "s3://m/a", "sha256": "a" * 64}}))
    decided = decide(observed(manifest=manifest, artifact_exists=exists))
    assert condition(decided, names.Condition.STALLED)[:2] == ("True", reason)
    assert "s3://m/a" in condition(decided, names.Condition.STALLED)[2]
    assert decided.actions == ()


def test_a_silent_serve_is_not_written_to() -> None:
    """Unknown, not empty."""
    decided = decide(replace(serving_model(), serve=None))
    assert decided.actions == ()
    assert condition(decided, names.Condition.READY)[:2] == ("Unknown", "RayUnreachable")


def planned(found: port.Serve, *models: Json) -> serving.Plan:
    """Plan for some Models."""
    wanted = serving.applications(models, variables=objects.SETTINGS.model_variables)
    place = serving.Place("paper", objects.SERVE, starts=False, now_s=objects.NOW.timestamp())
    return serving.plan(wanted, found, place)


def named(name: str) -> Json:
    """Return a served Model of another name."""
    return objects.served_model(name=name)


def test_a_configuration_names_every_model() -> None:
    """What it left out would be deleted."""
    plan = planned(port.Serve({}), named("b"), named("a"), objects.stored("Model"))
    assert plan.config is not None
    assert [each["name"] for each in plan.config["applications"]] == ["model-a", "model-b"]
    assert plan.config["http_options"] == {"host": "serve", "port": 8000}


def test_an_equal_configuration_is_not_sent_again() -> None:
    """GET first, PUT only a difference."""
    wanted = serving.applications([named("a")], variables=objects.SETTINGS.model_variables)
    found = {name: port.Application(name, "RUNNING", config=config) for name, config in wanted.items()}
    assert planned(port.Serve(found), named("a")) == serving.Plan()


def test_a_ray_that_serves_others_is_refused() -> None:
    """A PUT of ours would delete their application: by name, by import path and by namespace."""
    ours = serving.applications([named("a")], variables=objects.SETTINGS.model_variables)["model-a"]
    strangers = {
        "chat": {"import_path": "chat:app"},
        "model-x": {**ours, "import_path": "chat:app"},
        "model-y": {**ours, "runtime_env": {"env_vars": {"TRADEPLANE_NAMESPACE": "live"}}},
    }
    for name, config in strangers.items():
        plan = planned(port.Serve({name: port.Application(name, "RUNNING", config=config)}), named("a"))
        assert plan.config is None
        assert plan.violation is not None
        assert plan.violation.reason == "ForeignApplications"
        assert name in plan.violation.message


def test_a_serve_that_listens_elsewhere_is_refused() -> None:
    """Callers would find nobody; host and port never change while Serve runs."""
    plan = planned(port.Serve({}, listening="127.0.0.1:1"), named("a"))
    assert plan.violation is not None
    assert plan.violation.reason == "ServeElsewhere"


def swept(**changes: Any) -> tuple[decision.Action, ...]:
    """Sweep a namespace in which nothing is left."""
    base = sweep.Observed(
        strategies=(), models=(), backtests=(), jobs={}, serve=None, serving_at=None, settings=objects.SETTINGS
    )
    return sweep.decide(replace(base, **changes), now=objects.NOW).actions


def test_jobs_without_an_object_are_stopped() -> None:
    """Both kinds, while they live."""
    jobs = {objects.RAY: job("RUNNING", "strategy-gone-1-1") | job("RUNNING", "training-gone-1-1") | job("FAILED", "x")}
    assert swept(jobs=jobs) == (
        decision.StopJob(objects.RAY, "strategy-gone-1-1"),
        decision.StopJob(objects.RAY, "training-gone-1-1"),
    )


def test_jobs_of_others_are_left_alone() -> None:
    """Another namespace's and jobs that are not ours share the Ray."""
    foreign = {"strategy-gone-1-1": port.Job("strategy-gone-1-1", "RUNNING", namespace="live")}
    assert swept(jobs={objects.RAY: foreign}) == ()
    kept = job("RUNNING", "strategy-uid-strategy-1-1")
    assert swept(jobs={objects.RAY: kept}, strategies=(objects.stored("Strategy"),)) == ()


def test_the_application_of_a_deleted_model_leaves() -> None:
    """The last Model's too, although nobody reconciles it any more."""
    config = serving.applications([named("a")], variables=objects.SETTINGS.model_variables)["model-a"]
    found = port.Serve({"model-a": port.Application("model-a", "RUNNING", config=config)}, listening="serve:8000")
    assert swept(serve=found, serving_at=objects.RAY) == (decision.EnsureServe(objects.RAY),)


def test_serve_starts_while_the_first_model_is_trained() -> None:
    """An empty configuration brings Serve up; once it listens, nothing more is sent."""
    untrained = (objects.stored("Model"),)
    idle = port.Serve({})
    started = (decision.EnsureServe(objects.RAY),)
    assert swept(models=untrained, serve=idle, serving_at=objects.RAY) == started
    assert swept(models=untrained, serve=replace(idle, listening="serve:8000"), serving_at=objects.RAY) == ()
    assert swept(serve=idle, serving_at=objects.RAY) == ()


def test_a_failed_deployment_is_tried_anew_each_minute() -> None:
    """Ray never tries again by itself: the application leaves the configuration once, and comes back."""
    wanted = serving.applications([named("a"), named("b")], variables=objects.SETTINGS.model_variables)
    now_s = objects.NOW.timestamp()

    def found(age_s: float) -> port.Serve:
        failed = port.Application("model-a", "DEPLOY_FAILED", config=wanted["model-a"], deployed_s=now_s - age_s)
        return port.Serve(
            {"model-a": failed, "model-b": port.Application("model-b", "RUNNING", config=wanted["model-b"])}
        )

    assert planned(found(59), named("a"), named("b")) == serving.Plan()
    left_out = planned(found(60), named("a"), named("b")).config
    assert left_out is not None
    assert [each["name"] for each in left_out["applications"]] == ["model-b"]
