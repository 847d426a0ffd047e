"""The one ledger sequence, and the control events in it.

Whoever takes a place holds the ledger's row until the end of the transaction: places are without gaps, in the order of
commits, and everything read after taking one is as the last place left it.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradeplane_engine.domain import numbers
from tradeplane_workers.stores import database

_ID_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 8
CANCEL_WANTED = "cancel-wanted"


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the ledger is of: an Environment, an account, a history of the database."""

    id: str
    environment: str
    mode: str
    venue_profile: str
    account: str
    starting_cash: numbers.Money | None
    system_identifier: str
    timeline: int


async def open_ledger(connection: Any, *, environment: str, mode: str, venue_profile: str) -> Ledger:
    """Return the ledger, created under a random id when the database is new."""
    system, timeline = await database.identity(connection)
    identifier = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
    await connection.execute(
        "insert into ledger (id, environment, mode, venue_profile, system_identifier, timeline)"
        " values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
        identifier,
        environment,
        mode,
        venue_profile,
        system,
        timeline,
    )
    row = await connection.fetchrow("select * from ledger")
    return Ledger(
        id=row["id"],
        environment=row["environment"],
        mode=row["mode"],
        venue_profile=row["venue_profile"],
        account=row["account"] or "",
        starting_cash=row["starting_cash"],
        system_identifier=row["system_identifier"],
        timeline=row["timeline"],
    )


async def is_foreign_history(connection: Any, ledger: Ledger) -> bool:
    """Whether the database is another one, or has another past, than when the ledger was last reconciled in full."""
    return await database.identity(connection) != (ledger.system_identifier, ledger.timeline)


async def adopt_history(connection: Any) -> None:
    """Remember the present database as the ledger's, after everything in it was reconciled."""
    system, timeline = await database.identity(connection)
    await connection.execute("update ledger set system_identifier = $1, timeline = $2", system, timeline)


async def bind_account(connection: Any, *, account: str, cash: numbers.Money) -> None:
    """Remember the account and its cash at the first contact; later calls change nothing."""
    await connection.execute("update ledger set account = $1, starting_cash = $2 where account is null", account, cash)


async def hold(connection: Any) -> str:
    """Hold the ledger's row until the end of the transaction; return the state that was recorded last."""
    state: str = await connection.fetchval("select recorded_state from ledger for update")
    return state


async def take_places(connection: Any, count: int) -> int:
    """Take ``count`` places in the sequence, hold the row, and return the first."""
    last: int = await connection.fetchval("update ledger set sequence = sequence + $1 returning sequence", count)
    return last - count + 1


async def record(connection: Any, kind: str, body: Mapping[str, Any]) -> int:
    """Append a control event and return its place."""
    place = await take_places(connection, 1)
    await insert(connection, [(place, kind, body)])
    return place


async def insert(connection: Any, events: Sequence[tuple[int, str, Mapping[str, Any]]]) -> None:
    """Write control events at places that were taken for them."""
    if events:
        await connection.executemany(
            "insert into control_events (sequence, type, body) values ($1, $2, $3)",
            [(place, kind, json.dumps(body)) for place, kind, body in events],
        )


async def record_if_new(
    connection: Any, kind: str, key: str, body: Mapping[str, Any], *, known: dict[tuple[str, str], Any] | None = None
) -> bool:
    """Append a control event unless the last one of its kind and key says the same; returns whether it did.

    Parameters
    ----------
    key : name of the body's field that tells events of one kind apart, or empty for the kind as a whole
    known : what was recorded last by kind and key, as far as the caller can be sure of it; brought up to date
    """
    place = kind, str(body[key]) if key else ""
    if known is not None and known.get(place) == body:
        return False
    await hold(connection)
    last = await connection.fetchval(
        "select body from control_events where type = $1 and ($2 = '' or body ->> $2 = $3)"
        " order by sequence desc limit 1",
        kind,
        key,
        place[1],
    )
    if known is not None:
        known[place] = body
    if last is not None and json.loads(last) == json.loads(json.dumps(body)):
        return False
    await record(connection, kind, body)
    return True


async def highest_switch(connection: Any) -> dict[str, int]:
    """Return the highest resourceVersion seen of each switch object, by uid."""
    rows = await connection.fetch("select uid, resource_version::text as version from switch_seen")
    return {row["uid"]: int(row["version"]) for row in rows}


async def saw_switch(connection: Any, uid: str, resource_version: int) -> None:
    """Remember a resourceVersion; a lower one changes nothing."""
    await connection.execute(
        "insert into switch_seen (uid, resource_version) values ($1, $2::text::numeric) on conflict (uid) do update"
        " set resource_version = greatest(switch_seen.resource_version, excluded.resource_version),"
        " seen = clock_timestamp()",
        uid,
        str(resource_version),
    )


async def open_halt(connection: Any, identifier: str, *, cause: str, message: str) -> None:
    """Record a halt of the gateway itself; it stays until a person lifts it."""
    await connection.execute(
        "insert into halts (id, cause, message) values ($1, $2, $3) on conflict do nothing",
        identifier,
        cause,
        message,
    )


async def open_halts(connection: Any) -> tuple[tuple[str, str], ...]:
    """Return id and message of every open halt."""
    rows = await connection.fetch("select id, message from halts order by since")
    return tuple((row["id"], row["message"]) for row in rows)
