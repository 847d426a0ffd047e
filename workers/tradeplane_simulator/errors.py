"""Refusals in Alpaca's form: an HTTP status, an eight-digit code, a message and sometimes more fields.

Every answer that is not a success carries ``{"code", "message"}``, because the official client fails on a body
without them. The three first digits of a code echo the status.
"""

from tradeplane_engine.venue import refusals

Refusal = refusals.Refusal
# What the venue's rules answer; the HTTP edge adds its own below.
denied = refusals.denied
not_found = refusals.not_found
malformed = refusals.malformed
unprocessable = refusals.unprocessable


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


def not_entitled(feature: str) -> Refusal:
    """Refuse a part of Alpaca's service that this venue does not offer."""
    return Refusal(403, 40310000, f"account is not entitled to {feature}")


def too_many() -> Refusal:
    """Refuse a request beyond the account's rate."""
    return Refusal(429, 42910000, "rate limit exceeded")


def internal() -> Refusal:
    """Answer after a fault of the server itself; the log has the cause."""
    return Refusal(500, 50010000, "internal server error")
