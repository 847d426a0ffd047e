"""How a check gets its venue."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from alpaca.trading.client import TradingClient

from support import conformance, simulator
from tradeplane_engine.domain import bars

Start = Callable[..., tuple[simulator.Venue, TradingClient]]


@pytest.fixture
def start(tmp_path: pathlib.Path) -> Iterator[Start]:
    """Start a venue on the minutes that a check gives it, move it to an instant, and return it with a client."""
    with contextlib.ExitStack() as stack:

        def started(minutes: list[bars.Bar], at: str, **settings: Any) -> tuple[simulator.Venue, TradingClient]:
            found = sorted(minutes, key=lambda one: one.start)
            venue = stack.enter_context(simulator.threaded(tmp_path, minutes=found, **settings))
            venue.move(at)
            return venue, conformance.client_of(venue)

        yield started
