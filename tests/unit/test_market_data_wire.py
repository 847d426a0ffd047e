"""Rows become exact bars, or are refused by name; sessions are the exchange's own; slices are complete or patient."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import data_provider
from tradeplane_engine import errors
from tradeplane_engine.domain import bars, numbers, times
from tradeplane_workers import bar_messages
from tradeplane_workers.market_data import assembly, sessions, wire

CALENDAR = sessions.Calendar("XNYS")
LABEL = "2012-03-02T05:00:00Z"
END = times.instant("2012-03-02T21:00:00Z")
TEXT = '{"t": "2012-03-02T05:00:00Z", "o": 100.1, "h": 100.3, "l": 99.9, "c": 100.2, "v": 1e3}'


def test_prices_are_exact() -> None:
    """A price is the decimal that was sent, never a float near it."""
    bar = wire.daily_bar("IBM", wire.loads(TEXT), CALENDAR)
    assert bar_messages.bar_message(bar).model_dump() == {
        "symbol": "IBM",
        "start": "2012-03-02T14:30:00Z",
        "end": "2012-03-02T21:00:00Z",
        "available_at": "2012-03-02T21:00:01Z",
        "open": "100.1",
        "high": "100.3",
        "low": "99.9",
        "close": "100.2",
        "volume": 1000,
    }


@given(st.integers(1, 10**12), st.integers(0, 10**15))
def test_every_price_survives_the_way_to_a_message_and_back(units: int, volume: int) -> None:
    """Provider JSON, engine value, message, engine value: the same number."""
    price = numbers.price_text(numbers.Price(units))
    row = wire.loads(f'{{"t": "{LABEL}", "o": {price}, "h": {price}, "l": {price}, "c": {price}, "v": {volume}}}')
    bar = wire.daily_bar("IBM", row, CALENDAR)
    assert bar.close == units
    assert bar_messages.bar(bar_messages.bar_message(bar)) == bar


@pytest.mark.parametrize(
    "changed, reason",
    [
        ({"h": Decimal(98)}, "high-below-low"),
        ({"o": Decimal(200)}, "outside-range"),
        ({"c": Decimal(1)}, "outside-range"),
        ({"o": 0}, "not-positive"),
        ({"l": Decimal(-1)}, "not-positive"),
        ({"c": Decimal("NaN")}, "bad-number"),
        ({"h": Decimal("Infinity")}, "bad-number"),
        ({"c": None}, "bad-number"),
        ({"c": "100"}, "bad-number"),
        ({"c": True}, "bad-number"),
        ({"c": Decimal("100.00001")}, "bad-number"),
        ({"v": Decimal("0.5")}, "bad-volume"),
        ({"v": -1}, "bad-volume"),
        ({"v": None}, "bad-volume"),
        ({"t": "2012-03-02T00:00:00Z"}, "wrong-time-zone"),
        ({"t": "2012-03-02T05:00:00-05:00"}, "wrong-time-zone"),
        ({"t": "2012-07-02T05:00:00Z"}, "wrong-time-zone"),
        ({"t": "2012-03-02T05:00:00"}, "bad-time"),
        ({"t": "yesterday"}, "bad-time"),
        ({"t": None}, "bad-time"),
        ({"t": "2012-03-03T05:00:00Z"}, "outside-session"),
        ({"t": "2012-12-25T05:00:00Z"}, "outside-session"),
    ],
)
def test_a_bad_row_is_refused_by_name(changed: dict[str, Any], reason: str) -> None:
    """Each way to be wrong has a stable reason, and the message names the symbol."""
    row = {"t": LABEL, "o": 100, "h": 101, "l": 99, "c": 100, "v": 1000} | changed
    with pytest.raises(errors.DataRefused, match="IBM") as refused:
        wire.daily_bar("IBM", row, CALENDAR)
    assert refused.value.reason == reason


@pytest.mark.parametrize("symbol", ["", "ibm", "IBM ", "IBM/USD", "A" * 13])
def test_a_bad_symbol_is_refused(symbol: str) -> None:
    """Only what can be ordered is a symbol."""
    with pytest.raises(errors.DataRefused) as refused:
        wire.daily_bar(symbol, data_provider.row(LABEL), CALENDAR)
    assert refused.value.reason == "bad-symbol"


@pytest.mark.parametrize(
    "label, end",
    [
        ("2012-11-23T05:00:00Z", "2012-11-23T18:00:00Z"),  # the day after Thanksgiving ends early
        ("2012-03-09T05:00:00Z", "2012-03-09T21:00:00Z"),
        ("2012-03-12T04:00:00Z", "2012-03-12T20:00:00Z"),  # summer time began on the eleventh
        ("2012-10-31T04:00:00Z", "2012-10-31T20:00:00Z"),  # the first session after the hurricane
    ],
)
def test_sessions_are_the_exchanges_own(label: str, end: str) -> None:
    """Early closes and summer time are in the calendar."""
    session = CALENDAR.labelled(times.instant(label))
    assert session is not None
    assert times.text(session.end) == end


def test_days_without_trading_are_no_sessions() -> None:
    """Holidays, week-ends and closures have no session."""
    found = CALENDAR.ending_within(times.instant("2012-10-27T00:00:00Z"), times.instant("2012-10-31T23:00:00Z"))
    assert [session.date.isoformat() for session in found] == ["2012-10-31"]


def test_a_session_is_known_a_second_after_its_end() -> None:
    """Not before."""
    known = CALENDAR.last_known(times.Nanos(END + times.SECOND))
    assert known is not None
    assert known.end == END
    before = CALENDAR.last_known(times.Nanos(END + times.SECOND - 1))
    assert before is not None
    assert before.end < END


def action(kind: str, **row: Any) -> Any:
    """Return the merged actions and refusals of one row."""
    return wire.actions({kind: [{"symbol": "IBM", "ex_date": "2012-03-02"} | row]}, CALENDAR)


@pytest.mark.parametrize(
    "kind, row, split, dividend",
    [
        ("forward_splits", {"new_rate": 2, "old_rate": 1}, "2/1", "0"),
        ("reverse_splits", {"new_rate": 1, "old_rate": Decimal("10.0")}, "1/10", "0"),
        ("forward_splits", {"new_rate": Decimal("1.5"), "old_rate": 1}, "3/2", "0"),
        ("stock_dividends", {"rate": Decimal("0.05")}, "21/20", "0"),
        ("cash_dividends", {"rate": Decimal("2.65")}, "1/1", "2.65"),
        ("cash_dividends", {"rate": "0.23"}, "1/1", "0.23"),
    ],
)
def test_actions_are_exact(kind: str, row: dict[str, Any], split: str, dividend: str) -> None:
    """Rates become fractions and money."""
    ((found,), refused) = action(kind, **row)
    message = bar_messages.action_message(found)
    assert (message.ex_start, message.split, message.dividend) == ("2012-03-02T14:30:00Z", split, dividend)
    assert refused == ()
    assert bar_messages.action(message) == found


def test_an_ex_date_without_a_session_acts_at_the_next() -> None:
    """A Saturday's split is Monday's."""
    ((found,), _) = action("forward_splits", ex_date="2012-03-03", new_rate=2, old_rate=1)
    assert times.text(found.ex_start) == "2012-03-05T14:30:00Z"


@pytest.mark.parametrize(
    "kind, row",
    [
        ("forward_splits", {"new_rate": 2, "old_rate": 0}),
        ("forward_splits", {"new_rate": 2}),
        ("forward_splits", {"new_rate": -2, "old_rate": 1}),
        ("forward_splits", {"new_rate": 10**7, "old_rate": 3}),
        ("forward_splits", {"new_rate": Decimal("NaN"), "old_rate": 1}),
        ("cash_dividends", {"rate": Decimal("NaN")}),
        ("cash_dividends", {"rate": Decimal(-1)}),
        ("cash_dividends", {"rate": 1, "ex_date": "soon"}),
        ("cash_dividends", {"rate": 1, "ex_date": None}),
        ("cash_dividends", {"rate": 1, "symbol": "ibm"}),
    ],
)
def test_a_bad_action_is_refused_and_named(kind: str, row: dict[str, Any]) -> None:
    """It is no action, and the refusal says whose."""
    found, (refusal,) = action(kind, **row)
    assert found == ()
    assert refusal.reason == "bad-action"


def bar(symbol: str, end: int = END) -> bars.Bar:
    """Return some bar."""
    price = numbers.price("1")
    at = times.Nanos(end)
    return bars.Bar(symbol, times.Nanos(end - 1), at, at, price, price, price, price, 1)


def test_a_complete_slice_is_due_at_once() -> None:
    """Nobody waits when everybody is there."""
    collected = assembly.Assembly(patience_s=1.0)
    collected.add(bar("A"), now=0.0)
    assert collected.due({"A", "B"}, now=0.0) is None
    collected.add(bar("B"), now=0.1)
    assert collected.due({"A", "B"}, now=0.1) == END
    assert sorted(collected.take(END)) == ["A", "B"]
    assert collected.due({"A", "B"}, now=0.1) is None


def test_an_incomplete_slice_is_due_when_patience_ends() -> None:
    """Counted from its first bar."""
    collected = assembly.Assembly(patience_s=1.0)
    collected.add(bar("A"), now=5.0)
    assert collected.wait_s(now=5.5) == 0.5
    assert collected.due({"A", "B"}, now=5.99) is None
    assert collected.due({"A", "B"}, now=6.0) == END


def test_a_later_end_makes_the_earlier_one_due() -> None:
    """Slices leave in order; a session is over when the next one has bars."""
    collected = assembly.Assembly(patience_s=1.0)
    collected.add(bar("A", END + 5), now=0.0)
    collected.add(bar("A"), now=0.0)
    assert collected.due({"A", "B"}, now=0.0) == END
    collected.drop_until(END)
    assert collected.due({"A"}, now=0.0) == END + 5


def test_the_first_of_two_bars_stays() -> None:
    """A repetition is told apart."""
    collected = assembly.Assembly(patience_s=1.0)
    assert collected.add(bar("A"), now=0.0)
    assert not collected.add(bar("A"), now=0.0)
    assert collected.peek(END) == {"A": bar("A")}
