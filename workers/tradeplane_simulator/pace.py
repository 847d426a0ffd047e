"""A venue's clock that runs by itself: with the machine's, or so many times as fast."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import NoReturn

from tradeplane_engine.domain import times
from tradeplane_simulator import simulator

_STEP_S = 0.05


async def run(
    venue: simulator.Simulator,
    speed: Fraction,
    *,
    now: Callable[[], int] = time.monotonic_ns,
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> NoReturn:
    """Move the venue's clock on from where it stands, ``speed`` times as fast as ``now`` (ns) grows.

    Whatever moves it further meanwhile is not undone: the clock then stands until it is due again. Each step waits
    until the one before is written to every client, so a slow one makes the clock jump, never fall behind.
    """
    began, start = now(), venue.clock
    while True:
        await wait(_STEP_S)
        await venue.advance(times.Nanos(start + int((now() - began) * speed)))
