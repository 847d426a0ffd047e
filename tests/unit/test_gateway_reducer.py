"""The reducer does not depend on the order of events, on duplicates, or on which way they came."""

import itertools
import random
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tradeplane_engine.domain import numbers, orders, times
from tradeplane_workers.brokers import port
from tradeplane_workers.gateway import reducer

ORDER = reducer.Order("id-1", "AAPL", orders.Side.BUY, numbers.quantity("10"))
BROKER_ID = "b-1"


@dataclass(frozen=True)
class Life:
    """All that a broker may say about one order: stream events, and the activities and report at its end."""

    stream: tuple[port.Event, ...]
    activities: tuple[port.Event, ...]
    snapshot: port.Event


def report(status: str, *, filled: int, at: int) -> port.Report:
    """The broker's view of the order."""
    return port.Report(
        broker_order_id=BROKER_ID,
        client_order_id="id-1",
        symbol="AAPL",
        side=orders.Side.BUY,
        quantity=ORDER.quantity,
        type="market",
        time_in_force="day",
        status=status,
        filled=numbers.Quantity(filled),
        at=times.Nanos(at),
        submitted=times.Nanos(1),
    )


def event(kind: str, said: port.Report | None, execution: port.Execution | None = None, *, at: int) -> port.Event:
    """One event."""
    return port.Event(kind, "stream", BROKER_ID, "id-1", said, execution, times.Nanos(at), "{}")


def execution(start: int, end: int, *, at: int, number: int) -> port.Execution:
    """A fill of [start, end)."""
    return port.Execution(
        broker_order_id=BROKER_ID,
        symbol="AAPL",
        side=orders.Side.BUY,
        quantity=numbers.Quantity(end - start),
        cumulative=numbers.Quantity(end),
        price=numbers.Price(1000 + number),
        at=times.Nanos(at),
        execution_id=f"e-{number}",
    )


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """A plausible life: some open words, fills at increasing quantities, and perhaps a terminal word before the end."""
    cuts = sorted(draw(st.sets(st.integers(1, ORDER.quantity - 1), max_size=4)))
    completes = draw(st.booleans())
    edges = [0, *cuts, *([ORDER.quantity] if completes else [])]
    stream, activities = [], []
    now = 10
    for word in draw(st.lists(st.sampled_from(["pending_new", "accepted", "new", "held", "weird"]), max_size=3)):
        stream.append(event(word, report(word, filled=0, at=now), at=now))
        now += draw(st.integers(0, 2))
    for number, (start, end) in enumerate(itertools.pairwise(edges)):
        done = end == ORDER.quantity
        made = execution(start, end, at=now, number=number)
        said = report("filled" if done else "partially_filled", filled=end, at=now)
        stream.append(event("fill" if done else "partial_fill", said, made, at=now))
        row = replace(made, execution_id="", activity_id=f"a-{number}")
        activities.append(replace(event("fill", None, row, at=now), source="activity", client_order_id=""))
        now += draw(st.integers(0, 2))
    resting = "partially_filled" if cuts else "new"
    status = "filled" if completes else draw(st.sampled_from([resting, "canceled", "expired", "pending_cancel"]))
    end = report(status, filled=edges[-1], at=now)
    if not completes:
        stream.append(event(status, end, at=now))
    return Life(tuple(stream), tuple(activities), replace(event("snapshot", end, at=now), source="rest"))


def reduced(*events: port.Event) -> reducer.Order:
    """Apply events one after the other; the fills that were announced are those of the order."""
    order, announced = ORDER, []
    for each in events:
        change = reducer.apply(order, each)
        announced += change.fills
        order = change.order
    assert sorted((f.cumulative_from, f.cumulative_to) for f in announced) == [
        (f.cumulative_from, f.cumulative_to) for f in order.fills
    ]
    return order


@given(life=lives(), seed=st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_any_order_and_any_duplicates_give_the_same(life: Life, seed: int) -> None:
    """Permutation and repetition of everything that was said change nothing."""
    everything = [*life.stream, *life.activities, life.snapshot]
    chance = random.Random(seed)  # noqa: S311 - a shuffle, not a secret
    shuffled = everything + chance.choices(everything, k=len(everything))
    chance.shuffle(shuffled)
    assert reduced(*everything) == reduced(*shuffled)


@given(life=lives(), data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_part_of_the_stream_and_a_reconciliation_give_all_fills(life: Life, data: st.DataObject) -> None:
    """Whatever part of the stream was lost, report and activities bring state and fills to the same end."""
    kept = [each for each in life.stream if data.draw(st.booleans())]
    whole = reduced(*life.stream, *life.activities, life.snapshot)
    repaired = reduced(*kept, life.snapshot, *life.activities)
    assert (whole.status, whole.filled, whole.reported) == (repaired.status, repaired.filled, repaired.reported)
    assert [(f.cumulative_to, f.price) for f in whole.fills] == [(f.cumulative_to, f.price) for f in repaired.fills]
    assert not repaired.is_incomplete


@given(life=lives())
@settings(max_examples=100, deadline=None)
def test_a_report_books_nothing_at_a_guessed_price(life: Life) -> None:
    """A snapshot alone leaves the order incomplete when there were fills, and working at what is not booked."""
    alone = reduced(life.snapshot)
    assert alone.fills == ()
    assert alone.is_incomplete == (alone.reported > 0)
    assert alone.working == (alone.quantity if alone.is_open else alone.reported)


def test_a_fill_after_a_cancel_is_booked() -> None:
    """A terminal state absorbs states, never fills."""
    cancel = event("canceled", report("canceled", filled=0, at=5), at=5)
    late = event("partial_fill", report("partially_filled", filled=4, at=4), execution(0, 4, at=4, number=0), at=4)
    order = reduced(cancel, late)
    assert (order.status, order.filled) == ("canceled", 4)


def test_the_same_interval_at_another_price_is_named_and_not_booked() -> None:
    """A contradiction is irregular; the booked fill stays."""
    first = event("partial_fill", report("partially_filled", filled=4, at=4), execution(0, 4, at=4, number=0), at=4)
    other = event("partial_fill", report("partially_filled", filled=4, at=4), execution(0, 4, at=4, number=9), at=4)
    order = reduced(first, other)
    assert [fill.price for fill in order.fills] == [1000]
    assert "contradicts" in order.irregular


def test_an_overlapping_interval_is_named_and_not_booked() -> None:
    """Half an interval again is no new fill."""
    first = event("partial_fill", None, execution(0, 4, at=4, number=0), at=4)
    overlapping = event("partial_fill", None, execution(2, 6, at=5, number=1), at=5)
    order = reduced(first, overlapping)
    assert (order.filled, "contradicts" in order.irregular) == (4, True)


def test_other_fields_are_a_conflict() -> None:
    """An order of our id with another symbol is not ours."""
    said = replace(report("new", filled=0, at=3), symbol="IBM")
    order = reduced(event("new", said, at=3))
    assert "broker has another symbol" in order.irregular


def test_a_second_broker_order_under_one_id_is_irregular() -> None:
    """One client order id is one order."""
    first = event("new", report("new", filled=0, at=3), at=3)
    order = reduced(first, replace(first, broker_order_id="b-2"))
    assert (order.broker_order_id, "second broker order" in order.irregular) == (BROKER_ID, True)


def test_a_bust_is_named() -> None:
    """What takes a fill back is never guessed."""
    bust = replace(event("trade_bust", report("filled", filled=0, at=3), at=3), irregular="trade_bust")
    assert reduced(bust).irregular == "trade_bust"
