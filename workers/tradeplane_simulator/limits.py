"""How many requests an account may send within a window of the machine's time, not of the venue's."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests within so many seconds."""

    requests: int
    seconds: int = 60


@dataclass(frozen=True, slots=True)
class Window:
    """What is left of a window; ``reset`` is its end in UNIX seconds."""

    limit: int
    used: int
    reset: float

    @property
    def exceeded(self) -> bool:
        """Whether the request that was counted last is one too many."""
        return self.used > self.limit

    @property
    def headers(self) -> dict[str, str]:
        """Return Alpaca's headers."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(self.limit - self.used, 0)),
            "X-RateLimit-Reset": str(int(self.reset) + 1),
        }


class Limits:
    """The windows of all accounts, one for trading and one for data each.

    Parameters
    ----------
    rates : by account; one without has no limit
    """

    def __init__(self, rates: Mapping[str, Rate]) -> None:
        self._rates = dict(rates)
        self._windows: dict[tuple[str, str], Window] = {}

    def take(self, account: str, part: str, *, now: float) -> Window | None:
        """Count a request at ``now``, UNIX seconds; a window begins with its first one. None without a limit."""
        rate = self._rates.get(account)
        if rate is None:
            return None
        window = self._windows.get((account, part))
        if window is None or now >= window.reset:
            window = Window(rate.requests, 0, now + rate.seconds)
        window = dataclasses.replace(window, used=window.used + 1)
        self._windows[account, part] = window
        return window
