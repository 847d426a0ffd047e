"""What the gateway relies on of any broker; the stand-in and Alpaca's adapter on the real simulator pass it."""

import asyncio
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from support import broker as stand_in
from support import simulator
from tradeplane_engine.domain import numbers, orders
from tradeplane_workers.brokers import alpaca, port


@dataclass
class Subject:
    """A broker, and a way to make its open orders fill."""

    broker: port.Broker
    fill: Callable[[str], Awaitable[None]]


@pytest.fixture(params=["stand-in", "alpaca"])
async def subject(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> AsyncIterator[Subject]:
    """Either broker, with the market closed."""
    if request.param == "stand-in":
        made = stand_in.StandInBroker()

        async def fill(name: str) -> None:
            made.fill(name, "3")

        yield Subject(made, fill)
        return
    with simulator.threaded(tmp_path) as venue:
        await asyncio.to_thread(venue.to_bars, 0)
        key = alpaca.Credentials(venue.key_id, venue.secret_key)
        adapter = alpaca.Alpaca(venue.url, venue.stream_url, credentials=key)

        async def open_market(_: str) -> None:
            await asyncio.to_thread(venue.to_open, 1)

        yield Subject(adapter, open_market)
        await adapter.aclose()


def request(name: str = "t-1", *, side: orders.Side = orders.Side.BUY) -> port.Request:
    """A market order of three shares."""
    return port.Request(name, "AAPL", side, numbers.quantity("3"))


def allowed() -> str:
    """A permit that lets everything go."""
    return ""


async def test_an_order_is_acknowledged_with_its_own_fields(subject: Subject) -> None:
    """The acknowledgement carries our id and what we asked for."""
    outcome = await subject.broker.submit(request(), allowed)
    assert isinstance(outcome, port.Acknowledged)
    said = outcome.event.report
    assert said is not None
    assert (said.client_order_id, said.symbol, said.side, said.quantity, said.filled) == (
        "t-1",
        "AAPL",
        orders.Side.BUY,
        numbers.quantity("3"),
        0,
    )


async def test_a_permit_that_refuses_sends_nothing(subject: Subject) -> None:
    """The reason comes back, and the broker never heard of the order."""
    outcome = await subject.broker.submit(request(), lambda: "halted")
    assert outcome == port.NotSent("halted")
    assert await subject.broker.order_by_client_id("t-1") is None
    assert isinstance(await subject.broker.submit(request(), allowed), port.Acknowledged)


async def test_the_permit_is_asked_once(subject: Subject) -> None:
    """Headers and body are one order."""
    asked = []
    await subject.broker.submit(request(), lambda: asked.append(1) or "")
    assert asked == [1]


async def test_a_used_id_is_no_refusal(subject: Subject) -> None:
    """The order exists: it must be looked up, not given up."""
    await subject.broker.submit(request(), allowed)
    assert isinstance(await subject.broker.submit(request(), allowed), port.Unknown)
    assert len(await subject.broker.orders(status="all")) == 1


async def test_an_unknown_id_is_nothing(subject: Subject) -> None:
    """The broker's own word that it has none."""
    assert await subject.broker.order_by_client_id("nobody") is None


async def test_cancel_all_leaves_nothing_open(subject: Subject) -> None:
    """One request for the account; the orders are cancelled, not gone."""
    for name in ("t-1", "t-2"):
        await subject.broker.submit(request(name), allowed)
    cancelled = await subject.broker.cancel_all()
    assert len(cancelled) == 2
    assert await subject.broker.orders(status="open") == ()
    statuses = {event.report.status for event in await subject.broker.orders(status="all") if event.report}
    assert statuses == {"canceled"}


async def test_a_cancelled_order_cannot_be_cancelled_into_an_error(subject: Subject) -> None:
    """Cancelling twice says why not, or nothing; it does not raise."""
    outcome = await subject.broker.submit(request(), allowed)
    assert isinstance(outcome, port.Acknowledged)
    assert await subject.broker.cancel(outcome.event.broker_order_id) == ""
    assert isinstance(await subject.broker.cancel(outcome.event.broker_order_id), str)


async def test_stream_activities_positions_and_report_agree_on_a_fill(subject: Subject) -> None:
    """The same interval of the same order, whichever way it is asked for."""
    async with subject.broker.updates() as updates:
        await subject.broker.submit(request(), allowed)
        await subject.fill("t-1")
        streamed = await asyncio.wait_for(first_execution(updates), 10)
    (row,) = (await subject.broker.activities(after=None)).fills
    assert row.execution is not None
    found = await subject.broker.order_by_client_id("t-1")
    assert found is not None
    assert found.report is not None
    shared = [(each.quantity, each.cumulative, each.price, each.side) for each in (streamed, row.execution)]
    assert shared[0] == shared[1]
    assert (found.report.status, found.report.filled) == ("filled", streamed.cumulative)
    assert await subject.broker.positions() == (port.Position("AAPL", numbers.quantity("3")),)


async def first_execution(updates: port.Updates) -> port.Execution:
    """Read until a fill."""
    async for event in updates:
        if event.execution is not None:
            return event.execution
    raise AssertionError("the stream ended")


async def test_the_account_pays_what_the_fills_cost(subject: Subject) -> None:
    """Cash falls by the notional of the fill, to the cent."""
    before = (await subject.broker.account()).cash
    await subject.broker.submit(request(), allowed)
    await subject.fill("t-1")
    (row,) = (await subject.broker.activities(after=None)).fills
    assert row.execution is not None
    paid = numbers.notional(row.execution.price, row.execution.quantity)
    assert (await subject.broker.account()).cash == before - paid


async def test_listing_after_an_instant_leaves_out_what_is_older(subject: Subject) -> None:
    """``after`` is exclusive enough to page by."""
    outcome = await subject.broker.submit(request(), allowed)
    assert isinstance(outcome, port.Acknowledged)
    assert outcome.event.report is not None
    later = outcome.event.report.submitted + 1_000_000_000
    assert await subject.broker.orders(status="all", after=later) == ()  # type: ignore[arg-type]  # a plain number


async def test_orders_leave_a_quarter_of_the_request_budget(tmp_path: pathlib.Path) -> None:
    """Of twelve requests nine may be orders; what is left cancels and looks up, and no order too many was seen."""
    with simulator.threaded(tmp_path, rate={"requests": 12, "seconds": 3600}) as venue:
        await asyncio.to_thread(venue.to_bars, 0)
        adapter = alpaca.Alpaca(
            venue.url, venue.stream_url, credentials=alpaca.Credentials(venue.key_id, venue.secret_key)
        )
        assert adapter.budget() is None
        outcomes = [await adapter.submit(request(f"t-{number}"), allowed) for number in range(11)]
        assert [type(outcome) for outcome in outcomes] == [port.Acknowledged] * 9 + [port.NotSent] * 2
        assert outcomes[-1] == port.NotSent("request-budget", "3 of 12 requests left")
        first = outcomes[0]
        assert isinstance(first, port.Acknowledged)
        assert await adapter.cancel(first.event.broker_order_id) == ""
        assert len(await adapter.orders(status="open")) == 8
        assert adapter.budget() == port.Budget(12, 1, 3)
        await adapter.aclose()
