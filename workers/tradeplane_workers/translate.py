"""The one place where specs, verbatim as people wrote them, become engine settings.

The engine does not know the API's types. What the API server defaulted may be absent here (a session record of an
older release), so the same defaults apply; every field that nothing acts on is refused by name, because a limit or a
choice that is silently ignored is worse than a refusal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pydantic

from tradeplane_engine import errors, portfolio, settings
from tradeplane_engine.core import gate
from tradeplane_engine.domain import numbers, timeframes, times
from tradeplane_engine.features import registry
from tradeplane_engine.models import lightgbm
from tradeplane_workers import messages

_T = TypeVar("_T")
_FRAMEWORK = "lightgbm"
_CONSTRUCT = "top-bottom-n"
_ALGORITHM = "market"
# The API server fills this in; with code nothing acts on it, so that any other choice is refused.
_UNTOUCHED_PORTFOLIO = (1, 0)


class Block:
    """One block of a spec: fields are taken out by name, and what is left at the end is refused.

    Parameters
    ----------
    content : the block as parsed from JSON or YAML
    path : its place in the spec, empty for the spec itself
    """

    def __init__(self, content: Any, path: str = "") -> None:
        if not isinstance(content, Mapping):
            raise errors.ValueRefused(path or "spec", "a mapping", content)
        self._left = dict(content)
        self._path = path

    def name(self, field: str) -> str:
        """Return the full path of a field."""
        return f"{self._path}.{field}" if self._path else field

    def block(self, field: str) -> "Block":
        """Take a block; an absent one is empty."""
        return Block(self._left.pop(field, {}), self.name(field))

    def has(self, field: str) -> bool:
        """Say whether a field is there and not yet taken."""
        return self._left.get(field) is not None

    def take(self, field: str, kind: type[_T], *, default: _T | None = None) -> _T:
        """Take a field of a type; raises ValueRefused when it is absent and has no default."""
        value = self._left.pop(field, None)
        if value is None:
            value = default
        # A bool is an int to Python, never to a reader of the spec.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise errors.ValueRefused(self.name(field), f"a {kind.__name__}", value)
        return value

    def one_of(self, field: str, known: str) -> str:
        """Take a field that has only one value today, which is also its default."""
        value = self.take(field, str, default=known)
        if value != known:
            raise errors.ValueRefused(self.name(field), f"one of: {known}", value)
        return value

    def ignore(self, *fields: str) -> None:
        """Drop fields that act elsewhere."""
        for field in fields:
            self._left.pop(field, None)

    def end(self) -> None:
        """Refuse whatever was not taken."""
        for field, value in self._left.items():
            raise errors.ValueRefused(self.name(field), "absent: no such field", value)


def strategy_config(document: Mapping[str, Any]) -> messages.StrategyConfig:
    """Validate a strategy job's configuration; raises ValueRefused naming the field."""
    return _validated(messages.StrategyConfig, document)


def has_code(spec: Mapping[str, Any]) -> bool:
    """Say whether a class decides for a Strategy, not a Model's scores."""
    return Block(spec).block("signal").has("code")


def strategy(config: messages.StrategyConfig) -> settings.StrategySettings:
    """Return what a Strategy with a Model is told; raises ValueRefused naming field, limit and value."""
    spec = Block(config.spec)
    model = _signal(spec.block("signal"), config.model)
    construct = _portfolio(spec.block("portfolio"))
    return settings.StrategySettings(
        **_trader(spec, config),
        features=features(model.features, "model.features"),
        model_digest=model.digest,
        portfolio=construct,
        algorithm=_ALGORITHM,
    )


def code(config: messages.StrategyConfig) -> settings.CodeSettings:
    """Return what a Strategy with code is told; raises ValueRefused naming field, limit and value.

    The class is neither imported nor made here: only the process that runs it has it on its path.
    """
    spec = Block(config.spec)
    if config.model is not None:
        raise errors.ValueRefused("model", "absent, because signal.code decides", config.model.name)
    signal = spec.block("signal")
    signal_code = signal.block("code")
    signal.end()
    entrypoint = signal_code.take("entrypoint", str)
    parameters = signal_code.take("parameters", dict, default={})
    signal_code.end()
    construct = _portfolio(spec.block("portfolio"))
    if (construct.top, construct.bottom) != _UNTOUCHED_PORTFOLIO:
        limit = "left out with signal.code"
        raise errors.ValueRefused(
            "portfolio.top and portfolio.bottom", limit, f"{construct.top} and {construct.bottom}"
        )
    return settings.CodeSettings(
        **_trader(spec, config), entrypoint=entrypoint, parameters=parameters, capital=construct.capital
    )


def _trader(spec: Block, config: messages.StrategyConfig) -> dict[str, Any]:
    """Take what every Strategy says, and refuse what is left of its spec."""
    symbols = _universe(spec.block("universe"))
    timeframe, session = _bars(spec.block("bars"))
    execution = spec.block("execution")
    execution.one_of("algorithm", _ALGORITHM)
    execution.end()
    policy = spec.take("riskPolicyRef", str)
    if policy != config.policy.name:
        raise errors.ValueRefused("riskPolicyRef", f"the bound policy {config.policy.name}", policy)
    # The operator acts on these: a suspended strategy has no process, and the pool is where this one runs.
    spec.ignore("suspend", "pool")
    spec.end()
    return {
        "name": config.name,
        "uid": config.uid,
        "generation": config.generation,
        "symbols": symbols,
        "timeframe": timeframe,
        "session": session,
        "policy": policy,
        "limits": gate.limits_of(config.policy.spec),
    }


def channel(config: messages.StrategyConfig) -> str:
    """Return the name of the bars that trigger a strategy; raises ValueRefused."""
    return timeframes.channel(*_bars(Block(config.spec).block("bars")))


def recorded(document: Mapping[str, Any]) -> settings.Generation:
    """Translate a StrategyConfig as a session record holds it, of a Model or of code."""
    config = strategy_config(document)
    return code(config) if has_code(config.spec) else strategy(config)


def recorded_strategy(document: Mapping[str, Any]) -> settings.StrategySettings:
    """Translate a StrategyConfig as a session record holds it."""
    return strategy(strategy_config(document))


def training_config(document: Mapping[str, Any]) -> messages.TrainingConfig:
    """Validate a training job's configuration; raises ValueRefused naming the field."""
    return _validated(messages.TrainingConfig, document)


def training(config: messages.TrainingConfig) -> lightgbm.Training:
    """Return what to train; raises ValueRefused naming field, limit and value.

    Days begin at midnight UTC: between a session's last bar and the next one's open in every US season.
    """
    spec = Block(config.spec)
    spec.one_of("framework", _FRAMEWORK)
    chosen = features(spec.take("features", dict, default={}), "features")
    label = spec.block("label")
    horizon = label.take("horizon", int, default=1)
    label.end()
    source = spec.block("source")
    if source.has("artifact") or not source.has("training"):
        raise errors.ValueRefused("source", "training: an artifact is fetched, not trained", config.spec.get("source"))
    recipe = source.block("training")
    source.end()
    start, end = _day(recipe, "start"), _day(recipe, "end")
    seed = recipe.take("seed", int, default=0)
    parameters = recipe.take("parameters", dict, default={})
    recipe.end()
    # How predictions are answered changes nothing in the artifact.
    spec.ignore("serving")
    spec.end()
    for name, value in parameters.items():
        if not isinstance(value, str):
            raise errors.ValueRefused(f"source.training.parameters.{name}", "a text", value)
    if not config.symbols:
        raise errors.ValueRefused("symbols", "at least one: no Strategy names this Model", config.symbols)
    return lightgbm.Training(
        symbols=tuple(sorted(set(config.symbols))),
        features=chosen,
        horizon=horizon,
        start=start,
        end=end,
        seed=seed,
        parameters=parameters,
    )


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a Backtest's spec asks for.

    start, end : slices that end in [start, end] are traded
    seed : of the resampling behind intervals of measures
    data : digest of the bars and actions that must be read, None for any
    """

    strategy: str
    start: times.Nanos
    end: times.Nanos
    seed: int
    audit: bool
    data: str | None


def backtest_config(document: Mapping[str, Any]) -> messages.BacktestConfig:
    """Validate a backtest job's configuration; raises ValueRefused naming the field."""
    return _validated(messages.BacktestConfig, document)


def backtest(document: Mapping[str, Any]) -> Backtest:
    """Read a Backtest's spec; raises ValueRefused naming field, limit and value. Both days are traded."""
    spec = Block(document)
    strategy_name = spec.take("strategyRef", str)
    start, last = _day(spec, "from"), _day(spec, "to")
    seed = spec.take("seed", int, default=0)
    audit = spec.take("audit", bool, default=True)
    data = spec.block("data")
    digest = data.take("digest", str) if data.has("digest") else None
    data.end()
    spec.end()
    if start >= last:
        raise errors.ValueRefused("from", f"before to ({times.text(last)[:10]})", times.text(start)[:10])
    end = times.Nanos(last + times.DAY)
    return Backtest(strategy=strategy_name, start=start, end=end, seed=seed, audit=audit, data=digest)


def features(spec: Mapping[str, Any], path: str) -> registry.FeatureSet:
    """Return the feature set that ``{set, version}`` names; raises ValueRefused for an unknown one."""
    block = Block(spec, path)
    name = block.take("set", str, default="alpha158")
    version = block.take("version", str, default="v1")
    block.end()
    return registry.named(name, version)


def _universe(block: Block) -> tuple[str, ...]:
    found = block.take("symbols", list)
    block.end()
    adapter = pydantic.TypeAdapter(messages.Symbol)
    for symbol in found:
        try:
            adapter.validate_python(symbol, strict=True)
        except pydantic.ValidationError:
            raise errors.ValueRefused("universe.symbols", "symbols such as AAPL or BRK.B", symbol) from None
    return tuple(sorted(found))


def _bars(block: Block) -> tuple[str, str]:
    timeframe = block.take("timeframe", str, default=timeframes.DAY)
    session = block.take("session", str, default=timeframes.REGULAR)
    block.end()
    return timeframe, session


def _signal(block: Block, model: messages.ModelReference | None) -> messages.ModelReference:
    """Return the Model that the signal names."""
    if block.has("code"):
        raise errors.ValueRefused("signal.code", "absent where a Model decides", block.take("code", dict))
    models = block.take("models", list)
    block.end()
    if len(models) != 1:
        raise errors.ValueRefused("signal.models", "exactly one model", models)
    entry = Block(models[0], "signal.models[0]")
    name = entry.take("name", str)
    entry.end()
    if model is None or name != model.name:
        limit = "a resolved model" if model is None else f"the resolved model {model.name}"
        raise errors.ValueRefused("signal.models[0].name", limit, name)
    return model


def _portfolio(block: Block) -> portfolio.TopBottomN:
    block.one_of("construct", _CONSTRUCT)
    top = block.take("top", int, default=1)
    bottom = block.take("bottom", int, default=0)
    capital = numbers.money(block.take("capital", str, default="10000"), field="portfolio.capital")
    block.end()
    return portfolio.TopBottomN(top=top, bottom=bottom, capital=capital)


def _day(block: Block, field: str) -> times.Nanos:
    text = block.take(field, str)
    try:
        return times.instant(f"{text}T00:00:00Z", field=block.name(field))
    except errors.ValueRefused:
        raise errors.ValueRefused(block.name(field), "a day such as 2012-03-02", text) from None


_M = TypeVar("_M", bound=messages.Message)


def _validated(kind: type[_M], document: Mapping[str, Any]) -> _M:
    try:
        return kind.model_validate(document)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or kind.__name__
        raise errors.ValueRefused(place, first["msg"], first["input"]) from error
