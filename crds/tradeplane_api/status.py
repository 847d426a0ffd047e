"""What the statuses of several kinds carry: conditions (Kubernetes' own ``metav1.Condition``), plans, attempts."""

from typing import Annotated, Literal

import pydantic

from tradeplane_api import fields


class Condition(fields.Block):
    """One observation about an object, with the generation it was made at."""

    type: Annotated[str, pydantic.StringConstraints(max_length=64)]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, pydantic.StringConstraints(max_length=64)]
    message: Annotated[str, pydantic.StringConstraints(max_length=4096)] = ""
    last_transition_time: fields.TimeText
    observed_generation: Annotated[int, pydantic.Field(ge=0)]


Conditions = Annotated[
    tuple[Condition, ...],
    pydantic.Field(
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]


class Attempt(fields.Block):
    """One attempt of a Ray job, promised here before Ray is asked for it."""

    submission_id: Annotated[str, pydantic.StringConstraints(max_length=128)]
    generation: Annotated[int, pydantic.Field(ge=1)]
    attempt: Annotated[int, pydantic.Field(ge=1)]
    submitted: bool = pydantic.Field(description="False between the promise of this attempt and Ray's answer.")
    retry_at: fields.TimeText = ""


class ConfiguredAttempt(Attempt):
    """One of a job that is told everything when it is submitted, and tried again when it ends without its purpose."""

    address: Annotated[str, pydantic.StringConstraints(max_length=512)]
    config_hash: fields.Digest = pydantic.Field(description="Of what the job was told, its attempt left out.")
    failures: Annotated[int, pydantic.Field(ge=0)] = pydantic.Field(
        default=0, description="Attempts in a row that ended without a decision, or without a result."
    )


class Plan(fields.Block):
    """What the pending edit does, written before anything is done."""

    generation: Annotated[int, pydantic.Field(ge=0)]
    action: Annotated[str, pydantic.StringConstraints(max_length=32)]
    message: Annotated[str, pydantic.StringConstraints(max_length=1024)] = ""
