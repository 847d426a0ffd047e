"""The switch: what enables, what a read can loosen, and when a read is too old."""

from typing import Any

import pytest

from tradeplane_workers.gateway import machine, switch

WINDOW_S = 5.0


def config_map(data: dict[str, str] | None, *, version: int = 10, uid: str = "u1", **more: Any) -> dict[str, Any]:
    """The switch as the API server shows it."""
    metadata = {"name": "kill-switch", "uid": uid, "resourceVersion": str(version), **more.pop("metadata", {})}
    return {"metadata": metadata, "data": data, **more}


def at(boot_s: float, *, jump_s: float = 0.0) -> machine.Instant:
    """An instant whose wall clock may have been set."""
    return machine.Instant(boot_s, 1_000_000 + boot_s + jump_s)


def read(data: dict[str, Any] | None, *, boot_s: float = 0.0) -> switch.Switch:
    """A switch that was read once."""
    made = switch.Switch(window_s=WINDOW_S)
    made.finish(made.begin(at(boot_s)), data)
    return made


def refusal(made: switch.Switch, boot_s: float = 0.1) -> str:
    """What the switch refuses with."""
    return made.view(at(boot_s)).refusal


ENABLED = config_map({"trading": "enabled"})


def test_only_the_exact_word_enables() -> None:
    """``enabled`` with reason, by and lift beside it is not refused."""
    assert refusal(read(config_map({"trading": "enabled", "by": "a", "reason": "b", "lift": "c"}))) == ""


@pytest.mark.parametrize(
    "manifest",
    [
        None,
        config_map(None),
        config_map({}),
        config_map({"trading": ""}),
        config_map({"trading": "Enabled"}),
        config_map({"trading": "enabled "}),
        config_map({"trading": " enabled"}),
        config_map({"trading": "enabled\n"}),
        config_map({"trading": "yes"}),
        config_map({"trading": "true"}),
        config_map({"trading": "halted"}),
        config_map({"trading": "reduce-only"}),
        config_map({"trading": "flatten"}),
        config_map({"trading": "enabled", "Trading": "halted"}),
        config_map({"trading": "enabled", "strategy.momentum": "enabled"}),
        config_map({"trading": "enabled", "note": "x"}),
        config_map({"trading": "enabled"}, binaryData={"x": "eA=="}),
        config_map({"trading": "enabled"}, immutable=True),
        config_map({"trading": "enabled"}, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
        config_map({"trading": "enabled"}, metadata={"resourceVersion": "abc"}),
        config_map({"trading": "enabled"}, metadata={"uid": ""}),
    ],
)
def test_everything_else_refuses_and_says_why(manifest: dict[str, Any] | None) -> None:
    """Unknown means no."""
    assert refusal(read(manifest)) != ""


def test_a_switch_that_was_never_read_is_stale() -> None:
    """Nothing is enabled before the first read."""
    view = switch.Switch(window_s=WINDOW_S).view(at(0))
    assert (view.is_stale, view.refusal != "") == (True, True)


def test_age_counts_from_the_start_of_the_read() -> None:
    """A read that took long is old when it arrives."""
    made = switch.Switch(window_s=WINDOW_S)
    ticket = made.begin(at(0))
    made.finish(ticket, ENABLED)
    assert (refusal(made, 4.9), refusal(made, 5.1) != "") == ("", True)


@pytest.mark.parametrize("jump_s", [-6.0, 6.0, 3600.0])
def test_a_jump_of_the_wall_clock_makes_stale(jump_s: float) -> None:
    """A machine that was paused, or whose clock was set, does not trust its last read."""
    view = read(ENABLED).view(at(1.0, jump_s=jump_s))
    assert (view.is_stale, "jumped" in view.refusal) == (True, True)


def test_a_stale_period_is_remembered_after_a_fresh_read() -> None:
    """A fresh read alone does not end it."""
    made = read(ENABLED)
    made.finish(made.begin(at(20)), ENABLED)
    assert made.has_lapsed


def test_a_watch_event_makes_stricter() -> None:
    """Halting does not wait for the next GET."""
    made = read(ENABLED)
    made.watched("MODIFIED", config_map({"trading": "halted"}, version=11))
    assert "halted" in refusal(made)


def test_a_watch_event_never_loosens() -> None:
    """Enabling waits for a GET."""
    made = read(config_map({"trading": "halted"}))
    made.watched("MODIFIED", config_map({"trading": "enabled"}, version=11))
    assert refusal(made) != ""
    made.finish(made.begin(at(0.2)), config_map({"trading": "enabled"}, version=11))
    assert refusal(made, 0.3) == ""


def test_a_deletion_seen_by_the_watch_refuses() -> None:
    """A deleted switch is a halted one."""
    made = read(ENABLED)
    made.watched("DELETED", config_map({"trading": "enabled"}, version=12))
    assert "deleted" in refusal(made)


def test_an_answer_older_than_a_watch_event_is_ignored() -> None:
    """A GET that began before the halting patch must not undo it."""
    made = read(ENABLED)
    ticket = made.begin(at(0.2))
    made.watched("MODIFIED", config_map({"trading": "halted"}, version=11))
    made.finish(ticket, ENABLED)
    assert "halted" in refusal(made, 0.3)


def test_an_answer_about_an_object_that_was_replaced_meanwhile_is_ignored() -> None:
    """The watch may have missed the deletion: then only the order of events says which is the present one."""
    made = read(ENABLED)
    ticket = made.begin(at(0.2))
    made.watched("ADDED", config_map({"trading": "halted"}, version=20, uid="u2"))
    made.finish(ticket, ENABLED)
    assert "halted" in refusal(made, 0.3)
    made.finish(made.begin(at(0.4)), config_map({"trading": "enabled"}, version=21, uid="u2"))
    assert refusal(made, 0.5) == ""


def test_an_old_watch_event_is_ignored() -> None:
    """Watches may replay; what is older than what was seen says nothing, not even something strict."""
    made = read(config_map({"trading": "enabled"}, version=12))
    made.watched("MODIFIED", config_map({"trading": "halted"}, version=11))
    assert refusal(made) == ""


def test_a_lower_revision_of_the_same_object_was_restored() -> None:
    """A backup cannot lift a halt."""
    made = read(config_map({"trading": "halted"}, version=20))
    made.finish(made.begin(at(1)), config_map({"trading": "enabled"}, version=15))
    assert "restored" in refusal(made, 1.1)


def test_a_restored_object_shows_after_a_restart_too() -> None:
    """The highest revision is remembered across processes, even when it arrives after the first read."""
    made = read(config_map({"trading": "enabled"}, version=15))
    made.remember({"u1": 20})
    assert "restored" in refusal(made)
    made.finish(made.begin(at(1)), config_map({"trading": "enabled"}, version=15))
    assert "restored" in refusal(made, 1.1)


def test_a_new_object_starts_anew() -> None:
    """Deleting and recreating it is the way out of ``restored``."""
    made = read(config_map({"trading": "halted"}, version=20))
    made.finish(made.begin(at(1)), config_map({"trading": "enabled"}, version=3, uid="u2"))
    assert refusal(made, 1.1) == ""
