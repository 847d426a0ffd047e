"""What happens at a given instant beside bars: control events, policies, corporate actions, timers, session opens.

Events of one instant are taken by phase, and within a phase in the order in which they were added. An event has
one method, ``act(kernel)``; but a timer is the slot it rings for and its name, and a barrier only makes the loop stop.
"""

import heapq
from typing import Any

from tradeplane_engine import errors

NEVER = 9223372036854775807
# Phases of an instant; bars that close are phase 3. A session opens when the decisions of its first instant are taken.
CONTROL, ACTION, TIMER, BARRIER, SESSION = 1, 2, 4, 5, 6


class Agenda:
    """Events by instant and phase; ``next_at`` is the instant of the next one, NEVER for none."""

    __slots__ = ("_added", "_events", "next_at")

    def __init__(self) -> None:
        self._events: list[tuple[int, int, int, Any]] = []
        self._added = 0
        self.next_at = NEVER

    def add(self, at: int, phase: int, event: Any) -> None:
        """Add an event; raises ValueRefused for an instant before 1970."""
        if at < 0:
            raise errors.ValueRefused("at", "0 or more ns", at)
        heapq.heappush(self._events, (at, phase, self._added, event))
        self._added += 1
        self.next_at = self._events[0][0]

    def take(self, now: int, phase: int) -> list[Any]:
        """Remove and return the events up to an instant and a phase."""
        found = []
        while self._events and self._events[0][0] <= now and self._events[0][1] <= phase:
            found.append(heapq.heappop(self._events)[3])
        self.next_at = self._events[0][0] if self._events else NEVER
        return found
