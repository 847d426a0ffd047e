"""What the kinds are built from: closed blocks, rules that exist twice (CEL and Python), patterned strings.

A rule's CEL runs in the API server, its Python twin in the reconciler, because a server may hold objects that were
written before the rule existed. A test gives both the same objects.
"""

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Self

import pydantic
import pydantic_core
from pydantic import alias_generators


def _existing_day(text: str) -> str:
    """Refuse the 30th of February, as the API server's format does; not a ValueError, so that the field is named."""
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        raise pydantic_core.PydanticCustomError("day", "must be a day of the calendar") from None
    return text


# The API server takes at most 18 digits before the point and 9 after it, as the ledger's scaled integers do.
DecimalText = Annotated[
    str, pydantic.StringConstraints(pattern=r"^(0|[1-9][0-9]{0,17})(\.[0-9]{1,9})?$", max_length=28)
]
DurationText = Annotated[str, pydantic.StringConstraints(pattern=r"^[1-9][0-9]{0,5}(ms|s|m|h)$", max_length=8)]
DateText = Annotated[
    str,
    pydantic.StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", max_length=10),
    pydantic.AfterValidator(_existing_day),
]
TimeText = Annotated[str, pydantic.StringConstraints(max_length=40)]
ObjectName = Annotated[
    str, pydantic.StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)
]
Digest = Annotated[str, pydantic.StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]
Symbol = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Z][A-Z0-9.]{0,11}$", max_length=12)]

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Rule:
    """A relation between fields of one block.

    cel : the condition, for the API server; empty where the list type of the schema already says it
    message : CEL string expression that names field, limit and value
    holds : the same condition in Python
    describe : the same message in Python
    """

    cel: str
    message: str
    holds: Callable[[Any], bool]
    describe: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Fixed:
    """What never changes after creation; only the API server can see this, as it alone has the old object.

    field : of the block; empty for the block itself, which also covers optional fields that come or go
    """

    field: str = ""

    @property
    def cel(self) -> str:
        """The transition rule."""
        return f"self.{self.field} == oldSelf.{self.field}" if self.field else "self == oldSelf"

    @property
    def message(self) -> str:
        """Why the edit is refused and what to do instead."""
        return f"{self.field or 'spec'}: is immutable; delete the object and create it again"


class Block(pydantic.BaseModel):
    """Part of a spec or status: frozen, camelCase, closed against unknown fields."""

    model_config = pydantic.ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=alias_generators.to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )
    rules: ClassVar[tuple[Rule, ...]] = ()
    fixed: ClassVar[tuple[Fixed, ...]] = ()

    @pydantic.model_validator(mode="after")
    def _keeps_its_rules(self) -> Self:
        for rule in type(self).rules:
            if not rule.holds(self):
                raise ValueError(rule.describe(self))
        return self

    def manifest(self) -> dict[str, Any]:
        """Plain JSON with the field names of the API; what was not given stays out."""
        return self.model_dump(by_alias=True, mode="json", exclude_none=True)


def seconds(duration: str) -> float:
    """Length of a duration such as ``500ms``, ``2s`` or ``1h``."""
    match = re.fullmatch(r"([0-9]+)(ms|s|m|h)", duration)
    if match is None:
        raise ValueError(f"duration: must be a whole number with ms, s, m or h, got {duration!r}")
    return int(match[1]) * _SECONDS[match[2]]


def positive(path: str) -> Rule:
    """Require a decimal above zero; the last part of ``path`` is the field."""
    field = path.rpartition(".")[2]
    attribute = alias_generators.to_snake(field)
    demand = f"{path}: must be above 0, got "
    return Rule(
        cel=f"quantity(self.{field}).isGreaterThan(quantity('0'))",
        message=f"'{demand}' + self.{field}",
        holds=lambda value: Decimal(getattr(value, attribute)) > 0,
        describe=lambda value: f"{demand}{getattr(value, attribute)}",
    )


def between(path: str, low: str, high: str) -> Rule:
    """Require a duration from ``low`` to ``high``; the last part of ``path`` is the field."""
    field = path.rpartition(".")[2]
    attribute = alias_generators.to_snake(field)
    demand = f"{path}: must be from {low} to {high}, got "
    return Rule(
        cel=f"duration(self.{field}) >= duration('{low}') && duration(self.{field}) <= duration('{high}')",
        message=f"'{demand}' + self.{field}",
        holds=lambda value: seconds(low) <= seconds(getattr(value, attribute)) <= seconds(high),
        describe=lambda value: f"{demand}{getattr(value, attribute)}",
    )
