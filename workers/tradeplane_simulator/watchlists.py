"""Watchlists: named lists of symbols of an account, in the state file."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tradeplane_engine.domain import times


@dataclass(frozen=True, slots=True)
class Watchlist:
    """One list; its symbols keep the order in which they came."""

    id: str
    account: str
    sequence: int
    name: str
    created_at: times.Nanos
    updated_at: times.Nanos
    symbols: tuple[str, ...] = ()


class Watchlists:
    """All lists of the state file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def of(self, account: str) -> list[Watchlist]:
        """Return an account's lists, oldest first."""
        rows = self._connection.execute("SELECT * FROM watchlists WHERE account = ? ORDER BY sequence", (account,))
        return [_watchlist(row) for row in rows]

    def one(self, account: str, *, list_id: str = "", name: str = "") -> Watchlist | None:
        """Find a list by its id or its name."""
        row = self._connection.execute(
            "SELECT * FROM watchlists WHERE account = ? AND (id = ? OR name = ?)", (account, list_id, name)
        ).fetchone()
        return None if row is None else _watchlist(row)

    def next(self, account: str) -> int:
        """Return the number of the next list; it grows whatever was deleted."""
        row = self._connection.execute(
            "INSERT INTO watchlist_numbers VALUES (?, 1) "
            "ON CONFLICT (account) DO UPDATE SET last = last + 1 RETURNING last",
            (account,),
        ).fetchone()
        return int(row[0])

    def keep(self, one: Watchlist) -> None:
        """Write a list, new or changed."""
        symbols = orjson.dumps(one.symbols).decode()
        self._connection.execute(
            "INSERT INTO watchlists VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
            "name = excluded.name, updated_at = excluded.updated_at, symbols = excluded.symbols",
            (one.id, one.account, one.sequence, one.name, one.created_at, one.updated_at, symbols),
        )

    def delete(self, one: Watchlist) -> None:
        """Forget a list."""
        self._connection.execute("DELETE FROM watchlists WHERE id = ?", (one.id,))


def _watchlist(row: Sequence[Any]) -> Watchlist:
    list_id, account, sequence, name, created_at, updated_at, symbols = row
    return Watchlist(list_id, account, sequence, name, created_at, updated_at, tuple(orjson.loads(symbols)))
