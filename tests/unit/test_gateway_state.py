"""The guard: which causes halt, and what the last instant answers."""

from typing import Any

import pytest

from tradeplane_engine.domain import orders
from tradeplane_workers.gateway import machine, state

UID = "u-1"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.boot_s = 100.0

    def __call__(self) -> machine.Instant:
        """Return both clocks."""
        return machine.Instant(self.boot_s, 1_000_000 + self.boot_s)


def switch_manifest(word: str, version: int = 5) -> dict[str, Any]:
    """The switch with a word."""
    return {"metadata": {"uid": "s", "resourceVersion": str(version)}, "data": {"trading": word}}


class Made:
    """A guard for which everything permits."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.has_epoch = True
        self.guard = state.Guard(clock=self.clock, has_epoch=lambda: self.has_epoch, window_s=5.0)
        self.guard.inputs.environment = ""
        self.guard.inputs.strategies = {UID: state.Strategy(UID, "momentum")}
        self.guard.inputs.is_hearing = True
        self.read("enabled")

    def read(self, word: str, version: int = 5) -> None:
        """Read the switch."""
        self.guard.switch.finish(self.guard.switch.begin(self.clock()), switch_manifest(word, version))


@pytest.fixture
def made() -> Made:
    """A guard that permits."""
    return Made()


def test_everything_good_permits(made: Made) -> None:
    """Nothing stands against the order."""
    assert made.guard.permit(UID) == ""


def test_a_halted_switch_refuses(made: Made) -> None:
    """The switch wins."""
    made.read("halted", 6)
    assert made.guard.permit(UID) == "halted"


def test_an_old_read_refuses_by_itself(made: Made) -> None:
    """No event is needed: time alone halts."""
    made.clock.boot_s += 5.1
    assert made.guard.permit(UID) == "halted"


def test_a_stale_period_ends_with_a_read_and_a_reconciliation(made: Made) -> None:
    """A fresh read alone is not enough, a reconciliation without one neither."""
    made.clock.boot_s += 6
    made.guard.state()
    made.guard.recovered()
    assert made.guard.permit(UID) == "halted"
    made.read("enabled")
    assert made.guard.permit(UID) == "halted"
    made.guard.recovered()
    assert made.guard.permit(UID) == ""


def test_no_epoch_refuses(made: Made) -> None:
    """Who does not lead sends nothing."""
    made.has_epoch = False
    assert made.guard.permit(UID) == "epoch"


def test_not_hearing_refuses(made: Made) -> None:
    """Nothing is sent while the broker's events are not heard."""
    made.guard.inputs.is_hearing = False
    assert made.guard.permit(UID) == "not-ready"


def test_a_halt_of_the_gateway_refuses(made: Made) -> None:
    """A conflict halts everything."""
    made.guard.inputs.halts["id-conflict-1"] = "another symbol"
    assert made.guard.permit(UID) == "halted"


@pytest.mark.parametrize(
    "strategies",
    [None, {}, {UID: state.Strategy(UID, "momentum", halted="the Strategy is suspended")}],
)
def test_a_strategy_that_is_unknown_absent_or_suspended_is_refused(
    made: Made, strategies: dict[str, state.Strategy] | None
) -> None:
    """Unknown means no."""
    made.guard.inputs.strategies = strategies
    assert made.guard.permit(UID) == "halted"


def test_starting_halts_but_cancels_nothing_yet() -> None:
    """Before the first reads nothing leaves; after the window, not knowing is a reason to cancel."""
    clock = Clock()
    guard = state.Guard(clock=clock, has_epoch=lambda: True, window_s=5.0)
    young = guard.state()
    clock.boot_s += 5.1
    old = guard.state()
    assert (young.state, young.is_starting, old.state, old.is_starting) == (
        orders.State.HALTED,
        True,
        orders.State.HALTED,
        False,
    )


def test_a_strict_word_by_the_watch_acts_before_the_first_read() -> None:
    """A halt seen is not a matter of starting."""
    guard = state.Guard(clock=Clock(), has_epoch=lambda: True, window_s=5.0)
    guard.inputs.environment = ""
    guard.inputs.strategies = {}
    guard.switch.watched("ADDED", switch_manifest("halted"))
    assert not guard.state().is_starting


def test_a_change_of_state_has_its_time(made: Made) -> None:
    """``since`` is when it changed, not when it was asked."""
    made.guard.state()
    made.clock.boot_s += 1
    made.read("halted", 6)
    halted = made.guard.state()
    since = made.guard.changed_at
    made.clock.boot_s += 1
    made.guard.state()
    assert (made.guard.changed_at, halted.causes[0].since) == (since, since)
