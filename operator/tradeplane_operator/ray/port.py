"""What the operator asks of a Ray cluster, and what may go wrong.

RayError
├── RayUnreachable  connection, time-out, 5xx: what became of a write is not known, look again
└── RayRefused      4xx: the request or its token is wrong; trying the same again gives the same
"""

from dataclasses import dataclass, field
from typing import Any, Protocol


class RayError(Exception):
    """Base."""


class RayUnreachable(RayError):  # noqa: N818 - named for what happened
    """No usable answer."""


class RayRefused(RayError):  # noqa: N818 - as above
    """Ray understood and said no."""


# What Ray calls the states of a job in which a process may be running.
ALIVE = frozenset({"PENDING", "RUNNING"})


@dataclass(frozen=True, slots=True)
class Job:
    """One job as Ray reports it; times are seconds since 1970, 0 when unknown."""

    submission_id: str
    status: str
    message: str = ""
    namespace: str = ""
    started_s: float = 0.0
    ended_s: float = 0.0

    @property
    def alive(self) -> bool:
        """A process may be running."""
        return self.status in ALIVE

    @property
    def lifetime_s(self) -> float:
        """How long it ran; 0 while it runs."""
        return max(self.ended_s - self.started_s, 0.0) if self.ended_s else 0.0


@dataclass(frozen=True, slots=True)
class Submission:
    """A job to start; submitting the same id again is the same job."""

    submission_id: str
    entrypoint: str
    variables: dict[str, str]
    namespace: str


@dataclass(frozen=True, slots=True)
class Application:
    """One Serve application as Ray reports it; ``deployed_s`` is the time of the last PUT, seconds since 1970."""

    name: str
    status: str
    message: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    deployments_healthy: bool = False
    replicas: int = 0
    deployed_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Serve:
    """Everything at one Serve address; ``listening`` is ``host:port`` or None while Serve is not running."""

    applications: dict[str, Application]
    listening: str | None = None


class Jobs(Protocol):
    """The jobs interface of one Ray."""

    async def jobs(self) -> dict[str, Job]:
        """All jobs by submission id."""

    async def submit(self, submission: Submission) -> None:
        """Start a job, unless one with this id exists."""

    async def stop(self, submission_id: str) -> None:
        """Ask a job to end; an unknown or ended one is no error."""


class RayPool(Protocol):
    """One Ray that serves models."""

    async def ensure(self) -> str:
        """Make the Ray exist and give its dashboard's address."""

    async def serving(self) -> Serve:
        """Read back what Serve runs."""

    async def serve(self, config: dict[str, Any]) -> None:
        """Replace everything that Serve runs."""


class Ray(RayPool, Jobs, Protocol):
    """A pool with both interfaces."""
