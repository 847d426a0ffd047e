"""Refusals in Alpaca's form: an HTTP status, an eight-digit code, a message and sometimes more fields.

Every answer that is not a success carries ``{"code", "message"}``, because the official client fails on a body
without them. The three first digits of a code echo the status.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request gets nothing; ``extra`` are further fields of the body."""

    status: int
    code: int
    message: str
    extra: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Return the JSON body."""
        return {"code": self.code, "message": self.message, **self.extra}


class Refused(Exception):  # noqa: N818 - named for what happened; the HTTP edge turns it into the refusal's body
    """Carries a refusal from wherever it was decided to the HTTP edge."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class StateRefused(Exception):  # noqa: N818 - as above
    """The state file, accounts file or command line cannot be used; the process must not start."""


def unauthorized() -> Refusal:
    """No such key, or a wrong secret."""
    return Refusal(401, 40110000, "unauthorized.")


def forbidden() -> Refusal:
    """Answer a key that exists but may not do this."""
    return Refusal(403, 40310000, "forbidden.")


def denied(message: str, **extra: str) -> Refusal:
    """Refuse something that the account's state does not allow."""
    return Refusal(403, 40310000, message, extra)


def not_entitled(feature: str) -> Refusal:
    """Refuse a part of Alpaca's service that this venue does not offer."""
    return Refusal(403, 40310000, f"account is not entitled to {feature}")


def not_found(message: str) -> Refusal:
    """Answer an unknown object or address."""
    return Refusal(404, 40410000, message)


def malformed(message: str) -> Refusal:
    """Refuse a request that cannot be read, or an id that is taken."""
    return Refusal(422, 40010001, message)


def unprocessable(message: str) -> Refusal:
    """Refuse a request that can be read but not carried out."""
    return Refusal(422, 42210000, message)


def internal() -> Refusal:
    """Answer after a fault of the server itself; the log has the cause."""
    return Refusal(500, 50010000, "internal server error")
