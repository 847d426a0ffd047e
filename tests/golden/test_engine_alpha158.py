"""Alpha158 against the values that pyqlib 0.9.7 computed (tests/golden/alpha158)."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet
import pytest

from tradeplane_engine.features import alpha158, history

FOLDER = Path(__file__).parent / "alpha158"
INSTRUMENTS = ("SYN_A", "SYN_B", "SYN_C", "SYN_D", "SYN_E", "SYN_F")
LOOSE = ("CORR", "CORD", "WVMA")  # Qlib's float32 residue, measured at 1.01e-5


@pytest.fixture(scope="module", name="inputs")
def _inputs() -> pyarrow.Table:
    return pyarrow.parquet.read_table(FOLDER / "inputs.parquet")


@pytest.fixture(scope="module", name="outputs")
def _outputs() -> pyarrow.Table:
    return pyarrow.parquet.read_table(FOLDER / "outputs.parquet")


def column(table: pyarrow.Table, name: str, instrument: str) -> npt.NDArray[np.float64]:
    """Values of one instrument as float64."""
    chosen = np.array(table["instrument"].to_pylist()) == instrument
    return np.asarray(table[name].to_numpy()[chosen], dtype=np.float64)


def rows_of(inputs: pyarrow.Table, instrument: str) -> npt.NDArray[np.float64]:
    """Rows as the engine's history holds them, without corporate actions."""
    fields = [column(inputs, name, instrument) for name in history.FIELDS]
    return np.column_stack([*fields, np.ones(len(fields[0]))])


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_every_value_agrees_with_qlib(inputs: pyarrow.Table, outputs: pyarrow.Table, instrument: str) -> None:
    """|ours - golden| <= 2e-5 max(1, |golden|), and 1e-6 outside CORR, CORD and WVMA."""
    ours, _ = alpha158.batch(rows_of(inputs, instrument), qlib_compat=True)
    apart = {}
    for at, name in enumerate(alpha158.COLUMNS):
        golden = column(outputs, name, instrument)
        error = np.abs(ours[:, at] - golden) / np.maximum(1, np.abs(golden))
        limit = 2e-5 if name.startswith(LOOSE) else 1e-6
        if np.nanmax(error, initial=0.0) > limit:
            apart[name] = float(np.nanmax(error))
    assert apart == {}


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_nan_stands_in_the_same_places(inputs: pyarrow.Table, outputs: pyarrow.Table, instrument: str) -> None:
    """Short history, suspended rows and flat windows leave a feature undefined exactly where Qlib does."""
    ours, _ = alpha158.batch(rows_of(inputs, instrument), qlib_compat=True)
    apart = {}
    for at, name in enumerate(alpha158.COLUMNS):
        different = np.isnan(ours[:, at]) != np.isnan(column(outputs, name, instrument))
        if different.any():
            apart[name] = np.flatnonzero(different).tolist()
    assert apart == {}


def test_all_features_but_vwap_are_covered(outputs: pyarrow.Table) -> None:
    """The columns are Qlib's, in Qlib's order, without VWAP0."""
    theirs = [name for name in outputs.column_names if name not in {"instrument", "datetime", "LABEL0", "VWAP0"}]
    assert theirs == list(alpha158.COLUMNS)
