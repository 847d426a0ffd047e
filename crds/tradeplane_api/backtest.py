"""Backtest: one run of a Strategy over past bars; it runs once, and its spec never changes."""

import datetime as dt
from typing import Annotated, ClassVar, Literal

import pydantic

from tradeplane_api import fields, status, strategy


class Data(fields.Block):
    """Which bars the run must see; they come from the provider that the Environment names."""

    digest: fields.Digest | None = pydantic.Field(
        default=None,
        description="Of the bars and actions that the run reads, as an earlier run's status.result.data names it; "
        "other ones are refused. Any when absent.",
    )


class BacktestSpec(fields.Block):
    """Strategy, period, data, seed."""

    strategy_ref: fields.ObjectName = pydantic.Field(description="Strategy to run, as it is declared when it starts.")
    from_: fields.DateText = pydantic.Field(
        alias="from",
        description="First day to trade; the bars before it warm the features up.",
        json_schema_extra={"format": "date"},
    )
    to: fields.DateText = pydantic.Field(description="Last day to trade.", json_schema_extra={"format": "date"})
    data: Data = Data()
    seed: Annotated[int, pydantic.Field(ge=0, le=2_147_483_647)] = pydantic.Field(
        default=0, description="Of the resampling behind sharpe_low and sharpe_high; no order depends on it."
    )
    audit: bool = pydantic.Field(
        default=True,
        description="Whether the run is repeated twice, on a past that ends earlier and with another future, and must "
        "decide the same where it knew the same. A result without it is no evidence for a promotion.",
    )

    rules: ClassVar[tuple[fields.Rule, ...]] = (
        fields.Rule(
            cel="self.from < self.to",
            message="'from: must be before to (%s), got %s'.format([self.to, self.from])",
            holds=lambda spec: dt.date.fromisoformat(spec.from_) < dt.date.fromisoformat(spec.to),
            describe=lambda spec: f"from: must be before to ({spec.to}), got {spec.from_}",
        ),
    )
    fixed: ClassVar[tuple[fields.Fixed, ...]] = (fields.Fixed(),)


class Subject(fields.Block):
    """What the run trades: the objects as they were when its attempt was promised."""

    strategy_uid: Annotated[str, pydantic.StringConstraints(max_length=64)]
    strategy_generation: Annotated[int, pydantic.Field(ge=1)]
    model: strategy.ServingModel | None = pydantic.Field(default=None, description="Absent where the signal is code.")
    policy: strategy.BoundPolicy
    trained_until: fields.DateText | None = pydantic.Field(
        default=None, description="First day that the Model's training did not use; absent where it was made elsewhere."
    )


class BacktestRun(status.ConfiguredAttempt):
    """The Ray job of this Backtest."""


MeasureName = Annotated[str, pydantic.StringConstraints(max_length=64)]
MeasureText = Annotated[
    str, pydantic.StringConstraints(pattern=r"^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,9})?$", max_length=40)
]
Measures = Annotated[dict[MeasureName, MeasureText], pydantic.Field(max_length=64)]


class Result(fields.Block):
    """What the run led to."""

    hash: fields.Digest = pydantic.Field(description="Of orders, fills, refusals and equity: the result's identity.")
    artifact: Annotated[str, pydantic.StringConstraints(max_length=1024)] = pydantic.Field(
        description="Where the whole result is."
    )
    digest: fields.Digest = pydantic.Field(description="Of the artifact's bytes.")
    data: fields.Digest = pydantic.Field(description="Of the bars and actions that were read.")
    trials: Annotated[int, pydantic.Field(ge=1)] = pydantic.Field(
        description="Configurations that were tried to get here, as the Model's version counts them."
    )
    audit: Literal["Passed", "Failed", "NotRun"] = pydantic.Field(
        default="NotRun", description="Failed where the run depends on what it could not know."
    )
    accusation: Annotated[str, pydantic.StringConstraints(max_length=1024)] = pydantic.Field(
        default="", description="The first decision that proves it, in a sentence; empty unless the audit failed."
    )
    measures: Measures = pydantic.Field(default={}, description="Decimal text.")


class BacktestStatus(fields.Block):
    """Written by the operator; never again once the phase is Succeeded or Failed."""

    observed_generation: Annotated[int, pydantic.Field(ge=0)] = 0
    conditions: status.Conditions = ()
    phase: Literal["Pending", "Running", "Succeeded", "Failed"] | None = None
    subject: Subject | None = None
    run: BacktestRun | None = None
    result: Result | None = None
