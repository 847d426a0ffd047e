"""The way of an order in the real code: the traces that the model finds without a guard, on a real PostgreSQL."""

import pytest

from support.exactly_once import guards, play


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """What is replaced for the length of a test."""
    return monkeypatch


async def played(guard: guards.Guard, url: str, patch: pytest.MonkeyPatch, *, without: str = "") -> play.Play:
    """Take the steps that harm without a guard, and let everything come to rest."""
    async with play.playing(url, patch, second=guard.shown_by.second, without=without) as made:
        await made.trace(guards.counterexample(guard).trace)
        await made.settle()
        return made


@pytest.mark.parametrize("guard", guards.GUARDS, ids=str)
async def test_a_guard_prevents_the_harm(guard: guards.Guard, postgres_url: str, patch: pytest.MonkeyPatch) -> None:
    """The real gateways do not take the last step, or take it without harm."""
    made = await played(guard, postgres_url, patch)
    assert made.violated == [], f"left out: {made.left_out}"


@pytest.mark.parametrize("guard", guards.GUARDS, ids=str)
async def test_without_a_guard_the_same_steps_harm(
    guard: guards.Guard, postgres_url: str, patch: pytest.MonkeyPatch
) -> None:
    """What the model says of its absence is true of the real code: every step is taken, and does that harm."""
    made = await played(guard, postgres_url, patch, without=guard.name)
    assert made.left_out == []
    assert guard.violated in made.violated
