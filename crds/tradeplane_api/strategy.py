"""Strategy: what trades. It never says paper or live; the Environment does."""

from typing import Annotated, ClassVar, Literal

import pydantic

from tradeplane_api import fields, status

_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_ENTRYPOINT = rf"^{_NAME}(\.{_NAME})*:{_NAME}$"


class Universe(fields.Block):
    """What may be traded."""

    symbols: Annotated[
        tuple[fields.Symbol, ...],
        pydantic.Field(min_length=1, max_length=200, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ]

    rules: ClassVar[tuple[fields.Rule, ...]] = (
        fields.Rule(
            cel="",
            message="",
            holds=lambda block: len(set(block.symbols)) == len(block.symbols),
            describe=lambda block: f"universe.symbols: must be unique, got {', '.join(block.symbols)}",
        ),
    )


class Bars(fields.Block):
    """What triggers a decision: one per bar."""

    timeframe: Literal["1m", "5m", "15m", "1h", "1d"] = pydantic.Field(
        default="1d",
        description="Length of a bar. Buckets are counted from the start of the session; the last one ends with it.",
    )
    session: Literal["regular", "extended"] = pydantic.Field(
        default="regular",
        description=(
            "Hours that bars cover: regular from open to close, extended from 04:00 New York time to four hours after "
            "the close. Market orders of an extended session wait for the next open."
        ),
    )

    rules: ClassVar[tuple[fields.Rule, ...]] = (
        fields.Rule(
            cel="self.timeframe != '1d' || self.session == 'regular'",
            message="'bars.session: must be regular with timeframe 1d, got ' + self.session",
            holds=lambda block: block.timeframe != "1d" or block.session == "regular",
            describe=lambda block: f"bars.session: must be regular with timeframe 1d, got {block.session}",
        ),
    )


class SignalModel(fields.Block):
    """A Model whose scores are the signal."""

    name: fields.ObjectName


class SignalCode(fields.Block):
    """A class that decides, the same one as in a backtest."""

    entrypoint: Annotated[str, pydantic.StringConstraints(pattern=_ENTRYPOINT, max_length=253)] = pydantic.Field(
        description="package.module:Class, importable in the pool that runs the strategy's job."
    )
    parameters: Annotated[
        dict[str, pydantic.JsonValue],
        pydantic.WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
    ] = pydantic.Field(
        default={}, description="What the class is given; its own Parameters model validates them when it starts."
    )


class Signal(fields.Block):
    """What decides: the scores of a Model, or a class."""

    models: Annotated[tuple[SignalModel, ...], pydantic.Field(min_length=1, max_length=1)] | None = None
    code: SignalCode | None = None

    rules: ClassVar[tuple[fields.Rule, ...]] = (
        fields.Rule(
            cel="has(self.models) != has(self.code)",
            message="'signal: must have exactly one of models and code'",
            holds=lambda block: (block.models is None) != (block.code is None),
            describe=lambda _: "signal: must have exactly one of models and code",
        ),
    )

    @property
    def model(self) -> str | None:
        """Name of the Model whose scores decide, None for code."""
        return self.models[0].name if self.models else None


class Portfolio(fields.Block):
    """How scores become wanted positions; of code only the capital, as it names its positions itself."""

    construct_: Literal["top-bottom-n"] = pydantic.Field(default="top-bottom-n", alias="construct")
    top: Annotated[int, pydantic.Field(ge=0, le=200)] = pydantic.Field(
        default=1, description="Number of symbols with the highest scores to hold long."
    )
    bottom: Annotated[int, pydantic.Field(ge=0, le=200)] = pydantic.Field(
        default=0, description="Number of symbols with the lowest scores to hold short."
    )
    capital: fields.DecimalText = pydantic.Field(
        default="10000", description="USD that weights are fractions of, and that the equity of code starts from."
    )

    rules: ClassVar[tuple[fields.Rule, ...]] = (
        fields.Rule(
            cel="self.top + self.bottom >= 1",
            message="'portfolio.top + portfolio.bottom: must be at least 1, got %d'.format([self.top + self.bottom])",
            holds=lambda block: block.top + block.bottom >= 1,
            describe=lambda block: (
                f"portfolio.top + portfolio.bottom: must be at least 1, got {block.top + block.bottom}"
            ),
        ),
        fields.positive("portfolio.capital"),
    )


class Execution(fields.Block):
    """How wanted positions become orders."""

    algorithm: Literal["market"] = "market"


# What the API server fills in cannot be told from what a person wrote.
_UNTOUCHED_PORTFOLIO = (1, 0)


class StrategySpec(fields.Block):
    """The smallest one says symbols, model and policy."""

    universe: Universe
    bars: Bars = Bars()
    signal: Signal
    portfolio: Portfolio = Portfolio()
    execution: Execution = Execution()
    risk_policy_ref: fields.ObjectName = pydantic.Field(description="RiskPolicy that judges this Strategy's orders.")
    suspend: bool = pydantic.Field(default=False, description="Process stopped, state halted.")
    pool: fields.ObjectName | None = pydantic.Field(
        default=None, description="Pool of role execution; the Environment's first when absent."
    )

    rules: ClassVar[tuple[fields.Rule, ...]] = (
        fields.Rule(
            cel="self.portfolio.top + self.portfolio.bottom <= size(self.universe.symbols)",
            message=(
                "'portfolio.top + portfolio.bottom: must be at most %d (universe.symbols), got %d'"
                ".format([size(self.universe.symbols), self.portfolio.top + self.portfolio.bottom])"
            ),
            holds=lambda spec: spec.portfolio.top + spec.portfolio.bottom <= len(spec.universe.symbols),
            describe=lambda spec: (
                f"portfolio.top + portfolio.bottom: must be at most {len(spec.universe.symbols)} (universe.symbols), "
                f"got {spec.portfolio.top + spec.portfolio.bottom}"
            ),
        ),
        fields.Rule(
            cel="!has(self.signal.code) || (self.portfolio.top == 1 && self.portfolio.bottom == 0)",
            message=(
                "'portfolio.top and portfolio.bottom: must be left out with signal.code, got %d and %d'"
                ".format([self.portfolio.top, self.portfolio.bottom])"
            ),
            holds=lambda spec: (
                spec.signal.code is None or (spec.portfolio.top, spec.portfolio.bottom) == _UNTOUCHED_PORTFOLIO
            ),
            describe=lambda spec: (
                "portfolio.top and portfolio.bottom: must be left out with signal.code, "
                f"got {spec.portfolio.top} and {spec.portfolio.bottom}"
            ),
        ),
    )


class ServingModel(fields.Block):
    """The version of a Model that the running job expects."""

    name: fields.ObjectName
    digest: fields.Digest


class BoundPolicy(fields.Block):
    """The policy as it is bound now."""

    name: fields.ObjectName
    hash: fields.Digest


class StrategyJob(status.ConfiguredAttempt):
    """The Ray job that acts for this Strategy."""


class StrategyStatus(fields.Block):
    """Written by the operator; conditions change, prices and positions do not appear here."""

    observed_generation: Annotated[int, pydantic.Field(ge=0)] = 0
    conditions: status.Conditions = ()
    state: Literal["enabled", "reduce-only", "flatten", "halted"] | None = None
    models: Annotated[tuple[ServingModel, ...], pydantic.Field(max_length=1)] = ()
    policy: BoundPolicy | None = None
    job: StrategyJob | None = None
    plan: status.Plan | None = None
