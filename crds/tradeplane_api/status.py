"""The condition every status carries, as Kubernetes' own ``metav1.Condition``."""

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


class Plan(fields.Block):
    """What the pending edit does, written before anything is done."""

    generation: Annotated[int, pydantic.Field(ge=0)]
    action: Annotated[str, pydantic.StringConstraints(max_length=32)]
    message: Annotated[str, pydantic.StringConstraints(max_length=1024)] = ""
