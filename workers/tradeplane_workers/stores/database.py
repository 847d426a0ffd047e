"""Connections to the ledger: short timeouts, synchronous commits, JSON as text.

Guard ``lock-time-outs``: a statement, a lock or an idle transaction that lasts longer than a second, and any that
lasts longer than three, is ended by the server, so that a frozen gateway cannot hold what another one waits for.

Guard ``one-history``: a database that failed over, or was restored, may lack what was committed. A process ends when it
meets another history than its own; the next one trusts nothing that is not known to have been sent.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""What a database that is away, restarting or too slow raises; asyncpg's internal one follows a long freeze of ours."""

AWAY = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError, TimeoutError)
"""Those that say nothing about the statement."""

_SETTINGS = {
    "application_name": "tradeplane-gateway",
    "statement_timeout": "1000",
    "lock_timeout": "1000",
    "idle_in_transaction_session_timeout": "1000",
    # Whoever is frozen between the two halves of preparing a statement is neither idle nor in a statement, for the
    # server; this ends that transaction too, before a successor takes over. PostgreSQL has it since version 17.
    "transaction_timeout": "3000",
    "synchronous_commit": "on",
    # A plan is made while tables are young and kept while they grow; each statement here has its index. A plain scan
    # of an index also drops the entries of rows that have moved on, of which those of open orders are nearly all.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
}


class OtherHistory(Exception):  # noqa: N818 - named for what happened
    """The database has another history than the one that this process began with; the process ends."""


async def connect(url: str) -> asyncpg.Pool:
    """Open a small pool of one history; raises one of FAILURES, and later OtherHistory at any use."""
    known: list[tuple[str, int]] = []

    async def must_be_the_same(connection: Any) -> None:
        found = await identity(connection)
        if known and known != [found]:
            raise OtherHistory(f"system identifier and timeline: must stay {known[0]}, got {found}")
        known[:] = [found]

    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=8,
        timeout=3,
        command_timeout=2,
        server_settings=_SETTINGS,
        init=must_be_the_same,
        reset=_leave,
    )


async def _leave(connection: Any) -> None:
    """Change nothing of a connection that goes back: nobody sets anything that outlives a transaction."""


@asynccontextmanager
async def transaction(pool: asyncpg.Pool, *, keep: bool = True) -> AsyncIterator[Any]:
    """Run one read-committed transaction on a connection of the pool, which is waited for at most 2 s.

    ``keep`` says whether what it wrote stays.
    """
    async with pool.acquire(timeout=2) as connection:
        change = connection.transaction()
        await change.start()
        try:
            yield connection
        except BaseException:
            # What ended it counts, most of all a cancellation; on a dead connection there is nothing to roll back.
            with suppress(*FAILURES):
                await change.rollback()
            raise
        await (change.commit() if keep else change.rollback())


async def identity(connection: Any) -> tuple[str, int]:
    """Return system identifier and timeline: a change of either means that this is another history.

    Raises one of FAILURES on a standby. The timeline is that of the log: the control file names the new one only after
    the first checkpoint that follows a promotion.
    """
    row = await connection.fetchrow(
        "select (select system_identifier::text from pg_control_system()) as system,"
        " substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) as timeline"
    )
    return row["system"], int(row["timeline"], 16)
