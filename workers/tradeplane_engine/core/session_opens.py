"""When a session opens: the instant from which the losses of a day are measured.

With sessions it is each session's open. Without them the market never closes, and it is the first instant of each UTC
day. The equity is that at the marks of all bars that were known then, before the opens of that instant fill.

The decisions of that instant come before it: they are taken on bars of the session before, and a day of one bar that
ends when the next begins would otherwise never have lost anything. Until the first open it is the starting equity.
"""

from dataclasses import dataclass
from typing import Any

from tradeplane_engine.core import agenda
from tradeplane_engine.core.sessions import Sessions
from tradeplane_engine.domain import times


@dataclass(frozen=True, slots=True)
class Opening:
    """The next open of a session; None for a market that never closes."""

    sessions: Sessions | None

    def act(self, kernel: Any) -> None:
        """Take the equity of every scope, and wait for the next open."""
        kernel.account.book.open_session()
        for slot in kernel.slots:
            slot.scope.book.open_session()
        self.wait(kernel, kernel.now + 1)

    def wait(self, kernel: Any, instant: int) -> None:
        """Wait for the first open at or after an instant."""
        at = next_open(self.sessions, instant)
        if at < agenda.NEVER:
            kernel.agenda.add(at, agenda.SESSION, self)


def next_open(sessions: Sessions | None, instant: int) -> int:
    """Return the first open of a session at or after an instant, ns; :data:`agenda.NEVER` beyond the last."""
    if sessions is None:
        return -(-instant // times.DAY) * times.DAY
    number = sessions.opening(instant)
    return int(sessions.opens[number]) if number < len(sessions) else agenda.NEVER
