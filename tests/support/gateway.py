"""A gateway in the test's own event loop, between a stand-in of the API server and real or stand-in others.

::

    async with gateway.running(venue, postgres_url, redis_url) as bench:
        bench.cluster.set_switch("enabled")
        token = await bench.fence()
        receipt = await bench.decide(token, 0, [("AAPL", "buy", "10")])
"""

import asyncio
import base64
import contextlib
import copy
import json
import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
import redis.asyncio as redis_asyncio
import uvicorn

from support import servers, simulator
from tradeplane_cli.local import ports
from tradeplane_kube import errors as kube_errors
from tradeplane_workers import messages
from tradeplane_workers.brokers import alpaca, port
from tradeplane_workers.gateway import api, service
from tradeplane_workers.gateway import manifests as manifests_port
from tradeplane_workers.gateway import settings as gateway_settings

UID = "3f2b8c1e-1111-2222-3333-444455556666"
POLICY = {
    "order": {"maxNotional": "400000", "maxQuantity": "50000"},
    "position": {"maxWeight": "0.9", "allowShort": True},
    "portfolio": {"maxGross": "1.5"},
    "data": {"maxBarAge": "1h"},
}
PATIENCE_S = 15.0


class StandInCluster:
    """Objects in memory, with resourceVersions, watches and failures on demand."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.applied: list[dict[str, Any]] = []
        self.is_down = False
        self.is_watching = True
        self._version = 100
        self._watchers: list[tuple[str, asyncio.Queue[tuple[str, dict[str, Any]] | None]]] = []

    def put(self, kind: str, name: str, body: dict[str, Any], *, uid: str = "", version: int | None = None) -> None:
        """Create or change an object."""
        known = self.objects.get((kind, name))
        self._version = self._version + 1 if version is None else version
        metadata = {
            **body.get("metadata", {}),
            "name": name,
            "uid": uid or (known or {}).get("metadata", {}).get("uid") or f"{kind}-{name}-{self._version}",
            "resourceVersion": str(self._version),
        }
        manifest = {**body, "kind": kind, "metadata": metadata}
        self.objects[kind, name] = manifest
        self._tell("MODIFIED" if known else "ADDED", manifest)

    def remove(self, kind: str, name: str) -> None:
        """Delete an object."""
        gone = copy.deepcopy(self.objects.pop((kind, name)))
        self._version += 1
        gone["metadata"]["resourceVersion"] = str(self._version)
        self._tell("DELETED", gone)

    def set_switch(self, word: str | None, **keys: str) -> None:
        """Patch the switch; None leaves ``trading`` out."""
        data = {**({} if word is None else {"trading": word}), **keys}
        self.put("ConfigMap", "kill-switch", {"data": data})

    def go_down(self) -> None:
        """Answer nothing, and end all watches."""
        self.is_down = True
        for _, queue in self._watchers:
            queue.put_nowait(None)

    async def get(self, kind: str, name: str, *, timeout_s: float) -> dict[str, Any] | None:
        """Read one object."""
        del timeout_s
        await asyncio.sleep(0)
        self._check()
        return copy.deepcopy(self.objects.get((kind, name)))

    async def list(self, kind: str, *, timeout_s: float) -> tuple[list[dict[str, Any]], str]:
        """Read all objects of a kind."""
        del timeout_s
        await asyncio.sleep(0)
        self._check()
        return [copy.deepcopy(each) for (k, _), each in self.objects.items() if k == kind], str(self._version)

    async def watch(
        self, kind: str, *, name: str | None = None, resource_version: str | None = None
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Follow changes from now on."""
        del resource_version
        self._check()
        queue: asyncio.Queue[tuple[str, dict[str, Any]] | None] = asyncio.Queue()
        self._watchers.append((kind, queue))
        while True:
            item = await queue.get()
            if item is None:
                raise kube_errors.Unreachable("watch ended")
            if name in {None, item[1]["metadata"]["name"]} and self.is_watching:
                yield item

    async def apply_status(self, manifest: dict[str, Any], manager: str, *, timeout_s: float) -> dict[str, Any]:
        """Keep what was applied."""
        del manager, timeout_s
        self._check()
        self.applied.append(copy.deepcopy(manifest))
        return manifest

    def _check(self) -> None:
        if self.is_down:
            raise kube_errors.Unreachable("the stand-in is down")

    def _tell(self, kind: str, manifest: dict[str, Any]) -> None:
        for watched, queue in self._watchers:
            if watched == manifest["kind"] and not self.is_down:
                queue.put_nowait((kind, copy.deepcopy(manifest)))


def cluster_of(venue: simulator.Venue, *, window: str = "5s") -> StandInCluster:
    """Return an API server with an Environment, its policy and Secret, one Strategy, and no switch."""
    cluster = StandInCluster()
    encoded = {
        key: base64.b64encode(value.encode()).decode()
        for key, value in (("key_id", venue.key_id), ("secret_key", venue.secret_key))
    }
    cluster.put("Secret", "broker-credentials", {"data": encoded})
    cluster.put("RiskPolicy", "prudent", {"spec": POLICY})
    cluster.put("Environment", "demo", {"spec": environment_spec(venue, window=window)})
    cluster.put("Strategy", "momentum", {"spec": {}}, uid=UID)
    return cluster


def environment_spec(venue: simulator.Venue, *, window: str = "5s") -> dict[str, Any]:
    """Return the spec of an Environment whose broker is the simulator."""
    return {
        "mode": "paper",
        "broker": {
            "urls": {
                "trading": venue.url,
                "stream": venue.stream_url,
                "data": venue.url,
                "dataStream": venue.data_stream_url,
            },
            "secretRef": "broker-credentials",
        },
        "riskPolicyRef": "prudent",
        "pools": [{"name": "main", "role": "execution", "address": "http://127.0.0.1:1"}],
        "readWindow": window,
        "calendar": "XNYS",
    }


def config(*, generation: int = 1, attempt: int = 1, uid: str = UID, name: str = "momentum") -> messages.StrategyConfig:
    """Return what a strategy job is told."""
    return messages.StrategyConfig(
        environment="demo",
        name=name,
        uid=uid,
        generation=generation,
        attempt=attempt,
        spec={
            "universe": {"symbols": ["AAPL", "IBM", "MSFT"]},
            "portfolio": {"construct": "top-bottom-n", "top": 1, "bottom": 1, "capital": "500000"},
            "riskPolicyRef": "prudent",
        },
        model=messages.ModelReference(
            name="alpha",
            uid="m",
            generation=1,
            url="http://127.0.0.1:1",
            digest="sha256:" + "0" * 64,
            artifact="file:///nowhere",
            features={"set": "alpha158", "version": "v1"},
            deadline="2s",
        ),
        policy=messages.PolicyReference(name="prudent", hash="", spec=POLICY),
    )


@dataclass
class Bench:
    """A running gateway and everything around it."""

    gateway: service.Gateway
    cluster: Any
    venue: simulator.Venue
    http: httpx2.AsyncClient
    redis: redis_asyncio.Redis
    task: "asyncio.Task[None]"
    published: set[int] = field(default_factory=set)

    async def state(self) -> dict[str, Any]:
        """Return ``/v1/state``."""
        return (await self.http.get("/v1/state")).json()

    async def listed(self, name: str) -> Any:
        """Return one of the lists."""
        answer = await self.http.get(f"/v1/{name}")
        answer.raise_for_status()
        return answer.json()

    async def until(self, holds: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Wait until the state satisfies a predicate."""
        shown: dict[str, Any] = {}
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    if self.task.done():
                        self.task.result()
                    shown = await self.state()
                    if holds(shown):
                        return shown
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{what}: not within {PATIENCE_S} s, state is {shown}") from None

    async def enabled(self) -> dict[str, Any]:
        """Enable the switch and wait until trading is."""
        self.cluster.set_switch("enabled")
        return await self.until(lambda s: s["state"] == "enabled" and s["reconciliation"]["clean"], "enabled")

    async def halted(self, word: str | None = "halted") -> dict[str, Any]:
        """Patch the switch and wait until the halt is complete."""
        self.cluster.set_switch(word)
        return await self.until(lambda s: s["state"] == "halted" and s["halt"]["complete"], "halt complete")

    async def fence(self, wanted: messages.StrategyConfig | None = None) -> str:
        """Take the fence and return its token."""
        answer = await self.ask_fence(wanted)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])

    async def ask_fence(self, wanted: messages.StrategyConfig | None = None) -> httpx2.Response:
        """Ask for the fence."""
        asked = wanted or config()
        body = {"config": asked.model_dump(mode="json")}
        return await self.http.post(f"/v1/strategies/{asked.name}/fence", json=body)

    async def publish(self, session: int) -> None:
        """Publish the bars of a session, as the market data process does."""
        if session in self.published:
            return
        self.published.add(session)
        message = slice_of(self.venue, session)
        await self.redis.xadd("bars:1d", {"message": message.model_dump_json()}, id=f"{session + 1}-0")

    def body(
        self,
        token: str,
        session: int,
        intents: Sequence[tuple[Any, ...]],
        *,
        generation: int = 1,
        attempt: int = 1,
        uid: str = UID,
        cancels: Sequence[str] = (),
        part: int = 0,
        heard: int | None = None,
    ) -> dict[str, Any]:
        """Return the JSON of a decision at a session's close; intents are (symbol, side, quantity, *terms as pairs)."""
        return messages.DecisionMessage(
            uid=uid,
            generation=generation,
            attempt=attempt,
            token=token,
            trigger=self.venue.sessions[session].close,
            outcome="traded" if intents else "no-signal",
            model_digest="sha256:" + "0" * 64,
            signals=tuple(
                messages.SignalMessage(symbol=symbol, score=0.5, features=(1.0, None)) for symbol, *_ in intents
            ),
            intents=tuple(
                messages.IntentMessage(symbol=symbol, side=side, quantity=quantity, **dict(terms))  # type: ignore[arg-type]  # a test's literal
                for symbol, side, quantity, *terms in intents
            ),
            cancels=tuple(cancels),
            part=part,
            heard=heard,
        ).model_dump(mode="json")

    async def post(self, body: dict[str, Any]) -> httpx2.Response:
        """Post a decision."""
        return await self.http.post("/v1/strategies/momentum/decisions", json=body)

    async def decide(self, token: str, session: int, intents: Sequence[tuple[Any, ...]], **keys: Any) -> dict[str, Any]:
        """Publish the bars, post a decision and return its receipt."""
        await self.publish(session)
        answer = await self.post(self.body(token, session, intents, **keys))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def settled(self, session: int) -> None:
        """Wait until everything about a session is settled."""
        trigger = self.venue.sessions[session].close
        answer = await self.http.get("/v1/settled", params={"trigger": trigger, "timeout_s": "10"})
        assert answer.json() == {"settled": True, "waiting_for": []}, answer.text

    async def move(self, to: str) -> None:
        """Move the simulator's clock without blocking this loop, on which the gateway runs."""
        await asyncio.to_thread(self.venue.move, to)

    async def journal(self) -> list[dict[str, Any]]:
        """Return the orders that the broker received."""
        rows = await asyncio.to_thread(self.venue.journal)
        return [row for row in rows if row["method"] == "POST" and row["path"] == "/v2/orders"]


def settings(postgres_url: str, redis_url: str, *, holder: str = "test") -> gateway_settings.Settings:
    """Return settings of a gateway in this process."""
    return gateway_settings.Settings(
        namespace="test",
        environment="demo",
        kubeconfig="/nowhere",
        database_url=postgres_url,
        redis_url=redis_url,
        listen="127.0.0.1:0",
        holder=holder,
    )


@contextlib.asynccontextmanager
async def running(
    venue: simulator.Venue,
    postgres_url: str,
    redis_url: str,
    *,
    cluster: manifests_port.Cluster | None = None,
    broker: port.Broker | None = None,
) -> AsyncIterator[Bench]:
    """Run a gateway for the length of a test; on the simulator unless another broker is given."""
    around = cluster or cluster_of(venue)

    def connect(trading_url: str, stream_url: str, *, credentials: alpaca.Credentials) -> port.Broker:
        return broker or alpaca.Alpaca(trading_url, stream_url, credentials=credentials)

    made = service.Gateway(settings(postgres_url, redis_url), around, connect=connect)
    client = redis_asyncio.Redis.from_url(redis_url)
    task = asyncio.create_task(made.run())
    transport = httpx2.ASGITransport(app=api.create(made))
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway", timeout=30) as http:
        try:
            yield Bench(made, around, venue, http, client, task)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await made.stop()
            await client.aclose()


@contextlib.asynccontextmanager
async def served(made: service.Gateway) -> AsyncIterator[str]:
    """Serve a gateway's application on a real socket, and yield its URL."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(api.create(made), log_config=None, lifespan="off"))
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]  # pytest's own
        serving = asyncio.create_task(server.serve(sockets=[opened]))
        try:
            yield f"http://127.0.0.1:{opened.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            await serving


def manifests(kube: servers.Kube, venue: simulator.Venue, *, window: str = "5s") -> list[dict[str, Any]]:
    """Return Environment, Secret, policy and Strategy as a real API server takes them."""
    metadata = {"namespace": kube.namespace}
    version = "tradeplane.dev/v1alpha1"
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {**metadata, "name": "broker-credentials"},
            "stringData": {"key_id": venue.key_id, "secret_key": venue.secret_key},
        },
        {
            "apiVersion": version,
            "kind": "RiskPolicy",
            "metadata": {**metadata, "name": "prudent"},
            "spec": POLICY,
        },
        {
            "apiVersion": version,
            "kind": "Strategy",
            "metadata": {**metadata, "name": "momentum"},
            "spec": {
                "universe": {"symbols": ["AAPL", "IBM", "MSFT"]},
                "signal": {"models": [{"name": "alpha"}]},
                "portfolio": {"construct": "top-bottom-n", "top": 1, "bottom": 1, "capital": "500000"},
                "riskPolicyRef": "prudent",
            },
        },
        {
            "apiVersion": version,
            "kind": "Environment",
            "metadata": {**metadata, "name": "demo"},
            "spec": environment_spec(venue, window=window),
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {**metadata, "name": "kill-switch"},
            "data": {"trading": "halted"},
        },
    ]


def apply(kube: servers.Kube, venue: simulator.Venue, *, window: str = "5s") -> str:
    """Apply the manifests and return the Strategy's uid."""
    for manifest in manifests(kube, venue, window=window):
        kube.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    return kube.kubectl("get", "strategy", "momentum", "-o", "jsonpath={.metadata.uid}")


@contextlib.contextmanager
def process(
    kube: servers.Kube, postgres_url: str, redis_url: str, log: pathlib.Path
) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """Run ``python -m tradeplane_workers.gateway``; yields the process and its URL."""
    listen = f"127.0.0.1:{ports.free(1)[0]}"
    environment = {
        **os.environ,
        "TRADEPLANE_NAMESPACE": kube.namespace,
        "TRADEPLANE_ENVIRONMENT": "demo",
        "KUBECONFIG": str(kube.kubeconfig_for("gateway")),
        "TRADEPLANE_DATABASE_URL": postgres_url,
        "TRADEPLANE_REDIS_URL": redis_url,
        "TRADEPLANE_VENUE_PROFILE": "realistic",
        "TRADEPLANE_LISTEN": listen,
    }
    with log.open("w") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", "tradeplane_workers.gateway"], env=environment, stdout=output, stderr=output
        )
        try:
            yield started, f"http://{listen}"
        finally:
            started.kill()
            started.wait()


async def until(url: str, holds: Any, what: str) -> dict[str, Any]:
    """Wait for the process's state."""
    shown: dict[str, Any] = {}
    async with httpx2.AsyncClient(timeout=5) as http:
        for _ in range(200):
            with contextlib.suppress(httpx2.HTTPError):
                shown = (await http.get(f"{url}/v1/state")).json()
                if holds(shown):
                    return shown
            await asyncio.sleep(0.1)
    raise AssertionError(f"{what}: {shown}")


def slice_of(venue: simulator.Venue, session: int) -> messages.SliceMessage:
    """Return the bars of a session."""
    day = venue.sessions[session]
    bars = [
        messages.BarMessage(
            symbol=symbol,
            start=day.open,
            end=day.close,
            available_at=day.published,
            open=rows[session][0],
            high=max(rows[session], key=float),
            low=min(rows[session], key=float),
            close=rows[session][1],
            volume=1000,
        )
        for symbol, rows in simulator.PRICES.items()
        if rows[session] is not None
    ]
    return messages.SliceMessage(timeframe="1d", end=day.close, bars=tuple(bars))


@contextlib.asynccontextmanager
async def published(redis_url: str, venue: simulator.Venue) -> AsyncIterator[None]:
    """Publish the first session's bars, and that nothing came until the next open."""
    async with redis_asyncio.Redis.from_url(redis_url) as client:
        await client.xadd("bars:1d", {"message": slice_of(venue, 0).model_dump_json()}, id="1-0")
        later = messages.SliceMessage(timeframe="1d", end=venue.sessions[1].open, bars=())
        await client.xadd("bars:1d", {"message": later.model_dump_json()}, id="2-0")
        yield
