"""Group commit: what is asked for while one transaction commits goes into the next, all of it together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tradeplane_workers.stores import database

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(eq=False, slots=True)
class _Asked(Generic[_Item, _Result]):
    """One item that somebody waits for, and what came of it."""

    item: _Item
    results: list[_Result] | None = None
    error: Exception | None = None


class Together(Generic[_Item, _Result]):
    """Hands items to ``work`` one batch after the other, and each result to the one who waits for it.

    Parameters
    ----------
    work : does items in their order in one transaction and returns as many results; where it raises, nothing was done;
        what was done may be done again, because whoever waited for it may be cancelled before its answer
    most : how many items make a batch at most
    """

    def __init__(self, work: Callable[[Sequence[_Item]], Awaitable[Sequence[_Result]]], *, most: int) -> None:
        self._work = work
        self._most = most
        self._turn = asyncio.Lock()
        self._waiting: list[_Asked[_Item, _Result]] = []

    async def do(self, item: _Item) -> _Result:
        """Return the item's result; raises what ``work`` raised for it."""
        asked = _Asked[_Item, _Result](item)
        self._waiting.append(asked)
        try:
            # Whoever is cancelled in its turn leaves the others waiting: the next of them does it.
            async with self._turn:
                while asked.results is None and asked.error is None:
                    await self._do_waiting()
        finally:
            if asked in self._waiting:
                self._waiting.remove(asked)
        if asked.error is not None:
            raise asked.error
        assert asked.results is not None  # noqa: S101 - the loop above ends with one of them
        return asked.results[0]

    async def _do_waiting(self) -> None:
        batch = self._waiting[: self._most]
        await self._do(batch)
        error = batch[0].error
        if len(batch) > 1 and error is not None and not isinstance(error, database.AWAY):
            for asked in batch:  # what cannot be done must not keep the others from it
                asked.error = None
                await self._do([asked])
        for asked in batch:
            if asked in self._waiting:  # else its waiter was cancelled
                self._waiting.remove(asked)

    async def _do(self, batch: Sequence[_Asked[_Item, _Result]]) -> None:
        try:
            results = await self._work([asked.item for asked in batch])
        except Exception as error:  # noqa: BLE001 - each of them hears it
            for asked in batch:
                asked.error = error
        else:
            for asked, result in zip(batch, results, strict=True):
                asked.results = [result]
