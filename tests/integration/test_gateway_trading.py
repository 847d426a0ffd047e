"""The way of an order, on a real database, a real Valkey and the real simulator."""

import pathlib
from collections.abc import AsyncIterator, Iterator

import pytest

from support import gateway, simulator


@pytest.fixture
def venue(tmp_path: pathlib.Path) -> Iterator[simulator.Venue]:
    """A venue one hour before its first session."""
    with simulator.threaded(tmp_path) as found:
        yield found


@pytest.fixture
async def bench(venue: simulator.Venue, postgres_url: str, redis_url: str) -> AsyncIterator[gateway.Bench]:
    """A gateway whose first session is over and which may trade."""
    async with gateway.running(venue, postgres_url, redis_url) as found:
        await found.move(venue.sessions[0].published)
        await found.enabled()
        yield found


async def test_a_decision_becomes_reconciled_fills(bench: gateway.Bench) -> None:
    """Decision, orders, fills at the next open, positions and cash as the broker has them."""
    token = await bench.fence()
    receipt = await bench.decide(token, 0, [("AAPL", "buy", "10"), ("IBM", "sell", "5")])
    assert [verdict["reason"] for verdict in receipt["verdicts"]] == ["", ""]
    await bench.settled(0)
    await bench.move(bench.venue.sessions[1].open)
    await bench.until(lambda s: s["counts"]["fills"] == 2, "fills")
    fills = await bench.listed("fills")
    assert [(fill["symbol"], fill["side"], fill["quantity"]) for fill in fills] == [
        ("AAPL", "buy", "10"),
        ("IBM", "sell", "5"),
    ]
    await bench.move(bench.venue.sessions[1].published)
    account = await bench.listed("account")
    assert {row["symbol"]: row["quantity"] for row in account["positions"]} == account["broker"]["positions"]
