"""Columns of frames and files as numpy arrays, under one name each.

Files are read by polars: it needs half the time and half the memory of Arrow for the same file. A pandas frame is
recognised by its own methods, so that pandas is imported only by those who use it.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors
from tradeplane_engine.data import quality
from tradeplane_engine.domain import times

_TIME_NAMES = ("ts", "timestamp", "time", "datetime", "date", "start")
# Columns beside time and symbol, and whether they must be there.
BARS = dict.fromkeys(("open", "high", "low", "close", "volume"), True)
QUOTES = {"bid": True, "ask": True, "bid_size": False, "ask_size": False}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NAIVE = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?")
_EARLIEST = times.instant("1990-01-01T00:00:00Z")
_TIME_WITH_HOUR = 16  # characters of 2020-01-31T09:30

Arrays = dict[str, npt.NDArray[Any]]


def is_frame(source: Any) -> bool:
    """Say whether a source is a pandas or polars frame or an Arrow table."""
    return type(source).__module__.partition(".")[0] in {"pandas", "polars", "pyarrow"}


def read(path: Path, columns: Mapping[str, bool] = BARS) -> Any:
    """Read a Parquet or CSV file into a polars frame; raises DataRefused. All columns of a CSV are text."""
    pl = _polars()
    try:
        if path.suffix.lower() == ".parquet":
            names = list(pl.read_parquet_schema(path))
            return pl.read_parquet(path, columns=list(wanted(names, path.name, columns).values()))
        return pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise errors.DataRefused("unreadable", f"{path.name}: {error}") from error


def wanted(names: list[str], source: str, columns: Mapping[str, bool] = BARS) -> dict[str, str]:
    """Return our name to the source's name of the columns that a run needs; raises DataRefused."""
    lower: dict[str, list[str]] = {}
    for name in names:
        lower.setdefault(str(name).lower(), []).append(name)
    lower.update((name, [name]) for name in names if name in lower)  # the exact name wins
    found: dict[str, str] = {}
    for ours in (*columns, "symbol", *_TIME_NAMES):
        theirs = lower.get(ours, [])
        if len(theirs) > 1:
            raise errors.DataRefused("unreadable", f"{source}: columns {theirs} have one name")
        if theirs:
            if ours in _TIME_NAMES:
                found.setdefault("ts", theirs[0])  # the first of the names above; the others are ignored
            else:
                found[ours] = theirs[0]
    needed = [name for name, is_needed in columns.items() if is_needed]
    missing = [name for name in ("ts", *needed) if name not in found]
    if missing:
        raise errors.DataRefused("unreadable", f"{source}: there is no column {missing[0]}, only {names}")
    return found


def renamed(source: Mapping[str, Any], where: str, columns: Mapping[str, bool] = BARS) -> Arrays:
    """Return a mapping's columns as arrays under our names."""
    return {
        ours: _array(ours, np.asarray(source[theirs]), where)
        for ours, theirs in wanted(list(source), where, columns).items()
    }


def arrays(frame: Any, source: str, columns: Mapping[str, bool] = BARS) -> Arrays:
    """Return a frame's columns as arrays under our names; raises DataRefused."""
    module = type(frame).__module__.partition(".")[0]
    if module == "pandas":
        return _from_pandas(frame, source, columns)
    if module == "pyarrow":
        frame = _polars().from_arrow(frame)
    elif hasattr(frame, "collect"):
        frame = frame.collect()
    return _from_polars(frame, source, columns)


def groups(names: npt.NDArray[Any]) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    """Return each symbol and its rows, in the order of the rows."""
    if not len(names):
        return
    codes, first = _codes(names)
    order = np.argsort(codes, kind="stable")
    bounds = np.flatnonzero(np.diff(codes[order])) + 1
    for rows in np.split(order, bounds):
        yield first[int(codes[rows[0]])], rows


def _codes(names: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], list[str]]:
    numbers: dict[str, int] = {}
    codes = np.fromiter((numbers.setdefault(name, len(numbers)) for name in names.tolist()), np.int64, len(names))
    for name in numbers:
        if not isinstance(name, str) or not name:
            raise errors.DataRefused("unreadable", f"a symbol must be text, got {name!r}")
    return codes, list(numbers)


def _from_polars(frame: Any, source: str, columns: Mapping[str, bool]) -> Arrays:
    pl = _polars()
    found: Arrays = {}
    for ours, theirs in wanted(frame.columns, source, columns).items():
        try:
            found[ours] = _polars_values(ours, frame[theirs], source)
        except pl.exceptions.PolarsError as error:
            raise errors.DataRefused("unreadable", f"{source}: column {theirs}: {error}") from error
    return found


def _polars_values(ours: str, column: Any, source: str) -> Any:
    pl = _polars()
    if ours == "symbol":
        return column.cast(pl.String).to_numpy()
    if ours == "ts":
        return _polars_times(column, source)
    if column.dtype == pl.String:
        return _text_numbers(ours, column, source)
    if not (column.dtype.is_integer() and column.null_count() == 0) and not column.dtype.is_float():
        column = column.cast(pl.Float64, strict=False)  # what is no number becomes null, then NaN
    return column.to_numpy()


def _text_numbers(ours: str, column: Any, source: str) -> Any:
    """Read numbers; a text that is empty is NaN, and raises DataRefused where it is something else: $10.2, 1,000."""
    text = column.str.strip_chars()
    found = text.cast(_polars().Float64, strict=False)
    wrong = found.is_null() & text.is_not_null() & (text != "")
    if wrong.any():
        row = int(wrong.arg_max())
        where = f"{source}, row {row} (the first is 0)"
        raise errors.DataRefused(quality.Refusal.BAD_NUMBER, f"{where}: {ours} must be a number, got {column[row]!r}")
    return found.to_numpy()


def _polars_times(column: Any, source: str) -> npt.NDArray[Any]:
    pl = _polars()
    if column.dtype == pl.String:
        return _text_times(column, source)
    if column.dtype.is_integer():
        return _integer_times(column.to_numpy(), source)
    if column.dtype == pl.Datetime and column.dtype.time_zone is not None:
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    found: npt.NDArray[Any] = column.to_numpy()
    return found


def _integer_times(values: npt.NDArray[Any], source: str) -> npt.NDArray[Any]:
    """Return integers as they are; raises DataRefused for seconds, milliseconds or dates like 20240102.

    Read as ns they are years ago, and nearer to each other than bars are.
    """
    early = values < _EARLIEST
    if early.any() and np.diff(values).max(initial=0) < times.SECOND:
        row = int(np.argmax(early))
        limit = f"ns since 1970, from {times.text(_EARLIEST)} on, where it is an integer"
        raise errors.DataRefused(
            quality.Refusal.BAD_TIME, f"{source}, row {row} (the first is 0): ts must be {limit}, got {values[row]}"
        )
    return values


def _text_times(column: Any, source: str) -> npt.NDArray[Any]:
    """Read text in ISO form: a date, or a date and a time with or without an offset."""
    pl = _polars()
    first = column[0] if len(column) else None
    if first is not None and _DATE.fullmatch(first):
        parsed = column.str.to_datetime("%Y-%m-%d", time_unit="ns", strict=False)
    elif first is not None and _NAIVE.fullmatch(first):
        seconds = ":%S%.f" if len(first) > _TIME_WITH_HOUR else ""
        parsed = column.str.to_datetime(f"%Y-%m-%d{first[10]}%H:%M{seconds}", time_unit="ns", strict=False)
    else:
        parsed = None
    if parsed is not None and parsed.null_count() == 0:
        found: npt.NDArray[Any] = parsed.to_numpy()
        return found
    values = [_instant(text, source, row) for row, text in enumerate(column.to_list())]
    return pl.Series(values, dtype=pl.Int64).to_numpy()  # type: ignore[no-any-return]  # an array


def _instant(value: Any, source: str, row: int) -> int:
    text = str(value or "").strip()
    if _DATE.fullmatch(text):
        text += "T00:00:00Z"
    elif _NAIVE.fullmatch(text):
        text += "Z"
    try:
        return times.instant(text, field="ts")
    except errors.ValueRefused as refusal:
        raise errors.DataRefused(
            quality.Refusal.BAD_TIME, f"{source}, row {row} (the first is 0): {refusal}"
        ) from refusal


def _from_pandas(frame: Any, source: str, columns: Mapping[str, bool]) -> Arrays:
    if not any(str(name).lower() in _TIME_NAMES for name in frame.columns):
        kept = frame.reset_index()  # the usual form: times in the index
        if not any(str(name).lower() in _TIME_NAMES for name in kept.columns):
            if getattr(frame.index, "dtype", np.dtype(object)).kind != "M":
                limit = f"there is no column of times ({', '.join(_TIME_NAMES)})"
                raise errors.DataRefused("unreadable", f"{source}: {limit}, and no DatetimeIndex")
            kept = kept.rename(columns={kept.columns[0]: "ts"})
        frame = kept
    found: Arrays = {}
    for ours, theirs in wanted(list(frame.columns), source, columns).items():
        column = frame[theirs]
        if ours == "ts" and getattr(column.dtype, "tz", None) is not None:
            column = column.dt.tz_convert("UTC").dt.tz_localize(None)
        values = column.to_numpy()
        if ours == "ts" and values.dtype.kind in "iu":
            values = _integer_times(values, source)
        found[ours] = _array(ours, values, source)
    return found


def _array(ours: str, values: npt.NDArray[Any], source: str) -> npt.NDArray[Any]:
    """Return a column of objects in its plain form."""
    if ours == "symbol" or values.dtype.kind in "Mfiu":
        return values
    if ours == "ts":
        return np.array([_instant(_iso(value), source, row) for row, value in enumerate(values.tolist())], np.int64)
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise errors.DataRefused("unreadable", f"{source}: column {ours}: {error}") from error


def _iso(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _polars() -> Any:
    try:
        import polars as pl  # noqa: PLC0415 - only where files or its frames are read
    except ImportError as error:
        raise errors.DataRefused("unreadable", "files are read by polars: pip install 'tradeplane[worker]'") from error
    return pl
