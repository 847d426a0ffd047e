"""The audit trail's writing side, as far as it is not the ledger's own triggers.

What changes a row of the ledger needs nothing from here: it is an entry when its transaction commits. A table that is
added later is watched by its migration: ``select audit_watch('name', 'kind', 'subject')``. A migration that writes rows
of a watched table and alters it afterwards says ``set constraints all immediate`` in between.
"""

import json
from collections.abc import Mapping
from typing import Any


async def record(connection: Any, kind: str, *, subject: str, body: Mapping[str, Any]) -> None:
    """Enter what has no row in the ledger.

    The last thing that a transaction does: the chain's lock is held from here to its end, and whoever waited for a
    row's lock meanwhile might wait for ever.
    """
    await connection.execute(
        "insert into audit_entries (kind, action, subject, body) values ($1, 'record', $2, $3)",
        kind,
        subject,
        json.dumps(body, sort_keys=True, ensure_ascii=False),
    )


async def head(connection: Any) -> tuple[int, str]:
    """Return number and hash of the last entry; number 0 where there is none."""
    row = await connection.fetchrow("select number, hash from audit_entries order by number desc limit 1")
    return (0, "") if row is None else (row["number"], row["hash"])
