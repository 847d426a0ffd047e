"""Where two saved runs part: settings first, then bars, then the first event that differs.

Symbols, strategies and words are compared by name, so that their numbers in the two logs do not matter.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from tradeplane_engine.core import log, order, risk
from tradeplane_engine.data import series
from tradeplane_engine.domain import times
from tradeplane_engine.results import frames, saved

_STRATEGY, _SYMBOL, _ORDER, _A = 2, 3, 4, 5
# What a, b and c of a row are, and how they are written.
_FIELDS: Mapping[int, Sequence[tuple[str, str]]] = {
    log.ORDER: (("quantity", "nano"), ("limit or stop", "price"), ("type", "type")),
    log.REFUSED: (("quantity", "nano"), ("reason", "word"), ("scope", "word")),
    log.FILL: (("quantity", "nano"), ("price", "price"), ("fee", "nano")),
    log.STATUS: (("status", "status"), ("reason", "word"), ("other", "number")),
    log.ENTRY: (("amount", "nano"), ("reason", "word"), ("price", "price")),
    log.SPLIT: (("new shares", "number"), ("old shares", "number"), ("", "number")),
    log.STATE: (("state", "state"), ("reason", "word"), ("", "number")),
    log.FLAG: (("", "number"), ("reason", "word"), ("", "number")),
    log.LATE: (("bar's end", "number"), ("timeframe", "number"), ("late by", "number")),
    log.END: (("cash", "nano"), ("equity", "nano"), ("fills", "number")),
}
_UNKNOWN = (("a", "number"), ("b", "number"), ("c", "number"))
_NAMES = ("kind", "time", "strategy", "symbol", "order")


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference.

    Parameters
    ----------
    subject : ``settings``, ``bars`` or ``event``
    sentence : what differs and both values, for people
    events : both events in words, where the subject is one; empty where a run has no such event
    """

    subject: str
    sentence: str
    events: tuple[str, ...] = ()


def between(one: saved.Saved, other: saved.Saved) -> list[Difference]:
    """Return every setting and every symbol's bars that differ, and the first event that does."""
    found = [
        Difference("settings", f"{name} is {first} in {one.label} and {second} in {other.label}")
        for name, first, second in _settings(one.document["settings"], other.document["settings"])
    ]
    found += _bars(one, other)
    event = _event(one, other)
    return found if event is None else [*found, event]


def _settings(one: Any, other: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            inner = f"{name}.{key}" if name else key
            yield from _settings(one.get(key, _ABSENT), other.get(key, _ABSENT), inner)
    elif one != other:
        yield name, _shown(one), _shown(other)


def _bars(one: saved.Saved, other: saved.Saved) -> list[Difference]:
    found = []
    first, second = one.document["bars"], other.document["bars"]
    for symbol in sorted(first.keys() & second.keys()):
        if first[symbol]["digest"] != second[symbol]["digest"]:
            texts = [f"{each[symbol]['rows']} rows, {each[symbol]['digest'][:19]}" for each in (first, second)]
            sentence = f"those of {symbol} are {texts[0]} in {one.label} and {texts[1]} in {other.label}"
            found.append(Difference("bars", sentence))
    return found


def _event(one: saved.Saved, other: saved.Saved) -> Difference | None:
    names = [sorted({*one.document[key], *other.document[key]}) for key in ("strategies", "symbols", "words")]
    columns = [_renumbered(each, *names) for each in (one, other)]
    both = min(map(len, columns))
    parted = (columns[0][:both] != columns[1][:both]).any(axis=1)
    if not parted.any() and len(columns[0]) == len(columns[1]):
        return None
    row = int(np.argmax(parted)) if parted.any() else both
    words = [_Words(each) for each in (one, other)]
    texts = tuple(
        f"{each.label}: {word.event(each.rows[row].tolist())}" if row < len(each.rows) else ""
        for each, word in zip((one, other), words, strict=True)
    )
    if not all(texts):
        longer, shorter = (one, other) if texts[0] else (other, one)
        return Difference("event", f"{row + 1} is in {longer.label} only: {shorter.label} has {row}", texts)
    first, second = (word.fields(each.rows[row].tolist()) for each, word in zip((one, other), words, strict=True))
    kind, at, by, symbol = (first[name] for name in _NAMES[:4])
    what = " ".join((kind, *([f"of {symbol}"] if symbol else []), *([f"by {by}"] if by else [])))
    shared = [name for name in first if name in second and first[name] != second[name]]
    values = "; ".join(f"{name} is {first[name]} in {one.label} and {second[name]} in {other.label}" for name in shared)
    return Difference("event", f"{row + 1}, {at}, {what}: {values}", texts)


def _renumbered(run: saved.Saved, strategies: list[str], symbols: list[str], words: list[str]) -> series.IntArray:
    """Return the events with the numbers of names and words that both runs share."""
    rows = run.rows.copy()
    for column, own, shared in (
        (_STRATEGY, run.document["strategies"], strategies),
        (_SYMBOL, run.document["symbols"], symbols),
    ):
        rows[:, column] = _numbers(own, shared)[rows[:, column]]
    numbers = _numbers(run.document["words"], words)
    for kind, fields in _FIELDS.items():
        chosen = np.flatnonzero(rows[:, 0] == kind)
        for at, (_, form) in enumerate(fields, start=_A):
            if form == "word":
                rows[chosen, at] = numbers[rows[chosen, at]]
    return rows


def _numbers(own: Sequence[str], shared: Sequence[str]) -> series.IntArray:
    """Return the shared number of each of a run's own, and -1 for the last, which absent ones (-1) point to."""
    return np.array([*map(shared.index, own), -1], dtype=np.int64)


class _Words:
    """Writes the events of one run."""

    def __init__(self, run: saved.Saved) -> None:
        self._strategies = run.document["strategies"]
        self._symbols = run.document["symbols"]
        self._digits = [run.document["bars"][symbol]["digits"] for symbol in self._symbols]
        self._words = run.document["words"]

    def fields(self, row: Sequence[int]) -> dict[str, str]:
        """Return the fields of an event by name; absent ones are empty."""
        kind, at, strategy, symbol, number, *values = row
        found = dict(
            zip(
                _NAMES,
                (
                    log.KINDS[kind] if kind < len(log.KINDS) else f"kind {kind}",
                    times.text(times.Nanos(at)),
                    "" if strategy < 0 else self._strategies[strategy],
                    "" if symbol < 0 else self._symbols[symbol],
                    "" if number < 0 else str(number),
                ),
                strict=True,
            )
        )
        digits = 0 if symbol < 0 else self._digits[symbol]
        for (name, form), value in zip(_FIELDS.get(kind, _UNKNOWN), values, strict=True):
            if name:
                found[name] = self._value(form, value, digits)
        return found

    def event(self, row: Sequence[int]) -> str:
        """Return an event in one line."""
        shown = self.fields(row)
        return ", ".join(
            [shown["time"], shown["kind"], *(f"{key} {shown[key]}" for key in list(shown)[2:] if shown[key])]
        )

    def _value(self, form: str, value: int, digits: int) -> str:
        forms: dict[str, Callable[[], str]] = {
            "nano": lambda: frames.plain(Decimal(value).scaleb(-9)),
            "price": lambda: frames.plain(Decimal(value).scaleb(-digits)),
            "word": lambda: self._words[value],
            "type": lambda: (
                f"{order.KINDS[value % 100 // 10]} {order.TIMES_IN_FORCE[value % 10]}"
                f"{' extended' * (value // 100 % 10)}{' notional' * (value // 1000)}"
            ),
            "status": lambda: order.STATUSES[value],
            "state": lambda: risk.STATES[value],
        }
        return forms.get(form, lambda: str(value))()


_ABSENT = object()


def _shown(value: object) -> str:
    return "absent" if value is _ABSENT else repr(value)
