"""Time as a parameter: the loop asks a Clock, never the machine."""

from typing import Protocol

from tradeplane_engine.domain import times


class Clock(Protocol):
    """Trading time, which comes from the venue and may be replayed."""

    def now(self) -> times.Nanos:
        """Return the current trading time."""
        ...
