"""The gateway's bench stands on the real thing: API server, PostgreSQL with fsync, Valkey, durable simulator, gateway.

Everything is a process of its own, started as ``tradeplane up`` starts it; only operator and Ray are left out, whose
place a client of the gateway takes here. Strategies exist as objects, so that the gateway knows whom to trust.
"""

import contextlib
import dataclasses
import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import redis

from tradeplane_cli.local import environment, ports, progress
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import bars, numbers, times
from tradeplane_workers import bar_messages, messages

OPEN, CLOSE = times.instant("2012-03-02T14:30:00Z"), times.instant("2012-03-02T21:00:00Z")
MINUTES = (CLOSE - OPEN) // times.MINUTE
CASH = "1000000000"
# Limits of every family that needs no live source, which cannot bind.
POLICY = {
    "order": {"maxNotional": "100000000", "maxQuantity": "1000000"},
    "position": {"maxWeight": "1000", "allowShort": True},
    "portfolio": {"maxGross": "1000", "maxNet": "1000"},
    "data": {"maxBarAge": "12h"},
}
_PATIENCE_S = 120.0
_SAVED_WITHIN = 5000  # places of the ledger's sequence
# Orders of one strategy that is long gone, in the order in which the tables refer to each other.
_SEED = """
update ledger set sequence = sequence + 3 * {past} + 3;
create table seeded as select sequence - 3 * {past} - 3 as base from ledger;
insert into decisions (sequence, strategy_uid, strategy, generation, attempt, trigger, outcome, detail,
model_digest, feature_set, policy_hash, account_policy_hash, epoch, digest) select base + n, 'past', 'past',
1, 1, {at} + n, 'traded', '', '', '', '', '', 1, '' from seeded, generate_series(1, {past}) as n;
insert into intents (sequence, client_order_id, decision, position, strategy_uid, trigger, symbol, side,
quantity, type, time_in_force, role, status) select base + {past} + n, 'past-' || n, base + n, 0, 'past', {at}
+ n, 'S001', case n % 2 when 0 then 'sell' else 'buy' end, 1000000000, 'market', 'day', 'order',
'acknowledged' from seeded, generate_series(1, {past}) as n;
insert into orders (client_order_id, broker_order_id, sub_ledger, strategy_uid, decision, model_digest,
feature_set, policy_hash, generation, symbol, side, quantity, type, time_in_force, status, filled, reported)
select 'past-' || n, 'past-' || n, 'past', 'past', base + n, '', '', '', 1, 'S001', case n % 2 when 0 then
'sell' else 'buy' end, 1000000000, 'market', 'day', 'filled', 1000000000, 1000000000 from seeded,
generate_series(1, {past}) as n;
insert into fills (broker_order_id, cumulative_from, cumulative_to, client_order_id, sub_ledger, symbol, side,
quantity, price, paid, at, sequence) select 'past-' || n, 0, 1000000000, 'past-' || n, 'past', 'S001', case n
% 2 when 0 then 'sell' else 'buy' end, 1000000000, 1000000, case n % 2 when 0 then -1 else 1 end *
100000000000, {at}, base + 2 * {past} + n from seeded, generate_series(1, {past}) as n;
analyze
"""


def minutes(symbols: int, seed: int) -> list[bars.Bar]:
    """Return a random walk of every minute of one session, per symbol."""
    source = random.Random(seed)  # noqa: S311 - made-up bars
    found = []
    for name in names(symbols):
        close = 1_000_000  # 100 USD
        for at in range(MINUTES):
            start = times.Nanos(OPEN + at * times.MINUTE)
            opened = close + source.randrange(-500, 501)
            close = opened + source.randrange(-500, 501)
            found.append(
                bars.Bar(
                    symbol=name,
                    start=start,
                    end=times.Nanos(start + times.MINUTE),
                    available_at=times.Nanos(start + times.MINUTE),
                    open=numbers.Price(opened),
                    high=numbers.Price(max(opened, close)),
                    low=numbers.Price(min(opened, close)),
                    close=numbers.Price(close),
                    volume=1_000_000,
                )
            )
    return found


def names(symbols: int) -> list[str]:
    """Return that many symbols."""
    return [f"S{number:03d}" for number in range(symbols)]


@dataclass
class World:
    """The running environment, and what a strategy of it is told.

    configs : one per strategy, each with a symbol of its own
    minutes : the bars of each minute of the session
    passed : how many of them have passed
    """

    running: environment.Environment
    configs: list[messages.StrategyConfig]
    minutes: list[list[bars.Bar]]
    passed: int = 0
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def gateway(self) -> str:
        """Base URL."""
        return self.running.addresses.url("gateway")

    def state(self) -> dict[str, Any]:
        """Return the gateway's state; raises httpx2.HTTPError."""
        found: dict[str, Any] = httpx2.get(f"{self.gateway}/v1/state", timeout=30).raise_for_status().json()
        return found

    def wait_enabled(self) -> float:
        """Wait until trading is enabled and reconciled; return how many seconds that took."""
        began = time.perf_counter()
        last: object = None
        while time.perf_counter() - began < _PATIENCE_S:
            try:
                last = shown = self.state()
                if shown["state"] == "enabled" and shown["reconciliation"]["clean"] and shown["epoch"]["valid"]:
                    return time.perf_counter() - began
            except httpx2.HTTPError as error:
                last = error
            self.running.supervisor.check()
            time.sleep(0.01)
        raise TimeoutError(f"the gateway did not become enabled within {_PATIENCE_S} s: {last}")

    def pass_minute(self) -> None:
        """Let a minute of the session pass: orders fill at the next one's open, and its bars are published."""
        with self._turn:
            end = times.Nanos(OPEN + (self.passed + 1) * times.MINUTE)
            url = f"{self.running.addresses.url('simulator_control')}/control/clock"
            httpx2.post(url, json={"to": times.text(times.Nanos(end + times.SECOND))}, timeout=60).raise_for_status()
            entries = tuple(bar_messages.bar_message(bar) for bar in self.minutes[self.passed])
            message = messages.SliceMessage(timeframe="1m", end=times.text(end), bars=entries)
            with redis.Redis.from_url(self.running.valkey.url()) as client:
                client.xadd("bars:1m", {"message": message.model_dump_json()}, id=f"{end // 1_000_000}-0")
            self.passed += 1

    def seed(self, past: int) -> None:
        """Write so many filled orders of an earlier day into the ledger: shares bought and sold at one price."""
        at = int(OPEN) - times.DAY
        for statement in _SEED.split(";"):
            self.running.postgres.sql(statement.format(past=past, at=at), database=environment.DATABASE)

    def wait_saved(self) -> None:
        """Wait until the gateway has saved its books up to a place near the end of the ledger."""
        question = "select (select max(sequence) from fills) - coalesce((select max(sequence) from books), 0)"
        began = time.perf_counter()
        while int(self.running.postgres.sql(question, database=environment.DATABASE) or 0) > _SAVED_WITHIN:
            if time.perf_counter() - began > _PATIENCE_S:
                raise TimeoutError("the gateway does not save its books")
            time.sleep(0.2)

    def start_standby(self) -> str:
        """Start a second gateway and return its URL once it answers."""
        (number,) = ports.free(1)
        spec = self.running.gateway()
        listen = f"127.0.0.1:{number}"
        env = {**spec.env, "TRADEPLANE_LISTEN": listen}
        log = spec.log.with_name("standby.log")
        self.running.supervisor.run(dataclasses.replace(spec, name="standby", env=env, log=log, ready=lambda: None))
        return f"http://{listen}"

    def cpu_s(self) -> dict[str, float]:
        """Return user and system seconds of every process so far, its children's included."""
        run = self.running.supervisor
        return {name: round(sum(_cpu_s(entry.pid) for entry in run.members(name)), 2) for name in run.running}

    def resident_mib(self, name: str) -> float:
        """Return the resident memory of a process now."""
        pages = int(Path(f"/proc/{self.running.supervisor.pid(name)}/statm").read_text().split()[1])
        return pages * 4096 / 2**20


@contextlib.contextmanager
def opened(home: Path, *, strategies: int, seed: int) -> Iterator[World]:
    """Start everything and enable trading, an instant after the session's open; leaving the block ends it."""
    data = home / "dataset"
    found = minutes(strategies, seed)
    manifest = {"name": "bench", "timeframe": "1m", "origin": "made up by the bench", "licence": "none"}
    dataset.write(data, manifest=manifest, found=found, actions=())
    clock = times.text(times.Nanos(OPEN - times.HOUR))
    options = environment.Options(home=home / "run", dataset=data, clock=clock, name="bench", cash=CASH)
    with progress.Lines() as lines, environment.opened(options, progress=lines) as running:
        running.start_servers()
        for spec in (running.simulator(), running.gateway()):
            running.supervisor.run(spec)
        by_minute = [found[at::MINUTES] for at in range(MINUTES)]
        world = World(running, _configs(running, strategies), by_minute)
        for _ in range(2):  # a decision in the second one knows a price
            world.pass_minute()
        running.kubectl("patch", "configmap", "kill-switch", "--type=merge", '--patch={"data":{"trading":"enabled"}}')
        world.wait_enabled()
        yield world


def _configs(running: environment.Environment, strategies: int) -> list[messages.StrategyConfig]:
    """Apply policy, Environment, switch and Strategies; return what their jobs would be told."""
    version = "tradeplane.dev/v1alpha1"
    specs = [
        {
            "universe": {"symbols": [symbol]},
            "bars": {"timeframe": "1m"},
            "signal": {"code": {"entrypoint": "bench:Bench"}},
            "portfolio": {"capital": "1000000"},
            "riskPolicyRef": "prudent",
        }
        for symbol in names(strategies)
    ]
    items: list[dict[str, Any]] = [
        {"apiVersion": version, "kind": "RiskPolicy", "metadata": {"name": "prudent"}, "spec": POLICY},
        *(
            {"apiVersion": version, "kind": "Strategy", "metadata": {"name": f"bench-{number:03d}"}, "spec": spec}
            for number, spec in enumerate(specs)
        ),
    ]
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    # The operator's to make, and nobody else's.
    switch = {"name": "kill-switch", "namespace": running.options.name}
    running.plane.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": switch, "data": {"trading": "halted"}})
    running.kubectl("apply", "--filename=-", stdin=document)
    running.kubectl("apply", f"--filename={running.manifest}")
    listed = json.loads(running.kubectl("get", "strategies", "--output=json"))["items"]
    return [
        messages.StrategyConfig(
            environment=running.options.name,
            name=item["metadata"]["name"],
            uid=item["metadata"]["uid"],
            generation=1,
            attempt=1,
            spec=item["spec"],
            policy=messages.PolicyReference(name="prudent", hash="", spec=POLICY),
        )
        for item in listed
    ]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
