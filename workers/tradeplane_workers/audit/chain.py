"""The chain: entries in which each hash covers the entry before it.

An entry's bytes are its fields as netstrings (``<bytes>:<text>,``), so that no two different entries have the same.
"""

import hashlib
from collections.abc import Iterable, Iterator
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


def walked(entries: Iterable[Entry], heads: Iterable[Head] = ()) -> Iterator[Entry]:
    """Yield entries while they are whole and in their place, from number 1; raises Broken at the first that is not.

    Each head must be one of the chain's, and none may be behind its end.
    """
    wanted: dict[int, list[Head]] = {}
    for head in heads:
        wanted.setdefault(head.number, []).append(head)
    number, previous = 0, GENESIS
    for entry in entries:
        _follows(entry, number, previous)
        for head in wanted.pop(entry.number, ()):
            if head.hash != entry.hash:
                raise Broken(entry.number, f"has the hash {entry.hash}, had {head.hash} by {head.source}")
        number, previous = entry.number, entry.hash
        yield entry
    if wanted:
        last = max(wanted)
        raise Broken(number + 1, f"is missing: the chain went on to entry {last} by {wanted[last][0].source}")


def _follows(entry: Entry, number: int, previous: str) -> None:
    if entry.number > number + 1:
        raise Broken(number + 1, f"is missing: entry {entry.number} comes after {number}")
    if entry.number <= number:
        raise Broken(entry.number, f"is out of place: it comes after {number}")
    if entry.previous != previous:
        raise Broken(entry.number, "does not follow the entry before it: one of the two was replaced")
    if entry.hash != digest(entry):
        raise Broken(entry.number, "was changed: its hash is not that of its content")
