"""The dataset folder as the venue sees it: bars and corporate actions, each known from an instant on.

Every reader takes the clock and answers what was known then. A folder that does not fit the exchange's sessions is
refused by name, because the venue would fill orders at prices of another time.
"""

import bisect
import csv
import datetime as dt
import hashlib
import json
import pathlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from tradeplane_engine import errors
from tradeplane_engine.domain import bars, numbers, times
from tradeplane_simulator import sessions

_CALENDAR_MARGIN = dt.timedelta(days=370)
_BAR_FIELDS = ["symbol", "start", "end", "available_at", "open", "high", "low", "close", "volume"]
_ACTION_FIELDS = ["symbol", "ex_start", "split", "dividend"]


@dataclass(frozen=True, slots=True)
class Quotation:
    """Last known price of a symbol, and the close of the session before the clock's."""

    price: numbers.Price
    previous_close: numbers.Price


class Dataset:
    """Bars by symbol and by session, actions by session.

    Parameters
    ----------
    digest : sha256 over the two files; a state file belongs to exactly one dataset
    series : bars of each symbol, oldest first, one per session
    actions : every split and dividend
    calendar : sessions that cover the bars
    """

    def __init__(
        self,
        digest: str,
        series: Mapping[str, tuple[bars.Bar, ...]],
        *,
        actions: Iterable[bars.CorporateAction],
        calendar: sessions.Sessions,
    ) -> None:
        self.digest = digest
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
        self._actions_by_open: dict[times.Nanos, list[bars.CorporateAction]] = defaultdict(list)
        self._splits: dict[str, list[bars.CorporateAction]] = defaultdict(list)
        for action in self.actions:
            self._actions_by_open[action.ex_start].append(action)
            if action.split != (1, 1):
                self._splits[action.symbol].append(action)

    @property
    def publications(self) -> Iterator[times.Nanos]:
        """Instants at which bars become known."""
        return iter(self._by_publication)

    def session_bars(self, session: sessions.Session) -> Mapping[str, bars.Bar]:
        """Return the bars of one session by symbol; a symbol that did not trade is absent."""
        return self._by_open.get(session.open, {})

    def session_actions(self, session: sessions.Session) -> tuple[bars.CorporateAction, ...]:
        """Return the actions that take effect before the open of a session."""
        return tuple(self._actions_by_open.get(session.open, ()))

    def published_at(self, at: times.Nanos) -> tuple[bars.Bar, ...]:
        """Return the bars that become known exactly at ``at``, by symbol."""
        return tuple(self._by_publication.get(at, ()))

    def known(self, symbol: str, at: times.Nanos) -> tuple[bars.Bar, ...]:
        """Return a symbol's published bars at ``at``, oldest first."""
        rows = self.series.get(symbol, ())
        newest = bisect.bisect_right(self._starts.get(symbol, []), at)
        while newest and rows[newest - 1].available_at > at:
            newest -= 1
        return rows[:newest]

    def label(self, bar: bars.Bar) -> times.Nanos:
        """Return the instant that names a daily bar: its date's midnight in New York."""
        return self._labels[bar.start]

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


def read(folder: pathlib.Path) -> Dataset:
    """Read and check a dataset folder; raises DataRefused naming file, line and field."""
    bars_file, actions_file = folder / "bars.csv", folder / "actions.csv"
    hashed = hashlib.sha256()
    for file in (bars_file, actions_file):
        hashed.update(file.read_bytes())
    json.loads((folder / "dataset.json").read_bytes())
    rows = [(place, _bar(place, row)) for place, row in _rows(bars_file, _BAR_FIELDS)]
    if not rows:
        raise errors.DataRefused("empty", f"{bars_file.name}: must hold at least one bar, got 0")
    first = sessions.new_york_date(min(bar.start for _, bar in rows))
    last = sessions.new_york_date(max(bar.end for _, bar in rows))
    calendar = sessions.new_york(first, last + _CALENDAR_MARGIN)
    series: dict[str, list[bars.Bar]] = defaultdict(list)
    for place, bar in rows:
        _fits(place, bar, calendar)
        if series[bar.symbol] and series[bar.symbol][-1].start >= bar.start:
            raise errors.DataRefused(
                "out-of-order", f"{place}: start must grow per symbol, got {times.text(bar.start)}"
            )
        series[bar.symbol].append(bar)
    actions = [_action(place, row, calendar) for place, row in _rows(actions_file, _ACTION_FIELDS)]
    return Dataset(
        hashed.hexdigest(),
        {symbol: tuple(found) for symbol, found in series.items()},
        actions=actions,
        calendar=calendar,
    )


def _rows(file: pathlib.Path, fields: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    with file.open(newline="", encoding="utf-8") as text:
        reader = csv.DictReader(text)
        if reader.fieldnames != fields:
            raise errors.DataRefused("header", f"{file.name}: header must be {fields}, got {reader.fieldnames}")
        for row in reader:
            yield f"{file.name} line {reader.line_num}", row


def _bar(place: str, row: dict[str, str]) -> bars.Bar:
    try:
        return bars.Bar(
            symbol=row["symbol"],
            start=times.instant(row["start"], field="start"),
            end=times.instant(row["end"], field="end"),
            available_at=times.instant(row["available_at"], field="available_at"),
            open=numbers.price(row["open"], field="open"),
            high=numbers.price(row["high"], field="high"),
            low=numbers.price(row["low"], field="low"),
            close=numbers.price(row["close"], field="close"),
            volume=int(row["volume"]),
        )
    except (ValueError, TypeError) as error:
        raise errors.DataRefused("value", f"{place}: {error}") from error


def _fits(place: str, bar: bars.Bar, calendar: sessions.Sessions) -> None:
    session = calendar.on(sessions.new_york_date(bar.start))
    if session is None or (bar.start, bar.end) != (session.open, session.close):
        raise errors.DataRefused(
            "session",
            f"{place}: start and end must be one XNYS session's open and close, "
            f"got {times.text(bar.start)} and {times.text(bar.end)}",
        )
    if bar.available_at < bar.end:
        raise errors.DataRefused(
            "available-at", f"{place}: available_at must not be before end, got {times.text(bar.available_at)}"
        )
    if not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        raise errors.DataRefused("range", f"{place}: open and close must be within low and high")


def _action(place: str, row: dict[str, str], calendar: sessions.Sessions) -> bars.CorporateAction:
    try:
        ex_start = times.instant(row["ex_start"], field="ex_start")
        new, _, old = row["split"].partition("/")
        split = (int(new), int(old)) if row["split"] else (1, 1)
        dividend = numbers.money(row["dividend"] or "0", field="dividend")
    except ValueError as error:
        raise errors.DataRefused("value", f"{place}: {error}") from error
    session = calendar.on(sessions.new_york_date(ex_start))
    if session is None or min(split) < 1 or dividend < 0:
        raise errors.DataRefused(
            "action", f"{place}: must name a session, a positive split and no negative dividend, got {row}"
        )
    return bars.CorporateAction(symbol=row["symbol"], ex_start=session.open, split=split, dividend=dividend)
