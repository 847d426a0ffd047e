"""Trade updates as they were told, in the state file: what a client that was away can read again."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from tradeplane_engine.domain import times
from tradeplane_simulator import book, render

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Event:
    """One update; ``text`` is its JSON."""

    sequence: int
    id: str
    at: times.Nanos
    text: str


class Events:
    """All updates of all accounts."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def keep(self, account: str, updates: Iterable[book.Update]) -> None:
        """Write down what is told."""
        self._connection.executemany(
            "INSERT INTO events (account, id, at, text) VALUES (?, ?, ?, ?)",
            [
                (account, update.event_id, update.at, orjson.dumps(render.update(update)["data"]).decode())
                for update in updates
                if update.event
            ],
        )

    def newest(self, account: str) -> int:
        """Return the sequence of the newest one, 0 for none."""
        row = self._connection.execute("SELECT max(sequence) FROM events WHERE account = ?", (account,)).fetchone()
        return int(row[0] or 0)

    def before(self, account: str, *, at: times.Nanos | None = None, event_id: str = "") -> int:
        """Return the sequence of the last one before an instant, or up to an id; 0 for none."""
        condition, value = ("at < ?", at) if at is not None else ("id <= ?", event_id)
        row = self._connection.execute(
            f"SELECT max(sequence) FROM events WHERE account = ? AND {condition}",  # noqa: S608 - constants
            (account, value),
        ).fetchone()
        return int(row[0] or 0)

    def after(self, account: str, sequence: int) -> list[Event]:
        """Return those that come after one, oldest first; at most a page."""
        rows = self._connection.execute(
            "SELECT sequence, id, at, text FROM events WHERE account = ? AND sequence > ? ORDER BY sequence LIMIT ?",
            (account, sequence, _PAGE),
        )
        return [Event(row[0], row[1], times.Nanos(row[2]), row[3]) for row in rows]
