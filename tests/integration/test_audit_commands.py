"""``tradeplane audit`` and ``why`` about a gateway that trades, on real servers and the real simulator."""

import asyncio
import contextlib
import dataclasses
import json
import pathlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
import pytest
import structlog
import uvicorn

from support import audit_trails, gateway, simulator
from tradeplane_cli import __main__ as command_line
from tradeplane_cli.local import ports
from tradeplane_workers.audit import trail
from tradeplane_workers.gateway import api, heads


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


async def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run a command beside this loop and return its exit status and what it printed."""
    status = await asyncio.to_thread(command_line.main, arguments)
    shown = capsys.readouterr()
    return status, shown.out + shown.err


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
        await audit_trails.bought(bench)
        number = (await audit_trails.of_database(postgres_url))[-1].number

        async def is_told() -> bool:
            return any(line["event"] == "audit head" and line["number"] >= number for line in lines)

        await audit_trails.eventually(is_told)
    log = tmp_path / "gateway.log"
    log.write_bytes(b"\n".join(orjson.dumps(line, default=str) for line in lines) + b'\n{"event": "audit head", "num')
    options = ["audit", "verify", "--database", postgres_url]
    for more in (["--log", str(log)], ["--artifacts", store]):
        status, shown = await told([*options, *more], capsys)
        assert status == 0, shown
        assert " agree" in shown
    entries = await audit_trails.of_database(postgres_url)
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
    await audit_trails.bought(bench)
    forged = next(one.number for one in await audit_trails.of_database(postgres_url) if one.kind == "order")
    async with bench.gateway.pool.acquire() as connection:
        await connection.execute("alter table audit_entries disable trigger append_only")
        await connection.execute(statement, forged)
    status, shown = await told(["audit", "verify", "--database", postgres_url, "-o", "json"], capsys)
    assert (status, json.loads(shown)["broken"]) == (1, forged)


async def test_a_forged_ledger_is_not_what_the_trail_says(
    bench: gateway.Bench, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Changed, removed and added rows are named, where somebody took the triggers away."""
    await audit_trails.bought(bench)
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
    await audit_trails.bought(bench)
    entries = await audit_trails.of_database(postgres_url)
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

    await audit_trails.eventually(is_started)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


async def test_why_tells_the_whole_story_of_an_order(bench: gateway.Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """By our id and by the broker's, as JSON and as a table."""
    name = await audit_trails.bought(bench)
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
