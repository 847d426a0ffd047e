"""Epochs: who may act. A row per scope, ordered by number, fenced by a random token.

``gateway`` is the leading gateway's row, ``strategy:<uid>`` a strategy's. A holder's token is checked, FOR SHARE, in
the transaction of every decision, so that a deposed holder commits nothing.

Guard ``epoch-locked``: who wants the row waits until that transaction has ended.
Guard ``token-not-number``: a database that lost the commit of a turn gives its number out again, its token never.
"""

import secrets
from dataclasses import dataclass
from typing import Any

GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One holder's turn; ``renewed`` counts its signs of life."""

    scope: str
    number: int
    token: str
    generation: int
    attempt: int
    holder: str
    renewed: int


def strategy_scope(uid: str) -> str:
    """Return the scope of a strategy's fence."""
    return f"strategy:{uid}"


async def read(connection: Any, scope: str) -> Epoch | None:
    """Return the current holder's row."""
    row = await connection.fetchrow("select * from epochs where scope = $1", scope)
    return None if row is None else _epoch(row)


async def take(
    connection: Any, scope: str, *, holder: str, expected: Epoch | None, generation: int = 0, attempt: int = 0
) -> Epoch | None:
    """Start a new turn if the row is still as ``expected``; returns nothing when somebody else was faster."""
    token = secrets.token_hex(16)
    if expected is None:
        row = await connection.fetchrow(
            "insert into epochs (scope, number, token, generation, attempt, holder) values ($1, 1, $2, $3, $4, $5)"
            " on conflict (scope) do nothing returning *",
            scope,
            token,
            generation,
            attempt,
            holder,
        )
    else:
        row = await connection.fetchrow(
            "update epochs set number = number + 1, token = $2, generation = $3, attempt = $4, holder = $5,"
            " renewed = 0, last_seen = clock_timestamp() where scope = $1 and token = $6 and renewed = $7 returning *",
            scope,
            token,
            generation,
            attempt,
            holder,
            expected.token,
            expected.renewed,
        )
    return None if row is None else _epoch(row)


async def renew(connection: Any, scope: str, token: str) -> Epoch | None:
    """Show a sign of life, and keep the row until the transaction ends; None when the token is not the current one."""
    row = await connection.fetchrow(
        "update epochs set renewed = renewed + 1, last_seen = clock_timestamp() where scope = $1 and token = $2"
        " returning *",
        scope,
        token,
    )
    return None if row is None else _epoch(row)


async def holds(connection: Any, scope: str, token: str) -> bool:
    """Check a token and keep the row as it is until the transaction ends."""
    found = await connection.fetchval("select 1 from epochs where scope = $1 and token = $2 for share", scope, token)
    return found is not None


async def silence_s(connection: Any, scope: str) -> float:
    """Return the seconds since the holder's last sign of life, by the database's clock."""
    value = await connection.fetchval(
        "select extract(epoch from clock_timestamp() - last_seen)::float8 from epochs where scope = $1", scope
    )
    return float(value)


def _epoch(row: Any) -> Epoch:
    return Epoch(
        row["scope"],
        row["number"],
        row["token"],
        row["generation"],
        row["attempt"],
        row["holder"],
        row["renewed"],
    )
