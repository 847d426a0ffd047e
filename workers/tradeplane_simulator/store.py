"""The state file: SQLite in WAL mode, one transaction per event, so that a SIGKILL loses nothing that was answered.

``synchronous=NORMAL`` is enough for that: what is committed is in the operating system's hands, and only a power
failure could take it. One thread uses the connection.
"""

import importlib.resources
import pathlib
import sqlite3
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from typing import Any

import orjson

from tradeplane_engine.domain import numbers, orders, times
from tradeplane_simulator import account as accounts
from tradeplane_simulator import book, desk, equity, errors, events, watchlists

_VERSION = 3
_ORDER_COLUMNS = ", ".join(field.name for field in fields(book.Order))
_ORDER_CHANGES = ", ".join(f"{field.name} = excluded.{field.name}" for field in fields(book.Order))
_EXECUTION_COLUMNS = ", ".join(field.name for field in fields(book.Execution))


@dataclass(frozen=True, slots=True)
class Venue:
    """What the state file belongs to, its clock, and the time of the last command."""

    dataset: str
    profile: str
    clock: times.Nanos
    command: times.Nanos


@dataclass(frozen=True, slots=True)
class OrderQuery:
    """Filters of an order listing; empty means any. ``after`` and ``until`` are exclusive.

    legs : whether those of other orders are in it too
    """

    account: str
    status: str = "open"
    limit: int = 50
    after: times.Nanos | None = None
    until: times.Nanos | None = None
    ascending: bool = False
    side: str = ""
    symbols: Sequence[str] = ()
    legs: bool = True


@dataclass(frozen=True, slots=True)
class ActivityQuery:
    """Filters of a listing of activities; ``after`` and ``until`` are exclusive, ``page_token`` an id."""

    account: str
    types: Sequence[str] = ()
    limit: int = 100
    after: times.Nanos | None = None
    until: times.Nanos | None = None
    ascending: bool = False
    page_token: str = ""


class Store:
    """The only reader and writer of the state file.

    Parameters
    ----------
    path : the SQLite file; created when absent, refused (StateRefused) when it is of another version
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        # A reader from outside (a person with sqlite3) must not make a request fail.
        self._connection.execute("PRAGMA busy_timeout=5000")
        self._refuse_another_version()
        schema = importlib.resources.files("tradeplane_simulator").joinpath("schema.sql").read_text(encoding="utf-8")
        self._connection.executescript(schema)
        self.events = events.Events(self._connection)
        self.equity = equity.Equity(self._connection)
        self.watchlists = watchlists.Watchlists(self._connection)

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def _refuse_another_version(self) -> None:
        if not self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'venue'").fetchone():
            return
        row = self._connection.execute("SELECT version FROM venue").fetchone()
        if row is not None and row[0] != _VERSION:
            self.close()
            raise errors.StateRefused(f"state file: version must be {_VERSION}, got {row[0]}")

    def venue(self) -> Venue | None:
        """Return what the file belongs to, or None for a new one."""
        row = self._connection.execute("SELECT dataset, profile, clock, command FROM venue").fetchone()
        return None if row is None else Venue(row[0], row[1], times.Nanos(row[2]), times.Nanos(row[3]))

    def create(self, venue: Venue) -> None:
        """Write the first row of a new file."""
        self._connection.execute(
            "INSERT INTO venue VALUES (1, ?, ?, ?, ?, ?)",
            (_VERSION, venue.dataset, venue.profile, venue.clock, venue.command),
        )

    def desks(self) -> dict[str, desk.Desk]:
        """Read every account with its positions, open orders and executions that are not settled."""
        return {row[0]: self._desk(row) for row in self._connection.execute("SELECT * FROM accounts ORDER BY name")}

    def commit(
        self,
        steps: Iterable[desk.Step],
        *,
        clock: times.Nanos,
        command: times.Nanos,
        worth: Mapping[str, int] = types.MappingProxyType({}),
    ) -> None:
        """Write everything that one event changed, the clock, and what accounts are worth by then; or nothing."""
        with self._transaction() as connection:
            connection.execute("UPDATE venue SET clock = ?, command = ?", (clock, command))
            for step in steps:
                _write(connection, step)
                self.events.keep(step.desk.account.name, step.updates)
            self.equity.keep(worth, at=clock)

    def orders(self, query: OrderQuery) -> list[book.Order]:
        """List orders by submission."""
        where, values = ["account = ?"], [query.account]
        marks = ", ".join("?" for _ in book.OPEN)
        if query.status != "all":
            where.append(f"status {'' if query.status == 'open' else 'NOT '}IN ({marks})")
            values += [status.value for status in sorted(book.OPEN)]
        _between(where, values, column="submitted_at", after=query.after, until=query.until)
        if query.side:
            where.append("side = ?")
            values.append(query.side)
        if query.symbols:
            where.append(f"symbol IN ({', '.join('?' for _ in query.symbols)})")
            values += query.symbols
        if not query.legs:
            where.append("parent = ''")
        direction = "ASC" if query.ascending else "DESC"
        rows = self._connection.execute(
            f"SELECT {_ORDER_COLUMNS} FROM orders WHERE {' AND '.join(where)} "  # noqa: S608 - only marks and constants
            f"ORDER BY sequence {direction} LIMIT ?",
            [*values, query.limit],
        )
        return [_order(row) for row in rows]

    def order(self, account: str, *, order_id: str = "", client_order_id: str = "") -> book.Order | None:
        """Find one order by either id."""
        column, value = ("id", order_id) if order_id else ("client_order_id", client_order_id)
        row = self._connection.execute(
            f"SELECT {_ORDER_COLUMNS} FROM orders WHERE account = ? AND {column} = ?",  # noqa: S608 - constants
            (account, value),
        ).fetchone()
        return None if row is None else _order(row)

    def group(self, account: str, root: str) -> list[book.Order]:
        """Return every order that ever belonged to a group, in the sequence of their acceptance."""
        return self._orders_where("account = ? AND root = ? ORDER BY sequence", account, root)

    def legs(self, account: str, parent: str) -> list[book.Order]:
        """Return an order's legs; of one that was replaced the newest."""
        replaced = book.Status.REPLACED.value
        return self._orders_where(
            "account = ? AND parent = ? AND status <> ? ORDER BY sequence", account, parent, replaced
        )

    def _orders_where(self, condition: str, *values: str) -> list[book.Order]:
        rows = self._connection.execute(
            f"SELECT {_ORDER_COLUMNS} FROM orders WHERE {condition}",  # noqa: S608 - constants
            values,
        )
        return [_order(row) for row in rows]

    def activities(self, query: ActivityQuery) -> list[book.Activity]:
        """List activities as they were booked; an unknown page token gives nothing."""
        where, values = ["account = ?"], [query.account]
        if query.types:
            where.append(f"type IN ({', '.join('?' for _ in query.types)})")
            values += query.types
        _between(where, values, column="at", after=query.after, until=query.until)
        if query.page_token:
            place = "(SELECT sequence FROM activities WHERE account = ? AND id = ?)"
            where.append(f"sequence > {place}" if query.ascending else f"sequence < {place}")
            values += [query.account, query.page_token]
        direction = "ASC" if query.ascending else "DESC"
        rows = self._connection.execute(
            "SELECT id, account, sequence, type, at, fields FROM activities "  # noqa: S608 - only marks and constants
            f"WHERE {' AND '.join(where)} ORDER BY sequence {direction} LIMIT ?",
            [*values, query.limit],
        )
        return [
            book.Activity(row[0], row[1], row[2], row[3], times.Nanos(row[4]), tuple(orjson.loads(row[5]).items()))
            for row in rows
        ]

    def journal_received(self, *, method: str, path: str, venue_time: str, received_ns: int) -> int:
        """Write down a request before it acts; returns its number."""
        cursor = self._connection.execute(
            "INSERT INTO journal (method, path, venue_time, received_monotonic_ns) VALUES (?, ?, ?, ?)",
            (method, path, venue_time, received_ns),
        )
        return int(cursor.lastrowid or 0)

    def journal_answered(self, number: int, values: Mapping[str, str | int | None]) -> None:
        """Complete a request's row."""
        self._connection.execute(
            "UPDATE journal SET status = :status, account = :account, key_id = :key_id, "
            "client_order_id = :client_order_id, answered_monotonic_ns = :answered WHERE n = :n",
            {**values, "n": number},
        )

    def journal(self, *, after: int, limit: int) -> list[dict[str, Any]]:
        """Return requests with a number above ``after``, oldest first; an unanswered one has no status."""
        cursor = self._connection.execute("SELECT * FROM journal WHERE n > ? ORDER BY n LIMIT ?", (after, limit))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def _desk(self, row: Sequence[Any]) -> desk.Desk:
        name, account_id, created_at, cash, last_equity, settled_at, configuration, *counts = row
        positions = self._connection.execute(
            "SELECT symbol, quantity, cost FROM positions WHERE account = ? ORDER BY symbol", (name,)
        )
        executions = self._connection.execute(
            f"SELECT {_EXECUTION_COLUMNS} FROM executions WHERE account = ? AND at > ? "  # noqa: S608 - constants
            "ORDER BY rowid",
            (name, settled_at),
        )
        working = self.orders(OrderQuery(account=name, limit=-1, ascending=True))
        return desk.Desk(
            account=accounts.Account(
                name=name,
                id=account_id,
                created_at=times.Nanos(created_at),
                cash=numbers.Money(cash),
                last_equity=numbers.Money(last_equity),
                settled_at=times.Nanos(settled_at),
                positions={
                    symbol: accounts.Position(symbol, numbers.Quantity(quantity), numbers.Money(cost))
                    for symbol, quantity, cost in positions
                },
                unsettled=tuple(_execution(found) for found in executions),
                configuration=accounts.Configuration(**orjson.loads(configuration)),
            ),
            open_orders={order.id: order for order in working},
            counts=desk.Counts(*counts),
        )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self.equity.forget()
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _write(connection: sqlite3.Connection, step: desk.Step) -> None:
    account, counts = step.desk.account, step.desk.counts
    connection.execute(
        "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            account.name,
            account.id,
            account.created_at,
            account.cash,
            account.last_equity,
            account.settled_at,
            orjson.dumps(account.configuration).decode(),
            *astuple(counts),
        ),
    )
    connection.execute("DELETE FROM positions WHERE account = ?", (account.name,))
    connection.executemany(
        "INSERT INTO positions VALUES (?, ?, ?, ?)",
        [(account.name, held.symbol, held.quantity, held.cost) for held in account.positions.values()],
    )
    latest = {update.order.id: update.order for update in step.updates}
    connection.executemany(
        # Never OR REPLACE: a client order id that is taken must fail here, not push the first order out.
        f"INSERT INTO orders ({_ORDER_COLUMNS}) "  # noqa: S608 - column names of our own class
        f"VALUES ({', '.join('?' for _ in fields(book.Order))}) "
        f"ON CONFLICT (id) DO UPDATE SET {_ORDER_CHANGES}",
        [_row(order) for order in latest.values()],
    )
    connection.executemany(
        f"INSERT INTO executions ({_EXECUTION_COLUMNS}) "  # noqa: S608 - as above
        f"VALUES ({', '.join('?' for _ in fields(book.Execution))})",
        [_row(update.execution) for update in step.updates if update.execution is not None],
    )
    connection.executemany(
        "INSERT INTO activities (account, sequence, id, type, at, fields) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (row.account, row.sequence, row.id, row.type, row.at, orjson.dumps(dict(row.fields)).decode())
            for row in step.activities
        ],
    )


def _row(value: book.Order | book.Execution) -> list[Any]:
    # The sum of price x quantity leaves 64 bits.
    return [
        str(getattr(value, field.name)) if field.name == "filled_value" else getattr(value, field.name)
        for field in fields(value)
    ]


def _order(row: Sequence[Any]) -> book.Order:
    values = dict(zip((field.name for field in fields(book.Order)), row, strict=True))
    words = {"side": orders.Side(values["side"]), "status": book.Status(values["status"])}
    flags = {name: bool(values[name]) for name in ("extended_hours", "waits")}
    return book.Order(**{**values, **words, **flags, "filled_value": int(values["filled_value"])})


def _execution(row: Sequence[Any]) -> book.Execution:
    values = dict(zip((field.name for field in fields(book.Execution)), row, strict=True))
    return book.Execution(**{**values, "side": orders.Side(values["side"])})


def _between(
    where: list[str], values: list[Any], *, column: str, after: times.Nanos | None, until: times.Nanos | None
) -> None:
    if after is not None:
        where.append(f"{column} > ?")
        values.append(after)
    if until is not None:
        where.append(f"{column} < ?")
        values.append(until)
