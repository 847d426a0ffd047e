"""History of bars shorter than a day, over HTTP, from scripted minutes of the provider."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import httpx2
import pytest

from support import data_provider, minute_data
from tradeplane_engine.domain import timeframes, times
from tradeplane_workers import messages
from tradeplane_workers.market_data import api, buckets, figures, grid, sessions

CALENDARS = {session: sessions.Calendar("XNYS", session=session) for session in timeframes.SESSIONS}
MINUTES = {"1Min": 1, "5Min": 5, "15Min": 15}


class Provider:
    """Has IBM's minutes of 2 March 2012 up to ``known``, and more than it is asked for."""

    def __init__(self, known: str = "21:00", *, without: Sequence[str] = (), bad: str = "") -> None:
        self.asked: list[tuple[str, str, str]] = []
        self._known = minute_data.at(known)
        self._without = {minute_data.at(one) for one in without}
        self._bad = minute_data.at(bad) if bad else None

    async def bars_inside(
        self, symbols: Sequence[str], word: str, first: times.Nanos, last: times.Nanos
    ) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Return all there is; the last bar may still be growing."""
        self.asked.append((word, times.text(first)[11:16], times.text(last)[11:16]))
        length = MINUTES[word] * times.MINUTE
        first_minute = minute_data.at("13:00")
        rows = []
        for start in range(first_minute, self._known, length):
            minutes = [one for one in range(start, start + length, times.MINUTE) if one < self._known]
            if set(minutes) <= self._without:
                continue
            row = data_provider.row(times.text(times.Nanos(start)), o=100, h=101, l=99, c=100, v=100 * len(minutes))
            rows.append(("IBM", row | ({"h": 1} if start == self._bad else {})))
        return [*rows, *(("ELSE", row) for _, row in rows)] if symbols else []

    async def latest(self, symbols: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return IBM's newest minute."""
        newest = data_provider.row(times.text(times.Nanos(self._known - times.MINUTE)))
        return {symbol: newest for symbol in symbols if symbol == "IBM"}

    async def actions(self, symbols: Sequence[str], first: date, last: date) -> Mapping[str, Any]:
        """Return a dividend of that day and one of the day before."""
        del symbols, first, last
        days = ("2012-03-01", "2012-03-02")
        return {"cash_dividends": [{"symbol": "IBM", "ex_date": day, "rate": "0.5"} for day in days]}


def ask(source: Provider, *, now: str = "2026-01-01T00:00:00Z") -> Callable[..., Any]:
    """Return a client of the application over ``source``, with all channels but the day's."""
    counted = figures.Figures()
    readers = {
        timeframes.channel(timeframe, session): buckets.Reader(
            source, grid.Grid(calendar, length), counted, lambda: times.instant(now)
        )
        for timeframe, length in timeframes.SPANS.items()
        for session, calendar in CALENDARS.items()
    }
    app = api.application(readers, ready=lambda: True, counted=counted)

    async def get(**query: Any) -> httpx2.Response:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://market-data") as client:
            return await client.get("/v1/history", params={"symbols": "IBM"} | query)

    return get


def shown(answer: httpx2.Response) -> list[tuple[str, str, int]]:
    """Start, end and volume of each bar."""
    assert answer.status_code == 200, answer.text
    found = messages.History.model_validate_json(answer.content).bars
    return [(bar.start[11:16], bar.end[11:16], bar.volume) for bar in found]


@pytest.mark.parametrize(
    "timeframe, word, bars",
    [
        ("1m", "1Min", [("15:58", "15:59", 100), ("15:59", "16:00", 100)]),
        ("5m", "5Min", [("15:50", "15:55", 500), ("15:55", "16:00", 500)]),
        ("15m", "15Min", [("15:30", "15:45", 1500), ("15:45", "16:00", 1500)]),
        ("1h", "15Min", [("14:30", "15:30", 6000)]),
    ],
)
async def test_the_newest_bars_are_whole(timeframe: str, word: str, bars: list[tuple[str, str, int]]) -> None:
    """Of the provider's own bars at the same instants; an hour of its quarters, because its hours begin elsewhere."""
    source = Provider("16:00")
    count = len(bars)
    assert bars == shown(await ask(source)(timeframe=timeframe, last=count))
    assert {one[0] for one in source.asked} == {word}


async def test_a_bucket_that_is_still_on_is_not_shown() -> None:
    """The provider's growing bar of 15:55 is left out, by the newest minute, whatever the machine's clock says."""
    assert [one[1] for one in shown(await ask(Provider("15:58"))(timeframe="5m", last=2))] == ["15:50", "15:55"]
    answer = await ask(Provider("15:58"))(timeframe="5m", start="2012-03-02T15:50:00Z")
    assert [one[1] for one in shown(answer)] == ["15:50", "15:55"]


async def test_a_range_that_is_not_over_is_refused() -> None:
    """A shorter answer than asked for would be taken for a quiet market."""
    query = {"timeframe": "5m", "start": "2012-03-02T15:00:00Z", "end": "2012-03-02T16:00:00Z"}
    answer = await ask(Provider("15:58"))(**query)
    assert (answer.status_code, answer.json()["reason"]) == (409, "not-known-yet")
    assert len(shown(await ask(Provider("16:00"))(**query))) == 13


async def test_a_range_whose_last_bucket_had_no_trade_is_answered() -> None:
    """That its time has passed is proved by a later minute."""
    source = Provider("16:20", without=[f"15:5{number}" for number in range(5, 10)])
    answer = await ask(source)(timeframe="5m", start="2012-03-02T15:45:00Z", end="2012-03-02T16:00:00Z")
    assert [one[1] for one in shown(answer)] == ["15:45", "15:50", "15:55"]


async def test_a_bar_with_a_bad_part_does_not_exist() -> None:
    """An hour whose second quarter must not be traded is none; those around it are."""
    source = Provider("18:00", bad="15:45")
    answer = await ask(source)(timeframe="1h", start="2012-03-02T14:00:00Z", end="2012-03-02T17:30:00Z")
    assert [one[:2] for one in shown(answer)] == [("14:30", "15:30"), ("16:30", "17:30")]


async def test_the_sessions_hours_bound_the_bars() -> None:
    """Minutes before the open are bars of the extended session only; its hours begin on the full hour."""
    span = {"start": "2012-03-02T13:30:00Z", "end": "2012-03-02T15:30:00Z"}
    assert [one[:2] for one in shown(await ask(Provider())(timeframe="1h", **span))] == [("14:30", "15:30")]
    extended = await ask(Provider())(timeframe="1h", session="extended", **span)
    assert [one[:2] for one in shown(extended)] == [("13:00", "14:00"), ("14:00", "15:00")]


async def test_actions_act_before_a_sessions_first_bar() -> None:
    """A range that begins inside a session does not carry what acted before its open."""
    get = ask(Provider())
    first = {"timeframe": "5m", "start": "2012-03-02T14:35:00Z", "end": "2012-03-02T15:00:00Z"}
    acted = (await get(**first)).json()["actions"]
    assert [one["ex_start"] for one in acted] == ["2012-03-02T14:30:00Z"]
    assert (await get(**first | {"start": "2012-03-02T14:40:00Z"})).json()["actions"] == []


async def test_a_provider_without_any_minute_has_no_history() -> None:
    """Not an error: nothing of that symbol was traded yet."""
    assert shown(await ask(Provider())(symbols="FB", timeframe="5m", last=10)) == []
    assert shown(await ask(Provider())(symbols="FB", timeframe="5m", start="2012-03-02T15:00:00Z")) == []


async def test_the_machines_clock_bounds_what_is_known() -> None:
    """A minute that the machine has not seen end proves nothing."""
    answer = await ask(Provider("16:00"), now="2012-03-02T15:57:00Z")(timeframe="5m", last=1)
    assert shown(answer) == []
