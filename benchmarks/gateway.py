"""The gateway's bench: real HTTP, fsync on, every part a process of its own on this machine, the simulator durable.

    python benchmarks/gateway.py submit --orders 500          # one client: from the decision to its receipt
    python benchmarks/gateway.py query --orders 500           # one client: its orders, the state
    python benchmarks/gateway.py rate --rate 300 --seconds 60 # 50 clients on an open-loop schedule
    python benchmarks/gateway.py restart --open 10000 --past 1000000
    python benchmarks/gateway.py failover --kills 5           # from the leader's end to the standby's first decision

The last line of the output is JSON, times in ms. ``rate`` counts from the instant at which an order was due, so that a
gateway that falls behind is charged with what waits; each order must come back from the broker as ``new`` and as a
fill, and be in the ledger, before the run is over. ``restart`` kills a gateway whose ledger has many orders and waits
until the next one trades: three seconds of it are the silence after which the killed one counts as gone. So is it with
``failover``, where a standby waits.
"""

import argparse
import asyncio
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gateway_world
import httpx2

from tradeplane_cli.local import postgres
from tradeplane_engine.domain import times
from tradeplane_workers import messages

_CLIENTS = 50
_TOGETHER = 200  # orders of one decision
_PER_MINUTE = 50  # decisions of one client
_PER_S = 40  # decisions of one client, which may make 50 requests a second
_PATIENCE_S = 120.0


class GatewayError(Exception):
    """The gateway refused what the bench asked for: there is nothing to measure."""


class Client:
    """One strategy: takes its fence, then decides to buy a share again and again.

    Triggers are whole seconds of the newest minute that has ended, each a second after the one before.
    """

    def __init__(self, http: "httpx2.AsyncClient | Either", config: messages.StrategyConfig) -> None:
        self._http = http
        self._config = config
        self._token = ""
        self._last = times.Nanos(0)
        self.symbol = str(config.spec["universe"]["symbols"][0])

    async def start(self, attempt: int = 1) -> None:
        """Take the fence."""
        self._config = self._config.model_copy(update={"attempt": attempt})
        body = messages.FenceRequest(config=self._config).model_dump_json()
        answer = await self._post("fence", body)
        self._token = answer["token"]

    async def order(self, passed: int, *intents: messages.IntentMessage) -> None:
        """Decide once, at a second of the last minute that passed; raises GatewayError where it was refused."""
        begin = times.Nanos(gateway_world.OPEN + (passed - 1) * times.MINUTE)
        self._last = times.Nanos(max(self._last, begin) + times.SECOND)
        if self._last >= begin + times.MINUTE:
            raise GatewayError("more decisions of one strategy than a minute has seconds")
        decision = messages.DecisionMessage(
            uid=self._config.uid,
            generation=1,
            attempt=self._config.attempt,
            token=self._token,
            trigger=times.text(self._last),
            outcome="traded",
            intents=intents or (messages.IntentMessage(symbol=self.symbol, side="buy", quantity="1"),),
        )
        answer = await self._post("decisions", decision.model_dump_json())
        verdict = answer["verdicts"][0]
        if verdict["reason"]:
            raise GatewayError(str(verdict))

    async def _post(self, what: str, body: str) -> dict[str, Any]:
        path = f"/v1/strategies/{self._config.name}/{what}"
        while True:
            answer = await self._http.post(path, content=body, headers={"content-type": "application/json"})
            if answer.status_code != httpx2.codes.SERVICE_UNAVAILABLE:
                break
            await asyncio.sleep(0.02)
        if answer.status_code != httpx2.codes.OK:
            raise GatewayError(answer.text)
        found: dict[str, Any] = answer.json()
        return found


async def submit(world: gateway_world.World, http: httpx2.AsyncClient, chosen: argparse.Namespace) -> dict[str, object]:
    """Measure one client's orders, one after the other."""
    client = Client(http, world.configs[0])
    await client.start()
    took = await _one_after_the_other(world, client, chosen.orders)
    await _all_filled(world, http, chosen.orders)
    return _spread(took)


async def query(world: gateway_world.World, http: httpx2.AsyncClient, chosen: argparse.Namespace) -> dict[str, object]:
    """Measure one client's questions to a ledger that has some orders."""
    client = Client(http, world.configs[0])
    await client.start()
    await _one_after_the_other(world, client, chosen.orders)
    await _all_filled(world, http, chosen.orders)
    found = {}
    for path in ("/v1/state", "/v1/orders", "/v1/positions"):
        took = []
        for _ in range(100):
            before = time.perf_counter()
            (await http.get(path)).raise_for_status()
            took.append(time.perf_counter() - before)
        found[path] = _spread(took)
    return {"orders": chosen.orders, "paths": found}


async def _one_after_the_other(world: gateway_world.World, client: Client, orders: int) -> list[float]:
    took = []
    for number in range(orders):
        if number and number % _PER_MINUTE == 0:
            await asyncio.to_thread(world.pass_minute)
        before = time.perf_counter()
        await client.order(world.passed)
        took.append(time.perf_counter() - before)
        await asyncio.sleep(max(1 / _PER_S - took[-1], 0))
    return took


async def rate(world: gateway_world.World, http: httpx2.AsyncClient, chosen: argparse.Namespace) -> dict[str, object]:
    """Measure many clients, each order at its own instant whether or not the ones before are answered."""
    clients = [Client(http, config) for config in world.configs]
    await asyncio.gather(*(client.start() for client in clients))
    turns = [asyncio.Lock() for _ in clients]  # a strategy decides one thing after the other
    count = chosen.rate * chosen.seconds
    cpu, began = world.cpu_s(), time.perf_counter()
    took: list[float] = []

    async def pass_minutes() -> None:
        while True:
            await asyncio.sleep(1.0)
            await asyncio.to_thread(world.pass_minute)

    async def one(number: int) -> None:
        due = began + number / chosen.rate
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        at = number % len(clients)
        async with turns[at]:
            await clients[at].order(world.passed)
        took.append(time.perf_counter() - due)

    passing = asyncio.create_task(pass_minutes())
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(one(number))
    finally:
        passing.cancel()
    answered = time.perf_counter()
    await _all_filled(world, http, count)
    ended = time.perf_counter()
    spent = {name: round(used - cpu[name], 2) for name, used in world.cpu_s().items()}
    return {
        "orders": count,
        "rate": chosen.rate,
        "answered_per_s": round(count / (answered - began), 1),
        "filled_per_s": round(count / (ended - began), 1),
        **_spread(took),
        "cpu_s": spent,
        "gateway_mib": round(world.resident_mib("gateway"), 1),
    }


async def restart(
    world: gateway_world.World, http: httpx2.AsyncClient, chosen: argparse.Namespace
) -> dict[str, object]:
    """Measure how long a killed gateway's successor takes until it trades, with open orders and a long past."""
    client = Client(http, world.configs[0])
    await client.start()
    for first in range(0, chosen.open, _TOGETHER):
        await client.order(
            world.passed,
            *(
                messages.IntentMessage(
                    symbol=client.symbol,
                    side="buy",
                    quantity="1",
                    type="limit",
                    time_in_force="gtc",
                    limit_price="1",
                    number=number,
                )
                for number in range(min(_TOGETHER, chosen.open - first))
            ),
        )
    while (counts := (await http.get("/v1/state")).json()["counts"])["open_orders"] < chosen.open:
        print(counts, file=sys.stderr)
        await asyncio.sleep(5.0)
    await asyncio.to_thread(world.seed, chosen.past)
    took = []
    for _ in range(3):  # the first one reads the whole past, which nobody has booked yet
        before = time.perf_counter()
        world.running.supervisor.kill("gateway")
        await asyncio.to_thread(world.running.supervisor.start, "gateway")
        await asyncio.to_thread(world.wait_enabled)
        await client.start(attempt=2 + len(took))
        await client.order(world.passed)
        took.append(round(time.perf_counter() - before, 2))
        await asyncio.to_thread(world.wait_saved)
    return {
        "open": chosen.open,
        "past": chosen.past,
        "until_decided_s": took,
        "gateway_mib": world.resident_mib("gateway"),
    }


class Either:
    """Whichever of two gateways takes a request, as a Service would choose it."""

    def __init__(self, one: httpx2.AsyncClient, other: httpx2.AsyncClient) -> None:
        self._both = [one, other]

    async def post(self, path: str, **given: Any) -> httpx2.Response:
        """Post to the one that answered last, or to the other; raises what the second raises."""
        try:
            answer = await self._both[0].post(path, **given)
            if answer.status_code != httpx2.codes.SERVICE_UNAVAILABLE:
                return answer
        except httpx2.HTTPError:
            pass
        self._both.reverse()
        try:
            return await self._both[0].post(path, **given)
        except httpx2.HTTPError:
            return httpx2.Response(httpx2.codes.SERVICE_UNAVAILABLE)


async def failover(
    world: gateway_world.World, http: httpx2.AsyncClient, chosen: argparse.Namespace
) -> dict[str, object]:
    """Kill the leader again and again, and time the other one's first decision."""
    url = await asyncio.to_thread(world.start_standby)
    names = {world.gateway: "gateway", url: "standby"}
    detected, decided = [], []
    async with httpx2.AsyncClient(base_url=url, timeout=60, trust_env=False) as other:
        client = Client(Either(http, other), world.configs[0])
        await client.start()
        for _ in range(chosen.kills):
            roles = {name: await _role(address) for address, name in names.items()}
            leader = next(name for name, role in roles.items() if role == "leader")
            address = next(address for address, name in names.items() if name != leader)
            await _until(address, "standby")
            await client.order(world.passed)
            before = time.perf_counter()
            world.running.supervisor.kill(leader)
            deciding = asyncio.create_task(client.order(world.passed))
            await _until(address, "leader")
            detected.append(round(time.perf_counter() - before, 2))
            await deciding
            decided.append(round(time.perf_counter() - before, 2))
            await asyncio.to_thread(world.running.supervisor.start, leader)
            await asyncio.to_thread(world.pass_minute)
    return {"kills": chosen.kills, "until_detected_s": detected, "until_decided_s": decided}


async def _until(url: str, role: str) -> None:
    for _ in range(int(_PATIENCE_S / 0.01)):
        if await _role(url) == role:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError(f"{url} did not become {role} within {_PATIENCE_S} s")


async def _role(url: str) -> str:
    try:
        async with httpx2.AsyncClient(timeout=5, trust_env=False) as http:
            return str((await http.get(f"{url}/healthz")).json()["role"])
    except httpx2.HTTPError:
        return ""


async def _all_filled(world: gateway_world.World, http: httpx2.AsyncClient, count: int) -> None:
    """Wait until every order is sent and acknowledged, let the next minutes open, and wait for the fills."""
    began = time.perf_counter()
    counts: dict[str, Any] = {}
    while time.perf_counter() - began < _PATIENCE_S:
        counts = (await http.get("/v1/state")).json()["counts"]
        if counts["fills"] >= count:
            return
        if not counts["unsettled_intents"] and world.passed < gateway_world.MINUTES - 1:
            await asyncio.to_thread(world.pass_minute)
        await asyncio.sleep(0.1)
    raise TimeoutError(f"{count} orders were not filled within {_PATIENCE_S} s: {counts}")


def _spread(took: Sequence[float]) -> dict[str, object]:
    cuts = statistics.quantiles(took, n=1000)
    return {
        "median_ms": round(1e3 * statistics.median(took), 2),
        "p95_ms": round(1e3 * cuts[949], 2),
        "p99_ms": round(1e3 * cuts[989], 2),
        "worst_ms": round(1e3 * max(took), 2),
    }


def fsync_us(home: Path) -> float | None:
    """Return what pg_test_fsync says of fdatasync, the way in which Linux commits, in us; None without the program."""
    program = postgres.programs() / "pg_test_fsync"
    if not program.exists():
        return None
    shown = subprocess.run(
        [program, "-s", "1", "-f", home / "fsync"], capture_output=True, text=True, check=True
    ).stdout
    line = next(one for one in shown.splitlines() if one.strip().startswith("fdatasync"))
    return float(line.split()[-2])


_MEASURES = {"submit": submit, "query": query, "rate": rate, "restart": restart, "failover": failover}


async def measured(world: gateway_world.World, chosen: argparse.Namespace) -> dict[str, object]:
    """Run what was chosen."""
    limits = httpx2.Limits(max_connections=_CLIENTS, max_keepalive_connections=_CLIENTS)
    async with httpx2.AsyncClient(base_url=world.gateway, timeout=60, limits=limits, trust_env=False) as http:
        return await _MEASURES[chosen.what](world, http, chosen)


def main(given: Sequence[str]) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=tuple(_MEASURES))
    parser.add_argument("--orders", type=int, default=500)
    parser.add_argument("--rate", type=int, default=300, help="orders per second")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--open", type=int, default=10_000, help="open orders of a restart")
    parser.add_argument("--past", type=int, default=1_000_000, help="filled orders of its ledger")
    parser.add_argument("--kills", type=int, default=5, help="of leaders")
    parser.add_argument("--seed", type=int, default=1, help="of the made-up bars")
    chosen = parser.parse_args(given)
    home = Path(tempfile.mkdtemp(prefix="tp-bench-"))
    try:
        with gateway_world.opened(home, strategies=_CLIENTS, seed=chosen.seed) as world:
            found = asyncio.run(measured(world, chosen))
            found["fdatasync_us"] = fsync_us(home)
    except BaseException:
        print(f"what ran wrote its logs into {home}", file=sys.stderr)
        raise
    shutil.rmtree(home, ignore_errors=True)
    print(json.dumps({"what": chosen.what, "machine": platform.machine(), **found}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
