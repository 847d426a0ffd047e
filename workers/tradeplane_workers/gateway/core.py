"""What every acting part of the gateway shares once the ledger is open."""

from dataclasses import dataclass

import asyncpg

from tradeplane_workers.gateway import epoch, machine, metrics, state


@dataclass(frozen=True, slots=True)
class Core:
    """The ledger's connections and id, the guard, our turn, and the counters."""

    pool: asyncpg.Pool
    ledger: str
    guard: state.Guard
    leadership: epoch.Leadership
    metrics: metrics.Metrics

    @property
    def clock(self) -> machine.Clock:
        """The machine's clocks."""
        return self.guard.clock
