"""How many requests may come in a window."""

from tradeplane_simulator import limits


def used(found: limits.Limits, part: str, now: float) -> tuple[int, bool]:
    """What is left after a request, and whether it was one too many."""
    window = found.take("demo", part, now=now)
    assert window is not None
    return int(window.headers["X-RateLimit-Remaining"]), window.exceeded


def test_a_window_begins_with_its_first_request_and_ends() -> None:
    """Two within ten seconds; the third is one too many until the tenth second is over."""
    found = limits.Limits({"demo": limits.Rate(2, 10)})
    assert [used(found, "trading", now) for now in (100.0, 105.0, 109.9)] == [(1, False), (0, False), (0, True)]
    assert used(found, "trading", 110.0) == (1, False)


def test_trading_and_data_do_not_take_from_each_other() -> None:
    """Nor do accounts; one without a rate has no window."""
    found = limits.Limits({"demo": limits.Rate(1, 10)})
    assert [used(found, part, 100.0) for part in ("trading", "data")] == [(0, False), (0, False)]
    assert found.take("other", "trading", now=100.0) is None


def test_the_reset_is_not_before_the_end_of_the_window() -> None:
    """A client that waits for it finds a new window."""
    window = limits.Limits({"demo": limits.Rate(1, 10)}).take("demo", "data", now=100.5)
    assert window is not None
    assert window.headers == {"X-RateLimit-Limit": "1", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "111"}
