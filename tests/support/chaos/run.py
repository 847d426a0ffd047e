"""One run: a seed's faults over a small trading week, and what must be true after it.

The client, both gateways, the ledger, the cache and the venue talk over real sockets, and each gateway has links of its
own to all of them. A seed fixes the faults, not the scheduling.
"""

import asyncio
import contextlib
import json
import os
import pathlib
import random
import time
import urllib.parse
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx2
import pytest
import redis.asyncio as redis_asyncio
import structlog

from support import gateway, simulator
from support.chaos import actor, links
from support.exactly_once import removals
from tradeplane_engine.domain import numbers
from tradeplane_workers.audit import chain, trail
from tradeplane_workers.gateway import (
    bookkeeper,
    breaker,
    cancels,
    epoch,
    outcomes,
    reconcile,
    sender,
    service,
    stream,
)
from tradeplane_workers.stores import schema

REST_S = 15.0
_SCALE = 0.2  # of the lease's times; their order to each other stays
_UNSEEN_S = 1.0
_SESSIONS = 3
_FINAL = ("refused", "acknowledged", "broker-refused", "not-sent", "unseen")
_FAULTS = {
    links.ORDER: (12, ("lost", "unanswered", "doubled", "delayed", "late", "busy", "gone")),
    links.CANCEL: (4, ("lost", "unanswered", "doubled", "delayed", "late", "busy")),
    links.LOOK_UP: (4, ("lost", "hidden", "delayed", "busy")),
    links.LIST: (20, ("lost", "busy", "delayed", "gone")),
    "frame": (30, ("lost", "doubled", "delayed", "reordered", "gone")),
}
_CLIENT = {"decision": (4, ("lost", "unanswered", "doubled", "delayed", "late", "gone"))}
_BYTES = {"ask": (500, ("lost", "delayed", "gone")), "answer": (500, ("lost", "delayed", "gone"))}


@dataclass
class Plan:
    """What a seed says: faults of each gateway that is ever started, in order of their starts."""

    seed: int
    gateways: int
    waits: list[bool]
    places: random.Random

    @classmethod
    def of(cls, seed: int) -> "Plan":
        """Draw a plan."""
        drawn = random.Random(seed)  # noqa: S311 - must repeat
        return cls(
            seed,
            1 + (drawn.random() < 0.4),
            [drawn.random() < 0.6 for _ in range(2 * _SESSIONS)],
            random.Random(seed),  # noqa: S311
        )


@dataclass
class Result:
    """How a run went: ``violated`` is empty where all is well, ``trace`` is everything that was noted."""

    seed: int
    seconds: float = 0.0
    violated: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    steps: int = 0
    orders: int = 0
    fills: int = 0
    trace: list[str] = field(default_factory=list)


class _Process:
    """A gateway with its links."""

    def __init__(self, around: "Run", number: int, faults: dict[str, list[links.Fault]], at: dict[int, Any]) -> None:
        self._around = around
        self.actor = actor.Actor(f"G{number}", at)

        def link(name: str, connect: links.Connect, *, http: bool) -> links.Link:
            return links.Link(
                connect, name=f"G{number} {name}", faults=faults.get(name, []), note=around.fault, http=http
            )

        self.broker = link("broker", around.venue_socket, http=True)
        self.database = link("database", around.database_socket, http=False)
        self.cache = link("cache", around.cache_socket, http=False)
        self.client = link("client", self._own_socket, http=True)
        self.task: asyncio.Task[None] | None = None
        self._serving: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._port = 0
        self._made: service.Gateway | None = None

    @property
    def all(self) -> tuple[links.Link, ...]:
        """Its links."""
        return self.broker, self.database, self.cache, self.client

    async def start(self) -> None:
        """Start."""
        for each in self.all:
            await each.open()
        # The Environment that this gateway reads leads it to its own links.
        cluster = self._around.cluster
        around = self

        def connect(_: str, __: str, *, credentials: Any) -> Any:
            address = f"127.0.0.1:{around.broker.port}"
            return service.alpaca.Alpaca(f"http://{address}", f"ws://{address}/stream", credentials=credentials)

        settings = gateway.settings(
            f"postgresql://postgres@127.0.0.1:{self.database.port}/{self._around.database_name}",
            f"redis://127.0.0.1:{self.cache.port}/{self._around.cache_number}",
            holder=self.actor.name,
        )
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def serve() -> None:
            async with gateway.served(self._made) as url:  # type: ignore[arg-type]  # made above
                ready.set_result(url)
                await self._stop.wait()

        async def work() -> None:
            assert self._made is not None
            try:
                await self._made.run()
            finally:
                if not self.actor.is_still:
                    await self._made.stop()

        token = actor.ACTOR.set(self.actor)
        self._made = service.Gateway(settings, cluster, connect=connect)
        actor.ACTOR.reset(token)
        # Serving is no step of the gateway's own; what it serves is.
        at, self.actor.at = self.actor.at, {}
        self._serving = self.actor.start(serve())
        url = await ready
        self._port = int(url.rpartition(":")[2])
        self.actor.at = {self.actor.steps + step: fault for step, fault in at.items()}
        self.task = self.actor.start(work())

    async def _own_socket(self) -> links.Pair:
        return await asyncio.open_connection("127.0.0.1", self._port)

    @property
    def has_ended(self) -> bool:
        """Whether it must be started anew."""
        return self.actor.is_dead or (self.task is not None and self.task.done())

    def kill(self) -> None:
        """End it as SIGKILL would."""
        self.actor.kill()
        for each in self.all:
            each.down()

    async def bury(self) -> None:
        """Take away what is left."""
        for each in self.all:
            each.close()
        # A listener that is not closed in order leaves its file descriptor with the loop.
        self.actor.let_go()
        self._stop.set()
        if self._serving is not None:
            await asyncio.wait([self._serving], timeout=2)
        await self.actor.bury()


class Run:
    """A seed's run in its surroundings.

    Parameters
    ----------
    seed : chooses the faults
    postgres_url, redis_url : a migrated database, an empty cache, both behind Unix sockets
    """

    def __init__(self, seed: int, venue: simulator.Venue, postgres_url: str, redis_url: str) -> None:
        self.venue = venue
        self.result = Result(seed)
        self.cluster = gateway.cluster_of(venue)
        self._plan = Plan.of(seed)
        self._postgres_url = postgres_url
        self._redis_url = redis_url
        parsed = urllib.parse.urlsplit(postgres_url)
        self._postgres = f"{urllib.parse.parse_qs(parsed.query)['host'][0]}/.s.PGSQL.5432"
        self.database_name = parsed.path.lstrip("/")
        cache = urllib.parse.urlsplit(redis_url)
        self._valkey, self.cache_number = cache.path, int(urllib.parse.parse_qs(cache.query)["db"][0])
        self._running: list[_Process] = []
        self._ended: list[_Process] = []
        self._count = 0
        self._token, self._attempt = "", 1
        self._receipts: dict[str, dict[str, Any]] = {}
        self._started_s = time.monotonic()

    def note(self, text: str) -> None:
        """Keep a line of the trace."""
        self.result.trace.append(f"{time.monotonic() - self._started_s:7.3f} {text}")

    def fault(self, text: str) -> None:
        """Note a fault that happened."""
        self.result.faults.append(text)
        self.note(f"FAULT {text}")

    async def venue_socket(self) -> links.Pair:
        """Connect to the simulator."""
        host, _, port = self.venue.listen.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    async def database_socket(self) -> links.Pair:
        """Connect to PostgreSQL."""
        return await asyncio.open_unix_connection(self._postgres)

    async def cache_socket(self) -> links.Pair:
        """Connect to Valkey."""
        return await asyncio.open_unix_connection(self._valkey)

    async def go(self) -> Result:
        """Run, and say what was violated."""
        loop = asyncio.get_running_loop()
        before = loop.get_task_factory()
        loop.set_task_factory(actor.factory)
        supervising: asyncio.Task[None] | None = None
        try:
            for _ in range(self._plan.gateways):
                await self._start()
            supervising = asyncio.create_task(self._supervise())
            async with self._client() as client:
                try:
                    async with asyncio.timeout(25):
                        await self._week(client)
                except TimeoutError:
                    self.result.violated.append("the week does not end")
                self.note("the faults are over")
                await self._rest()
        finally:
            if supervising is not None:
                supervising.cancel()
                await asyncio.gather(supervising, return_exceptions=True)
            self.result.steps = sum(each.actor.steps for each in (*self._running, *self._ended))
            for each in (*self._running, *self._ended):
                await each.bury()
            loop.set_task_factory(before)
        self.result.seconds = time.monotonic() - self._started_s
        return self.result

    # Gateways.

    async def _start(self) -> None:
        drawn, self._count = self._plan.places, self._count + 1
        faults: dict[str, list[links.Fault]] = {}
        at: dict[int, Any] = {}
        if self._count <= 4:
            broker = [_drawn(drawn, _FAULTS) for _ in range(drawn.randrange(4))]
            faults = {"broker": broker, "client": [_drawn(drawn, _CLIENT)] if drawn.random() < 0.4 else []}
            faults["database"] = [_drawn(drawn, _BYTES)] if drawn.random() < 0.4 else []
            faults["cache"] = [_drawn(drawn, _BYTES)] if drawn.random() < 0.2 else []
            if drawn.random() < 0.6:
                at[int(10 ** drawn.uniform(1, 3.8))] = self._killed
            if drawn.random() < (0.7 if self._plan.gateways > 1 else 0.2):
                at[int(10 ** drawn.uniform(1, 3.8))] = self._pauser(drawn.uniform(0.1, 1.5))
        made = _Process(self, self._count, faults, at)
        self.note(f"{made.actor.name} starts")
        self._running.append(made)
        await made.start()

    def _killed(self, who: actor.Actor, where: str) -> None:
        self.fault(f"{who.name} killed at {where}")
        who.kill()
        next(each for each in self._running if each.actor is who).kill()

    def _pauser(self, seconds: float) -> Any:
        def pause(who: actor.Actor, where: str) -> None:
            self.fault(f"{who.name} paused at {where} for {seconds:.2f}")
            who.pause()
            asyncio.get_running_loop().call_later(seconds, who.resume)

        return pause

    async def _supervise(self) -> None:
        while True:
            for each in [each for each in self._running if each.has_ended]:
                self._running.remove(each)
                self._ended.append(each)
                if each.task is not None and each.task.done() and not each.actor.is_dead:
                    self.note(f"{each.actor.name} ended: {each.task.exception()!r}")
                    each.kill()
                await self._start()
            await asyncio.sleep(0.05)

    # The client.

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[gateway.Bench]:
        redis = redis_asyncio.Redis.from_url(self._redis_url)
        async with httpx2.AsyncClient(timeout=3) as http:
            # Of a bench only its messages are used: this client speaks to whoever leads.
            yield gateway.Bench(None, self.cluster, self.venue, http, redis, None)  # type: ignore[arg-type]
        await redis.aclose()

    async def _ask(self, bench: gateway.Bench, method: str, path: str, body: Any = None) -> httpx2.Response | None:
        for each in list(self._running):
            with contextlib.suppress(httpx2.HTTPError):
                answer = await bench.http.request(method, f"http://127.0.0.1:{each.client.port}{path}", json=body)
                if answer.status_code in {200, 409}:
                    return answer
                self.note(f"{each.actor.name} answers {path}: {answer.status_code} {answer.text[:200]}")
        await asyncio.sleep(0.05)
        return None

    async def _decide(
        self, bench: gateway.Bench, session: int, intents: list[tuple[Any, ...]], cancels: list[str]
    ) -> dict[str, Any]:
        while True:
            if not self._token:
                wanted = {"config": gateway.config(attempt=self._attempt).model_dump(mode="json")}
                answer = await self._ask(bench, "POST", "/v1/strategies/momentum/fence", wanted)
                if answer is not None and answer.status_code == 200:
                    self._token = answer.json()["token"]
                elif answer is not None:
                    # As a job that is started anew, because another holder of the fence may still live.
                    self._attempt += 1
                continue
            body = bench.body(self._token, session, intents, attempt=self._attempt, cancels=cancels)
            answer = await self._ask(bench, "POST", "/v1/strategies/momentum/decisions", body)
            if answer is None:
                continue
            if answer.status_code == 200:
                receipt: dict[str, Any] = answer.json()
                self.note(f"receipt {session}: {[(v['client_order_id'], v['reason']) for v in receipt['verdicts']]}")
                for verdict in receipt["verdicts"]:
                    self._receipts[verdict["client_order_id"]] = verdict
                return receipt
            self.note(f"decision {session}: {answer.text}")
            self._token, self._attempt = "", self._attempt + 1
            await asyncio.sleep(0.05)

    async def _settled(self, bench: gateway.Bench, session: int) -> None:
        trigger = urllib.parse.quote(self.venue.sessions[session].close)
        while True:
            answer = await self._ask(bench, "GET", f"/v1/settled?trigger={trigger}&timeout_s=1")
            if answer is not None and answer.status_code == 200 and answer.json()["settled"]:
                return
            # A standby answers too, and knows of nothing that is settled: ask the other one first next time.
            self._running = self._running[1:] + self._running[:1]

    async def _week(self, bench: gateway.Bench) -> None:
        self.cluster.set_switch("enabled")
        waits = iter(self._plan.waits)
        resting: list[str] = []
        await self._move(self.venue.sessions[0].published)
        for session in range(_SESSIONS):
            await bench.publish(session)
            size = session + 1
            far = (("number", 1), ("type", "limit"), ("limit_price", "450"), ("time_in_force", "gtc"))
            near = (("number", 1), ("type", "limit"), ("limit_price", "540"), ("time_in_force", "gtc"))
            intents: list[tuple[Any, ...]] = [
                ("AAPL", "buy", f"{size}0"),
                ("IBM", "buy" if session % 2 else "sell", f"{size}1"),
                ("AAPL", "buy", f"{size}2", *(near if self._plan.seed % 2 else far)),
            ]
            receipt = await self._decide(bench, session, intents, resting)
            resting = [v["client_order_id"] for v in receipt["verdicts"][2:] if not v["reason"]]
            if next(waits):
                await self._settled(bench, session)
            await self._move(self.venue.sessions[session + 1].open)
            if next(waits):
                await self._settled(bench, session)
            await self._move(self.venue.sessions[session + 1].published)

    async def _move(self, to: str) -> None:
        self.note(f"the venue's clock moves to {to}")
        await asyncio.to_thread(self.venue.move, to)

    # What must be true.

    async def _rest(self) -> None:
        for each in self._running:
            each.actor.at.clear()
            each.actor.resume()
            for link in each.all:
                link.heal()
        self._count = 1_000
        found: list[str] = ["nothing was looked at"]
        end = time.monotonic() + REST_S
        while found and time.monotonic() < end:
            await asyncio.sleep(0.1)
            found = await self._violated()
        self.result.violated += found

    async def _violated(self) -> list[str]:
        connection = await asyncpg.connect(self._postgres_url)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                found = await self._compared(connection)
                if not found:
                    walk = chain.Walk(())
                    async for entry in trail.entries(connection):
                        walk.take(entry)
                    walk.end()
        except chain.Broken as error:
            return [f"the audit trail is broken: {error}"]
        finally:
            await connection.close()
        if not found:
            reading = await trail.connect(self._postgres_url)
            try:
                found = (await trail.differences(reading))[0]
            finally:
                await reading.close()
        return found

    async def _compared(self, connection: Any) -> list[str]:
        intents = {
            row["client_order_id"]: row for row in await connection.fetch("select * from intents where role = 'order'")
        }
        orders = {row["client_order_id"]: row for row in await connection.fetch("select * from orders")}
        fills = await connection.fetch("select client_order_id, side, symbol, quantity, price from fills")
        broker = await self._broker()
        found = [f"lost: {name} was promised and is not in the ledger" for name in self._receipts.keys() - intents]
        for name, row in intents.items():
            if row["status"] not in _FINAL:
                found.append(f"unsettled: {name} is {row['status']}")
            if (row["status"] == "acknowledged") != (name in broker):
                found.append(f"{name} is {row['status']}, at the broker: {name in broker}")
        left = sum((each.broker.orders for each in (*self._running, *self._ended)), start=links.Counter())
        found += [f"doubled: {name} left {count} times" for name, count in left.items() if count > 1]
        found += [f"unknown to the ledger: {name}" for name in broker.keys() - orders.keys()]
        wanted = [(row["trigger"], row["symbol"], row["quantity"]) for name, row in intents.items() if name in broker]
        if len(wanted) != len(set(wanted)):
            found.append("doubled: two orders for one intent")
        filled: dict[str, int] = dict.fromkeys(broker, 0)
        positions: dict[str, int] = {}
        for row in fills:
            filled[row["client_order_id"]] = filled.get(row["client_order_id"], 0) + row["quantity"]
            sign = 1 if row["side"] == "buy" else -1
            positions[row["symbol"]] = positions.get(row["symbol"], 0) + sign * row["quantity"]
        for name, each in broker.items():
            if filled[name] != numbers.quantity(each["filled_qty"]):
                found.append(f"{name}: {filled[name]} booked, the broker filled {each['filled_qty']}")
            if name in orders and orders[name]["status"] != each["status"]:
                found.append(f"{name}: {orders[name]['status']} in the ledger, {each['status']} at the broker")
        held = {each["symbol"]: numbers.quantity(each["qty"]) for each in await self._asked("/v2/positions")}
        if held != {symbol: count for symbol, count in positions.items() if count}:
            found.append(f"positions: {positions} in the ledger, {held} at the broker")
        found += await self._sub_ledgers(connection, positions)
        self.result.orders, self.result.fills = len(broker), len(fills)
        return found or await self._shown()

    async def _sub_ledgers(self, connection: Any, positions: dict[str, int]) -> list[str]:
        rows = await connection.fetch("select symbol, sum(quantity)::bigint as held from positions group by symbol")
        parts = {row["symbol"]: row["held"] for row in rows if row["held"]}
        whole = {symbol: count for symbol, count in positions.items() if count}
        return [] if parts == whole else [f"sub-ledgers: {parts} in parts, {whole} as a whole"]

    async def _shown(self) -> list[str]:
        """Cash and positions as the leading gateway says, and that it is clean."""
        async with httpx2.AsyncClient(timeout=3) as http:
            for each in list(self._running):
                with contextlib.suppress(httpx2.HTTPError):
                    url = f"http://127.0.0.1:{each.client.port}/v1"
                    state, account = (await http.get(f"{url}/state")).json(), await http.get(f"{url}/account")
                    if account.status_code != 200 or state.get("state") != "enabled":
                        continue
                    if not state["reconciliation"]["clean"]:
                        continue
                    return _cash_differs(account.json(), (await self._asked("/v2/account"))["cash"])
        return ["no gateway leads, clean and enabled"]

    async def _broker(self) -> dict[str, dict[str, Any]]:
        found = await self._asked("/v2/orders?status=all&limit=500&nested=false")
        return {each["client_order_id"]: each for each in found}

    async def _asked(self, path: str) -> Any:
        keys = {"APCA-API-KEY-ID": self.venue.key_id, "APCA-API-SECRET-KEY": self.venue.secret_key}
        async with httpx2.AsyncClient(timeout=10) as http:
            answer = await http.get(f"{self.venue.url}{path}", headers=keys)
        answer.raise_for_status()
        return answer.json()


def _cash_differs(account: dict[str, Any], cash: str) -> list[str]:
    ours = account["cash"]
    return [] if numbers.money(ours) == numbers.money(cash) else [f"cash: {ours} in the ledger, {cash} at the broker"]


def _drawn(drawn: random.Random, sorts: dict[str, tuple[int, tuple[str, ...]]]) -> links.Fault:
    sort = drawn.choice(sorted(sorts))
    most, kinds = sorts[sort]
    return links.Fault(
        sort, 1 + int(most * drawn.random() ** 2), drawn.choice(kinds), round(drawn.uniform(0.05, 1.5), 2)
    )


def impatient(patch: pytest.MonkeyPatch) -> None:
    """Make waiting short, and leave the order of what is waited for."""
    for name in ("_PERIOD_S", "VALID_S", "TAKEOVER_S"):
        patch.setattr(epoch, name, getattr(epoch, name) * _SCALE)
    for module, name, seconds in (
        (outcomes, "UNSEEN_AFTER_S", _UNSEEN_S),
        (outcomes, "_RETRY_S", 0.1),
        (outcomes, "_LONGEST_PAUSE_S", 0.5),
        (sender, "_IDLE_S", 0.5),
        (bookkeeper, "_RETRY_S", 0.1),
        (stream, "_PERIODIC_S", 1.0),
        (stream, "_RETRY_S", 0.2),
        (stream, "_LONGEST_PAUSE_S", 0.5),
        (reconcile, "_AGAIN_S", 0.2),
        (cancels, "_ROUND_S", 0.3),
        (breaker, "_FIRST_PAUSE_S", 0.2),
        (breaker, "_LONGEST_PAUSE_S", 0.5),
    ):
        patch.setattr(module, name, seconds)


async def run(seed: int, folder: pathlib.Path, *, postgres_url: str, redis_url: str, without: str = "") -> Result:
    """Run a seed against the database at a URL, which is migrated here, and a simulator of its own in ``folder``."""
    await schema.upgrade(postgres_url)
    async with redis_asyncio.Redis.from_url(redis_url) as cache:
        await cache.flushdb()
    with simulator.threaded(folder) as venue, pytest.MonkeyPatch.context() as patch:
        impatient(patch)
        if without:
            removals.REMOVALS[without](patch)
        made = Run(seed, venue, postgres_url, redis_url)

        def keep(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
            who = actor.ACTOR.get()
            made.note(f"{'' if who is None else who.name} {json.dumps(event, default=str)}")
            raise structlog.DropEvent

        structlog.configure(processors=[keep], cache_logger_on_first_use=False)
        try:
            found = await made.go()
        finally:
            structlog.reset_defaults()
        if found.violated:
            found.trace += [f"venue {json.dumps(row)}" for row in venue.journal()]
        return found


def store(path: pathlib.Path, result: Result) -> None:
    """Append a result to a file in one write, which no crash can halve for the next reader."""
    line = json.dumps({name: value for name, value in vars(result).items() if name != "trace"}) + "\n"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)
