"""Made-up audit trails, and what a forger does to one."""

import dataclasses
from collections.abc import Sequence

from tradeplane_workers.audit import chain


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
