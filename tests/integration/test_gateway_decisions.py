"""Decisions, fences, halts and lists at the gateway's HTTP interface, on the real simulator."""

import asyncio
import pathlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from support import gateway, simulator
from tradeplane_engine import record
from tradeplane_engine.domain import numbers, orders
from tradeplane_workers import messages
from tradeplane_workers.gateway import sender

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


def reasons(receipt: dict[str, Any]) -> list[str]:
    """Return the reasons of a receipt's verdicts."""
    return [verdict["reason"] for verdict in receipt["verdicts"]]


async def test_a_repeated_decision_changes_nothing(bench: gateway.Bench) -> None:
    """It returns the first receipt, and the broker hears of one order."""
    token = await bench.fence()
    first = await bench.decide(token, 0, BUY)
    await bench.settled(0)
    second = await bench.decide(token, 0, BUY)
    assert second == {**first, "repeated": True}
    assert len(await bench.journal()) == 1


async def test_a_repeated_decision_of_a_later_attempt_is_the_same(bench: gateway.Bench) -> None:
    """A restarted strategy that decides the same again gets the first receipt."""
    first = await bench.decide(await bench.fence(), 0, BUY)
    token = await bench.fence(gateway.config(attempt=2))
    second = await bench.decide(token, 0, BUY, attempt=2)
    assert second == {**first, "repeated": True}


async def test_a_different_decision_under_one_key_is_refused(bench: gateway.Bench) -> None:
    """The first stands and is returned."""
    token = await bench.fence()
    first = await bench.decide(token, 0, BUY)
    answer = await bench.post(bench.body(token, 0, [("AAPL", "buy", "11")]))
    assert answer.status_code == 409
    problem = answer.json()
    assert (problem["reason"], problem["decision"]) == ("conflict", {**first, "repeated": True})


async def test_a_decision_before_the_last_one_is_refused(bench: gateway.Bench) -> None:
    """Triggers only go forward."""
    token = await bench.fence()
    await bench.decide(token, 1, [])
    answer = await bench.post(bench.body(token, 0, []))
    assert answer.status_code == 409


async def test_parts_follow_the_bars_decision_one_after_the_other(bench: gateway.Bench) -> None:
    """Each has its key, its orders' ids and its receipt; the next bar's decision begins anew."""
    token = await bench.fence()
    whole = await bench.decide(token, 0, BUY)
    parts = [await bench.decide(token, 0, BUY, part=part, heard=whole["sequence"] + part) for part in (1, 2)]
    assert await bench.decide(token, 0, BUY, part=1) == {**parts[0], "repeated": True}
    assert await bench.decide(token, 0, BUY) == {**whole, "repeated": True}
    ids = [receipt["verdicts"][0]["client_order_id"] for receipt in (whole, *parts)]
    assert [orders.parse_client_order_id(name).number for name in ids] == [0, 1000, 2000]
    await bench.settled(0)
    assert sorted(order["client_order_id"] for order in await bench.journal()) == sorted(ids)
    await bench.decide(token, 1, [])
    decided = await bench.listed("decisions")
    assert [(row["trigger"], row["part"]) for row in decided] == [
        (bench.venue.sessions[session].close, part) for session, part in ((0, 0), (0, 1), (0, 2), (1, 0))
    ]


@pytest.mark.parametrize("part, session", [(2, 0), (1, 1), (100, 0), (-1, 0)])
async def test_a_part_that_is_not_the_next_one_is_refused(bench: gateway.Bench, part: int, session: int) -> None:
    """What a strategy skipped would be lost, and there are not more than 99."""
    token = await bench.fence()
    await bench.decide(token, 0, BUY)
    await bench.publish(1)
    answer = await bench.post(bench.body(token, session, BUY, part=part))
    assert (answer.status_code, answer.json()["detail"].partition(":")[0]) == (422, "part")
    assert len(await bench.listed("decisions")) == 1


async def test_a_different_part_under_one_key_is_refused(bench: gateway.Bench) -> None:
    """The first stands; one of an earlier bar has no place any more."""
    token = await bench.fence()
    await bench.decide(token, 0, BUY)
    first = await bench.decide(token, 0, BUY, part=1)
    answer = await bench.post(bench.body(token, 0, [("AAPL", "buy", "11")], part=1))
    assert (answer.status_code, answer.json()["decision"]) == (409, {**first, "repeated": True})
    await bench.decide(token, 1, [])
    answer = await bench.post(bench.body(token, 0, BUY, part=2))
    assert (answer.status_code, answer.json()["reason"]) == (409, "conflict")


async def test_the_fence_says_where_the_last_attempt_ended(bench: gateway.Bench) -> None:
    """Trigger, part, and the order event up to which it had answered."""
    token = await bench.fence()
    await bench.decide(token, 0, BUY)
    await bench.decide(token, 0, BUY, part=1, heard=17)
    granted = (await bench.ask_fence(gateway.config(attempt=2))).json()
    assert (granted["last_trigger"], granted["last_part"], granted["last_heard"]) == (
        bench.venue.sessions[0].close,
        1,
        17,
    )


async def test_more_intents_of_a_symbol_than_ids_are_refused(bench: gateway.Bench) -> None:
    """The number of a part's order must not be that of the next part's."""
    token = await bench.fence()
    await bench.publish(0)
    body = bench.body(token, 0, [("AAPL", "buy", "1", ("number", 1000))])
    answer = await bench.post(body)
    assert (answer.status_code, "number" in answer.json()["detail"]) == (422, True)


async def test_an_equal_attempt_of_a_living_holder_is_refused(bench: gateway.Bench) -> None:
    """One process per attempt."""
    await bench.fence()
    answer = await bench.ask_fence()
    assert (answer.status_code, answer.json()["reason"]) == (409, "fenced")


async def test_a_lower_attempt_is_refused(bench: gateway.Bench) -> None:
    """Who was deposed does not come back."""
    await bench.fence(gateway.config(generation=2, attempt=1))
    answer = await bench.ask_fence(gateway.config(generation=1, attempt=9))
    assert answer.status_code == 409


async def test_a_higher_attempt_deposes_the_holder(bench: gateway.Bench) -> None:
    """The old token decides nothing and learns that it is out."""
    old = await bench.fence()
    await bench.fence(gateway.config(attempt=2))
    answer = await bench.post(bench.body(old, 0, []))
    book = await bench.http.get("/v1/strategies/momentum/book", params={"token": old})
    assert (answer.status_code, book.status_code) == (403, 403)
    assert await bench.listed("decisions") == []


async def test_of_two_racing_fences_one_wins(bench: gateway.Bench) -> None:
    """Two processes of the same attempt at the same instant."""
    answers = await asyncio.gather(*(bench.ask_fence() for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]


async def test_of_two_racing_decisions_one_is_recorded(bench: gateway.Bench) -> None:
    """The same trigger with different intents at the same instant: one row, one order."""
    token = await bench.fence()
    await bench.publish(0)
    bodies = [bench.body(token, 0, [("AAPL", "buy", str(size))]) for size in (1, 2, 3, 4)]
    answers = await asyncio.gather(*(bench.post(body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    await bench.settled(0)
    assert len(await bench.journal()) == 1


WORDS: list[tuple[str | None, dict[str, str]]] = [
    (None, {}),
    ("", {}),
    ("Enabled", {}),
    ("enabled ", {}),
    ("yes", {}),
    ("halted", {}),
    ("enabled", {"strategy.momentum": "enabled"}),
    ("enabled", {"colour": "red"}),
]


@pytest.mark.parametrize("word,keys", WORDS)
async def test_no_order_leaves_unless_the_switch_says_exactly_enabled(
    bench: gateway.Bench, word: str | None, keys: dict[str, str]
) -> None:
    """The intent is refused as halted, with the cause in its detail."""
    token = await bench.fence()
    bench.cluster.set_switch(word, **keys)
    await bench.until(lambda s: s["state"] == "halted", "halted")
    receipt = await bench.decide(token, 0, BUY)
    assert reasons(receipt) == ["halted"]
    assert "switch" in receipt["verdicts"][0]["detail"]
    assert await bench.journal() == []


async def test_no_order_leaves_when_the_switch_is_deleted(bench: gateway.Bench) -> None:
    """Absent is halted, by the watch and by the read."""
    token = await bench.fence()
    bench.cluster.remove("ConfigMap", "kill-switch")
    await bench.until(lambda s: "absent" in (s["causes"] or [{"message": ""}])[0]["message"], "absent")
    assert reasons(await bench.decide(token, 0, BUY)) == ["halted"]


async def test_a_halt_set_while_the_gateway_was_down_acts(
    venue: simulator.Venue, postgres_url: str, redis_url: str
) -> None:
    """Its first read says halted: open orders are cancelled, nothing leaves."""
    cluster = gateway.cluster_of(venue)
    async with gateway.running(venue, postgres_url, redis_url, cluster=cluster) as bench:
        await bench.enabled()
        await bench.decide(await bench.fence(), 0, BUY)
        await bench.settled(0)
    cluster.set_switch("halted")
    async with gateway.running(venue, postgres_url, redis_url, cluster=cluster) as bench:
        shown = await bench.until(lambda s: s["halt"]["complete"] and s["ledger_readable"], "complete")
        (row,) = await bench.listed("orders")
        assert shown["halt"]["cancelled"] == [row["client_order_id"]]


async def test_a_restart_keeps_open_orders(venue: simulator.Venue, postgres_url: str, redis_url: str) -> None:
    """Not having read the switch yet is no reason to cancel what works."""
    cluster = gateway.cluster_of(venue)
    async with gateway.running(venue, postgres_url, redis_url, cluster=cluster) as bench:
        await bench.enabled()
        await bench.decide(await bench.fence(), 0, BUY)
        await bench.settled(0)
    async with gateway.running(venue, postgres_url, redis_url, cluster=cluster) as bench:
        await bench.until(lambda s: s["state"] == "enabled" and s["reconciliation"]["clean"], "enabled")
        assert (await bench.state())["counts"]["open_orders"] == 1


async def test_a_halt_names_what_it_cancelled_and_what_was_sent_before(bench: gateway.Bench) -> None:
    """Proof: seen, last order before, cancelled, nothing open, completed; and the lift lets orders leave again."""
    token = await bench.fence()
    receipt = await bench.decide(token, 0, BUY)
    await bench.settled(0)
    shown = await bench.halted()
    assert shown["halt"]["cancelled"] == [receipt["verdicts"][0]["client_order_id"]]
    assert shown["halt"]["open"] == []
    assert shown["halt"]["last_order_before"] <= shown["halt"]["seen"] <= shown["halt"]["completed"]
    status = bench.cluster.applied[-1]["status"]["trading"]
    assert (status["state"], status["proof"]["cancelled"]) == ("halted", shown["halt"]["cancelled"])
    await bench.enabled()
    await bench.move(bench.venue.sessions[1].published)
    assert reasons(await bench.decide(token, 1, BUY)) == [""]


async def test_an_environment_made_again_gets_its_status(bench: gateway.Bench) -> None:
    """A new object has no status yet, although nothing that the gateway knows has changed."""
    await bench.until(lambda _: bool(bench.cluster.applied), "the first status")
    spec = bench.cluster.objects["Environment", "demo"]["spec"]
    bench.cluster.remove("Environment", "demo")
    bench.cluster.put("Environment", "demo", {"spec": spec}, uid="made-again")
    await bench.until(lambda _: bench.cluster.applied[-1]["metadata"]["uid"] == "made-again", "the new one's status")


async def test_a_suspended_strategy_sends_nothing_and_loses_its_orders(bench: gateway.Bench) -> None:
    """Its open orders are cancelled, its intents refused; the account as a whole stays enabled."""
    token = await bench.fence()
    await bench.decide(token, 0, BUY)
    await bench.settled(0)
    bench.cluster.put("Strategy", "momentum", {"spec": {"suspend": True}}, uid=gateway.UID)
    shown = await bench.until(lambda s: s["counts"]["open_orders"] == 0, "cancelled")
    assert (shown["state"], shown["strategies"][0]["state"]) == ("enabled", "halted")
    await bench.publish(1)
    assert reasons(await bench.decide(token, 1, BUY)) == ["halted"]
    assert [event["type"] for event in await bench.listed("events")][-1] == "not-sent"


async def test_a_deleted_strategy_loses_its_orders(bench: gateway.Bench) -> None:
    """Orders of a UID that the API does not have are cancelled."""
    await bench.decide(await bench.fence(), 0, BUY)
    await bench.settled(0)
    bench.cluster.remove("Strategy", "momentum")
    await bench.until(lambda s: s["counts"]["open_orders"] == 0, "cancelled")


@pytest.mark.parametrize(
    "intents,expected",
    [
        ([("AAPL", "buy", "50001")], ["order-quantity"]),
        ([("AAPL", "buy", "800")], ["order-notional"]),
        ([("AAPL", "buy", "10"), ("TSLA", "buy", "1")], ["", "unknown-symbol"]),
        ([("AAPL", "buy", "700"), ("AAPL", "sell", "701")], ["", "self-trade"]),
    ],
)
async def test_the_gate_judges_with_typed_reasons(
    bench: gateway.Bench, intents: list[tuple[str, str, str]], expected: list[str]
) -> None:
    """Limits act, and say which."""
    token = await bench.fence()
    body = bench.body(token, 0, intents)
    for number, intent in enumerate(body["intents"]):
        intent["number"] = number
    await bench.publish(0)
    answer = await bench.post(body)
    assert reasons(answer.json()) == expected


async def test_a_breach_is_shown_with_limit_and_value(bench: gateway.Bench) -> None:
    """What the operator's condition is made of."""
    await bench.decide(await bench.fence(), 0, [("AAPL", "buy", "800")])
    breach = (await bench.state())["strategies"][0]["breach"]
    assert (breach["reason"], breach["limit"], breach["value"]) == ("order-notional", "400000", "408000")


async def test_an_edited_policy_acts_on_the_next_order(bench: gateway.Bench) -> None:
    """The gateway reads it itself, and the ledger's sequence has it before the decision."""
    token = await bench.fence()
    tight = {**gateway.POLICY, "order": {"maxQuantity": "5"}}
    bench.cluster.put("RiskPolicy", "prudent", {"spec": tight})
    for _ in range(200):
        if bench.gateway._reader.known.policies["prudent"].spec == tight:
            break
        await asyncio.sleep(0.02)
    receipt = await bench.decide(token, 0, BUY)
    assert reasons(receipt) == ["order-quantity"]
    events = [event for event in await bench.listed("events") if event["type"] == "policy"]
    assert events[-1]["spec"] == tight
    assert events[-1]["sequence"] < receipt["sequence"]


async def test_a_policy_that_contradicts_itself_halts(bench: gateway.Bench) -> None:
    """What cannot be read as limits limits everything."""
    bench.cluster.put("RiskPolicy", "prudent", {"spec": {"order": {"maxNotional": "-1"}}})
    shown = await bench.until(lambda s: s["state"] == "halted", "halted")
    assert "order.maxNotional" in shown["causes"][0]["message"]


async def test_an_account_policy_with_a_reaction_that_is_not_built_halts(bench: gateway.Bench) -> None:
    """Never ignored: the cause names policy and field."""
    bench.cluster.put("RiskPolicy", "prudent", {"spec": {**gateway.POLICY, "onBreach": {"loss": "halted"}}})
    shown = await bench.until(lambda s: s["state"] == "halted", "halted")
    assert "RiskPolicy prudent: onBreach.loss: must be reject" in shown["causes"][0]["message"]


def standings(document: dict[str, Any], scope: str) -> list[tuple[str, str, int]]:
    """Return (session's equity, peak, losses in a row) of a scope at each decision, from the session record."""
    shown = numbers.money_text
    return [
        (shown(one.standing.session_equity), shown(one.standing.peak), one.standing.losses)
        for one in record.parse(document).sequence
        if isinstance(one, record.StandingEvent) and one.scope == scope
    ]


async def test_a_days_loss_lets_nothing_leave_that_adds_until_the_next_session(
    venue: simulator.Venue, postgres_url: str, redis_url: str
) -> None:
    """Whatever restarts in between: the next session is measured from the last decision before it opened."""
    spec = {**gateway.POLICY, "loss": {"maxDailyLoss": "0.01", "maxDrawdown": "0.02"}}
    cluster = gateway.cluster_of(venue)
    cluster.put("RiskPolicy", "own", {"spec": spec})
    config = gateway.config().model_copy(update={"policy": messages.PolicyReference(name="own", hash="", spec=spec)})
    async with gateway.running(venue, postgres_url, redis_url, cluster=cluster) as bench:
        await bench.enabled()
        token = await bench.fence(config)
        assert reasons(await bench.decide(token, 0, [("AAPL", "buy", "700")])) == [""]
        await bench.settled(0)
        await bench.move(venue.sessions[1].published)
        await bench.until(lambda s: s["counts"]["fills"] == 1, "filled")
        lost = await bench.decide(token, 1, [("IBM", "buy", "1"), ("AAPL", "sell", "1")])
        assert reasons(lost) == ["daily-loss", ""]
        assert lost["verdicts"][0]["detail"].startswith("strategy: daily-loss allows 0.01, got 0.0105")
        await bench.settled(1)
    async with gateway.running(venue, postgres_url, redis_url, cluster=cluster) as bench:
        await bench.until(lambda s: s["state"] == "enabled" and s["reconciliation"]["clean"], "enabled")
        await bench.move(venue.sessions[2].published)
        assert reasons(await bench.decide(token, 2, [("IBM", "buy", "1")])) == [""]
        found = standings(await bench.listed("session-record"), gateway.UID)
        (fill, _) = await bench.listed("fills")
    worth = 500_000 + 700 * (505 - float(fill["price"]))
    assert [(session, losses) for session, _, losses in found][:2] == [("500000", 0), ("500000", 0)]
    assert float(found[2][0]) == pytest.approx(worth, abs=1)
    assert [float(peak) for _, peak, _ in found[:2]] == [500_000, 500_000]
    assert float(found[2][1]) == pytest.approx(worth + 699 * 15, abs=40)


async def test_losses_of_the_account_are_measured_from_its_cash(bench: gateway.Bench) -> None:
    """Its policy's limit stops a strategy whose own says nothing of losses; a decision without intents looks too."""
    spec = {**gateway.POLICY, "loss": {"maxDrawdown": "0.001"}}
    bench.cluster.put("RiskPolicy", "own", {"spec": gateway.POLICY})
    bench.cluster.put("RiskPolicy", "prudent", {"spec": spec})
    await eventually(lambda: bench.gateway._reader.known.policies["prudent"].spec == spec)
    own = messages.PolicyReference(name="own", hash="", spec=gateway.POLICY)
    token = await bench.fence(gateway.config().model_copy(update={"policy": own}))
    await bench.decide(token, 0, [("AAPL", "buy", "700")])
    await bench.settled(0)
    await bench.move(bench.venue.sessions[1].published)
    await bench.until(lambda s: s["counts"]["fills"] == 1, "filled")
    for session in (1, 2, 3, 4):  # it loses, wins, loses and wins
        await bench.decide(token, session, [])
    seen = standings(await bench.listed("session-record"), "account")
    assert [session for session, _, _ in seen[:2]] == ["1000000", "1000000"]
    assert [float(peak) > 1_000_000 for _, peak, _ in seen] == [False, False, True, True, True]
    assert seen[2][1] == seen[3][1] < seen[4][1]
    assert reasons(await bench.decide(token, 5, BUY)) == ["drawdown"]
    assert standings(await bench.listed("session-record"), gateway.UID) == []


async def test_a_strategys_policy_with_a_reaction_that_is_not_built_lets_nothing_leave(bench: gateway.Bench) -> None:
    """The verdict names policy and field; the account trades on."""
    spec = {**gateway.POLICY, "onBreach": {"order": "flatten"}}
    bench.cluster.put("RiskPolicy", "own", {"spec": spec})
    own = messages.PolicyReference(name="own", hash="", spec=spec)
    token = await bench.fence(gateway.config().model_copy(update={"policy": own}))
    await eventually(lambda: "own" in bench.gateway._reader.known.policies)
    receipt = await bench.decide(token, 0, BUY)
    assert reasons(receipt) == ["halted"]
    assert "the Strategy's RiskPolicy own: onBreach.order: must be reject" in receipt["verdicts"][0]["detail"]
    assert (await bench.state())["state"] == "enabled"


async def test_a_policy_that_clips_lets_out_what_passes(bench: gateway.Bench) -> None:
    """Whole shares, of the strategy's and the account's limits; the verdict says how many, repeated too."""
    spec = {**gateway.POLICY, "onBreach": {"order": "clip"}}
    bench.cluster.put("RiskPolicy", "prudent", {"spec": spec})
    await eventually(lambda: bench.gateway._reader.known.policies["prudent"].spec == spec)
    token = await bench.fence()
    wanted = [("AAPL", "buy", "1000"), ("IBM", "buy", "5"), ("MSFT", "buy", "20000.5")]
    receipt = await bench.decide(token, 0, wanted)
    shown = [(verdict["reason"], verdict["quantity"]) for verdict in receipt["verdicts"]]
    assert shown == [("", "784"), ("", "5"), ("", "10743")]  # 400,000 USD an order, 750,000 in all
    assert await bench.decide(token, 0, wanted) == {**receipt, "repeated": True}
    await bench.settled(0)
    assert {row["symbol"]: row["quantity"] for row in await bench.listed("orders")} == {
        "AAPL": "784",
        "IBM": "5",
        "MSFT": "10743",
    }


async def test_orders_of_every_type_leave_as_they_were_wanted(bench: gateway.Bench) -> None:
    """The broker has them with their prices, they fill when it says so, and the strategy hears of each."""
    token = await bench.fence()
    wanted = [
        ("AAPL", "buy", "10", ("type", "limit"), ("time_in_force", "gtc"), ("limit_price", "504.5")),
        ("IBM", "sell", "20", ("type", "stop"), ("time_in_force", "gtc"), ("stop_price", "197.5")),
        ("MSFT", "buy", "30", ("type", "trailing_stop"), ("time_in_force", "gtc"), ("trail_bps", 1000)),
        ("AAPL", "buy", "1", ("type", "limit"), ("limit_price", "400"), ("number", 1)),
    ]
    receipt = await bench.decide(token, 0, wanted)
    assert reasons(receipt) == ["", "", "", ""]
    await bench.settled(0)
    shown = {row["client_order_id"]: row for row in await bench.listed("orders")}
    ids = [verdict["client_order_id"] for verdict in receipt["verdicts"]]
    names = ("type", "time_in_force", "limit_price", "stop_price", "trail_bps")
    assert [[shown[one].get(name) for name in names] for one in ids] == [
        ["limit", "gtc", "504.5", None, None],
        ["stop", "gtc", None, "197.5", None],
        ["trailing_stop", "gtc", None, None, 1000],
        ["limit", "day", "400", None, None],
    ]
    headers = {"APCA-API-KEY-ID": bench.venue.key_id, "APCA-API-SECRET-KEY": bench.venue.secret_key}
    answer = await asyncio.to_thread(bench.venue.client.get, f"{bench.venue.url}/v2/orders", headers=headers)
    brokers = {row["client_order_id"]: row for row in answer.json()}
    assert [brokers[one]["limit_price"] for one in ids] == ["504.5", None, None, "400"]
    assert (brokers[ids[1]]["stop_price"], brokers[ids[2]]["trail_percent"]) == ("197.5", "10")
    await bench.move(bench.venue.sessions[2].published)
    await bench.until(lambda s: s["counts"]["fills"] == 1 and s["counts"]["open_orders"] == 2, "filled and expired")
    events = (await bench.http.get("/v1/strategies/momentum/order-events", params={"token": token, "after": 0})).json()
    ended = [(one["event"], one["client_order_id"], one["price"], one["status"]) for one in events["events"][4:]]
    assert ended == [("ended", ids[3], "0", "expired"), ("fill", ids[0], "504.0504", "")]
    await bench.move(bench.venue.sessions[5].published)
    await bench.until(lambda s: s["counts"]["fills"] == 2, "the stop is reached")
    assert [row["price"] for row in await bench.listed("fills")] == ["504.0504", "196.9803"]


RESTS = ("AAPL", "buy", "10", ("type", "limit"), ("time_in_force", "gtc"), ("limit_price", "400"))


async def test_a_strategy_cancels_what_it_wants_no_more(bench: gateway.Bench) -> None:
    """By a decision that names it; the broker ends it, the strategy hears of that, and of nothing else."""
    token = await bench.fence()
    first = await bench.decide(token, 0, [RESTS, ("IBM", "buy", "1", *RESTS[3:-1], ("limit_price", "100"))])
    ids = [verdict["client_order_id"] for verdict in first["verdicts"]]
    await bench.settled(0)
    await bench.move(bench.venue.sessions[1].published)
    await bench.decide(token, 1, [], cancels=ids[:1])
    await bench.until(lambda s: s["counts"]["open_orders"] == 1, "cancelled")
    events = (await bench.http.get("/v1/strategies/momentum/order-events", params={"token": token, "after": 0})).json()
    ended = [(one["event"], one["client_order_id"], one["status"]) for one in events["events"][2:]]
    assert ended == [("ended", ids[0], "canceled")]


async def test_a_cancel_survives_a_restart(venue: simulator.Venue, postgres_url: str, redis_url: str) -> None:
    """A gateway that ends before it asked the broker asks as soon as it leads again."""
    cluster = gateway.cluster_of(venue)
    async with gateway.running(venue, postgres_url, redis_url, cluster=cluster) as bench:
        await bench.enabled()
        token = await bench.fence()
        first = await bench.decide(token, 0, [RESTS])
        await bench.settled(0)
        assert bench.gateway._canceller is not None
        bench.gateway._canceller._broker = None  # type: ignore[assignment]  # it cannot ask
        await bench.move(bench.venue.sessions[1].published)
        await bench.decide(token, 1, [], cancels=[first["verdicts"][0]["client_order_id"]])
        assert (await bench.state())["counts"]["open_orders"] == 1
    async with gateway.running(venue, postgres_url, redis_url, cluster=cluster) as bench:
        await bench.until(lambda s: s["counts"]["open_orders"] == 0, "cancelled")


async def test_a_cancel_of_anothers_order_is_refused(bench: gateway.Bench) -> None:
    """Nothing of the decision is kept."""
    token = await bench.fence()
    await bench.publish(0)
    answer = await bench.post(bench.body(token, 0, BUY, cancels=["tp-foreign"]))
    assert (answer.status_code, "cancels: must be orders of this strategy" in answer.text) == (422, True), answer.text
    assert await bench.listed("decisions") == []


@pytest.mark.parametrize(
    "terms, message",
    [
        ([("type", "limit")], "limit order: must be with limit_price, got []"),
        ([("limit_price", "5")], "market order: must be with no price, got ['limit_price']"),
        ([("type", "trailing_stop"), ("stop_price", "5")], "must be with trail_price or trail_bps, got ['stop_price']"),
        ([("type", "limit"), ("limit_price", "5.00001")], "limit_price"),
    ],
)
async def test_an_order_with_the_wrong_prices_is_refused(
    bench: gateway.Bench, terms: list[tuple[str, str]], message: str
) -> None:
    """Before anything is recorded, naming what its type needs."""
    token = await bench.fence()
    await bench.publish(0)
    answer = await bench.post(bench.body(token, 0, [("AAPL", "buy", "1", *terms)]))
    assert (answer.status_code, message in answer.text) == (422, True), answer.text
    assert await bench.listed("decisions") == []


async def test_open_orders_are_counted_across_decisions(bench: gateway.Bench) -> None:
    """Those of earlier decisions and those accepted in this one, until they have filled."""
    spec = {**gateway.POLICY, "order": {"maxOpenOrders": 2}}
    bench.cluster.put("RiskPolicy", "prudent", {"spec": spec})
    await eventually(lambda: bench.gateway._reader.known.policies["prudent"].spec == spec)
    token = await bench.fence()
    receipt = await bench.decide(token, 0, [("AAPL", "buy", "1"), ("IBM", "buy", "1"), ("MSFT", "buy", "1")])
    assert reasons(receipt) == ["", "", "open-orders"]
    assert receipt["verdicts"][2]["detail"] == "strategy: open-orders allows 2, got 3"
    await bench.settled(0)
    again = await bench.decide(token, 1, BUY)
    assert reasons(again) == ["open-orders"]
    await bench.move(bench.venue.sessions[1].open)
    await bench.until(lambda s: s["counts"]["fills"] == 2, "filled")
    assert reasons(await bench.decide(token, 2, BUY)) == [""]


@pytest.mark.parametrize(
    "limit,reason", [({"maxOrdersPerDay": 2}, "day-orders"), ({"maxNotionalPerDay": "1000"}, "day-notional")]
)
async def test_a_session_has_its_limits_across_decisions_and_gateways(
    venue: simulator.Venue, postgres_url: str, redis_url: str, limit: dict[str, Any], reason: str
) -> None:
    """What left counts, whatever became of it and whoever let it pass; the next session begins anew."""
    cluster = gateway.cluster_of(venue)
    cluster.put("RiskPolicy", "prudent", {"spec": {**gateway.POLICY, "order": limit}})
    async with gateway.running(venue, postgres_url, redis_url, cluster=cluster) as bench:
        await bench.enabled()
        receipt = await bench.decide(
            await bench.fence(), 0, [("AAPL", "buy", "1"), ("IBM", "buy", "1"), ("MSFT", "buy", "20")]
        )
        assert reasons(receipt) == ["", "", reason]
        await bench.settled(0)
    async with gateway.running(venue, postgres_url, redis_url, cluster=cluster) as bench:
        await bench.enabled()
        token = await bench.fence(gateway.config(attempt=2))
        more = [("AAPL", "buy", "1")]
        answer = await bench.post({**bench.body(token, 0, more, attempt=2), "part": 1, "heard": 0})
        assert reasons(answer.json()) == [reason]
        assert reasons(await bench.decide(token, 1, more, attempt=2)) == [""]


async def test_the_door_stops_what_could_meet_an_own_order(bench: gateway.Bench) -> None:
    """The gate passed it: it is recorded as not sent, counts for the session, and nothing of it works or leaves."""
    spec = {**gateway.POLICY, "position": {"allowShort": True}, "order": {"maxOrdersPerDay": 2}}
    bench.cluster.put("RiskPolicy", "prudent", {"spec": spec})
    await eventually(lambda: bench.gateway._reader.known.policies["prudent"].spec == spec)
    token = await bench.fence()
    first = await bench.decide(token, 0, [("AAPL", "buy", "10")])
    name = first["verdicts"][0]["client_order_id"]
    answer = await bench.post({**bench.body(token, 0, [("AAPL", "sell", "1")]), "part": 1, "heard": 0})
    (verdict,) = answer.json()["verdicts"]
    assert verdict["reason"] == "self-trade"
    assert verdict["detail"] == f"account: self-trade allows no order that could meet this one, got {name}"
    answer = await bench.post({**bench.body(token, 0, [("IBM", "buy", "1")]), "part": 2, "heard": 0})
    assert reasons(answer.json()) == ["day-orders"]
    await bench.settled(0)
    stopped = [event for event in await bench.listed("events") if event["type"] == "not-sent"]
    assert [event["reason"] for event in stopped] == ["self-trade"]
    assert len(await bench.journal()) == 1
    book = (await bench.http.get("/v1/strategies/momentum/book", params={"token": token})).json()
    assert book["symbols"]["AAPL"] == {"position": "0", "working_buy": "10", "working_sell": "0"}


async def test_without_a_bar_nobody_trades(bench: gateway.Bench) -> None:
    """MSFT has no bar in the second session, and its last one is too old."""
    token = await bench.fence()
    await bench.publish(0)
    receipt = await bench.decide(token, 1, [("MSFT", "buy", "1")])
    assert reasons(receipt) == ["stale-bar"]


async def test_settled_waits_for_every_running_strategy(bench: gateway.Bench) -> None:
    """Before the decision it names the strategy; afterwards it answers at once."""
    token = await bench.fence()
    trigger = bench.venue.sessions[0].close
    waiting = await bench.http.get("/v1/settled", params={"trigger": trigger, "timeout_s": "0.1"})
    assert waiting.json() == {"settled": False, "waiting_for": ["decision of momentum"]}
    poll = asyncio.create_task(bench.settled(0))
    await bench.decide(token, 0, BUY)
    await poll


async def test_the_session_record_is_what_the_engine_reads(bench: gateway.Bench) -> None:
    """State, Environment, strategy and policy stand before the decision that they decided."""
    token = await bench.fence()
    await bench.decide(token, 0, BUY)
    await bench.settled(0)
    await bench.halted()
    await bench.until(lambda s: s["counts"]["open_orders"] == 0, "cancelled")
    parsed = record.parse(await bench.listed("session-record"))
    kinds = [type(event).__name__ for event in parsed.sequence]
    decision = kinds.index("DecisionEvent")
    assert {"EnvironmentEvent", "StrategyEvent", "PolicyEvent", "StateEvent"} <= set(kinds[:decision])
    assert "CancelledEvent" in kinds[decision:]
    assert (parsed.starting_cash, parsed.venue_profile) == (numbers.money("1000000"), "realistic")


async def test_an_order_can_be_traced(bench: gateway.Bench) -> None:
    """Decision, signal, model digest, feature set, policy hash and generation are with the order."""
    receipt = await bench.decide(await bench.fence(), 0, BUY)
    await bench.settled(0)
    (row,) = await bench.listed("orders")
    assert row["decision"] == receipt["sequence"]
    assert (row["score"], row["model_digest"], row["feature_set"]) == (0.5, "sha256:" + "0" * 64, "alpha158/v1")
    assert (row["policy_hash"][:7], row["generation"], row["sub_ledger"]) == ("sha256:", 1, gateway.UID)
    (signal,) = await bench.listed("signals")
    assert signal["features"] == [1.0, None]


async def test_a_signal_keeps_all_that_was_said(bench: gateway.Bench) -> None:
    """Direction, confidence, horizon and model come back from the ledger; what is no probability is refused by name."""
    token = await bench.fence()
    await bench.publish(0)
    body = bench.body(token, 0, BUY)
    said = {"direction": -1, "confidence": 0.75, "horizon_ns": 60_000_000_000, "model_digest": "sha256:m"}
    body["signals"][0] |= said | {"confidence": 1.5}
    answer = await bench.post(body)
    assert (answer.status_code, "confidence: must be from 0 to 1, got 1.5" in answer.text) == (422, True), answer.text
    body["signals"][0] |= said
    assert (await bench.post(body)).status_code == 200
    (signal,) = await bench.listed("signals")
    assert {name: signal[name] for name in said} == said


async def test_the_book_shows_position_and_working_orders(bench: gateway.Bench) -> None:
    """What a strategy starts its next decision from."""
    token = await bench.fence()
    await bench.decide(token, 0, BUY)
    await bench.settled(0)
    book = (await bench.http.get("/v1/strategies/momentum/book", params={"token": token})).json()
    assert book["symbols"] == {"AAPL": {"position": "0", "working_buy": "10", "working_sell": "0"}}
    await bench.move(bench.venue.sessions[1].open)
    await bench.until(lambda s: s["counts"]["fills"] == 1, "filled")
    book = (await bench.http.get("/v1/strategies/momentum/book", params={"token": token})).json()
    assert book["symbols"] == {"AAPL": {"position": "10", "working_buy": "0", "working_sell": "0"}}
    assert book["last_trigger"] == bench.venue.sessions[0].close


async def test_cash_and_fees_are_the_brokers_to_the_cent(bench: gateway.Bench) -> None:
    """After a close that books fees and a reconciliation, the ledger's money is the broker's."""
    token = await bench.fence()
    await bench.decide(token, 0, [("AAPL", "buy", "700"), ("IBM", "sell", "900")])
    await bench.settled(0)
    await bench.move(bench.venue.sessions[1].published)
    await bench.until(lambda s: s["counts"]["fills"] == 2, "filled")
    bench.gateway.views.reconciler and await bench.gateway.views.reconciler.run()
    account = await bench.listed("account")
    assert account["cash"] == account["broker"]["cash"]
    assert numbers.money(account["fees"]) > 0


async def test_what_happened_cannot_be_changed(bench: gateway.Bench) -> None:
    """Events, decisions and control events are append-only in the database itself."""
    await bench.decide(await bench.fence(), 0, BUY)
    await bench.settled(0)
    for statement in (
        "update order_events set kind = 'x'",
        "delete from order_events",
        "truncate order_events",
        "delete from control_events",
        "update signals set score = 0",
    ):
        with pytest.raises(Exception, match="append-only"):
            await bench.gateway.pool.execute(statement)


async def test_metrics_count_without_secrets(bench: gateway.Bench) -> None:
    """Counters move, and no key is in them."""
    await bench.decide(await bench.fence(), 0, BUY)
    await bench.settled(0)
    text = (await bench.http.get("/metrics")).text
    assert 'tradeplane_gateway_decisions_total{outcome="traded"} 1.0' in text
    assert 'tradeplane_gateway_submissions_total{outcome="acknowledged"} 1.0' in text
    assert bench.venue.secret_key not in text


async def test_a_deleted_policy_is_in_the_session_record(bench: gateway.Bench) -> None:
    """Nothing leaves under a policy that is absent, and a replay must know that it was."""
    bench.cluster.put("RiskPolicy", "own", {"spec": gateway.POLICY})
    wanted = gateway.config()
    own = messages.PolicyReference(name="own", hash="", spec=gateway.POLICY)
    token = await bench.fence(wanted.model_copy(update={"policy": own}))
    known = bench.gateway._reader.known
    await eventually(lambda: "own" in known.policies)
    assert reasons(await bench.decide(token, 0, BUY)) == [""]
    bench.cluster.remove("RiskPolicy", "own")
    await eventually(lambda: "own" not in known.policies)
    await bench.publish(1)
    receipt = await bench.decide(token, 1, BUY)
    assert reasons(receipt) == ["halted"]
    parsed = record.parse(await bench.listed("session-record"))
    before = [event for event in parsed.sequence if event.seq < receipt["sequence"]]
    policies = [event for event in before if isinstance(event, record.PolicyEvent) and event.name == "own"]
    assert policies[-1].hash == ""


async def test_an_edited_read_window_acts(bench: gateway.Bench) -> None:
    """A shorter window must not wait for a restart."""
    bench.cluster.put("Environment", "demo", {"spec": gateway.environment_spec(bench.venue, window="2s")})
    await eventually(lambda: bench.gateway.guard.switch.window_s == 2.0)


async def test_intents_belong_to_a_traded_decision(bench: gateway.Bench) -> None:
    """A replay takes every other outcome without intents."""
    token = await bench.fence()
    await bench.publish(0)
    answer = await bench.post({**bench.body(token, 0, BUY), "outcome": "missed"})
    assert (answer.status_code, (await bench.state())["counts"]["intents"]) == (422, 0)


async def test_a_decision_that_comes_long_after_its_bar_is_not_sent(
    bench: gateway.Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate judges at the trigger's time; what waited for a gateway is judged by the broker's clock as well."""
    monkeypatch.setattr(sender, "_FRESH_S", 0.5)
    token = await bench.fence()
    await bench.publish(0)
    await asyncio.sleep(1.0)
    await bench.move(bench.venue.sessions[1].open)
    await bench.decide(token, 0, BUY)
    await bench.settled(0)
    (row,) = await bench.listed("orders")
    assert (row["status"], row["reason"], await bench.journal()) == ("not-sent", "late", [])


async def test_an_answer_between_bars_is_as_fresh_as_what_it_answers(
    bench: gateway.Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop of today leaves, although the bar before it is of yesterday and the policy's bars may be an hour old."""
    monkeypatch.setattr(sender, "_FRESH_S", 0.0)
    token = await bench.fence()
    await bench.decide(token, 0, [])
    await bench.move(bench.venue.sessions[1].open)
    stop = ("AAPL", "sell", "10", ("type", "stop"), ("stop_price", "400"))
    answer = await bench.post({**bench.body(token, 0, [stop]), "part": 1, "heard": 0})
    assert reasons(answer.json()) == [""]
    await bench.settled(0)
    (row,) = await bench.listed("orders")
    assert (row["status"], len(await bench.journal())) == ("acknowledged", 1)


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait for what the gateway reads each second."""
    for _ in range(300):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("not within 6 s")


async def test_a_strategy_on_five_minutes_is_judged_by_its_own_bars(bench: gateway.Bench) -> None:
    """Its decision waits for its own stream; a symbol without a bar there is as old as its last day."""
    await bench.publish(0)
    told = gateway.config()
    told = told.model_copy(update={"spec": told.spec | {"bars": {"timeframe": "5m"}}})
    token = await bench.fence(told)
    trigger = bench.venue.sessions[1].open.replace(":30:", ":35:")
    body = bench.body(token, 0, [("AAPL", "buy", "10"), ("IBM", "buy", "10")]) | {"trigger": trigger}
    posted = asyncio.ensure_future(bench.post(body))
    bar = messages.BarMessage(
        symbol="AAPL",
        start=bench.venue.sessions[1].open,
        end=trigger,
        available_at=trigger,
        open="50000",
        high="50000",
        low="50000",
        close="50000",
        volume=1,
    )
    entry = messages.SliceMessage(timeframe="5m", end=trigger, bars=(bar,), absent=("IBM", "MSFT"))
    await bench.redis.xadd("bars:5m", {"message": entry.model_dump_json()})
    answer = await posted
    assert answer.status_code == 200, answer.text
    assert reasons(answer.json()) == ["order-notional", "stale-bar"]
