"""Progress of starting and ending processes, in a terminal and in a log."""

import time
from types import TracebackType
from typing import Final, Self

import rich.console
import rich.markup
import rich.status

LINE_EVERY_S: Final = 5.0


class Lines:
    """Shows what is awaited right now, and one line per process that became ready.

    In a terminal the awaited one is a line that changes; elsewhere it is repeated every few seconds.
    """

    def __init__(self, console: rich.console.Console | None = None) -> None:
        self.console = console or rich.console.Console(highlight=False)
        self._status: rich.status.Status | None = None
        self._since: dict[str, float] = {}
        self._printed = time.monotonic()

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._status = self.console.status("starting")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def waiting(self, name: str, missing: str) -> None:
        """Show what a process still lacks."""
        now = time.monotonic()
        since = now - self._since.setdefault(name, now)
        text = f"{name} {since:.0f} s: {missing.splitlines()[0] if missing else '…'}"
        if self._status is not None:
            self._status.update(rich.markup.escape(text))
        elif now - self._printed >= LINE_EVERY_S:
            self._printed = now
            self.say(f"    {text}")

    def ready(self, name: str, seconds: float) -> None:
        """Print that a process is ready."""
        self._since.pop(name, None)
        self.say(f"  {name:<26} ready {seconds:7.1f} s")

    def ending(self, name: str) -> None:
        """Show that a process is being ended."""
        if self._status is not None:
            self._status.update(f"ending {name}")

    def say(self, text: str) -> None:
        """Print one line."""
        self.console.print(text, markup=False, soft_wrap=True)
