"""Safety time: the machine's own clocks, which no replay compresses; and a bell for those who wait for a change."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Instant:
    """One reading of both clocks: ``boot_s`` counts suspended time too, ``wall_s`` can be set by anybody."""

    boot_s: float
    wall_s: float

    @property
    def text(self) -> str:
        """Wall time as RFC 3339 in UTC."""
        return datetime.fromtimestamp(self.wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Clock(Protocol):
    """Reads the machine's clocks."""

    def __call__(self) -> Instant:
        """Return this instant."""
        ...


def now() -> Instant:
    """Read CLOCK_BOOTTIME and the wall clock."""
    return Instant(time.clock_gettime(time.CLOCK_BOOTTIME), time.time())


class Bell:
    """Wakes everybody who waits, whenever it is rung; who looks before waiting misses nothing."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._rings = 0

    @property
    def rings(self) -> int:
        """How often it was rung; read it before looking at the state."""
        return self._rings

    def ring(self) -> None:
        """Wake everybody."""
        self._rings += 1
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, since: int, *, timeout_s: float | None = None) -> bool:
        """Wait until it was rung after ``since``; False when the time is over."""
        if self._rings != since:
            return True
        event = self._event
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return False
        return True
