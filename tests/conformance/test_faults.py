"""Conformance checks under faults on command: what the official client and the platform make of a broker that fails."""

import asyncio
import contextlib
import json
import pathlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
import requests
import websockets
from alpaca.trading.client import TradingClient
from alpaca.trading.requests import GetOrdersRequest, MarketOrderRequest

from support import conformance, simulator
from support.conformance import flat, moment, refusal, send

Start = Callable[..., tuple[simulator.Venue, TradingClient]]
ORDERS = {"method": "POST", "path": "/v2/orders"}


@pytest.fixture
def venue(start: Start) -> simulator.Venue:
    """A venue in the middle of a session."""
    return start(flat("AAPL", "100", 20), moment("09:32:30"))[0]


@pytest.fixture
def client(venue: simulator.Venue) -> TradingClient:
    """The official client, which retries 504 three times."""
    return conformance.client_of(venue)


def orders(client: TradingClient) -> list[str]:
    """Client order ids of all orders at the venue."""
    return [str(one.client_order_id) for one in client.get_orders(GetOrdersRequest(status="all"))]  # type: ignore[arg-type,union-attr]


def order(name: str) -> MarketOrderRequest:
    """A market order with an id of ours."""
    return MarketOrderRequest(symbol="AAPL", qty=1, side="buy", time_in_force="day", client_order_id=name)  # type: ignore[arg-type]


def test_check_07_a_504_before_processing(venue: simulator.Venue, client: TradingClient) -> None:
    """The client's own retry sends it again, and there is one order."""
    venue.fault(fault="answer", status=504, **ORDERS)
    client._retry_wait = 0
    assert client.submit_order(order("mine")).client_order_id == "mine"  # type: ignore[union-attr]
    assert orders(client) == ["mine"]
    assert [line["fault"] for line in venue.faults()["record"]] == ["answer"]


def test_check_08_a_504_after_processing(venue: simulator.Venue, client: TradingClient) -> None:
    """The client's own retry finds its id taken, and the order is there: whoever believes the error orders twice."""
    venue.fault(fault="answer", status=504, processed=True, **ORDERS)
    client._retry_wait = 0
    error = refusal(lambda: client.submit_order(order("mine")))
    assert (error.status_code, error.code) == (422, 40010001)
    assert client.get_order_by_client_id("mine").client_order_id == "mine"  # type: ignore[union-attr]
    assert orders(client) == ["mine"]


@pytest.mark.parametrize("processed", [True, False])
def test_check_09_no_answer_in_time(venue: simulator.Venue, processed: bool) -> None:
    """Whether the order is there, only a look-up tells."""
    venue.fault(fault="hang", seconds="1", processed=processed, **ORDERS)
    headers = {"APCA-API-KEY-ID": venue.key_id, "APCA-API-SECRET-KEY": venue.secret_key}
    with pytest.raises((requests.Timeout, requests.ConnectionError)):
        requests.post(
            f"{venue.url}/v2/orders", json=conformance.wanted(client_order_id="mine"), headers=headers, timeout=0.2
        )
    client = conformance.client_of(venue)
    if processed:
        assert client.get_order_by_client_id("mine").client_order_id == "mine"  # type: ignore[union-attr]
    else:
        assert refusal(lambda: client.get_order_by_client_id("mine")).status_code == 404


@contextlib.asynccontextmanager
async def listening(venue: simulator.Venue) -> AsyncIterator[websockets.ClientConnection]:
    """Listen to trade updates, frame by frame."""
    async with websockets.connect(venue.stream_url) as socket:
        login = {"key_id": venue.key_id, "secret_key": venue.secret_key}
        for message in (
            {"action": "authenticate", "data": login},
            {"action": "listen", "data": {"streams": ["trade_updates"]}},
        ):
            await socket.send(json.dumps(message))
            await socket.recv()
        yield socket


async def told(socket: websockets.ClientConnection, count: int) -> list[str]:
    """Return the names of the next events; nothing for a message without data."""
    frames = [json.loads(await asyncio.wait_for(socket.recv(), conformance.PATIENCE_S)) for _ in range(count)]
    return [(frame["data"] or {"event": ""})["event"] for frame in frames]


async def test_check_63_frames_arrive_as_they_were_made_to(venue: simulator.Venue, client: TradingClient) -> None:
    """Doubled, swapped, without data, unknown: the client gets exactly that, and REST has the truth."""
    moon = {"stream": "trade_updates", "data": {"event": "moon"}}
    venue.fault(on="frame", fault="twice", event="pending_new")
    venue.fault(on="frame", fault="replace", event="fill", body={"stream": "trade_updates", "data": None})
    venue.fault(on="frame", fault="swap", event="pending_new", skip=0)
    venue.fault(on="frame", fault="insert", event="canceled", body=moon)
    async with listening(venue) as socket:
        first = await asyncio.to_thread(send, client)
        await asyncio.to_thread(venue.move, moment("09:34:30"))
        assert await told(socket, 4) == ["pending_new", "pending_new", "new", ""]
        second = await asyncio.to_thread(send, client, quantity=1, kind="limit", limit_price="1")
        await asyncio.to_thread(client.cancel_order_by_id, second["id"])
        assert await told(socket, 4) == ["new", "pending_new", "canceled", "moon"]
    assert conformance.order(client, first)["status"] == "filled"
    assert conformance.order(client, second)["status"] == "canceled"


REQUESTS: list[tuple[dict[str, Any], Any]] = [
    ({"fault": "answer", "status": 429, "headers": {"X-RateLimit-Remaining": "0"}}, 429),
    ({"fault": "answer", "status": 500}, 500),
    ({"fault": "html", "status": 502}, "<html>"),
    ({"fault": "drop"}, httpx2.HTTPError),
    ({"fault": "drop", "processed": True}, httpx2.HTTPError),
    ({"fault": "truncate"}, httpx2.HTTPError),
    ({"fault": "delay", "seconds": "0.01"}, 200),
    ({"fault": "twice"}, 200),
    ({"fault": "edit", "body": {"status": "pending_cancel"}}, "pending_cancel"),
    ({"fault": "hide", "having": {"client_order_id": "mine"}}, 404),
]


@pytest.mark.parametrize(
    "fault,seen", REQUESTS, ids=[f"{one['fault']}-{number}" for number, (one, _) in enumerate(REQUESTS)]
)
def test_a_request_meets_its_fault_once(venue: simulator.Venue, fault: dict[str, Any], seen: Any) -> None:
    """The next one is answered as if nothing had been."""
    headers = {"APCA-API-KEY-ID": venue.key_id, "APCA-API-SECRET-KEY": venue.secret_key}
    with httpx2.Client(base_url=venue.url, headers=headers, trust_env=False) as http:
        made = http.post("/v2/orders", json=conformance.wanted(kind="limit", limit_price="1", client_order_id="mine"))
        assert made.status_code == 200
        venue.fault(path="/v2/orders/*", method="GET", **fault)
        path = f"/v2/orders/{made.json()['id']}"
        if isinstance(seen, type):
            with pytest.raises(seen):
                http.get(path)
        else:
            answer = http.get(path)
            assert seen == answer.status_code if isinstance(seen, int) else seen in answer.text
        again = http.get(path)
        assert (again.status_code, again.json()["status"]) == (200, "new")
    shown = venue.faults()
    assert [(one["matched"], one["met"]) for one in shown["faults"]] == [(1, 1)]
    assert [line["on"] for line in shown["record"]] == [f"GET {path}"]


def test_an_order_that_is_processed_twice_is_there_once(venue: simulator.Venue, client: TradingClient) -> None:
    """By its id; without one of ours there would be two."""
    venue.fault(fault="twice", **ORDERS)
    send(client, client_order_id="mine")
    assert orders(client) == ["mine"]
    venue.fault(fault="twice", **ORDERS)
    send(client)
    assert len(orders(client)) == 3


def test_orders_that_a_list_does_not_show_yet(venue: simulator.Venue, client: TradingClient) -> None:
    """As many times as the fault says."""
    send(client, client_order_id="mine")
    venue.fault(fault="hide", method="GET", path="/v2/orders", having={"client_order_id": "mine"}, count=2)
    assert [orders(client) for _ in range(3)] == [[], [], ["mine"]]


@pytest.mark.parametrize("stream", ["trading", "data"])
async def test_a_handshake_is_refused(venue: simulator.Venue, stream: str) -> None:
    """With the status that was asked for, once."""
    venue.fault(on="frame", fault="refuse", stream=stream, status=406)
    url = venue.stream_url if stream == "trading" else venue.data_stream_url
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(url)
    assert refused.value.response.status_code == 406
    async with websockets.connect(url):
        pass


async def test_a_stream_is_closed_with_any_code(venue: simulator.Venue, client: TradingClient) -> None:
    """Instead of the frame that it met."""
    venue.fault(on="frame", fault="close", code=4321, event="fill")
    async with listening(venue) as socket:
        await asyncio.to_thread(send, client)
        await asyncio.to_thread(venue.move, moment("09:34:30"))
        assert await told(socket, 2) == ["pending_new", "new"]
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), conformance.PATIENCE_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4321


async def test_a_stream_goes_mute_and_another_does_not(venue: simulator.Venue, client: TradingClient) -> None:
    """It stays open; who connects anew hears again. A late frame comes when its time has come, others before it."""
    venue.fault(on="frame", fault="mute", event="new")
    async with listening(venue) as socket:
        await asyncio.to_thread(send, client)
        assert await told(socket, 1) == ["pending_new"]
        venue.fault(on="frame", fault="late", event="pending_new", seconds="0.5")
        async with listening(venue) as other:
            await asyncio.to_thread(send, client)
            assert await told(other, 2) == ["new", "pending_new"]
        await socket.ping()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.01)


def test_a_scenario_draws_the_same_each_time(tmp_path: pathlib.Path) -> None:
    """By its seed, whatever else is asked meanwhile."""
    scenario = tmp_path / "scenario.json"
    scenario.write_text('{"seed": 7, "faults": [{"fault": "answer", "path": "/v2/clock", "share": "0.5", "count": 0}]}')

    def met(folder: str, *, noise: bool) -> list[int]:
        home = tmp_path / folder
        home.mkdir()
        with simulator.threaded(home, options=("--scenario", str(scenario))) as venue:
            headers = {"APCA-API-KEY-ID": venue.key_id, "APCA-API-SECRET-KEY": venue.secret_key}
            found = []
            for _ in range(20):
                found.append(venue.client.get(f"{venue.url}/v2/clock", headers=headers).status_code)
                if noise:
                    venue.client.get(f"{venue.url}/v2/account", headers=headers)
            return found

    quiet = met("quiet", noise=False)
    assert met("noisy", noise=True) == quiet
    assert set(quiet) == {200, 504}


@pytest.mark.parametrize(
    "fault,named",
    [
        ({"fault": "moon"}, "fault"),
        ({"fault": "delay", "seconds": -1}, "seconds"),
        ({"fault": "delay", "often": 1}, "often"),
        ({"fault": "delay", "since": "noon"}, "since"),
        ({"on": "frame", "fault": "drop", "stream": "news"}, "stream"),
    ],
)
def test_a_fault_that_is_none_is_refused(venue: simulator.Venue, fault: dict[str, Any], named: str) -> None:
    """Naming what does not fit; nothing is turned on."""
    answer = venue.client.post(f"{venue.control_url}/control/faults", json=fault)
    assert (answer.status_code, named in answer.json()["message"]) == (422, True)
    assert venue.faults()["faults"] == []
    assert venue.client.delete(f"{venue.control_url}/control/faults/1").status_code == 404
