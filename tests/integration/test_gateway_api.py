"""The gateway's HTTP interface: problems, request ids, pages, dry runs, cancels by a person, server-sent events."""

import asyncio
import contextlib
import json
import pathlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import httpx2
import pytest

from support import gateway, simulator
from tradeplane_workers.gateway import api, entrance, machine, problems

BUY = [("AAPL", "buy", "10")]
FAR = [("AAPL", "buy", "10", ("type", "limit"), ("time_in_force", "gtc"), ("limit_price", "1"))]
WHY = {"by": "ada", "reason": "the model is wrong"}


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


@contextlib.asynccontextmanager
async def client(bench: gateway.Bench) -> AsyncIterator[httpx2.AsyncClient]:
    """Speak to the gateway over a real socket."""
    async with (
        gateway.served(bench.gateway) as url,
        httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False) as http,
    ):
        yield http


async def test_a_problem_names_field_limit_value_and_request(bench: gateway.Bench) -> None:
    """The body is a problem of RFC 9457; its request_id is that of the answer's header, and the one that came."""
    body = bench.body("t", 0, BUY)
    body["intents"][0]["quantity"] = "ten"
    answer = await bench.http.post("/v1/strategies/momentum/decisions", json=body, headers={"x-request-id": "mine-1"})
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (422, problems.MEDIA_TYPE)
    assert (problem["status"], problem["reason"]) == (422, "invalid")
    assert (problem["request_id"], answer.headers["x-request-id"]) == ("mine-1", "mine-1")
    [refused] = problem["errors"]
    assert (refused["field"], refused["value"]) == ("intents[0].quantity", "'ten'")
    assert "pattern" in refused["limit"]


async def test_no_secret_is_told_back(bench: gateway.Bench) -> None:
    """A token of a wrong type is named, not shown."""
    answer = await bench.post({**bench.body("t", 0, BUY), "token": ["s3cret-token"]})
    assert answer.status_code == 422
    assert "s3cret" not in answer.text


@pytest.mark.parametrize(
    "method,path,status,reason",
    [
        ("GET", "/v1/nothing", 404, "not-found"),
        ("DELETE", "/v1/state", 405, "method-not-allowed"),
        ("GET", "/v1/orders?stategy=momentum", 422, "invalid"),
        ("GET", "/v1/orders?limit=0", 422, "invalid"),
        ("GET", "/v1/orders?limit=10001", 422, "invalid"),
        ("GET", "/v1/fills?after=-1", 422, "invalid"),
        ("GET", "/v1/settled?trigger=yesterday", 422, "invalid"),
    ],
)
async def test_every_refusal_is_a_problem(
    bench: gateway.Bench, method: str, path: str, status: int, reason: str
) -> None:
    """With a word and an id of its own."""
    answer = await bench.http.request(method, path)
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["reason"]) == (status, status, reason)
    assert problem["request_id"] == answer.headers["x-request-id"] != ""


async def test_what_nobody_expected_is_a_problem_without_its_cause(
    bench: gateway.Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cause is in the log, under the same id."""

    async def broken() -> Any:
        raise ZeroDivisionError("a secret of the code")

    monkeypatch.setattr(bench.gateway.views, "state", broken)
    transport = httpx2.ASGITransport(app=api.create(bench.gateway), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as http:
        answer = await http.get("/v1/state")
    assert (answer.status_code, answer.json()["reason"]) == (500, "internal")
    assert "secret" not in answer.text


async def test_lists_come_page_by_page(bench: gateway.Bench) -> None:
    """Each page begins behind the last row of the one before; filters hold on all of them."""
    token = await bench.fence()
    for session in range(3):
        await bench.decide(token, session, [("AAPL", "buy", "1"), ("IBM", "buy", "2")])
    everything = await bench.listed("orders")
    assert len(everything) == 6
    found: list[Any] = []
    while page := (
        await bench.http.get("/v1/orders", params={"after": found[-1]["sequence"] if found else 0, "limit": 4})
    ).json():
        found += page
    assert [row["client_order_id"] for row in found] == [row["client_order_id"] for row in everything]
    for query, count in (({"symbol": "IBM"}, 3), ({"strategy": "momentum"}, 6), ({"strategy": "other"}, 0)):
        assert len((await bench.http.get("/v1/orders", params=query)).json()) == count
    signals = (await bench.http.get("/v1/signals", params={"limit": 2})).json()
    assert len(signals) == 4  # of two decisions, which are never parted


async def test_positions_are_the_sum_of_the_fills(bench: gateway.Bench, postgres_url: str) -> None:
    """By strategy and symbol, and what was paid for them; no fill can be taken away."""
    token = await bench.fence()
    await bench.decide(token, 0, [("AAPL", "buy", "10"), ("IBM", "buy", "20")])
    await bench.settled(0)
    await bench.move(bench.venue.sessions[1].published)
    await bench.until(lambda s: s["counts"]["fills"] == 2, "filled")
    await bench.decide(token, 1, [("AAPL", "sell", "4")])
    await bench.settled(1)
    await bench.move(bench.venue.sessions[2].published)
    await bench.until(lambda s: s["counts"]["fills"] == 3, "filled again")
    assert [(row["strategy"], row["symbol"], row["quantity"]) for row in await bench.listed("positions")] == [
        ("momentum", "AAPL", "6"),
        ("momentum", "IBM", "20"),
    ]
    assert [row["symbol"] for row in (await bench.http.get("/v1/fills", params={"symbol": "IBM"})).json()] == ["IBM"]
    connection = await asyncpg.connect(postgres_url)
    try:
        summed = await connection.fetch(
            "select symbol, sum(case side when 'buy' then quantity else -quantity end)::bigint as quantity,"
            " sum(paid)::bigint as paid from fills group by symbol order by symbol"
        )
        kept = await connection.fetch("select symbol, quantity, paid from positions order by symbol")
        assert [tuple(row) for row in kept] == [tuple(row) for row in summed]
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute("delete from fills")
    finally:
        await connection.close()


async def test_a_dry_run_says_what_would_be_and_leaves_nothing(bench: gateway.Bench) -> None:
    """The verdicts are those of the decision that follows; nothing is recorded or sent."""
    token = await bench.fence()
    wanted = [("AAPL", "buy", "10"), ("IBM", "buy", "90000")]
    await bench.publish(0)
    events = await bench.listed("events")
    answer = await bench.http.post(
        "/v1/strategies/momentum/decisions", params={"dry_run": "true"}, json=bench.body(token, 0, wanted)
    )
    told = answer.json()
    assert (answer.status_code, told["dry_run"], told["sequence"]) == (200, True, 0)
    assert [verdict["reason"] for verdict in told["verdicts"]] == ["", "order-quantity"]
    assert (await bench.listed("orders"), await bench.listed("events"), await bench.journal()) == ([], events, [])
    receipt = await bench.decide(token, 0, wanted)
    assert receipt["verdicts"] == told["verdicts"]
    assert [event["type"] for event in await bench.listed("events")] != [event["type"] for event in events]
    await bench.settled(0)
    assert len(await bench.journal()) == 1


@pytest.mark.parametrize("which", ["orders", "strategy", "everything"])
async def test_a_person_cancels(bench: gateway.Bench, which: str) -> None:
    """The broker is asked until the order has ended; who wanted it and why is in the ledger, but in no replay."""
    token = await bench.fence()
    receipt = await bench.decide(token, 0, FAR)
    name = receipt["verdicts"][0]["client_order_id"]
    await bench.settled(0)
    shown = (await bench.http.get("/v1/orders", params={"open": "true"})).json()
    assert [row["client_order_id"] for row in shown] == [name]
    given: dict[str, Any] = {"orders": {"orders": [name]}, "strategy": {"strategy": "momentum"}}.get(
        which, {"everything": True}
    )
    answer = await bench.http.post("/v1/cancels", json={**WHY, **given})
    assert (answer.status_code, answer.json()["orders"]) == (202, [name])
    await bench.until(lambda s: s["counts"]["open_orders"] == 0, "cancelled")
    assert (await bench.http.get("/v1/orders", params={"open": "true"})).json() == []
    [event] = [one for one in await bench.listed("events") if one["type"] == "cancel-wanted"]
    assert (event["sequence"], event["by"], event["reason"]) == (answer.json()["sequence"], "ada", WHY["reason"])
    kinds = [one["type"] for one in (await bench.listed("session-record"))["sequence"]]
    assert "cancelled" in kinds
    assert "cancel-wanted" not in kinds


@pytest.mark.parametrize(
    "given,field",
    [
        ({"orders": ["nobody-knows-it"], **WHY}, "orders"),
        ({**WHY}, ""),
        ({"everything": True, "strategy": "momentum", **WHY}, ""),
        ({"everything": True, "by": "ada", "reason": ""}, "reason"),
        ({"everything": True, "reason": "x"}, "by"),
    ],
)
async def test_a_cancel_that_says_too_little_is_refused(
    bench: gateway.Bench, given: dict[str, Any], field: str
) -> None:
    """Nothing is cancelled, and nothing recorded."""
    token = await bench.fence()
    await bench.decide(token, 0, FAR)
    await bench.settled(0)
    answer = await bench.http.post("/v1/cancels", json=given)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == ([field] if field else ["body"])
    assert (await bench.state())["counts"]["open_orders"] == 1
    assert "cancel-wanted" not in [one["type"] for one in await bench.listed("events")]


async def test_what_is_added_comes_as_server_sent_events(bench: gateway.Bench) -> None:
    """In the ledger's sequence, each once; a client that comes again goes on behind the last one it heard."""
    token = await bench.fence()
    async with (
        gateway.served(bench.gateway) as url,
        httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False) as http,
    ):
        async with http.stream("GET", "/v1/updates", params={"after": "0"}) as stream:
            told = events_of(stream)
            before = await anext(told)
            await bench.decide(token, 0, BUY)
            heard = [before]
            while heard[-1][1] != "order":
                heard.append(await anext(told))
        places = [place for place, _, _ in heard]
        assert places == sorted(set(places))
        assert heard[-2][1] == "decision"
        assert heard[-1][2]["symbol"] == "AAPL"
        await bench.settled(0)
        await bench.move(bench.venue.sessions[1].published)
        async with http.stream("GET", "/v1/updates", headers={"last-event-id": str(places[-1])}) as stream:
            place, kind, row = await anext(events_of(stream))
        assert (place > places[-1], kind, row["symbol"]) == (True, "fill", "AAPL")


async def test_a_body_that_is_too_large_or_too_slow_is_refused(
    bench: gateway.Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With problems of their own; the gateway goes on."""
    async with (
        gateway.served(bench.gateway) as url,
        httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False) as http,
    ):
        large = await http.post("/v1/cancels", content=b"x" * ((1 << 20) + 1))
        assert (large.status_code, large.json()["reason"]) == (413, "content-too-large")
        monkeypatch.setattr(entrance, "_BODY_S", 0.2)
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        writer.write(b"POST /v1/cancels HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{")
        head = await reader.readuntil(b"\r\n")
        writer.close()
        assert b" 408 " in head
        assert (await http.get("/healthz")).status_code == 200


def test_a_strategy_has_its_own_allowance() -> None:
    """What one has used up is there for another, and comes back with time."""
    now_s = 0.0
    rate = entrance.Rate(lambda: machine.Instant(now_s, now_s))

    def ask(name: str, times: int) -> int:
        asked = 0
        with contextlib.suppress(problems.Problem):
            for _ in range(times):
                rate(Asking(name))  # type: ignore[arg-type]  # all that it looks at
                asked += 1
        return asked

    assert ask("one", 200) == 100
    assert ask("two", 5) == 5
    now_s = 0.1
    assert ask("one", 10) == 5


class Asking:
    """A request of a strategy."""

    def __init__(self, name: str) -> None:
        self.path_params = {"name": name}


async def events_of(stream: httpx2.Response) -> AsyncIterator[tuple[int, str, dict[str, Any]]]:
    """Yield place, kind and row of server-sent events."""
    fields: dict[str, str] = {}
    async for line in stream.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "id" in fields:
            yield int(fields["id"]), fields["event"], json.loads(fields["data"])
            fields = {}
