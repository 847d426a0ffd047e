"""Faults of broker, stream, database and API server: every intent at most once, every fill exactly once."""

import asyncio
import contextlib
import itertools
import pathlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import pytest

from support import broker as stand_in
from support import gateway, simulator
from tradeplane_engine.domain import times
from tradeplane_workers.brokers import port
from tradeplane_workers.gateway import outcomes, sender
from tradeplane_workers.stores import database, decisions

BUY = [("AAPL", "buy", "10")]


@dataclass
class Surroundings:
    """What survives a gateway: the broker, the database, the API server."""

    broker: stand_in.StandInBroker
    venue: simulator.Venue
    postgres_url: str
    redis_url: str
    cluster: gateway.StandInCluster

    @contextlib.asynccontextmanager
    async def gateway(self) -> AsyncIterator[gateway.Bench]:
        """Run a gateway in these surroundings."""
        async with gateway.running(
            self.venue, self.postgres_url, self.redis_url, cluster=self.cluster, broker=self.broker
        ) as bench:
            yield bench

    async def rows(self, query: str) -> list[dict[str, Any]]:
        """Ask the ledger."""
        connection = await asyncpg.connect(self.postgres_url)
        try:
            return [dict(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()


@pytest.fixture
def around(tmp_path: pathlib.Path, postgres_url: str, redis_url: str) -> Iterator[Surroundings]:
    """A stand-in broker, whose time is just after the first close."""
    (tmp_path / "data").mkdir()
    venue = simulator.prepare(tmp_path)
    broker = stand_in.StandInBroker(times.instant(venue.sessions[0].published))
    yield Surroundings(broker, venue, postgres_url, redis_url, gateway.cluster_of(venue))
    venue.client.close()


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """An order that is nowhere is given up after a second instead of thirty."""
    monkeypatch.setattr(outcomes, "UNSEEN_AFTER_S", 1.0)


async def order(bench: gateway.Bench, session: int = 0) -> str:
    """Decide on one order and return its id."""
    token = await bench.fence()
    receipt = await bench.decide(token, session, BUY)
    return str(receipt["verdicts"][0]["client_order_id"])


async def intent(bench: gateway.Bench, wanted: str) -> dict[str, Any]:
    """Wait until the only intent has a status and return its row."""
    for _ in range(500):
        (row,) = await bench.listed("orders")
        if row["status"] == wanted:
            return row
        await asyncio.sleep(0.02)
    raise AssertionError(f"status {wanted}: {row}")


@pytest.mark.parametrize("fault", ["lost-answer", ""])
async def test_an_order_whose_answer_was_lost_is_adopted(around: Surroundings, fault: str) -> None:
    """It is looked up, found and ours; the broker received it once."""
    async with around.gateway() as bench:
        await bench.enabled()
        around.broker.faults.append(fault)
        name = await order(bench)
        await intent(bench, "acknowledged")
        assert around.broker.received == [name]


async def test_an_order_that_never_arrived_is_unseen_and_not_sent_again(around: Surroundings) -> None:
    """Once a byte left, nothing is sent again; it stops working only when it was absent everywhere."""
    async with around.gateway() as bench:
        await bench.enabled()
        around.broker.faults.append("lost-request")
        await order(bench)
        await bench.settled(0)
        row = await intent(bench, "unseen")
        assert (row["reason"], around.broker.received) == ("unseen", [])


async def test_an_unseen_order_that_turns_up_is_booked_and_cancelled(around: Surroundings) -> None:
    """It is ours, but nobody counts on it any more."""
    async with around.gateway() as bench:
        await bench.enabled()
        around.broker.faults.append("late")
        await order(bench)
        await intent(bench, "unseen")
        around.broker.deliver_late()
        await bench.until(lambda s: s["counts"]["orders"] == 1 and s["counts"]["open_orders"] == 0, "cancelled")
        (row,) = await bench.listed("orders")
        assert (row["status"], row["order_status"]) == ("acknowledged", "canceled")


async def test_an_unseen_order_that_a_reconciliation_finds_is_cancelled(around: Surroundings) -> None:
    """It turns up while the stream is away, and the broker is too busy to cancel it at once."""
    async with around.gateway() as bench:
        await bench.enabled()
        around.broker.faults.append("late")
        await order(bench)
        await intent(bench, "unseen")
        around.broker.mangle = lambda _: []
        around.broker.deliver_late()
        around.broker.mangle = lambda event: [event]
        around.broker.failing_cancels = 1
        around.broker.break_streams()
        await bench.until(lambda s: s["counts"]["orders"] == 1 and s["counts"]["open_orders"] == 0, "cancelled")
        assert [kept.report.status for kept in around.broker.kept.values()] == ["canceled"]


async def test_an_order_found_with_other_fields_halts(around: Surroundings) -> None:
    """Somebody else uses our ids: nothing may be sent until a person has looked."""
    async with around.gateway() as bench:
        await bench.enabled()
        around.broker.mangle = lambda _: []
        around.broker.faults.append("lost-answer")
        original = around.broker._accept
        around.broker._accept = lambda request: original(  # type: ignore[method-assign]  # the fault
            port.Request(request.client_order_id, "IBM", request.side, request.quantity)
        )
        await order(bench)
        shown = await bench.until(lambda s: s["state"] == "halted", "halted")
        assert [cause["kind"] for cause in shown["causes"]] == ["halt"]
        assert "id-conflict" in shown["causes"][0]["message"]


async def test_a_broker_that_is_away_gets_the_order_later_once(around: Surroundings) -> None:
    """No byte left, so it may be sent again, under its id."""
    async with around.gateway() as bench:
        await bench.enabled()
        around.broker.faults.extend(["unreachable", "rate-limit", "unreachable"])
        name = await order(bench)
        await intent(bench, "acknowledged")
        assert around.broker.received == [name]


async def test_the_brokers_refusal_is_final_and_named(around: Surroundings) -> None:
    """It is in the ledger with the broker's own words, and nothing works."""
    async with around.gateway() as bench:
        await bench.enabled()
        around.broker.faults.append("refused")
        await order(bench)
        row = await intent(bench, "broker-refused")
        assert "insufficient buying power" in row["detail"]
        (event,) = [each for each in await bench.listed("events") if each["type"] in {"not-sent", "cancelled"}]
        assert (event["type"], event["reason"]) == ("not-sent", "broker-refused")
        assert (await bench.state())["counts"]["open_orders"] == 0


async def test_a_copy_that_the_broker_took_after_its_refusal_is_booked_and_cancelled(around: Surroundings) -> None:
    """The network doubled the order, and the refusal was of the first one: its word is no word about the second."""
    async with around.gateway() as bench:
        await bench.enabled()
        around.broker.faults.append("refused")
        name = await order(bench)
        await intent(bench, "broker-refused")
        around.broker._accept(port.Request(name, "AAPL", port.orders.Side.BUY, port.numbers.quantity("10")))
        await intent(bench, "acknowledged")
        await bench.until(lambda s: s["counts"]["orders"] == 1 and s["counts"]["open_orders"] == 0, "cancelled")
        (row,) = await bench.listed("orders")
        assert [kept.report.status for kept in around.broker.kept.values()] == [row["order_status"]] == ["canceled"]


async def test_a_halt_between_permit_and_byte_stops_the_order(around: Surroundings) -> None:
    """The last instant is asked, not the commit: the intent is recorded as not sent."""
    async with around.gateway() as bench:
        await bench.enabled()

        def halt() -> None:
            bench.gateway.guard.switch.watched(
                "MODIFIED",
                {
                    "metadata": {
                        "uid": bench.cluster.objects["ConfigMap", "kill-switch"]["metadata"]["uid"],
                        "resourceVersion": "100000",
                    },
                    "data": {"trading": "halted"},
                },
            )

        around.broker.before_byte = halt
        await order(bench)
        row = await intent(bench, "not-sent")
        assert (row["reason"], around.broker.received) == ("halted", [])
        events = [event["type"] for event in await bench.listed("events")]
        assert "not-sent" in events


async def test_a_strategy_waits_for_its_own_orders_and_for_nobody_elses(around: Surroundings) -> None:
    """What the second order needs the first may free; another strategy's order leaves while a broker keeps silent."""
    other = "77777777-1111-2222-3333-444455556666"
    around.cluster.put("Strategy", "value", {"spec": gateway.config().spec}, uid=other)
    async with around.gateway() as bench:
        await bench.enabled()
        around.broker.faults.append("hang")
        token = await bench.fence()
        own = await bench.decide(token, 0, [*BUY, ("IBM", "buy", "1")])
        first = own["verdicts"][0]["client_order_id"]
        await _received(around.broker, 1)
        config = gateway.config(uid=other, name="value")
        token = (await bench.http.post("/v1/strategies/value/fence", json={"config": config.model_dump()})).json()[
            "token"
        ]
        body = bench.body(token, 0, BUY, uid=other)
        answer = await bench.http.post("/v1/strategies/value/decisions", json=body)
        await _received(around.broker, 2)
        assert around.broker.received == [first, answer.json()["verdicts"][0]["client_order_id"]]


async def _received(broker: stand_in.StandInBroker, count: int) -> None:
    for _ in range(500):
        if len(broker.received) >= count:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{count} orders: {broker.received}")


async def gateway_idle(one: sender.Sender) -> None:
    """Wait until everything that was handed to a sender is dealt with."""
    for _ in range(1000):
        if one.is_idle:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"still in hand: {one._lanes}")


STOPS = ["before-mark", "after-mark", "in-flight", "after-answer"]


@pytest.mark.parametrize("stop", STOPS)
async def test_a_gateway_killed_anywhere_sends_at_most_once(
    around: Surroundings, stop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed around each await of the send path, the next gateway ends with the order at the broker at most once."""
    reached = asyncio.Event()

    async def block(*_: object, **__: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    async with around.gateway() as bench:
        await bench.enabled()
        sender, results = bench.gateway._sender, bench.gateway._outcomes
        assert sender is not None
        assert results is not None
        if stop == "before-mark":
            monkeypatch.setattr(sender, "_mark", block)
        elif stop == "after-mark":
            original = sender._mark

            async def mark_then_block(one: Any) -> bool:
                await original(one)
                await block()
                return True

            monkeypatch.setattr(sender, "_mark", mark_then_block)
        elif stop == "in-flight":
            around.broker.faults.append("hang")
            around.broker.before_byte = reached.set
            around.broker.mangle = lambda _: []
        else:
            monkeypatch.setattr(results, "settle", block)
        name = await order(bench)
        await asyncio.wait_for(reached.wait(), 10)
        await asyncio.sleep(0.05)
    monkeypatch.undo()
    monkeypatch.setattr(outcomes, "UNSEEN_AFTER_S", 1.0)
    around.broker.before_byte = lambda: None
    async with around.gateway() as bench:
        await bench.until(
            lambda s: (
                s["reconciliation"]["clean"] and s["counts"]["intents"] == 1 and s["counts"]["unsettled_intents"] == 0
            ),
            "everything settled",
        )
        (row,) = await bench.listed("orders")
        received = around.broker.received
        assert received in ([], [name])
        assert row["status"] == ("acknowledged" if received else "unseen")
        assert (await bench.state())["counts"]["open_orders"] == len(received)


@pytest.mark.parametrize("mangling", ["duplicate", "drop", "reorder"])
async def test_fills_are_booked_exactly_once_whatever_the_stream_does(around: Surroundings, mangling: str) -> None:
    """Duplicated, dropped or reversed events: after a reconnect the ledger has each fill once."""
    held: list[port.Event] = []

    def mangle(event: port.Event) -> list[port.Event]:
        if mangling == "duplicate":
            return [event, event, event]
        held.append(event)
        return []

    async with around.gateway() as bench:
        await bench.enabled()
        name = await order(bench)
        await intent(bench, "acknowledged")
        around.broker.mangle = mangle
        for shares, price in (("2", "100"), ("3", "101"), ("5", "102.5")):
            around.broker.fill(name, shares, price)
        if mangling == "reorder":
            for event in reversed(held):
                for queue in around.broker.streams:
                    queue.put_nowait(event)
        else:
            around.broker.break_streams()
        await bench.until(lambda s: s["counts"]["fills"] == 3, "three fills")
        around.broker.break_streams()
        await bench.until(lambda s: not s["reconciliation"]["clean"], "away")
        await bench.until(lambda s: s["reconciliation"]["clean"], "clean again")
        fills = await bench.listed("fills")
        assert [(fill["quantity"], fill["price"]) for fill in fills if fill["cumulative_from"] == "0"] == [("2", "100")]
        assert sorted(fill["quantity"] for fill in fills) == ["2", "3", "5"]
        assert [row["quantity"] for row in await bench.listed("positions")] == ["10"]


async def test_a_difference_is_listed_never_overwritten_and_stops_trading(around: Surroundings) -> None:
    """A position that nobody ordered is a difference; the ledger stays as it is."""
    async with around.gateway() as bench:
        await bench.enabled()
        foreign = port.Request("by-hand", "IBM", port.orders.Side.BUY, port.numbers.quantity("7"))
        await around.broker.submit(foreign, lambda: "")
        around.broker.fill("by-hand", "7")
        around.broker.break_streams()
        shown = await bench.until(lambda s: len(s["reconciliation"]["differences"]) > 1, "differences")
        assert any("position IBM: ledger 0, broker 7" in text for text in shown["reconciliation"]["differences"])
        assert await bench.listed("positions") == []
        answer = await bench.post(bench.body(await bench.fence(), 0, []))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


async def test_a_late_order_during_a_halt_is_cancelled_and_reopens_the_proof(around: Surroundings) -> None:
    """Complete, then an order appears: cancelled on sight, proof open until it is gone."""
    async with around.gateway() as bench:
        await bench.enabled()
        first = await bench.halted()
        late = port.Request("late-one", "AAPL", port.orders.Side.BUY, port.numbers.quantity("1"))
        await around.broker.submit(late, lambda: "")
        shown = await bench.until(
            lambda s: s["halt"]["complete"] and s["halt"]["completed"] != first["halt"]["completed"], "complete again"
        )
        assert shown["halt"]["cancelled"] == ["late-one"]


async def test_pending_cancel_is_open(around: Surroundings) -> None:
    """A cancel that was asked for is no proof."""
    async with around.gateway() as bench:
        await bench.enabled()
        name = await order(bench)
        await intent(bench, "acknowledged")
        around.broker.cancels_hang = True
        bench.cluster.set_switch("halted")
        shown = await bench.until(lambda s: s["halt"]["open"] == [name], "named as open")
        assert not shown["halt"]["complete"]


async def test_an_unknown_intent_keeps_the_proof_open(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can say that nothing works while an outcome is unknown."""
    monkeypatch.setattr(outcomes, "UNSEEN_AFTER_S", 600.0)
    async with around.gateway() as bench:
        await bench.enabled()
        around.broker.faults.append("lost-request")
        name = await order(bench)
        await intent(bench, "unknown")
        bench.cluster.set_switch("halted")
        await bench.until(lambda s: s["halt"]["waiting_for"] == [name], "waits for the unknown one")
        await asyncio.sleep(2.5)  # longer than the two listings of a complete halt
        shown = await bench.state()
        assert (shown["halt"]["complete"], shown["halt"]["waiting_for"]) == (False, [name])


async def test_a_halt_is_not_proved_before_the_ledger_was_asked(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that has not read yet what an earlier one left in flight cannot say that nothing is unknown."""

    async def never(_: sender.Sender) -> tuple[Any, ...]:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(sender.Sender, "_in_flight", never)
    async with around.gateway() as bench:
        around.cluster.set_switch("halted")
        shown = await bench.until(lambda s: s["reconciliation"]["clean"] and s["state"] == "halted", "halted")
        await asyncio.sleep(3.0)
        shown = await bench.state()
        assert (shown["halt"]["complete"], len(shown["halt"]["waiting_for"])) == (False, 1)


async def test_an_intent_that_nobody_enqueued_is_sent(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision was committed, its answer lost, and the strategy that would repeat it is gone."""
    monkeypatch.setattr(sender, "_IDLE_S", 0.2)
    async with around.gateway() as bench:
        await bench.enabled()
        monkeypatch.setattr(bench.gateway._sender, "enqueue", lambda *_, **__: None)
        name = await order(bench)
        await intent(bench, "acknowledged")
        assert around.broker.received == [name]


async def test_a_deposed_gateway_settles_nothing(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its memory of an intent is old: the new leader may be sending it at this moment."""
    monkeypatch.setattr(sender, "_IDLE_S", 100.0)
    async with around.gateway() as bench:
        await bench.enabled()
        monkeypatch.setattr(bench.gateway._sender, "enqueue", lambda *_, **__: None)
        await order(bench)
        results = bench.gateway._outcomes
        assert results is not None
        async with bench.gateway.pool.acquire() as connection:
            (known,) = await decisions.in_flight(connection)
            await connection.execute("update epochs set token = 'another' where scope = 'gateway'")
        await results.not_sent(known, "halted")
        rows = await around.rows("select status from intents")
        events = await around.rows("select 1 from control_events where type = 'not-sent'")
        assert (rows, events) == ([{"status": "released"}], [])


async def test_an_intent_that_was_settled_meanwhile_is_not_sent(around: Surroundings) -> None:
    """Whoever settled it has the last word; the queue is only a memory."""
    async with around.gateway() as bench:
        await bench.enabled()
        name = await order(bench)
        await intent(bench, "acknowledged")
        gateway_sender = bench.gateway._sender
        assert gateway_sender is not None
        async with bench.gateway.pool.acquire() as connection:
            (known,) = await decisions.intents_of(connection, (await bench.listed("decisions"))[0]["sequence"])
        gateway_sender.enqueue([replace(known, status="released")], since_s=float("inf"))
        await asyncio.sleep(0.3)
        assert around.broker.received == [name]


async def test_an_old_memory_of_an_unknown_intent_neither_sends_nor_settles_it(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision posted again hands its intents over as they were read; one may have left by then."""
    monkeypatch.setattr(outcomes, "UNSEEN_AFTER_S", 600.0)
    async with around.gateway() as bench:
        await bench.enabled()
        around.broker.faults.append("lost-request")
        name = await order(bench)
        await intent(bench, "unknown")
        gateway_sender = bench.gateway._sender
        assert gateway_sender is not None
        async with bench.gateway.pool.acquire() as connection:
            (known,) = await decisions.in_flight(connection)
        stale = replace(known, status="released")
        gateway_sender.enqueue([stale], since_s=float("inf"))
        await gateway_idle(gateway_sender)
        bench.cluster.set_switch("halted")
        await bench.until(lambda s: s["state"] == "halted", "halted")
        gateway_sender.enqueue([stale], since_s=float("inf"))
        await gateway_idle(gateway_sender)
        shown = await bench.until(lambda s: s["halt"]["waiting_for"] == [name], "waits for the unknown one")
        assert (shown["counts"]["unknown"], around.broker.received) == (1, [])


async def test_a_halt_needs_no_database(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's halt cancels from the broker's own list while the ledger is away, and says what it cannot know."""
    async with around.gateway() as bench:
        await bench.enabled()
        await order(bench)
        await intent(bench, "acknowledged")

        @contextlib.asynccontextmanager
        async def gone(_: object, **__: object) -> AsyncIterator[Any]:
            raise OSError("database gone")
            yield

        monkeypatch.setattr(database, "transaction", gone)
        bench.cluster.set_switch("halted")
        for _ in itertools.repeat(None, 200):
            if not await around.broker.orders(status="open"):
                break
            await asyncio.sleep(0.02)
        assert await around.broker.orders(status="open") == ()


async def test_without_the_database_nothing_is_sent(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written down first does not leave."""
    async with around.gateway() as bench:
        await bench.enabled()
        token = await bench.fence()
        await bench.publish(0)

        @contextlib.asynccontextmanager
        async def gone(_: object, **__: object) -> AsyncIterator[Any]:
            raise OSError("database gone")
            yield

        monkeypatch.setattr(database, "transaction", gone)
        answer = await bench.post(bench.body(token, 0, BUY))
        assert answer.status_code == 503
        assert around.broker.received == []


async def test_a_lost_api_server_halts_cancels_and_comes_back(around: Surroundings) -> None:
    """Older than the window: nothing leaves, open ones are cancelled; a good read and a reconciliation end it."""
    around.cluster.put("Environment", "demo", {"spec": gateway.environment_spec(around.venue, window="1s")})
    async with around.gateway() as bench:
        await bench.enabled()
        await order(bench)
        await intent(bench, "acknowledged")
        around.cluster.go_down()
        shown = await bench.until(lambda s: s["state"] == "halted", "stale")
        assert shown["causes"][0]["kind"] == "stale"
        await bench.until(lambda s: s["counts"]["open_orders"] == 0, "cancelled")
        around.cluster.is_down = False
        await bench.until(lambda s: s["state"] == "enabled", "enabled again")


async def test_a_switch_restored_from_a_backup_stays_halted_after_a_restart(around: Surroundings) -> None:
    """The highest revision is in the ledger: an older one of the same object enables nothing."""
    async with around.gateway() as bench:
        await bench.enabled()
        await bench.halted()
        switch = around.cluster.objects["ConfigMap", "kill-switch"]["metadata"]
        for _ in range(100):
            (row,) = await around.rows("select max(resource_version)::text as seen from switch_seen")
            if row["seen"] == switch["resourceVersion"]:
                break
            await asyncio.sleep(0.05)
    around.cluster.put("ConfigMap", "kill-switch", {"data": {"trading": "enabled"}}, uid=switch["uid"], version=50)
    async with around.gateway() as bench:
        shown = await bench.until(lambda s: any("restored" in c["message"] for c in s["causes"]), "restored")
        assert shown["state"] == "halted"


async def test_a_second_gateway_waits_and_takes_over(around: Surroundings) -> None:
    """While one leads the other neither listens nor sends; after its end the next epoch is taken."""
    async with around.gateway() as first:
        await first.enabled()
        async with around.gateway() as second:
            await second.until(lambda s: s["state"] == "enabled", "reads the switch")
            await asyncio.sleep(1)
            assert (await second.state())["epoch"]["number"] == 0
            first.task.cancel()
            await asyncio.gather(first.task, return_exceptions=True)
            await second.until(lambda s: s["epoch"]["number"] == 2 and s["reconciliation"]["clean"], "leads")


async def test_a_deposed_gateway_ends_and_commits_nothing(around: Surroundings) -> None:
    """Its token is gone: the decision is not taken, and the process stops."""
    async with around.gateway() as bench:
        await bench.enabled()
        token = await bench.fence()
        await bench.publish(0)
        connection = await asyncpg.connect(around.postgres_url)
        await connection.execute("update epochs set token = 'other', number = number + 1 where scope = 'gateway'")
        await connection.close()
        answer = await bench.post(bench.body(token, 0, BUY))
        assert answer.status_code == 503
        done, _ = await asyncio.wait([bench.task], timeout=5)
        assert done
        assert around.broker.received == []
        assert await around.rows("select 1 from decisions") == []


async def test_a_gateway_ends_when_the_database_has_another_history(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it remembers may not be there: the next process reconciles everything first."""
    async with around.gateway() as bench:
        await bench.enabled()
        identity = database.identity

        async def promoted(connection: Any) -> tuple[str, int]:
            system, timeline = await identity(connection)
            return system, timeline + 1

        monkeypatch.setattr(database, "identity", promoted)
        await around.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        done, _ = await asyncio.wait([bench.task], timeout=10)
        assert done
        error = bench.task.exception()
        assert isinstance(error, BaseExceptionGroup)
        assert error.subgroup(database.OtherHistory) is not None


async def test_in_another_history_nothing_is_taken_as_unsent(around: Surroundings) -> None:
    """The commit that marked an intent is lost: it is looked up, found and ours, and not sent again."""
    async with around.gateway() as bench:
        await bench.enabled()
        name = await order(bench)
        await intent(bench, "acknowledged")
    await around.rows("delete from orders returning 1")
    await around.rows("update intents set status = 'released' returning 1")
    await around.rows("update ledger set timeline = timeline + 1 returning 1")
    async with around.gateway() as bench:
        await bench.until(lambda s: s["reconciliation"]["clean"], "clean")
        await intent(bench, "acknowledged")
        assert around.broker.received == [name]


async def test_a_cancelled_transaction_ends_cancelled_on_a_dead_connection(postgres_url: str) -> None:
    """A failure to roll back must not hide what ended it, or a loop that tries again would never end."""
    pool = await database.connect(postgres_url)
    is_inside = asyncio.Event()

    async def stay() -> None:
        async with database.transaction(pool):
            is_inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stay())
    await is_inside.wait()
    pool.terminate()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
