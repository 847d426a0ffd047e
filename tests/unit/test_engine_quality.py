from dataclasses import replace

import pytest

from support import engine_data
from tradeplane_engine import errors
from tradeplane_engine.data import quality
from tradeplane_engine.domain import bars, numbers, times

GOOD = quality.RawBar(
    symbol="AAA",
    start="2020-01-02T14:30:00Z",
    end="2020-01-02T21:00:00Z",
    available_at="2020-01-02T21:00:01Z",
    open="10.1",
    high="10.5",
    low="9.9",
    close="10",
    volume="1000",
)


def raw(symbol: str, session: int, *, shift: int = 0) -> quality.RawBar:
    """Return a good bar of the n-th session, its times moved by ``shift`` nanoseconds."""
    opened = times.text(times.Nanos(engine_data.opening(session) + shift))
    closed = times.text(times.Nanos(engine_data.ending(session) + shift))
    return replace(GOOD, symbol=symbol, start=opened, end=closed, available_at=closed)


def calm(*, leave_out: tuple[str, int] | None = None) -> list[quality.RawBar]:
    """Five sessions of three symbols."""
    return [
        raw(symbol, session)
        for session in range(5)
        for symbol in ("AAA", "BBB", "CCC")
        if (symbol, session) != leave_out
    ]


def test_a_good_bar_is_exact() -> None:
    """Prices become scaled integers without a float in between."""
    assert numbers.Price(101_000) == quality.bar(GOOD).open
    assert quality.bar(GOOD).volume == 1000


@pytest.mark.parametrize(
    "change,reason",
    [
        ({"close": "nan"}, "bad-number"),
        ({"close": "NaN"}, "bad-number"),
        ({"high": "inf"}, "bad-number"),
        ({"open": ""}, "bad-number"),
        ({"open": "10.12345"}, "bad-number"),
        ({"close": "0"}, "not-positive"),
        ({"low": "-1"}, "not-positive"),
        ({"high": "9.8"}, "high-below-low"),
        ({"close": "10.6"}, "outside-range"),
        ({"open": "9.8"}, "outside-range"),
        ({"volume": "-1"}, "bad-volume"),
        ({"volume": "1.5"}, "bad-volume"),
        ({"volume": "nan"}, "bad-volume"),
        ({"end": "2020-01-02T21:00:00"}, "naive-time"),
        ({"start": "2020-01-02T09:30:00"}, "naive-time"),
        ({"start": "yesterday"}, "bad-time"),
        ({"end": "2020-01-02T14:30:00Z"}, "end-before-start"),
        ({"available_at": "2020-01-02T20:59:59Z"}, "available-before-end"),
    ],
)
def test_a_bad_bar_is_refused_by_name(change: dict[str, str], reason: str) -> None:
    """Each kind of damage has its own stable reason."""
    with pytest.raises(errors.DataRefused) as refused:
        quality.bar(replace(GOOD, **change))  # type: ignore[arg-type]  # fields by name
    assert reason == refused.value.reason


@pytest.mark.parametrize("session,reason", [(3, "duplicate"), (2, "out-of-order")])
def test_a_bar_must_come_after_its_predecessor(session: int, reason: str) -> None:
    """A repeated or an older bar is refused."""
    with pytest.raises(errors.DataRefused) as refused:
        quality.check_follows(engine_data.bar(session=session), engine_data.bar(session=3))
    assert reason == refused.value.reason


def test_a_bar_that_overlaps_its_predecessor_is_refused() -> None:
    """Two bars never describe the same minute."""
    late = replace(engine_data.bar(session=3), start=times.Nanos(engine_data.ending(2) - 1))
    with pytest.raises(errors.DataRefused, match="overlap"):
        quality.check_follows(late, engine_data.bar(session=2))


def test_clean_bars_leave_a_clean_report() -> None:
    """Every bar is accepted and nothing is counted."""
    accepted, report = quality.batch(calm())
    assert {symbol: len(found) for symbol, found in accepted.items()} == {"AAA": 5, "BBB": 5, "CCC": 5}
    assert (report.counts, report.accepted) == ({}, 15)
    report.require_clean()


def test_a_missing_session_is_counted_as_a_gap() -> None:
    """What the other symbols traded and this one did not is named."""
    _, report = quality.batch(calm(leave_out=("BBB", 2)))
    assert report.counts == {"gap": 1}
    assert ("BBB", times.text(engine_data.ending(2))) == (report.refused[0].symbol, report.refused[0].at)
    with pytest.raises(errors.DataRefused, match="gap: BBB"):
        report.require_clean()


def test_a_late_listing_is_no_gap() -> None:
    """Sessions before a symbol's first bar are not missing."""
    _, report = quality.batch(calm() + [raw("DDD", session) for session in (3, 4)])
    assert report.counts == {}


def test_a_wrong_time_zone_is_no_session() -> None:
    """Bars five hours off are refused, and their true sessions are gaps."""
    shifted = [raw("DDD", session, shift=5 * times.HOUR) for session in range(5)]
    accepted, report = quality.batch(calm() + shifted)
    assert accepted["DDD"] == ()
    assert report.counts["outside-session"] == 5


def test_expected_sessions_check_even_a_single_symbol() -> None:
    """With a calendar a lone symbol's gap and weekend bar are found."""
    sessions = [quality.Session(engine_data.opening(n), engine_data.ending(n)) for n in (0, 1, 2, 3)]
    _, report = quality.batch([raw("AAA", n) for n in (0, 2, 3, 4)], sessions=sessions)
    assert report.counts == {"gap": 1, "outside-session": 1}


def test_a_refused_bar_is_not_in_what_is_traded() -> None:
    """A damaged bar leaves its session empty for that symbol, and is counted twice: damage and gap."""
    damaged = [replace(one, high="1") if (one.symbol, one.end[:10]) == ("BBB", "2020-01-04") else one for one in calm()]
    accepted, report = quality.batch(damaged)
    assert report.counts == {"gap": 1, "high-below-low": 1}
    assert engine_data.ending(2) not in {one.end for one in accepted["BBB"]}


def test_duplicates_and_disorder_keep_the_first() -> None:
    """The first bar of a session stays; later copies and older bars are counted."""
    found = [raw("AAA", 0), raw("AAA", 1), raw("AAA", 1), raw("AAA", 0), raw("AAA", 2)]
    accepted, report = quality.batch(found)
    assert [(one.start - engine_data.FIRST_OPEN) // times.DAY for one in accepted["AAA"]] == [0, 1, 2]
    assert report.counts == {"duplicate": 1, "out-of-order": 1}


def test_no_symbol_of_a_bar_is_lost() -> None:
    """Accepted and refused bars together are all that came."""
    found = [*calm(), replace(raw("AAA", 5), close="nan")]
    accepted, report = quality.batch(found)
    assert len(found) == sum(map(len, accepted.values())) + len(report.refused)
    assert all(isinstance(one, bars.Bar) for rows in accepted.values() for one in rows)
