"""The circuit breaker: after failures in a row no order leaves until the broker has answered something harmless.

``closed``: orders leave. ``open``: the broker failed five times in a row; orders wait, cancels and look-ups go on.
``half-open``: it is being asked for its clock; an answer closes the circuit, none opens it again, for twice as long.
"""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum

import structlog

from tradeplane_workers.brokers import port
from tradeplane_workers.gateway import machine

_log = structlog.get_logger(__name__)
FAILURES = 5
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 10.0
CIRCUIT_OPEN = "circuit-open"


class Circuit(StrEnum):
    """Whether orders may leave, as far as the broker's health decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """Counts the broker's failures with orders, in a row.

    Parameters
    ----------
    ask : asks the broker something that changes nothing; raises BrokerError
    clock : the machine's clocks
    bell : rung when orders may leave again
    """

    def __init__(self, ask: Callable[[], Awaitable[object]], *, clock: machine.Clock, bell: machine.Bell) -> None:
        self.circuit = Circuit.CLOSED
        self.since = clock().text
        self.failures = 0
        self.last_failure = ""
        self._ask = ask
        self._clock = clock
        self._bell = bell
        self._opened = asyncio.Event()

    def refusal(self) -> str:
        """Return why no order may leave, or nothing."""
        return "" if self.circuit is Circuit.CLOSED else CIRCUIT_OPEN

    def heard(self, outcome: port.Outcome) -> None:
        """Take what became of an order: no clear word is a failure, any is health; what we held back says nothing."""
        if isinstance(outcome, port.Acknowledged | port.Refused):
            self.failures = 0
        elif isinstance(outcome, port.Unknown) or outcome.reason == "unreachable":
            self.failures += 1
            self.last_failure = outcome.detail
            if self.failures >= FAILURES and self.circuit is Circuit.CLOSED:
                _log.error("circuit open", failures=self.failures, last=outcome.detail)
                self._become(Circuit.OPEN)
                self._opened.set()

    async def run(self) -> None:
        """Ask while the circuit is open, for ever."""
        while True:
            await self._opened.wait()
            self._opened.clear()
            pause_s = _FIRST_PAUSE_S
            while self.circuit is not Circuit.CLOSED:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                await self._try()

    async def _try(self) -> None:
        self._become(Circuit.HALF_OPEN)
        try:
            await self._ask()
        except port.BrokerError as error:
            self.last_failure = str(error)
            self._become(Circuit.OPEN)
        else:
            _log.info("circuit closed")
            self.failures = 0
            self._become(Circuit.CLOSED)
            self._bell.ring()

    def _become(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.since = self._clock().text
