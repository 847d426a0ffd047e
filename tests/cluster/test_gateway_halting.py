"""The halt on a real API server: nothing leaves after the patch, and the real process writes its proof."""

import asyncio
import json
import pathlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from support import gateway, servers, simulator
from tradeplane_engine.domain import times
from tradeplane_kube import client
from tradeplane_workers import messages

ROUNDS = 20
PER_DECISION = 5
PERIOD_S = 0.1
LIMIT_NS = 1_000_000_000


@pytest.fixture
async def person(kube: servers.Kube) -> AsyncIterator[client.Client]:
    """Whoever holds the switch."""
    async with client.Client(kube.kubeconfig_for("risk"), kube.namespace) as found:
        yield found


async def patch(person: client.Client, word: str) -> int:
    """Patch the switch; returns CLOCK_MONOTONIC when the answer was there."""
    await person.patch("ConfigMap", "kill-switch", {"data": {"trading": word}}, manager="person")
    return time.monotonic_ns()


def burst(bench: gateway.Bench, token: str, uid: str, number: int) -> dict[str, Any]:
    """A decision of five small intents at a trigger of its own."""
    trigger = times.text(times.Nanos(times.instant(bench.venue.sessions[0].close) + number * times.SECOND))
    body = bench.body(token, 0, [], uid=uid)
    intents = [
        messages.IntentMessage(symbol="AAPL", side="buy", quantity="1", number=index).model_dump(mode="json")
        for index in range(PER_DECISION)
    ]
    return {**body, "trigger": trigger, "outcome": "traded", "intents": intents}


async def test_no_order_arrives_a_second_after_the_halting_patch(
    kube: servers.Kube, venue: simulator.Venue, person: client.Client, postgres_url: str, redis_url: str
) -> None:
    """50 intents a second through the patch, 20 times: none is received later than 1 s, and some are before."""
    uid = gateway.apply(kube, venue)
    async with (
        client.Client(kube.kubeconfig_for("gateway"), kube.namespace) as cluster,
        gateway.running(venue, postgres_url, redis_url, cluster=cluster) as bench,
    ):
        await bench.publish(0)
        later = messages.SliceMessage(timeframe="1d", end=venue.sessions[1].open, bars=())
        await bench.redis.xadd("bars:1d", {"message": later.model_dump_json()}, id="2-0")
        await patch(person, "enabled")
        await bench.until(lambda s: s["state"] == "enabled" and s["reconciliation"]["clean"], "enabled")
        token = await bench.fence(gateway.config(uid=uid))
        number, latest = 0, []
        for _ in range(ROUNDS):
            await bench.until(lambda s: s["state"] == "enabled", "enabled again")
            halting: asyncio.Task[int] | None = None
            already = len(await bench.journal())
            for step in range(12):
                number += 1
                answer = await bench.post(burst(bench, token, uid, number))
                assert answer.status_code == 200, answer.text
                if step == 5:
                    halting = asyncio.create_task(patch(person, "halted"))
                await asyncio.sleep(PERIOD_S)
            assert halting is not None
            answered = await halting
            await bench.until(lambda s: s["counts"]["unsettled_intents"] == 0, "settled")
            received = [row["received_monotonic_ns"] for row in await bench.journal()][already:]
            assert any(moment < answered for moment in received)
            latest.append(max(received) - answered)
            await patch(person, "enabled")
        assert max(latest) <= LIMIT_NS
        refused = (await bench.state())["counts"]["rejects"]
        assert refused["halted"] >= ROUNDS


async def test_the_process_writes_its_proof_into_the_status_and_hands_over(
    kube: servers.Kube,
    venue: simulator.Venue,
    person: client.Client,
    postgres_url: str,
    redis_url: str,
    tmp_path: pathlib.Path,
) -> None:
    """With its own certificate and rights only: enabled, halted with proof, and a clean end by SIGTERM."""
    gateway.apply(kube, venue)
    log = tmp_path / "gateway.log"
    with gateway.process(kube, postgres_url, redis_url, log) as (started, url):
        await patch(person, "enabled")
        await gateway.until(url, lambda s: s["state"] == "enabled" and s["reconciliation"]["clean"], "enabled")
        await patch(person, "halted")
        await gateway.until(url, lambda s: s["halt"]["complete"] and s["state"] == "halted", "halt complete")
        status: dict[str, Any] = {}
        for _ in range(50):
            found = await asyncio.to_thread(kube.kubectl, "get", "environment", "demo", "-o", "json")
            status = json.loads(found).get("status", {}).get("trading", {})
            if status.get("proof", {}).get("complete"):
                break
            await asyncio.sleep(0.1)
        assert (status["state"], status["proof"]["complete"]) == ("halted", True)
        assert "halted" in status["cause"]
        started.terminate()
        assert await asyncio.to_thread(started.wait, 20) == 0
    text = log.read_text()
    assert venue.secret_key not in text
    assert all(line.startswith("{") for line in text.splitlines())
