"""The market data service against a scripted provider and a real Valkey."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pydantic
import pytest
from redis import asyncio as redis_asyncio

from support import data_provider
from tradeplane_engine.domain import times
from tradeplane_workers import messages
from tradeplane_workers.market_data import figures, history, provider, publisher, service, sessions, stream

CALENDAR = sessions.Calendar("XNYS")
D1, D2, D3, D4 = (f"2012-03-0{day}T05:00:00Z" for day in (1, 2, 5, 6))
E1, E2, E3, E4 = (f"2012-03-0{day}T21:00:00Z" for day in (1, 2, 5, 6))
BOTH = ("IBM", "MSFT")
ENTRY: pydantic.TypeAdapter[messages.StreamEntry] = pydantic.TypeAdapter(messages.StreamEntry)
QUICK = service.Patience(
    others_s=0.05, subscriptions_s=0.02, idle_s=0.2, settle_s=60, pause_first_s=0.02, pause_most_s=0.1
)


class World:
    """One service, its provider and its Redis."""

    def __init__(self, redis_url: str, folder: Path) -> None:
        self.provider = data_provider.DataProvider()
        self.redis: Any = redis_asyncio.Redis.from_url(redis_url, decode_responses=True, retry=None)
        self.figures = figures.Figures()
        self.now: Callable[[], times.Nanos] = lambda: times.instant("2026-01-01T00:00:00Z")
        self.key_file = data_provider.key_file(folder)
        self.market_data: service.MarketData | None = None

    @contextlib.asynccontextmanager
    async def running(self, patience: service.Patience = QUICK) -> AsyncIterator[service.MarketData]:
        """Run one life of the service."""
        settings = provider.RestSettings(url=self.provider.url, key_file=self.key_file, attempts=2)
        rest = provider.RestProvider(settings)
        reader = history.Reader(provider=rest, calendar=CALENDAR, figures=self.figures, machine_now=self.now)
        market_data = service.MarketData(reader, publisher.Publisher(self.redis, timeframe="1d"), patience=patience)
        self.market_data = market_data
        source = stream.ProviderStream(
            stream.StreamSettings(
                url=self.provider.stream_url, key_file=self.key_file, wait_first_s=0.02, wait_most_s=0.1
            ),
            market_data.sink,
        )
        tasks = [
            asyncio.create_task(part)
            for part in (source.run(), market_data.follow_subscriptions(source), market_data.run())
        ]
        try:
            yield market_data
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await rest.close()

    async def subscribe(self, *symbols: str) -> None:
        """Do what a strategy does before it waits."""
        await self.redis.sadd("subscriptions:1d", *symbols)

    async def entries(self) -> list[messages.StreamEntry]:
        """Return everything in the stream."""
        return [ENTRY.validate_json(fields["message"]) for _, fields in await self.redis.xrange("bars:1d")]

    async def slices(self, count: int) -> list[messages.SliceMessage]:
        """Await ``count`` slices and return all there are."""
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(redis_asyncio.ConnectionError):
                    found = [entry for entry in await self.entries() if isinstance(entry, messages.SliceMessage)]
                    if len(found) >= count:
                        return found
                await asyncio.sleep(0.01)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Await a fact."""
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110 - facts of a foreign object have no event
                await asyncio.sleep(0.01)

    def refused(self, reason: str) -> float:
        """How many rows were refused for ``reason``."""
        value = self.figures.registry.get_sample_value("tradeplane_market_data_bars_refused_total", {"reason": reason})
        return value or 0.0


@pytest.fixture
async def world(redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """Give a provider with one past session, subscriptions for two symbols, and an empty Redis."""
    made = World(redis_url, tmp_path)
    made.provider.add(D1, BOTH)
    await made.provider.start()
    await made.subscribe(*BOTH)
    try:
        yield made
    finally:
        await made.provider.stop()
        await made.redis.aclose()


async def live(world: World) -> None:
    """Await the state in which the first session is published and the stream is subscribed."""
    await world.slices(1)
    await asyncio.wait_for(world.provider.subscribed.wait(), 5)
    market_data = world.market_data
    assert market_data is not None
    await world.until(lambda: market_data.ready and not market_data._compare)


async def test_an_empty_stream_is_filled_with_what_the_provider_has(world: World) -> None:
    """A first start publishes the newest known sessions as back-filled, without a gap marker."""
    async with world.running():
        found = await world.slices(1)
    assert [(entry.end, entry.backfilled) for entry in found if entry.bars] == [(E1, True)]
    assert all(isinstance(entry, messages.SliceMessage) for entry in await world.entries())


async def test_a_streamed_session_is_one_exact_slice(world: World) -> None:
    """Bars of one end become one slice with exact decimals, sorted by symbol, under an id made of its end."""
    async with world.running():
        await live(world)
        frames = world.provider.add(D2, reversed(BOTH), "100.1")
        before = len(await world.entries())
        await world.provider.send(frames)
        found = (await world.slices(before + 1))[-1]
    assert [bar.symbol for bar in found.bars] == ["IBM", "MSFT"]
    assert (found.bars[0].open, found.bars[0].high, found.bars[0].low) == ("100.1", "101.1", "99.1")
    assert (found.bars[0].start, found.bars[0].end) == ("2012-03-02T14:30:00Z", E2)
    assert found.bars[0].available_at == "2012-03-02T21:00:01Z"
    assert (found.absent, found.backfilled) == ((), False)
    newest = await world.redis.xrevrange("bars:1d", count=1)
    assert newest[0][0] == f"{times.instant(E2) // 1_000_000}-0"


async def test_a_symbol_that_the_stream_forgot_is_asked_by_rest(world: World) -> None:
    """After a brief wait the missing symbol comes from REST, in the same slice."""
    async with world.running():
        await live(world)
        frames = world.provider.add(D2, BOTH)
        await world.provider.send(frames[:1])
        found = (await world.slices(2))[-1]
    assert [bar.symbol for bar in found.bars] == ["IBM", "MSFT"]
    assert (found.end, found.absent) == (E2, ())


async def test_a_symbol_that_nobody_has_is_absent(world: World) -> None:
    """What neither stream nor REST has is named, and counted as a gap."""
    async with world.running():
        await live(world)
        await world.provider.send(world.provider.add(D2, ["IBM"]))
        found = (await world.slices(2))[-1]
        await world.until(lambda: world.refused("gap") == 1)  # counted once Redis has confirmed the slice
    assert (found.end, [bar.symbol for bar in found.bars], found.absent) == (E2, ["IBM"], ("MSFT",))


async def test_a_symbol_that_never_traded_delays_nothing(world: World) -> None:
    """A symbol before its listing is asked by REST at once; the others' slice does not wait for it."""
    await world.subscribe("FB")
    async with world.running(service.Patience(others_s=60, subscriptions_s=0.02, idle_s=60)):
        await live(world)
        await world.provider.send(world.provider.add(D2, BOTH))
        found = (await world.slices(2))[-1]
    assert (found.end, found.absent) == (E2, ("FB",))
    assert world.refused("gap") == 0


async def test_an_action_travels_with_the_session_before_whose_open_it_acts(world: World) -> None:
    """A split and a dividend with one ex-date are one action in that session's slice only."""
    world.provider.actions = {
        "forward_splits": [{"symbol": "IBM", "ex_date": "2012-03-02", "new_rate": 2, "old_rate": 1}],
        "cash_dividends": [{"symbol": "IBM", "ex_date": "2012-03-02", "rate": 0.75}],
    }
    async with world.running():
        await live(world)
        await world.provider.send(world.provider.add(D2, BOTH))
        found = await world.slices(2)
    expected = messages.ActionMessage(symbol="IBM", ex_start="2012-03-02T14:30:00Z", split="2/1", dividend="0.75")
    assert found[-1].actions == (expected,)
    assert found[-2].actions == ()


@pytest.mark.parametrize(
    "changed, reason",
    [
        ({"h": 90}, "high-below-low"),
        ({"c": 0}, "not-positive"),
        ({"o": float("nan")}, "bad-number"),
        ({"c": 150}, "outside-range"),
        ({"t": "2012-03-02T00:00:00Z"}, "wrong-time-zone"),
        ({"t": "2012-03-03T05:00:00Z"}, "outside-session"),
        ({"t": "2012-03-02T05:00:00"}, "bad-time"),
        ({"v": -1}, "bad-volume"),
    ],
)
async def test_a_bad_bar_is_refused_by_name_and_never_published(
    world: World, changed: dict[str, Any], reason: str
) -> None:
    """The symbol of a bad bar is absent from its slice, and the refusal is counted."""
    async with world.running():
        await live(world)
        good = world.provider.add(D2, ["IBM"])
        bad = {"T": "d", "S": "MSFT"} | data_provider.row(D2) | changed
        await world.provider.send([bad, *good])
        found = (await world.slices(2))[-1]
    assert ([bar.symbol for bar in found.bars], found.absent) == (["IBM"], ("MSFT",))
    assert world.refused(reason) == 1


async def test_a_repeated_bar_is_refused(world: World) -> None:
    """The first bar of a symbol and end stays; the second is a duplicate, whatever it says."""
    async with world.running():
        await live(world)
        frames = world.provider.add(D2, BOTH)
        await world.provider.send([frames[0], frames[0] | {"c": 100.5}, frames[1]])
        found = (await world.slices(2))[-1]
    assert found.bars[0].close == "100"
    assert world.refused("duplicate") == 1


async def test_a_bar_of_a_published_end_is_out_of_order(world: World) -> None:
    """A bar that comes after its slice changes nothing."""
    async with world.running():
        await live(world)
        await world.provider.send([{"T": "d", "S": "IBM"} | data_provider.row(D1, "55")])
        await world.until(lambda: world.refused("out-of-order") == 1)
        found = await world.slices(1)
    assert [entry.end for entry in found].count(E1) == 1


async def test_a_bar_so_far_is_not_final(world: World) -> None:
    """Before the session's end by the machine's clock, a daily bar is not a bar."""
    world.now = lambda: times.instant("2012-03-02T20:00:00Z")
    async with world.running():
        await live(world)
        await world.provider.send([{"T": "d", "S": "IBM"} | data_provider.row(D2)])
        await world.until(lambda: world.refused("not-final") == 1)
        assert E2 not in {entry.end for entry in await world.slices(1)}


async def test_sessions_missed_while_the_provider_was_gone_are_back_filled_in_order(world: World) -> None:
    """After a reconnect a gap marker comes first, then each missed session once."""
    async with world.running() as market_data:
        await live(world)
        await world.provider.stop()
        await world.until(lambda: not market_data.ready)
        world.provider.add(D2, BOTH)
        world.provider.add(D3, BOTH)
        await world.provider.start()
        await world.slices(3)
        found = await world.entries()
    assert found[-3] == messages.GapMessage(timeframe="1d", since=E1, until=E3)
    assert [(entry.end, entry.backfilled) for entry in found[-2:] if isinstance(entry, messages.SliceMessage)] == [
        (E2, True),
        (E3, True),
    ]


async def test_a_session_that_the_stream_skipped_is_published_before_the_next(world: World) -> None:
    """A lost message shows when the next session comes; slices stay in order."""
    async with world.running(service.Patience(others_s=0.05, subscriptions_s=0.02, idle_s=60)):
        await live(world)
        world.provider.add(D2, BOTH)
        await world.provider.send(world.provider.add(D3, BOTH))
        found = await world.slices(3)
    assert [(entry.end, entry.backfilled) for entry in found[-2:]] == [(E2, True), (E3, False)]


async def test_a_silent_stream_is_noticed(world: World) -> None:
    """When nothing is streamed for a while, REST is asked whether something was missed."""
    async with world.running():
        await live(world)
        world.provider.add(D2, BOTH)
        found = await world.slices(2)
    assert found[-1].end == E2


async def test_a_restarted_process_continues_where_the_stream_ends(world: World) -> None:
    """A new life marks the gap, publishes only what is missing, and nothing twice."""
    async with world.running():
        await live(world)
    world.provider.add(D2, BOTH)
    async with world.running():
        found = await world.slices(2)
    ends = [entry.end for entry in found]
    assert ends[-2:] == [E1, E2]
    assert len(ends) == len(set(ends))
    assert messages.GapMessage(timeframe="1d", since=E1, until=E2) in await world.entries()


async def test_a_redis_that_lost_everything_is_filled_again(world: World) -> None:
    """After Redis came back empty, the newest slices are there again, behind a gap marker."""
    async with world.running():
        await live(world)
        await world.provider.send(world.provider.add(D2, BOTH))
        await world.slices(2)
        await world.redis.flushdb()
        found = await world.slices(2)
    assert [entry.end for entry in found] == [E1, E2]
    assert isinstance((await world.entries())[0], messages.GapMessage)


async def test_a_later_subscription_is_followed(world: World) -> None:
    """A symbol that a strategy adds while the process runs is subscribed and published from the next session on."""
    async with world.running():
        await live(world)
        await world.subscribe("AAPL")
        await world.until(lambda: any("AAPL" in wanted for wanted in world.provider.sockets.values()))
        await world.provider.send(world.provider.add(D2, [*BOTH, "AAPL"]))
        found = (await world.slices(2))[-1]
    assert [bar.symbol for bar in found.bars] == ["AAPL", "IBM", "MSFT"]


async def test_a_failing_rest_interface_delays_and_loses_nothing(world: World) -> None:
    """A slice waits until its actions are known; no error makes it incomplete."""
    async with world.running():
        await live(world)
        world.provider.failures = [500] * 7
        await world.provider.send(world.provider.add(D2, BOTH))
        found = (await world.slices(2))[-1]
    assert (found.end, len(found.bars)) == (E2, 2)


async def test_a_wrong_key_never_becomes_ready(world: World, tmp_path: Path) -> None:
    """A refused login is retried and never counts as connected."""
    (tmp_path / "data-key.json").write_text('{"key_id": "DATA", "secret_key": "wrong"}')
    async with world.running() as market_data:
        await asyncio.sleep(0.3)  # several attempts
        assert not market_data.ready
    assert await world.entries() == []
