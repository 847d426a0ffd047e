"""The audit trail of a gateway that trades, on a real database, a real Valkey and the real simulator."""

import asyncio
import contextlib
import json
import pathlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from support import audit_trails, gateway, simulator
from tradeplane_workers.gateway import epoch
from tradeplane_workers.stores import audit

BUY = [("AAPL", "buy", "10")]


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


async def test_all_of_an_order_is_in_the_trail(bench: gateway.Bench, postgres_url: str) -> None:
    """From the decision to the fill, in this order, and each in the words of the ledger."""
    name = await audit_trails.bought(bench)
    entries = await audit_trails.of_database(postgres_url)
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
    assert audit_trails.bodies(entries, "reconciliation") == [{"is_clean": True, "differences": []}]
    assert "token" not in {key for body in audit_trails.bodies(entries, "epoch") for key in body}


async def test_an_order_names_all_that_it_came_from(bench: gateway.Bench, postgres_url: str) -> None:
    """Its entry alone says who wanted it, by what, judged by what, from which manifest."""
    await audit_trails.bought(bench)
    entries = await audit_trails.of_database(postgres_url)
    (order,), (decision,) = audit_trails.bodies(entries, "order"), audit_trails.bodies(entries, "decision")
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
    (intent,) = audit_trails.bodies(await audit_trails.of_database(postgres_url), "intent")
    assert (intent["status"], intent["reason"]) == ("refused", "order-notional")
    assert "allows 400000" in intent["detail"]


async def test_a_halt_and_its_cancels_are_in_the_trail(bench: gateway.Bench, postgres_url: str) -> None:
    """The switch's revision, the state, and the end of the order that the halt cancelled."""
    await bench.decide(await bench.fence(), 0, BUY)
    await bench.settled(0)
    await bench.halted()
    await bench.until(lambda s: s["counts"]["open_orders"] == 0, "cancelled")
    entries = await audit_trails.of_database(postgres_url)
    events = [(body["type"], body["body"]) for body in audit_trails.bodies(entries, "control-event")]
    assert [body["state"] for kind, body in events if kind == "state"] == ["enabled", "halted"]
    assert [body["status"] for kind, body in events if kind == "cancelled"] == ["canceled"]
    revisions = [body["resource_version"] for body in audit_trails.bodies(entries, "switch")]
    assert revisions == sorted(set(revisions))
    assert len(revisions) == 2


async def test_what_differs_from_the_broker_is_in_the_trail(bench: gateway.Bench, postgres_url: str) -> None:
    """Once, however often it is seen again, and that it is gone too."""
    await audit_trails.bought(bench)
    reconciler = bench.gateway.views.reconciler
    assert reconciler is not None
    booked = "insert into adjustments (source, id, kind, date, amount) values ('test', $1, 'FEE', '2026-01-05', $2)"
    await bench.gateway.pool.execute(booked, "lost", 1_000_000_000)
    await reconciler.run()
    await reconciler.run()
    await bench.gateway.pool.execute(booked, "found", -1_000_000_000)
    await reconciler.run()
    entries = await audit_trails.of_database(postgres_url)
    found = [(body["is_clean"], len(body["differences"])) for body in audit_trails.bodies(entries, "reconciliation")]
    assert found == [(True, 0), (False, 1), (True, 0)]
    assert len(audit_trails.bodies(entries, "adjustment")) == 2


async def test_no_entry_takes_a_round_trip(
    venue: simulator.Venue, postgres_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From decision to fill the gateway's statements are those of the ledger, and none is for the trail."""
    statements: list[str] = []

    create_pool = asyncpg.create_pool

    async def listened(*given: Any, init: Any, **named: Any) -> asyncpg.Pool:
        async def listen(connection: asyncpg.Connection) -> None:
            await init(connection)
            connection.add_query_logger(lambda record: statements.append(record.query))

        return await create_pool(*given, init=listen, **named)

    monkeypatch.setattr(asyncpg, "create_pool", listened)
    async with gateway.running(venue, postgres_url, redis_url) as bench:
        await bench.enabled()
        before, _ = await audit.head(bench.gateway.pool)
        statements.clear()
        await audit_trails.bought(bench)
        sent = list(statements)
        after, _ = await audit.head(bench.gateway.pool)
    assert after - before >= 8
    assert any("insert into decisions" in statement for statement in sent)
    assert [statement for statement in sent if "audit" in statement] == []


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
    entries = await audit_trails.of_database(postgres_url)
    taken = [one.number for one in entries if one.kind == "epoch" and json.loads(one.body)["number"] == 2]
    decided = [one.number for one in entries if one.kind == "decision"]
    assert [body["epoch"] for body in audit_trails.bodies(entries, "decision")] == [2]
    assert taken[0] < decided[0]
    assert len(audit_trails.bodies(entries, "fill")) == 2
