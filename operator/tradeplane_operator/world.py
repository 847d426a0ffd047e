"""The edges of the operator in one place, so that a test can put others in."""

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tradeplane_operator import artifacts, gateway, settings
from tradeplane_operator.ray import port

Json = dict[str, Any]


class Kube(Protocol):
    """What the operator asks of tradeplane_kube; reads."""

    async def get(self, kind: str, name: str) -> Json | None:
        """Read one object."""

    async def list(self, kind: str) -> tuple[list[Json], str]:
        """Read all objects of a kind."""

    async def apply(self, manifest: Json, manager: str) -> Json:
        """Server-side apply."""

    async def apply_status(self, manifest: Json, manager: str) -> Json:
        """Server-side apply of the status."""

    async def create(self, manifest: Json, *, manager: str) -> Json:
        """Create."""


@dataclass(slots=True)
class World:
    """Everything outside.

    ray : gives the adapter of an address
    now : wall clock, for the times in conditions and deadlines
    """

    settings: settings.Settings
    kube: Kube
    gateway: gateway.Gateway
    artifacts: artifacts.Artifacts
    ray: Callable[[str], port.Ray]
    now: Callable[[], dt.datetime]
    _serve_locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    def serve_lock(self, address: str) -> asyncio.Lock:
        """One configuration in flight per Serve address."""
        return self._serve_locks.setdefault(address, asyncio.Lock())
