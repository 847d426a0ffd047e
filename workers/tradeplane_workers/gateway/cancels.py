"""Cancels of orders that nobody wants any more: asked for again and again, until the broker says that they have ended.

A wish is a column of the intent, written with the decision or the word of a person that has it, or with the booking of
an order that turned up after it had been given up, so that no crash loses it. To ask twice harms nobody, and what is on
its way to the broker is asked for once it is there. No state forbids a cancel.
"""

import structlog

from tradeplane_engine import errors
from tradeplane_workers import messages
from tradeplane_workers.brokers import port
from tradeplane_workers.gateway import core, decisions, machine
from tradeplane_workers.stores import database, epochs, journal, orders
from tradeplane_workers.stores import decisions as store

_log = structlog.get_logger(__name__)
_ROUND_S = 2.0


class Canceller:
    """Asks the broker for the end of orders.

    Attributes
    ----------
    bell : rings when there is a new wish
    """

    def __init__(self, shared: core.Core, broker: port.Broker) -> None:
        self.bell = machine.Bell()
        self._pool = shared.pool
        self._leadership = shared.leadership
        self._metrics = shared.metrics
        self._broker = broker

    async def want(self, request: messages.CancelRequest) -> messages.CancelReceipt:
        """Record a person's wish; raises NotReady, and ValueRefused for an order that is not open."""
        lead = self._leadership.epoch
        async with database.transaction(self._pool) as connection:
            await journal.hold(connection)
            if lead is None or not await epochs.holds(connection, epochs.GATEWAY, lead.token):
                raise decisions.NotReady("not leading")
            found = await store.open_ids(connection, strategy=request.strategy, client_order_ids=request.orders)
            unknown = set(request.orders) - set(found)
            if unknown:
                raise errors.ValueRefused("orders", "open orders of this ledger", sorted(unknown))
            body = {"by": request.by, "reason": request.reason, "orders": found}
            place = await journal.record(connection, journal.CANCEL_WANTED, body)
            await store.want_all_cancelled(connection, found, place=place)
        _log.info("cancel wanted", by=request.by, reason=request.reason, orders=len(found))
        self.bell.ring()
        return messages.CancelReceipt(sequence=place, orders=tuple(found))

    async def run(self) -> None:
        """Ask at once and every two seconds, for ever."""
        while True:
            rings = self.bell.rings
            try:
                if self._leadership.is_valid():
                    await self._ask()
            except (*database.FAILURES, port.BrokerError) as error:
                self._metrics.failures.labels("cancel").inc()
                _log.warning("cancel not asked for, trying again", error=f"{type(error).__name__}: {error}")
            await self.bell.wait(rings, timeout_s=_ROUND_S)

    async def _ask(self) -> None:
        async with self._pool.acquire(timeout=2) as connection:
            rows = await orders.to_cancel(connection)
        for row in rows:
            refusal = await self._broker.cancel(row["broker_order_id"])
            _log.info("cancel asked for", client_order_id=row["client_order_id"], refusal=refusal)
