"""Where the real gateways wait for a trace, and what makes their time and history a trace's own."""

from typing import Any

import pytest

from support.exactly_once import process
from tradeplane_workers.brokers import wire
from tradeplane_workers.gateway import bookkeeper, epoch, outcomes, reconcile
from tradeplane_workers.stores import database, decisions, epochs


def hold(patch: pytest.MonkeyPatch) -> None:
    """Make every process wait before it commits a decision or a mark, and before its first byte."""
    read, insert, mark = epochs.read, decisions.insert, decisions.mark_sending
    connect, identity = wire.Backend.connect_tcp, database.identity

    async def seen_read(*given: Any) -> Any:
        found = await read(*given)
        actor = process.ACTOR.get()
        if actor is not None:
            actor.has_read.set()
        return found

    async def held_insert(*given: Any, **named: Any) -> None:
        await _at("in_transaction")
        await insert(*given, **named)

    async def held_mark(*given: Any) -> set[str]:
        await _at("in_transaction")
        return await mark(*given)

    async def held_connect(*given: Any, **named: Any) -> Any:
        found = await connect(*given, **named)
        await _at("connected")
        return found

    async def history(connection: Any) -> tuple[str, int]:
        system, timeline = await identity(connection)
        return system, timeline + process.HISTORY[0]

    patch.setattr(database, "identity", history)
    patch.setattr(process, "HISTORY", [0])
    patch.setattr(epochs, "read", seen_read)
    patch.setattr(decisions, "insert", held_insert)
    patch.setattr(decisions, "mark_sending", held_mark)
    patch.setattr(wire.Backend, "connect_tcp", held_connect)
    patch.setattr(epoch, "_PERIOD_S", 0.05)
    patch.setattr(outcomes, "UNSEEN_AFTER_S", 0.0)
    patch.setattr(reconcile, "_AGAIN_S", 0.01)
    patch.setattr(bookkeeper, "_RETRY_S", 0.05)


async def _at(door: str) -> None:
    actor = process.ACTOR.get()
    if actor is not None:
        await getattr(actor, door).pass_through()
