"""Reads the provider's bars that are shorter than a day, as exact, checked bars on the buckets of sessions.

Two sources, one way of adding up (:mod:`tradeplane_engine.data.aggregation`):

- minutes, for what was just traded: the stream gives them, REST gives those that the stream did not
- the provider's own longer bars, for the past: fewer rows for the same thing. Hours are made of its quarters, because a
  provider's hour starts on the full hour, the regular session half an hour later.

A bar of which the provider has a part that must not be traded does not exist here: the rest of it would be another bar.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Protocol

import structlog

from tradeplane_engine import errors
from tradeplane_engine.data import aggregation, quality
from tradeplane_engine.domain import bars, timeframes, times
from tradeplane_workers.market_data import figures, grid, history, sessions, wire

log = structlog.get_logger(__name__)

MINUTES: Final = ("1Min", times.Nanos(times.MINUTE))
#: By the length of a bucket: the provider's word for the bars that it is made of, and their length.
PARTS: Final = {
    times.MINUTE: MINUTES,
    5 * times.MINUTE: ("5Min", times.Nanos(5 * times.MINUTE)),
    15 * times.MINUTE: ("15Min", times.Nanos(15 * times.MINUTE)),
    times.HOUR: ("15Min", times.Nanos(15 * times.MINUTE)),
}


class Provider(Protocol):
    """Where bars and actions come from."""

    async def bars_inside(
        self, symbols: Sequence[str], word: str, first: times.Nanos, last: times.Nanos
    ) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Return (symbol, row) of the bars that start in [first, last]."""
        ...

    async def latest(self, symbols: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return the newest minute's row of each symbol that has any."""
        ...

    async def actions(self, symbols: Sequence[str], first: date, last: date) -> Mapping[str, Any]:
        """Return the lists of corporate actions whose process date is in [first, last]."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """Good bars by symbol, oldest first, and (symbol, start) of rows that must not be traded."""

    bars: Mapping[str, Sequence[bars.Bar]]
    refused: frozenset[tuple[str, times.Nanos]]


@dataclass(frozen=True, slots=True)
class Reader:
    """The provider's past on one grid.

    machine_now : the machine's clock; a bar that it has not seen end is not known, whatever the provider says
    """

    provider: Provider
    calendar: grid.Grid
    figures: figures.Figures
    machine_now: Callable[[], times.Nanos]

    async def read_bars(
        self, symbols: Collection[str], first: grid.Bucket, last: grid.Bucket | None
    ) -> tuple[bars.Bar, ...]:
        """Return good bars of these buckets, by end and symbol; to the newest whole one where ``last`` is None."""
        if last is None:
            newest = await self.newest_end(symbols)
            if newest is None or newest < first.end:
                return ()
            last = self.calendar.newest(1, until=newest)[0]
        word, length = PARTS[self.calendar.length]
        parts = await self._read(symbols, word, length, (first.start, last.end))
        found: list[bars.Bar] = []
        days = [timeframes.Hours(one.start, one.end) for one in _sessions(self.calendar, first, last)]
        for of_symbol in parts.bars.values():
            found += aggregation.aggregate(of_symbol, days, length=self.calendar.length)
        broken = {(symbol, self._end(start)) for symbol, start in parts.refused}
        whole = (one for one in found if (one.symbol, one.end) not in broken and first.end <= one.end <= last.end)
        return tuple(sorted(whole, key=lambda one: (one.end, one.symbol)))

    async def read_minutes(self, symbols: Collection[str], since: times.Nanos, until: times.Nanos) -> Parts:
        """Return the minutes from ``since`` up to ``until`` that have ended."""
        word, length = MINUTES
        return await self._read(symbols, word, length, (since, until))

    async def newest_end(self, symbols: Collection[str]) -> times.Nanos | None:
        """Return the end of the newest bucket that the provider's newest minute, of any of ``symbols``, closes.

        A minute outside the session counts: it proves that the session's last bucket is over.
        """
        newest = await self.newest_minute(symbols)
        if newest is None:
            return None
        found = self.calendar.newest(1, until=newest)
        return found[0].end if found else None

    async def newest_minute(self, symbols: Collection[str]) -> times.Nanos | None:
        """Return the end of the newest minute that the provider has of any of ``symbols``."""
        if not symbols:
            return None
        ends = []
        for symbol, row in (await self.provider.latest(sorted(symbols))).items():
            try:
                ends.append(times.Nanos(wire.label(symbol, row) + times.MINUTE))
            except errors.DataRefused as error:
                self.refuse(wire.Refusal(symbol, error.reason, str(error)))
        return max((end for end in ends if end <= self.machine_now()), default=None)

    async def horizon(self, symbols: Collection[str]) -> times.Nanos:
        """Return the instant up to which buckets may be known; before the first one where the provider has nothing."""
        return await self.newest_end(symbols) or times.Nanos(0)

    async def has_passed(self, symbols: Collection[str], end: times.Nanos, found: Sequence[bars.Bar]) -> bool:
        """Say whether the provider's time is past ``end``.

        Bars prove it neither way: the last one may still be growing, and a bucket without a trade has none.
        """
        del found
        newest = await self.newest_minute(symbols)
        return newest is not None and newest >= end

    async def read_actions(
        self, symbols: Collection[str], first: grid.Bucket, last: grid.Bucket
    ) -> tuple[bars.CorporateAction, ...]:
        """Return actions of ``symbols`` that take effect before the start of one of these buckets."""
        if not symbols or (first.start > first.session.start and first.session == last.session):
            return ()
        since, until = history.processed_around(first.session.date, last.session.date)
        answer = await self.provider.actions(sorted(symbols), since, until)
        found, refused = wire.actions(answer, self.calendar.calendar)
        for refusal in refused:
            self.refuse(refusal)
        return tuple(
            action for action in found if first.start <= action.ex_start <= last.start and action.symbol in symbols
        )

    def accept(self, symbol: str, row: Mapping[str, Any], *, length: times.Nanos) -> bars.Bar | None:
        """Return the bar of one row, nothing for one outside the session; raises DataRefused for one that is wrong."""
        session = self.calendar.calendar.holding(wire.label(symbol, row))
        return None if session is None else wire.inside_bar(symbol, row, session, length=length)

    def refuse(self, refusal: wire.Refusal) -> None:
        """Count a refusal and say it."""
        self.figures.rows_refused.labels(refusal.reason).inc()
        log.warning("row refused", symbol=refusal.symbol, reason=refusal.reason, detail=refusal.message)

    async def _read(
        self, symbols: Collection[str], word: str, length: times.Nanos, span: tuple[times.Nanos, times.Nanos]
    ) -> Parts:
        if not symbols:
            return Parts({}, frozenset())
        since, until = span
        rows = await self.provider.bars_inside(sorted(symbols), word, since, times.Nanos(until - length))
        now = self.machine_now()
        found: dict[str, dict[times.Nanos, bars.Bar]] = {}
        refused: set[tuple[str, times.Nanos]] = set()
        for symbol, row in rows:
            try:
                one = self.accept(symbol, row, length=length)
            except errors.DataRefused as error:
                self.refuse(wire.Refusal(symbol, error.reason, str(error)))
                refused |= _place(symbol, row)
                continue
            if one is None or symbol not in symbols or not since <= one.start < until or one.end > now:
                continue
            of_symbol = found.setdefault(symbol, {})
            if one.start in of_symbol:
                at = f"{symbol}: two bars start at {times.text(one.start)}"
                self.refuse(wire.Refusal(symbol, quality.Refusal.DUPLICATE, at))
                continue
            of_symbol[one.start] = one
        ordered = {symbol: [of_symbol[start] for start in sorted(of_symbol)] for symbol, of_symbol in found.items()}
        return Parts(ordered, frozenset(refused))

    def _end(self, start: times.Nanos) -> times.Nanos | None:
        bucket = self.calendar.holding(start)
        return None if bucket is None else bucket.end


def _place(symbol: str, row: Mapping[str, Any]) -> set[tuple[str, times.Nanos]]:
    try:
        return {(symbol, wire.label(symbol, row))}
    except errors.DataRefused:
        return set()


def _sessions(found: grid.Grid, first: grid.Bucket, last: grid.Bucket) -> tuple[sessions.Session, ...]:
    return found.calendar.ending_within(first.session.end, last.session.end)
