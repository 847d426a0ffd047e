"""The replay driver waits for the ledger, asks again after lost answers, and says what is missing when stuck."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tradeplane_cli.demo import replay, run

SESSION = replay.Session(open="2012-03-05T14:30:00Z", end="2012-03-05T21:00:00Z", available_at="2012-03-05T21:00:01Z")


class World:
    """A simulator and a gateway that answer what a test says, and remember the order of the requests."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.broker = {"executions": 0, "open_orders": 0}
        self.ledger = {"fills": 0, "open_orders": 0}
        self.settled: list[dict[str, Any]] = []
        self.on_state: Callable[[], None] = lambda: None

    def driver(self, patience_s: float = 5.0) -> replay.Driver:
        """A driver whose requests come here."""
        return replay.Driver(
            client=httpx2.Client(transport=httpx2.MockTransport(self._answer)),
            control="http://simulator",
            gateway="http://gateway",
            account="demo",
            patience_s=patience_s,
        )

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/control/clock":
            self.requests.append(f"clock {request.read().decode()}")
            return httpx2.Response(200, json={})
        self.requests.append(request.url.path)
        if request.url.path == "/control/state":
            return httpx2.Response(200, json={"accounts": {"demo": self.broker}})
        if request.url.path == "/v1/state":
            self.on_state()
            return httpx2.Response(200, json={"counts": self.ledger})
        return httpx2.Response(200, json=self.settled.pop(0))


def test_a_session_moves_twice_and_waits_after_each() -> None:
    """The clock moves to the open, the fills are awaited, it moves to the bars, the decisions are awaited."""
    world = World()
    world.settled = [{"settled": True, "waiting_for": []}]
    run.Trading(world.driver(), [SESSION]).next()
    assert world.requests == [
        f'clock {{"to":"{SESSION.open}"}}',
        "/control/state",
        "/v1/state",
        f'clock {{"to":"{SESSION.available_at}"}}',
        "/v1/settled",
    ]


def test_the_close_waits_until_the_ledger_has_every_execution() -> None:
    """While the ledger counts fewer fills than the broker, the clock stands."""
    world = World()
    world.broker = {"executions": 2, "open_orders": 0}
    asked = 0

    def book_one_fill() -> None:
        nonlocal asked
        asked += 1
        world.ledger = {"fills": min(asked, 2), "open_orders": 0}

    world.on_state = book_one_fill
    world.driver().wait_for_fills(SESSION.open)
    assert world.requests.count("/v1/state") == 2


def test_an_order_open_on_one_side_only_holds_the_clock() -> None:
    """Equal fills are not enough: an order that only one side counts as open is not settled."""
    world = World()
    world.broker = {"executions": 0, "open_orders": 1}
    with pytest.raises(replay.ReplayStuck, match=r"\(0, 1\), the ledger \(0, 0\)"):
        world.driver(patience_s=0.05).wait_for_fills(SESSION.open)


def test_a_stuck_close_names_what_it_waits_for() -> None:
    """A strategy that never decides stops the replay with its name."""
    world = World()
    world.settled = [{"settled": False, "waiting_for": ["strategy momentum"]}] * 1000
    with pytest.raises(replay.ReplayStuck, match="strategy momentum"):
        world.driver(patience_s=0.05).wait_for_decisions(SESSION.end)
