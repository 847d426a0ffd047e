"""What a reconciler answers: the status to write first, then what to do, then when to look again."""

from dataclasses import dataclass
from typing import Any

from tradeplane_api import fields, names
from tradeplane_operator.ray import port

Json = dict[str, Any]

# Looked at again while something is under way, and at rest.
SOON_S = 1.0
REST_S = 10.0


@dataclass(frozen=True, slots=True)
class SetFinalizer:
    """Hold or release the object."""

    present: bool


@dataclass(frozen=True, slots=True)
class SubmitJob:
    """Start a Ray job."""

    address: str
    submission: port.Submission


@dataclass(frozen=True, slots=True)
class StopJob:
    """Ask a Ray job to end."""

    address: str
    submission_id: str


@dataclass(frozen=True, slots=True)
class EnsureServe:
    """Bring the Serve configuration of an address to what all Models together declare."""

    address: str


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell people by an Event."""

    reason: names.EventReason
    message: str
    warning: bool = False


Action = SetFinalizer | SubmitJob | StopJob | EnsureServe | Emit


@dataclass(frozen=True, slots=True)
class Decision:
    """The next step for one object.

    status : whole status that this operator owns; None to leave it
    actions : carried out in order after the status is written, so that a plan is told before it is done
    again_s : look again after this time
    """

    status: fields.Block | None
    actions: tuple[Action, ...] = ()
    again_s: float = REST_S
