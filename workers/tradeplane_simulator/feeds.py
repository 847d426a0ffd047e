"""Alpaca's feeds, all of them views of one recording.

sip is the whole of it. delayed_sip is the same a quarter of an hour later. iex is what was traded and quoted at that
one exchange where the recording says at which, else all, or a set share of the volume. test is the first symbol under
the name that Alpaca's test stream has. ``docs/adr/0036-feeds-of-one-recording.md`` has the reasons.
"""

import bisect
import functools
import heapq
import operator
import pathlib
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final

from tradeplane_engine.domain import bars, times
from tradeplane_engine.venue import profile
from tradeplane_simulator import dataset, notices, renames, render, sessions, ticks

DELAY: Final = times.Nanos(15 * times.MINUTE)
TEST_SYMBOL: Final = "FAKEPACA"
ALL: Final = "*"
_AT: Final = operator.attrgetter("at")
Wanted = Mapping[str, AbstractSet[str]]


class Feed(StrEnum):
    """The feeds that this venue has."""

    IEX = "iex"
    SIP = "sip"
    DELAYED = "delayed_sip"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a data stream, of a channel and with its kind ``T``.

    Of messages of one instant those of a lower ``rank`` come first.
    """

    at: times.Nanos
    rank: int
    symbol: str
    channel: str
    kind: str
    shape: Callable[..., dict[str, Any]]

    def row(self, form: render.Form) -> dict[str, Any]:
        """Write it."""
        return {"T": self.kind, "S": self.symbol, **self.shape(form=form)}


@dataclass(frozen=True)
class Recording:
    """One recorded market.

    sip, iex : the whole of it, and the part at one exchange
    told : halts, bands, corrections and cancelled trades, by time
    names : which symbols became which
    """

    sip: dataset.Dataset
    iex: dataset.Dataset
    told: tuple[notices.Notice, ...] = ()
    names: tuple[renames.Rename, ...] = ()

    def seen(self, feed: Feed, clock: times.Nanos) -> tuple[dataset.Dataset, times.Nanos]:
        """Return the data of a feed, and up to which instant it is known there when the venue's clock shows one."""
        return self.iex if feed is Feed.IEX else self.sip, times.Nanos(clock - (DELAY if feed is Feed.DELAYED else 0))

    def messages(self, feed: Feed, after: times.Nanos, until: times.Nanos, wanted: Wanted) -> Iterator[Message]:
        """Return what a feed tells while the venue's clock goes from ``after`` to ``until``, that included, by time.

        ``wanted`` are the symbols of each channel, where ``*`` means all.
        """
        data, before = self.seen(feed, after)
        _, last = self.seen(feed, until)
        names = {symbol: symbol for symbol in sorted(data.series)}
        if feed is Feed.TEST:
            names = dict.fromkeys(list(names)[:1], TEST_SYMBOL)
        span = (times.Nanos(before + 1), last)
        parts: list[Iterator[Message]] = []
        for symbol, shown in names.items():
            if _wants(wanted, "quotes", shown):
                parts.append(_quotes(data, symbol, shown, *span))
            if _wants(wanted, "trades", shown):
                parts.append(_trades(data, symbol, shown, *span))
        if not data.is_daily:
            parts.append(_bars(data, data.published(before, last), wanted, names, channel="bars", kind="b"))
        parts.append(_bars(data, data.days_published(before, last), wanted, names, channel="dailyBars", kind="d"))
        if feed is not Feed.TEST:
            parts.append(self._notices(feed, *span, wanted))
        return heapq.merge(*parts, key=lambda one: (one.at, one.rank, one.symbol))

    def _notices(self, feed: Feed, first: times.Nanos, last: times.Nanos, wanted: Wanted) -> Iterator[Message]:
        begin = bisect.bisect_left(self.told, first, key=_AT)
        for one in self.told[begin : bisect.bisect_right(self.told, last, key=_AT)]:
            # A revised bar is one of the whole market, as are trades of other exchanges.
            elsewhere = feed is Feed.IEX and (
                one.fields.get("x", ticks.IEX) != ticks.IEX or (one.kind == "u" and self.iex is not self.sip)
            )
            if _wants(wanted, one.channel, one.symbol) and not elsewhere:
                yield Message(one.at, 2, one.symbol, one.channel, one.kind, functools.partial(render.notice, one))


def read(folder: pathlib.Path, costs: profile.VenueProfile, *, iex_share: Fraction | None = None) -> Recording:
    """Read a folder of bars or of ticks; raises DataRefused.

    Parameters
    ----------
    folder : with ``trades.parquet`` it holds ticks, else it is a dataset of bars
    costs : how wide quotes are that are made of bars
    iex_share : share of a bar's volume that the iex feed has; None for all of it
    """
    told, names = notices.read(folder / "notices.jsonl"), renames.read(folder / "names.csv")
    if (folder / "trades.parquet").exists():
        found = ticks.read(folder)
        both = tuple(sorted((*found.told, *told), key=lambda one: one.at))
        return _revised(Recording(found.sip, found.iex, both, names))
    data = dataset.read(folder, costs)
    return _revised(Recording(data, data if iex_share is None else _part(data, iex_share, costs), told, names))


def _revised(found: Recording) -> Recording:
    for one in found.told:
        if one.kind == "u":
            found.sip.revise(notices.revision(one))
    return found


def _part(data: dataset.Dataset, share: Fraction, costs: profile.VenueProfile) -> dataset.Dataset:
    series = {
        symbol: tuple(replace(bar, volume=volume) for bar in rows if (volume := int(bar.volume * share)))
        for symbol, rows in data.series.items()
    }
    return dataset.Dataset(
        data.digest,
        {symbol: rows for symbol, rows in series.items() if rows},
        actions=data.actions,
        calendar=data.sessions,
        timeframe="1d" if data.is_daily else "1m",
        tapes=costs,
    )


def _wants(wanted: Wanted, channel: str, symbol: str) -> bool:
    symbols = wanted.get(channel, frozenset())
    return symbol in symbols or ALL in symbols


def _quotes(data: dataset.Dataset, symbol: str, shown: str, first: times.Nanos, last: times.Nanos) -> Iterator[Message]:
    found = data.tape_of(symbol).quotes
    for place in found.span(first, last):
        row = found.row(place)
        yield Message(row.at, 0, shown, "quotes", "q", functools.partial(render.quote, row))


def _trades(data: dataset.Dataset, symbol: str, shown: str, first: times.Nanos, last: times.Nanos) -> Iterator[Message]:
    found = data.tape_of(symbol).trades
    for place in found.span(first, last):
        row = found.row(place, at=last)
        yield Message(row.at, 1, shown, "trades", "t", functools.partial(render.trade, replace(row, update="")))


def _bars(
    data: dataset.Dataset,
    published: Iterator[bars.Bar],
    wanted: Wanted,
    names: Mapping[str, str],
    *,
    channel: str,
    kind: str,
) -> Iterator[Message]:
    for bar in published:
        shown = names.get(bar.symbol, "")
        if shown and _wants(wanted, channel, shown):
            label = sessions.midnight(sessions.new_york_date(bar.start)) if kind == "d" else bar.start
            shape = functools.partial(render.bar, bar, label, data.measures(bar, bar.available_at))
            yield Message(bar.available_at, 3, shown, channel, kind, shape)
