"""Small folders of made-up Parquet files, as users have them: unequal lengths, gaps, sub-penny prices."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

MINUTE_US = 60_000_000
START_US = 1_577_836_800_000_000

Columns = dict[str, npt.NDArray[Any]]


def walk(rows: int, *, seed: int, gaps: bool = False, digits: int = 4) -> Columns:
    """Float columns of a seeded walk; with more than 4 digits, prices lie between the engine's units."""
    rng = np.random.default_rng(seed)
    close = np.round(20 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, rows))), digits)
    open_ = np.round(close * (1 + rng.normal(0.0, 2e-4, rows)), digits)
    steps = rng.choice([1, 1, 1, 2, 400, 4000], rows) if gaps else np.ones(rows, dtype=np.int64)
    return {
        "ts": (START_US + np.cumsum(steps) * MINUTE_US).view("datetime64[us]"),
        "open": open_,
        "high": np.round(np.maximum(open_, close) * 1.0004, digits),
        "low": np.round(np.minimum(open_, close) * 0.9996, digits),
        "close": close,
        "volume": rng.integers(0, 9_000, rows).astype(np.float64),
    }


def write(folder: Path, stem: str, columns: Columns, **more: Any) -> Path:
    """Write one file; ``more`` are further columns."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.parquet"
    pl.DataFrame({**columns, **more}).write_parquet(path)
    return path


def units(prices: npt.NDArray[np.float64]) -> list[int]:
    """Prices as the bench's definition turns them into integers."""
    return [int(one) for one in np.rint(prices * 1e4)]
