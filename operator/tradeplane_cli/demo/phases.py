"""Progress that is visible at every moment: which phase, how far, how long; also where no terminal is."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import rich.console
import rich.progress

_LINE_EVERY_S = 5.0
_NOTE_LENGTH = 100


@dataclass(slots=True)
class Phase:
    """The running phase; ``advance`` moves it, ``note`` says what it waits for."""

    name: str
    total: int | None
    _bar: rich.progress.Progress | None
    _task: rich.progress.TaskID | None
    _started: float = field(default_factory=time.monotonic)
    _printed: float = field(default_factory=time.monotonic)
    _done: int = 0

    def advance(self, count: int = 1, note: str = "") -> None:
        """Say that ``count`` more steps are done."""
        self._done += count
        self._show(note)

    def note(self, text: str) -> None:
        """Say what the phase is waiting for."""
        self._show(text)

    def _show(self, text: str) -> None:
        # A condition's message may quote the end of a log; the first line says enough while it may still change.
        note = text.partition("\n")[0][:_NOTE_LENGTH]
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done, note=note)
            return
        now = time.monotonic()
        if now - self._printed >= _LINE_EVERY_S:
            self._printed = now
            share = f" {self._done}/{self.total}" if self.total else ""
            sys.stdout.write(f"    {self.name}{share} {now - self._started:.0f} s {note}\n")
            sys.stdout.flush()


class Phases:
    """Runs phases one after the other and keeps their times."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.console = rich.console.Console(highlight=False)

    def say(self, text: str) -> None:
        """Print one line between phases."""
        self.console.print(text, markup=False)

    @contextmanager
    def phase(self, name: str, total: int | None = None) -> Iterator[Phase]:
        """Show ``name`` while the block runs; its time counts even when it fails."""
        started = time.monotonic()
        try:
            if self.console.is_terminal:
                with rich.progress.Progress(
                    rich.progress.SpinnerColumn(),
                    rich.progress.TextColumn("{task.description:<28}"),
                    rich.progress.BarColumn(bar_width=30),
                    rich.progress.MofNCompleteColumn(),
                    rich.progress.TimeElapsedColumn(),
                    rich.progress.TextColumn("{task.fields[note]}"),
                    console=self.console,
                    transient=True,
                ) as bar:
                    yield Phase(name, total, bar, bar.add_task(name, total=total, note=""))
            else:
                yield Phase(name, total, None, None)
        except BaseException:
            self._finish(name, started, "failed")
            raise
        self._finish(name, started, "done")

    def _finish(self, name: str, started: float, how: str) -> None:
        self.seconds[name] = round(time.monotonic() - started, 2)
        self.say(f"  {name:<28} {how:<7} {self.seconds[name]:7.1f} s")
