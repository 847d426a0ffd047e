"""A class trades live: its process, a real gateway with its ledger, a real Valkey and the simulator, on minutes."""

import asyncio
import contextlib
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import fastapi
import pytest
import uvicorn

from support import gateway, live_runs, minute_data, simulator, strategy_peers
from tradeplane_engine import entrypoint, live, record, replay
from tradeplane_engine.data import dataset, series
from tradeplane_engine.domain import numbers, timeframes, times
from tradeplane_workers import bar_messages, messages, translate
from tradeplane_workers.gateway import api

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples" / "strategies"
MORNING = timeframes.Hours(minute_data.at("14:30"), minute_data.at("15:10"))
BARS = [one for symbol in ("AAPL", "IBM") for one in minute_data.walk(symbol, MORNING, seed=4)]
MARKET = dataset.slices(BARS, [], timeframe="1m")
PARAMETERS = {"fast": 2, "slow": 4, "shares": 10}
LAST = 34
# The example, and a class that writes down what it hears: no strategy that trades may write a file.
HEARD = """
import json
import crossing

class Heard(crossing.Crossing):
    class Parameters(crossing.Crossing.Parameters):
        log: str

    def on_order_update(self, ctx, update):
        self.write(update.event, update.order.side, update.quantity, update.price, update.order.symbol, ctx.now)

    def on_stop(self, ctx):
        self.write("stopped")

    def write(self, *words):
        with open(self.parameters.log, "a") as file:
            file.write(json.dumps(words) + "\\n")
"""

# Protects each entry as it hears of it, enters again as it hears that it was stopped, and dies where it is told to.
PROTECTED = """
import os
import pathlib
import signal

from tradeplane_engine import strategy

class Protected(strategy.Strategy):
    class Parameters(strategy.Strategy.Parameters):
        death: str

    def on_bar(self, ctx, bar):
        if bar.symbol == "AAPL" and not ctx.position("AAPL") and not ctx.open_orders("AAPL"):
            ctx.order("AAPL", "buy", 10)

    def on_order_update(self, ctx, update):
        word = f"{update.event} {update.order.side}"
        death = pathlib.Path(self.parameters.death)
        if death.exists() and death.read_text() == word:
            death.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "fill 1":
            ctx.order("AAPL", "sell", 10, "trailing_stop", "gtc", trail=1000)
        elif word == "fill -1":
            ctx.order("AAPL", "buy", 10)
"""


@pytest.fixture
def venue(tmp_path: pathlib.Path) -> Iterator[simulator.Venue]:
    """A venue an hour before the open."""
    with simulator.threaded(tmp_path, minutes=BARS) as found:
        yield found


class World:
    """One strategy with code, and what it trades through."""

    def __init__(self, bench: gateway.Bench, url: str, redis_url: str, folder: pathlib.Path) -> None:
        self.bench = bench
        self.peers = strategy_peers.Peers(None, MARKET, 0)  # type: ignore[arg-type]  # no model answers
        self.folder = folder
        self.spec: dict[str, Any] = {
            "universe": {"symbols": ["AAPL", "IBM"]},
            "bars": {"timeframe": "1m"},
            "signal": {"code": {"entrypoint": "heard:Heard", "parameters": PARAMETERS | {"log": str(self.log)}}},
            "portfolio": {"capital": "500000"},
            "riskPolicyRef": "prudent",
        }
        (folder / "heard.py").write_text(HEARD)
        self._env = {
            **os.environ,
            "TRADEPLANE_GATEWAY_URL": url,
            "TRADEPLANE_MARKET_DATA_URL": url,
            "TRADEPLANE_REDIS_URL": redis_url,
            "PYTHONPATH": os.pathsep.join((str(folder), str(EXAMPLES), os.environ.get("PYTHONPATH", ""))),
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> pathlib.Path:
        """What the class heard."""
        return self.folder / "heard.jsonl"

    @property
    def output(self) -> pathlib.Path:
        """What the process logged."""
        return self.folder / "strategy.log"

    def heard(self) -> list[list[Any]]:
        """Return what the class heard."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def start(self, attempt: int, **changed: Any) -> None:
        """Start an attempt."""
        config = messages.StrategyConfig(
            environment="demo",
            name="momentum",
            uid=gateway.UID,
            generation=1,
            attempt=attempt,
            spec=self.spec | changed,
            policy=messages.PolicyReference(name="prudent", hash="", spec=gateway.POLICY),
        )
        env = self._env | {"TRADEPLANE_CONFIG": config.model_dump_json()}
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tradeplane_workers.strategy"], env=env, stdout=output, stderr=output
            )

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, simulator.START_PATIENCE_S)

    async def close_minute(self, number: int) -> None:
        """Let a minute be known, publish it, and wait until all about it is settled and nothing waits to fill."""
        one = MARKET[number]
        known = max(bar.available_at for bar in one.bars.values())
        await self.bench.move(times.text(known))
        await self.bench.until(lambda state: state["counts"]["open_orders"] == 0, f"fills before {times.text(one.end)}")
        await self.publish(number)

    async def publish(self, number: int) -> None:
        """Publish a minute."""
        one = MARKET[number]
        self.peers.known = number + 1
        message = messages.SliceMessage(
            timeframe="1m",
            end=times.text(one.end),
            bars=tuple(bar_messages.bar_message(bar) for bar in one.bars.values()),
        )
        content = {"message": message.model_dump_json()}
        await self.bench.redis.xadd("bars:1m", content, id=f"{one.end // 1_000_000}-0")

    async def settled(self, number: int) -> None:
        """Wait until the strategy has answered a minute and its orders have left."""
        trigger = times.text(MARKET[number].end)
        async with asyncio.timeout(simulator.START_PATIENCE_S):
            while True:
                answer = await self.bench.http.get("/v1/settled", params={"trigger": trigger, "timeout_s": "20"})
                if answer.json()["settled"]:
                    return

    async def answered(self) -> None:
        """Wait until the ledger has every execution, and one order more than those: the first, and one for each."""
        async with asyncio.timeout(simulator.START_PATIENCE_S):
            while True:
                broker = (await asyncio.to_thread(self.bench.venue.state))["accounts"]["demo"]
                counts = (await self.bench.state())["counts"]
                if counts["fills"] == broker["executions"] == counts["orders"] - 1 and not counts["unsettled_intents"]:
                    return
                await asyncio.sleep(0.02)

    async def kept_alive(self, attempts: list[int], **changed: Any) -> None:
        """Start a further attempt whenever one was killed."""
        while True:
            assert self.process is not None
            attempts.append(await asyncio.to_thread(self.process.wait))
            if attempts[-1] != -signal.SIGKILL:
                return
            self.start(1 + len(attempts), **changed)

    async def subscribed(self) -> None:
        """Wait until the process follows the stream."""
        async with asyncio.timeout(simulator.START_PATIENCE_S):
            while await self.bench.redis.scard("subscriptions:1m") < 2:  # noqa: ASYNC110 - Redis tells nobody
                await asyncio.sleep(0.02)


@pytest.fixture
async def world(
    venue: simulator.Venue, postgres_url: str, redis_url: str, tmp_path: pathlib.Path
) -> AsyncIterator[World]:
    """A gateway that may trade, served over HTTP beside the history of the minutes that are known."""
    async with gateway.running(venue, postgres_url, redis_url) as bench:
        app = fastapi.FastAPI()

        @app.get("/v1/history")
        async def history(request: fastapi.Request) -> Any:
            return found.peers._history(dict(request.query_params))

        app.mount("/", api.create(bench.gateway))
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        found = World(bench, f"http://127.0.0.1:{port}", redis_url, tmp_path)
        await bench.move(times.text(times.Nanos(MARKET[0].end)))
        await bench.enabled()
        try:
            yield found
        finally:
            with contextlib.suppress(ProcessLookupError):
                if found.process is not None:
                    found.process.kill()
                    await asyncio.to_thread(found.process.wait)
            server.should_exit = True
            await serving


def expected(warm: int) -> live_runs.Broker:
    """Return the same class with a backtest's kernel as its broker, on the same minutes."""
    joined = [series.of(symbol, [one for one in BARS if one.symbol == symbol]) for symbol in ("AAPL", "IBM")]
    sys.path.insert(0, str(EXAMPLES))
    try:
        hosted = entrypoint.load("crossing:Crossing", PARAMETERS)
    finally:
        sys.path.remove(str(EXAMPLES))
    _, broker = live_runs.through_broker([_until(one, LAST) for one in joined], hosted, warm=warm)
    return broker


def _until(one: series.Series, last: int) -> series.Series:
    names = ("start", "end", "available_at", "open", "high", "low", "close", "volume")
    return replace(one, **{name: getattr(one, name)[: last + 1].copy() for name in names})


async def test_a_class_trades_live_as_it_does_in_a_backtest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions, fills and prices are the backtest's; the class hears of each; a killed process is continued.

    The session's record gives the same orders again.
    """
    first = 16
    for number in range(first):
        await world.close_minute(number)
    world.start(1)
    await world.subscribed()
    for number in range(first, LAST + 1):
        if number == 26:
            assert await world.stop(signal.SIGKILL) == -signal.SIGKILL
            await world.bench.redis.delete("subscriptions:1m")
            world.start(2)
            await world.subscribed()
        await world.close_minute(number)
        await world.settled(number)
    assert await world.stop() == 0

    broker = expected(first)
    wanted = [
        (times.text(one.trigger), intent.symbol, intent.side.value, numbers.quantity_text(intent.quantity))
        for one in broker.decisions
        for intent in one.intents
    ]
    sent = await world.bench.listed("orders")
    assert [(row["trigger"], row["symbol"], row["side"], row["quantity"]) for row in sent] == wanted
    assert len(wanted) > 5
    assert {row["type"] for row in sent} == {"market"}
    decided = await world.bench.listed("decisions")
    assert [(row["trigger"], row["outcome"]) for row in decided] == [
        (times.text(one.trigger), one.outcome.value) for one in broker.decisions
    ]
    assert {row["model_digest"] for row in decided} == {digest(world)}
    filled = [event for event in broker.events if event.event is live.Happened.FILL]
    fills = await world.bench.listed("fills")
    assert [(row["symbol"], row["side"], row["price"]) for row in fills] == [
        (event.symbol, event.side.value, numbers.price_text(event.price)) for event in filled
    ]
    heard = world.heard()
    assert heard[-1] == ["stopped"]
    told = [words for words in heard if words[0] == "fill"]
    assert [(words[2], words[3], words[5]) for words in told] == [
        (event.executed, event.price, times.instant(row["at"])) for event, row in zip(filled, fills, strict=True)
    ]
    assert sum(words[0] == "new" for words in heard) == len(wanted)

    document = await world.bench.listed("session-record")
    assert sum(event["type"] == "strategy" for event in document["sequence"]) == 2
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.syspath_prepend(world.folder)
    data = minute_data.data(BARS, [MORNING])
    again = replay.run(record.parse(document), data, predictors={}, translate=translate.recorded)
    assert [(times.text(one.bar_end), one.client_order_id, one.symbol) for one in again.orders] == [
        (row["trigger"], row["client_order_id"], row["symbol"]) for row in sent
    ]
    assert [numbers.price_text(one.price) for one in again.fills] == [row["price"] for row in fills]


async def test_a_stop_leaves_when_its_entry_is_filled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the next bar, once, wherever the process is killed; the broker fires it between bars, and it is answered.

    The session's record gives the same orders and fills again.
    """
    death = world.folder / "death"
    (world.folder / "protected.py").write_text(PROTECTED)
    code = {"signal": {"code": {"entrypoint": "protected:Protected", "parameters": {"death": str(death)}}}}
    first = 6
    for number in range(first):
        await world.close_minute(number)
    world.start(1, **code)
    await world.subscribed()
    await world.close_minute(first)
    await world.settled(first)
    ended: list[int] = []
    keeping = asyncio.create_task(world.kept_alive(ended, **code))
    # The words at which it is killed: of an entry, of the stop that it has just placed, of a stop that fired.
    deaths = ["fill 1", "new -1", "fill -1", "fill 1"]
    try:
        for number in range(first + 1, LAST + 1):
            if deaths and number % 3 == 0 and not death.exists():
                death.write_text(deaths.pop(0))
            await world.bench.move(times.text(max(bar.available_at for bar in MARKET[number].bars.values())))
            await world.answered()
            await world.publish(number)
            await world.settled(number)
        assert not death.exists()
        assert world.process is not None
        world.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(keeping, simulator.START_PATIENCE_S)
    finally:
        keeping.cancel()
    assert (ended, deaths) == ([-signal.SIGKILL] * 4 + [0], [])

    sent = await world.bench.listed("orders")
    assert len(sent) > 10
    assert [(row["side"], row["type"]) for row in sent] == [("buy", "market"), ("sell", "trailing_stop")] * (
        len(sent) // 2
    ) + [("buy", "market")] * (len(sent) % 2)
    decided = {row["sequence"]: row for row in await world.bench.listed("decisions")}
    assert [decided[row["decision"]]["part"] > 0 for row in sent] == [False] + [True] * (len(sent) - 1)
    fills = await world.bench.listed("fills")
    assert len(fills) == len(sent) - 1
    keys = [(row["trigger"], row["part"]) for row in decided.values()]
    assert keys == sorted(set(keys))

    document = await world.bench.listed("session-record")
    monkeypatch.syspath_prepend(world.folder)
    data = minute_data.data(BARS, [MORNING])
    again = replay.run(record.parse(document), data, predictors={}, translate=translate.recorded)
    assert again.unmatched == ()
    assert [(times.text(one.bar_end), one.client_order_id) for one in again.orders] == [
        (row["trigger"], row["client_order_id"]) for row in sent
    ]
    assert [(one.client_order_id, numbers.price_text(one.price), times.text(one.at)) for one in again.fills] == [
        (row["client_order_id"], row["price"], row["at"]) for row in fills
    ]


def digest(world: World) -> str:
    """Return the digest of the module in the test's folder."""
    return f"sha256:{hashlib.sha256((world.folder / 'heard.py').read_bytes()).hexdigest()}"


@pytest.mark.parametrize(
    "code, said",
    [
        ({"entrypoint": "absent:Heard"}, "signal.code.entrypoint: must be a module that can be imported"),
        ({"entrypoint": "heard:Other"}, "signal.code.entrypoint: must be the name of a strategy.Strategy in heard"),
        ({"entrypoint": "crossing:Crossing", "parameters": {"fast": 0}}, "signal.code.parameters.fast"),
    ],
)
async def test_a_class_that_cannot_start_takes_no_fence(world: World, code: dict[str, Any], said: str) -> None:
    """The process ends with the documented code, and its last line names the field."""
    world.start(1, signal={"code": code})
    assert world.process is not None
    assert await asyncio.to_thread(world.process.wait, simulator.START_PATIENCE_S) == 2
    assert said in json.loads(world.output.read_text().splitlines()[-1])["error"]
    assert (await world.bench.state())["strategies"] == []


async def test_a_class_that_raises_ends_its_process_with_the_bar(world: World) -> None:
    """Nothing was decided for that trigger, and the log says which line of the class it was."""
    (world.folder / "heard.py").write_text(
        "from tradeplane_engine import strategy\n\n\n"
        "class Heard(strategy.Strategy):\n"
        "    def on_bar(self, ctx, bar):\n"
        "        raise KeyError(bar.symbol)\n"
    )
    for number in range(16):
        await world.close_minute(number)
    world.start(1, signal={"code": {"entrypoint": "heard:Heard"}})
    await world.subscribed()
    await world.close_minute(16)
    assert world.process is not None
    assert await asyncio.to_thread(world.process.wait, simulator.START_PATIENCE_S) == 4
    (line,) = [line for line in map(json.loads, world.output.read_text().splitlines()) if line["level"] == "error"]
    assert "KeyError: 'AAPL'" in line["error"]
    assert "heard.py" in line["exception"]
    assert await world.bench.listed("decisions") == []
