"""The bookkeeper: events that come while others are booked are booked together, and none waits for another's fault."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from tradeplane_workers.brokers import port
from tradeplane_workers.gateway import booking, bookkeeper, machine, metrics
from tradeplane_workers.stores import database


@dataclass
class Ledger:
    """What transactions booked, each when it is let through; some events cannot be booked."""

    transactions: list[list[str]] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    refused: frozenset[str] = frozenset()

    async def book(self, connection: Any, events: Sequence[port.Event]) -> list[booking.Booked]:
        """Stand in for :func:`booking.book`."""
        del connection
        self.began.set()
        await self.gate.wait()
        names = [event.client_order_id for event in events]
        if self.refused & set(names):
            raise ValueError("cannot be booked")
        self.transactions.append(names)
        return [booking.Booked(event, None) for event in events]


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A ledger in memory."""
    found = Ledger()

    @contextlib.asynccontextmanager
    async def transaction(pool: Any) -> AsyncIterator[None]:
        del pool
        yield None

    monkeypatch.setattr(booking, "book", found.book)
    monkeypatch.setattr(database, "transaction", transaction)
    return found


@pytest.fixture
def books() -> bookkeeper.Bookkeeper:
    """A bookkeeper on it."""
    shared: Any = SimpleNamespace(pool=None, guard=None, metrics=metrics.Metrics())
    return bookkeeper.Bookkeeper(shared, unwanted=machine.Bell())


def event(name: str) -> Any:
    """An event of an order."""
    return SimpleNamespace(client_order_id=name, source="stream")


async def waiting(books: bookkeeper.Bookkeeper, ledger: Ledger, names: Sequence[str]) -> list["asyncio.Task[Any]"]:
    """Start to book one event each; the first is in its transaction, the others wait for it."""
    tasks = []
    for name in names:
        tasks.append(asyncio.create_task(books.take([event(name)])))
        await ledger.began.wait()
        await asyncio.sleep(0)
    return tasks


async def test_what_comes_meanwhile_is_booked_together(books: bookkeeper.Bookkeeper, ledger: Ledger) -> None:
    """In the order in which it came, and everybody hears of their own events."""
    tasks = await waiting(books, ledger, ["a", "b", "c"])
    ledger.gate.set()
    found = await asyncio.gather(*tasks)
    assert ledger.transactions == [["a"], ["b", "c"]]
    assert [[one.event.client_order_id for one in booked] for booked in found] == [["a"], ["b"], ["c"]]


async def test_one_that_cannot_be_booked_keeps_no_other_from_it(books: bookkeeper.Bookkeeper, ledger: Ledger) -> None:
    """Its own caller hears the error; the others are booked on their own."""
    ledger.refused = frozenset({"c"})
    tasks = await waiting(books, ledger, ["a", "b", "c", "d"])
    ledger.gate.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert ledger.transactions == [["a"], ["b"], ["d"]]
    assert [isinstance(one, ValueError) for one in found] == [False, False, True, False]


@pytest.mark.parametrize("gone", [0, 1, 2])
async def test_one_that_is_cancelled_keeps_no_other_from_it(
    books: bookkeeper.Bookkeeper, ledger: Ledger, gone: int
) -> None:
    """Whether it books for the others just then, or waits itself."""
    names = ["a", "b", "c"]
    tasks = await waiting(books, ledger, names)
    tasks[gone].cancel()
    await asyncio.sleep(0)
    ledger.gate.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(one, asyncio.CancelledError) for one in found] == [at == gone for at in range(3)]
    booked = [name for names in ledger.transactions for name in names]
    assert booked == [name for at, name in enumerate(names) if at != gone]
