"""What a venue asks before it takes an order, and what it keeps beside the ledger: buying power, shorts, its own rules.

The core knows only when to ask. A run without a broker takes every order that the risk chains let out, and lends
without end.
"""

from collections.abc import Mapping
from typing import Protocol

from tradeplane_engine.core.order import Order

SCOPE = "venue"  # the word in the log for who refused


class Refusal(Protocol):
    """A refusal in the broker's form."""

    @property
    def code(self) -> int:
        """Number of its family."""

    @property
    def message(self) -> str:
        """Sentence."""

    @property
    def extra(self) -> Mapping[str, str]:
        """Further fields by name."""


class Broker(Protocol):
    """The account at the venue."""

    def refusal(self, order: Order) -> Refusal | None:
        """Return why a new order is not taken, or None; then what it may cost is reserved until it ends."""

    def replacement(self, old: Order, new: Order) -> Refusal | None:
        """Return why an order may not take another's place, or None, as above."""

    def covers(self, order: Order, price: int, quantity: int) -> Refusal | None:
        """Return why an execution cannot be paid, or None."""

    def traded(self, order: Order, price: int, quantity: int) -> None:
        """Take note of an execution that was booked."""

    def lasts_until(self, order: Order) -> int:
        """Return the instant (ns UTC) at which an order that is good till cancelled is cancelled, NEVER for none."""

    def keeps(self, order: Order, *, forward: bool) -> bool:
        """Say whether an open order with a price goes on after a split."""


def word(refusal: Refusal) -> str:
    """Return a refusal as the log has it: code and message."""
    return f"{refusal.code}: {refusal.message}"
