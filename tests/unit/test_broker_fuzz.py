"""Whatever the broker says is read exactly, or not at all: fields missing, null, unknown, huge, of another type."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import websockets
from hypothesis import given
from hypothesis import strategies as st

from tradeplane_workers.brokers import alpaca, alpaca_json, alpaca_stream, port, wire

ORDER: Mapping[str, Any] = {
    "id": "b-1",
    "client_order_id": "c-1",
    "symbol": "AAPL",
    "side": "buy",
    "qty": "10",
    "filled_qty": "3.5",
    "type": "limit",
    "time_in_force": "day",
    "status": "partially_filled",
    "submitted_at": "2026-01-02T15:00:00.123456789Z",
    "updated_at": "2026-01-02T15:00:01Z",
    "replaced_by": None,
    "replaces": None,
    "legs": None,
}
UPDATE: Mapping[str, Any] = {
    "event": "partial_fill",
    "timestamp": "2026-01-02T15:00:01Z",
    "execution_id": "e-1",
    "qty": "3.5",
    "price": "100.01",
    "order": ORDER,
}
FILL: Mapping[str, Any] = {
    "id": "20260102::1",
    "activity_type": "FILL",
    "order_id": "b-1",
    "symbol": "AAPL",
    "side": "sell_short",
    "qty": "1",
    "cum_qty": "4",
    "price": "99.5",
    "transaction_time": "2026-01-02T15:00:01Z",
    "type": "fill",
}
CASH: Mapping[str, Any] = {"id": "1", "activity_type": "DIV", "date": "2026-01-02", "net_amount": "1.25", "symbol": "A"}
POSITION: Mapping[str, Any] = {"symbol": "AAPL", "qty": "-3", "side": "short"}
ACCOUNT: Mapping[str, Any] = {"id": "a", "cash": "1000.123456789", "equity": "2000", "status": "ACTIVE"}
ASSET: Mapping[str, Any] = {"symbol": "AAPL", "tradable": True, "shortable": True, "easy_to_borrow": False}
CLOCK: Mapping[str, Any] = {"timestamp": "2026-01-02T15:00:00-05:00", "is_open": True}

READERS: list[tuple[Callable[[Any], Any], Mapping[str, Any]]] = [
    (lambda value: alpaca_json.order_event(value, source="rest"), ORDER),
    (alpaca_json.stream_event, UPDATE),
    (alpaca_json.fill_activity, FILL),
    (alpaca_json.cash_activity, CASH),
    (alpaca_json.position, POSITION),
    (alpaca_json.account, ACCOUNT),
    (alpaca_json.asset, ASSET),
    (alpaca_json.clock, CLOCK),
]
WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**18, max_value=10**60),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["", "NaN", "-Infinity", "1e400", "1e-400", "0x10", "1_000", "9" * 500, "-0", "١٢"]),
    st.sampled_from(["2026-13-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "0001-01-01", "buy ", "unheard_of"]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=3),
)


@st.composite
def damaged(draw: st.DrawFn, whole: Mapping[str, Any]) -> dict[str, Any]:
    """Take an object apart: fields are gone, something else, or new; so are those of an object in it."""
    found = {name: draw(damaged(value)) if isinstance(value, Mapping) else value for name, value in whole.items()}
    for name in draw(st.lists(st.sampled_from(sorted(whole)), max_size=3)):
        if draw(st.booleans()):
            found.pop(name, None)
        else:
            found[name] = draw(WRONG)
    return found | draw(st.dictionaries(st.text(min_size=12, max_size=14), WRONG, max_size=2))


@pytest.mark.parametrize("reader", range(len(READERS)))
@given(data=st.data())
def test_an_object_is_read_or_refused_in_our_words(reader: int, data: st.DataObject) -> None:
    """Never anything but Unreadable, which makes the caller ask again or reconcile."""
    read, whole = READERS[reader]
    read(alpaca_json.parse(json.dumps(whole)))
    with contextlib.suppress(alpaca_json.Unreadable):
        read(alpaca_json.parse(json.dumps(data.draw(damaged(whole)))))


@given(data=st.data())
def test_what_is_read_of_an_order_is_what_was_said(data: st.DataObject) -> None:
    """No field is made up: ids, symbol, side, status and both quantities are those of the message."""
    said = data.draw(damaged(ORDER))
    try:
        found = alpaca_json.report(said)
    except alpaca_json.Unreadable:
        return
    ids = (found.broker_order_id, found.client_order_id, found.symbol, found.side.value, found.status)
    assert ids == tuple(said[name] for name in ("id", "client_order_id", "symbol", "side", "status"))
    assert found.quantity == alpaca_json._decimal(said, "qty") * 10**9
    assert found.filled == alpaca_json._decimal(said, "filled_qty", default="0") * 10**9


BODIES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"", b"null", b"[]", b"{", b'{"code": null}', b"<html>", b"[" * 100_000, b'{"a":' * 100_000]),
    damaged(ORDER).map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(["code", "message", "id"]), WRONG).map(lambda value: json.dumps(value).encode()),
)


@given(status=st.sampled_from([200, 201, 204, 302, 400, 403, 404, 422, 429, 500, 502, 504]), body=BODIES)
def test_an_answer_to_an_order_is_one_of_four_outcomes(status: int, body: bytes) -> None:
    """Only a whole order is an acknowledgement, and only the broker's own clear word a refusal; else it is unknown."""
    outcome = alpaca._submitted(wire.Answer(status, body, {}))
    assert isinstance(outcome, port.Acknowledged | port.Refused | port.NotSent | port.Unknown)
    if status != 200:
        assert not isinstance(outcome, port.Acknowledged)
    if status >= 500 or status in {200, 201, 204, 302}:
        assert not isinstance(outcome, port.Refused)
    if status != 429:
        assert not isinstance(outcome, port.NotSent)


@given(
    frame=st.one_of(BODIES, st.text(max_size=30), damaged({"stream": "trade_updates", "data": UPDATE}).map(json.dumps))
)
def test_a_frame_is_an_event_or_the_end_of_the_stream(frame: bytes | str) -> None:
    """What cannot be read may be a fill: the stream ends in our words, and the caller reconciles."""
    frames = [frame]

    class Connection:
        """One frame, then the end."""

        async def recv(self) -> bytes | str:
            """Give it."""
            if not frames:
                raise websockets.ConnectionClosedOK(None, None)
            return frames.pop()

    async def listen() -> port.Event | None:
        async for event in alpaca_stream.Listening(Connection()):  # type: ignore[arg-type]  # all that it uses
            return event
        return None

    try:
        event = asyncio.run(listen())
    except port.BrokerError:
        return
    assert event is not None
    assert event.report is not None
