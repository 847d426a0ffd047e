"""The way of an order in a model: with all guards nothing is lost or doubled, and each of them is needed."""

import pathlib

import pytest

from support.exactly_once import guards, model, world

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize("explored", guards.WORLDS.values(), ids=guards.WORLDS.keys())
def test_with_all_guards_nothing_is_lost_and_nothing_doubled(explored: world.World) -> None:
    """Two faults anywhere: every state that can be reached keeps every property, and leads to rest."""
    found = model.Model(explored).explored()
    assert found.counterexample is None, str(found.counterexample)
    assert found.states > 50_000


@pytest.mark.parametrize("guard", guards.GUARDS, ids=str)
def test_without_a_guard_there_is_a_way_to_harm(guard: guards.Guard) -> None:
    """The shortest one is shown with -s; the same steps are taken with the real code in the integration tests."""
    found = guards.counterexample(guard)
    print(f"\nwithout {guard}, {found}")  # noqa: T201 - asked for by whoever runs this with -s
    assert found.violated == guard.violated


@pytest.mark.parametrize("guard", guards.GUARDS, ids=str)
@pytest.mark.parametrize("place", ["code", "model", "docs"])
def test_a_guard_has_one_name(guard: guards.Guard, place: str) -> None:
    """The same word stands in the code, in the model and in the docs."""
    path = {
        "code": f"workers/{guard.place}",
        "model": "tests/support/exactly_once/model.py",
        "docs": "docs/explanation/orders.md",
    }[place]
    assert guard.name in (ROOT / path).read_text()
