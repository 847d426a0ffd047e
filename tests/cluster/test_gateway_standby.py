"""Two gateways as real processes on one ledger and one account: one leads, the other takes over whatever happens."""

import asyncio
import contextlib
import json
import pathlib
import signal
import subprocess
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx2
import pytest

from support import gateway, servers, simulator, tcp_proxy
from tradeplane_engine.domain import times
from tradeplane_kube import client
from tradeplane_workers import messages
from tradeplane_workers.gateway import __main__ as program

PATIENCE_S = 60.0
PERIOD_S = 0.05


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds that another process does, and tells nobody."""
    for _ in range(int(PATIENCE_S / PERIOD_S)):
        if await holds():
            return
        await asyncio.sleep(PERIOD_S)
    raise AssertionError(f"not within {PATIENCE_S} s")


@dataclass
class Member:
    """One gateway's process."""

    process: "subprocess.Popen[bytes]"
    url: str
    log: pathlib.Path
    database: tcp_proxy.TcpProxy
    """Its way to PostgreSQL."""

    async def is_ready(self, http: httpx2.AsyncClient) -> bool:
        """Whether it leads and hears the broker."""
        with contextlib.suppress(httpx2.HTTPError):
            return (await http.get(f"{self.url}/readyz")).status_code == 200
        return False

    async def role(self, http: httpx2.AsyncClient) -> str:
        """What it says that it is doing, nothing where it does not answer."""
        with contextlib.suppress(httpx2.HTTPError):
            return str((await http.get(f"{self.url}/healthz")).json()["role"])
        return ""


@dataclass
class Pair:
    """Two gateways, and a strategy that asks whichever is ready, as a Service would let it."""

    first: Member
    second: Member
    uid: str
    venue: simulator.Venue
    http: httpx2.AsyncClient
    postgres_url: str
    token: str = ""
    decided: int = 0

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask until somebody answers."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for member in (self.first, self.second):
                    with contextlib.suppress(httpx2.HTTPError):
                        answer = await self.http.post(f"{member.url}{path}", json=body)
                        if answer.status_code == 200:
                            found: dict[str, Any] = answer.json()
                            return found
                        assert answer.status_code == 503, answer.text
                await asyncio.sleep(0.05)

    async def start(self) -> None:
        """Take the fence."""
        config = gateway.config(uid=self.uid).model_dump(mode="json")
        self.token = (await self.post("/v1/strategies/momentum/fence", {"config": config}))["token"]

    async def decide(self) -> str:
        """Decide to buy a share, once more, and return the order's id."""
        self.decided += 1
        close = times.instant(self.venue.sessions[0].close, field="close")
        message = messages.DecisionMessage(
            uid=self.uid,
            generation=1,
            attempt=1,
            token=self.token,
            trigger=times.text(times.Nanos(close + self.decided * times.SECOND)),
            outcome="traded",
            intents=(messages.IntentMessage(symbol="AAPL", side="buy", quantity="1"),),
        )
        receipt = await self.post("/v1/strategies/momentum/decisions", message.model_dump(mode="json"))
        (verdict,) = receipt["verdicts"]
        assert verdict["reason"] == ""
        return str(verdict["client_order_id"])

    async def until(self, member: Member, role: str) -> None:
        """Wait until a gateway is what it should be; a leader, until it is ready too."""

        async def holds() -> bool:
            return await member.role(self.http) == role and (role != "leader" or await member.is_ready(self.http))

        await eventually(holds)

    async def check(self, wanted: list[str]) -> None:
        """No decision is lost, and the broker received each order that the ledger says it has once, and no other.

        What a gateway was about to send when it was stopped may have left or not; if not, nobody sends it again.
        """
        connection = await asyncpg.connect(self.postgres_url)

        async def settled() -> bool:
            query = "select count(*) from intents where status in ('released', 'sending', 'unknown')"
            return not await connection.fetchval(query)

        try:
            await eventually(settled)
            rows = await connection.fetch("select client_order_id, status from intents order by sequence")
        finally:
            await connection.close()
        assert [row["client_order_id"] for row in rows] == wanted
        received = [row["client_order_id"] for row in self.venue.journal() if row["method"] == "POST"]
        assert sorted(received) == sorted(row["client_order_id"] for row in rows if row["status"] == "acknowledged")
        assert len(received) >= len(wanted) - 1


@contextlib.contextmanager
def proxied(postgres_url: str) -> Iterator[tuple[tcp_proxy.TcpProxy, str]]:
    """Yield a way to PostgreSQL that can be cut, and the URL that goes it."""
    given = urllib.parse.urlsplit(postgres_url)
    query = dict(urllib.parse.parse_qsl(given.query))
    with tcp_proxy.TcpProxy(f"{query['host']}/.s.PGSQL.{query.get('port', 5432)}").serving() as proxy:
        user = given.netloc.rpartition("@")[0]
        yield proxy, f"postgresql://{user}@127.0.0.1:{proxy.port}{given.path}?sslmode=disable"


@pytest.fixture
async def pair(
    kube: servers.Kube, venue: simulator.Venue, postgres_url: str, redis_url: str, tmp_path: pathlib.Path
) -> AsyncIterator[Pair]:
    """A leader, a standby, and trading enabled."""
    uid = gateway.apply(kube, venue)
    async with (
        client.Client(kube.kubeconfig_for("risk"), kube.namespace) as person,
        httpx2.AsyncClient(timeout=5, trust_env=False) as http,
        gateway.published(redis_url, venue),
    ):
        await person.patch("ConfigMap", "kill-switch", {"data": {"trading": "enabled"}}, manager="person")
        with contextlib.ExitStack() as stack:
            members = []
            for name in ("first", "second"):
                log = tmp_path / f"{name}.log"
                database, through = stack.enter_context(proxied(postgres_url))
                process, url = stack.enter_context(gateway.process(kube, through, redis_url, log))
                members.append(Member(process, url, log, database))
            made = Pair(members[0], members[1], uid, venue, http, postgres_url)

            async def somebody() -> bool:
                return await made.first.is_ready(http) or await made.second.is_ready(http)

            await eventually(somebody)
            if await made.second.is_ready(http):
                made.first, made.second = made.second, made.first
            await made.until(made.second, "standby")
            await made.start()
            yield made


async def test_a_standby_says_who_leads_and_takes_nothing(pair: Pair) -> None:
    """It answers, is not ready, and sends whoever asks for more away."""
    health = (await pair.http.get(f"{pair.second.url}/healthz")).json()
    epoch = next(check for check in health["checks"] if check["name"] == "epoch")
    assert (health["role"], health["ready"], epoch["ok"]) == ("standby", False, False)
    assert epoch["message"].endswith("leads, epoch 1")
    assert (await pair.http.get(f"{pair.second.url}/readyz")).status_code == 503
    answer = await pair.http.get(f"{pair.second.url}/v1/account")
    assert (answer.status_code, answer.json()["reason"]) == (503, "not-ready")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_the_standby_takes_over(pair: Pair, how: signal.Signals) -> None:
    """In the middle of a strategy's decisions, none of which is lost or doubled."""
    wanted = [await pair.decide() for _ in range(5)]
    ending = asyncio.create_task(asyncio.to_thread(pair.first.process.wait))
    pair.first.process.send_signal(how)
    wanted += [await pair.decide() for _ in range(5)]
    await ending
    await pair.until(pair.second, "leader")
    wanted.append(await pair.decide())
    await pair.check(wanted)


async def test_a_leader_that_was_frozen_finds_itself_deposed(pair: Pair) -> None:
    """Thawed it commits nothing and ends, saying why; its successor has done everything."""
    wanted = [await pair.decide() for _ in range(3)]
    pair.first.process.send_signal(signal.SIGSTOP)
    await pair.until(pair.second, "leader")
    wanted += [await pair.decide() for _ in range(3)]
    pair.first.process.send_signal(signal.SIGCONT)
    wanted += [await pair.decide() for _ in range(3)]
    assert await asyncio.to_thread(pair.first.process.wait, PATIENCE_S) == program._DEPOSED
    ended = [json.loads(line) for line in pair.first.log.read_text().splitlines()]
    assert "deposed" in {line["event"] for line in ended}
    await pair.check(wanted)


async def test_a_leader_without_its_database_is_succeeded_and_ends_when_it_has_it_again(pair: Pair) -> None:
    """Cut off it takes nothing, its standby leads; mended, its next renewal tells it."""
    wanted = [await pair.decide() for _ in range(3)]
    pair.first.database.cut()
    wanted += [await pair.decide() for _ in range(3)]
    await pair.until(pair.second, "leader")
    assert pair.first.process.poll() is None
    pair.first.database.mend()
    wanted += [await pair.decide() for _ in range(3)]
    assert await asyncio.to_thread(pair.first.process.wait, PATIENCE_S) == program._DEPOSED
    await pair.check(wanted)
