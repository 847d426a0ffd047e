"""Which symbol a company had when: recorded in ``names.csv`` of the dataset's folder, as ``date,old,new``.

Bars are kept under the symbol of their day. A request names a company by its symbol on one day, ``asof``, and finds
what it was called before, and after where the clock has reached that.
"""

import csv
import datetime as dt
import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tradeplane_engine import errors
from tradeplane_engine.domain import times
from tradeplane_simulator import sessions

_COLUMNS: Final = ("date", "old", "new")
_EVER: Final = (times.Nanos(0), times.Nanos(2**63 - 1))


@dataclass(frozen=True, slots=True)
class Rename:
    """From midnight of a date in New York on, ``old`` is called ``new``."""

    date: dt.date
    old: str
    new: str

    @property
    def at(self) -> times.Nanos:
        """When it takes effect."""
        return sessions.midnight(self.date)


@dataclass(frozen=True, slots=True)
class Part:
    """A company's symbol in [first, last]."""

    symbol: str
    first: times.Nanos
    last: times.Nanos


def parts(found: Sequence[Rename], symbol: str, *, asof: dt.date, clock: times.Nanos) -> tuple[Part, ...]:
    """Return the symbols of the company that had one on a date, oldest first, of the renames known by the clock."""
    known = sorted((one for one in found if one.at <= clock), key=lambda one: one.date)
    chain = [Part(symbol, *_EVER)]
    for one in reversed([one for one in known if one.date <= asof]):
        if one.new == chain[0].symbol:
            chain[:1] = [Part(one.old, _EVER[0], sessions.before(one.at)), replace(chain[0], first=one.at)]
    for one in [one for one in known if one.date > asof]:
        if one.old == chain[-1].symbol:
            chain[-1:] = [replace(chain[-1], last=sessions.before(one.at)), Part(one.new, one.at, _EVER[1])]
    return tuple(chain)


def read(file: pathlib.Path) -> tuple[Rename, ...]:
    """Read the file, or nothing where there is none; raises DataRefused naming the line."""
    if not file.exists():
        return ()
    return tuple(_rows(file))


def _rows(file: pathlib.Path) -> Iterator[Rename]:
    with file.open(encoding="utf-8", newline="") as stream:
        for number, row in enumerate(csv.reader(stream), start=1):
            if number == 1:
                if tuple(row) != _COLUMNS:
                    raise errors.DataRefused("unreadable", f"{file.name}: the first line must be {','.join(_COLUMNS)}")
                continue
            try:
                date, old, new = row
                yield Rename(dt.date.fromisoformat(date), old, new)
            except ValueError as error:
                raise errors.DataRefused("unreadable", f"{file.name}:{number}: {error}") from error
