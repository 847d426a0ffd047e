"""What the gateway reads from the API server besides the switch: Environment, RiskPolicies, Strategies, the Secret.

The gateway reads them itself, so that an edit, a suspension and a deletion act while the operator is away. A policy
that cannot be read any more keeps acting as last read; the age of the switch's read decides when that ends trading.
"""

import asyncio
import base64
import binascii
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from tradeplane_api import names
from tradeplane_engine import errors
from tradeplane_engine.core import gate, limits
from tradeplane_engine.domain import times
from tradeplane_kube import errors as kube_errors
from tradeplane_workers.brokers import alpaca
from tradeplane_workers.gateway import state

_log = structlog.get_logger(__name__)
_READ_TIMEOUT_S = 0.5
_LIST_TIMEOUT_S = 2.0
_PERIOD_S = 1.0
_STRATEGIES_PERIOD_S = 30.0
_RETRY_S = 0.5

Manifest = Mapping[str, Any]


class Cluster(Protocol):
    """The part of :class:`tradeplane_kube.client.Client` that reading needs."""

    async def get(self, kind: str, name: str, *, timeout_s: float) -> dict[str, Any] | None:
        """Read one object from etcd."""
        ...

    async def list(self, kind: str, *, timeout_s: float) -> tuple[list[dict[str, Any]], str]:
        """Read all objects of a kind."""
        ...

    def watch(
        self, kind: str, *, name: str | None = None, resource_version: str | None = None
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Follow changes."""
        ...

    async def apply_status(self, manifest: dict[str, Any], manager: str, *, timeout_s: float) -> dict[str, Any]:
        """Write our part of a status."""
        ...


@dataclass(frozen=True, slots=True)
class Policy:
    """A RiskPolicy as it is now; ``refusal`` says why it cannot be used, and then nothing may be sent under it."""

    name: str
    hash: str
    spec: Manifest
    limits: limits.Limits | None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Environment:
    """The Environment as it is now."""

    name: str
    uid: str
    spec: Manifest
    is_deleting: bool

    @property
    def mode(self) -> str:
        """Return dev, paper or live."""
        return str(self.spec["mode"])

    @property
    def policy_name(self) -> str:
        """Name of the policy that judges the account."""
        return str(self.spec["riskPolicyRef"])

    @property
    def window_s(self) -> float:
        """Age of the switch's last good read above which nothing adds risk."""
        return times.duration(str(self.spec.get("readWindow", "5s")), field="readWindow") / times.SECOND


def policy(manifest: Manifest) -> Policy:
    """Read a RiskPolicy."""
    spec = manifest.get("spec") or {}
    name = str(manifest["metadata"]["name"])
    digest = spec_hash(spec)
    try:
        return Policy(name, digest, spec, gate.limits_of(spec))
    except errors.EngineError as error:
        return Policy(name, digest, spec, None, refusal=f"RiskPolicy {name}: {error}")


def spec_hash(spec: Manifest) -> str:
    """Return the sha256 of a spec's canonical JSON."""
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def strategy(manifest: Manifest) -> state.Strategy:
    """Read what a Strategy object says about trading."""
    metadata, spec = manifest["metadata"], manifest.get("spec") or {}
    halted = ""
    if metadata.get("deletionTimestamp"):
        halted = "the Strategy is being deleted"
    elif spec.get("suspend"):
        halted = "the Strategy is suspended"
    return state.Strategy(uid=str(metadata["uid"]), name=str(metadata["name"]), halted=halted)


def environment(manifest: Manifest) -> Environment:
    """Read an Environment; raises KeyError and ValueRefused for what its schema does not allow."""
    read = Environment(
        name=str(manifest["metadata"]["name"]),
        uid=str(manifest["metadata"]["uid"]),
        spec=manifest["spec"],
        is_deleting=bool(manifest["metadata"].get("deletionTimestamp")),
    )
    if read.window_s <= 0 or not read.mode or not read.policy_name:
        raise errors.ValueRefused("environment", "complete", dict(read.spec))
    return read


def credentials(secret: Manifest) -> alpaca.Credentials:
    """Read the broker's key; raises ValueRefused that does not show it."""
    data = secret.get("data") or {}
    values = []
    for key in ("key_id", "secret_key"):
        try:
            values.append(base64.b64decode(data.get(key, ""), validate=True).decode().strip())
        except (binascii.Error, UnicodeDecodeError):
            values.append("")
        if not values[-1]:
            raise errors.ValueRefused(f"secret.data.{key}", "base64 of a text", "nothing usable")
    return alpaca.Credentials(*values)


@dataclass(slots=True)
class Known:
    """The latest readings."""

    environment: Environment | None = None
    policies: dict[str, Policy] = field(default_factory=dict)

    @property
    def measures_losses(self) -> bool:
        """Whether some policy has limits on losses, so that every decision is a look at equity."""
        return any(one.limits is not None and one.limits.measures_losses for one in self.policies.values())

    @property
    def allows_shorts(self) -> bool:
        """Whether some policy lets a position be below zero, so that the broker is asked what it lends."""
        return any(one.limits is not None and one.limits.allow_short for one in self.policies.values())

    def refusal(self) -> str:
        """Why Environment or account policy forbid trading, or nothing."""
        if self.environment is None:
            return state.UNREAD
        if self.environment.is_deleting:
            return "the Environment is being deleted"
        account = self.policies.get(self.environment.policy_name)
        if account is None:
            return f"the Environment's RiskPolicy {self.environment.policy_name} is absent"
        return account.refusal


class Reader:
    """Keeps :class:`Known` and the guard's strategies up to date."""

    def __init__(self, cluster: Cluster, name: str, *, guard: state.Guard) -> None:
        self.known = Known()
        self._cluster = cluster
        self._name = name
        self._guard = guard

    async def first_environment(self) -> Environment:
        """Wait until the Environment exists."""
        while self.known.environment is None:
            await self._once()
            if self.known.environment is None:
                _log.info("waiting for the Environment", environment=self._name)
                await asyncio.sleep(_PERIOD_S)
        return self.known.environment

    async def secret(self, name: str) -> alpaca.Credentials | None:
        """Read the broker's key; nothing while it is absent or unreadable."""
        try:
            found = await self._cluster.get("Secret", name, timeout_s=_LIST_TIMEOUT_S)
            return None if found is None else credentials(found)
        except (kube_errors.KubeError, errors.ValueRefused) as error:
            _log.warning("broker secret not readable", secret_name=name, error=str(error))
            return None

    async def is_being_deleted(self) -> bool:
        """Whether the Environment, read now, is going away; False when it cannot be read."""
        try:
            found = await self._cluster.get("Environment", self._name, timeout_s=_READ_TIMEOUT_S)
        except kube_errors.KubeError:
            return False
        return found is None or bool(found["metadata"].get("deletionTimestamp"))

    async def follow_policies(self) -> None:
        """Read Environment and RiskPolicies every second, for ever."""
        while True:
            await self._once()
            await asyncio.sleep(_PERIOD_S)

    async def follow_strategies(self) -> None:
        """List the Strategies every 30 s and follow their changes in between, for ever."""
        while True:
            try:
                async with asyncio.timeout(_STRATEGIES_PERIOD_S):
                    await self._strategies()
            except TimeoutError:
                continue
            except kube_errors.KubeError as error:
                _log.warning("strategies not readable", error=str(error))
            await asyncio.sleep(_RETRY_S)

    async def _strategies(self) -> None:
        found, version = await self._cluster.list(names.STRATEGY, timeout_s=_LIST_TIMEOUT_S)
        self._set({each.uid: each for each in map(strategy, found)})
        async for kind, manifest in self._cluster.watch(names.STRATEGY, resource_version=version):
            if kind == "BOOKMARK":
                continue
            changed = strategy(manifest)
            current = dict(self._guard.inputs.strategies or {})
            if kind == "DELETED":
                current.pop(changed.uid, None)
            else:
                current[changed.uid] = changed
            self._set(current)

    def _set(self, strategies: dict[str, state.Strategy]) -> None:
        if strategies != self._guard.inputs.strategies:
            self._guard.inputs.strategies = strategies
            self._guard.bell.ring()

    async def _once(self) -> None:
        try:
            found = await self._cluster.get(names.ENVIRONMENT, self._name, timeout_s=_READ_TIMEOUT_S)
            policies, _ = await self._cluster.list(names.RISK_POLICY, timeout_s=_LIST_TIMEOUT_S)
            read = None if found is None else environment(found)
        except (kube_errors.KubeError, KeyError, errors.EngineError) as error:
            _log.warning("environment not readable", error=str(error))
            return
        if read is None and self.known.environment is not None:
            # It is gone: what goes away does not trade.
            last = self.known.environment
            read = Environment(last.name, last.uid, last.spec, is_deleting=True)
        self.known.environment = read
        if read is not None:
            self._guard.switch.window_s = read.window_s
        self.known.policies = {each.name: each for each in map(policy, policies)}
        refusal = self.known.refusal()
        if refusal != self._guard.inputs.environment:
            self._guard.inputs.environment = refusal
            self._guard.bell.ring()
