"""How entries of the audit trail come about, on a real database that nobody trades on."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import hypothesis
import pytest
from hypothesis import strategies as st

from support import audit_trails
from tradeplane_workers.audit import chain, trail
from tradeplane_workers.stores import audit, database, epochs, schema

TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)
WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


@pytest.fixture
async def ledger(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a ledger that nobody trades on."""
    await schema.upgrade(postgres_url)
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def test_a_transaction_that_fails_leaves_no_entry(ledger: asyncpg.Connection) -> None:
    """An entry is of the same transaction as what it records."""
    before = await audit.head(ledger)
    with contextlib.suppress(asyncpg.DivisionByZeroError):
        async with ledger.transaction():
            await ledger.execute("insert into halts (id, cause, message) values ('a', '', '')")
            await ledger.execute("select 1 / 0")
    assert await audit.head(ledger) == before
    async with ledger.transaction():
        await ledger.execute("insert into halts (id, cause, message) values ('a', '', '')")
        await ledger.execute("update halts set message = 'm'")
    assert (await audit.head(ledger))[0] == before[0] + 2


async def test_entries_are_for_ever(ledger: asyncpg.Connection, postgres_url: str) -> None:
    """The database refuses each way to change or remove one, and what a forged one says of its own place."""
    await ledger.execute("insert into halts (id, cause, message) values ('a', '', '')")
    for statement in ("update audit_entries set body = ''", "delete from audit_entries", "truncate audit_entries"):
        for preface in ("", "set session_replication_role = replica; "):
            with pytest.raises(asyncpg.RestrictViolationError, match="audit_entries is append-only"):
                await ledger.execute(f"begin; {preface}{statement}")
            await ledger.execute("rollback")
    with pytest.raises(asyncpg.RestrictViolationError, match="halts is append-only"):
        await ledger.execute("truncate halts")
    await ledger.execute(
        "insert into audit_entries (number, recorded, writer, kind, action, subject, body, previous, hash)"
        " values (99, '2000-01-01', 'nobody', 'halt', 'record', '', '{}', 'x', 'x')"
    )
    entries = await audit_trails.of_database(postgres_url)
    assert (entries[-1].number, entries[-1].writer) == (len(entries), "postgres")
    with pytest.raises(asyncpg.CheckViolationError):
        await ledger.execute(
            "insert into audit_entries (kind, action, subject, body) values ('halt', 'insert', '', 'x')"
        )


async def test_a_change_by_hand_is_an_entry_too(ledger: asyncpg.Connection, postgres_url: str) -> None:
    """Whoever is logged in: the trail is the tables' own, not the gateway's."""
    await ledger.execute("insert into halts (id, cause, message) values ('a', 'c', 'm')")
    await ledger.execute("update halts set message = 'other'")
    await ledger.execute("update halts set message = 'other'")
    await ledger.execute("delete from halts")
    entries = [one for one in await audit_trails.of_database(postgres_url) if one.kind == "halt"]
    assert [(one.action, json.loads(one.body)["message"]) for one in entries] == [
        ("insert", "m"),
        ("update", "other"),
        ("delete", "other"),
    ]
    assert {one.writer for one in entries} == {"postgres"}


async def test_a_session_cannot_lead_its_entries_elsewhere(ledger: asyncpg.Connection, postgres_url: str) -> None:
    """Neither by a table of the same name nor by a path of its own."""
    await ledger.execute("create temporary table audit_entries (like public.audit_entries)")
    await ledger.execute("insert into public.halts (id, cause, message) values ('a', '', '')")
    await ledger.execute("create schema elsewhere; set search_path to elsewhere")
    await ledger.execute("insert into public.halts (id, cause, message) values ('b', '', '')")
    entries = await audit_trails.of_database(postgres_url)
    assert [one.subject for one in entries if one.kind == "halt"] == ["a", "b"]


async def test_a_table_that_is_watched_later_brings_its_rows(ledger: asyncpg.Connection, postgres_url: str) -> None:
    """As they are found; so the ledger of before the trail is in it."""
    await ledger.execute("create table extras (id text primary key, note text); insert into extras values ('a', 'n')")
    await ledger.execute("select audit_watch('extras', 'extra', 'id')")
    await ledger.execute("update extras set note = 'm'")
    entries = [one for one in await audit_trails.of_database(postgres_url) if one.kind == "extra"]
    assert [(one.action, json.loads(one.body)["note"]) for one in entries] == [("import", "n"), ("update", "m")]


async def test_a_table_that_changes_is_still_compared(ledger: asyncpg.Connection, postgres_url: str) -> None:
    """Without columns that came or went since a row's last entry, and with all others."""
    await ledger.execute("insert into halts (id, cause, message) values ('a', 'c', 'm')")
    await ledger.execute("alter table halts add column note text not null default 'n', drop column cause")
    await audit_trails.of_database(postgres_url)
    await ledger.execute("alter table halts disable trigger audit; update halts set message = 'other'")
    found, _ = await trail.differences(ledger)
    assert 'halts ["a"]: is not what the trail says' in found


async def test_the_database_hashes_the_same_bytes(ledger: asyncpg.Connection) -> None:
    """Whatever texts an entry has."""
    fields = ["writer", "kind", "action", "subject", "body", "previous"]
    query = "select audit_hash(row($1, $2::timestamptz, $3, $4, $5, $6, $7, $8, '')::audit_entries)"
    loop = asyncio.get_running_loop()
    checked = 0

    @hypothesis.settings(max_examples=200)
    @hypothesis.given(
        st.integers(1, 2**63 - 1),
        st.datetimes(timezones=st.just(UTC)),
        st.lists(TEXTS, min_size=6, max_size=6),
    )
    def agrees(number: int, at: datetime, texts: list[str]) -> None:
        nonlocal checked
        given = dict(zip(fields, texts, strict=True))
        entry = chain.Entry(number=number, recorded=chain.instant(at), hash="", **given)
        asked = asyncio.run_coroutine_threadsafe(ledger.fetchval(query, number, at, *texts), loop)
        assert asked.result(10) == chain.digest(entry)
        checked += 1

    await asyncio.to_thread(agrees)
    assert checked >= 200


async def test_the_chains_lock_is_the_last_of_a_transaction(ledger: asyncpg.Connection, postgres_url: str) -> None:
    """One who has written and waits for another's row does not keep that one from its commit."""
    await ledger.execute("insert into halts (id, cause, message) values ('a', '', ''), ('b', '', '')")
    one, other = await asyncpg.connect(postgres_url), await asyncpg.connect(postgres_url)
    try:
        async with asyncio.timeout(10):
            await one.execute("begin; update halts set message = 'one' where id = 'a'")
            await other.execute("begin; update halts set message = 'other' where id = 'b'")
            waiting = asyncio.create_task(other.execute("update halts set message = 'other' where id = 'a'; commit"))
            await audit_trails.eventually(lambda: ledger.fetchval(WAITING))
            await one.execute("commit")
            await waiting
    finally:
        await one.close()
        await other.close()
    entries = [one for one in await audit_trails.of_database(postgres_url) if one.action == "update"]
    assert [json.loads(one.body)["message"] for one in entries] == ["one", "other", "other"]


async def test_many_writers_make_one_chain(postgres_url: str) -> None:
    """Whatever the order in which they come to their commits."""
    await schema.upgrade(postgres_url)
    pool = await database.connect(postgres_url)

    async def write(writer: int) -> None:
        for turn in range(10):
            async with database.transaction(pool) as connection:
                await connection.executemany(
                    "insert into halts (id, cause, message) values ($1, '', '')",
                    [(f"{writer}-{turn}-{row}",) for row in range(3)],
                )

    try:
        await asyncio.gather(*(write(writer) for writer in range(6)))
    finally:
        await pool.close()
    entries = [one for one in await audit_trails.of_database(postgres_url) if one.kind == "halt"]
    assert len(entries) == 6 * 10 * 3
    together = [one.subject.rpartition("-")[0] for one in entries[::3]]
    assert [one.subject.rpartition("-")[0] for one in entries] == [each for each in together for _ in range(3)]


async def test_what_one_epoch_decided_is_before_the_entry_of_the_next(
    ledger: asyncpg.Connection, postgres_url: str
) -> None:
    """Whoever takes over waits for a decision that is on its way to its commit."""
    first = await epochs.take(ledger, epochs.GATEWAY, holder="first", expected=None)
    assert first is not None
    taking = await asyncpg.connect(postgres_url)
    try:
        async with ledger.transaction():
            assert await epochs.holds(ledger, epochs.GATEWAY, first.token)
            second = asyncio.create_task(epochs.take(taking, epochs.GATEWAY, holder="second", expected=first))
            await audit_trails.eventually(lambda: ledger.fetchval(WAITING))
            await ledger.execute(
                "insert into decisions (sequence, strategy_uid, strategy, generation, attempt, trigger, outcome,"
                " detail, model_digest, feature_set, policy_hash, account_policy_hash, epoch, digest)"
                " values (1, 'u', 's', 1, 1, 1, 'missed', '', '', '', '', '', $1, '')",
                first.number,
            )
        assert (await second) is not None
        assert not await epochs.holds(ledger, epochs.GATEWAY, first.token)
    finally:
        await taking.close()
    steps = [(one.kind, json.loads(one.body).get("epoch")) for one in await audit_trails.of_database(postgres_url)]
    assert steps == [("epoch", None), ("decision", 1), ("epoch", None)]
