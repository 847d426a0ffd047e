"""Which objects an event makes worth a look."""

import pathlib
from typing import Any

import pytest

from support import operator_objects as objects
from tradeplane_api import kinds, names
from tradeplane_operator import queueing, reconciler, watch

SWEEP = reconciler.Key(reconciler.SWEEP)


def watching() -> watch.Watch:
    """Return a watch that knows one object of every kind."""
    made = watch.Watch(queueing.Queue(lambda: 0.0), pathlib.Path("/nowhere"), "paper")
    for kind in kinds.KINDS:
        list(made._keys("ADDED", objects.stored(kind)))  # type: ignore[arg-type]
    return made


def woken(made: watch.Watch, event: str, body: dict[str, Any]) -> set[reconciler.Key]:
    """Return the keys of one event."""
    return set(made._keys(event, body))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [names.ENVIRONMENT, names.STRATEGY, names.MODEL, names.RISK_POLICY])
def test_what_a_backtest_waits_for_wakes_it(kind: str) -> None:
    """An edit of anything that its job is told."""
    edited = objects.stored(kind, generation=2)
    assert reconciler.Key(names.BACKTEST, "momentum-2012") in woken(watching(), "MODIFIED", edited)


def test_a_backtest_wakes_nobody_but_the_sweep() -> None:
    """Nothing depends on one; its end is the sweep's, which stops its job."""
    made = watching()
    own = reconciler.Key(names.BACKTEST, "momentum-2012")
    assert woken(made, "MODIFIED", objects.stored(names.BACKTEST, status={"phase": "Running"})) == {own}
    assert woken(made, "DELETED", objects.stored(names.BACKTEST)) == {own, SWEEP}
