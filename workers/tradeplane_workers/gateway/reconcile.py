"""Reconciliation: ask the broker for everything, book it, and name what does not add up.

1. Orders: all since the last clean time less an overlap, and every local open one by its id.
2. Executions and other bookings since then, through the same reducer as the stream.
3. Positions and cash, account-wide, compared with the ledger's sums. A comparison counts only if nothing was booked
   while it was made, and a difference only if it is seen twice, because the broker's own endpoints disagree for a
   moment. Differences are listed; nothing is ever overwritten.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from tradeplane_engine.domain import numbers, times
from tradeplane_workers.brokers import port
from tradeplane_workers.gateway import booking, bookkeeper, core
from tradeplane_workers.stores import audit, database, epochs, journal
from tradeplane_workers.stores import orders as orders_store

_log = structlog.get_logger(__name__)
_OVERLAP = times.Nanos(4 * times.DAY)
_OVERLAP_HEARD = times.Nanos(10 * times.MINUTE)
_AGAIN_S = 1.0
_TRIES = 4
_TOGETHER = 200  # events booked in one transaction
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Result:
    """What a reconciliation found."""

    is_clean: bool
    at: str
    differences: tuple[str, ...] = ()


async def must_be_full(connection: Any, ledger: journal.Ledger, *, token: str) -> bool:
    """Say whether everything must be reconciled because the database has another history than the ledger.

    What seems unsent is unknown then, in the transaction of the one who leads: it is looked up, never sent.
    """
    if not await journal.is_foreign_history(connection, ledger):
        return False
    if await epochs.holds(connection, epochs.GATEWAY, token):
        await orders_store.doubt_released(connection)
    return True


class Reconciler:
    """Compares the ledger with the broker."""

    def __init__(self, shared: core.Core, broker: port.Broker, *, books: bookkeeper.Bookkeeper) -> None:
        self.last: Result | None = None
        self.starting_cash = numbers.Money(0)
        """The account's cash before the first order; known after the first reconciliation."""
        self._pool = shared.pool
        self._broker = broker
        self._ledger = shared.ledger
        self._books = books
        self._clock = shared.clock
        self._metrics = shared.metrics

    async def run(self, *, since_start: bool = False, heard: bool = False) -> Result:
        """Reconcile; raises BrokerError and one of database.FAILURES when it could not be done.

        Parameters
        ----------
        since_start : ask for everything there ever was, because the ledger's past may not be what it seems
        heard : the stream has not been away since the last clean time, so that a look at the last minutes will do;
            a difference is looked into with the whole overlap, such as a fee that is booked days later
        """
        overlap = _OVERLAP_HEARD if heard else _OVERLAP
        before: tuple[str, ...] | None = None
        differences: tuple[str, ...] = ()
        for _ in range(_TRIES):
            venue_time = await self._broker.clock()
            booked = self._books.booked
            differences = await self._compare(since_start=since_start, overlap=overlap)
            overlap = _OVERLAP
            if not differences or (differences == before and booked == self._books.booked):
                break
            before = differences
            await asyncio.sleep(_AGAIN_S)
        await self._enter(differences)
        if not differences:
            async with self._pool.acquire(timeout=2) as connection:
                await connection.execute("update ledger set last_clean = $1", venue_time)
                if since_start:
                    await journal.adopt_history(connection)
        else:
            _log.error("ledger and broker differ", differences=differences)
        self.last = Result(not differences, self._clock().text, differences[:_SHOWN])
        self._metrics.reconciliations.labels("clean" if not differences else "different").inc()
        self._metrics.differences.set(len(differences))
        return self.last

    async def _enter(self, differences: tuple[str, ...]) -> None:
        """Enter what is found in the audit trail whenever it is not what was found before."""
        if self.last is not None and self.last.differences == differences[:_SHOWN]:
            return
        body = {"is_clean": not differences, "differences": differences}
        async with database.transaction(self._pool) as connection:
            await audit.record(connection, "reconciliation", subject=self._ledger, body=body)

    async def standing(self) -> dict[str, Any] | None:
        """Return the broker's own figures, or nothing when it does not answer."""
        try:
            account, positions = await self._broker.account(), await self._broker.positions()
        except port.BrokerError:
            return None
        return {
            "cash": numbers.money_text(account.cash),
            "equity": numbers.money_text(account.equity),
            "positions": {each.symbol: numbers.quantity_text(each.quantity) for each in positions},
            "at": self._clock().text,
        }

    async def _compare(self, *, since_start: bool, overlap: times.Nanos) -> tuple[str, ...]:
        async with self._pool.acquire(timeout=2) as connection:
            ledger = await connection.fetchrow("select account, starting_cash, last_clean from ledger")
        after = None if since_start or ledger["last_clean"] is None else times.Nanos(ledger["last_clean"] - overlap)
        account = await self._broker.account()
        if ledger["account"] is None:
            async with self._pool.acquire(timeout=2) as connection:
                await journal.bind_account(connection, account=account.id, cash=account.cash)
            self.starting_cash = account.cash
        elif ledger["account"] != account.id:
            return (f"account: the ledger is of {ledger['account']}, the broker's key of {account.id}",)
        else:
            self.starting_cash = numbers.Money(ledger["starting_cash"])
        differences = await self._orders(after)
        differences += await self._activities(after)
        return tuple(differences + await self._sums())

    async def _orders(self, after: times.Nanos | None) -> list[str]:
        listed = await self._broker.orders(status="all", after=after)
        differences = await self._take(listed)
        seen = {event.broker_order_id for event in listed}
        async with self._pool.acquire(timeout=2) as connection:
            local = await orders_store.open_orders(connection)
        for row in local:
            if row["broker_order_id"] in seen:
                continue
            found = await self._broker.order_by_client_id(row["client_order_id"])
            if found is not None:
                differences += await self._take([found])
            elif row["broker_order_id"]:
                differences.append(f"order {row['client_order_id']}: the broker does not have it any more")
        return differences

    async def _activities(self, after: times.Nanos | None) -> list[str]:
        activities = await self._broker.activities(after=after)
        differences = await self._take(activities.fills)
        async with database.transaction(self._pool) as connection:
            for row in activities.cash:
                adjustment = orders_store.Adjustment(
                    source="broker",
                    id=row.id,
                    kind=row.kind,
                    date=row.date,
                    amount=row.amount,
                    symbol=row.symbol if row.quantity else "",
                    quantity=row.quantity,
                    description=row.description,
                )
                if await orders_store.insert_adjustment(connection, adjustment):
                    self._books.booked += 1
        return differences

    async def _take(self, events: Sequence[port.Event]) -> list[str]:
        differences = []
        for first in range(0, len(events), _TOGETHER):
            for booked in await self._books.take(events[first : first + _TOGETHER]):
                event = booked.event
                if booked.order is not None:
                    continue
                if event.execution is not None and not event.client_order_id:
                    differences.append(f"fill of broker order {event.broker_order_id}: not in the ledger")
                else:
                    origin = "lost from" if booking.is_ours(event.client_order_id, self._ledger) else "not of"
                    differences.append(f"order {event.client_order_id}: {origin} this ledger")
        return differences

    async def _sums(self) -> list[str]:
        positions = await self._broker.positions()
        account = await self._broker.account()
        async with database.transaction(self._pool) as connection:
            differences = await _missing(connection)
            local = await connection.fetch(
                "select symbol, sum(quantity)::bigint as quantity from positions group by symbol"
            )
            cash = await cash_of(connection)
        ours = {row["symbol"]: row["quantity"] for row in local if row["quantity"]}
        theirs = {position.symbol: position.quantity for position in positions if position.quantity}
        for symbol in sorted({*ours, *theirs}):
            mine, yours = numbers.Quantity(ours.get(symbol, 0)), numbers.Quantity(theirs.get(symbol, 0))
            if mine != yours:
                texts = numbers.quantity_text(mine), numbers.quantity_text(yours)
                differences.append(f"position {symbol}: ledger {texts[0]}, broker {texts[1]}")
        if abs(cash - account.cash) >= numbers.ONE_CENT:
            differences.append(f"cash: ledger {numbers.money_text(cash)}, broker {numbers.money_text(account.cash)}")
        if account.blocked:
            differences.append(f"account: blocked at the broker (status {account.status})")
        return differences


async def cash_of(connection: Any) -> numbers.Money:
    """Return the account's cash by the ledger: what it started with, fills, and booked adjustments."""
    starting = await connection.fetchval("select coalesce(starting_cash, 0) from ledger")
    adjusted, _ = await orders_store.cash_flow(connection)
    paid = await connection.fetchval("select coalesce(sum(paid), 0)::bigint from positions")
    return numbers.Money(starting - paid + adjusted)


async def _missing(connection: Any) -> list[str]:
    found = [
        f"order {row['client_order_id']}: broker reports {numbers.quantity_text(row['reported'])} filled,"
        f" booked are {numbers.quantity_text(row['filled'])}"
        for row in await orders_store.open_orders(connection)
        if row["reported"] > row["filled"]
    ]
    return found + [
        f"order {row['client_order_id']}: {row['irregular']}" for row in await orders_store.irregular(connection)
    ]
