"""Asks the provider for whole sessions and gives exact, checked bars and actions; counts what it refuses."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Protocol

import structlog

from tradeplane_engine import errors
from tradeplane_engine.data import quality
from tradeplane_engine.domain import bars, times
from tradeplane_workers.market_data import figures, sessions, wire

log = structlog.get_logger(__name__)

# Providers list an action under the day on which they process it: a dividend's is its payment, long after the ex-date.
_PROCESSED_BEFORE = timedelta(days=10)
_PROCESSED_AFTER = timedelta(days=200)


class Provider(Protocol):
    """Where bars and actions come from."""

    async def bars(
        self, symbols: Sequence[str], first: sessions.Session, last: sessions.Session | None
    ) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Return (symbol, row) of daily bars from ``first`` to ``last``, to the newest one if None."""
        ...

    async def newest_bar(self, symbol: str, first: sessions.Session) -> Mapping[str, Any] | None:
        """Return the newest daily bar row of ``symbol`` that is not before ``first``."""
        ...

    async def actions(self, symbols: Sequence[str], first: date, last: date) -> Mapping[str, Any]:
        """Return the lists of corporate actions whose process date is in [first, last]."""
        ...


def processed_around(first: date, last: date) -> tuple[date, date]:
    """Return the process dates that actions with an ex-date in [first, last] may have."""
    return first - _PROCESSED_BEFORE, last + _PROCESSED_AFTER


@dataclass(frozen=True, slots=True)
class Reader:
    """The provider's past, as exact values.

    machine_now : the machine's clock; a session that it has not seen end is not known, whatever the provider says
    """

    provider: Provider
    calendar: sessions.Calendar
    figures: figures.Figures
    machine_now: Callable[[], times.Nanos]

    async def read_bars(
        self, symbols: Collection[str], first: sessions.Session, last: sessions.Session | None
    ) -> tuple[bars.Bar, ...]:
        """Return good bars of these sessions, by end and symbol, one per symbol and end."""
        if not symbols:
            return ()
        rows = await self.provider.bars(sorted(symbols), first, last)
        found: dict[tuple[times.Nanos, str], bars.Bar] = {}
        for symbol, row in rows:
            bar = self.accept(symbol, row)
            if bar is None or bar.symbol not in symbols or bar.end < first.end or (last and bar.end > last.end):
                continue
            if (bar.end, bar.symbol) in found:
                self.refuse(
                    wire.Refusal(symbol, quality.Refusal.DUPLICATE, f"{symbol}: two bars end at {times.text(bar.end)}")
                )
                continue
            found[bar.end, bar.symbol] = bar
        return tuple(found[key] for key in sorted(found))

    async def newest_end(self, symbols: Collection[str]) -> times.Nanos | None:
        """Return the end of the newest bar that any of ``symbols`` has."""
        first = self.calendar.first
        ends = []
        for symbol in sorted(symbols):
            row = await self.provider.newest_bar(symbol, first)
            bar = None if row is None else self.accept(symbol, row)
            if bar is not None:
                ends.append(bar.end)
        return max(ends, default=None)

    async def read_actions(
        self, symbols: Collection[str], first: sessions.Session, last: sessions.Session
    ) -> tuple[bars.CorporateAction, ...]:
        """Return actions of ``symbols`` that take effect before the open of one of these sessions."""
        if not symbols:
            return ()
        since, until = processed_around(first.date, last.date)
        found, refused = wire.actions(await self.provider.actions(sorted(symbols), since, until), self.calendar)
        for refusal in refused:
            self.refuse(refusal)
        return tuple(
            action for action in found if first.start <= action.ex_start <= last.start and action.symbol in symbols
        )

    async def horizon(self, symbols: Collection[str]) -> times.Nanos:
        """Return the instant up to which sessions may be known."""
        del symbols
        return self.machine_now()

    async def has_passed(self, symbols: Collection[str], end: times.Nanos, found: Sequence[bars.Bar]) -> bool:
        """Say whether the provider has the session that ends at ``end``: some symbol has its bar."""
        del symbols
        return max((bar.end for bar in found), default=None) == end

    def accept(self, symbol: str, row: Mapping[str, Any]) -> bars.Bar | None:
        """Return the bar of one row, or count and name why it must not be traded."""
        try:
            bar = wire.daily_bar(symbol, row, self.calendar)
        except errors.DataRefused as error:
            self.refuse(wire.Refusal(symbol, error.reason, str(error)))
            return None
        if bar.available_at > self.machine_now():
            # Providers send the day's bar so far, each minute.
            self.refuse(wire.Refusal(symbol, "not-final", f"{symbol}: the session ends at {times.text(bar.end)}"))
            return None
        return bar

    def refuse(self, refusal: wire.Refusal) -> None:
        """Count a refusal and say it."""
        self.figures.rows_refused.labels(refusal.reason).inc()
        log.warning("row refused", symbol=refusal.symbol, reason=refusal.reason, detail=refusal.message)
