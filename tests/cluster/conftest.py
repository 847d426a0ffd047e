"""What tests of gateways on a real API server share."""

import pathlib
from collections.abc import Iterator

import pytest

from support import simulator


@pytest.fixture
def venue(tmp_path: pathlib.Path) -> Iterator[simulator.Venue]:
    """A simulator of its own process, after the first session."""
    with simulator.running(tmp_path) as found:
        found.to_bars(0)
        yield found
