"""A dataset folder: ``bars.csv``, ``actions.csv`` and ``dataset.json`` (``docs/reference/interfaces.md``).

The digest in ``dataset.json`` covers the bytes of ``bars.csv`` followed by those of ``actions.csv``; a folder that does
not match it is refused whole. Bars that fail the validator are left out and counted in the report.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tradeplane_engine import errors
from tradeplane_engine.data import aggregation, quality
from tradeplane_engine.domain import bars, numbers, timeframes, times

BAR_COLUMNS = ("symbol", "start", "end", "available_at", "open", "high", "low", "close", "volume")
ACTION_COLUMNS = ("symbol", "ex_start", "split", "dividend")
_MANIFEST_KEYS = frozenset({"name", "timeframe", "sha256", "origin", "licence"})


@dataclass(frozen=True, slots=True)
class Dataset:
    """Validated bars per symbol, oldest first, and corporate actions ordered by (ex_start, symbol).

    hours : per session of ``timeframes.SESSIONS``, the trading hours of the days, in order; the exchange's calendar
        knows them, so whoever reads a folder of bars that are shorter than a day adds them
    """

    name: str
    timeframe: str
    digest: str
    origin: str
    licence: str
    history: Mapping[str, tuple[bars.Bar, ...]]
    actions: tuple[bars.CorporateAction, ...]
    report: quality.Report
    hours: Mapping[str, Sequence[timeframes.Hours]] = field(default_factory=dict)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols with at least one bar, sorted."""
        return tuple(sorted(symbol for symbol, found in self.history.items() if found))

    def slices(self, symbols: Iterable[str] | None = None) -> tuple[bars.BarSlice, ...]:
        """Return the bars of ``symbols`` (all by default) as slices, oldest first."""
        wanted = self.symbols if symbols is None else sorted(set(symbols))
        chosen = [one for symbol in wanted for one in self.history.get(symbol, ())]
        actions = [action for action in self.actions if action.symbol in set(wanted)]
        return slices(chosen, actions, timeframe=self.timeframe)

    def triggers(self, symbols: Iterable[str], *, timeframe: str, session: str) -> tuple[bars.BarSlice, ...]:
        """Return the slices of a strategy's timeframe and session, made from these bars where they are shorter.

        Raises ValueRefused where they are longer, or where the trading hours of the days are not given.
        """
        if timeframe == self.timeframe == timeframes.DAY:
            return self.slices(symbols)
        shortest = timeframes.SPANS.get(self.timeframe)
        if shortest is None or (timeframe != timeframes.DAY and timeframes.span(timeframe) < shortest):
            raise errors.ValueRefused("bars.timeframe", f"{self.timeframe} or longer, as the dataset", timeframe)
        wanted = sorted(set(symbols))
        length = None if timeframe == timeframes.DAY else timeframes.span(timeframe)
        found = [
            one
            for symbol in wanted
            for one in aggregation.aggregate(self.history.get(symbol, ()), self.trading(session), length=length)
        ]
        return slices(found, [action for action in self.actions if action.symbol in wanted], timeframe=timeframe)

    def trading(self, session: str = timeframes.REGULAR) -> Sequence[timeframes.Hours]:
        """Return the days' trading hours, none for daily bars, which are whole sessions; raises ValueRefused."""
        if self.timeframe == timeframes.DAY:
            return ()
        if session not in self.hours:
            raise errors.ValueRefused("hours", f"the {session} hours of the exchange's days", sorted(self.hours))
        return self.hours[session]


def slices(
    found: Iterable[bars.Bar], actions: Iterable[bars.CorporateAction], *, timeframe: str
) -> tuple[bars.BarSlice, ...]:
    """Group bars by their end, oldest first; each action joins the first slice that starts at or after it."""
    by_end: dict[times.Nanos, dict[str, bars.Bar]] = {}
    for one in sorted(found, key=lambda one: (one.end, one.symbol)):
        by_end.setdefault(one.end, {})[one.symbol] = one
    waiting = sorted(actions, key=lambda action: (action.ex_start, action.symbol))
    return tuple(_group(by_end, waiting, timeframe))


def _group(
    by_end: Mapping[times.Nanos, dict[str, bars.Bar]], waiting: Sequence[bars.CorporateAction], timeframe: str
) -> Iterator[bars.BarSlice]:
    position = 0
    for end, group in by_end.items():
        start = min(one.start for one in group.values())
        first = position
        while position < len(waiting) and waiting[position].ex_start <= start:
            position += 1
        yield bars.BarSlice(timeframe=timeframe, end=end, bars=group, actions=tuple(waiting[first:position]))


def read(folder: Path, *, sessions: Sequence[quality.Session] | None = None) -> Dataset:
    """Read and validate a folder; raises DataRefused where the folder as a whole cannot be used."""
    bar_bytes, action_bytes = _bytes(folder / "bars.csv"), _bytes(folder / "actions.csv")
    manifest = _manifest(folder / "dataset.json")
    found = digest(bar_bytes, action_bytes)
    if manifest["sha256"] != found:
        raise errors.DataRefused("wrong-digest", f"dataset.json says {manifest['sha256']}, the files are {found}")
    raw = [quality.RawBar(**row) for row in _rows(bar_bytes, BAR_COLUMNS, "bars.csv")]
    inside = timeframes.SPANS.get(manifest["timeframe"])
    accepted, report = quality.batch(raw, sessions=sessions, longest=inside)
    actions = [_action(row) for row in _rows(action_bytes, ACTION_COLUMNS, "actions.csv")]
    keys = {(action.symbol, action.ex_start) for action in actions}
    if len(keys) != len(actions):
        raise errors.DataRefused("duplicate", "actions.csv holds two actions of one symbol and instant")
    return Dataset(
        name=manifest["name"],
        timeframe=manifest["timeframe"],
        digest=found,
        origin=manifest["origin"],
        licence=manifest["licence"],
        history=accepted,
        actions=tuple(sorted(actions, key=lambda action: (action.ex_start, action.symbol))),
        report=report,
    )


def write(
    folder: Path,
    *,
    manifest: Mapping[str, str],
    found: Iterable[bars.Bar],
    actions: Iterable[bars.CorporateAction],
) -> str:
    """Write a folder that :func:`read` accepts and return its digest; ``manifest`` lacks only ``sha256``."""
    bar_rows = [_bar_row(one) for one in sorted(found, key=lambda one: (one.end, one.symbol))]
    action_rows = [_action_row(action) for action in sorted(actions, key=lambda one: (one.ex_start, one.symbol))]
    bar_bytes, action_bytes = _csv(BAR_COLUMNS, bar_rows), _csv(ACTION_COLUMNS, action_rows)
    written = {**manifest, "sha256": digest(bar_bytes, action_bytes)}
    if set(written) != _MANIFEST_KEYS:
        raise errors.ValueRefused("dataset.json", f"the keys {sorted(_MANIFEST_KEYS)}", sorted(written))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bars.csv").write_bytes(bar_bytes)
    (folder / "actions.csv").write_bytes(action_bytes)
    (folder / "dataset.json").write_text(json.dumps(written, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return written["sha256"]


def digest(bar_bytes: bytes, action_bytes: bytes) -> str:
    """Return the dataset's digest over both files."""
    return f"sha256:{hashlib.sha256(bar_bytes + action_bytes).hexdigest()}"


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise errors.DataRefused("unreadable", f"{path.name}: {error.strerror}") from error


def _manifest(path: Path) -> dict[str, str]:
    try:
        document: Any = json.loads(_bytes(path))
    except ValueError as error:
        raise errors.DataRefused("unreadable", f"{path.name}: {error}") from error
    if not isinstance(document, dict) or set(document) != _MANIFEST_KEYS:
        raise errors.DataRefused("unreadable", f"{path.name}: must hold exactly {sorted(_MANIFEST_KEYS)}")
    return {key: str(value) for key, value in document.items()}


def _rows(content: bytes, columns: Sequence[str], name: str) -> list[dict[str, str]]:
    try:
        table = list(csv.reader(io.StringIO(content.decode("utf-8")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise errors.DataRefused("unreadable", f"{name}: {error}") from error
    if not table or tuple(table[0]) != tuple(columns):
        raise errors.DataRefused("unreadable", f"{name}: the first line must be {','.join(columns)}")
    for number, row in enumerate(table[1:], start=2):
        if len(row) != len(columns):
            raise errors.DataRefused("unreadable", f"{name}:{number}: must hold {len(columns)} values, got {len(row)}")
    return [dict(zip(columns, row, strict=True)) for row in table[1:]]


def _action(row: Mapping[str, str]) -> bars.CorporateAction:
    try:
        new, _, old = row["split"].partition("/")
        split = (int(new), int(old))
        dividend = numbers.money(row["dividend"], field="dividend")
        ex_start = times.instant(row["ex_start"], field="ex_start")
    except ValueError as error:
        raise errors.DataRefused("bad-action", f"{row['symbol']} {row['ex_start']}: {error}") from error
    if min(split) <= 0 or dividend < 0:
        raise errors.DataRefused(
            "bad-action", f"{row['symbol']} {row['ex_start']}: split {row['split']}, dividend {row['dividend']}"
        )
    return bars.CorporateAction(symbol=row["symbol"], ex_start=ex_start, split=split, dividend=dividend)


def _bar_row(one: bars.Bar) -> tuple[str, ...]:
    prices = (numbers.price_text(price) for price in (one.open, one.high, one.low, one.close))
    return (
        one.symbol,
        *(times.text(at) for at in (one.start, one.end, one.available_at)),
        *prices,
        str(one.volume),
    )


def _action_row(action: bars.CorporateAction) -> tuple[str, ...]:
    new, old = action.split
    return (action.symbol, times.text(action.ex_start), f"{new}/{old}", numbers.money_text(action.dividend))


def _csv(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue().encode()
