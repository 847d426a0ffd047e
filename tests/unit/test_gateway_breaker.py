"""The circuit breaker: five failures in a row open it, an answer to something harmless closes it."""

import asyncio
from collections import deque

import pytest

from tradeplane_workers.brokers import port
from tradeplane_workers.gateway import breaker, machine

ACKNOWLEDGED = port.Acknowledged(port.Event("new", "submit", "b", "c", None, None, 0, ""))  # type: ignore[arg-type]  # an instant
REFUSED = port.Refused(403, "40310000", "insufficient buying power")
UNKNOWN = port.Unknown("timeout")
UNREACHABLE = port.NotSent("unreachable", "connection refused")


class Bench:
    """A breaker whose questions are answered as they are told."""

    def __init__(self) -> None:
        self.answers: deque[bool] = deque()
        self.asked = asyncio.Event()
        self.bell = machine.Bell()
        self.breaker = breaker.Breaker(self.ask, clock=machine.now, bell=self.bell)
        self.seen: list[breaker.Circuit] = []

    async def ask(self) -> None:
        """Answer, or be unreachable."""
        self.seen.append(self.breaker.circuit)
        self.asked.set()
        if not self.answers.popleft():
            raise port.BrokerUnreachable("still away")


@pytest.fixture
def bench() -> Bench:
    """A breaker."""
    return Bench()


@pytest.mark.parametrize("failure", [UNKNOWN, UNREACHABLE])
def test_five_failures_in_a_row_open_it(bench: Bench, failure: port.Outcome) -> None:
    """The fifth does, and says so."""
    for _ in range(4):
        bench.breaker.heard(failure)
    assert (bench.breaker.circuit, bench.breaker.refusal()) == (breaker.Circuit.CLOSED, "")
    bench.breaker.heard(failure)
    assert (bench.breaker.circuit, bench.breaker.refusal()) == (breaker.Circuit.OPEN, "circuit-open")
    assert bench.breaker.last_failure in {"timeout", "connection refused"}


@pytest.mark.parametrize("health", [ACKNOWLEDGED, REFUSED])
def test_a_clear_word_ends_the_row(bench: Bench, health: port.Outcome) -> None:
    """A refusal is a clear word."""
    for outcome in [*[UNKNOWN] * 4, health, *[UNKNOWN] * 4]:
        bench.breaker.heard(outcome)
    assert bench.breaker.circuit is breaker.Circuit.CLOSED


@pytest.mark.parametrize("reason", ["halted", "epoch", "rate-limit", "request-budget"])
def test_what_we_held_back_says_nothing(bench: Bench, reason: str) -> None:
    """Neither failure nor health."""
    for outcome in [*[UNKNOWN] * 4, *[port.NotSent(reason)] * 9]:
        bench.breaker.heard(outcome)
    assert (bench.breaker.circuit, bench.breaker.failures) == (breaker.Circuit.CLOSED, 4)


async def test_it_asks_until_it_is_answered(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half open while it asks; every answer of the broker's closes it, and whoever waits is told."""
    monkeypatch.setattr(breaker, "_FIRST_PAUSE_S", 0.001)
    bench.answers.extend([False, False, True])
    task = asyncio.create_task(bench.breaker.run())
    rings = bench.bell.rings
    for _ in range(5):
        bench.breaker.heard(UNKNOWN)
    async with asyncio.timeout(10):
        assert await bench.bell.wait(rings)
    assert bench.seen == [breaker.Circuit.HALF_OPEN] * 3
    assert (bench.breaker.circuit, bench.breaker.failures) == (breaker.Circuit.CLOSED, 0)
    bench.answers.append(True)
    for _ in range(5):
        bench.breaker.heard(UNKNOWN)
    async with asyncio.timeout(10):
        assert await bench.bell.wait(rings + 1)
    task.cancel()
