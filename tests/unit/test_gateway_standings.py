"""What a look at a decision leaves in the ledger's sequence."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tradeplane_engine.domain import numbers, times
from tradeplane_workers.gateway import standings
from tradeplane_workers.stores import journal

CAPITAL = numbers.money("100000")
FRIDAY_NOON, FRIDAY_CLOSE = times.instant("2012-03-02T17:00:00Z"), times.instant("2012-03-02T21:00:00Z")
MONDAY_OPEN, MONDAY_CLOSE = times.instant("2012-03-05T14:30:00Z"), times.instant("2012-03-05T21:00:00Z")


class Events:
    """The standings of a ledger, as a connection that knows nothing else."""

    def __init__(self) -> None:
        self.bodies: list[Mapping[str, Any]] = []

    async def fetchval(self, _: str, kind: str, scope: str) -> str | None:
        """Return the last of a scope."""
        assert kind == standings.KIND
        return next((json.dumps(one) for one in reversed(self.bodies) if one["scope"] == scope), None)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Events:
    """An empty ledger."""
    found = Events()

    async def record(connection: Events, kind: str, key: str, body: Mapping[str, Any]) -> bool:
        assert (kind, key) == (standings.KIND, "scope")
        connection.bodies.append(body)
        return True

    monkeypatch.setattr(journal, "record_if_new", record)
    return found


async def look(events: Events, at: times.Nanos, equity: str | None, scope: str = "account") -> tuple[str, str]:
    """Look once; return (session's equity, peak)."""
    worth = None if equity is None else numbers.money(equity)
    found = await standings.look(events, scope, capital=CAPITAL, equity=worth, losses=0, trigger=at)
    return numbers.money_text(found.session_equity), numbers.money_text(found.peak)


async def test_a_session_begins_with_the_last_look_before_its_open(events: Events) -> None:
    """One at the open itself is before it; weekends have none."""
    assert await look(events, FRIDAY_NOON, "101000") == ("100000", "101000")
    assert await look(events, FRIDAY_CLOSE, "100500") == ("100000", "101000")
    assert await look(events, MONDAY_OPEN, "100400") == ("100000", "101000")
    assert await look(events, MONDAY_CLOSE, "102000") == ("100400", "102000")
    assert len(events.bodies) == 4


@pytest.mark.parametrize("equity, at", [(None, MONDAY_CLOSE), ("900000", FRIDAY_NOON)])
async def test_what_nobody_can_know_and_what_is_past_change_nothing(
    events: Events, equity: str | None, at: times.Nanos
) -> None:
    """Positions of now at closes of an older trigger were never worth anything."""
    await look(events, FRIDAY_CLOSE, "101000")
    assert await look(events, at, equity) == ("100000", "101000")
    assert len(events.bodies) == 1


@pytest.mark.parametrize("equity, at", [(None, MONDAY_CLOSE), (CAPITAL, FRIDAY_NOON), (CAPITAL, MONDAY_CLOSE)])
async def test_losses_in_a_row_count_whatever_else_is_known(
    events: Events, equity: numbers.Money | None, at: times.Nanos
) -> None:
    """They are those of the fills that are booked now."""
    for losses, trigger, worth in ((2, FRIDAY_CLOSE, CAPITAL), (3, at, equity)):
        found = await standings.look(events, "account", capital=CAPITAL, equity=worth, losses=losses, trigger=trigger)
    assert found.losses == 3


async def test_scopes_are_apart(events: Events) -> None:
    """A strategy begins with its own capital, whatever the account has seen."""
    await look(events, FRIDAY_CLOSE, "150000")
    assert await look(events, FRIDAY_CLOSE, "90000", scope="0a-0b") == ("100000", "100000")
