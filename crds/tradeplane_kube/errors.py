"""What may come back instead of an answer.

KubeError
├── NotFound      the object is not there
├── Conflict      another writer was first, or a precondition on uid or resourceVersion failed: read again
│   └── AlreadyExists
├── Invalid       the server refuses the object; the message names the field
├── Forbidden     401 and 403: credentials or RBAC
├── Expired       a watch can no longer continue from its resourceVersion: list again
├── Throttled     429; ``retry_after_s`` says when
├── Unreachable   connection, time-out, 5xx or an answer that is not JSON: what became of a write is not known
└── Refused       every other status
"""

from typing import Any


class KubeError(Exception):
    """Base of everything that tradeplane_kube raises.

    Parameters
    ----------
    message : what was asked and what came back
    status : HTTP status, 0 when there was no answer
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class NotFound(KubeError):  # noqa: N818 - named for what happened, as all below
    """404."""


class Conflict(KubeError):  # noqa: N818 - as above
    """409: read again and decide again."""


class AlreadyExists(Conflict):
    """409 of a create."""


class Invalid(KubeError):  # noqa: N818 - as above
    """400 or 422: the object breaks its schema."""


class Forbidden(KubeError):  # noqa: N818 - as above
    """401 or 403."""


class Expired(KubeError):  # noqa: N818 - as above
    """410: list again."""


class Throttled(KubeError):  # noqa: N818 - as above
    """429 with its Retry-After."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message, 429)
        self.retry_after_s = retry_after_s


class Unreachable(KubeError):  # noqa: N818 - as above
    """No usable answer; a write may or may not have happened."""


class Refused(KubeError):  # noqa: N818 - as above
    """A status that nothing here expects."""


_BY_STATUS: dict[int, type[KubeError]] = {
    400: Invalid,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    422: Invalid,
}
_FIRST_SERVER_ERROR = 500
_TOO_MANY_REQUESTS = 429


def from_status(status: int, body: dict[str, Any], *, request: str, retry_after: str | None = None) -> KubeError:
    """Turn a Kubernetes Status answer into the error that callers react to."""
    message = f"{request}: {status} {body.get('reason', '')}: {body.get('message', '')}"
    if status == _TOO_MANY_REQUESTS:
        return Throttled(message, float(retry_after) if retry_after and retry_after.isdigit() else 1.0)
    if status >= _FIRST_SERVER_ERROR:
        return Unreachable(message, status)
    if body.get("reason") == "AlreadyExists":
        return AlreadyExists(message, status)
    return _BY_STATUS.get(status, Refused)(message, status)
