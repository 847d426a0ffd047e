"""The bookkeeper: takes the broker's events, books them, and reacts to what should not be."""

import asyncio
import itertools
from collections.abc import Sequence

import structlog

from tradeplane_workers.brokers import port
from tradeplane_workers.gateway import booking, core, machine, together
from tradeplane_workers.stores import database, journal

_log = structlog.get_logger(__name__)
_RETRY_S = 0.5
_TOGETHER = 200  # batches of events
ID_CONFLICT = "id-conflict"


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
        self._together = together.Together(self._book, most=_TOGETHER)
        self._pool = shared.pool
        self._guard = shared.guard
        self._metrics = shared.metrics

    async def take(self, events: Sequence[port.Event]) -> list[booking.Booked]:
        """Book events together; raises one of database.FAILURES, and then nothing was booked."""
        found = await self._together.do(events)
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

    async def _book(self, together: Sequence[Sequence[port.Event]]) -> list[list[booking.Booked]]:
        async with database.transaction(self._pool) as connection:
            found = iter(await booking.book(connection, [event for events in together for event in events]))
        return [list(itertools.islice(found, len(events))) for events in together]

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
