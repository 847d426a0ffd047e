"""The replay driver: moves the simulator's clock, one session at a time, never ahead of the platform.

1. Move to the session's open; the broker fills what waits.
2. Wait until the ledger holds every execution and no order is open on one side only.
3. Move to the instant when the session's bars are known.
4. Wait until every running strategy's decision for them is in the ledger and each intent is acknowledged or refused.

Strategies know nothing of it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

_POLL_S = (0.002, 0.005, 0.01, 0.02, 0.05)


class ReplayStuck(RuntimeError):  # noqa: N818 - named for what happened
    """The platform did not answer a step in time; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Session:
    """Open, close and the instant at which the session's bars are known, RFC 3339 UTC."""

    open: str
    end: str
    available_at: str


@dataclass(frozen=True, slots=True)
class Driver:
    """Moves one account's simulator and waits for one gateway.

    Parameters
    ----------
    control : base URL of the simulator's control port
    gateway : base URL of the gateway
    account : name of the account at the simulator
    patience_s : how long one step may take before it counts as stuck; longer than any restart of a process
    """

    client: httpx2.Client
    control: str
    gateway: str
    account: str
    patience_s: float = 180.0

    def wait_for_fills(self, at: str) -> None:
        """Wait, after the open, until broker and ledger count the same executions and open orders."""
        deadline = time.monotonic() + self.patience_s
        attempt = 0
        seen: tuple[object, object] = (None, None)
        while time.monotonic() < deadline:
            try:
                broker = self._get(f"{self.control}/control/state")["accounts"][self.account]
                ledger = self._get(f"{self.gateway}/v1/state")["counts"]
            except httpx2.HTTPError:
                time.sleep(_POLL_S[-1])
                continue
            seen = (
                (broker["executions"], broker["open_orders"]),
                (ledger["fills"], ledger["open_orders"]),
            )
            if seen[0] == seen[1]:
                return
            time.sleep(_POLL_S[min(attempt, len(_POLL_S) - 1)])
            attempt += 1
        raise ReplayStuck(
            f"at the open {at}, waited {self.patience_s:.0f} s: the broker has (executions, open orders) {seen[0]}, "
            f"the ledger {seen[1]}"
        )

    def wait_for_decisions(self, trigger: str) -> None:
        """Wait until every running strategy decided on the bars that end at ``trigger``; raises ReplayStuck."""
        deadline = time.monotonic() + self.patience_s
        waiting: Sequence[str] = ["the gateway's answer"]
        while time.monotonic() < deadline:
            try:
                answer = self._get(f"{self.gateway}/v1/settled", trigger=trigger, timeout_s="10")
            except httpx2.HTTPError as error:
                waiting = [f"the gateway ({type(error).__name__})"]
                time.sleep(_POLL_S[-1])
                continue
            if answer["settled"]:
                return
            waiting = answer["waiting_for"]
        raise ReplayStuck(f"after the close of {trigger}, waited {self.patience_s:.0f} s for: {', '.join(waiting)}")

    def move(self, to: str) -> None:
        """Move the clock to an instant; a broker that is being restarted is asked again. Raises httpx2.HTTPError."""
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                # Moving to an instant that is already past is a no-op, so a lost answer may be asked for again.
                answer = self.client.post(f"{self.control}/control/clock", json={"to": to}, timeout=30)
            except httpx2.TransportError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_POLL_S[-1])
                continue
            answer.raise_for_status()
            return

    def _get(self, url: str, **parameters: str) -> Any:
        answer = self.client.get(url, params=parameters, timeout=15)
        answer.raise_for_status()
        return answer.json()
