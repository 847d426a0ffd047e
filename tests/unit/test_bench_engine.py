import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from support import bar_files, engine_runs

BENCH = Path(__file__).parents[2] / "benchmarks" / "engine.py"
KEYS = {
    *("equity", "fills", "orders", "open_orders", "rounded_prices", "high_low_errors", "load_s", "prep_s", "run_s"),
    *("bars_per_s", "peak_mib", "detectors_s", "compiled", "hash"),
}


def bench(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the bench as a user does."""
    return subprocess.run(
        [sys.executable, str(BENCH), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def answer(*arguments: str, **environment: str) -> dict[str, Any]:
    """Run it and parse the last line."""
    done = bench(*arguments, **environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def plain(money: int) -> str:
    """Money as exact decimal text."""
    whole, part = divmod(money, 10**9)
    return f"{whole}.{part:09d}".rstrip("0").rstrip(".")


@pytest.fixture
def folder(tmp_path: Path) -> tuple[Path, dict[str, bar_files.Columns]]:
    """Files of unequal lengths and starts, with gaps of days, too short ones and an empty one among them."""
    data = {
        "LONG": bar_files.walk(900, seed=1),
        "GAPS": bar_files.walk(700, seed=2, gaps=True),
        "FINE": bar_files.walk(400, seed=3, digits=6),
        "SHORT": bar_files.walk(49, seed=4),
        "FIFTY": bar_files.walk(50, seed=5),
        "ONE": bar_files.walk(1, seed=6),
        "NONE": bar_files.walk(0, seed=7),
    }
    for symbol, columns in data.items():
        bar_files.write(tmp_path / "bars", symbol, columns, symbol=["other"] * len(columns["ts"]), extra=columns["low"])
    (tmp_path / "bars" / "notes.txt").write_text("not bars")
    (tmp_path / "bars" / "folder.parquet").mkdir()
    bar_files.write(tmp_path / "bars" / "deeper", "DEEP", bar_files.walk(300, seed=8))
    return tmp_path / "bars", data


@pytest.mark.parametrize("strategy", ["indicators", "own-sums", "slice"])
def test_a_folder_of_files_gives_the_oracles_equity(
    folder: tuple[Path, dict[str, bar_files.Columns]], strategy: str
) -> None:
    """Each way to write the strategy trades as plain integers do, whatever the files' lengths and gaps."""
    path, data = folder
    expected = [(bar_files.units(one["open"]), bar_files.units(one["close"])) for one in data.values()]
    equity, fills, left_open = engine_runs.whole_oracle(expected)
    found = answer("--data", str(path), "--strategy", strategy)
    assert set(found) >= KEYS
    assert (found["equity"], found["fills"]) == (plain(equity), fills)
    assert (found["orders"], found["open_orders"]) == (fills + left_open, left_open)
    assert found["bars"] == sum(len(one["ts"]) for one in data.values())


def test_an_order_of_the_last_row_stays_open(tmp_path: Path) -> None:
    """What is decided on a symbol's last row is an order without a fill."""
    columns = bar_files.walk(60, seed=9)
    for name in ("open", "high", "low", "close"):
        columns[name][:] = 20.0
    columns["close"][-1] = columns["high"][-1] = 21.0  # the averages are equal until the last row
    bar_files.write(tmp_path, "LAST", columns)
    found = answer("--data", str(tmp_path))
    assert (found["equity"], found["fills"], found["orders"], found["open_orders"]) == ("10000000", 0, 1, 1)


def test_prices_between_the_units_are_counted(tmp_path: Path) -> None:
    """Each price that rounding moved counts once; a price of four digits never does."""
    columns = bar_files.walk(120, seed=10)
    columns["close"][7] += 0.00001
    columns["open"][9] += 0.00004
    columns["low"][9] -= 0.00003
    bar_files.write(tmp_path, "SUB", columns)
    found = answer("--data", str(tmp_path))
    assert (found["rounded_prices"], found["high_low_errors"]) == (3, 0)


def test_highs_and_lows_that_contradict_their_bar_are_counted_and_kept(tmp_path: Path) -> None:
    """A wrong high or low refuses nothing: the bar counts once, and trading goes on."""
    columns = bar_files.walk(200, seed=11)
    columns["high"][3] = columns["low"][3] / 2
    columns["low"][60] = columns["close"][60] * 2
    columns["high"][61] = np.nan
    columns["low"][62] = -1.0
    columns["volume"][63] = np.nan
    bar_files.write(tmp_path, "HILO", columns)
    equity, fills, _ = engine_runs.whole_oracle([(bar_files.units(columns["open"]), bar_files.units(columns["close"]))])
    found = answer("--data", str(tmp_path))
    assert (found["high_low_errors"], found["equity"], found["fills"]) == (4, plain(equity), fills)


def test_cash_and_equity_may_go_below_zero(tmp_path: Path) -> None:
    """An account that lost everything trades on: no limit binds."""
    rising = 3_000_000 + 1_000 * np.arange(60.0)
    falling = rising[-1] * 0.9 ** np.arange(1.0, 60.0)
    close = np.round(np.concatenate((rising, falling, falling[-1] + 100 * np.arange(200.0))), 4)
    columns = bar_files.walk(len(close), seed=12)
    for name in ("open", "high", "low", "close"):
        columns[name] = close.copy()
    columns["low"][5] -= 0.00001
    bar_files.write(tmp_path, "RUIN", columns)
    equity, fills, _ = engine_runs.whole_oracle([(bar_files.units(close), bar_files.units(close))])
    assert equity < 0
    assert fills > 2
    found = [answer("--data", str(tmp_path), "--mode", mode) for mode in ("event", "compiled", "sweep")]
    assert {(one["equity"], one["fills"], one["rounded_prices"]) for one in found} == {(f"-{plain(-equity)}", fills, 1)}
    assert len({one["hash"] for one in found}) == 1


def _nan(columns: bar_files.Columns) -> None:
    columns["close"][17] = np.nan


def _zero(columns: bar_files.Columns) -> None:
    columns["open"][17] = 0.0


def _infinite(columns: bar_files.Columns) -> None:
    columns["close"][17] = np.inf


def _repeated(columns: bar_files.Columns) -> None:
    columns["ts"][17] = columns["ts"][16]


def _backwards(columns: bar_files.Columns) -> None:
    columns["ts"][17] = columns["ts"][15]


@pytest.mark.parametrize("spoil", [_nan, _zero, _infinite, _repeated, _backwards])
def test_a_bad_row_ends_the_bench_with_its_file_and_number(tmp_path: Path, spoil: Any) -> None:
    """Status 2 and one line that names file, row and column."""
    bar_files.write(tmp_path, "GOOD", bar_files.walk(60, seed=1))
    columns = bar_files.walk(60, seed=2)
    spoil(columns)
    columns["close"][40] = -1.0  # a later row is not the one that is named
    bar_files.write(tmp_path, "SPOILT", columns)
    done = bench("--data", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "SPOILT.parquet, row 17 " in done.stderr


@pytest.mark.parametrize("missing", ["ts", "volume", "close"])
def test_a_file_without_a_column_is_named(tmp_path: Path, missing: str) -> None:
    """Status 2 where a column is missing."""
    columns = bar_files.walk(60, seed=2)
    del columns[missing]
    bar_files.write(tmp_path, "LACKS", columns)
    done = bench("--data", str(tmp_path))
    assert done.returncode == 2
    assert "LACKS.parquet" in done.stderr
    assert missing in done.stderr


@pytest.mark.parametrize("kind", [pl.Categorical, pl.List(pl.Float64)])
def test_a_column_that_holds_no_numbers_is_named(tmp_path: Path, kind: Any) -> None:
    """Status 2 and one line that names file and column, where a price is a category or a list."""
    columns = bar_files.walk(60, seed=2)
    plain = pl.Series(columns.pop("close"))
    values = plain.cast(pl.String).cast(kind) if kind == pl.Categorical else plain.reshape((60, 1)).cast(kind)
    bar_files.write(tmp_path, "ODD", columns, close=values)
    done = bench("--data", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("DataRefused: unreadable: ODD.parquet: column close: ")
    assert "Traceback" not in done.stderr


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    """Status 2 for a folder that holds nothing, one that is not there, and a file that is no Parquet."""
    (tmp_path / "BAD.parquet").write_text("PAR0")
    for path in (tmp_path / "absent", tmp_path):
        done = bench("--data", str(path))
        assert (done.returncode, done.stdout) == (2, "")
    assert "BAD.parquet" in done.stderr


def test_runs_agree_interpreted_and_compiled(tmp_path: Path) -> None:
    """One hash for every process and for both forms of the core."""
    bar_files.write(tmp_path, "A", bar_files.walk(300, seed=21))
    bar_files.write(tmp_path, "B", bar_files.walk(200, seed=22, gaps=True))
    found = [answer("--data", str(tmp_path), TRADEPLANE_INTERPRETED=flag) for flag in ("0", "1", "0")]
    assert found[1]["compiled"] is False
    assert len({(one["hash"], one["equity"]) for one in found}) == 1


def test_made_up_bars_follow_their_seed(tmp_path: Path) -> None:
    """Sizes and seed choose the bars; the same ones give the same run."""
    sizes = ("--symbols", "2", "--bars", "400")
    found = [answer("--case", "multi", *sizes, "--seed", seed, TMPDIR=str(tmp_path)) for seed in ("5", "5", "6")]
    assert [one["bars"] for one in found] == [800] * 3
    assert found[0]["hash"] == found[1]["hash"] != found[2]["hash"]


def test_the_three_modes_agree_on_files(tmp_path: Path) -> None:
    """Equity, fills, orders, open orders and hash are one, on ragged files with gaps and one that is too short."""
    for number, rows in enumerate((400, 333, 49, 260)):
        bar_files.write(tmp_path, f"S{number}", bar_files.walk(rows, seed=30 + number, gaps=number % 2 == 1))
    found = [answer("--data", str(tmp_path), "--mode", mode) for mode in ("event", "compiled", "sweep")]
    keys = ("equity", "fills", "orders", "open_orders", "rounded_prices", "high_low_errors", "hash")
    assert len({tuple(one[key] for key in keys) for one in found}) == 1
    assert [one["mode"] for one in found] == ["event", "compiled", "sweep"]


def test_peers_run_beside_the_bench_and_one_that_breaks_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rates are medians over fresh processes in turn; what is absent or broken is named."""
    monkeypatch.syspath_prepend(str(BENCH.parent))
    peers = importlib.import_module("peers")
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "slow.py").write_text("import json; print(json.dumps({'bars_per_s': 5, 'equity': 1, 'fills': 2}))")
    (scripts / "broken.py").write_text("raise SystemExit(3)")
    for venv in ("a", "b"):
        (tmp_path / f"v_{venv}" / "bin").mkdir(parents=True)
        (tmp_path / f"v_{venv}" / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setattr(peers, "VENVS", tmp_path)
    monkeypatch.setattr(peers, "SCRIPTS", scripts)
    jobs = {"slow": ("a", "slow.py", []), "broken": ("b", "broken.py", []), "absent": ("c", "slow.py", [])}
    monkeypatch.setattr(peers, "JOBS", jobs)
    ours = [sys.executable, "-c", "print('noise'); print('{\"bars_per_s\": 20}')"]
    found = peers.side_by_side(ours, "multi", tmp_path, 2)
    assert found["not_installed"] == ["absent"]
    assert found["engines"]["slow"] == {"bars_per_s": 5.0, "ratio": 4.0, "equity": 1, "fills": 2}
    assert found["engines"]["broken"]["ratio"] is None
    assert "exit status 3" in found["engines"]["broken"]["error"]


def test_peers_are_compared_on_their_own_bars_only() -> None:
    """Their scripts know two cases; other sizes are refused."""
    done = bench("--peers", "--bars", "100")
    assert done.returncode == 2
    assert "standard cases" in done.stderr


def test_the_path_of_an_order_is_measured() -> None:
    """Each bar of the measured run is an order that fills, but the last."""
    found = answer("--order", "--bars", "500")
    assert found["orders"] == 499
    assert isinstance(found["order_us"], float)
