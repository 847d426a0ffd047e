"""Keeps one stream of slices that are shorter than a day true: one timeframe, one session.

Every bar is made of the provider's minutes, on the buckets of the session. One consumer does all publishing, in order,
in rounds, as :mod:`service` does for days:

1. take what the provider's stream sent; keep the minutes
2. if the provider, Redis or the set of subscriptions changed since, compare the stream in Redis with what the provider
   has, mark the gap and publish the missed slices from REST
3. publish each bucket that trading time has passed (:mod:`progress`). REST is asked first for minutes that were not
   heard, and for all of them where the stream was interrupted: no bar is ever made of minutes of which some may be
   unheard. What REST has neither is a minute without a trade. While REST does not answer, nothing is published for
   ``unknown_s``, then the symbols that are not whole are absent, for the reason ``unknown``

A minute that comes, or changes, after its slice is counted and marked behind the newest slice; what is published stays.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from redis import exceptions as redis_exceptions

from tradeplane_engine import errors
from tradeplane_engine.data import aggregation, quality
from tradeplane_engine.domain import bars, times
from tradeplane_workers import bar_messages, messages
from tradeplane_workers.market_data import (
    ages,
    buckets,
    grid,
    minutes,
    progress,
    provider,
    publisher,
    service,
    stream,
    wire,
)

log = structlog.get_logger(__name__)

# Of the provider's clock and the machine's, at most.
_CLOCKS_APART = 2 * times.SECOND
# So long is known what was published of a minute, to tell a revision from a repetition.
_REMEMBERED = times.HOUR
_FAILURES = (redis_exceptions.RedisError, provider.ProviderFailedError, OSError)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a channel waits for what.

    others_s : for the other symbols after the first bar of a minute
    late_s : after a bucket's end, in real time, for its last bars in a quiet market
    unknown_s : for REST to say what was not heard, until it counts as unknown
    subscriptions_s, unused_s : between looks at the subscriptions, and while there are none
    idle_s : without news, until the provider is asked whether the stream missed something
    settle_s : after a bucket's end, until REST is trusted to have it; until then the stream has its chance
    pause_first_s, pause_most_s : between rounds that fail
    """

    others_s: float = 1.0
    late_s: float = 10.0
    unknown_s: float = 10.0
    subscriptions_s: float = 0.25
    unused_s: float = 1.0
    idle_s: float = 30.0
    settle_s: float = 30.0
    pause_first_s: float = 0.1
    pause_most_s: float = 2.0


class Channel:
    """The one publisher of one channel.

    Parameters
    ----------
    reader : the provider's REST side, on the channel's grid
    output : the Redis side
    timeframe, session : such as ``5m`` and ``extended``
    patience : waiting times
    republished : slices that an empty Redis stream is filled with
    """

    def __init__(
        self,
        reader: buckets.Reader,
        output: publisher.Publisher,
        *,
        timeframe: str,
        session: str,
        patience: Patience | None = None,
        republished: int = 5,
    ) -> None:
        self.reader = reader
        self._grid = reader.calendar
        self._output = output
        self._timeframe = timeframe
        self._session = session
        self._name = output.channel
        self._patience = patience if patience is not None else Patience()
        self._republished = republished
        self._progress = progress.Progress(patience_s=self._patience.others_s, late_s=self._patience.late_s)
        self._minutes = minutes.Minutes()
        self._ages = ages.Ages(reader.figures, self._name)
        self._events: asyncio.Queue[stream.Event | None] = asyncio.Queue()
        self._wanted: frozenset[str] = frozenset()
        self._streamed: frozenset[str] = frozenset()
        self._traded: set[str] = set()
        self._published: times.Nanos | None = None
        # The stream is whole from here on; nothing is, before it was heard.
        self._whole_from: times.Nanos | None = None
        self._unanswered: dict[times.Nanos, float] = {}
        self._late: list[bars.Bar] = []
        self._connected = False
        self._redis_answers = False
        self._compare = False
        self._was_cut = True

    @property
    def ready(self) -> bool:
        """Whether Redis answers, and the provider streams every symbol that is wanted."""
        return not self._wanted or (self._connected and self._redis_answers and self._wanted <= self._streamed)

    def sink(self, event: stream.Event) -> None:
        """Take an event of the provider's stream; rows of others' symbols and of days are none of ours."""
        if not isinstance(event, stream.RowReceived) or (event.symbol in self._wanted and event.kind != stream.DAILY):
            self._events.put_nowait(event)

    async def follow_subscriptions(self, source: stream.ProviderStream) -> None:
        """Subscribe at the provider to whatever strategies ask for, until cancelled."""
        while not service.is_cancelled():
            try:
                wanted = await self._output.wanted()
            except _FAILURES as error:
                self._redis_lost(error)
            else:
                if not self._redis_answers or not wanted <= self._wanted:
                    self._redis_answers = True
                    self._events.put_nowait(None)
                # A symbol is kept for the life of the process: Redis may lose its set, strategies add theirs again.
                self._wanted |= wanted
                await source.subscribe(self._wanted, stream.MINUTES)
            await asyncio.sleep(self._patience.subscriptions_s if self._wanted else self._patience.unused_s)

    async def run(self) -> None:
        """Publish until cancelled."""
        failures = 0
        while not service.is_cancelled():
            await self._take_events()
            try:
                await self._round()
                failures = 0
            except _FAILURES as error:
                # A look that failed is still to come; a bucket that REST says nothing about is tried again by itself.
                if isinstance(error, redis_exceptions.RedisError):
                    self._redis_lost(error)
                self.reader.figures.failures.labels(type(error).__name__).inc()
                log.warning("round failed", channel=self._name, error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(min(self._patience.pause_first_s * 2.0**failures, self._patience.pause_most_s))
                failures += 1

    # --- what comes in ----------------------------------------------------------------------------------------------

    def _redis_lost(self, error: Exception) -> None:
        if self._redis_answers:
            log.warning("redis lost", channel=self._name, error=f"{type(error).__name__}: {error}")
        self._redis_answers = False
        self._compare = True
        self._was_cut = True

    async def _take_events(self) -> None:
        if not self._compare:
            due = self._wait_s()
            waits_s = self._patience.idle_s if due is None else due
            try:
                async with asyncio.timeout(waits_s):
                    self._handle(await self._events.get())
            except TimeoutError:
                # The stream may be silent because it is broken: look.
                self._compare = self._compare or (due is None and self._connected)
        while not self._events.empty():
            self._handle(self._events.get_nowait())

    def _wait_s(self) -> float | None:
        following = self._following()
        if following is None or not self._wanted:
            return None
        now_s, machine = asyncio.get_running_loop().time(), self.reader.machine_now()
        waits_s = self._progress.wait_s(following.end, self._expected, now_s=now_s, machine=machine)
        known_s = max(following.available_at - machine, 0) / times.SECOND
        return None if waits_s is None else max(waits_s, known_s)

    def _handle(self, event: stream.Event | None) -> None:
        match event:
            case stream.Connected(_, symbols):
                self._streamed = symbols
                self._connected, self._compare = True, True
            case stream.Disconnected():
                # Not at the next connection: REST may be back, and its slices published, before that.
                self._connected, self._was_cut, self._whole_from = False, True, None
            case stream.RowReceived(symbol, row, stream.MINUTE | stream.UPDATED_MINUTE as kind):
                self._take(symbol, row, revises=kind == stream.UPDATED_MINUTE)
            case None:
                self._compare = True

    def _take(self, symbol: str, row: Mapping[str, Any], *, revises: bool) -> None:
        try:
            start = wire.label(symbol, row)
            bar = self.reader.accept(symbol, row, length=times.Nanos(times.MINUTE))
        except errors.DataRefused as error:
            self.reader.refuse(wire.Refusal(symbol, error.reason, str(error)))
            self._break(symbol, row)
            return
        machine = self.reader.machine_now()
        if start + times.MINUTE > machine + _CLOCKS_APART:
            self.reader.refuse(wire.Refusal(symbol, "not-final", f"{symbol}: a minute from {times.text(start)}"))
            return
        if not revises:
            self._progress.hear(symbol, start, now_s=asyncio.get_running_loop().time(), machine=machine)
            if self._whole_from is None:
                # The others' bars of this minute may have been sent before we listened.
                self._whole_from = times.Nanos(start + times.MINUTE)
        if bar is None:
            return
        if self._published is not None and bar.start < self._published:
            self._late.append(bar)
        else:
            self._keep(bar, revises=revises)

    def _keep(self, bar: bars.Bar, *, revises: bool) -> None:
        match self._minutes.add(bar, revises=revises):
            case minutes.Taken.REVISED:
                self.reader.figures.revisions.labels(self._name, "revised", "false").inc()
            case minutes.Taken.DUPLICATE:
                at = f"{bar.symbol}: two bars start at {times.text(bar.start)}"
                self.reader.refuse(wire.Refusal(bar.symbol, quality.Refusal.DUPLICATE, at))

    def _break(self, symbol: str, row: Mapping[str, Any]) -> None:
        try:
            self._minutes.break_at(symbol, wire.label(symbol, row))
        except errors.DataRefused:
            return

    # --- what goes out ----------------------------------------------------------------------------------------------

    @property
    def _expected(self) -> frozenset[str]:
        """Symbols worth a wait; one that never traded (not listed yet) is asked by REST without it."""
        return self._wanted & self._traded or self._wanted

    def _following(self) -> grid.Bucket | None:
        """Return the bucket to publish next, nothing while nobody knows where the stream stands."""
        return None if self._published is None else self._grid.next_after(self._published)

    async def _round(self) -> None:
        if not self._wanted:
            self._compare = False
            return
        if self._compare:
            await self._catch_up(None)
        self._compare = False
        await self._mark_revisions()
        while (bucket := self._due()) is not None:
            await self._publish_live(bucket)

    def _due(self) -> grid.Bucket | None:
        now_s, machine = asyncio.get_running_loop().time(), self.reader.machine_now()
        over = self._progress.over(self._expected, now_s=now_s, machine=machine)
        if self._published is None:
            newest = self._grid.newest(1, until=over)
            return newest[0] if newest else None
        bucket = self._following()
        is_due = bucket is not None and bucket.end <= over and bucket.available_at <= machine
        return bucket if is_due else None

    async def _publish_live(self, bucket: grid.Bucket) -> None:
        self._wanted |= await self._output.wanted()
        published = await self._output.last_end()
        before = self._grid.before(bucket)
        if published is None or published < before.end:
            await self._catch_up(before)
            published = await self._output.last_end()
        if published is None or published < bucket.end:
            is_known = await self._fill(bucket)
            actions = await self.reader.read_actions(self._wanted, bucket, bucket)
            await self._publish(bucket, actions, is_known=is_known, is_repaired=self._is_interrupted(bucket))
        else:
            self._published = published
        self._minutes.drop_until(times.Nanos(bucket.end - _REMEMBERED))

    def _is_interrupted(self, bucket: grid.Bucket) -> bool:
        return self._whole_from is None or self._whole_from > bucket.start

    async def _fill(self, bucket: grid.Bucket) -> bool:
        """Ask REST for the minutes that were not heard; False when it gave no answer for too long."""
        interrupted = self._is_interrupted(bucket)
        lacking = {one for one in self._wanted if interrupted or not self._minutes.is_whole(one, bucket)}
        try:
            parts = await self.reader.read_minutes(lacking, bucket.start, bucket.end)
        except provider.ProviderFailedError as error:
            now_s = asyncio.get_running_loop().time()
            if now_s - self._unanswered.setdefault(bucket.end, now_s) < self._patience.unknown_s:
                raise
            log.warning("minutes unknown", channel=self._name, symbols=sorted(lacking), error=str(error))
            return False
        self._take_in(parts, until=bucket.end if self._whole_from is None else self._whole_from)
        return True

    def _take_in(self, parts: buckets.Parts, *, until: times.Nanos) -> None:
        found = [bar for of_symbol in parts.bars.values() for bar in of_symbol]
        self._minutes.fill(found, parts.refused, until=until)

    async def _catch_up(self, until: grid.Bucket | None) -> None:
        """Publish what the provider has and Redis has not: up to ``until``, or to the newest settled bucket."""
        self._wanted |= await self._output.wanted()
        published = await self._output.last_end()
        was_lost = self._published is not None and (published is None or published < self._published)
        missed = await self._missed(published, until)
        since = published
        if since is None and was_lost and missed:
            since = self._grid.before(missed[0]).end
        await self._mark_gap(since, missed[-1].end if missed else since, was_lost=was_lost)
        if published is not None:
            self._published = max(published, self._published or published)
        if not missed:
            return
        parts = await self.reader.read_minutes(self._wanted, missed[0].start, missed[-1].end)
        self._take_in(parts, until=missed[-1].end)
        if published is None:
            # Nobody waits for buckets in which nothing was listed yet.
            first = min((found[0].start for found in parts.bars.values()), default=missed[-1].end)
            missed = tuple(bucket for bucket in missed if bucket.end > first)
            if not missed:
                return
        actions = await self.reader.read_actions(self._wanted, missed[0], missed[-1])
        for bucket in missed:
            of_bucket = tuple(action for action in actions if action.ex_start == bucket.start)
            await self._publish(bucket, of_bucket, is_known=True, is_repaired=True, backfilled=True)
        self._minutes.drop_until(times.Nanos(missed[-1].end - _REMEMBERED))

    async def _missed(self, published: times.Nanos | None, until: grid.Bucket | None) -> tuple[grid.Bucket, ...]:
        """Return the buckets that the stream in Redis lacks, in order."""
        if until is not None:
            newest: times.Nanos | None = until.end
        else:
            newest = await self.reader.newest_end(self._wanted)
            latest = times.Nanos(self.reader.machine_now() - int(self._patience.settle_s * times.SECOND))
            newest = None if newest is None else min(newest, latest)
        if newest is None:
            return ()
        if published is not None:
            return self._grid.ending_within(times.Nanos(published + 1), newest)
        oldest = next(iter(self._grid.newest(self._republished, until=newest)), None)
        if oldest is None:
            return ()
        first = oldest.end
        if self._published is not None and (forgotten := self._grid.next_after(self._published)) is not None:
            first = min(first, forgotten.end)
        return self._grid.ending_within(first, newest)

    async def _mark_gap(self, since: times.Nanos | None, until: times.Nanos | None, *, was_lost: bool) -> None:
        """Say once per interruption that there was one; a stream that never held anything has no gap."""
        if (self._was_cut or was_lost) and since is not None and until is not None:
            gap = messages.GapMessage(
                timeframe=self._timeframe, session=self._session, since=times.text(since), until=times.text(until)
            )
            try:
                await self._output.mark_gap(gap)
            except publisher.AlreadyPublishedError:
                log.info("gap is behind the stream", channel=self._name, since=gap.since)
            else:
                self.reader.figures.gaps.labels(self._name).inc()
                log.info("gap marked", channel=self._name, since=gap.since, until=gap.until)
        self._was_cut = False

    async def _publish(
        self,
        bucket: grid.Bucket,
        actions: Collection[bars.CorporateAction],
        *,
        is_known: bool,
        is_repaired: bool,
        backfilled: bool = False,
    ) -> None:
        found: list[bars.Bar] = []
        absent: dict[str, ages.Reason] = {}
        for symbol in sorted(self._wanted):
            parts = self._minutes.of(symbol, bucket)
            is_whole = self._minutes.is_whole(symbol, bucket)
            if self._minutes.is_broken(symbol, bucket) or not (is_known or is_whole):
                absent[symbol] = "unknown"
            elif parts:
                found.append(aggregation.merge(parts, bucket.hours))
            else:
                absent[symbol] = "no-trade"
        message = messages.SliceMessage(
            timeframe=self._timeframe,
            session=self._session,
            end=times.text(bucket.end),
            bars=tuple(map(bar_messages.bar_message, found)),
            absent=tuple(absent),
            missing=self._ages.markers(absent, start=bucket.start),
            actions=tuple(map(bar_messages.action_message, actions)),
            backfilled=backfilled,
            repaired=is_repaired,
        )
        try:
            await self._output.publish(message)
        except publisher.AlreadyPublishedError:
            log.info("slice was published already", channel=self._name, end=message.end)
        else:
            figures = self.reader.figures
            figures.slices.labels(self._name, str(backfilled).lower()).inc()
            figures.bars.labels(self._name).inc(len(found))
            figures.last_end.labels(self._name).set(bucket.end / times.SECOND)
            self._ages.published(bucket.end, found, absent)
            log.info("slice published", channel=self._name, end=message.end, bars=len(found), absent=message.absent)
        self._published = max(bucket.end, self._published or bucket.end)
        self._traded.update(bar.symbol for bar in found)
        self._unanswered.pop(bucket.end, None)

    async def _mark_revisions(self) -> None:
        """Mark what came after its slice; what is published stays as it is."""
        while self._late and self._published is not None:
            bar = self._late[0]
            before = self._minutes.at(bar.symbol, bar.start)
            bucket = self._grid.holding(bar.start)
            if bucket is not None and before != bar:
                await self._mark_revision(bar, bucket, "late" if before is None else "revised")
            del self._late[0]

    async def _mark_revision(self, bar: bars.Bar, bucket: grid.Bucket, reason: Literal["late", "revised"]) -> None:
        message = messages.RevisionMessage(
            timeframe=self._timeframe,
            session=self._session,
            end=times.text(bucket.end),
            reason=reason,
            minute=bar_messages.bar_message(bar),
        )
        newest = await self._output.last_end()
        await self._output.mark_revision(message, newest=bucket.end if newest is None else newest)
        self._minutes.add(bar, revises=True)
        self.reader.figures.revisions.labels(self._name, reason, "true").inc()
        log.warning("minute after its slice", channel=self._name, symbol=bar.symbol, reason=reason, end=message.end)
