"""A process inside the process: all tasks of a gateway object, counted step by step, that stop where they stand.

A step is one resumption of a task, from one await to the next. A killed actor takes none any more: no handler, no
``finally``, no hand-over runs, as after SIGKILL. A paused one takes them when it is resumed, as after SIGSTOP.
"""

import asyncio
import collections.abc
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

ACTOR: contextvars.ContextVar["Actor | None"] = contextvars.ContextVar("chaos actor", default=None)


class Actor:
    """What one gateway object does; ``at`` are faults by the number of the step before which they happen."""

    def __init__(self, name: str, at: dict[int, Callable[["Actor", str], None]]) -> None:
        self.name = name
        self.at = at
        self.steps = 0
        self.is_dead = False
        self.tasks: list[asyncio.Task[Any]] = []
        self._is_still = False
        self._parked: list[asyncio.Future[None]] = []

    @property
    def is_still(self) -> bool:
        """Whether it takes no step now."""
        return self._is_still

    def kill(self) -> None:
        """Take no further step."""
        self.is_dead = self._is_still = True

    def pause(self) -> None:
        """Take no further step until resumed."""
        self._is_still = True

    def resume(self) -> None:
        """Go on where it stood."""
        if not self.is_dead:
            self.let_go()

    async def bury(self) -> None:
        """Let its tasks end, when all that they could reach is gone."""
        self.let_go()
        for _ in range(50):
            left = [task for task in self.tasks if not task.done()]
            if not left:
                return
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=0.1)

    def start(self, program: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run a program as this actor; so does everything that it starts."""
        token = ACTOR.set(self)
        try:
            return asyncio.get_running_loop().create_task(program)
        finally:
            ACTOR.reset(token)

    def parked(self) -> "asyncio.Future[None]":
        """Return what a task waits for that may take no step."""
        found: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        found._asyncio_future_blocking = True  # type: ignore[attr-defined]  # as ``await`` does
        self._parked.append(found)
        return found

    def let_go(self) -> None:
        """Take steps again, dead or not."""
        self._is_still = False
        parked, self._parked = self._parked, []
        for each in parked:
            if not each.done():
                each.set_result(None)


class Program(collections.abc.Coroutine[Any, Any, Any]):
    """A coroutine of an actor."""

    def __init__(self, inner: Any, actor: Actor) -> None:
        self._inner = inner
        self._actor = actor
        self._thrown: tuple[Any, ...] | None = None

    def __getattr__(self, name: str) -> Any:
        """Look like the coroutine inside, for whoever inspects it."""
        return getattr(self._inner, name)

    def __await__(self) -> Any:
        return self._inner.__await__()

    def send(self, value: Any) -> Any:
        """Take a step, or none."""
        actor = self._actor
        actor.steps += 1
        fault = actor.at.pop(actor.steps, None)
        if fault is not None:
            fault(actor, place(self._inner))
        if actor.is_still:
            return actor.parked()
        if self._thrown is not None:
            thrown, self._thrown = self._thrown, None
            return self._inner.throw(*thrown)
        return self._inner.send(value)

    def throw(self, *thrown: Any) -> Any:
        """Raise inside, now or when it may go on."""
        if self._actor.is_still:
            self._thrown = thrown
            return self._actor.parked()
        return self._inner.throw(*thrown)

    def close(self) -> None:
        """End."""
        self._inner.close()


def factory(loop: asyncio.AbstractEventLoop, program: Any, **options: Any) -> "asyncio.Task[Any]":
    """Make a task, of the actor that makes it."""
    actor = ACTOR.get()
    if actor is None:
        return asyncio.Task(program, loop=loop, **options)
    task = asyncio.Task(Program(program, actor), loop=loop, **options)
    actor.tasks.append(task)
    return task


def place(program: Any) -> str:
    """Return where in our own code a coroutine waits: the innermost file and line."""
    found = "start"
    while program is not None:
        frame = getattr(program, "cr_frame", None)
        if frame is not None and "tradeplane_workers" in frame.f_code.co_filename:
            found = f"{frame.f_code.co_filename.rpartition('tradeplane_workers/')[2]}:{frame.f_lineno}"
        program = getattr(program, "cr_await", None)
    return found
