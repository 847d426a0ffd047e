"""What a gateway says of its own health: its role, and each thing that must hold before an order may leave.

A gateway lives as long as it answers. It is ready only while it leads and hears the broker: a Service that asks for
readiness has one address that leads to the leader, so that no client needs to know how many gateways there are.
"""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from tradeplane_workers.gateway import breaker, epoch, reconcile, state


class Role(StrEnum):
    """What a gateway is doing."""

    STARTING = "starting"
    STANDBY = "standby"
    LEADER = "leader"


@dataclass(frozen=True, slots=True)
class Check:
    """Something that must hold, whether it does, and what a person should know."""

    name: str
    ok: bool
    message: str


@dataclass(slots=True)
class Health:
    """What is known of each part; None where it is not open yet.

    Parameters
    ----------
    guard : switch, Environment, Strategies, halts, and whether the broker is heard
    leadership : whose turn it is
    """

    guard: state.Guard
    leadership: epoch.Leadership
    circuit: breaker.Breaker | None = None
    reconciler: reconcile.Reconciler | None = None
    has_ledger: bool = False

    @property
    def role(self) -> Role:
        """What this gateway is doing."""
        if self.leadership.is_valid():
            return Role.LEADER
        return Role.STARTING if self.leadership.seen is None else Role.STANDBY

    @property
    def is_ready(self) -> bool:
        """Whether decisions are taken here."""
        return self.leadership.is_valid() and self.guard.inputs.is_hearing

    def checks(self) -> list[Check]:
        """Return everything that must hold, in the order in which a start goes through it."""
        current, inputs = self.guard.state(), self.guard.inputs
        view = self.guard.switch.view(self.guard.clock())
        age = "never read" if view.age_s is None else f"read {view.age_s:.1f} s ago"
        others = self.leadership.seen
        holder = "nobody leads" if others is None else f"{others.holder or 'nobody'} leads, epoch {others.number}"
        last = None if self.reconciler is None else self.reconciler.last
        differences = "not done yet" if last is None else ", ".join(map(str, last.differences)) or f"clean at {last.at}"
        circuit = None if self.circuit is None else self.circuit.circuit
        return [
            Check("switch", not view.is_stale, view.refusal or age),
            Check("environment", not inputs.environment, inputs.environment or "read"),
            Check("strategies", inputs.strategies is not None, f"{len(inputs.strategies or {})} known"),
            Check("ledger", self.has_ledger, "open" if self.has_ledger else "not reachable yet"),
            Check("epoch", self.leadership.is_valid(), holder),
            Check("broker", inputs.is_hearing, "heard and reconciled" if inputs.is_hearing else "not heard"),
            Check("reconciliation", last is not None and last.is_clean, differences),
            Check("circuit", circuit is breaker.Circuit.CLOSED, "" if circuit is None else circuit.value),
            Check("trading", not current.causes, current.message or current.state.value),
        ]

    def shown(self) -> dict[str, Any]:
        """Return the body of ``/healthz`` and ``/readyz``."""
        return {
            "ok": True,
            "role": self.role.value,
            "ready": self.is_ready,
            "state": self.guard.state().state.value,
            "checks": [asdict(check) for check in self.checks()],
        }
