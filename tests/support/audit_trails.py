"""Audit trails: made-up ones and what a forger does to them, and the one of a gateway that trades."""

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from support import gateway
from tradeplane_workers.audit import chain, trail

BUY = [("AAPL", "buy", "10")]
OWNED = gateway.config().model_copy(update={"owner": "desk@example.com", "git_revision": "0123abc"})


def made(count: int, *, body: str = "{}") -> list[chain.Entry]:
    """Return a whole trail of so many entries."""
    entries: list[chain.Entry] = []
    for number in range(1, count + 1):
        entries.append(
            hashed(
                chain.Entry(
                    number=number,
                    recorded=f"2026-01-05T15:00:{number:02}.000000Z",
                    writer="gateway",
                    kind="fill",
                    action="insert",
                    subject=f"order-{number}",
                    body=body,
                    previous=entries[-1].hash if entries else chain.GENESIS,
                    hash="",
                )
            )
        )
    return entries


def hashed(entry: chain.Entry) -> chain.Entry:
    """Return an entry with the hash that it must have."""
    return dataclasses.replace(entry, hash=chain.digest(entry))


def rehashed(entries: Sequence[chain.Entry], *, start: int) -> list[chain.Entry]:
    """Return a trail that is whole again from a place on, as a forger would leave it who can write all of it."""
    found = list(entries[:start])
    for entry in entries[start:]:
        previous = found[-1].hash if found else chain.GENESIS
        found.append(hashed(dataclasses.replace(entry, number=len(found) + 1, previous=previous)))
    return found


def walked(entries: Sequence[chain.Entry], *heads: chain.Head) -> chain.Walk:
    """Walk a whole trail; raises Broken."""
    walk = chain.Walk(heads)
    for entry in entries:
        walk.take(entry)
    walk.end()
    return walk


async def of_database(url: str) -> list[chain.Entry]:
    """Return the whole trail, which must be unbroken and what the ledger is."""
    connection = await trail.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            entries = [one async for one in trail.entries(connection)]
            found, compared = await trail.differences(connection)
    finally:
        await connection.close()
    walked(entries)
    assert found == []
    assert compared >= len({one.subject for one in entries if one.kind == "intent"})
    return entries


def bodies(entries: list[chain.Entry], kind: str) -> list[dict[str, Any]]:
    """Return the bodies of a kind of entries."""
    return [json.loads(one.body) for one in entries if one.kind == kind]


async def bought(bench: gateway.Bench) -> str:
    """Buy in the first session, be filled in the second, and return the client order id."""
    receipt = await bench.decide(await bench.fence(OWNED), 0, BUY)
    await bench.settled(0)
    await bench.move(bench.venue.sessions[1].open)
    await bench.until(lambda s: s["counts"]["fills"] == 1 and s["counts"]["open_orders"] == 0, "filled")
    return str(receipt["verdicts"][0]["client_order_id"])


async def eventually(holds: Callable[[], Awaitable[Any]]) -> None:
    """Wait until something holds."""
    for _ in range(500):
        if await holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("not within 10 s")
