"""Collects streamed bars that end together until a slice may be published. Pure state; time is passed in."""

from collections.abc import Set as AbstractSet

from tradeplane_engine.domain import bars, times


class Assembly:
    """Bars by end, waiting for the rest of their slice.

    Parameters
    ----------
    patience_s : how long after the first bar of an end the others are awaited
    """

    def __init__(self, *, patience_s: float) -> None:
        self._patience_s = patience_s
        self._bars: dict[times.Nanos, dict[str, bars.Bar]] = {}
        self._first_seen: dict[times.Nanos, float] = {}

    def add(self, bar: bars.Bar, *, now: float) -> bool:
        """Keep ``bar``; False when its symbol and end were there already (the first one stays)."""
        collected = self._bars.setdefault(bar.end, {})
        self._first_seen.setdefault(bar.end, now)
        if bar.symbol in collected:
            return False
        collected[bar.symbol] = bar
        return True

    def due(self, wanted: AbstractSet[str], *, now: float) -> times.Nanos | None:
        """Return the oldest end if it is complete or its patience is over; later ends never overtake it."""
        if not self._bars:
            return None
        end = min(self._bars)
        is_newest = len(self._bars) == 1
        waits = is_newest and now < self._first_seen[end] + self._patience_s and not wanted <= self._bars[end].keys()
        return None if waits else end

    def wait_s(self, *, now: float) -> float | None:
        """Return how long until an end may become due by itself; nothing when none is collected."""
        if not self._bars:
            return None
        return max(self._first_seen[min(self._bars)] + self._patience_s - now, 0.0)

    def take(self, end: times.Nanos) -> dict[str, bars.Bar]:
        """Remove and return the bars of ``end``."""
        self._first_seen.pop(end, None)
        return self._bars.pop(end, {})

    def peek(self, end: times.Nanos) -> dict[str, bars.Bar]:
        """Return the bars of ``end`` and keep them, so that a failed publication loses none."""
        return dict(self._bars.get(end, {}))

    def drop_until(self, end: times.Nanos) -> None:
        """Forget every end up to ``end``."""
        for old in [known for known in self._bars if known <= end]:
            self.take(old)
