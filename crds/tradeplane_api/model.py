"""Model: what predicts."""

import datetime as dt
import re
from typing import Annotated, ClassVar, Literal

import pydantic

from tradeplane_api import fields, status


class Features(fields.Block):
    """The columns of the model's input, by name and version of the set."""

    set: Literal["alpha158"] = "alpha158"
    version: Literal["v1"] = "v1"


class Label(fields.Block):
    """What is predicted: the return from the next open to the open ``horizon`` bars later."""

    horizon: Annotated[int, pydantic.Field(ge=1, le=60)] = pydantic.Field(default=1, description="Bars.")


ParameterValue = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9_.+-]+$", max_length=64)]


class Training(fields.Block):
    """How the artifact is made; the same training gives the same artifact."""

    start: fields.DateText = pydantic.Field(description="First day of bars.", json_schema_extra={"format": "date"})
    end: fields.DateText = pydantic.Field(
        description="First day that is not used.", json_schema_extra={"format": "date"}
    )
    seed: Annotated[int, pydantic.Field(ge=0, le=2_147_483_647)] = 0
    parameters: Annotated[dict[str, ParameterValue], pydantic.Field(max_length=32)] = pydantic.Field(
        default={}, description="Of the framework, as text."
    )

    rules: ClassVar[tuple[fields.Rule, ...]] = (
        fields.Rule(
            cel="self.start < self.end",
            message=(
                "'source.training.start: must be before source.training.end (%s), got %s'"
                ".format([self.end, self.start])"
            ),
            holds=lambda block: dt.date.fromisoformat(block.start) < dt.date.fromisoformat(block.end),
            describe=lambda block: (
                f"source.training.start: must be before source.training.end ({block.end}), got {block.start}"
            ),
        ),
        fields.Rule(
            cel="self.parameters.all(name, name.matches('^[a-z][a-z0-9_]{0,63}$'))",
            message="'source.training.parameters: names must match ^[a-z][a-z0-9_]{0,63}$'",
            holds=lambda block: all(re.fullmatch("[a-z][a-z0-9_]{0,63}", name) for name in block.parameters),
            describe=lambda block: (
                f"source.training.parameters: names must match ^[a-z][a-z0-9_]{{0,63}}$, got {sorted(block.parameters)}"
            ),
        ),
    )


class Artifact(fields.Block):
    """A trained model made elsewhere."""

    uri: Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z][a-z0-9+.-]*://\S+$", max_length=1024)]
    sha256: Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9a-f]{64}$", max_length=64)]


class Source(fields.Block):
    """Exactly one of training and artifact."""

    training: Training | None = None
    artifact: Artifact | None = None

    rules: ClassVar[tuple[fields.Rule, ...]] = (
        fields.Rule(
            cel="has(self.training) != has(self.artifact)",
            message=(
                "'source: must have exactly one of training and artifact, got ' + "
                "(has(self.training) ? 'both' : 'neither')"
            ),
            holds=lambda block: (block.training is None) != (block.artifact is None),
            describe=lambda block: (
                "source: must have exactly one of training and artifact, got "
                f"{'both' if block.training is not None else 'neither'}"
            ),
        ),
    )


class Serving(fields.Block):
    """How predictions are answered."""

    max_batch: Annotated[int, pydantic.Field(ge=1, le=4096)] = pydantic.Field(
        default=64, description="Rows that one call of the model computes at most."
    )
    deadline: fields.DurationText = pydantic.Field(
        default="2s", description="After it a prediction is late: no signal."
    )

    rules: ClassVar[tuple[fields.Rule, ...]] = (fields.between("serving.deadline", "10ms", "1m"),)


class ModelSpec(fields.Block):
    """Framework, features, label, source, serving."""

    framework: Literal["lightgbm"] = "lightgbm"
    features: Features = Features()
    label: Label = Label()
    source: Source
    serving: Serving = Serving()


class TrainingRun(status.Attempt):
    """The training that the spec asks for now."""

    spec_hash: fields.Digest = pydantic.Field(description="Of everything that decides the artifact.")
    symbols: Annotated[tuple[fields.Symbol, ...], pydantic.Field(max_length=2000)] = ()
    error: Annotated[str, pydantic.StringConstraints(max_length=4096)] = ""


class Version(fields.Block):
    """An artifact by its digest, and where it came from."""

    digest: fields.Digest
    artifact: Annotated[str, pydantic.StringConstraints(max_length=1024)]
    spec_hash: fields.Digest
    features: Features
    submission_id: Annotated[str, pydantic.StringConstraints(max_length=128)] = ""
    rows: Annotated[int, pydantic.Field(ge=0)] = 0
    trials: Annotated[int, pydantic.Field(ge=0)] = 0
    last_label_end: fields.TimeText = ""
    metrics: Annotated[
        dict[
            Annotated[str, pydantic.StringConstraints(max_length=64)],
            Annotated[str, pydantic.StringConstraints(max_length=40)],
        ],
        pydantic.Field(max_length=64),
    ] = pydantic.Field(default={}, description="Decimal text.")


class ServingStatus(fields.Block):
    """What answers at this moment, read back from Serve."""

    digest: fields.Digest
    url: Annotated[str, pydantic.StringConstraints(max_length=512)]
    replicas: Annotated[int, pydantic.Field(ge=0)] = 0


class ModelStatus(fields.Block):
    """Written by the operator."""

    observed_generation: Annotated[int, pydantic.Field(ge=0)] = 0
    conditions: status.Conditions = ()
    active: Version | None = None
    serving: ServingStatus | None = None
    training: TrainingRun | None = None
    plan: status.Plan | None = None
