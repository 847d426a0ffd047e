"""What leaves the operator is what the workers take."""

import orjson

from support import api_cases
from support import operator_objects as objects
from tradeplane_api import model
from tradeplane_operator import render
from tradeplane_workers import messages


def strategy_config() -> render.Json:
    """Render the configuration of a strategy job."""
    served = objects.served_model()
    version = model.Version.model_validate(served["status"]["active"])
    spec = model.ModelSpec.model_validate(served["spec"])
    return render.strategy_config(
        objects.stored("Strategy"),
        environment="demo",
        attempt=3,
        references=(
            render.model_reference(served, version, spec, url=render.model_url(objects.SERVE, "alpha")),
            render.policy_reference(objects.stored("RiskPolicy")),
        ),
    )


def test_a_strategy_job_is_told_a_valid_configuration() -> None:
    """The variable of the job is a StrategyConfig, field by field."""
    submission = render.strategy_submission(strategy_config(), variables=(("A", "b"),), namespace="paper")
    config = messages.StrategyConfig.model_validate(orjson.loads(submission.variables["TRADEPLANE_CONFIG"]))
    assert config.attempt == 3
    assert config.model is not None
    assert config.model.digest == objects.DIGEST
    assert config.model.url == "http://serve:8000/models/alpha"
    assert config.model.deadline == "2s"
    assert config.spec == objects.stored("Strategy")["spec"]
    assert config.policy.spec == objects.stored("RiskPolicy")["spec"]
    assert submission.variables["A"] == "b"


def test_a_strategy_with_code_is_told_of_no_model() -> None:
    """The spec holds class and parameters; an edit of either is a new configuration."""

    def rendered(fast: int) -> render.Json:
        code = {"entrypoint": "crossing:Crossing", "parameters": {"fast": fast}}
        manifest = objects.stored("Strategy", *api_cases.CODE, ("signal.code", code))
        references = (None, render.policy_reference(objects.stored("RiskPolicy")))
        return render.strategy_config(manifest, environment="demo", attempt=1, references=references)

    submission = render.strategy_submission(rendered(5), variables=(), namespace="paper")
    config = messages.StrategyConfig.model_validate(orjson.loads(submission.variables["TRADEPLANE_CONFIG"]))
    assert config.model is None
    assert config.spec["signal"]["code"]["parameters"] == {"fast": 5}
    assert render.config_hash(rendered(5)) == render.config_hash(rendered(5)) != render.config_hash(rendered(6))


def test_owner_and_git_revision_are_told_and_start_nothing_anew() -> None:
    """They come from the annotations; an edit of these alone must not restart a strategy."""

    def rendered(**annotations: str) -> render.Json:
        manifest = objects.stored("Strategy")
        manifest["metadata"]["annotations"] = {f"tradeplane.dev/{name}": value for name, value in annotations.items()}
        references = (None, render.policy_reference(objects.stored("RiskPolicy")))
        return render.strategy_config(manifest, environment="demo", attempt=1, references=references)

    config = rendered(**{"owner": "desk@example.com", "git-revision": "0123abc"})
    assert (config["owner"], config["git_revision"]) == ("desk@example.com", "0123abc")
    assert (rendered()["owner"], rendered()["git_revision"]) == ("", "")
    assert render.config_hash(config) == render.config_hash(rendered())


def test_a_training_job_is_told_a_valid_configuration() -> None:
    """The variable of the job is a TrainingConfig, field by field."""
    run = model.TrainingRun(
        submission_id="training-uid-model-1-1",
        generation=1,
        attempt=1,
        spec_hash=objects.DIGEST,
        symbols=("AAPL", "IBM"),
        submitted=False,
    )
    rendered = render.training_config(objects.stored("Model"), run)
    submission = render.training_submission(rendered, variables=(), namespace="paper")
    config = messages.TrainingConfig.model_validate(orjson.loads(submission.variables["TRADEPLANE_CONFIG"]))
    assert config.submission_id == submission.submission_id == "training-uid-model-1-1"
    assert config.symbols == ("AAPL", "IBM")
    assert config.spec["source"]["training"]["seed"] == 7


def test_submission_ids_are_read_back() -> None:
    """A uid may hold dashes; what is not ours is nobody's."""
    name = render.submission_id("strategy", "0f-1a-2b", 12, 3)
    assert render.parsed_id(name) == ("strategy", "0f-1a-2b", 12, 3)
    for foreign in ("raysubmit_abc", "strategy-x", "backup-u-1-1", "training-u-1-x"):
        assert render.parsed_id(foreign) is None


def test_the_hash_of_training_ignores_serving() -> None:
    """Another deadline trains nothing; another seed does."""
    specs = [
        model.ModelSpec.model_validate(objects.stored("Model", *edits)["spec"])
        for edits in ((), (("serving.deadline", "1s"),), (("source.training.seed", 8),))
    ]
    same, also, other = map(render.training_hash, specs)
    assert same == also
    assert same != other


def test_what_ray_adds_is_no_difference() -> None:
    """A found configuration may say more, never less or otherwise."""
    wanted = {"a": [{"b": 1}], "c": {}}
    assert render.is_part(wanted, {"a": [{"b": 1, "x": 2}], "c": {"y": 1}, "z": 0})
    assert not render.is_part(wanted, {"a": [{"b": 2}], "c": {}})
    assert not render.is_part(wanted, {"a": [{"b": 1}, {}], "c": {}})
    assert not render.is_part(wanted, {"a": [{"b": 1}]})
