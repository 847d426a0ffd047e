"""Columns of floats, as files and frames hold them, turned into a :class:`~tradeplane_engine.data.series.Series`.

1. times become ns UTC: a time without an offset is UTC, an integer is in ns;
2. the first row whose time is not after the one before, or whose open or close is no price, refuses the whole symbol;
3. prices become integers by ``numpy.rint(x * 10**digits)``, and what that moved is counted;
4. a high or a low that contradicts its bar is counted and kept; one that is no price at all (absent, not finite, not
   above zero) is counted too, and the bar's own open and close stand in for it.

Nothing else is mended, and nothing is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors
from tradeplane_engine.data import quality, series
from tradeplane_engine.domain import numbers, times

FloatArray = npt.NDArray[np.float64]

NAMES = ("ts", "open", "high", "low", "close", "volume")
_VOLUME_MAX = 10**15
_SESSION = 3 * times.HOUR  # no session is shorter, however early it closes
_DAYS_APART = 23 * times.HOUR  # midnights where clocks go forward
_TELLING = 5  # bars: of fewer that are days apart nobody knows what they are
_PRICES = ("open", "high", "low", "close")
_ABSENT = np.iinfo(np.int64).min  # a time that is none
_BLOCK = 8192  # rows converted at once: what is thrown away again stays in the processor's cache
_INT64_BOUND = 2.0**63
_INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Settings:
    """How numbers become integers, and when a bar was known.

    digits : decimals that a price keeps, for all symbols or by symbol
    timeframe : length of a bar, ns; None takes the smallest difference of a symbol's starts
    delay : from a bar's end to the instant from which it is known, ns
    """

    digits: int | Mapping[str, int] = 4
    timeframe: int | None = None
    delay: int = 0

    def __post_init__(self) -> None:
        """Refuse a span that is none."""
        if self.timeframe is not None and numbers.whole(self.timeframe, "an int of ns", field="timeframe") <= 0:
            raise errors.ValueRefused("timeframe", "more than 0 ns", self.timeframe)
        if numbers.whole(self.delay, "an int of ns", field="delay") < 0:
            raise errors.ValueRefused("delay", "0 or more ns", self.delay)

    def digits_of(self, symbol: str) -> int:
        """Return the decimals of one symbol's prices; 4 where a mapping does not name it."""
        given = self.digits.get(symbol, 4) if isinstance(self.digits, Mapping) else self.digits
        found = numbers.whole(given, field=f"digits of {symbol}")
        if not 0 <= found <= series.DIGITS_MAX:
            raise errors.ValueRefused(f"digits of {symbol}", f"from 0 to {series.DIGITS_MAX}", found)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """One symbol's columns as they were found.

    columns : ``ts`` (starts of the bars: datetime64 of any unit, or int64 ns; both UTC), ``open``, ``high``, ``low``,
        ``close`` (USD) and ``volume`` (shares), each of shape (n,); further ones are ignored
    source : what errors name, such as a file; the symbol unless given
    rows : shape (n,), the rows' numbers in the source where they are not 0 to n - 1
    names : the columns that must be there, where they are not a bar's
    """

    symbol: str
    columns: Mapping[str, npt.NDArray[Any]]
    source: str = ""
    rows: npt.NDArray[np.int64] | None = None
    names: Sequence[str] = NAMES

    def __post_init__(self) -> None:
        """Refuse columns that are missing or of different shapes."""
        for name in self.names:
            if name not in self.columns:
                raise self.unreadable(f"there is no column {name}")
            if self.columns[name].shape != self.columns["ts"].shape or self.columns[name].ndim != 1:
                raise self.unreadable(f"column {name} has shape {self.columns[name].shape}")

    def __len__(self) -> int:
        return len(self.columns["ts"])

    def unreadable(self, message: str) -> errors.DataRefused:
        """Return the error that refuses the whole source."""
        return errors.DataRefused("unreadable", f"{self.source or self.symbol}: {message}")

    def refusal(self, reason: str, row: int, name: str, limit: str) -> errors.DataRefused:
        """Return the error that names a row and its value."""
        number = row if self.rows is None else int(self.rows[row])
        where = f"{self.source or self.symbol}, row {number} (the first is 0)"
        return errors.DataRefused(reason, f"{where}: {name} must be {limit}, got {self.columns[name][row]}")


@dataclass(frozen=True, slots=True, eq=False)
class Imported:
    """A symbol's bars and what reading them had to count.

    rounded_prices : prices that had more digits than the symbol's integers
    high_low_errors : bars whose high is below open, close or low, or whose low is above one of them, as integers
    volume_errors : volumes that are no number of shares, taken as 0
    """

    series: series.Series
    rounded_prices: int = 0
    high_low_errors: int = 0
    volume_errors: int = 0


class Room:
    """Columns for the bars of several symbols, one behind the other, so that a run can read them as they lie.

    Parameters
    ----------
    rows : of all of them
    names : of the columns
    """

    def __init__(self, rows: int, names: Sequence[str] = ("start", "end", *NAMES[1:])) -> None:
        # One piece of memory: the system gives it in large pages but for its ends.
        block = np.empty(rows * len(names), dtype=np.int64)
        self._columns = {name: block[at * rows : (at + 1) * rows] for at, name in enumerate(names)}
        self._used = 0

    def take(self, rows: int) -> dict[str, series.IntArray]:
        """Return the next rows of every column."""
        first, self._used = self._used, self._used + rows
        return {name: column[first : self._used] for name, column in self._columns.items()}


def imported(raw: Raw, settings: Settings, room: Room | None = None) -> Imported:
    """Return the series of one symbol; raises DataRefused naming source and row, ValueRefused for a setting."""
    digits = settings.digits_of(raw.symbol)
    start = nanos(raw)
    out = (room or Room(len(raw), ("end", *NAMES[1:]))).take(len(raw))
    moved, good = 0, {}
    for name in _PRICES:
        good[name], count = _units(raw, name, digits, out[name])
        moved += count
    step = _smallest_step(start)
    if step <= 0 or not all(mask is None for mask in good.values()):
        _refuse(raw, start, good)
    wrong = _bracket(out, good)
    bad_volumes = _volume(raw, out["volume"])
    timeframe = settings.timeframe or step
    if "start" in out:
        out["start"][:] = start
        start = out["start"]
    end = np.add(start, timeframe, out=out["end"])
    available_at = end + settings.delay if settings.delay else end
    made = series.Series(
        symbol=raw.symbol,
        start=start,
        end=end,
        available_at=available_at,
        digits=digits,
        timeframe=timeframe,
        open=out["open"],
        high=out["high"],
        low=out["low"],
        close=out["close"],
        volume=out["volume"],
        checked=not len(raw) or bool(start[-1] < end[-1] <= available_at[-1]),  # no sum has left 64 bits
    )
    return Imported(made, moved, wrong, bad_volumes)


def joined(raws: Sequence[Raw], settings: Settings, room: Room | None = None) -> Imported:
    """Return the series of one symbol whose columns are in several sources, oldest first; raises as `imported`."""
    if len(raws) == 1:
        return imported(raws[0], settings, room)
    starts = [nanos(raw) for raw in raws]
    start = np.concatenate(starts)
    before: int | None = None
    for raw, own in zip(raws, starts, strict=True):
        if len(own):
            if before is not None and own[0] <= before:
                limit = f"after the source before ({times.text(times.Nanos(before))})"
                raise raw.refusal(quality.Refusal.OUT_OF_ORDER, 0, "ts", limit)
            before = int(own[-1])
    span = settings.timeframe or max(_smallest_step(start), 1)  # a difference below 1 is refused where its row is known
    parts = [imported(raw, replace(settings, timeframe=span)) for raw in raws]
    whole: dict[str, Any] = {
        name: np.concatenate([getattr(one.series, name) for one in parts]) for name in series.COLUMNS
    }
    return Imported(
        series.Series(symbol=raws[0].symbol, digits=parts[0].series.digits, timeframe=span, **whole, checked=True),
        sum(one.rounded_prices for one in parts),
        sum(one.high_low_errors for one in parts),
        sum(one.volume_errors for one in parts),
    )


def check_timeframe(raws: Sequence[Raw], timeframe: int) -> None:
    """Refuse a length for one symbol's bars that is no day's where all of them are days apart; raises ValueRefused.

    The close of each would be known soon after its open.
    """
    if timeframe >= _SESSION or sum(map(len, raws)) < _TELLING:
        return
    if _smallest_step(np.concatenate([nanos(raw) for raw in raws])) >= _DAYS_APART:
        limit = f"{times.duration_text(_SESSION)} or more, as the bars of {raws[0].symbol} are a day or more apart"
        raise errors.ValueRefused("timeframe", limit, times.duration_text(timeframe))


def _smallest_step(start: series.IntArray) -> int:
    """Return the smallest difference of two starts, ns; a day where there are not two."""
    if len(start) < 2:  # noqa: PLR2004 - a difference needs two
        return times.DAY
    blocks = range(0, len(start) - 1, _BLOCK)
    return min(int(np.diff(start[first : first + _BLOCK + 1]).min()) for first in blocks)


def nanos(raw: Raw) -> series.IntArray:
    """Return the starts as int64 ns; raises DataRefused where one is absent or beyond the years 1678 to 2262."""
    values = raw.columns["ts"]
    if values.dtype.kind == "M":
        converted = np.ascontiguousarray(values.astype("datetime64[ns]", copy=False))
        found = converted.view(np.int64)
        if values.dtype != converted.dtype or found.min(initial=0) == _ABSENT:
            absent = np.isnat(values) | (converted.astype(values.dtype) != values)  # the second wrapped around
            if absent.any():
                raise raw.refusal(quality.Refusal.BAD_TIME, int(np.argmax(absent)), "ts", "a time from 1678 to 2262")
        return found
    if values.dtype.kind not in "iu":
        raise raw.unreadable(f"ts must hold times or integers (ns), got {values.dtype}")
    return values.astype(np.int64, copy=False)


def _units(raw: Raw, name: str, digits: int, out: series.IntArray) -> tuple[npt.NDArray[np.bool_] | None, int]:
    """Write integers; return which of them are prices (None: all), and how many were moved by becoming integers."""
    values = raw.columns[name]
    if values.dtype.kind not in "fiu":
        raise raw.unreadable(f"{name} must hold numbers, got {values.dtype}")
    given = values if values.dtype == np.float32 else values.astype(np.float64, copy=False)
    scale = float(10**digits)
    scratch = np.empty(min(_BLOCK, len(given)))
    bad: list[tuple[int, npt.NDArray[np.bool_]]] = []
    moved = 0
    for start in range(0, len(given), _BLOCK):
        part = given[start : start + _BLOCK]
        wrong, count = _block_units(part, scale, scratch[: len(part)], out[start : start + _BLOCK])
        moved += count
        if wrong is not None:
            bad.append((start, wrong))
    if not bad:
        return None, moved
    good = np.ones(len(given), dtype=np.bool_)
    for start, wrong in bad:
        good[start : start + _BLOCK] = ~wrong
    return good, moved


def _block_units(
    given: npt.NDArray[Any], scale: float, scaled: FloatArray, out: series.IntArray
) -> tuple[npt.NDArray[np.bool_] | None, int]:
    """Write a block's integers; return which are no prices (None: all are), and how many prices were moved."""
    np.multiply(given, scale, out=scaled, dtype=np.float64)
    np.rint(scaled, out=scaled)
    wrong = None
    with np.errstate(invalid="ignore"):  # what is no integer becomes one at the edge of 64 bits
        out[:] = scaled
    if out.min() < 1 or out.max() >= _INT64_MAX:  # asked of integers, which is twice as fast
        wrong = ~((scaled >= 1.0) & (scaled < _INT64_BOUND))
        scaled[wrong] = 1.0
        out[:] = scaled
    # A float that is the nearest to a decimal of that many digits comes back exactly: division is correctly rounded.
    np.divide(scaled, scale, out=scaled)
    differs = scaled.astype(given.dtype, copy=False) != given
    if wrong is not None:
        differs &= ~wrong
    return wrong, int(np.count_nonzero(differs))


def _refuse(raw: Raw, start: series.IntArray, good: Mapping[str, npt.NDArray[np.bool_] | None]) -> None:
    """Refuse the first row that must not be traded."""
    found: list[tuple[int, str]] = []
    for name in ("open", "close"):
        mask = good[name]
        if mask is not None:
            found.append((_first(~mask), name))
    found.append((_first(start[1:] <= start[:-1]) + 1, "ts"))
    row, name = min(found)
    if row >= len(raw):
        return
    if name == "ts":
        same = start[row] == start[row - 1]
        reason = quality.Refusal.DUPLICATE if same else quality.Refusal.OUT_OF_ORDER
        raise raw.refusal(reason, row, name, f"after that of the row before ({raw.columns['ts'][row - 1]})")
    value = raw.columns[name][row]
    reason = quality.Refusal.NOT_POSITIVE if np.isfinite(value) and value <= 0 else quality.Refusal.BAD_NUMBER
    raise raw.refusal(reason, row, name, "a finite and positive price that its unit can hold")


def _first(mask: npt.NDArray[np.bool_]) -> int:
    """Return the first true place, or one past the end."""
    return int(np.argmax(mask)) if mask.any() else len(mask)


def _bracket(units: dict[str, series.IntArray], good: Mapping[str, npt.NDArray[np.bool_] | None]) -> int:
    """Count the bars whose high or low is wrong; let open and close stand in for what is no price."""
    count = 0
    rows = len(units["open"])
    for start in range(0, rows, _BLOCK):
        part = slice(start, min(start + _BLOCK, rows))
        top = np.maximum(units["open"][part], units["close"][part])
        bottom = np.minimum(units["open"][part], units["close"][part])
        wrong = (units["high"][part] < top) | (units["low"][part] > bottom)  # a high below the low is one of both
        for name, stand_in in (("high", top), ("low", bottom)):
            mask = good[name]
            if mask is not None:
                wrong |= ~mask[part]
                units[name][part] = np.where(mask[part], units[name][part], stand_in)
        count += int(np.count_nonzero(wrong))
    return count


def _volume(raw: Raw, out: series.IntArray) -> int:
    """Write whole shares; return how many values were none."""
    values = raw.columns["volume"]
    if values.dtype.kind not in "fiu":
        raise raw.unreadable(f"volume must hold numbers, got {values.dtype}")
    count = 0
    for start in range(0, len(values), _BLOCK):
        part = values[start : start + _BLOCK]
        if not (part.min() >= 0 and part.max() <= _VOLUME_MAX):  # a NaN makes both NaN
            bad = ~((part >= 0) & (part <= _VOLUME_MAX))
            count += int(np.count_nonzero(bad))
            part = np.where(bad, 0, part)
        out[start : start + _BLOCK] = part if part.dtype.kind in "iu" else np.rint(part)
    return count
