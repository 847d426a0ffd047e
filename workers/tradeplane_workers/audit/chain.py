"""The chain: entries in which each hash covers the entry before it.

An entry's bytes are its fields as netstrings (``<bytes>:<text>,``), so that no two different entries have the same.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

FORMAT = "tradeplane-audit-1"
GENESIS = "0" * 64
"""The hash that the first entry follows."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of the ledger.

    number : from 1, without gaps
    recorded : the database's clock, RFC 3339 in UTC with microseconds
    writer : the database role that was logged in
    kind : what it is of, such as ``intent`` or ``fill``
    action : ``insert``, ``update``, ``delete``, ``import`` (was there before the trail) or ``record`` (has no row)
    subject : which one, such as a client order id
    body : the row afterwards (of a deleted one, before) as JSON text
    previous, hash : sha256 in hex of the entry before and of this one
    """

    number: int
    recorded: str
    writer: str
    kind: str
    action: str
    subject: str
    body: str
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a ledger's chain at some time; ``source`` says where it was kept."""

    ledger: str
    number: int
    hash: str
    source: str = ""


class Broken(Exception):  # noqa: N818 - named for what happened
    """The chain is broken at ``number``; the message says how."""

    def __init__(self, number: int, how: str) -> None:
        super().__init__(f"entry {number}: {how}")
        self.number = number
        self.how = how


def encoded(entry: Entry) -> bytes:
    """Return the bytes that the entry's hash covers: everything but itself."""
    fields = (
        FORMAT,
        str(entry.number),
        entry.recorded,
        entry.writer,
        entry.kind,
        entry.action,
        entry.subject,
        entry.body,
        entry.previous,
    )
    return b"".join(b"%d:%b," % (len(field), field) for field in (each.encode() for each in fields))


def digest(entry: Entry) -> str:
    """Return the hash that an entry must have."""
    return hashlib.sha256(encoded(entry)).hexdigest()


def instant(at: datetime) -> str:
    """Return ``Entry.recorded`` of an aware instant."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Walk:
    """A walk along a chain from its first entry; raises Broken where an entry is not whole or not in its place.

    Parameters
    ----------
    heads : each must be one of the chain's, and none may be behind its end
    """

    def __init__(self, heads: Iterable[Head] = ()) -> None:
        self.number = 0
        self.hash = GENESIS
        self.agreed = 0
        """How many heads were found in the chain."""
        self._heads: dict[int, list[Head]] = {}
        for head in heads:
            self._heads.setdefault(head.number, []).append(head)

    def take(self, entry: Entry) -> None:
        """Go on to the next entry."""
        if entry.number > self.number + 1:
            raise Broken(self.number + 1, f"is missing: entry {entry.number} comes after {self.number}")
        if entry.number <= self.number:
            raise Broken(entry.number, f"is out of place: it comes after {self.number}")
        if entry.previous != self.hash:
            raise Broken(entry.number, "does not follow the entry before it: one of the two was replaced")
        if entry.hash != digest(entry):
            raise Broken(entry.number, "was changed: its hash is not that of its content")
        for head in self._heads.pop(entry.number, ()):
            if head.hash != entry.hash:
                raise Broken(
                    entry.number, f"was replaced: its hash is {entry.hash}, it was {head.hash} by {head.source}"
                )
            self.agreed += 1
        self.number, self.hash = entry.number, entry.hash

    def end(self) -> None:
        """Say that there is no further entry."""
        if self._heads:
            last = max(self._heads)
            source = self._heads[last][0].source
            raise Broken(self.number + 1, f"is missing: the trail went on to entry {last} by {source}")
