"""How far trading time has come, by what the stream of minutes says. Pure state; both clocks are passed in.

A bar of a minute proves that everything before that minute is over. That the minute itself is over for all symbols is
known when all of them have sent it, or when its first bar is ``patience_s`` old: that is the barrier. Where the stream
runs in real time, the machine's clock proves the same, so that a quiet market does not hold a bucket back; where it is
replayed, the machine's clock says nothing about it.
"""

from collections.abc import Set as AbstractSet

from tradeplane_engine.domain import times

# A replay stands far from the machine's time; a real stream is seconds behind the minute's end.
_REAL_TIME = times.MINUTE


class Progress:
    """Trading time of one stream.

    Parameters
    ----------
    patience_s : how long after the first bar of a minute the others are awaited
    late_s : how long after a bucket's end, by the machine's clock, its last bars are awaited in a quiet market
    """

    def __init__(self, *, patience_s: float, late_s: float) -> None:
        self._patience_s = patience_s
        self._late = times.Nanos(int(late_s * times.SECOND))
        self._start = times.Nanos(0)
        self._first_heard_s = 0.0
        self._heard: set[str] = set()
        self._is_real_time = False

    def hear(self, symbol: str, start: times.Nanos, *, now_s: float, machine: times.Nanos) -> None:
        """Take note of a minute's bar, whatever session it belongs to."""
        if start > self._start:
            self._start, self._first_heard_s, self._heard = start, now_s, set()
            self._is_real_time = abs(machine - (start + times.MINUTE)) < _REAL_TIME
        if start == self._start:
            self._heard.add(symbol)

    def over(self, expected: AbstractSet[str], *, now_s: float, machine: times.Nanos) -> times.Nanos:
        """Return the instant up to which no further bar is expected."""
        passed = self._start
        if self._start and (expected <= self._heard or now_s >= self._first_heard_s + self._patience_s):
            passed = times.Nanos(self._start + times.MINUTE)
        return max(passed, times.Nanos(machine - self._late)) if self._is_real_time else passed

    def wait_s(
        self, end: times.Nanos, expected: AbstractSet[str], *, now_s: float, machine: times.Nanos
    ) -> float | None:
        """Return how long until ``end`` may be over by itself; nothing where only another bar can tell."""
        waits = []
        if self._start and end <= self._start + times.MINUTE:
            patience = self._first_heard_s + self._patience_s - now_s
            waits.append(0.0 if end <= self._start or expected <= self._heard else max(patience, 0.0))
        if self._is_real_time:
            waits.append(max(end + self._late - machine, 0) / times.SECOND)
        return min(waits, default=None)
