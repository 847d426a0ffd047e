"""The keyed queue: a key waits once, runs once at a time, and backs off."""

import asyncio

import pytest

from tradeplane_operator import queueing, reconciler

A = reconciler.Key("Model", "a")
B = reconciler.Key("Model", "b")


class Clock:
    """Monotonic time that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock."""
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> queueing.Queue:
    """Return an empty queue on that clock."""
    return queueing.Queue(clock)


async def waits(queue: queueing.Queue) -> bool:
    """Say whether there is nothing to take now."""
    try:
        async with asyncio.timeout(0.05):
            await queue.take()
    except TimeoutError:
        return True
    return False


async def test_ten_events_are_one_pass(queue: queueing.Queue) -> None:
    """Level-triggered."""
    for _ in range(10):
        await queue.add(A)
    assert await queue.take() == A
    await queue.done(A, again_s=None)
    assert await waits(queue)


async def test_a_key_is_never_worked_on_twice_at_once(queue: queueing.Queue) -> None:
    """An event during the pass gives one more pass afterwards."""
    await queue.add(A)
    await queue.take()
    await queue.add(A)
    assert await waits(queue)
    await queue.done(A, again_s=None)
    assert await queue.take() == A


async def test_a_key_returns_when_it_is_due(queue: queueing.Queue, clock: Clock) -> None:
    """Not before."""
    await queue.add(A)
    await queue.take()
    await queue.done(A, again_s=10)
    clock.now += 9.9
    assert await waits(queue)
    clock.now += 0.1
    assert await queue.take() == A


async def test_an_event_overtakes_the_due_time(queue: queueing.Queue, clock: Clock) -> None:
    """And the old due time is forgotten."""
    await queue.add(A)
    await queue.take()
    await queue.done(A, again_s=10)
    await queue.add(A)
    assert await queue.take() == A
    await queue.done(A, again_s=None)
    clock.now += 11
    assert await waits(queue)


async def test_failures_back_off_even_under_events(queue: queueing.Queue, clock: Clock) -> None:
    """Delays double up to half a minute; an event during a failing pass does not shorten them."""
    delays = []
    await queue.add(A)
    for _ in range(9):
        await queue.take()
        await queue.add(A)
        await queue.failed(A)
        delays.append(queue._due[A] - clock.now)
        clock.now = queue._due[A]
    assert delays == pytest.approx([0.25, 0.5, 1, 2, 4, 8, 16, 30, 30])


async def test_one_failing_key_does_not_hold_the_others(queue: queueing.Queue) -> None:
    """B runs while A waits."""
    await queue.add(A)
    await queue.take()
    await queue.failed(A)
    await queue.add(B)
    assert await queue.take() == B


async def test_a_good_pass_forgets_the_failures(queue: queueing.Queue, clock: Clock) -> None:
    """The next failure starts with the short delay."""
    await queue.add(A)
    for _ in range(5):
        await queue.take()
        await queue.failed(A)
        clock.now += 31
    await queue.take()
    await queue.done(A, again_s=0)
    await queue.take()
    await queue.failed(A)
    clock.now += 0.25
    assert await queue.take() == A
