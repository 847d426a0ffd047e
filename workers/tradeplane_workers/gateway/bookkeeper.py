"""The bookkeeper: takes the broker's events, books them, and reacts to what should not be."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from tradeplane_workers.brokers import port
from tradeplane_workers.gateway import booking, core, machine
from tradeplane_workers.stores import database, journal

_log = structlog.get_logger(__name__)
_RETRY_S = 0.5
ID_CONFLICT = "id-conflict"


@dataclass(eq=False, slots=True)
class _Wanted:
    """Events that somebody wants booked, and what came of it."""

    events: Sequence[port.Event]
    booked: list[booking.Booked] | None = None
    error: Exception | None = None


class Bookkeeper:
    """Books events in their order; the guard is told of a conflict before the ledger is.

    Parameters
    ----------
    unwanted : rung when an order turned up that is to be cancelled
    """

    def __init__(self, shared: core.Core, *, unwanted: machine.Bell) -> None:
        self.bell = machine.Bell()
        """Rung whenever the ledger changed."""
        self.booked = 0
        """How many events changed the ledger; equal before and after a comparison means that nothing moved."""
        self._unwanted = unwanted
        self._turn = asyncio.Lock()
        self._waiting: list[_Wanted] = []
        self._pool = shared.pool
        self._guard = shared.guard
        self._metrics = shared.metrics

    async def take(self, events: Sequence[port.Event]) -> list[booking.Booked]:
        """Book events together; raises one of database.FAILURES, and then nothing was booked."""
        found = await self._together(events)
        for event, booked in zip(events, found, strict=True):
            effect = "unknown-order" if booked.order is None else "booked" if booked.changed else "duplicate"
            self._metrics.events.labels(event.source, effect).inc()
            self._metrics.fills.inc(booked.fills)
            self.booked += booked.changed
        if any(booked.changed for booked in found):
            self.bell.ring()
        for event, booked in zip(events, found, strict=True):
            if booked.is_late:
                _log.warning("order after it was given up, to be cancelled", client_order_id=event.client_order_id)
                self._unwanted.ring()
            if booked.conflict and booked.order is not None:
                await self.halt(f"{ID_CONFLICT}-{booked.order.client_order_id}"[:200], ID_CONFLICT, booked.conflict)
        return found

    async def take_surely(self, events: Sequence[port.Event]) -> list[booking.Booked]:
        """Book events, however long the database is away; nothing is sent meanwhile."""
        while True:
            try:
                return await self.take(events)
            except database.FAILURES as error:
                self._metrics.failures.labels("booking").inc()
                _log.warning("events not booked, trying again", error=f"{type(error).__name__}: {error}")
                self._guard.inputs.is_hearing = False
                self._guard.bell.ring()
                await asyncio.sleep(_RETRY_S)

    async def _together(self, events: Sequence[port.Event]) -> list[booking.Booked]:
        """Book in one transaction what has come, from whomever, while the one before was committing."""
        wanted = _Wanted(events)
        self._waiting.append(wanted)
        try:
            async with self._turn:
                if wanted.booked is None and wanted.error is None:
                    await self._book_waiting()
        finally:
            if wanted in self._waiting:
                self._waiting.remove(wanted)
        if wanted.error is not None:
            raise wanted.error
        return wanted.booked or []

    async def _book_waiting(self) -> None:
        # Whoever is cancelled here leaves the others waiting; the next of them books, and nothing is booked twice.
        together = tuple(self._waiting)
        await self._book(together)
        if len(together) > 1 and together[0].error is not None:
            for wanted in together:  # what cannot be booked must not keep the others from it
                await self._book((wanted,))
        for wanted in together:
            self._waiting.remove(wanted)

    async def _book(self, together: "Sequence[_Wanted]") -> None:
        events = [event for wanted in together for event in wanted.events]
        try:
            async with database.transaction(self._pool) as connection:
                found = iter(await booking.book(connection, events))
        except Exception as error:  # noqa: BLE001 - each of them hears it
            for wanted in together:
                wanted.error = error
        else:
            for wanted in together:
                wanted.booked, wanted.error = list(itertools.islice(found, len(wanted.events))), None

    async def halt(self, identifier: str, cause: str, message: str) -> None:
        """Open a halt of the gateway itself: in memory at once, then in the ledger."""
        _log.error("halt opened", halt=identifier, cause=cause, message=message)
        self._guard.inputs.halts[identifier] = message
        self._guard.bell.ring()
        try:
            async with database.transaction(self._pool) as connection:
                await journal.open_halt(connection, identifier, cause=cause, message=message)
        except database.FAILURES as error:
            _log.warning("halt not recorded, it acts nevertheless", error=str(error))
