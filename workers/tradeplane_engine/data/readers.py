"""Bars from where users have them: arrays, pandas and polars frames, CSV and Parquet files.

:func:`load` takes any of these:

==========================================  ===========================================================
source                                      symbols
==========================================  ===========================================================
``Series``, ``Imported``, ``Loaded``        their own
mapping of symbol to any one-symbol source  the keys
pandas or polars frame, Arrow table         the argument ``symbol``, else its column ``symbol``
file ``*.parquet``, ``*.csv``               as a frame, else the file's stem
folder                                      as above, for each such file directly in it
list                                        as above; a symbol's sources must follow each other in time
mapping of timeframe to any of these        of each; the keys are text such as ``1m`` and ``1h``
==========================================  ===========================================================

Columns are found whatever their case: open, high, low, close, volume, and the start of the bar under ``ts``,
``timestamp``, ``time``, ``datetime``, ``date`` or ``start``, or in a DatetimeIndex. Times without an offset are UTC,
integers are ns. Files are read by polars, which is imported only then; pandas is never imported, a frame of it brings
its own methods.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tradeplane_engine import errors
from tradeplane_engine.data import columns, frames, series
from tradeplane_engine.domain import times

_SUFFIXES = (".parquet", ".csv")


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """Bars of a run, and what reading them counted in all.

    symbols : the shortest timeframe of each symbol, in the order of names
    longer : the others, by timeframe, then symbol
    """

    symbols: Mapping[str, columns.Imported]
    longer: tuple[columns.Imported, ...] = ()

    @property
    def series(self) -> tuple[series.Series, ...]:
        """The bars, in the order of symbols' names, then the longer timeframes'."""
        return tuple(one.series for one in self._all())

    @property
    def rounded_prices(self) -> int:
        """Prices that had more digits than their symbol's integers."""
        return sum(one.rounded_prices for one in self._all())

    @property
    def high_low_errors(self) -> int:
        """Bars whose high or low contradicts the bar."""
        return sum(one.high_low_errors for one in self._all())

    @property
    def volume_errors(self) -> int:
        """Volumes that were no number of shares."""
        return sum(one.volume_errors for one in self._all())

    def _all(self) -> tuple[columns.Imported, ...]:
        return (*self.symbols.values(), *self.longer)

    def of(self, symbols: Iterable[str]) -> "Loaded":
        """Return the bars of these symbols; raises ValueRefused for one that has none."""
        wanted = sorted(set(symbols))
        for one in wanted:
            if one not in self.symbols:
                raise errors.ValueRefused("symbol", f"one of the data ({', '.join(self.symbols)})", one)
        return Loaded(MappingProxyType({one: self.symbols[one] for one in wanted}))

    def between(self, start: int | None, end: int | None) -> "Loaded":
        """Return the bars that start at or after an instant and end at or before another (ns UTC).

        Counts stay those of the whole reading. Raises ValueRefused where no bar is left.
        """
        low, high = -(2**63) if start is None else start, 2**63 - 1 if end is None else end
        kept = {}
        for name, one in self.symbols.items():
            rows = (one.series.start >= low) & (one.series.end <= high)
            columns_of = {column: getattr(one.series, column)[rows] for column in series.COLUMNS}
            kept[name] = replace(one, series=replace(one.series, **columns_of))
        if not any(len(one.series) for one in kept.values()):
            every = [one.series for one in self.symbols.values() if len(one.series)]
            bounds = min(int(one.start[0]) for one in every), max(int(one.end[-1]) for one in every)
            span = " to ".join(times.text(times.Nanos(one)) for one in bounds)
            raise errors.ValueRefused("period", f"with bars, which are from {span}", (start, end))
        return Loaded(MappingProxyType(kept))


def load(source: Any, settings: columns.Settings | None = None, *, symbol: str | None = None) -> Loaded:
    """Return the bars of any source of the module's table; raises DataRefused, ValueRefused.

    Parameters
    ----------
    source : where the bars are
    settings : digits, timeframe and publication delay
    symbol : name of all the source's bars; a column ``symbol`` is ignored then
    """
    given = settings or columns.Settings()
    found: list[columns.Imported] = []
    for each, own in _timeframes(source, given):
        raws: list[columns.Raw] = []
        for one in _walk(each, symbol):
            if isinstance(one, columns.Raw):
                raws.append(one)
            else:
                found.append(one)
        found += convert(raws, own).values()
    if not found:
        raise errors.DataRefused("unreadable", "there are no bars")
    return arranged(found)


def arranged(found: Iterable[columns.Imported]) -> Loaded:
    """Return bars of one or more timeframes in their order; raises ValueRefused for two series of one timeframe."""
    shortest: dict[str, columns.Imported] = {}
    longer: list[tuple[int, str, columns.Imported]] = []
    known: set[tuple[str, int]] = set()
    for one in sorted(found, key=lambda one: (one.series.length, one.series.symbol)):
        symbol, length = one.series.symbol, one.series.length
        if (symbol, length) in known:
            raise errors.ValueRefused("symbol", f"in one series only of {times.duration_text(length)}", symbol)
        known.add((symbol, length))
        if shortest.setdefault(symbol, one) is not one:
            longer.append((length, symbol, one))
    return Loaded(MappingProxyType(dict(sorted(shortest.items()))), tuple(one for _, _, one in longer))


def _timeframes(source: Any, settings: columns.Settings) -> Iterator[tuple[Any, columns.Settings]]:
    """Divide a mapping of timeframes; any other source is one of its own."""
    lengths = {}
    if isinstance(source, Mapping) and source:
        with contextlib.suppress(errors.ValueRefused):
            lengths = {key: times.duration(key) for key in source}
    if not lengths:
        yield source, settings
        return
    if settings.timeframe is not None:
        raise errors.ValueRefused("timeframe", "the keys of data, where they are timeframes", settings.timeframe)
    for key, length in lengths.items():
        yield source[key], replace(settings, timeframe=length)


def convert(raws: Sequence[columns.Raw], settings: columns.Settings) -> dict[str, columns.Imported]:
    """Turn columns into series. Several sources of one symbol are its bars in that order, such as a file per year.

    The timeframe of a symbol is one for all of its sources; one of fewer than two bars has that of the finest other.
    """
    parts: dict[str, list[columns.Raw]] = {}
    for raw in raws:
        parts.setdefault(raw.symbol, []).append(raw)
    if settings.timeframe is not None:
        for own in parts.values():
            columns.check_timeframe(own, settings.timeframe)
    found: dict[str, columns.Imported] = {}
    spans: list[int] = []
    room = columns.Room(sum(map(len, raws))) if len(parts) > 1 else None
    short = [name for name, own in parts.items() if sum(map(len, own)) < 2]  # noqa: PLR2004 - a difference needs two
    for name, own in sorted(parts.items()):
        if name not in short:
            found[name] = one = columns.joined(own, settings, room)
            spans.append(int(one.series.end[0] - one.series.start[0]))
    shared = replace(settings, timeframe=settings.timeframe or min(spans, default=None))
    found.update((name, columns.joined(parts[name], shared)) for name in short)
    return found


def raws(source: Any, *, symbol: str | None = None) -> Iterator[columns.Raw]:
    """Return the columns of a frame, a file or a folder as they are, one symbol after the other, sorted by file."""
    for one in _walk(source, symbol):
        if not isinstance(one, columns.Raw):
            raise errors.ValueRefused("data", "a frame, a file or a folder", type(one).__name__)
        yield one


def _walk(source: Any, symbol: str | None) -> Iterator[columns.Raw | columns.Imported]:
    if isinstance(source, columns.Imported | columns.Raw):
        yield source
    elif isinstance(source, Loaded):
        yield from source.symbols.values()
    elif isinstance(source, series.Series):
        yield columns.Imported(source)
    elif isinstance(source, str | Path):
        yield from _path(Path(source), symbol)
    elif frames.is_frame(source):
        yield from _frame(source, symbol, symbol or "")
    elif isinstance(source, Mapping):
        yield from _mapping(source, symbol)
    elif isinstance(source, Iterable):
        for one in source:
            yield from _walk(one, symbol)
    else:
        raise errors.ValueRefused("data", "series, arrays, a frame, a file or a folder", type(source).__name__)


def _mapping(source: Mapping[Any, Any], symbol: str | None) -> Iterator[columns.Raw | columns.Imported]:
    """Read columns by their names, or sources by their symbols."""
    if any(str(key).lower() == "close" for key in source):
        if symbol is None:
            raise errors.ValueRefused("data", "a mapping of symbols to columns (or give symbol=)", sorted(source))
        yield columns.Raw(symbol, frames.renamed(source, symbol), symbol)
        return
    for key, one in source.items():
        for found in _walk(one, str(key)):
            name = found.symbol if isinstance(found, columns.Raw) else found.series.symbol
            if name != str(key):
                raise errors.ValueRefused(f"data[{key!r}]", "bars of that one symbol", name)
            yield found


def _path(path: Path, symbol: str | None) -> Iterator[columns.Raw]:
    if path.is_dir():
        files = sorted(one for one in path.iterdir() if one.suffix.lower() in _SUFFIXES)
        if not files:
            raise errors.DataRefused("unreadable", f"{path}: holds no {' or '.join(_SUFFIXES)}")
        for one in files:
            yield from _path(one, None)
        return
    if not path.is_file():
        raise errors.DataRefused("unreadable", f"{path}: there is no such file")
    if path.suffix.lower() not in _SUFFIXES:
        raise errors.DataRefused("unreadable", f"{path}: must end in {' or '.join(_SUFFIXES)}")
    yield from _frame(frames.read(path), symbol, path.name, stem=path.stem)


def _frame(frame: Any, symbol: str | None, source: str, *, stem: str = "") -> Iterator[columns.Raw]:
    found = frames.arrays(frame, source or type(frame).__name__)
    names = found.pop("symbol", None)
    if symbol or names is None:
        if not (symbol or stem):
            raise errors.ValueRefused("data", "with a column symbol, or the argument symbol", sorted(found))
        yield columns.Raw(symbol or stem, found, source or symbol or stem)
        return
    for name, rows in frames.groups(names):
        yield columns.Raw(name, {key: column[rows] for key, column in found.items()}, source or name, rows)
