"""One channel of bars shorter than a day against a scripted provider and a real Valkey."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pydantic
import pytest
from redis import asyncio as redis_asyncio

from support import data_provider
from tradeplane_engine.domain import timeframes, times
from tradeplane_workers import messages
from tradeplane_workers.market_data import buckets, channel, figures, grid, provider, publisher, sessions, stream

CALENDARS = {session: sessions.Calendar("XNYS", session=session) for session in timeframes.SESSIONS}
BOTH = ("IBM", "MSFT")
ENTRY: pydantic.TypeAdapter[messages.StreamEntry] = pydantic.TypeAdapter(messages.StreamEntry)
# Nothing of what is tested comes from a time that runs out, except where a test says so.
PATIENT = channel.Patience(
    others_s=60,
    unknown_s=60,
    subscriptions_s=0.02,
    unused_s=0.02,
    idle_s=60,
    settle_s=30,
    pause_first_s=0.02,
    pause_most_s=0.05,
)


def at(minute: str, day: str = "02") -> str:
    """Return an instant of a day in March 2012, given as ``14:30`` UTC."""
    return f"2012-03-{day}T{minute}:00Z"


class World:
    """One channel, its provider and its Redis."""

    def __init__(self, redis_url: str, folder: Path, *, timeframe: str = "5m", session: str = "regular") -> None:
        self.provider = data_provider.DataProvider()
        self.redis: Any = redis_asyncio.Redis.from_url(redis_url, decode_responses=True, retry=None)
        self.figures = figures.Figures()
        self.now = times.instant("2026-01-01T00:00:00Z")
        self.timeframe, self.session = timeframe, session
        self.name = timeframes.channel(timeframe, session)
        self.key_file = data_provider.key_file(folder)
        self.channel: channel.Channel | None = None

    @contextlib.asynccontextmanager
    async def running(self, patience: channel.Patience = PATIENT) -> AsyncIterator[channel.Channel]:
        """Run one life of the channel."""
        settings = provider.RestSettings(url=self.provider.url, key_file=self.key_file, attempts=1)
        rest = provider.RestProvider(settings)
        made = channel.Channel(
            buckets.Reader(
                rest,
                grid.Grid(CALENDARS[self.session], timeframes.span(self.timeframe)),
                self.figures,
                lambda: self.now,
            ),
            publisher.Publisher(self.redis, timeframe=self.name),
            timeframe=self.timeframe,
            session=self.session,
            patience=patience,
        )
        self.channel = made
        where = stream.StreamSettings(
            url=self.provider.stream_url, key_file=self.key_file, wait_first_s=0.02, wait_most_s=0.1
        )
        source = stream.ProviderStream(where, made.sink)
        tasks = [asyncio.create_task(part) for part in (source.run(), made.follow_subscriptions(source), made.run())]
        try:
            yield made
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await rest.close()

    async def subscribe(self, *symbols: str) -> None:
        """Do what a strategy does before it waits."""
        await self.redis.sadd(f"subscriptions:{self.name}", *symbols)

    async def entries(self) -> list[messages.StreamEntry]:
        """Return everything in the stream."""
        return [ENTRY.validate_json(fields["message"]) for _, fields in await self.redis.xrange(f"bars:{self.name}")]

    async def slices(self, count: int) -> list[messages.SliceMessage]:
        """Await ``count`` slices and return all there are."""
        async with asyncio.timeout(10):
            while True:
                found = [entry for entry in await self.entries() if isinstance(entry, messages.SliceMessage)]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.01)

    async def revisions(self, count: int) -> list[messages.RevisionMessage]:
        """Await ``count`` markers of revisions."""
        async with asyncio.timeout(10):
            while True:
                found = [entry for entry in await self.entries() if isinstance(entry, messages.RevisionMessage)]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.01)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Await a fact."""
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110 - facts of a foreign object have no event
                await asyncio.sleep(0.01)

    async def live(self, slices: int = 1) -> None:
        """Await the state in which the past is published and the stream is subscribed."""
        await self.slices(slices)
        made = self.channel
        assert made is not None
        await self.until(lambda: made.ready and not made._compare and made._events.empty())

    async def minutes(self, *labels: str, symbols: Sequence[str] = BOTH, close: str = "100") -> None:
        """Let minutes happen: REST has them, and the stream sends each."""
        for label in labels:
            await self.provider.send(self.provider.add_minute(at(label), symbols, close))

    def counted(self, name: str, **labels: str) -> float:
        """Return a metric of the channel, 0 where it never counted."""
        value = self.figures.registry.get_sample_value(f"tradeplane_market_data_{name}", labels)
        return value or 0.0


@contextlib.asynccontextmanager
async def world_of(redis_url: str, folder: Path, **which: str) -> AsyncIterator[World]:
    """Give a provider with the first bucket of a session, subscriptions for two symbols, and an empty Redis."""
    made = World(redis_url, folder, **which)
    for number in range(30, 35):
        made.provider.add_minute(at(f"14:{number}"), BOTH)
    await made.provider.start()
    await made.subscribe(*BOTH)
    try:
        yield made
    finally:
        await made.provider.stop()
        await made.redis.aclose()


@pytest.fixture
async def world(redis_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A world on buckets of five minutes."""
    async with world_of(redis_url, tmp_path) as made:
        yield made


async def test_an_empty_stream_is_filled_with_whole_buckets(world: World) -> None:
    """A first start publishes what the provider has, but not the bucket that is still on, and marks no gap."""
    world.provider.add_minute(at("14:35"), BOTH)
    async with world.running():
        await world.live()
        found = await world.slices(1)
    assert [(entry.end, entry.backfilled, len(entry.bars)) for entry in found] == [(at("14:35"), True, 2)]
    assert len(found) == len(await world.entries())


async def test_a_bucket_is_published_when_its_last_minute_is_there(world: World) -> None:
    """One exact slice per bucket, once all symbols have sent the minute that closes it."""
    async with world.running():
        await world.live()
        await world.minutes("14:35", close="101.5")
        await world.minutes("14:36", "14:37", "14:38")
        frames = world.provider.add_minute(at("14:39"), BOTH, "99.25", v=500)
        await world.provider.send(frames[:1])
        assert len(await world.slices(1)) == 1
        await world.provider.send(frames[1:])
        found = (await world.slices(2))[-1]
    assert (found.timeframe, found.session, found.end, found.backfilled) == ("5m", "regular", at("14:40"), False)
    assert (found.absent, found.missing) == ((), ())
    ibm = found.bars[0]
    assert (ibm.start, ibm.end, ibm.available_at) == (at("14:35"), at("14:40"), "2012-03-02T14:40:01Z")
    assert (ibm.open, ibm.high, ibm.low, ibm.close, ibm.volume) == ("101.5", "102.5", "98.25", "99.25", 4500)
    newest = await world.redis.xrevrange("bars:5m", count=1)
    assert newest[0][0] == f"{times.instant(at('14:40')) // 1_000_000}-0"


async def test_each_minute_is_a_slice_of_the_shortest_timeframe(redis_url: str, tmp_path: Path) -> None:
    """With bars of a minute there is nothing to add up."""
    async with world_of(redis_url, tmp_path, timeframe="1m") as world, world.running():
        await world.live(5)
        await world.minutes("14:35", "14:36")
        found = await world.slices(7)
    assert [entry.end for entry in found[-2:]] == [at("14:36"), at("14:37")]
    assert [entry.repaired for entry in found[-2:]] == [True, False]


async def test_a_minute_that_the_stream_forgot_comes_from_rest(world: World) -> None:
    """No bar is made of the minutes that happened to be heard."""
    async with world.running():
        await world.live()
        await world.minutes("14:35", "14:36")
        world.provider.add_minute(at("14:37"), BOTH, "150")
        await world.minutes("14:38", "14:39")
        found = (await world.slices(2))[-1]
    assert [bar.high for bar in found.bars] == ["151", "151"]
    assert [bar.volume for bar in found.bars] == [5000, 5000]


async def test_a_minute_that_nobody_has_is_one_without_a_trade(world: World) -> None:
    """REST was asked; the bar is made of the others."""
    async with world.running():
        await world.live()
        await world.minutes("14:35", "14:39")
        found = (await world.slices(2))[-1]
    assert [bar.volume for bar in found.bars] == [2000, 2000]
    assert found.missing == ()


async def test_a_bucket_without_a_trade_is_marked(world: World) -> None:
    """The marker names symbol, start, reason and the last bar; the age is a metric."""
    async with world.running():
        await world.live()
        await world.minutes("14:35", "14:39", symbols=["IBM"])
        await world.minutes("14:40", symbols=["IBM"])
        found = (await world.slices(2))[-1]
        # Counted once Redis has confirmed the slice.
        await world.until(lambda: world.counted("bars_missing_total", timeframe="5m", reason="no-trade") == 1)
    assert (found.absent, [bar.symbol for bar in found.bars]) == (("MSFT",), ["IBM"])
    marker = messages.MissingBar(symbol="MSFT", start=at("14:35"), reason="no-trade", last_end=at("14:35"))
    assert found.missing == (marker,)
    assert world.counted("bar_age_seconds", timeframe="5m", symbol="MSFT") == 300
    assert world.counted("bar_age_seconds", timeframe="5m", symbol="IBM") == 0


async def test_a_symbol_that_is_late_is_awaited_until_the_barrier(world: World) -> None:
    """When the patience of a minute is over, the slice names who is absent; the straggler is marked behind it."""
    async with world.running(channel.Patience(others_s=0.05, subscriptions_s=0.02, idle_s=60)):
        await world.live()
        await world.minutes("14:39", symbols=["IBM"])
        found = (await world.slices(2))[-1]
        assert (found.end, found.absent) == (at("14:40"), ("MSFT",))
        await world.minutes("14:39", symbols=["MSFT"], close="77")
        marker = (await world.revisions(1))[0]
        after = await world.slices(2)
        await world.until(
            lambda: world.counted("revisions_total", timeframe="5m", reason="late", published="true") == 1
        )
    assert (marker.end, marker.reason, marker.minute.symbol, marker.minute.close) == (at("14:40"), "late", "MSFT", "77")
    assert after[-1] == found


async def test_a_revision_before_its_slice_replaces(world: World) -> None:
    """The provider's updated minute counts, and is counted."""
    async with world.running():
        await world.live()
        await world.minutes("14:35", "14:36", "14:37", "14:38")
        revised = world.provider.add_minute(at("14:36"), ["IBM"], "120")
        await world.provider.send([revised[0] | {"T": "u"}])
        await world.minutes("14:39")
        found = (await world.slices(2))[-1]
    assert [bar.high for bar in found.bars] == ["121", "101"]
    assert world.counted("revisions_total", timeframe="5m", reason="revised", published="false") == 1


async def test_a_revision_after_its_slice_is_marked_and_rewrites_nothing(world: World) -> None:
    """The slice stays as decided on; the new minute stands behind it, once, whatever else was published since."""
    async with world.running():
        await world.live()
        await world.minutes("14:35", "14:36", "14:37", "14:38", "14:39")
        before = await world.slices(2)
        revised = world.provider.add_minute(at("14:36"), ["IBM"], "120")
        await world.provider.send([revised[0] | {"T": "u"}])
        await world.provider.send([revised[0] | {"T": "u"}])
        marker = (await world.revisions(1))[0]
        await world.minutes("14:40", "14:41", "14:42", "14:43", "14:44")
        after = await world.slices(3)
    assert (marker.end, marker.reason, marker.minute.start, marker.minute.high) == (
        at("14:40"),
        "revised",
        at("14:36"),
        "121",
    )
    assert after[:2] == before
    assert sum(isinstance(entry, messages.RevisionMessage) for entry in await world.entries()) == 1


async def test_a_repeated_minute_is_no_revision(world: World) -> None:
    """What was published is what came again; nothing is marked or refused."""
    async with world.running():
        await world.live()
        await world.minutes("14:35", "14:36", "14:37", "14:38", "14:39")
        await world.slices(2)
        await world.minutes("14:38")
        await world.minutes("14:40", "14:41", "14:42", "14:43", "14:44")
        await world.slices(3)
    assert not [entry for entry in await world.entries() if isinstance(entry, messages.RevisionMessage)]


async def test_a_second_bar_of_a_minute_is_refused(world: World) -> None:
    """Only the provider's own revision replaces; another bar of the same minute is a duplicate."""
    async with world.running():
        await world.live()
        await world.minutes("14:35")
        await world.provider.send([{"T": "b", "S": "IBM", **data_provider.row(at("14:35"), "500")}])
        await world.minutes("14:36", "14:37", "14:38", "14:39")
        found = (await world.slices(2))[-1]
    # The stream began to be whole at 14:36, so REST was asked for the whole bucket, and has the first one.
    assert found.bars[0].high == "101"
    assert world.counted("bars_refused_total", reason="duplicate") == 1


async def test_a_bad_minute_makes_its_symbol_unknown(world: World) -> None:
    """A bar of the other minutes would be another bar, even where REST repeats the bad one."""
    async with world.running():
        await world.live()
        await world.minutes("14:35", "14:36", "14:37", "14:38")
        bad = world.provider.add_minute(at("14:37"), ["IBM"], h=50)
        await world.provider.send([bad[0] | {"T": "u"}])
        await world.minutes("14:39")
        found = (await world.slices(2))[-1]
    assert ([bar.symbol for bar in found.bars], found.absent) == (["MSFT"], ("IBM",))
    assert [(one.symbol, one.reason) for one in found.missing] == [("IBM", "unknown")]
    assert world.counted("bars_refused_total", reason="high-below-low") > 0


async def test_what_rest_does_not_answer_is_unknown(world: World) -> None:
    """After the time for an answer, whole symbols are published, others are absent; a gap is never taken for quiet."""
    async with world.running(channel.Patience(others_s=60, unknown_s=0.05, subscriptions_s=0.02, idle_s=60)):
        await world.live()
        await world.minutes("14:35", "14:36", "14:37", "14:38", "14:39")
        await world.slices(2)
        await world.minutes("14:40", "14:41", "14:42", "14:43")
        world.provider.failures = [500] * 1000
        await world.minutes("14:44", symbols=["IBM"])
        await world.minutes("14:45", symbols=["MSFT"])
        found = (await world.slices(3))[-1]
    assert ([bar.symbol for bar in found.bars], found.end) == (["IBM"], at("14:45"))
    assert [(one.symbol, one.reason) for one in found.missing] == [("MSFT", "unknown")]


async def test_an_interruption_inside_a_bucket_is_repaired_before_it_is_published(world: World) -> None:
    """Minutes of the outage, and revisions that were missed, come by REST; a gap marker and the slice say so."""
    async with world.running() as made:
        await world.live()
        await world.minutes("14:35", "14:36")
        await world.until(lambda: len(made._minutes.of("MSFT", _bucket("14:35"))) == 2)
        await world.provider.stop()
        await world.until(lambda: not made.ready)
        world.provider.add_minute(at("14:36"), BOTH, "130")
        world.provider.add_minute(at("14:37"), BOTH)
        await world.provider.start()
        await world.live()
        await world.minutes("14:38", "14:39")
        found = (await world.slices(2))[-1]
        await world.minutes("14:40", "14:41", "14:42", "14:43", "14:44")
        following = (await world.slices(3))[-1]
    assert (found.end, found.repaired, found.backfilled) == (at("14:40"), True, False)
    assert [(bar.high, bar.volume) for bar in found.bars] == [("131", 5000), ("131", 5000)]
    assert (following.end, following.repaired) == (at("14:45"), False)
    gap = messages.GapMessage(timeframe="5m", since=at("14:35"), until=at("14:35"))
    assert gap in await world.entries()


async def test_buckets_of_an_outage_are_back_filled_in_order(world: World) -> None:
    """Behind the marker of the gap, each once; one without a trade too."""
    async with world.running() as made:
        await world.live()
        await world.provider.stop()
        await world.until(lambda: not made.ready)
        for minute in ("14:35", "14:36", "14:46", "14:49"):
            world.provider.add_minute(at(minute), BOTH)
        await world.provider.start()
        found = await world.slices(4)
        entries = await world.entries()
    assert [(entry.end, entry.backfilled, len(entry.bars)) for entry in found[1:]] == [
        (at("14:40"), True, 2),
        (at("14:45"), True, 0),
        (at("14:50"), True, 2),
    ]
    # The reconnection may itself be cut by the stop, which is another interruption with a marker of its own.
    assert entries[-4] == messages.GapMessage(timeframe="5m", since=at("14:35"), until=at("14:50"))
    assert {one.reason for one in found[2].missing} == {"no-trade"}


async def test_a_restarted_process_continues_where_the_stream_ends(world: World) -> None:
    """Nothing is published twice, and nothing is left out."""
    async with world.running():
        await world.live()
        await world.minutes("14:35", "14:36", "14:37", "14:38", "14:39")
        await world.slices(2)
    for number in range(40, 46):
        world.provider.add_minute(at(f"14:{number}"), BOTH)
    async with world.running():
        await world.slices(3)
        await world.live(3)
        await world.minutes("14:46", "14:47", "14:48", "14:49")
        found = await world.slices(4)
    assert [entry.end for entry in found] == [at("14:35"), at("14:40"), at("14:45"), at("14:50")]
    assert found[-1].bars[0].volume == 5000


async def test_a_redis_that_lost_everything_is_filled_again(world: World) -> None:
    """The newest slices come again, behind a gap marker."""
    async with world.running():
        await world.live()
        await world.minutes("14:35", "14:36", "14:37", "14:38", "14:39")
        await world.slices(2)
        await world.redis.flushdb()
        await world.subscribe(*BOTH)
        await world.minutes("14:40", "14:41", "14:42", "14:43", "14:44")
        found = await world.slices(3)
    assert [entry.end for entry in found] == [at("14:35"), at("14:40"), at("14:45")]
    assert isinstance((await world.entries())[0], messages.GapMessage)


async def test_a_bar_after_the_close_ends_the_session(world: World) -> None:
    """The last bucket ends at the close; what trades later is none of it, and only shows that time went on."""
    for number in range(50, 59):
        world.provider.add_minute(at(f"20:{number}"), BOTH)
    async with world.running():
        await world.live()
        await world.minutes("20:59", symbols=["IBM"], close="70")
        await world.minutes("21:00", close="900")
        last = (await world.slices(2))[-1]
    assert (last.end, [(bar.symbol, bar.close) for bar in last.bars]) == (at("21:00"), [("IBM", "70"), ("MSFT", "100")])


async def test_minutes_before_the_open_are_none_of_the_regular_session(world: World) -> None:
    """Neither published nor refused; the next session begins with its open, and carries its actions."""
    world.provider.actions = {
        "forward_splits": [{"symbol": "IBM", "ex_date": "2012-03-05", "new_rate": 2, "old_rate": 1}],
    }
    world.provider.add_minute(at("20:59"), BOTH)
    async with world.running():
        await world.live()
        for label in ("13:00", "14:29", *(f"14:{number}" for number in range(30, 40))):
            await world.provider.send(world.provider.add_minute(at(label, "05"), BOTH))
        found = await world.slices(3)
    assert [entry.end for entry in found[-2:]] == [at("14:35", "05"), at("14:40", "05")]
    split = messages.ActionMessage(symbol="IBM", ex_start=at("14:30", "05"), split="2/1", dividend="0")
    assert [entry.actions for entry in found[-2:]] == [(split,), ()]
    assert world.counted("bars_refused_total", reason="outside-session") == 0


async def test_an_extended_session_has_a_stream_of_its_own(redis_url: str, tmp_path: Path) -> None:
    """Minutes before the open are its bars."""
    async with world_of(redis_url, tmp_path, timeframe="15m", session="extended") as world:
        world.provider.minutes.clear()
        for number in range(15):
            world.provider.add_minute(at(f"12:{number:02d}"), BOTH)
        async with world.running():
            await world.live(1)
            await world.minutes(*(f"12:{number}" for number in range(15, 30)))
            found = await world.slices(2)
    assert [(entry.session, entry.end) for entry in found] == [
        ("extended", at("12:15")),
        ("extended", at("12:30")),
    ]


async def test_in_real_time_a_quiet_market_holds_nothing_back(world: World) -> None:
    """Seconds after the bucket's end, by the machine's clock, it is published without another bar."""
    async with world.running() as made:
        await world.live()
        world.now = times.instant("2012-03-02T14:36:01Z")
        await world.minutes("14:35")
        await world.until(lambda: len(made._minutes.of("MSFT", _bucket("14:35"))) == 1)
        world.now = times.instant("2012-03-02T14:40:09Z")
        assert (made._due(), len(await world.slices(1))) == (None, 1)
        world.now = times.instant("2012-03-02T14:40:11Z")
        made.sink(None)
        found = (await world.slices(2))[-1]
    assert (found.end, [bar.volume for bar in found.bars]) == (at("14:40"), [1000, 1000])


async def test_no_slice_leaves_before_it_can_be_known(world: World) -> None:
    """A provider that is faster than the publication delay gains nothing: no bar is there before its available-at."""
    world.now = times.instant("2012-03-02T14:36:01Z")
    async with world.running() as made:
        await world.live()
        world.now = times.instant("2012-03-02T14:40:00Z")
        await world.minutes("14:35", "14:36", "14:37", "14:38", "14:39")
        await world.until(lambda: made._minutes.is_whole("MSFT", _bucket("14:35")) and made._events.empty())
        assert (made._due(), len(await world.slices(1))) == (None, 1)
        world.now = times.instant("2012-03-02T14:40:01Z")
        made.sink(None)
        found = (await world.slices(2))[-1]
    assert found.end == at("14:40")


async def test_a_minute_of_the_future_is_not_final(world: World) -> None:
    """A bar that the machine's clock has not reached moves neither time nor a slice."""
    world.now = times.instant("2012-03-02T14:36:30Z")
    async with world.running():
        await world.live()
        await world.provider.send([{"T": "b", "S": "IBM", **data_provider.row(at("15:00"))}])
        await world.until(lambda: world.counted("bars_refused_total", reason="not-final") == 1)
        assert [entry.end for entry in await world.slices(1)] == [at("14:35")]


def _bucket(start: str) -> grid.Bucket:
    found = grid.Grid(CALENDARS["regular"], timeframes.span("5m")).holding(times.instant(at(start)))
    assert found is not None
    return found
