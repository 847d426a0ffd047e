"""Specs become engine settings, or are refused naming field, limit and value."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from tradeplane_api import schema
from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, times
from tradeplane_workers import messages, translate

EXAMPLES = Path(__file__).parents[2] / "examples"
DIGEST = "sha256:" + "a" * 64


def example(name: str) -> dict[str, Any]:
    """Return the spec of an example manifest."""
    spec: dict[str, Any] = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())["spec"]
    return spec


def config(spec: Mapping[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    """Return a strategy job's configuration, made of the examples."""
    return {
        "environment": "demo",
        "name": "momentum",
        "uid": "0a-0b",
        "generation": 2,
        "attempt": 1,
        "spec": dict(example("strategy") if spec is None else spec),
        "model": {
            "name": "alpha",
            "uid": "m",
            "generation": 1,
            "url": "http://127.0.0.1:1/models/alpha",
            "digest": DIGEST,
            "artifact": "file:///a",
            "features": {"set": "alpha158", "version": "v1"},
            "deadline": "2s",
        },
        "policy": {"name": "prudent", "hash": "sha256:0", "spec": example("risk-policy")},
    } | changed


def test_the_example_becomes_settings() -> None:
    """Every field of the example acts on a setting."""
    settings = translate.recorded_strategy(config())
    assert settings.symbols == ("AAPL", "FB", "GOOG", "IBM", "MSFT")
    assert (settings.name, settings.uid, settings.generation, settings.timeframe) == ("momentum", "0a-0b", 2, "1d")
    assert settings.channel == "1d"
    assert (settings.portfolio.top, settings.portfolio.bottom) == (2, 1)
    assert settings.portfolio.capital == numbers.money("500000")
    assert (settings.features.name, settings.features.version, settings.model_digest) == ("alpha158", "v1", DIGEST)
    assert (settings.policy, settings.limits.max_weight) == ("prudent", Fraction(6, 10))
    assert settings.algorithm == "market"


def smallest() -> dict[str, Any]:
    """Return the smallest spec."""
    return {
        "universe": {"symbols": ["IBM"]},
        "signal": {"models": [{"name": "alpha"}]},
        "riskPolicyRef": "prudent",
    }


def test_the_smallest_spec_has_the_schemas_defaults() -> None:
    """What the API server would fill in applies here too."""
    settings = translate.recorded_strategy(config(smallest()))
    assert (settings.portfolio.top, settings.portfolio.bottom) == (1, 0)
    assert settings.portfolio.capital == numbers.money("10000")


@pytest.mark.parametrize(
    "block, change",
    [
        ("portfolio", {"top": 2, "bottom": 1, "capital": "1"}),
        ("portfolio", {"top": 1, "bottom": 1, "capital": "10000"}),
        ("universe", {"symbols": ["IBM", "MSFT"]}),
    ],
)
def test_each_field_acts(block: str, change: dict[str, Any]) -> None:
    """A changed field changes the settings."""
    spec = smallest() | {"universe": {"symbols": ["IBM", "MSFT", "AAPL"]}}
    assert translate.recorded_strategy(config(spec)) != translate.recorded_strategy(config(spec | {block: change}))


def test_what_the_operator_acts_on_is_left_to_it() -> None:
    """Suspension and pool change nothing in the loop."""
    plain = translate.recorded_strategy(config(smallest()))
    assert translate.recorded_strategy(config(smallest() | {"suspend": False, "pool": "local"})) == plain


@pytest.mark.parametrize(
    "change, parts",
    [
        ({"surprise": 1}, ("surprise", "no such field", "1")),
        ({"universe": {"symbols": []}}, ("universe.symbols", "at least one")),
        ({"universe": {"symbols": ["ibm"]}}, ("universe.symbols", "ibm")),
        ({"universe": {"symbols": ["IBM", "IBM"]}}, ("universe.symbols", "each once")),
        ({"universe": {"symbols": "IBM"}}, ("universe.symbols", "a list", "IBM")),
        ({"universe": {"symbols": ["IBM"], "sector": "x"}}, ("universe.sector", "no such field")),
        ({"universe": ["IBM"]}, ("universe", "a mapping")),
        ({"bars": {"timeframe": "2m"}}, ("bars.timeframe", "1m, 5m, 15m, 1h, 1d", "2m")),
        ({"bars": {"timeframe": "5m", "session": "night"}}, ("bars.session", "regular, extended", "night")),
        ({"bars": {"session": "extended"}}, ("bars.session", "regular with timeframe 1d", "extended")),
        ({"bars": {"spread": 1}}, ("bars.spread", "no such field", "1")),
        ({"signal": {"models": []}}, ("signal.models", "exactly one")),
        ({"signal": {"models": [{"name": "beta"}]}}, ("signal.models[0].name", "alpha", "beta")),
        ({"signal": {"models": [{"name": "alpha", "weight": 1}]}}, ("signal.models[0].weight", "no such field")),
        ({"signal": {"models": [{"name": "alpha"}], "threshold": "1"}}, ("signal.threshold", "no such field")),
        ({"portfolio": {"construct": "hrp"}}, ("portfolio.construct", "top-bottom-n", "hrp")),
        ({"portfolio": {"top": 2}}, ("portfolio.top", "at most the 1", "2")),
        ({"portfolio": {"top": 0}}, ("portfolio.top", "at least 1")),
        ({"portfolio": {"top": -1, "bottom": 2}}, ("portfolio.top", "0 or more")),
        ({"portfolio": {"top": "1"}}, ("portfolio.top", "a int", "1")),
        ({"portfolio": {"top": True}}, ("portfolio.top", "a int", "True")),
        ({"portfolio": {"capital": "1e3000"}}, ("portfolio.capital",)),
        ({"portfolio": {"capital": "ten"}}, ("portfolio.capital", "a decimal", "ten")),
        ({"portfolio": {"capital": "0"}}, ("portfolio.capital", "more than 0")),
        ({"portfolio": {"capital": 10000}}, ("portfolio.capital", "a str", "10000")),
        ({"portfolio": {"capital": "0.0000000001"}}, ("portfolio.capital", "9 digits")),
        ({"execution": {"algorithm": "twap"}}, ("execution.algorithm", "market", "twap")),
        ({"riskPolicyRef": "reckless"}, ("riskPolicyRef", "prudent", "reckless")),
        ({"riskPolicyRef": None}, ("riskPolicyRef",)),
    ],
)
def test_a_spec_that_cannot_trade_is_refused_by_name(change: dict[str, Any], parts: tuple[str, ...]) -> None:
    """Field, limit and value are in the message."""
    with pytest.raises(errors.ValueRefused) as refused:
        translate.recorded_strategy(config(smallest() | change))
    for part in parts:
        assert part in str(refused.value)


def coded(**changed: Any) -> dict[str, Any]:
    """Return the configuration of a Strategy with code."""
    code = {"entrypoint": "crossing:Crossing", "parameters": {"fast": 5}}
    return config(smallest() | {"signal": {"code": code}} | changed, model=None)


def test_code_becomes_settings() -> None:
    """Class, parameters, bars, capital and policy act; the class need not exist here."""
    settings = translate.code(
        translate.strategy_config(coded(bars={"timeframe": "1m"}, portfolio={"capital": "500000"}))
    )
    assert (settings.entrypoint, settings.parameters) == ("crossing:Crossing", {"fast": 5})
    assert (settings.name, settings.symbols, settings.channel) == ("momentum", ("IBM",), "1m")
    assert settings.capital == numbers.money("500000")
    assert (settings.policy, settings.limits.max_weight) == ("prudent", Fraction(6, 10))


def test_the_page_about_classes_shows_a_strategy_that_can_trade() -> None:
    """Its manifest is what the API takes, and the class is the example's."""
    page = EXAMPLES.parent / "docs" / "how-to" / "trade-a-class.yaml"
    spec = schema.defaulted(yaml.safe_load(page.read_text()))
    settings = translate.code(translate.strategy_config(config(spec, model=None)))
    module, _, name = settings.entrypoint.partition(":")
    assert f"class {name}(" in (EXAMPLES / "strategies" / f"{module}.py").read_text()


def test_what_decides_is_told_from_the_spec() -> None:
    """A class or a Model, never both in one reading."""
    assert translate.has_code(coded()["spec"])
    assert not translate.has_code(smallest())
    with pytest.raises(errors.ValueRefused, match=r"signal\.code"):
        translate.recorded_strategy(coded())


@pytest.mark.parametrize(
    "change, parts",
    [
        ({"signal": {"code": {}}}, ("signal.code.entrypoint", "a str")),
        ({"signal": {"code": {"entrypoint": "a:B", "image": "x"}}}, ("signal.code.image", "no such field")),
        ({"signal": {"code": {"entrypoint": "a:B", "parameters": [1]}}}, ("signal.code.parameters", "a dict")),
        ({"signal": {"code": {"entrypoint": "a:B"}, "models": [{"name": "alpha"}]}}, ("signal.models", "absent")),
        ({"portfolio": {"bottom": 1}}, ("portfolio.top and portfolio.bottom", "left out with signal.code", "1 and 1")),
        ({"surprise": 1}, ("surprise", "no such field")),
        ({"riskPolicyRef": "reckless"}, ("riskPolicyRef", "prudent")),
    ],
)
def test_a_spec_whose_code_cannot_trade_is_refused_by_name(change: dict[str, Any], parts: tuple[str, ...]) -> None:
    """Field, limit and value are in the message."""
    with pytest.raises(errors.ValueRefused) as refused:
        translate.code(translate.strategy_config(coded(**change)))
    for part in parts:
        assert part in str(refused.value)


def test_a_model_beside_code_is_refused() -> None:
    """A job that was told of both was told a contradiction."""
    with pytest.raises(errors.ValueRefused, match=r"model: must be absent"):
        translate.code(translate.strategy_config(coded() | {"model": config()["model"]}))


@pytest.mark.parametrize(
    "spec, field",
    [
        ({"order": {"maxNotional": "-1"}}, "order.maxNotional"),
        ({"position": {"maxWeight": "2"}, "portfolio": {"maxGross": "1"}}, "position.maxWeight"),
        ({"loss": {"maxDailyLoss": "0.2", "maxDrawdown": "0.1"}}, "loss.maxDailyLoss"),
        ({"margin": {"maxLeverage": "1"}}, "margin"),
        ({"onBreach": "clip"}, "onBreach"),
        ({"onBreach": {"order": "flatten"}}, "onBreach.order"),
    ],
)
def test_a_policy_that_cannot_act_is_refused_by_name(spec: dict[str, Any], field: str) -> None:
    """A limit that would be ignored is worse than a refusal."""
    policy = {"name": "prudent", "hash": "sha256:0", "spec": spec}
    with pytest.raises(errors.ValueRefused, match=field):
        translate.recorded_strategy(config(policy=policy))


@pytest.mark.parametrize(
    "change, field",
    [
        ({"generation": "two"}, "generation"),
        ({"surprise": 1}, "surprise"),
        ({"model": {}}, "model"),
        ({"uid": None}, "uid"),
    ],
)
def test_a_malformed_configuration_is_refused_by_name(change: dict[str, Any], field: str) -> None:
    """What is not a StrategyConfig never reaches the engine."""
    with pytest.raises(errors.ValueRefused, match=field):
        translate.strategy_config(config() | change)


@pytest.mark.parametrize("features", [{"set": "alpha360"}, {"version": "v2"}, {"set": "alpha158", "windows": [5]}])
def test_unknown_features_are_refused(features: dict[str, Any]) -> None:
    """Set, version and every further field must be known."""
    with pytest.raises(errors.ValueRefused, match="features"):
        translate.features(features, "features")


def test_the_example_model_becomes_a_training() -> None:
    """Every field of the example's recipe is in the training."""
    told = messages.TrainingConfig(
        submission_id="training-m-1-1",
        name="alpha",
        uid="m",
        generation=1,
        spec=example("model"),
        symbols=("MSFT", "IBM"),
    )
    training = translate.training(told)
    assert training.symbols == ("IBM", "MSFT")
    assert (training.start, training.end) == (
        times.instant("2000-03-01T00:00:00Z"),
        times.instant("2012-03-02T00:00:00Z"),
    )
    assert (training.horizon, training.seed, training.parameters["num_leaves"]) == (1, 7, "15")
    assert training.features.name == "alpha158"


@pytest.mark.parametrize(
    "bars, channel",
    [
        ({}, "1d"),
        ({"timeframe": "1m"}, "1m"),
        ({"timeframe": "1h", "session": "regular"}, "1h"),
        ({"timeframe": "15m", "session": "extended"}, "15m:extended"),
    ],
)
def test_timeframe_and_session_name_the_bars_that_trigger(bars: dict[str, str], channel: str) -> None:
    """Changing either changes the stream that the strategy follows."""
    spec = example("strategy") | {"bars": bars}
    assert translate.recorded_strategy(config(spec)).channel == channel
