from collections.abc import Callable
from typing import Any

import pytest

from support import engine_data
from tradeplane_engine import errors, record
from tradeplane_engine.domain import numbers, orders, times

TRIGGER = "2012-03-02T21:00:00Z"


def document(*events: dict[str, Any]) -> dict[str, Any]:
    """A record with numbered events."""
    return {
        "version": 1,
        "environment": "demo",
        "mode": "paper",
        "ledger": "k3j9x2ab",
        "venue_profile": "realistic",
        "starting_cash": "1000000",
        "sequence": [{"seq": number, **event} for number, event in enumerate(events, start=1)],
    }


POLICY = {"name": "prudent", "hash": "sha256:1", "spec": {"onBreach": "reject"}}
EVENTS: tuple[dict[str, Any], ...] = (
    {"type": "environment", "spec": {"mode": "paper"}, "policy": POLICY},
    {"type": "state", "state": "halted", "causes": ["switch halted"]},
    {"type": "strategy", "config": {"uid": "u", "generation": 1, "spec": {}}},
    {"type": "policy", **POLICY},
    {"type": "state", "state": "enabled", "causes": []},
    {
        "type": "standing",
        "scope": "u",
        "at": TRIGGER,
        "capital": "5",
        "equity": "4.5",
        "session_equity": "4.75",
        "peak": "6",
        "losses": 2,
    },
    {"type": "decision", "uid": "u", "trigger": TRIGGER, "outcome": "traded"},
    {"type": "state", "state": "halted", "causes": ["switch halted"]},
    {"type": "not-sent", "client_order_id": "a", "reason": "halted"},
    {"type": "cancelled", "client_order_id": "b"},
    {"type": "strategy", "config": {"uid": "u", "generation": 2, "spec": {}}},
    {"type": "state", "state": "enabled", "causes": []},
)


def kinds(found: record.Record) -> list[str]:
    """Names of the events' classes."""
    return [type(event).__name__.removesuffix("Event") for event in found.sequence]


def test_every_event_is_understood() -> None:
    """Each type of the interface has its value."""
    assert kinds(record.parse(document(*EVENTS))) == [
        *("Environment", "State", "Strategy", "Policy", "State", "Standing", "Decision"),
        *("State", "NotSent", "Cancelled", "Strategy", "State"),
    ]


def test_the_head_is_exact() -> None:
    """Cash is money, and the decision's trigger an instant."""
    found = record.parse(document(*EVENTS))
    assert found.starting_cash == numbers.money("1000000")
    assert record.DecisionEvent(7, "u", times.instant(TRIGGER), orders.Outcome.TRADED) == found.sequence[6]
    seen = found.sequence[5]
    assert isinstance(seen, record.StandingEvent)
    assert (seen.scope, seen.standing.at, seen.standing.losses) == ("u", times.instant(TRIGGER), 2)
    equities = (seen.standing.capital, seen.standing.equity, seen.standing.session_equity, seen.standing.peak)
    assert equities == tuple(numbers.money(one) for one in ("5", "4.5", "4.75", "6"))


@pytest.mark.parametrize(
    "event,named",
    [
        ({"type": "lift"}, "sequence[0].type"),
        ({"type": "state", "state": "on"}, "sequence[0].state"),
        ({"type": "state"}, "sequence[0].state"),
        ({"type": "decision", "uid": "u", "trigger": "noon", "outcome": "traded"}, "sequence[0].trigger"),
        ({"type": "decision", "uid": "u", "trigger": TRIGGER, "outcome": "won"}, "sequence[0].outcome"),
        ({"type": "strategy", "config": {}}, "sequence[0].uid"),
        ({"type": "environment", "spec": {}, "policy": {}}, "sequence[0].name"),
        ({"type": "cancelled"}, "sequence[0].client_order_id"),
    ],
)
def test_an_event_that_is_not_understood_is_refused(event: dict[str, Any], named: str) -> None:
    """Skipping it could skip what stopped an order."""
    with pytest.raises(errors.ValueRefused) as refused:
        record.parse(document(event))
    assert refused.value.field == named


@pytest.mark.parametrize(
    "change", [{"version": 2}, {"sequence": {}}, {"starting_cash": "much"}, {"starting_cash": 5}, {"ledger": None}]
)
def test_a_damaged_head_is_refused(change: dict[str, Any]) -> None:
    """A record of another version or shape is not guessed at."""
    with pytest.raises(errors.ValueRefused):
        record.parse({**document(*EVENTS), **change})


@pytest.mark.parametrize("place", [2, 3])
def test_the_sequence_must_grow(place: int) -> None:
    """A repeated or smaller place in the sequence is damage."""
    damaged = document(*EVENTS)
    damaged["sequence"][3]["seq"] = place
    with pytest.raises(errors.ValueRefused, match=f"sequence: must be above 3, got {place}"):
        record.parse(damaged)


def test_without_halts_keeps_the_first_enabling() -> None:
    """What came before trading began stays; later halts and what they stopped go."""
    found = record.without_halts(record.parse(document(*EVENTS)))
    assert kinds(found) == [
        *("Environment", "State", "Strategy", "Policy", "State", "Decision", "Strategy", "State"),
    ]


def test_without_edits_keeps_first_generations() -> None:
    """Only the first configuration of each strategy stays."""
    found = record.without_edits(record.parse(document(*EVENTS)))
    assert [event.generation for event in found.sequence if isinstance(event, record.StrategyEvent)] == [1]
    assert "Standing" not in kinds(found)


def test_a_part_says_what_it_answers() -> None:
    """How much was heard, the last timer, and when the broker had it."""
    said = {"uid": "u", "trigger": TRIGGER, "outcome": "traded", "part": 2, "heard": 5, "rung": TRIGGER, "at": TRIGGER}
    (found,) = record.parse(document({"type": "decision", **said})).sequence
    at = times.instant(TRIGGER)
    assert found == record.DecisionEvent(1, "u", at, orders.Outcome.TRADED, part=2, heard=5, rung=at, at=at)


@pytest.mark.parametrize("changed", [record.without_halts, record.without_edits])
def test_without_what_happened_a_bar_hears_all_there_is(changed: Callable[[record.Record], record.Record]) -> None:
    """Of other orders there are other fills; a part keeps its place among them."""
    told = [
        {"type": "decision", "uid": "u", "trigger": TRIGGER, "outcome": "traded", "heard": 5, "part": part}
        for part in (0, 1)
    ]
    found = changed(record.parse(document(*told))).sequence
    assert [event.heard for event in found if isinstance(event, record.DecisionEvent)] == [None, 5]


def test_an_order_has_one_canonical_form() -> None:
    """UTF-8, sorted keys, no spaces."""
    order = orders.Order("id", engine_data.ending(0), "BRK.B", orders.Side.SELL, engine_data.shares(10))
    assert record.canonical_order(order) == (
        b'{"bar_end":"2020-01-02T21:00:00Z","client_order_id":"id","quantity":"10","side":"sell","symbol":"BRK.B",'
        b'"time_in_force":"day","type":"market"}'
    )
