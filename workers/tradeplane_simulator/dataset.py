"""The dataset folder as the venue sees it: bars and corporate actions, each known from an instant on.

Every reader takes the clock and answers what was known then. A folder that does not fit the exchange's sessions is
refused by name, because the venue would fill orders at prices of another time.
"""

import bisect
import dataclasses
import datetime as dt
import pathlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import structlog

from tradeplane_engine import errors
from tradeplane_engine.data import aggregation, dataset, quality
from tradeplane_engine.domain import bars, numbers, timeframes, times
from tradeplane_engine.venue import profile
from tradeplane_simulator import sessions, tape

_LOG = structlog.get_logger()
# Anything between the two could be made of minutes and would fill orders at prices of another time.
_TIMEFRAMES = (timeframes.DAY, "1m")
CALENDAR_MARGIN = dt.timedelta(days=370)
_COSTS = profile.named("paper")


@dataclass(frozen=True, slots=True)
class Quotation:
    """Last known price of a symbol, and the close of the session before the clock's."""

    price: numbers.Price
    previous_close: numbers.Price


class Dataset:
    """Bars by symbol and by their start, actions by session.

    Parameters
    ----------
    digest : sha256 over the two files; a state file belongs to exactly one dataset
    series : bars of each symbol, oldest first: one per session, or minutes
    actions : every split and dividend
    calendar : sessions that cover the bars
    timeframe : of the series, ``1d`` or ``1m``
    tapes : recorded trades and quotes of each symbol; to make them of bars instead, the profile that says how wide
    """

    def __init__(
        self,
        digest: str,
        series: Mapping[str, tuple[bars.Bar, ...]],
        *,
        actions: Iterable[bars.CorporateAction],
        calendar: sessions.Sessions,
        timeframe: str = timeframes.DAY,
        tapes: Mapping[str, tape.Tape] | profile.VenueProfile = _COSTS,
    ) -> None:
        self.digest = digest
        self.is_daily = timeframe == timeframes.DAY
        self.series = dict(series)
        self.sessions = calendar
        self.actions = tuple(sorted(actions, key=lambda action: (action.ex_start, action.symbol)))
        self._labels = {day.open: sessions.midnight(day.date) for day in calendar.days}
        self._starts = {symbol: [bar.start for bar in rows] for symbol, rows in self.series.items()}
        self._by_open: dict[times.Nanos, dict[str, bars.Bar]] = defaultdict(dict)
        self._by_publication: dict[times.Nanos, list[bars.Bar]] = defaultdict(list)
        for symbol in sorted(self.series):
            for bar in self.series[symbol]:
                self._by_open[bar.start][symbol] = bar
                self._by_publication[bar.available_at].append(bar)
        regular = [timeframes.Hours(day.open, day.close) for day in calendar.days]
        self._extended = [sessions.extended(day) for day in calendar.days]
        self._days = {
            symbol: rows if self.is_daily else aggregation.aggregate(rows, regular, length=None)
            for symbol, rows in self.series.items()
        }
        self._days_by_publication: dict[times.Nanos, list[bars.Bar]] = defaultdict(list)
        for symbol in sorted(self._days):
            for bar in self._days[symbol]:
                self._days_by_publication[bar.available_at].append(bar)
        self._publications, self._day_publications = sorted(self._by_publication), sorted(self._days_by_publication)
        self._tapes = tapes
        self._derived: dict[str, tape.Tape] = {}
        self._revisions: dict[str, dict[times.Nanos, bars.Bar]] = defaultdict(dict)
        self._actions_by_open: dict[times.Nanos, list[bars.CorporateAction]] = defaultdict(list)
        self._splits: dict[str, list[bars.CorporateAction]] = defaultdict(list)
        for action in self.actions:
            self._actions_by_open[action.ex_start].append(action)
            if action.split != (1, 1):
                self._splits[action.symbol].append(action)

    @property
    def instants(self) -> Iterator[times.Nanos]:
        """Instants at which bars become known, and those at which minutes start."""
        yield from self._by_publication
        yield from self._days_by_publication
        if not self.is_daily:
            yield from self._by_open

    def opens(self, session: sessions.Session, at: times.Nanos) -> Mapping[str, numbers.Price]:
        """Return the prices at which market orders fill at ``at``, inside a session, by symbol.

        With daily bars the session's open price stands for all of it, a minute's open for the minute's start alone.
        """
        found = self.session_bars(session) if self.is_daily else self._by_open.get(at, {})
        return {symbol: bar.open for symbol, bar in found.items()}

    def session_bars(self, session: sessions.Session) -> Mapping[str, bars.Bar]:
        """Return the bars of one session by symbol; a symbol that did not trade is absent."""
        return self._by_open.get(session.open, {})

    def bars_around(self, symbol: str, at: times.Nanos, until: times.Nanos) -> Sequence[bars.Bar]:
        """Return a symbol's bars that start before an instant, from the newest one that had ended at another on."""
        starts = self._starts[symbol]
        first = max(bisect.bisect_right(starts, at) - 1, 0)
        if first and self.series[symbol][first].end > at:
            first -= 1
        return self.series[symbol][first : bisect.bisect_left(starts, until)]

    def splits(self, symbol: str) -> Sequence[bars.CorporateAction]:
        """Return a symbol's splits, at the opens of their sessions."""
        return self._splits.get(symbol, ())

    def session_actions(self, session: sessions.Session) -> tuple[bars.CorporateAction, ...]:
        """Return the actions that take effect before the open of a session."""
        return tuple(self._actions_by_open.get(session.open, ()))

    def published(self, after: times.Nanos, until: times.Nanos) -> Iterator[bars.Bar]:
        """Return the bars of the series that become known in (after, until], by instant, then symbol."""
        return _between(self._publications, self._by_publication, after, until)

    def days_published(self, after: times.Nanos, until: times.Nanos) -> Iterator[bars.Bar]:
        """Return the daily bars that become known in (after, until], by instant, then symbol."""
        return _between(self._day_publications, self._days_by_publication, after, until)

    def tape_of(self, symbol: str) -> tape.Tape:
        """Return a symbol's trades and quotes, of the future too."""
        if not isinstance(self._tapes, profile.VenueProfile):
            return self._tapes.get(symbol) or tape.empty(symbol)
        if symbol not in self._derived:
            days = self.sessions.days
            self._derived[symbol] = tape.of_bars(
                symbol,
                self.series.get(symbol, ()),
                opens={day.open for day in days},
                closes={day.close for day in days},
                costs=self._tapes,
            )
        return self._derived[symbol]

    def measures(self, bar: bars.Bar, at: times.Nanos) -> tape.Measures | None:
        """Return count and average price of a bar's trades, of its minutes that are over by ``at``; None if unknown."""
        over = times.Nanos(at // times.MINUTE * times.MINUTE)
        return self.tape_of(bar.symbol).trades.measures(bar.start, min(bar.end, over))

    def today(self, symbol: str, at: times.Nanos) -> bars.Bar | None:
        """Return the newest daily bar, made of the minutes that are known by ``at`` where its session is still on."""
        days = self.days(symbol, at)
        session = self.sessions.on(sessions.new_york_date(at))
        if not self.is_daily and session is not None and not (days and days[-1].start == session.open):
            hours = timeframes.Hours(session.open, session.close)
            minutes = self.known(symbol, at)[bisect.bisect_left(self._starts.get(symbol, []), session.open) :]
            growing = aggregation.aggregate(minutes, [hours], length=None)
            if growing:
                return growing[0]
        return days[-1] if days else None

    def days(self, symbol: str, at: times.Nanos) -> list[bars.Bar]:
        """Return a symbol's daily bars that are known at ``at``, oldest first."""
        return [bar for bar in self._days.get(symbol, ()) if bar.available_at <= at]

    def minutes(
        self, symbol: str, at: times.Nanos, *, length: times.Nanos, span: tuple[times.Nanos, times.Nanos]
    ) -> tuple[bars.Bar, ...]:
        """Return a symbol's bars of ``length`` that start in ``span``, made of the minutes that are known at ``at``.

        Buckets lie on the clock, whatever session they are in; the newest one may still grow.
        """
        known = self.known(symbol, at)
        starts = self._starts.get(symbol, [])
        first = bisect.bisect_left(starts, span[0])
        last = bisect.bisect_left(starts, span[1] + length)
        found = aggregation.aggregate(known[first:last], self._extended, length=length)
        return tuple(bar for bar in found if span[0] <= bar.start <= span[1])

    def known(self, symbol: str, at: times.Nanos) -> tuple[bars.Bar, ...]:
        """Return a symbol's published bars at ``at``, oldest first."""
        rows = self.series.get(symbol, ())
        newest = bisect.bisect_right(self._starts.get(symbol, []), at)
        while newest and rows[newest - 1].available_at > at:
            newest -= 1
        found = self._revisions.get(symbol)
        if not found:
            return rows[:newest]
        revised = ((bar, found.get(bar.start, bar)) for bar in rows[:newest])
        return tuple(later if later.available_at <= at else bar for bar, later in revised)

    def revise(self, bar: bars.Bar) -> None:
        """Show another bar in the place of one of the series, from its ``available_at`` on; fills are as they were."""
        self._revisions[bar.symbol][bar.start] = bar

    def label(self, bar: bars.Bar) -> times.Nanos:
        """Return the instant that names a daily bar: its date's midnight in New York."""
        return self._labels[bar.start]

    def newest(self, symbol: str, at: times.Nanos) -> tuple[bars.Bar, times.Nanos] | None:
        """Return the newest bar of the series that is known at ``at``, and the instant that names it."""
        known = self.known(symbol, at)
        if not known:
            return None
        return known[-1], self.label(known[-1]) if self.is_daily else known[-1].start

    def listed(self, symbol: str, at: times.Nanos) -> bool:
        """Say whether a symbol has traded by ``at``: before its first session it does not exist here."""
        starts = self._starts.get(symbol)
        return starts is not None and starts[0] <= at

    def listings(self, at: times.Nanos) -> list[str]:
        """Return the symbols listed at ``at``, sorted."""
        return [symbol for symbol in sorted(self.series) if self.listed(symbol, at)]

    def quotation(self, symbol: str, at: times.Nanos) -> Quotation | None:
        """Return the last price on the tape: today's open while the session lasts, else the newest close."""
        starts = self._starts.get(symbol, [])
        newest = bisect.bisect_right(starts, at)
        if not newest:
            return None
        bar = self.series[symbol][newest - 1]
        closed = bar.end <= at
        today = bisect.bisect_left(starts, sessions.midnight(sessions.new_york_date(at)))
        previous = self.series[symbol][today - 1] if today else None
        return Quotation(
            price=self._adjusted(
                symbol, bar.close if closed else bar.open, since=bar.end if closed else bar.start, until=at
            ),
            previous_close=bar.open
            if previous is None
            else self._adjusted(symbol, previous.close, since=previous.end, until=at),
        )

    def _adjusted(self, symbol: str, price: numbers.Price, *, since: times.Nanos, until: times.Nanos) -> numbers.Price:
        ratio = Fraction(1)
        for action in self._splits.get(symbol, ()):
            if since < action.ex_start <= until:
                ratio *= Fraction(*action.split)
        if ratio == 1:
            return price
        return numbers.Price(max(numbers.divide_half_even(price * ratio.denominator, ratio.numerator), 1))


def read(folder: pathlib.Path, costs: profile.VenueProfile = _COSTS) -> Dataset:
    """Read a dataset folder as the backtest does, on the exchange's sessions; raises DataRefused.

    A bar that the engine's validator leaves out does not exist here either.
    """
    found = dataset.read(folder)
    if found.timeframe not in _TIMEFRAMES:
        raise errors.DataRefused("wrong-timeframe", f"must be one of: {', '.join(_TIMEFRAMES)}, got {found.timeframe}")
    history = {symbol: rows for symbol, rows in found.history.items() if rows}
    if not history:
        raise errors.DataRefused("empty", "bars.csv must hold at least one usable bar, got 0")
    first = min(rows[0].start for rows in history.values())
    last = max(rows[-1].end for rows in history.values())
    calendar = sessions.new_york(sessions.new_york_date(first), sessions.new_york_date(last) + CALENDAR_MARGIN)
    for rows in history.values():
        for bar in rows:
            session = calendar.on(sessions.new_york_date(bar.start))
            # Else orders would fill at prices of another time than the clock's.
            if found.timeframe == timeframes.DAY:
                quality.check_session(bar, None if session is None else quality.Session(session.open, session.close))
            else:
                _check_minute(bar, session)
    _LOG.info("dataset read", name=found.name, bars=found.report.accepted, refused=dict(found.report.counts))
    return Dataset(
        found.digest,
        history,
        actions=_by_session(found.actions, calendar),
        calendar=calendar,
        timeframe=found.timeframe,
        tapes=costs,
    )


def _between(
    instants: Sequence[times.Nanos],
    found: Mapping[times.Nanos, Sequence[bars.Bar]],
    after: times.Nanos,
    until: times.Nanos,
) -> Iterator[bars.Bar]:
    for instant in instants[bisect.bisect_right(instants, after) : bisect.bisect_right(instants, until)]:
        yield from found[instant]


def _check_minute(bar: bars.Bar, session: sessions.Session | None) -> None:
    inside = session is not None and sessions.extended(session).holds(bar.start)
    if not inside or bar.start % times.MINUTE or bar.end - bar.start != times.MINUTE:
        span = f"{times.text(bar.start)} to {times.text(bar.end)}"
        raise errors.DataRefused(
            quality.Refusal.OUTSIDE_SESSION, f"{bar.symbol}: {span} is no minute of a day with a session"
        )


def _by_session(actions: Iterable[bars.CorporateAction], calendar: sessions.Sessions) -> Iterator[bars.CorporateAction]:
    # An action takes effect before the first open at or after its instant, which may be a midnight.
    for action in actions:
        session = calendar.opening(sessions.before(action.ex_start))
        if session is not None:
            yield dataclasses.replace(action, ex_start=session.open)
