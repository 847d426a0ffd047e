"""The broker's request budget, by its own headers: a quarter is kept for cancels and look-ups, never lent to orders.

Alpaca counts requests in windows and says in each answer how many a window has, how many are left and when it ends.
Until the first answer nothing is known, and nothing is held back.
"""

import time
from collections.abc import Callable, Mapping

from tradeplane_workers.brokers import port

_LIMIT, _REMAINING, _RESET = "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"
_LONGEST_S = 120.0  # a window that seems to last longer is a wrong clock, ours or theirs


class Meter:
    """Counts what leaves and reads what comes back.

    Parameters
    ----------
    elapsed_s : a clock that nobody sets
    wall_s : UNIX time, which the broker's headers use
    """

    def __init__(
        self, *, elapsed_s: Callable[[], float] = time.monotonic, wall_s: Callable[[], float] = time.time
    ) -> None:
        self._elapsed_s = elapsed_s
        self._wall_s = wall_s
        self._limit = 0
        self._left = 0
        self._reset = 0  # the window's name: its end as the broker says it
        self._ends_s = 0.0
        self._in_flight = 0

    def read(self) -> port.Budget | None:
        """Return what is left at this instant; requests without an answer count as made. None while unknown."""
        if not self._limit:
            return None
        left = self._limit if self._elapsed_s() >= self._ends_s else self._left
        return port.Budget(self._limit, max(left - self._in_flight, 0), -(-self._limit // 4))

    def leaves(self) -> None:
        """Count a request that is about to leave."""
        self._in_flight += 1

    def stayed(self) -> None:
        """Take back a request of which no byte left."""
        self._in_flight -= 1

    def lost(self) -> None:
        """Count a request that left and was not answered."""
        self._in_flight -= 1
        self._left = max(self._left - 1, 0)

    def answered(self, headers: Mapping[str, str]) -> None:
        """Read an answer's headers, whose names are in lower case."""
        self._in_flight -= 1
        try:
            limit, left, reset = (int(headers[name]) for name in (_LIMIT, _REMAINING, _RESET))
        except (KeyError, ValueError):
            return
        # Answers overtake each other: an earlier end is of a window that is over, and within a window less is later.
        if reset < self._reset:
            return
        self._left = min(self._left, left) if reset == self._reset else left
        self._limit, self._reset = limit, reset
        self._ends_s = self._elapsed_s() + min(max(reset - self._wall_s(), 0.0), _LONGEST_S)
