"""The broker's request budget: a quarter of each window is kept for cancels and look-ups, whatever overtakes what."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeplane_workers.brokers import budget, port


@dataclass
class Times:
    """Both clocks, in seconds."""

    elapsed_s: float = 10.0
    wall_s: float = 1_000_000.0

    def pass_s(self, seconds: float) -> None:
        """Move both."""
        self.elapsed_s += seconds
        self.wall_s += seconds


@pytest.fixture
def times() -> Times:
    """Two clocks."""
    return Times()


@pytest.fixture
def meter(times: Times) -> budget.Meter:
    """A meter on them."""
    return budget.Meter(elapsed_s=lambda: times.elapsed_s, wall_s=lambda: times.wall_s)


def headers(left: int, *, reset: int = 1_000_060, limit: int = 200) -> dict[str, str]:
    """Return what the broker says."""
    return {"x-ratelimit-limit": str(limit), "x-ratelimit-remaining": str(left), "x-ratelimit-reset": str(reset)}


def ask(meter: budget.Meter, left: int, **of: int) -> None:
    """Send a request and hear its answer."""
    meter.leaves()
    meter.answered(headers(left, **of))


def test_nothing_is_known_before_the_broker_said_it(meter: budget.Meter) -> None:
    """A broker without these headers has no budget that we know of."""
    meter.leaves()
    meter.answered({"content-type": "application/json"})
    assert meter.read() is None


@pytest.mark.parametrize("left, may", [(51, True), (50, False), (0, False)])
def test_a_quarter_is_never_lent_to_orders(meter: budget.Meter, left: int, may: bool) -> None:
    """Fifty of two hundred."""
    ask(meter, left)
    found = meter.read()
    assert found == port.Budget(200, left, 50)
    assert found.lets_order is may


def test_the_reserve_is_rounded_up(meter: budget.Meter) -> None:
    """At least a quarter."""
    ask(meter, 9, limit=10)
    assert meter.read() == port.Budget(10, 9, 3)


def test_what_is_in_flight_counts_as_made(meter: budget.Meter) -> None:
    """Whether the broker counted it before it said what is left, nobody knows."""
    ask(meter, 52)
    meter.leaves()
    meter.leaves()
    found = meter.read()
    assert found is not None
    assert (found.remaining, found.lets_order) == (50, False)
    meter.stayed()
    meter.lost()
    found = meter.read()
    assert found is not None
    assert found.remaining == 51


def test_a_window_that_is_over_is_full_again(meter: budget.Meter, times: Times) -> None:
    """By our own elapsed time, counted from the broker's end."""
    ask(meter, 0)
    times.pass_s(59.9)
    assert meter.read() == port.Budget(200, 0, 50)
    times.pass_s(0.1)
    assert meter.read() == port.Budget(200, 200, 50)


def test_an_answer_of_the_window_before_says_nothing(meter: budget.Meter) -> None:
    """It was overtaken."""
    ask(meter, 190, reset=1_000_120)
    ask(meter, 1, reset=1_000_060)
    assert meter.read() == port.Budget(200, 190, 50)


def test_a_wrong_clock_does_not_stop_orders_for_ever(times: Times) -> None:
    """Ours says that the window ends in a year: two minutes at most."""
    meter = budget.Meter(elapsed_s=lambda: times.elapsed_s, wall_s=lambda: 0.0)
    ask(meter, 0)
    times.pass_s(120)
    assert meter.read() == port.Budget(200, 200, 50)


@given(order=st.permutations(list(range(12))), lost=st.sets(st.integers(0, 11)))
def test_whatever_overtakes_what_no_more_is_left_than_the_broker_has(order: list[int], lost: set[int]) -> None:
    """Requests are counted by the broker in one order and answered in another; some answers never come."""
    meter = budget.Meter(elapsed_s=lambda: 0.0, wall_s=lambda: 1_000_000.0)
    ask(meter, 100)
    for _ in range(12):
        meter.leaves()
    for place, at in enumerate(order):
        if at in lost:
            meter.lost()
        else:
            meter.answered(headers(100 - (at + 1)))
        found = meter.read()
        assert found is not None
        assert found.remaining <= 100 - (max(order[: place + 1]) + 1 if not lost else 0)
    if not lost:
        found = meter.read()
        assert found is not None
        assert found.remaining == 88
