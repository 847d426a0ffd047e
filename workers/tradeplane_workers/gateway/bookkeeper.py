"""The bookkeeper: takes the broker's events, books them, and reacts to what should not be."""

import asyncio

import structlog

from tradeplane_workers.brokers import port
from tradeplane_workers.gateway import booking, core, machine
from tradeplane_workers.stores import database, journal

_log = structlog.get_logger(__name__)
_RETRY_S = 0.5
ID_CONFLICT = "id-conflict"


class Bookkeeper:
    """Books one event after the other; the guard is told of a conflict before the ledger is.

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
        self._pool = shared.pool
        self._guard = shared.guard
        self._metrics = shared.metrics

    async def take(self, event: port.Event) -> booking.Booked:
        """Book an event; raises one of database.FAILURES, and then nothing was booked."""
        async with database.transaction(self._pool) as connection:
            booked = await booking.book(connection, event)
        effect = "unknown-order" if booked.order is None else "booked" if booked.changed else "duplicate"
        self._metrics.events.labels(event.source, effect).inc()
        if booked.fills:
            self._metrics.fills.inc(booked.fills)
        if booked.changed:
            self.booked += 1
            self.bell.ring()
        if booked.is_late:
            _log.warning("order after it was given up, to be cancelled", client_order_id=event.client_order_id)
            self._unwanted.ring()
        if booked.conflict and booked.order is not None:
            await self.halt(f"{ID_CONFLICT}-{booked.order.client_order_id}"[:200], ID_CONFLICT, booked.conflict)
        return booked

    async def take_surely(self, event: port.Event) -> booking.Booked:
        """Book an event, however long the database is away; nothing is sent meanwhile."""
        while True:
            try:
                return await self.take(event)
            except database.FAILURES as error:
                self._metrics.failures.labels("booking").inc()
                _log.warning("event not booked, trying again", error=f"{type(error).__name__}: {error}")
                self._guard.inputs.is_hearing = False
                self._guard.bell.ring()
                await asyncio.sleep(_RETRY_S)

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
