"""Being told to stop: every wait of the process ends at once when the signal comes."""

import random
import signal
import threading
from types import FrameType


class Stopped(Exception):  # noqa: N818 - named for what happened, not for being an error
    """The process was asked to stop; nothing further is decided."""


class Stop:
    """A request to stop that can be waited for."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._jitter = random.Random()  # noqa: S311 - spreads retries, protects nothing

    def listen(self) -> None:
        """Take SIGTERM and SIGINT as the request."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def request(self) -> None:
        """Ask to stop."""
        self._event.set()

    def check(self) -> None:
        """Raise Stopped if asked to."""
        if self._event.is_set():
            raise Stopped

    def pause(self, seconds: float) -> None:
        """Wait, or raise Stopped as soon as asked to."""
        if self._event.wait(seconds):
            raise Stopped

    def back_off(self, failures: int, *, first_s: float = 0.05, most_s: float = 1.0) -> None:
        """Wait longer after each failure in a row, with jitter; raises Stopped."""
        longest = min(first_s * 2.0 ** min(failures, 16), most_s)
        self.pause(longest * self._jitter.uniform(0.5, 1.0))

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.request()
