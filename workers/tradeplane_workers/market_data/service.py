"""Keeps the stream of slices true: live from the provider's stream, back-filled by REST after any gap.

One consumer does all publishing, in order, in rounds:

1. take what the provider's stream sent; check it; collect bars by end
2. if the provider, Redis or the set of subscriptions changed since, compare the stream in Redis with what the provider
   has, mark the gap and publish the missed slices
3. publish each end that is complete, or whose missing symbols had their time: those are asked by REST, and absent if
   REST has none either

A round that fails is repeated after a pause; nothing is forgotten before it is in Redis.
"""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import structlog
from redis import exceptions as redis_exceptions

from tradeplane_engine.data import quality
from tradeplane_engine.domain import bars, times
from tradeplane_workers import bar_messages, messages
from tradeplane_workers.market_data import ages, assembly, history, provider, publisher, sessions, stream, wire

log = structlog.get_logger(__name__)

_FAILURES = (redis_exceptions.RedisError, provider.ProviderFailedError, OSError)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the service waits for what.

    others_s : for the other symbols after the first bar of an end
    subscriptions_s : between looks at the subscriptions
    idle_s : without news, until the provider is asked whether the stream missed something
    settle_s : after a close, until REST is trusted to have the whole session; until then the stream has its chance
    pause_first_s, pause_most_s : between rounds that fail
    """

    others_s: float = 0.1
    subscriptions_s: float = 0.25
    idle_s: float = 5.0
    settle_s: float = 60.0
    pause_first_s: float = 0.1
    pause_most_s: float = 2.0


def is_cancelled() -> bool:
    """Say whether this task was cancelled: redis-py 8.1 swallows a cancellation that meets it inside a call."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class MarketData:
    """The one publisher of bars.

    Parameters
    ----------
    reader : the provider's REST side
    output : the Redis side
    timeframe : such as ``1d``
    patience : waiting times
    republished : slices that an empty Redis stream is filled with
    """

    def __init__(
        self,
        reader: history.Reader,
        output: publisher.Publisher,
        *,
        timeframe: str = "1d",
        patience: Patience | None = None,
        republished: int = 5,
    ) -> None:
        self._reader = reader
        self._output = output
        self._timeframe = timeframe
        self._patience = patience if patience is not None else Patience()
        self._republished = republished
        self._ages = ages.Ages(reader.figures, timeframe)
        self._assembly = assembly.Assembly(patience_s=self._patience.others_s)
        self._events: asyncio.Queue[stream.Event | None] = asyncio.Queue()
        self._wanted: frozenset[str] = frozenset()
        self._published: times.Nanos | None = None
        self._connected = False
        self._streamed: frozenset[str] = frozenset()
        self._redis_answers = False
        self._compare = False
        self._was_cut = True
        self._traded: set[str] = set()

    @property
    def ready(self) -> bool:
        """Whether Redis answers, and the provider streams every symbol that is wanted."""
        return self._connected and self._redis_answers and self._wanted <= self._streamed

    def sink(self, event: stream.Event) -> None:
        """Take an event of the provider's stream; minutes are none of ours."""
        if not isinstance(event, stream.RowReceived) or event.kind == stream.DAILY:
            self._events.put_nowait(event)

    async def follow_subscriptions(self, source: stream.ProviderStream) -> None:
        """Subscribe at the provider to whatever strategies ask for, until cancelled."""
        while not is_cancelled():
            try:
                wanted = await self._output.wanted()
            except _FAILURES as error:
                self._redis_lost(error)
            else:
                if not self._redis_answers:
                    self._redis_answers = True
                    self._events.put_nowait(None)
                # A symbol is kept for the life of the process: Redis may lose its set, strategies add theirs again.
                self._wanted |= wanted
                self._reader.figures.symbols.set(len(self._wanted))
                await source.subscribe(self._wanted)
            await asyncio.sleep(self._patience.subscriptions_s)

    async def run(self) -> None:
        """Publish until cancelled."""
        failures = 0
        while not is_cancelled():
            await self._take_events()
            try:
                await self._round()
                failures = 0
            except _FAILURES as error:
                self._compare = True
                if isinstance(error, redis_exceptions.RedisError):
                    self._redis_lost(error)
                self._reader.figures.failures.labels(type(error).__name__).inc()
                log.warning("round failed", error=f"{type(error).__name__}: {error}", failures=failures + 1)
                await asyncio.sleep(min(self._patience.pause_first_s * 2.0**failures, self._patience.pause_most_s))
                failures += 1

    def _redis_lost(self, error: Exception) -> None:
        if self._redis_answers:
            log.warning("redis lost", error=f"{type(error).__name__}: {error}")
        self._redis_answers = False
        self._compare = True
        self._was_cut = True

    async def _take_events(self) -> None:
        if not self._compare:
            now = asyncio.get_running_loop().time()
            due = self._assembly.wait_s(now=now)
            waits_s = self._patience.idle_s if due is None else due
            try:
                async with asyncio.timeout(waits_s):
                    self._handle(await self._events.get())
            except TimeoutError:
                # The stream may be silent because it is broken: look.
                self._compare = self._compare or (due is None and self._connected)
        while not self._events.empty():
            self._handle(self._events.get_nowait())

    def _handle(self, event: stream.Event | None) -> None:
        figures = self._reader.figures
        match event:
            case stream.Connected(symbols):
                self._streamed = symbols
                self._was_cut = self._was_cut or not self._connected
                self._connected, self._compare = True, True
                figures.connected.set(1)
            case stream.Disconnected():
                self._connected = False
                figures.connected.set(0)
                figures.disconnects.inc()
            case stream.RowReceived(symbol, row, stream.DAILY):
                bar = self._reader.accept(symbol, row)
                if bar is not None:
                    self._collect(bar)
            case None:
                self._compare = True

    def _collect(self, bar: bars.Bar) -> None:
        now = asyncio.get_running_loop().time()
        if self._published is not None and bar.end <= self._published:
            at = f"{bar.symbol}: ends at {times.text(bar.end)}, {times.text(self._published)} is published"
            self._reader.refuse(wire.Refusal(bar.symbol, quality.Refusal.OUT_OF_ORDER, at))
        elif not self._assembly.add(bar, now=now):
            at = f"{bar.symbol}: two bars end at {times.text(bar.end)}"
            self._reader.refuse(wire.Refusal(bar.symbol, quality.Refusal.DUPLICATE, at))

    async def _round(self) -> None:
        if self._compare and self._wanted:
            await self._catch_up(None)
        self._compare = False
        while (end := self._assembly.due(self._expected, now=asyncio.get_running_loop().time())) is not None:
            await self._publish_live(end)

    @property
    def _expected(self) -> frozenset[str]:
        """Symbols worth a wait; one that never traded (not listed yet) is asked by REST without it."""
        return self._wanted & self._traded or self._wanted

    async def _publish_live(self, end: times.Nanos) -> None:
        self._wanted |= await self._output.wanted()
        session, before = self._reader.calendar.newest(2, until=end)[::-1]
        published = await self._output.last_end()
        if published is None or published < before.end:
            await self._catch_up(before)
            published = await self._output.last_end()
        if published is None or published < end:
            collected = self._assembly.peek(end)
            missing = self._wanted - collected.keys()
            for bar in await self._reader.read_bars(missing, session, session):
                collected[bar.symbol] = bar
            actions = await self._reader.read_actions(self._wanted, session, session)
            await self._publish(session, collected.values(), actions, backfilled=False)
        self._assembly.drop_until(end)

    async def _catch_up(self, until: sessions.Session | None) -> None:
        """Publish what the provider has and Redis has not: up to ``until``, or to the newest settled session."""
        self._wanted |= await self._output.wanted()
        published = await self._output.last_end()
        was_lost = self._published is not None and (published is None or published < self._published)
        first = await self._first_missing(published, until)
        if first is None or (until is not None and first.end > until.end):
            await self._mark_gap(published, published, was_lost=was_lost)
            return
        found = await self._reader.read_bars(self._wanted, first, until)
        newest = until.end if until is not None else max((bar.end for bar in found), default=first.end - 1)
        latest = self._reader.machine_now() - int(self._patience.settle_s * times.SECOND)
        missed = tuple(
            session
            for session in self._reader.calendar.ending_within(first.end, times.Nanos(newest))
            if until is not None or session.end <= latest
        )
        if published is None:
            # Nobody waits for sessions in which nothing was listed yet.
            missed = tuple(session for session in missed if found and session.end >= found[0].end)
        since = published
        if since is None and was_lost:
            since = self._reader.calendar.newest(2, until=first.end)[0].end
        await self._mark_gap(since, missed[-1].end if missed else since, was_lost=was_lost)
        if not missed:
            return
        actions = await self._reader.read_actions(self._wanted, missed[0], missed[-1])
        by_end: dict[times.Nanos, list[bars.Bar]] = {}
        for bar in found:
            by_end.setdefault(bar.end, []).append(bar)
        for session in missed:
            of_session = tuple(action for action in actions if action.ex_start == session.start)
            await self._publish(session, by_end.get(session.end, ()), of_session, backfilled=True)
        self._assembly.drop_until(missed[-1].end)

    async def _first_missing(
        self, published: times.Nanos | None, until: sessions.Session | None
    ) -> sessions.Session | None:
        if published is not None:
            return self._reader.calendar.next_after(published)
        newest = until.end if until is not None else await self._reader.newest_end(self._wanted)
        if newest is None:
            return None
        oldest = self._reader.calendar.newest(self._republished, until=newest)[0]
        forgotten = self._reader.calendar.next_after(self._published) if self._published is not None else None
        return oldest if forgotten is None or oldest.end < forgotten.end else forgotten

    async def _mark_gap(self, since: times.Nanos | None, until: times.Nanos | None, *, was_lost: bool) -> None:
        """Say once per interruption that there was one; a stream that never held anything has no gap."""
        if (self._was_cut or was_lost) and since is not None and until is not None:
            gap = messages.GapMessage(timeframe=self._timeframe, since=times.text(since), until=times.text(until))
            try:
                await self._output.mark_gap(gap)
            except publisher.AlreadyPublishedError:
                log.info("gap is behind the stream", since=gap.since)
            else:
                self._reader.figures.gaps.labels(self._timeframe).inc()
                log.info("gap marked", since=gap.since, until=gap.until)
        self._was_cut = False

    async def _publish(
        self,
        session: sessions.Session,
        found: Iterable[bars.Bar],
        actions: Collection[bars.CorporateAction],
        *,
        backfilled: bool,
    ) -> None:
        ordered = sorted(found, key=lambda bar: bar.symbol)
        # REST was asked for each of them: without its answer nothing is published.
        absent: dict[str, ages.Reason] = dict.fromkeys(
            sorted(self._wanted - {bar.symbol for bar in ordered}), "no-trade"
        )
        message = messages.SliceMessage(
            timeframe=self._timeframe,
            end=times.text(session.end),
            bars=tuple(bar_messages.bar_message(bar) for bar in ordered),
            absent=tuple(absent),
            missing=self._ages.markers(absent, start=session.start),
            actions=tuple(bar_messages.action_message(action) for action in actions),
            backfilled=backfilled,
        )
        try:
            await self._output.publish(message)
        except publisher.AlreadyPublishedError:
            log.info("slice was published already", end=message.end)
        else:
            figures = self._reader.figures
            figures.slices.labels(self._timeframe, str(backfilled).lower()).inc()
            figures.bars.labels(self._timeframe).inc(len(message.bars))
            figures.last_end.labels(self._timeframe).set(session.end / times.SECOND)
            self._ages.published(session.end, ordered, absent)
            log.info("slice published", end=message.end, bars=len(message.bars), absent=message.absent, late=backfilled)
        self._published = max(session.end, self._published or session.end)
        self._count_gaps(session, message)

    def _count_gaps(self, session: sessions.Session, message: messages.SliceMessage) -> None:
        for symbol in self._traded.intersection(message.absent):
            at = f"{symbol}: no bar ends at {times.text(session.end)}"
            self._reader.refuse(wire.Refusal(symbol, quality.Refusal.GAP, at))
        self._traded.update(bar.symbol for bar in message.bars)
