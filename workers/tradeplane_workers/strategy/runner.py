"""Follows the bars: which of them are history, which are triggers, and which of the triggers were missed.

1. take the fence; it names the last decided trigger, and up to which order event an earlier attempt had answered
2. read history: without a last trigger everything known is history, and only bars that come later are triggers; with
   one, every later bar is a trigger
3. of several triggers at once only the newest is decided, the older ones are recorded as missed: a decision on an old
   bar would trade on prices that are gone
4. then follow the stream. A gap marker, a back-filled slice, an entry that cannot be read or a slice that does not
   mention a symbol of ours means that the stream is not the whole truth: history is asked from the last bar on.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from tradeplane_engine import errors, live, settings
from tradeplane_engine.domain import bars, timeframes, times
from tradeplane_workers import bar_messages, history_client, messages
from tradeplane_workers.strategy import bar_stream, figures, stopping

log = structlog.get_logger(__name__)

# Sessions are at most 5 of 7 days; two weeks more cover every run of holidays.
_WARM_UP_SLACK_DAYS = 14
# The longest weekend, for bars that are shorter than a day; and the shortest session, an early close.
_WEEKEND_DAYS = 5
_SHORTEST_SESSION = 3 * times.HOUR + 30 * times.MINUTE
# A publisher's clock may be this much ahead of ours without being wrong.
_CLOCKS_APART = 2 * times.SECOND
# A holder that is silent for 10 s may lose its fence to an equal one.
_HEARTBEAT_S = 3.0


class History(history_client.History, Protocol):
    """Where past bars come from, the newest ones too."""

    def newest(self, symbols: Sequence[str], *, timeframe: str, last: int, session: str) -> tuple[bars.BarSlice, ...]:
        """Return the slices of the newest ``last`` intervals, whole sessions or buckets."""
        ...


class Stream(Protocol):
    """New entries of the bar stream."""

    def seek(self, end: times.Nanos) -> None:
        """Go on behind the slice that ended at ``end``."""
        ...

    def read(self) -> list[bar_stream.Entry]:
        """Wait a moment for entries."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Where bars come from, and what proves that this process lives.

    heartbeat : called while nothing happens; raises when the fence is lost
    """

    history: History
    stream: Stream
    heartbeat: Callable[[], object]


class Runner:
    """Drives what decides in one attempt.

    Parameters
    ----------
    strategy : symbols, timeframe, session
    host : decides, with live ports
    sources : bars and heartbeat
    stop : ends every wait
    counted : metrics
    machine_now : the machine's clock in nanoseconds
    """

    def __init__(
        self,
        strategy: settings.Trader,
        host: live.Host,
        sources: Sources,
        *,
        stop: stopping.Stop,
        counted: figures.Figures,
        machine_now: Callable[[], times.Nanos],
    ) -> None:
        self._strategy = strategy
        self._host = host
        self._sources = sources
        self._stop = stop
        self._counted = counted
        self._machine_now = machine_now
        self._last = times.Nanos(0)
        self._ends: dict[str, times.Nanos] = {}
        self._carried: tuple[bars.CorporateAction, ...] = ()
        self._beat_s = time.monotonic()

    def start(self, last: live.Place | None) -> None:
        """Warm up, and answer the triggers that passed while no process ran."""
        if last is None:
            past = self._patiently(lambda: self._newest(self._host.warm_up))
            later: tuple[bars.BarSlice, ...] = ()
        else:
            start = times.Nanos(last.trigger - self._warm_up_days * times.DAY)
            found = self._patiently(lambda: self._since(start))
            past = tuple(one for one in found if one.end <= last.trigger)[-self._host.warm_up :]
            later = tuple(one for one in found if one.end > last.trigger)
        self._host.warm(past, last)
        self._note_ages(past)
        newest = past[-1].end if past else times.Nanos(0)
        self._last = newest if last is None else max(newest, last.trigger)
        log.info("warmed up", slices=len(past), missed=len(later), last=times.text(self._last))
        self._answer(later)
        self._sources.stream.seek(self._last)

    def follow(self) -> None:
        """Decide on every new bar until stopped; raises Stopped, Fenced."""
        while True:
            entries = self._sources.stream.read()
            if entries:
                self._take(entries)
                continue
            self._host.idle()
            if time.monotonic() - self._beat_s > _HEARTBEAT_S:
                self._sources.heartbeat()
                self._beat_s = time.monotonic()

    @property
    def _warm_up_days(self) -> int:
        """Days that surely hold as many slices as the host wants."""
        timeframe = self._strategy.timeframe
        if timeframe == timeframes.DAY:
            return self._host.warm_up * 7 // 5 + _WARM_UP_SLACK_DAYS
        sessions = -(-self._host.warm_up * timeframes.span(timeframe) // _SHORTEST_SESSION)
        return sessions * 7 // 5 + _WEEKEND_DAYS

    def _note_ages(self, found: Iterable[bars.BarSlice]) -> None:
        """Show how old each symbol's newest bar was at the newest of these slices."""
        end = times.Nanos(0)
        for one in found:
            end = one.end
            for symbol, bar in one.bars.items():
                self._ends[symbol] = bar.end
        if end:
            for symbol, last in self._ends.items():
                self._counted.bar_age.labels(symbol).set((end - last) / times.SECOND)

    def _count_revision(self, entry: bar_stream.Entry) -> bool:
        """Say whether an entry tells of a minute after its slice: it is counted, and what was decided stays."""
        if not isinstance(entry, messages.RevisionMessage):
            return False
        if entry.minute.symbol in self._strategy.symbols:
            self._counted.revisions.labels(entry.reason).inc()
            log.warning("minute after its slice", symbol=entry.minute.symbol, end=entry.end, reason=entry.reason)
        return True

    def _take(self, read: Sequence[bar_stream.Entry]) -> None:
        arrived = time.monotonic()
        entries = [entry for entry in read if not self._count_revision(entry)]
        found = [one for entry in entries if (one := self._whole(entry)) is not None]
        if len(found) < len(entries):
            start = times.Nanos(self._last + 1)
            log.info("stream is not whole", asking_from=times.text(start))
            known = self._patiently(lambda: self._since(start))
            ends = {one.end for one in known}
            # History carries all actions since then itself.
            self._carried = ()
            found = sorted([*known, *(one for one in found if one.end not in ends)], key=lambda one: one.end)
        triggers = [one for one in self._with_bars(found) if one.end > self._last]
        self._answer(triggers)
        if triggers:
            self._counted.decision_seconds.observe(time.monotonic() - arrived)
        self._beat_s = time.monotonic()

    def _whole(self, entry: bar_stream.Entry) -> bars.BarSlice | None:
        """Return our part of a slice that says everything about our symbols, else nothing."""
        if not isinstance(entry, messages.SliceMessage) or entry.backfilled:
            return None
        ours = set(self._strategy.symbols)
        if not ours <= {bar.symbol for bar in entry.bars} | set(entry.absent):
            return None
        try:
            one = bar_messages.bar_slice(entry)
        except errors.EngineError as error:
            self._counted.slices_refused.inc()
            log.warning("slice refused", end=entry.end, error=str(error))
            return None
        return replace(
            one,
            bars={symbol: bar for symbol, bar in one.bars.items() if symbol in ours},
            actions=tuple(action for action in one.actions if action.symbol in ours),
        )

    def _with_bars(self, found: Iterable[bars.BarSlice]) -> list[bars.BarSlice]:
        """Drop slices without a bar of ours; their actions act before the next one that has."""
        kept = []
        for one in found:
            if one.bars:
                kept.append(replace(one, actions=(*self._carried, *one.actions)))
                self._carried = ()
            else:
                self._carried += one.actions
        return kept

    def _answer(self, triggers: Sequence[bars.BarSlice]) -> None:
        if not triggers:
            return
        *older, newest = triggers
        for one in older:
            self._host.missed(one.end, detail=f"decided at {times.text(newest.end)}", one=one)
            self._last = one.end
        self._await_availability(newest)
        self._host.step(newest)
        self._note_ages(triggers)
        self._last = newest.end
        self._sources.stream.seek(self._last)

    def _await_availability(self, one: bars.BarSlice) -> None:
        """Wait out a clock that is a little behind the publisher's; the host refuses bars of the future."""
        known = max(bar.available_at for bar in one.bars.values())
        while (ahead := known - self._machine_now()) > 0:
            log.log(
                logging.WARNING if ahead > _CLOCKS_APART else logging.DEBUG,
                "bar from the future",
                end=times.text(one.end),
                ahead_s=ahead / times.SECOND,
            )
            self._stop.pause(min(ahead / times.SECOND, 1.0))

    def _newest(self, last: int) -> tuple[bars.BarSlice, ...]:
        strategy = self._strategy
        return self._sources.history.newest(
            strategy.symbols, timeframe=strategy.timeframe, last=last, session=strategy.session
        )

    def _since(self, start: times.Nanos) -> tuple[bars.BarSlice, ...]:
        strategy = self._strategy
        return self._sources.history.slices(
            strategy.symbols, timeframe=strategy.timeframe, start=start, end=None, session=strategy.session
        )

    def _patiently(self, read: Callable[[], tuple[bars.BarSlice, ...]]) -> tuple[bars.BarSlice, ...]:
        """Ask until there is an answer: without whole history no decision may be made."""
        failures = 0
        while True:
            try:
                return read()
            except (history_client.HistoryUnavailableError, history_client.HistoryRefusedError) as error:
                self._counted.failures.labels("market_data").inc()
                log.warning("history not available", error=str(error), failures=failures + 1)
                self._stop.back_off(failures)
                self._sources.heartbeat()
                failures += 1
