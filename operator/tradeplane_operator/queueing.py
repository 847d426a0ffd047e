"""The keyed queue: a key waits at most once, is worked on by one worker at a time, and backs off by itself."""

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import Callable

from tradeplane_operator import reconciler

_FIRST_DELAY_S = 0.25
_LONGEST_DELAY_S = 30.0


class Queue:
    """Level-triggered: ten events of one key are one pass.

    Parameters
    ----------
    monotonic : seconds of a clock that only goes forward
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._ready: dict[reconciler.Key, None] = {}
        self._working: set[reconciler.Key] = set()
        self._again: set[reconciler.Key] = set()
        self._due: dict[reconciler.Key, float] = {}
        self._heap: list[tuple[float, int, reconciler.Key]] = []
        self._order = itertools.count()
        self._failures: dict[reconciler.Key, int] = {}
        self._changed = asyncio.Condition()

    @property
    def depth(self) -> int:
        """Keys that wait for a worker now."""
        return len(self._ready)

    async def add(self, key: reconciler.Key) -> None:
        """Work on this key as soon as possible; one being worked on is worked on once more afterwards."""
        async with self._changed:
            self._make_ready(key)

    async def take(self) -> reconciler.Key:
        """Wait for a key and take it."""
        async with self._changed:
            while True:
                self._ripen()
                if self._ready:
                    key = next(iter(self._ready))
                    del self._ready[key]
                    self._working.add(key)
                    return key
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._patience_s()):
                        await self._changed.wait()

    async def done(self, key: reconciler.Key, *, again_s: float | None) -> None:
        """Give a key back after a good pass; it returns after ``again_s``, or is forgotten with None."""
        async with self._changed:
            self._failures.pop(key, None)
            self._finish(key, again_s)

    async def failed(self, key: reconciler.Key, *, at_least_s: float = 0.0) -> None:
        """Give a key back after a pass that raised; delays double."""
        async with self._changed:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            delay = min(_FIRST_DELAY_S * 2 ** min(failures - 1, 10), _LONGEST_DELAY_S)
            # An event must not make a failing key spin, so the delay also counts for what came in meanwhile.
            self._again.discard(key)
            self._finish(key, max(delay, at_least_s))

    def _finish(self, key: reconciler.Key, again_s: float | None) -> None:
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self._make_ready(key)
        elif again_s is None:
            self._due.pop(key, None)
        else:
            due = self._monotonic() + again_s
            self._due[key] = due
            heapq.heappush(self._heap, (due, next(self._order), key))
            self._changed.notify()

    def _make_ready(self, key: reconciler.Key) -> None:
        if key in self._working:
            self._again.add(key)
            return
        self._due.pop(key, None)
        self._ready[key] = None
        self._changed.notify()

    def _ripen(self) -> None:
        """Move what is due; entries that were overtaken by an event are dropped here."""
        now = self._monotonic()
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                self._ready[key] = None

    def _patience_s(self) -> float | None:
        return max(self._heap[0][0] - self._monotonic(), 0.0) if self._heap else None
