"""What happens at a given instant beside bars: control events, policies, corporate actions, timers.

Events of one instant are taken by phase, and within a phase in the order in which they were added.
"""

import heapq
from dataclasses import dataclass
from typing import Any

from tradeplane_engine import errors
from tradeplane_engine.core import order as orders

CONTROL, ACTION, TIMER = 1, 2, 4  # phases of an instant; bars that close are phase 3


@dataclass(frozen=True, slots=True)
class Control:
    """A state that starts to act: on one strategy, by name, or (None) on the account."""

    state: int
    strategy: str | None = None
    reason: str = ""


class Agenda:
    """Events by instant and phase."""

    __slots__ = ("_added", "_events", "next_at")

    def __init__(self) -> None:
        self._events: list[tuple[int, int, int, Any]] = []
        self._added = 0
        self.next_at = orders.NEVER

    def add(self, at: int, phase: int, event: Any) -> None:
        """Add an event; raises ValueRefused for an instant before 1970."""
        if at < 0:
            raise errors.ValueRefused("at", "0 or more ns", at)
        heapq.heappush(self._events, (at, phase, self._added, event))
        self._added += 1
        self.next_at = self._events[0][0]

    def take(self, now: int, phase: int) -> list[Any]:
        """Remove and return the events of an instant up to a phase."""
        found = []
        while self._events and self._events[0][0] <= now and self._events[0][1] <= phase:
            found.append(heapq.heappop(self._events)[3])
        self.next_at = self._events[0][0] if self._events else orders.NEVER
        return found
