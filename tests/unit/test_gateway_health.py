"""What a gateway says that it is doing."""

import pytest

from tradeplane_workers.gateway import epoch, health, machine, state
from tradeplane_workers.stores import epochs


@pytest.fixture
def known() -> health.Health:
    """A gateway that has just opened its ledger."""
    leadership = epoch.Leadership(holder="second", clock=machine.now)
    guard = state.Guard(clock=machine.now, has_epoch=leadership.is_valid, window_s=4.0)
    return health.Health(guard, leadership, has_ledger=True)


def test_a_standby_knows_who_leads(known: health.Health) -> None:
    """Before it has read the epoch it is starting: it cannot send anybody to a leader."""
    assert (known.role, known.is_ready) == (health.Role.STARTING, False)
    known.leadership.seen = epochs.Epoch(epochs.GATEWAY, 1, "a", 1, 1, "first", 1)
    assert (known.role, known.is_ready) == (health.Role.STANDBY, False)
    (check,) = (check for check in known.checks() if check.name == "epoch")
    assert (check.ok, check.message) == (False, "first leads, epoch 1")
