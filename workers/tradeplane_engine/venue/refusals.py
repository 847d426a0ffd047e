"""Refusals in Alpaca's form: an HTTP status, an eight-digit code, a message and sometimes more fields.

The code is a family, not an identity: a reader classifies on status, code and message together. Messages whose wording
Alpaca's catalogue (``alpaca-protocol.md`` section 6) does not hold are ours, and say which value broke which limit.
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


def denied(message: str, **extra: str) -> Refusal:
    """Refuse something that the account's state does not allow."""
    return Refusal(403, 40310000, message, extra)


def not_found(message: str) -> Refusal:
    """Answer an unknown object."""
    return Refusal(404, 40410000, message)


def malformed(message: str) -> Refusal:
    """Refuse a request that cannot be read, or an id that is taken."""
    return Refusal(422, 40010001, message)


def unprocessable(message: str, **extra: str) -> Refusal:
    """Refuse a request that can be read but not carried out."""
    return Refusal(422, 42210000, message, extra)
