"""Findings become conditions: one place that knows times, generations and what a status without news looks like."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import pydantic

from tradeplane_api import fields, names, status

StatusT = TypeVar("StatusT", bound=fields.Block)
Truth = Literal["True", "False", "Unknown"]
_MESSAGE_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition before it has a time and a generation."""

    type: names.Condition
    status: Truth
    reason: names.Reason
    message: str = ""


@dataclass(frozen=True, slots=True)
class Violation:
    """Why an object cannot be what it declares; the message names field, limit and value."""

    reason: names.Reason
    message: str


def is_true(type_: names.Condition, reason: names.Reason, message: str = "") -> Finding:
    """State that the condition holds."""
    return Finding(type_, "True", reason, message)


def is_false(type_: names.Condition, reason: names.Reason, message: str = "") -> Finding:
    """State that the condition does not hold."""
    return Finding(type_, "False", reason, message)


def is_unknown(type_: names.Condition, reason: names.Reason, message: str = "") -> Finding:
    """State that nobody can say."""
    return Finding(type_, "Unknown", reason, message)


def timestamp(moment: dt.datetime) -> str:
    """RFC 3339 in UTC, whole seconds, as Kubernetes writes times."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(timestamp_: str) -> dt.datetime:
    """Time of an RFC 3339 text."""
    return dt.datetime.fromisoformat(timestamp_)


def dated(
    findings: Iterable[Finding], previous: Iterable[status.Condition], *, generation: int, now: dt.datetime
) -> tuple[status.Condition, ...]:
    """Give each finding its generation, and a new transition time only when its status changed.

    A later finding of a type replaces an earlier one; the order is that of ``names.Condition``.
    """
    before = {condition.type: condition for condition in previous}
    latest = {finding.type: finding for finding in findings}
    dated_conditions = []
    for type_ in names.Condition:
        if type_ not in latest:
            continue
        finding = latest[type_]
        old = before.get(type_.value)
        changed = old is None or old.status != finding.status
        dated_conditions.append(
            status.Condition(
                type=type_.value,
                status=finding.status,
                reason=finding.reason.value,
                message=finding.message[:_MESSAGE_LIMIT],
                last_transition_time=timestamp(now) if old is None or changed else old.last_transition_time,
                observed_generation=generation,
            )
        )
    return tuple(dated_conditions)


def parsed_status(type_: type[StatusT], manifest: dict[str, Any]) -> StatusT:
    """Status of an object as it stands; an empty one where it is absent or cannot be read, to be written anew."""
    try:
        return type_.model_validate(manifest.get("status") or {})
    except pydantic.ValidationError:
        return type_()


def violation_of(problem: pydantic.ValidationError) -> Violation:
    """First thing that is wrong with a spec: field, what would be right, what came."""
    first = problem.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    text = message if first["type"] == "value_error" else f"{field}: {message}, got {first['input']!r}"
    return Violation(names.Reason.INVALID_SPEC, text)
