"""A broker in memory that passes the port's contract suite and misbehaves on demand.

``faults`` are taken one per submission: ``lost-request`` (a byte left, nothing arrived), ``lost-answer`` (it arrived,
the answer did not), ``late`` (arrives only when ``deliver_late`` is called), ``refused``, ``unreachable``,
``rate-limit``, ``hang`` (never answers, arrived). ``mangle`` changes what the stream carries.
"""

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

from tradeplane_engine.domain import numbers, orders, times
from tradeplane_workers.brokers import port


@dataclass
class Kept:
    """An order as the stand-in keeps it."""

    report: port.Report
    executions: list[port.Execution] = field(default_factory=list)


class StandInBroker:
    """One account.

    Parameters
    ----------
    now : trading time
    """

    def __init__(self, now: times.Nanos = times.Nanos(1_330_722_000_000_000_000)) -> None:  # noqa: B008 - a number
        self.now = now
        self.cash = numbers.money("1000000")
        self.kept: dict[str, Kept] = {}
        self.received: list[str] = []
        self.faults: deque[str] = deque()
        self.mangle: Callable[[port.Event], list[port.Event]] = lambda event: [event]
        self.is_down = False
        self.assets: dict[str, port.Asset | None] = {}
        self.requests_left: port.Budget | None = None
        self.cancels_hang = False
        self.failing_cancels = 0
        self.before_byte: Callable[[], None] = lambda: None
        self.streams: list[asyncio.Queue[port.Event | None]] = []
        self._late: list[port.Request] = []

    async def submit(  # noqa: PLR0911 - one return per kind of misbehaviour
        self, request: port.Request, permit: port.Permit
    ) -> port.Outcome:
        """Take an order, or misbehave."""
        fault = self.faults.popleft() if self.faults else ""
        await asyncio.sleep(0)
        if self.is_down or fault == "unreachable":
            return port.NotSent("unreachable", "connection refused")
        self.before_byte()
        reason = permit()
        if reason:
            return port.NotSent(reason)
        if fault == "rate-limit":
            return port.NotSent("rate-limit")
        if fault == "lost-request":
            return port.Unknown("connection reset")
        if fault == "late":
            self._late.append(request)
            return port.Unknown("timeout")
        if fault == "refused":
            return port.Refused(403, "40310000", "insufficient buying power")
        self.received.append(request.client_order_id)
        if request.client_order_id in {each.report.client_order_id for each in self.kept.values()}:
            return port.Unknown("status 422: client_order_id must be unique")
        event = self._accept(request)
        if fault == "hang":
            await asyncio.Event().wait()
        if fault == "lost-answer":
            return port.Unknown("connection reset")
        return port.Acknowledged(replace(event, source="submit"))

    def deliver_late(self) -> None:
        """Let the late orders arrive."""
        for request in self._late:
            self.received.append(request.client_order_id)
            self._accept(request)
        self._late.clear()

    async def asset(self, symbol: str) -> port.Asset | None:
        """Return what was said of a symbol, else that everything may be done with it."""
        self._check()
        return self.assets.get(symbol, port.Asset(symbol, tradable=True, shortable=True, easy_to_borrow=True))

    def budget(self) -> port.Budget | None:
        """Return what was set; nobody counts."""
        return self.requests_left

    async def cancel(self, broker_order_id: str) -> str:
        """Cancel an order at once."""
        self._check()
        if self.failing_cancels:
            self.failing_cancels -= 1
            raise port.BrokerUnreachable("status 503")
        kept = self.kept[broker_order_id]
        if not kept.report.is_open:
            return f'422 42210000 order is already in "{kept.report.status}" state'
        if self.cancels_hang:
            self._become(kept, "pending_cancel")
        else:
            self._become(kept, "canceled")
        return ""

    async def cancel_all(self) -> tuple[str, ...]:
        """Cancel all open orders."""
        self._check()
        open_ids = [each.report.broker_order_id for each in self.kept.values() if each.report.is_open]
        for broker_order_id in open_ids:
            await self.cancel(broker_order_id)
        return tuple(open_ids)

    async def order_by_client_id(self, client_order_id: str) -> port.Event | None:
        """Look up."""
        self._check()
        for kept in self.kept.values():
            if kept.report.client_order_id == client_order_id:
                return snapshot(kept.report)
        return None

    async def orders(self, *, status: str, after: times.Nanos | None = None) -> tuple[port.Event, ...]:
        """List."""
        self._check()
        return tuple(
            snapshot(kept.report)
            for kept in self.kept.values()
            if (status == "all" or kept.report.is_open) and (after is None or kept.report.submitted > after)
        )

    async def activities(self, *, after: times.Nanos | None) -> port.Activities:
        """List executions."""
        self._check()
        rows = [
            port.Event("fill", "activity", made.broker_order_id, "", None, made, made.at, "{}")
            for kept in self.kept.values()
            for made in (
                replace(each, execution_id="", activity_id=f"a-{each.execution_id}") for each in kept.executions
            )
            if after is None or made.at > after
        ]
        return port.Activities(tuple(rows), ())

    async def positions(self) -> tuple[port.Position, ...]:
        """Sum the executions."""
        self._check()
        sums: dict[str, int] = {}
        for kept in self.kept.values():
            for each in kept.executions:
                sums[each.symbol] = sums.get(each.symbol, 0) + each.side.sign * each.quantity
        return tuple(port.Position(symbol, numbers.Quantity(size)) for symbol, size in sums.items() if size)

    async def account(self) -> port.Account:
        """Value at cost."""
        self._check()
        paid = sum(
            numbers.notional(each.price, numbers.Quantity(each.side.sign * each.quantity))
            for kept in self.kept.values()
            for each in kept.executions
        )
        cash = numbers.Money(self.cash - paid)
        return port.Account("stand-in", cash, cash, "ACTIVE", blocked=False)

    async def clock(self) -> times.Nanos:
        """Return trading time."""
        self._check()
        return self.now

    @contextlib.asynccontextmanager
    async def updates(self) -> AsyncIterator[AsyncIterator[port.Event]]:
        """Stream from now on."""
        self._check()
        queue: asyncio.Queue[port.Event | None] = asyncio.Queue()
        self.streams.append(queue)
        try:
            yield self._events(queue)
        finally:
            self.streams.remove(queue)

    async def aclose(self) -> None:
        """Nothing to close."""

    def break_streams(self) -> None:
        """End every stream."""
        for queue in self.streams:
            queue.put_nowait(None)

    def fill(self, client_order_id: str, shares: str, price: str = "100") -> None:
        """Execute a part of an order."""
        kept = next(each for each in self.kept.values() if each.report.client_order_id == client_order_id)
        before = kept.report
        filled = numbers.Quantity(before.filled + numbers.quantity(shares))
        made = port.Execution(
            broker_order_id=before.broker_order_id,
            symbol=before.symbol,
            side=before.side,
            quantity=numbers.quantity(shares),
            cumulative=filled,
            price=numbers.price(price),
            at=self.now,
            execution_id=str(uuid.uuid4()),
        )
        kept.executions.append(made)
        status = "filled" if filled == before.quantity else "partially_filled"
        kept.report = replace(before, filled=filled, status=status)
        self._send(replace(snapshot(kept.report), kind="fill", source="stream", execution=made))

    def _accept(self, request: port.Request) -> port.Event:
        made = port.Report(
            broker_order_id=str(uuid.uuid4()),
            client_order_id=request.client_order_id,
            symbol=request.symbol,
            side=orders.Side(request.side),
            quantity=request.quantity,
            type=request.terms.type,
            time_in_force=request.terms.time_in_force,
            status="accepted",
            filled=numbers.Quantity(0),
            at=self.now,
            submitted=self.now,
        )
        self.kept[made.broker_order_id] = Kept(made)
        event = replace(snapshot(made), kind="accepted", source="stream")
        self._send(event)
        return event

    def _become(self, kept: Kept, status: str) -> None:
        kept.report = replace(kept.report, status=status)
        self._send(replace(snapshot(kept.report), kind=status, source="stream"))

    def _send(self, event: port.Event) -> None:
        for queue in self.streams:
            for each in self.mangle(event):
                queue.put_nowait(each)

    async def _events(self, queue: "asyncio.Queue[port.Event | None]") -> AsyncIterator[port.Event]:
        while True:
            event = await queue.get()
            if event is None:
                raise port.BrokerUnreachable("stream closed")
            yield event

    def _check(self) -> None:
        if self.is_down:
            raise port.BrokerUnreachable("the stand-in is down")


def snapshot(report: port.Report) -> port.Event:
    """Return a report as a look-up answers it."""
    return port.Event("snapshot", "rest", report.broker_order_id, report.client_order_id, report, None, report.at, "{}")
