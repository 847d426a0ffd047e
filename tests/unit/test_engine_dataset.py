import json
from pathlib import Path

import pytest

from support import engine_data
from tradeplane_engine import errors
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import bars, numbers

MANIFEST = {"name": "walk", "timeframe": "1d", "origin": "random walk", "licence": "none"}
SPLIT = bars.CorporateAction("AAA", engine_data.opening(3), (2, 1), numbers.money("0.25"))


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    found = [one for symbol in ("AAA", "BBB", "CCC") for one in engine_data.walk(symbol, range(6))]
    dataset.write(tmp_path, manifest=MANIFEST, found=found, actions=[SPLIT])
    return tmp_path


def test_what_was_written_is_read(folder: Path) -> None:
    """Bars and actions come back exactly."""
    read = dataset.read(folder)
    assert engine_data.walk("BBB", range(6)) == list(read.history["BBB"])
    assert read.actions == (SPLIT,)


def test_a_changed_file_is_refused_whole(folder: Path) -> None:
    """One byte more and the digest does not fit."""
    with (folder / "bars.csv").open("a", encoding="utf-8") as file:
        file.write("\n")
    with pytest.raises(errors.DataRefused, match="wrong-digest"):
        dataset.read(folder)


@pytest.mark.parametrize("name", ["bars.csv", "actions.csv", "dataset.json"])
def test_a_missing_file_is_refused_by_name(folder: Path, name: str) -> None:
    """The refusal names the file."""
    (folder / name).unlink()
    with pytest.raises(errors.DataRefused, match=name):
        dataset.read(folder)


def resign(folder: Path) -> None:
    """Write the digest of the files as they are now."""
    manifest = json.loads((folder / "dataset.json").read_text())
    manifest["sha256"] = dataset.digest((folder / "bars.csv").read_bytes(), (folder / "actions.csv").read_bytes())
    (folder / "dataset.json").write_text(json.dumps(manifest))


def test_a_damaged_bar_is_counted_and_left_out(folder: Path) -> None:
    """The rest of the folder stays usable; the session it leaves empty is a gap."""
    lines = (folder / "bars.csv").read_text().splitlines()
    lines[4] = ",".join([*lines[4].split(",")[:7], "nan", "1"])
    (folder / "bars.csv").write_text("\n".join(lines) + "\n")
    resign(folder)
    read = dataset.read(folder)
    assert read.report.counts == {"bad-number": 1, "gap": 1}
    assert read.report.accepted == 17


@pytest.mark.parametrize(
    "line", ["AAA,2020-01-04T14:30:00Z,0/1,0", "AAA,2020-01-04T14:30:00,1/1,0", "AAA,2020-01-04T14:30:00Z,1/1,-1"]
)
def test_a_bad_action_is_refused(folder: Path, line: str) -> None:
    """A corporate action that cannot be understood would silently change every position."""
    (folder / "actions.csv").write_text(f"symbol,ex_start,split,dividend\n{line}\n")
    resign(folder)
    with pytest.raises(errors.DataRefused, match="bad-action"):
        dataset.read(folder)


def test_a_wrong_header_is_refused(folder: Path) -> None:
    """Columns are never guessed."""
    (folder / "actions.csv").write_text("symbol,ex_start,dividend,split\n")
    resign(folder)
    with pytest.raises(errors.DataRefused, match="first line must be symbol,ex_start,split,dividend"):
        dataset.read(folder)


def test_slices_hold_what_ends_together(folder: Path) -> None:
    """One slice per session, with the bars of the wanted symbols only."""
    found = dataset.read(folder).slices(["AAA", "CCC"])
    assert [engine_data.ending(n) for n in range(6)] == [one.end for one in found]
    assert all({"AAA", "CCC"} == set(one.bars) for one in found)


def test_an_action_joins_the_session_it_opens(folder: Path) -> None:
    """A split takes effect before the open of its slice, and only there."""
    found = dataset.read(folder).slices()
    assert [n for n, one in enumerate(found) if one.actions] == [3]


def test_an_action_on_a_day_without_bars_waits_for_the_next() -> None:
    """Nothing is lost when the ex-date itself is missing."""
    found = engine_data.slices(engine_data.walk("AAA", (0, 1, 5)), [SPLIT])
    assert [n for n, one in enumerate(found) if one.actions] == [2]
