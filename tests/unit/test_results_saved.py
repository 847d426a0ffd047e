"""A saved run holds everything, and the difference between two is named."""

import dataclasses
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from support import engine_runs
from tradeplane_cli import __main__ as command_line
from tradeplane_engine import errors, simulation
from tradeplane_engine.core import costs, limits
from tradeplane_engine.data import resampling, series
from tradeplane_engine.results import difference, frames, saved

BARS = [engine_runs.walk("A", 400, seed=1), engine_runs.walk("B", 300, seed=2)]
BACKTEST = simulation.Backtest(BARS, engine_runs.Cross, costs=costs.Costs(commission_bps=Fraction(1)), examine=False)


def moved(one: series.Series, row: int) -> series.Series:
    """The same bars, one of them opening a cent higher."""
    opens = one.open.copy()
    opens[row] += 100
    return dataclasses.replace(one, open=opens, high=one.high + 200)


def save(folder: Path, **changes: Any) -> saved.Saved:
    """Run with changes, save and read back."""
    return saved.read(dataclasses.replace(BACKTEST, **changes).run().save(folder))


def test_a_saved_run_holds_everything(tmp_path: Path) -> None:
    """Events, settings, frames and both reports are there, and reading gives what was written."""
    result = dataclasses.replace(BACKTEST, examine=True).run()
    found = saved.read(result.save(tmp_path / "run"))
    assert found.rows.tolist() == result.log.tolist()
    assert found.document["hash"] == result.hash
    assert found.document["settings"] == result.settings
    assert found.document["summary"]["final_equity"] == frames.plain(result.final_equity)
    assert found.document["summary"]["fills"] == len(result.fills)
    assert found.document["examination"] == {"audited": False, "honest": True, "found": [], "notes": []}
    assert found.document["bars"]["B"]["rows"] == 300
    for name in ("orders", "refused", "fills", "trades", "positions", "equity", "strategies"):
        assert pl.read_parquet(tmp_path / "run" / "frames" / f"{name}.parquet").equals(result.frame(name))
    assert (tmp_path / "run" / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))["title"] == "Cross"


def test_the_same_run_writes_the_same_files(tmp_path: Path) -> None:
    """All but what it took."""
    both = [dataclasses.replace(BACKTEST).run().save(tmp_path / name) for name in ("a", "b")]
    files = [sorted(one.relative_to(folder) for one in folder.rglob("*.*")) for folder in both]
    assert files[0] == files[1]
    for file in files[0]:
        if file.name != "seconds.json":
            assert (both[0] / file).read_bytes() == (both[1] / file).read_bytes(), file


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """A run replaces only an earlier run."""
    result = BACKTEST.run()
    result.save(tmp_path / "run")
    result.save(tmp_path / "run")
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(errors.ValueRefused, match="out: must be a folder"):
        result.save(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda run: (run / "events.npy").unlink(),
        lambda run: np.save(run / "events.npy", np.zeros((3, 7), dtype=np.int64)),
        lambda run: np.save(run / "events.npy", np.load(run / "events.npy")[:-1]),
        lambda run: (run / "run.json").write_text("[]"),
        lambda run: (run / "run.json").write_text((run / "run.json").read_text().replace('"log": 1', '"log": 999')),
        lambda run: (run / "run.json").write_text(
            (run / "run.json").read_text().replace('"cash": "100000000000000"', '"cash": "1"')
        ),
        lambda run: (run / "run.json").write_text(
            (run / "run.json").read_text().replace('"final_equity": "', '"final_equity": "9')
        ),
    ],
)
def test_a_run_that_was_changed_is_refused(
    tmp_path: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """What is compared is what ran; the command says which folder it cannot read."""
    run = BACKTEST.run().save(tmp_path / "run")
    before = {file: file.read_bytes() for file in run.glob("*.*")}
    damage(run)
    assert before != {file: file.read_bytes() for file in run.glob("*.*")}
    assert command_line.main(["backtest", "diff", str(run), str(run)]) == 2
    assert str(run) in capsys.readouterr().err


def test_the_first_event_that_differs_is_named(tmp_path: Path) -> None:
    """Time, symbol, kind, field and both values; the bars that differ come before."""
    one = save(tmp_path / "a")
    filled = next(row for row in one.rows.tolist() if row[0] == 3 and row[3] == 1)
    at = BARS[1].start.tolist().index(filled[1])
    other = save(tmp_path / "b", data=[BARS[0], moved(BARS[1], at)])
    bars, event = difference.between(one, other)
    assert (bars.subject, event.subject) == ("bars", "event")
    assert "those of B are 300 rows" in bars.sentence
    price = filled[6]
    assert f"fill of B by Cross: price is {price / 10_000} in {tmp_path / 'a'}" in event.sentence
    assert f"{(price + 100) / 10_000} in {tmp_path / 'b'}; fee is" in event.sentence
    assert str(np.datetime64(filled[1], "ns").astype("datetime64[s]")) in event.sentence
    for value, text in zip((price, price + 100), event.events, strict=True):
        assert f"price {value / 10_000}" in text


def test_settings_that_differ_come_first(tmp_path: Path) -> None:
    """Each by its name with both values."""
    one = save(tmp_path / "a")
    other = save(tmp_path / "b", cash=200_000, limits=limits.Limits(max_positions=1))
    sentences = [each.sentence for each in difference.between(one, other) if each.subject == "settings"]
    assert sentences[0].startswith("cash is '100000000000000' in")
    assert any(text.startswith("limits.max_positions is absent in") and "'1' in" in text for text in sentences)


def test_numbers_of_names_and_words_do_not_matter(tmp_path: Path) -> None:
    """A further symbol moves the others' numbers, but no event of theirs."""
    one = save(tmp_path / "a", data=[BARS[1]])
    quiet = dataclasses.replace(engine_runs.walk("A", 300, seed=3))
    flat = dataclasses.replace(quiet, open=quiet.low, high=quiet.low, close=quiet.low * 0 + int(quiet.low.min()))
    flat = dataclasses.replace(flat, open=flat.close, high=flat.close, low=flat.close)
    other = save(tmp_path / "b", data=[flat, BARS[1]])
    assert one.rows[0, 3] != other.rows[0, 3]
    assert [each.subject for each in difference.between(one, other)] == ["settings"]


def test_longer_bars_of_a_symbol_move_no_names(tmp_path: Path) -> None:
    """Events name symbols, whatever series there are; bars that differ are named with their timeframe."""
    longer = resampling.resampled(BARS[0], 5 * engine_runs.MINUTE)
    one = save(tmp_path / "a", data=[*BARS, longer])
    filled = [row for row in one.rows.tolist() if row[0] == 3]
    assert {one.document["symbols"][row[3]] for row in filled} == {"A", "B"}
    other = save(tmp_path / "b", data=[*BARS, dataclasses.replace(longer, high=longer.high + 1)])
    (bars,) = difference.between(one, other)
    assert bars.sentence.startswith("those of A 5m are")
    at = next(row for row in filled if one.document["symbols"][row[3]] == "B")[1]
    moved_bars = [BARS[0], moved(BARS[1], BARS[1].start.tolist().index(at)), longer]
    found = difference.between(one, save(tmp_path / "c", data=moved_bars))
    assert [each.subject for each in found] == ["bars", "event"]
    assert "fill of B by Cross: price" in found[1].sentence


def test_a_run_that_goes_on_is_named(tmp_path: Path) -> None:
    """The other one has fewer events."""
    one = save(tmp_path / "a")
    rows = np.delete(one.rows, 5, axis=0)
    shorter = dataclasses.replace(one, label="short", rows=one.rows[:-1])
    (gone,) = difference.between(one, shorter)
    assert gone.sentence == f"{len(one.rows)} is in {tmp_path / 'a'} only: short has {len(one.rows) - 1}"
    (early,) = difference.between(one, dataclasses.replace(one, label="short", rows=rows))
    assert early.sentence.startswith("6, ")


def test_the_command_says_what_diff_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 when the runs are the same, 1 when they differ, 2 for what is no run."""
    for name, cash in (("a", 100_000), ("b", 100_000), ("c", 50_000)):
        dataclasses.replace(BACKTEST, cash=cash).run().save(tmp_path / name)
    assert command_line.main(["backtest", "diff", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert "events are the same" in capsys.readouterr().out
    assert command_line.main(["backtest", "diff", str(tmp_path / "a"), str(tmp_path / "c")]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("settings cash is")
    assert printed[2].startswith("event ")
    assert command_line.main(["backtest", "diff", str(tmp_path / "a"), str(tmp_path / "none")]) == 2
    assert "is no saved run" in capsys.readouterr().err
