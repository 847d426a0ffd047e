import itertools
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from support import bar_files
from tradeplane_engine import errors
from tradeplane_engine.data import columns, readers, series

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
HALVES = slice(0, 2), slice(2, None)


def raw(rows: int = 5, **changed: Any) -> columns.Raw:
    """Bars of one minute at 10 USD."""
    plain = {name: np.full(rows, 10.0) for name in ("open", "high", "low", "close")}
    found = {"ts": np.arange(rows) * MINUTE, **plain, "volume": np.full(rows, 7.0)}
    return columns.Raw("X", {**found, **changed}, "X.csv")


def same(left: series.Series, right: series.Series) -> bool:
    """Say whether two series hold the same bars."""
    names = ("start", "end", "available_at", "open", "high", "low", "close", "volume")
    return left.digits == right.digits and all(np.array_equal(getattr(left, n), getattr(right, n)) for n in names)


@pytest.fixture(scope="module")
def walk() -> bar_files.Columns:
    """A walk of 80 minutes with gaps."""
    return bar_files.walk(80, seed=1, gaps=True)


def _pandas(given: bar_files.Columns) -> Any:
    return pd.DataFrame(given)


def _pandas_index(given: bar_files.Columns) -> Any:
    frame = pd.DataFrame({key.title(): value for key, value in given.items() if key != "ts"})
    return frame.set_index(pd.DatetimeIndex(given["ts"]).tz_localize("UTC").tz_convert("America/New_York"))


def _polars(given: bar_files.Columns) -> Any:
    return pl.DataFrame(given).rename({"ts": "timestamp"}).with_columns(pl.col("timestamp").dt.cast_time_unit("ms"))


def _lazy(given: bar_files.Columns) -> Any:
    return pl.DataFrame(given).with_columns(pl.col("ts").dt.replace_time_zone("UTC")).lazy()


def _arrow(given: bar_files.Columns) -> Any:
    return pa.table(given)


def _arrays(given: bar_files.Columns) -> Any:
    return {**given, "ts": given["ts"].astype("datetime64[ns]").astype(np.int64)}


def _objects(given: bar_files.Columns) -> Any:
    return {key: value.astype(object) for key, value in given.items()}


@pytest.mark.parametrize("form", [_pandas, _pandas_index, _polars, _lazy, _arrow, _arrays, _objects])
def test_every_form_in_memory_gives_the_same_bars(form: Callable[[Any], Any], walk: bar_files.Columns) -> None:
    """Arrays and frames of any library hold one thing."""
    expected = columns.imported(columns.Raw("X", walk), columns.Settings()).series
    for found in (readers.load({"X": form(walk)}), readers.load(form(walk), symbol="X")):
        assert list(found.symbols) == ["X"]
        assert same(found.series[0], expected)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_one_file_with_a_symbol_column_equals_one_file_per_symbol(tmp_path: Path, suffix: str) -> None:
    """Rows of several symbols may be mixed, as long as each symbol's are oldest first."""
    data = {name: bar_files.walk(30 + number, seed=number) for number, name in enumerate(("B", "A", "C"))}
    frames = [pl.DataFrame(one).with_columns(symbol=pl.lit(name)) for name, one in data.items()]
    mixed = pl.concat(frames).sort("ts", maintain_order=True)
    folder = tmp_path / "each"
    folder.mkdir()
    for name, frame in zip(data, frames, strict=True):
        getattr(frame.drop("symbol"), f"write_{suffix}")(folder / f"{name}.{suffix}")
    getattr(mixed, f"write_{suffix}")(tmp_path / f"all.{suffix}")
    together, apart = readers.load(tmp_path / f"all.{suffix}"), readers.load(folder)
    assert list(together.symbols) == list(apart.symbols) == ["A", "B", "C"]
    assert all(same(one, other) for one, other in zip(together.series, apart.series, strict=True))
    assert [len(one) for one in apart.series] == [31, 30, 32]


@pytest.mark.parametrize(
    "times",
    [
        ["2020-01-02", "2020-01-03"],
        ["2020-01-02 00:00", "2020-01-03 00:00"],
        ["2020-01-02T00:00:00", "2020-01-03T00:00:00.000000000"],
        ["2020-01-02T00:00:00Z", "2020-01-03T00:00:00Z"],
        ["2020-01-01T19:00:00-05:00", "2020-01-03T02:00:00+02:00"],
        ["2020-01-02", "2020-01-03T00:00:00Z"],
    ],
)
def test_a_csv_may_say_its_times_in_every_iso_form(tmp_path: Path, times: list[str]) -> None:
    """Dates, times and offsets mean the same instants; without an offset they are UTC."""
    rows = "".join(f"{at},10,11,9,10.5,100\n" for at in times)
    (tmp_path / "X.csv").write_text(f"Date,Open,High,Low,Close,Volume\n{rows}")
    found = readers.load(tmp_path / "X.csv").series[0]
    assert found.start.tolist() == [1_577_923_200 * SECOND, 1_577_923_200 * SECOND + DAY]
    assert found.close.tolist() == [105_000, 105_000]


@pytest.mark.parametrize("text", ["01/02/2020", "yesterday", ""])
def test_a_time_that_could_mean_two_things_is_refused(tmp_path: Path, text: str) -> None:
    """Only ISO forms are read; nothing is guessed."""
    (tmp_path / "X.csv").write_text(f"ts,open,high,low,close,volume\n2020-01-02,1,1,1,1,1\n{text},1,1,1,1,1\n")
    with pytest.raises(errors.DataRefused, match=r"bad-time: X\.csv, row 1 "):
        readers.load(tmp_path / "X.csv")


@pytest.mark.parametrize("text", ["$10.2", '"1,000"', "abc"])
@pytest.mark.parametrize("name", ["close", "high", "volume"])
def test_a_csv_cell_that_is_no_number_is_shown(tmp_path: Path, name: str, text: str) -> None:
    """It is another way to write one, which must not be taken for an absent one; spaces around one are none."""
    names = ("ts", "open", "high", "low", "close", "volume")
    row = dict.fromkeys(names, " 1 ") | {"ts": "2020-01-03", name: text}
    lines = [",".join(names), "2020-01-02,1,1,1,1,1", ",".join(row[one] for one in names)]
    (tmp_path / "X.csv").write_text("\n".join(lines))
    shown = re.escape(text.strip('"'))
    with pytest.raises(
        errors.DataRefused, match=rf"bad-number: X\.csv, row 1 .*{name} must be a number, got '{shown}'"
    ):
        readers.load(tmp_path / "X.csv")


def test_a_csv_row_that_holds_no_number_is_named(tmp_path: Path) -> None:
    """Text where a price must be refuses the file."""
    (tmp_path / "X.csv").write_text("ts,open,high,low,close,volume\n2020-01-02,1,1,1,1,1\n2020-01-03,1,1,1,n/a,1\n")
    with pytest.raises(errors.DataRefused, match=r"bad-number: X\.csv, row 1 .*close"):
        readers.load(tmp_path / "X.csv")


def test_a_bad_row_of_one_symbol_is_named_by_its_place_in_the_file(tmp_path: Path) -> None:
    """With a symbol column the number is the file's row, not the symbol's."""
    lines = ["2020-01-02,A,1", "2020-01-02,B,1", "2020-01-03,A,1", "2020-01-03,B,-1"]
    text = "".join(f"{line},1,1,1,1\n" for line in lines)
    (tmp_path / "all.csv").write_text(f"ts,symbol,close,open,high,low,volume\n{text}")
    with pytest.raises(errors.DataRefused, match=r"not-positive: all\.csv, row 3 .*got -1"):
        readers.load(tmp_path / "all.csv")


def test_a_bar_ends_one_timeframe_after_its_start_and_is_known_after_the_delay() -> None:
    """The timeframe is the smallest difference of starts unless it is given."""
    times = np.array([0, 10, 15, 100]) * MINUTE
    found = columns.imported(raw(4, ts=times), columns.Settings(delay=SECOND)).series
    assert (found.end - found.start).tolist() == [5 * MINUTE] * 4
    assert (found.available_at - found.end).tolist() == [SECOND] * 4
    given = columns.imported(raw(4, ts=times), columns.Settings(timeframe=MINUTE)).series
    assert (given.end - given.start).tolist() == [MINUTE] * 4
    assert given.available_at.tolist() == given.end.tolist()


def test_a_single_bar_has_the_timeframe_of_the_others() -> None:
    """Where one bar has no difference, the finest of the other symbols is taken, and a day if there is none."""
    two = raw(2)
    one = columns.Raw("Y", raw(1).columns)
    found = readers.convert([one, two], columns.Settings())
    assert found["Y"].series.end.tolist() == [MINUTE]
    assert readers.convert([one], columns.Settings())["Y"].series.end.tolist() == [DAY]


@pytest.mark.parametrize("digits, moved", [(2, 4), (4, 3), (5, 2), (6, 0)])
def test_prices_that_rounding_moves_are_counted(digits: int, moved: int) -> None:
    """A price counts where its digits do not suffice, and is rounded half to even."""
    close = np.array([10.12, 10.123, 10.12345, 10.000025, 10.123456])
    found = columns.imported(raw(close=close), columns.Settings(digits=digits))
    assert found.rounded_prices == moved
    assert found.series.close.tolist() == np.rint(close * 10**digits).astype(int).tolist()


def test_every_decimal_of_four_digits_is_exact() -> None:
    """No price that has four digits is ever counted as moved, in double or single precision."""
    numbers = np.random.default_rng(1).integers(1, 10**9, 20_000)
    found = columns.imported(raw(len(numbers), open=numbers / 1e4), columns.Settings())
    assert (found.rounded_prices, found.series.open.tolist()) == (0, numbers.tolist())
    small = numbers % 100_000 + 1
    single = columns.imported(raw(len(small), open=(small / 1e4).astype(np.float32)), columns.Settings())
    assert (single.rounded_prices, single.series.open.tolist()) == (0, small.tolist())


def test_digits_may_differ_by_symbol() -> None:
    """A mapping names symbols; the others keep four digits."""
    found = readers.load({"A": raw().columns, "B": raw().columns}, columns.Settings(digits={"A": 2}))
    assert [(one.digits, int(one.close[0])) for one in found.series] == [(2, 1_000), (4, 100_000)]


def test_wrong_highs_and_lows_are_counted_by_bar() -> None:
    """High below open, close or low, low above one of them, or no price at all; the numbers stay as they are."""
    high = np.array([10.0, 9.0, 10.0, np.nan, 0.0])
    low = np.array([10.0, 9.5, 10.5, 10.0, 10.0])
    found = columns.imported(raw(high=high, low=low), columns.Settings())
    assert found.high_low_errors == 4
    assert found.series.high.tolist() == [100_000, 90_000, 100_000, 100_000, 100_000]
    assert found.series.low.tolist() == [100_000, 95_000, 105_000, 100_000, 100_000]


def test_a_high_must_reach_open_and_close_and_a_low_both_too() -> None:
    """Between open and close is wrong for either, at one of them is right."""
    open_, close = np.array([10.0, 12.0, 10.0, 12.0, 10.0]), np.array([12.0, 10.0, 12.0, 10.0, 12.0])
    high, low = np.array([11.0, 11.0, 12.0, 12.0, 12.0]), np.array([10.0, 10.0, 11.0, 11.0, 10.0])
    found = columns.imported(raw(open=open_, close=close, high=high, low=low), columns.Settings())
    assert found.high_low_errors == 4


def test_volumes_that_are_none_are_counted() -> None:
    """Absent and negative volumes become 0; a fraction becomes whole shares."""
    found = columns.imported(raw(volume=np.array([np.nan, -1.0, 2.6, 1e30, 5.0])), columns.Settings())
    assert (found.volume_errors, found.series.volume.tolist()) == (3, [0, 0, 3, 0, 5])


@pytest.mark.parametrize(
    "column, values, reason, row",
    [
        ("open", [10, 10, np.nan, 10, 10], "bad-number", 2),
        ("close", [10, np.inf, 10, 10, 10], "bad-number", 1),
        ("close", [10, 10, 10, 10, 0.0], "not-positive", 4),
        ("close", [10, 10, 10, 1e16, 10], "bad-number", 3),
        ("close", [10, 0.00001, 10, 10, 10], "bad-number", 1),
        ("ts", [0, 1, 1, 3, 4], "duplicate", 2),
        ("ts", [0, 1, 2, 3, 0], "out-of-order", 4),
    ],
)
def test_a_row_that_must_not_be_traded_is_named(column: str, values: list[float], reason: str, row: int) -> None:
    """Reason, source, row and column are in the message."""
    given = np.array(values, dtype=np.int64 if column == "ts" else np.float64)
    with pytest.raises(errors.DataRefused, match=rf"{reason}: X\.csv, row {row} .*{column}"):
        columns.imported(raw(**{column: given}), columns.Settings())


def test_an_absent_time_and_one_beyond_64_bits_are_named() -> None:
    """Neither is ever wrapped around."""
    for bad, unit in (("NaT", "s"), ("3000-01-01", "s"), ("1000-01-01", "D")):
        times = np.array(["2020-01-01", "2020-01-02", bad, "2020-01-04", "2020-01-05"], dtype=f"datetime64[{unit}]")
        with pytest.raises(errors.DataRefused, match=r"bad-time: X\.csv, row 2 "):
            columns.imported(raw(ts=times), columns.Settings())


@pytest.mark.parametrize("first", [20_240_102, 1_704_200_000, 1_704_200_000_000, -1])
@pytest.mark.parametrize("form", [pd.DataFrame, pl.DataFrame, pa.table, "parquet"])
def test_integer_times_that_are_in_no_ns_are_refused(tmp_path: Path, form: Any, first: int) -> None:
    """Dates, seconds and milliseconds would be instants of 1970; an array of a mapping is ns, whatever it holds."""
    given = {**raw(3).columns, "ts": np.arange(first, first + 3)}
    source = bar_files.write(tmp_path, "X", given) if form == "parquet" else form(given)
    with pytest.raises(errors.DataRefused, match=rf"bad-time: X.*, row 0 .*: ts must be ns .* 1990.*, got {first}$"):
        readers.load(source, symbol="X")
    assert readers.load({"X": given}).series[0].start[0] == first


@pytest.mark.parametrize(
    "step,timeframe,refused",
    [
        *((DAY, MINUTE, True), (DAY - 3600 * SECOND, 60 * MINUTE, True), (3 * DAY, MINUTE, True)),
        *((DAY, 180 * MINUTE, False), (DAY, DAY, False), (DAY // 2, MINUTE, False)),
    ],
)
def test_a_timeframe_of_minutes_is_refused_for_bars_of_days(step: int, timeframe: int, refused: bool) -> None:
    """The close of a day would be known minutes after its open; half a session is no day's bar either."""
    bars = raw(ts=np.arange(5) * step)
    for sources in ([bars], [columns.Raw("X", {k: v[part] for k, v in bars.columns.items()}) for part in HALVES]):
        with pytest.raises(errors.ValueRefused, match="timeframe: must be 3h or more") if refused else nullcontext():
            readers.load(sources, columns.Settings(timeframe=timeframe))


def test_files_of_one_bar_a_day_may_have_bars_of_minutes_beside_them() -> None:
    """What counts is all that a symbol has, and one bar says nothing."""
    sources = [raw(2, ts=np.array([0, DAY])), raw(2, ts=np.array([2 * DAY, 2 * DAY + MINUTE]))]
    assert readers.load(sources, columns.Settings(timeframe=MINUTE)).series[0].length == MINUTE
    assert readers.load([raw(1)], columns.Settings(timeframe=MINUTE)).series[0].length == MINUTE


@pytest.mark.parametrize(
    "source, message",
    [
        (42, "data: must be series"),
        ("/nowhere/X.parquet", "no such file"),
        (pl.DataFrame(bar_files.walk(5, seed=1)), "symbol"),
        (pd.DataFrame({k: v for k, v in raw().columns.items() if k != "ts"}), "no column of times .* no DatetimeIndex"),
        (dict(raw().columns), "symbol="),
        ({"A": {"close": np.ones(3)}}, "no column ts"),
        ([columns.imported(raw(), columns.Settings()), raw()], "one series only"),
        ([columns.imported(raw(), columns.Settings()).series] * 2, "one series only"),
        ([raw(), raw()], "out-of-order: X.csv, row 0 "),
    ],
)
def test_a_source_that_cannot_be_read_is_said(source: Any, message: str) -> None:
    """Errors say what would have been accepted."""
    with pytest.raises(errors.EngineError, match=message):
        readers.load(source)


@pytest.mark.parametrize("cuts", [[40], [1], [0, 79], [20, 20, 60]])
def test_bars_in_several_sources_are_the_same_bars(walk: bar_files.Columns, cuts: list[int]) -> None:
    """However a symbol's rows are divided, the series is one, its timeframe included."""
    bounds = [0, *cuts, 80]
    parts = [{name: column[a:b] for name, column in walk.items()} for a, b in itertools.pairwise(bounds)]
    whole = readers.load(walk, symbol="X")
    found = readers.load({"X": [pl.DataFrame(part) for part in parts]})
    assert same(found.series[0], whole.series[0])


def test_settings_that_cannot_be_are_refused() -> None:
    """Spans and digits have limits."""
    for settings in ({"timeframe": 0}, {"delay": -1}):
        with pytest.raises(errors.ValueRefused):
            columns.Settings(**settings)
    with pytest.raises(errors.ValueRefused, match="digits of X"):
        columns.imported(raw(), columns.Settings(digits=10))


def test_reading_files_imports_neither_pandas_nor_arrow(tmp_path: Path) -> None:
    """The path of Parquet files and arrays stays light; polars itself is imported only for files and its frames."""
    bar_files.write(tmp_path, "X", bar_files.walk(5, seed=1))
    code = f"""
import sys
import numpy as np
from tradeplane_engine.data import readers
prices = {{name: np.arange(1.0, 4) for name in ("open", "high", "low", "close", "volume")}}
readers.load({{"ts": np.arange(3), **prices}}, symbol="X")
assert "polars" not in sys.modules
readers.load({str(tmp_path)!r})
assert not {{"pandas", "pyarrow"}} & set(sys.modules), "heavy"
"""
    subprocess.run([sys.executable, "-c", code], check=True)
