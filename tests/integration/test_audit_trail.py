"""The audit trail of a gateway that trades, on a real database, a real Valkey and the real simulator."""

import asyncio
import contextlib
import dataclasses
import functools
import json
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import hypothesis
import orjson
import pytest
import structlog
import uvicorn
from hypothesis import strategies as st

from support import gateway, simulator
from tradeplane_cli import __main__ as command_line
from tradeplane_cli.local import ports
from tradeplane_workers.audit import chain, trail
from tradeplane_workers.gateway import api, epoch, heads
from tradeplane_workers.stores import audit, database, epochs, schema

WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
BUY = [("AAPL", "buy", "10")]
OWNED = gateway.config().model_copy(update={"owner": "desk@example.com", "git_revision": "0123abc"})
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[Any]]:
    """What is logged, kept apart from what commands print."""
    with structlog.testing.capture_logs() as found:
        yield found


@pytest.fixture
def venue(tmp_path: pathlib.Path) -> Iterator[simulator.Venue]:
    """A venue after its first session."""
    with simulator.threaded(tmp_path) as found:
        found.to_bars(0)
        yield found


@pytest.fixture
async def bench(venue: simulator.Venue, postgres_url: str, redis_url: str) -> AsyncIterator[gateway.Bench]:
    """A gateway that may trade."""
    async with gateway.running(venue, postgres_url, redis_url) as found:
        await found.enabled()
        yield found


@pytest.fixture
async def ledger(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a ledger that nobody trades on."""
    await schema.upgrade(postgres_url)
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def trail_of(url: str) -> list[chain.Entry]:
    """Return the whole trail, which must be unbroken and what the ledger is."""
    connection = await trail.connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            entries = [one async for one in trail.entries(connection)]
            found, compared = await trail.differences(connection)
    finally:
        await connection.close()
    walk = chain.Walk()
    for one in entries:
        walk.take(one)
    walk.end()
    assert found == []
    assert compared >= len({one.subject for one in entries if one.kind == "intent"})
    return entries


def bodies(entries: list[chain.Entry], kind: str) -> list[dict[str, Any]]:
    """Return the bodies of a kind of entries."""
    return [json.loads(one.body) for one in entries if one.kind == kind]


async def eventually(holds: Callable[[], Awaitable[Any]]) -> None:
    """Wait until something holds."""
    for _ in range(500):
        if await holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("not within 10 s")


async def bought(bench: gateway.Bench) -> str:
    """Buy in the first session, be filled in the second, and return the client order id."""
    receipt = await bench.decide(await bench.fence(OWNED), 0, BUY)
    await bench.settled(0)
    await bench.move(bench.venue.sessions[1].open)
    await bench.until(lambda s: s["counts"]["fills"] == 1 and s["counts"]["open_orders"] == 0, "filled")
    return str(receipt["verdicts"][0]["client_order_id"])


async def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run a command beside this loop and return its exit status and what it printed."""
    status = await asyncio.to_thread(command_line.main, arguments)
    shown = capsys.readouterr()
    return status, shown.out + shown.err


async def test_all_of_an_order_is_in_the_trail(bench: gateway.Bench, postgres_url: str) -> None:
    """From the decision to the fill, in this order, and each in the words of the ledger."""
    name = await bought(bench)
    entries = await trail_of(postgres_url)
    own = [one for one in entries if one.subject == name]
    steps = [(one.kind, one.action, json.loads(one.body).get("status", "")) for one in own]
    assert steps[:4] == [
        ("intent", "insert", "released"),
        ("intent", "update", "sending"),
        ("order", "insert", ""),
        ("intent", "update", "acknowledged"),
    ]
    assert {one.kind for one in own} == {"intent", "order", "order-event", "fill"}
    kinds = {one.kind for one in entries}
    assert {"ledger", "epoch", "switch", "control-event", "decision", "reconciliation"} <= kinds
    assert bodies(entries, "reconciliation") == [{"is_clean": True, "differences": []}]
    assert "token" not in {key for body in bodies(entries, "epoch") for key in body}


async def test_an_order_names_all_that_it_came_from(bench: gateway.Bench, postgres_url: str) -> None:
    """Its entry alone says who wanted it, by what, judged by what, from which manifest."""
    await bought(bench)
    entries = await trail_of(postgres_url)
    (order,), (decision,) = bodies(entries, "order"), bodies(entries, "decision")
    assert decision["strategy"] == "momentum"
    expected = {
        "strategy_uid": gateway.UID,
        "owner": "desk@example.com",
        "decision": decision["sequence"],
        "signal_score": 0.5,
        "model_digest": "sha256:" + "0" * 64,
        "feature_set": "alpha158/v1",
        "policy_hash": decision["policy_hash"],
        "generation": 1,
        "git_revision": "0123abc",
    }
    assert {key: order[key] for key in expected} == expected
    assert order["policy_hash"].startswith("sha256:")


async def test_a_refused_order_is_in_the_trail_with_its_reason(bench: gateway.Bench, postgres_url: str) -> None:
    """What the gate said is what the trail says."""
    await bench.decide(await bench.fence(), 0, [("AAPL", "buy", "49000")])
    (intent,) = bodies(await trail_of(postgres_url), "intent")
    assert (intent["status"], intent["reason"]) == ("refused", "order-notional")
    assert "allows 400000" in intent["detail"]


async def test_a_halt_and_its_cancels_are_in_the_trail(bench: gateway.Bench, postgres_url: str) -> None:
    """The switch's revision, the state, and the end of the order that the halt cancelled."""
    await bench.decide(await bench.fence(), 0, BUY)
    await bench.settled(0)
    await bench.halted()
    await bench.until(lambda s: s["counts"]["open_orders"] == 0, "cancelled")
    entries = await trail_of(postgres_url)
    events = [(body["type"], body["body"]) for body in bodies(entries, "control-event")]
    assert [body["state"] for kind, body in events if kind == "state"] == ["enabled", "halted"]
    assert [body["status"] for kind, body in events if kind == "cancelled"] == ["canceled"]
    revisions = [body["resource_version"] for body in bodies(entries, "switch")]
    assert revisions == sorted(set(revisions))
    assert len(revisions) == 2


async def test_what_differs_from_the_broker_is_in_the_trail(bench: gateway.Bench, postgres_url: str) -> None:
    """Once, however often it is seen again, and that it is gone too."""
    await bought(bench)
    reconciler = bench.gateway.views.reconciler
    assert reconciler is not None
    booked = "insert into adjustments (source, id, kind, date, amount) values ('test', $1, 'FEE', '2026-01-05', $2)"
    await bench.gateway.pool.execute(booked, "lost", 1_000_000_000)
    await reconciler.run()
    await reconciler.run()
    await bench.gateway.pool.execute(booked, "found", -1_000_000_000)
    await reconciler.run()
    entries = await trail_of(postgres_url)
    found = [(body["is_clean"], len(body["differences"])) for body in bodies(entries, "reconciliation")]
    assert found == [(True, 0), (False, 1), (True, 0)]
    assert len(bodies(entries, "adjustment")) == 2


async def test_no_entry_takes_a_round_trip(
    venue: simulator.Venue, postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From decision to fill the gateway's statements are those of the ledger, and none is for the trail."""
    statements: list[str] = []

    async def listen(connection: asyncpg.Connection) -> None:
        connection.add_query_logger(lambda record: statements.append(record.query))

    monkeypatch.setattr(asyncpg, "create_pool", functools.partial(asyncpg.create_pool, init=listen))
    async with gateway.running(venue, postgres_url, redis_url) as bench:
        await bench.enabled()
        before, _ = await audit.head(bench.gateway.pool)
        statements.clear()
        await bought(bench)
        sent = list(statements)
        after, _ = await audit.head(bench.gateway.pool)
    assert after - before >= 8
    assert any("insert into decisions" in statement for statement in sent)
    assert [statement for statement in sent if "audit" in statement] == []


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
    entries = await trail_of(postgres_url)
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
    entries = [one for one in await trail_of(postgres_url) if one.kind == "halt"]
    assert [(one.action, json.loads(one.body)["message"]) for one in entries] == [
        ("insert", "m"),
        ("update", "other"),
        ("delete", "other"),
    ]
    assert {one.writer for one in entries} == {"postgres"}


async def test_a_table_that_is_watched_later_brings_its_rows(ledger: asyncpg.Connection, postgres_url: str) -> None:
    """As they are found; so the ledger of before the trail is in it."""
    await ledger.execute("create table extras (id text primary key, note text); insert into extras values ('a', 'n')")
    await ledger.execute("select audit_watch('extras', 'extra', 'id')")
    await ledger.execute("update extras set note = 'm'")
    entries = [one for one in await trail_of(postgres_url) if one.kind == "extra"]
    assert [(one.action, json.loads(one.body)["note"]) for one in entries] == [("import", "n"), ("update", "m")]


async def test_a_table_that_changes_is_still_compared(ledger: asyncpg.Connection, postgres_url: str) -> None:
    """Without columns that came or went since a row's last entry, and with all others."""
    await ledger.execute("insert into halts (id, cause, message) values ('a', 'c', 'm')")
    await ledger.execute("alter table halts add column note text not null default 'n', drop column cause")
    await trail_of(postgres_url)
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
            await eventually(lambda: ledger.fetchval(WAITING))
            await one.execute("commit")
            await waiting
    finally:
        await one.close()
        await other.close()
    entries = [one for one in await trail_of(postgres_url) if one.action == "update"]
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
    entries = [one for one in await trail_of(postgres_url) if one.kind == "halt"]
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
            await eventually(lambda: ledger.fetchval(WAITING))
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
    steps = [(one.kind, json.loads(one.body).get("epoch")) for one in await trail_of(postgres_url)]
    assert steps == [("epoch", None), ("decision", 1), ("epoch", None)]


async def test_two_gateways_write_one_chain(
    venue: simulator.Venue, postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was deposed and does not know it books what it hears, and decides nothing."""
    cluster = gateway.cluster_of(venue)

    async def asleep(*_: object) -> None:
        await asyncio.Event().wait()

    async with contextlib.AsyncExitStack() as stack:
        with monkeypatch.context() as patched:
            patched.setattr(epoch.Leadership, "keep", asleep)
            first = await stack.enter_async_context(gateway.running(venue, postgres_url, redis_url, cluster=cluster))
            await first.enabled()
        token = await first.fence()
        first.gateway.leadership._renewed_s = float("inf")
        second = await stack.enter_async_context(gateway.running(venue, postgres_url, redis_url, cluster=cluster))
        await second.until(lambda s: s["epoch"]["number"] == 2 and s["reconciliation"]["clean"], "leads")
        assert first.gateway.leadership.is_valid()
        await second.publish(0)
        body = second.body(token, 0, [("AAPL", "buy", "10"), ("IBM", "buy", "5")])
        answers = await asyncio.gather(*(each.post(body) for each in (first, second, first)))
        assert [answer.status_code for answer in answers] == [503, 200, 503]
        await second.settled(0)
        await second.move(venue.sessions[1].open)
        await second.until(lambda s: s["counts"]["fills"] == 2 and s["counts"]["open_orders"] == 0, "filled")
    entries = await trail_of(postgres_url)
    taken = [one.number for one in entries if one.kind == "epoch" and json.loads(one.body)["number"] == 2]
    decided = [one.number for one in entries if one.kind == "decision"]
    assert [body["epoch"] for body in bodies(entries, "decision")] == [2]
    assert taken[0] < decided[0]
    assert len(bodies(entries, "fill")) == 2


async def test_the_head_is_told_to_log_and_store(
    venue: simulator.Venue,
    postgres_url: str,
    redis_url: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lines: list[Any],
) -> None:
    """And a trail whose end was cut off is found out by either."""
    store = (tmp_path / "artifacts").as_uri()
    monkeypatch.setenv("TRADEPLANE_ARTIFACTS", store)
    monkeypatch.setattr(heads, "PERIOD_S", 0.05)
    async with gateway.running(venue, postgres_url, redis_url) as bench:
        await bench.enabled()
        await bought(bench)
        number = (await trail_of(postgres_url))[-1].number

        async def is_told() -> bool:
            return any(line["event"] == "audit head" and line["number"] >= number for line in lines)

        await eventually(is_told)
    log = tmp_path / "gateway.log"
    log.write_bytes(b"\n".join(orjson.dumps(line, default=str) for line in lines) + b'\n{"event": "audit head", "num')
    options = ["audit", "verify", "--database", postgres_url]
    for more in (["--log", str(log)], ["--artifacts", store]):
        status, shown = await told([*options, *more], capsys)
        assert status == 0, shown
        assert " agree" in shown
    entries = await trail_of(postgres_url)
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(b"".join(map(trail.line, entries[:-3])))
    for more, source in ((["--log", str(log)], "the log"), (["--artifacts", store], "the artifact store")):
        status, shown = await told(["audit", "verify", "--export", str(cut), *more], capsys)
        assert status == 1
        assert f"broken at entry {len(entries) - 2}, which is missing: the trail went on to entry" in shown
        assert source in shown
    head = f"{entries[-1].number}:{entries[-1].hash}"
    assert (await told(["audit", "verify", "--export", str(cut)], capsys))[0] == 0
    assert (await told(["audit", "verify", "--export", str(cut), "--head", head], capsys))[0] == 1
    assert (await told(["audit", "verify", "--export", str(cut), "--head", "1:x"], capsys))[0] == 2


@pytest.mark.parametrize(
    "statement",
    [
        "update audit_entries set body = replace(body, 'AAPL', 'MSFT') where number = $1",
        "delete from audit_entries where number = $1",
        "update audit_entries set number = 1000000 where number = $1",
    ],
)
async def test_a_forged_entry_is_named(
    bench: gateway.Bench, postgres_url: str, capsys: pytest.CaptureFixture[str], statement: str
) -> None:
    """When the database's owner takes the trigger away and changes, removes or moves one."""
    await bought(bench)
    forged = next(one.number for one in await trail_of(postgres_url) if one.kind == "order")
    async with bench.gateway.pool.acquire() as connection:
        await connection.execute("alter table audit_entries disable trigger append_only")
        await connection.execute(statement, forged)
    status, shown = await told(["audit", "verify", "--database", postgres_url, "-o", "json"], capsys)
    assert (status, json.loads(shown)["broken"]) == (1, forged)


async def test_a_forged_ledger_is_not_what_the_trail_says(
    bench: gateway.Bench, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Changed, removed and added rows are named, where somebody took the triggers away."""
    await bought(bench)
    await bench.gateway.pool.execute("alter table fills disable trigger audit")
    await bench.gateway.pool.execute("update fills set price = price + 1")
    await bench.gateway.pool.execute("alter table fills enable always trigger audit")
    await bench.gateway.pool.execute("alter table halts disable trigger audit")
    await bench.gateway.pool.execute("insert into halts (id, cause, message) values ('a', '', '')")
    status, shown = await told(["audit", "verify", "--database", postgres_url], capsys)
    assert status == 1
    assert "chain       whole" in shown
    fill = (await bench.listed("fills"))[0]["broker_order_id"]
    assert f'fills ["{fill}", 0]: is not what the trail says' in shown
    assert 'halts ["a"]: is in the ledger and not in the trail' in shown
    assert "halts: its trigger does not act" in shown
    await bench.gateway.pool.execute("alter table audit_entries disable trigger append_only")
    await bench.gateway.pool.execute("drop trigger audit on switch_seen")
    status, shown = await told(["audit", "verify", "--database", postgres_url], capsys)
    assert "audit_entries: its trigger append_only does not act" in shown
    assert "switch: no table has the trigger that enters it" in shown


async def test_an_export_is_verified_as_the_database_is(
    bench: gateway.Bench, postgres_url: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Line by line the same entries; what is no entry is refused by its line."""
    await bought(bench)
    entries = await trail_of(postgres_url)
    path = tmp_path / "trail.jsonl"
    status, shown = await told(["audit", "export", str(path), "--database", postgres_url], capsys)
    assert (status, shown) == (0, f"{len(entries):,} entries in {path}\n")
    assert list(trail.exported(path)) == entries
    status, shown = await told(["audit", "verify", "--export", str(path), "-o", "json"], capsys)
    report = json.loads(shown)
    assert (status, report["whole"], report["entries"], report["head"]) == (0, True, len(entries), entries[-1].hash)
    assert report["ledger"] == (await bench.state())["ledger"]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], orjson.dumps(dataclasses.asdict(entries[4]) | {"number": "5"}) + b"\n"]))
    status, shown = await told(["audit", "verify", "--export", str(path)], capsys)
    assert status == 2
    assert f"{path}, line 5: must be an entry of a trail" in shown


@contextlib.asynccontextmanager
async def served(bench: gateway.Bench) -> AsyncIterator[str]:
    """Serve the gateway's interface on loopback."""
    (port,) = ports.free(1)
    server = uvicorn.Server(uvicorn.Config(api.create(bench.gateway), host="127.0.0.1", port=port, log_config=None))
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]  # they are pytest's
    task = asyncio.create_task(server.serve())

    async def is_started() -> bool:
        return server.started

    await eventually(is_started)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


async def test_why_tells_the_whole_story_of_an_order(bench: gateway.Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """By our id and by the broker's, as JSON and as a table."""
    name = await bought(bench)
    (order,) = await bench.listed("orders")
    async with served(bench) as url:
        stories = [
            await told(["why", f"order/{each}", "--gateway", url, "-o", "json"], capsys)
            for each in (name, order["broker_order_id"])
        ]
        status, shown = await told(["why", f"order/{name}", "--gateway", url], capsys)
        missing = await told(["why", "order/nobody", "--gateway", url], capsys)
        refused = await told(["why", "nobody", "--gateway", url], capsys)
    assert stories[0] == stories[1]
    assert stories[0][0] == status == 0
    story = json.loads(stories[0][1])
    assert story["strategy"] == {
        "name": "momentum",
        "uid": gateway.UID,
        "owner": "desk@example.com",
        "generation": 1,
        "attempt": 1,
        "git_revision": "0123abc",
    }
    assert story["signal"]["score"] == 0.5
    assert story["model"] == {"name": "alpha", "digest": "sha256:" + "0" * 64, "feature_set": "alpha158/v1"}
    assert story["risk"]["policy"] == {"name": "prudent", "hash": order["policy_hash"]}
    assert (story["risk"]["passed"], story["decision"]["sequence"]) == (True, order["decision"])
    assert [step["status"] for step in story["steps"]] == ["released", "sending", "acknowledged"]
    assert [fill["quantity"] for fill in story["fills"]] == ["10"]
    assert len(story["entries"]) >= 7
    for text in ("owner desk@example.com", "Git revision 0123abc", "buy 10 AAPL", "fill      ", "policy    prudent"):
        assert text in shown
    assert missing == (1, "tradeplane why: no order 'nobody' in the ledger\n")
    assert refused == (2, "tradeplane why: subject: must be order/ID, got 'nobody'\n")


async def test_why_tells_why_an_order_was_refused(bench: gateway.Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """The limit and the value, and no broker."""
    receipt = await bench.decide(await bench.fence(), 0, [("AAPL", "buy", "49000")])
    name = receipt["verdicts"][0]["client_order_id"]
    async with served(bench) as url:
        status, shown = await told(["why", f"order/{name}", "--gateway", url], capsys)
    assert status == 0
    assert "risk      refused, order-notional, " in shown
    assert "allows 400000" in shown
