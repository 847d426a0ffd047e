"""What a feed tells beside trades, quotes and bars: halts, price bands, corrections, cancelled trades, revised bars.

Recorded ones are lines of ``notices.jsonl`` in the dataset's folder, in Alpaca's own fields; ``at`` is when one was
told, where that is not ``t``.
"""

import pathlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tradeplane_engine import errors
from tradeplane_engine.domain import bars, numbers, times

# By T: the channel on which it is subscribed, and the fields without which the official client drops it.
KINDS: Final = {
    "s": ("statuses", ("sc", "sm", "rc", "rm", "z")),
    "l": ("lulds", ("u", "d", "i", "z")),
    "c": ("corrections", ("x", "oi", "op", "os", "oc", "ci", "cp", "cs", "cc", "z")),
    "x": ("cancelErrors", ("i", "x", "p", "s", "a", "z")),
    "u": ("updatedBars", ("o", "h", "l", "c", "v")),
}
_PRICES: Final = ("o", "h", "l", "c")


@dataclass(frozen=True, slots=True)
class Amount:
    """A price among the fields of a notice, exact until it is written."""

    value: numbers.Price


@dataclass(frozen=True, slots=True)
class Notice:
    """One message, told at ``at``; ``fields`` are Alpaca's, without ``T``, ``S`` and ``t``, which is ``label``."""

    symbol: str
    at: times.Nanos
    kind: str
    fields: Mapping[str, Any]
    label: times.Nanos

    @property
    def channel(self) -> str:
        """Where it is subscribed."""
        return KINDS[self.kind][0]


def read(file: pathlib.Path) -> tuple[Notice, ...]:
    """Read a file of notices, or nothing where there is none; raises DataRefused naming the line."""
    if not file.exists():
        return ()
    found = [_notice(line, f"{file.name}:{number}") for number, line in enumerate(file.read_bytes().splitlines(), 1)]
    return tuple(sorted(found, key=lambda one: one.at))


def _notice(line: bytes, place: str) -> Notice:
    try:
        row = orjson.loads(line)
        kind, symbol, label = row.pop("T"), row.pop("S"), times.instant(row.pop("t"))
        at = times.instant(row.pop("at")) if "at" in row else label
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise errors.DataRefused("unreadable", f"{place}: must be an object with T, S and t: {error}") from error
    if kind not in KINDS or not isinstance(symbol, str):
        raise errors.DataRefused("unreadable", f"{place}: T must be one of {sorted(KINDS)}, got {kind!r}")
    for name in KINDS[kind][1]:
        if name not in row:
            raise errors.DataRefused("unreadable", f"{place}: {name} must be given")
    if kind == "u":
        row |= {name: Amount(numbers.price(str(row[name]), field=name)) for name in _PRICES} | {"n": None, "vw": None}
    return Notice(symbol, at, kind, row, label)


def revision(found: Notice) -> bars.Bar:
    """Return the minute that a notice of kind ``u`` puts in the place of one."""
    opened, high, low, close = (found.fields[name].value for name in _PRICES)
    return bars.Bar(
        symbol=found.symbol,
        start=found.label,
        end=times.Nanos(found.label + times.MINUTE),
        available_at=found.at,
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=int(found.fields["v"]),
    )
