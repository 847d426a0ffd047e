"""What survives a SIGKILL, what is the same in every run, and what the journal and the control port tell."""

import json
import pathlib
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.requests import GetOrdersRequest, MarketOrderRequest

from support import simulator
from tradeplane_simulator import __main__, errors, logs

SYMBOLS = ("AAPL", "IBM", "MSFT")


@pytest.fixture
def venue(tmp_path: pathlib.Path) -> Iterator[simulator.Venue]:
    """A venue in this process, after the bars of its first session."""
    with simulator.threaded(tmp_path) as found:
        found.to_bars(0)
        yield found


@pytest.fixture
def process(tmp_path: pathlib.Path) -> Iterator[simulator.Venue]:
    """A venue in a process of its own, after the bars of its first session."""
    with simulator.running(tmp_path) as found:
        found.to_bars(0)
        yield found


def client_of(venue: simulator.Venue) -> TradingClient:
    """The official client with a trading key."""
    return TradingClient(venue.key_id, venue.secret_key, url_override=venue.url)


def order(symbol: str, side: str, quantity: float, name: str) -> MarketOrderRequest:
    """A market day order."""
    return MarketOrderRequest(symbol=symbol, qty=quantity, side=side, time_in_force="day", client_order_id=name)


def headers(venue: simulator.Venue) -> dict[str, str]:
    """The headers of a trading key."""
    return {"APCA-API-KEY-ID": venue.key_id, "APCA-API-SECRET-KEY": venue.secret_key}


def everything(venue: simulator.Venue) -> bytes:
    """Return all that an account shows, as the bytes of the answers."""
    paths = (
        "/v2/account",
        "/v2/orders?status=all&limit=500",
        "/v2/positions",
        "/v2/account/activities",
        "/v2/clock",
    )
    return b"\n".join(venue.client.get(f"{venue.url}{path}", headers=headers(venue)).content for path in paths)


def test_check_76_sigkill_between_accept_and_fill(process: simulator.Venue) -> None:
    """Killed after the answer to an order, the venue comes back with it, fills it, and still knows its id."""
    client = client_of(process)
    accepted = client.submit_order(order("AAPL", "buy", 10, "mine"))
    before = everything(process)
    process.kill()
    process.start()
    assert everything(process) == before
    process.to_open(1)
    assert client.get_order_by_client_id("mine").status.value == "filled"
    assert client.get_order_by_client_id("mine").id == accepted.id
    with pytest.raises(APIError, match="client_order_id must be unique"):
        client.submit_order(order("AAPL", "buy", 10, "mine"))


def test_check_76_sigkill_while_orders_wait(process: simulator.Venue) -> None:
    """Killed in mid-session, the venue comes back with them where they stood: a trailing stop too."""
    client = client_of(process)
    waits = {"symbol": "AAPL", "qty": 10, "time_in_force": "gtc"}
    limit = client.post("/orders", {**waits, "side": "buy", "type": "limit", "limit_price": "504.5"})
    trailing = client.post("/orders", {**waits, "side": "buy", "type": "trailing_stop", "trail_price": "8"})
    process.to_close(1)
    before = everything(process)
    process.kill()
    process.start()
    assert everything(process) == before
    process.to_close(2)
    assert client.get_order_by_id(limit["id"]).filled_avg_price == "504.0504"
    assert client.get_order_by_id(trailing["id"]).filled_avg_price == "512.0512"  # 8 above 504


def test_check_76_sigkill_between_fill_and_fees(process: simulator.Venue) -> None:
    """Killed in the session, the venue still books the fees of the fills before it."""
    client = client_of(process)
    client.submit_order(order("AAPL", "sell", 100, "a"))
    process.to_open(1)
    client.submit_order(order("AAPL", "sell", 100, "b"))
    before = everything(process)
    process.kill()
    process.start()
    assert everything(process) == before
    process.to_close(1)
    fees = {row["activity_sub_type"]: row["net_amount"] for row in client.get("/account/activities/FEE")}
    # 200 shares at 512.4487: 20.60 per million of 102489.74 is 2.1113, TAF 0.039, CAT 0.0006.
    assert fees == {"REG": "-2.12", "TAF": "-0.04", "CAT": "-0.01"}


def test_check_76_kills_at_random_moments_lose_nothing_that_was_answered(tmp_path: pathlib.Path) -> None:
    """Under a stream of orders and clock moves, whatever was answered before each SIGKILL is there after it."""
    choose = random.Random(7)  # noqa: S311 - moments of a test
    answered: dict[str, str] = {}
    with simulator.running(tmp_path) as venue:
        venue.to_bars(0)
        for round_number in range(3):
            stop = threading.Event()
            enough = threading.Semaphore(0)
            sender = threading.Thread(target=_send, args=(venue, round_number, answered, stop, enough))
            sender.start()
            for _ in range(choose.randint(4, 20)):
                assert enough.acquire(timeout=30)
            mover = threading.Thread(target=_move, args=(venue, round_number + 1))
            mover.start()
            # Somewhere within the move, on a quiet machine as on a busy one.
            stop.wait(choose.uniform(0.0, 0.02))
            venue.kill()
            stop.set()
            sender.join()
            mover.join()
            venue.start()
            found = {row.client_order_id: str(row.id) for row in _all_orders(venue)}
            assert answered.items() <= found.items()
            venue.to_bars(round_number + 1)
        state = venue.state()["accounts"]["demo"]
        rows = client_of(venue).get("/account/activities", {"activity_types": "FILL", "page_size": 100})
        statuses = [row.status.value for row in _all_orders(venue)]
    assert len(answered) > 10
    assert state["open_orders"] == 0
    assert state["executions"] == statuses.count("filled")
    assert len({row["order_id"] for row in rows}) == len(rows)


def _send(
    venue: simulator.Venue,
    round_number: int,
    answered: dict[str, str],
    stop: threading.Event,
    enough: threading.Semaphore,
) -> None:
    with httpx2.Client(timeout=30) as client:
        number = 0
        while not stop.is_set():
            name = f"r{round_number}-{number}"
            body = {"symbol": SYMBOLS[number % 3], "qty": 1, "side": "buy", "type": "market", "time_in_force": "day"}
            number += 1
            try:
                answer = client.post(
                    f"{venue.url}/v2/orders", json={**body, "client_order_id": name}, headers=headers(venue)
                )
            except httpx2.HTTPError:
                continue
            answered[name] = answer.json()["id"]
            enough.release()


def _move(venue: simulator.Venue, session: int) -> None:
    try:
        httpx2.post(f"{venue.control_url}/control/clock", json={"to": venue.sessions[session].close}, timeout=10)
    except httpx2.HTTPError:
        return


def _all_orders(venue: simulator.Venue) -> list[Any]:
    return client_of(venue).get_orders(GetOrdersRequest(status="all", limit=500))


def test_an_interrupted_move_goes_on_where_it_stood(process: simulator.Venue) -> None:
    """The clock is stored with each event; the same move after a restart does the rest, once."""
    client_of(process).submit_order(order("AAPL", "buy", 10, "a"))
    process.to_open(1)
    process.kill()
    process.start()
    process.to_bars(3)
    rows = client_of(process).get("/account/activities")
    assert [row["activity_type"] for row in rows] == ["FEE", "FILL"]


def test_the_state_file_wins_over_the_command_line(process: simulator.Venue) -> None:
    """A restart with another clock and other cash goes on as it was."""
    before = everything(process)
    process.kill()
    process.clock = "2012-03-01T00:00:00Z"
    accounts = json.loads((process.folder / "accounts.json").read_text())
    accounts[0]["cash"] = "5"
    (process.folder / "accounts.json").write_text(json.dumps(accounts))
    process.start()
    assert everything(process) == before


def test_a_state_file_of_another_dataset_is_refused(tmp_path: pathlib.Path) -> None:
    """Prices may not change under an account that traded on them."""
    with simulator.threaded(tmp_path):
        pass
    other = {"AAPL": [("1", "2")]}
    with pytest.raises(errors.StateRefused, match="it was made with dataset"), simulator.threaded(tmp_path, other):
        pass


def test_sigterm_ends_the_process_cleanly(process: simulator.Venue) -> None:
    """A polite stop exits with status 0 and leaves a state file that opens."""
    assert process.stop() == 0
    with sqlite3.connect(process.state_file) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("name,value", [("--clock", "yesterday"), ("--profile", "free"), ("--listen", "nowhere")])
def test_a_wrong_command_line_does_not_start(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    """The message names the option and the value."""
    command = simulator.prepare(tmp_path).command[3:]
    command[command.index(name) + 1] = value
    with pytest.raises(SystemExit):
        __main__.settings(command)
    message = capsys.readouterr().err
    assert (name in message, value in message) == (True, True)


def test_a_missing_dataset_does_not_start(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends with a status and one line that says what is missing."""
    monkeypatch.setattr(logs, "configure", lambda: None)
    venue = simulator.prepare(tmp_path)
    (tmp_path / "data" / "bars.csv").unlink()
    assert __main__.main(venue.command[3:]) == 1
    assert "bars.csv" in capsys.readouterr().out


def test_check_75_same_commands_same_bytes(tmp_path: pathlib.Path) -> None:
    """Two venues that get the same commands show the same orders, fills, cash and ids, byte for byte."""
    shown: list[bytes] = []
    for run in ("one", "two"):
        with simulator.threaded(tmp_path / run) as venue:
            client = client_of(venue)
            venue.to_bars(0)
            for session in range(1, 5):
                for number, symbol in enumerate(SYMBOLS):
                    side = "buy" if (session + number) % 2 else "sell"
                    client.submit_order(order(symbol, side, 1 + number, f"{session}-{symbol}"))
                if session == 3:
                    client.cancel_orders()
                venue.to_bars(session)
            shown.append(everything(venue))
    assert shown[0] == shown[1]
    assert b'"filled"' in shown[0]


def test_events_happen_in_the_order_of_the_clock(venue: simulator.Venue) -> None:
    """One move across two sessions: open, close with fees, bars, and again, each at its own time."""
    client = client_of(venue)
    client.submit_order(order("AAPL", "buy", 10, "a"))
    client.submit_order(order("MSFT", "buy", 10, "m"))
    state = venue.to_bars(2)
    orders = {found.client_order_id: found for found in _all_orders(venue)}
    rows = client.get("/account/activities", {"direction": "asc"})
    assert orders["a"].filled_at.isoformat() == "2012-03-05T14:30:00+00:00"
    assert orders["m"].expired_at.isoformat() == "2012-03-05T21:00:00+00:00"
    assert [(row["activity_type"], row["id"][:17]) for row in rows] == [
        ("FILL", "20120305093000000"),
        ("FEE", "20120305160000000"),
    ]
    assert (state["clock"], state["next_event"]) == ("2012-03-06T21:15:00Z", "2012-03-07T14:30:00Z")


def test_moving_to_the_past_changes_nothing(venue: simulator.Venue) -> None:
    """A repeated move is answered with the state as it is."""
    state = venue.state()
    assert venue.to_open(0) == state
    assert venue.move(state["clock"]) == state


def test_two_moves_at_once_happen_one_after_the_other(venue: simulator.Venue) -> None:
    """Each session's events happen once, however many ask for them."""
    client_of(venue).submit_order(order("AAPL", "buy", 10, "a"))
    movers = [threading.Thread(target=_move, args=(venue, 3)) for _ in range(4)]
    for mover in movers:
        mover.start()
    for mover in movers:
        mover.join()
    assert venue.state()["accounts"]["demo"] == {"executions": 1, "open_orders": 0, "orders": 1}
    assert len(client_of(venue).get("/account/activities")) == 2


@pytest.mark.parametrize("body", ['{"to": "tomorrow"}', '{"to": 5}', "{}", "x", '{"to": "2012-03-05T00:00:00"}'])
def test_a_clock_that_cannot_be_read_is_refused(venue: simulator.Venue, body: str) -> None:
    """The clock stands still and the answer names the field."""
    before = venue.state()
    answer = venue.client.post(f"{venue.control_url}/control/clock", content=body)
    assert (answer.status_code, answer.json()["code"]) == (422, 40010001)
    assert venue.state() == before


def test_the_journal_names_every_request(venue: simulator.Venue) -> None:
    """Number, address, status, account, key, client order id, venue time, and machine times in their order.

    The last answer is stamped once it was sent, so its reader may be ahead of the stamp.
    """
    client = client_of(venue)
    start = time.monotonic_ns()
    client.submit_order(order("AAPL", "buy", 10, "mine"))
    client.cancel_order_by_id(client.get_order_by_client_id("mine").id)
    with pytest.raises(APIError):
        client.submit_order(order("IBM", "buy", 1, "mine"))
    venue.client.get(f"{venue.url}/v2/account", headers={"APCA-API-KEY-ID": "stranger"})
    end = time.monotonic_ns()
    rows = venue.journal()
    assert [(row["method"], row["path"].split("/")[2][:6], row["status"], row["client_order_id"]) for row in rows] == [
        ("POST", "orders", 200, "mine"),
        ("GET", "orders", 200, "mine"),
        ("DELETE", "orders", 204, "mine"),
        ("POST", "orders", 422, "mine"),
        ("GET", "accoun", 401, ""),
    ]
    assert {(row["account"], row["key_id"]) for row in rows[:4]} == {("demo", "AKDEMO")}
    assert {row["venue_time"] for row in rows} == {"2012-03-02T21:15:00Z"}
    times = [row[name] for row in rows for name in ("received_monotonic_ns", "answered_monotonic_ns")]
    assert [start, *times] == sorted([start, *times])
    assert times[-2] < end
    assert [row["n"] for row in rows] == [1, 2, 3, 4, 5]
    assert venue.journal(after=3) == rows[3:]


def test_the_journal_survives_a_kill(process: simulator.Venue) -> None:
    """Rows written before a SIGKILL are there after it, and numbers go on."""
    client = client_of(process)
    client.submit_order(order("AAPL", "buy", 10, "a"))
    before = process.journal()
    process.kill()
    process.start()
    client.submit_order(order("AAPL", "buy", 10, "b"))
    after = process.journal()
    assert after[: len(before)] == before
    assert [row["n"] for row in after] == list(range(1, len(before) + 2))


def test_metrics_count_what_happened(venue: simulator.Venue) -> None:
    """The control port has Prometheus metrics of requests, updates and the clock."""
    client_of(venue).submit_order(order("AAPL", "buy", 10, "a"))
    text = venue.client.get(f"{venue.control_url}/metrics").text
    assert 'tradeplane_simulator_requests_total{method="POST",route="/v2/orders",status="200"}' in text
    assert 'tradeplane_simulator_trade_updates_total{event="accepted"}' in text
    assert "tradeplane_simulator_clock_seconds 1.3307229e+09" in text


def test_an_account_that_is_added_later_gets_its_cash(process: simulator.Venue) -> None:
    """A new entry of the accounts file opens an account at the next start, beside the old ones."""
    process.kill()
    file = process.folder / "accounts.json"
    key = {"key_id": "AKTWO", "secret_key": "two", "scope": "trading"}
    file.write_text(json.dumps([*json.loads(file.read_text()), {"name": "two", "cash": "25000.5", "keys": [key]}]))
    process.start()
    second = TradingClient("AKTWO", "two", url_override=process.url)
    assert second.get_account().cash == "25000.5"
    second.submit_order(order("AAPL", "buy", 1, "mine"))
    client_of(process).submit_order(order("AAPL", "buy", 1, "mine"))
    assert len(second.get_orders()) == len(_all_orders(process)) == 1
