"""How far a long command is: one line that is written anew on a terminal, a line now and then elsewhere."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from tradeplane_engine.core import kernel

_TERMINAL_S, _LINES_S = 0.2, 5.0


class Progress:
    """Writes lines to a stream.

    Parameters
    ----------
    stream : where; on a terminal each line replaces the one before
    clock : seconds that only grow
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._terminal = stream.isatty()
        self.every_s = _TERMINAL_S if self._terminal else _LINES_S
        self.began = clock()
        self._last = self.began
        self._width = 0

    @property
    def seconds(self) -> float:
        """Time since the beginning, never 0."""
        return max(self._clock() - self.began, 1e-9)

    def show(self, line: str) -> None:
        """Show a line, unless the one before is too young."""
        now = self._clock()
        if now - self._last >= self.every_s:
            self._last = now
            self._write(line, "" if self._terminal else "\n")

    def end(self, line: str) -> None:
        """Show the last line."""
        self._write(line, "\n")

    def _write(self, line: str, after: str) -> None:
        before = "\r" if self._terminal else ""
        self._stream.write(f"{before}{line.ljust(self._width) if self._terminal else line}{after}")
        self._stream.flush()
        self._width = 0 if after else len(line)


@contextlib.contextmanager
def of_run(progress: Progress, run: kernel.Kernel) -> Iterator[None]:
    """Show a run's progress while it goes: a thread looks, the loop itself does nothing for it."""
    rows, instants = run.table.rows, max(len(run.equity_at), 1)
    over = threading.Event()

    def look() -> None:
        while not over.wait(progress.every_s):
            share = run.instants / instants
            progress.show(f"{share:6.1%} of {rows:,} bars, {share * rows / progress.seconds:,.0f} bars/s")

    watching = threading.Thread(target=look, name="progress", daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
    progress.end(f"{rows:,} bars in {progress.seconds:.2f} s, {rows / progress.seconds:,.0f} bars/s")
