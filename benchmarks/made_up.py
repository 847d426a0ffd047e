"""The seeded bars of the peers' bench, made anew: the same numbers as its generator, so that equities can be compared.

A random walk of minute bars, 24 hours a day, prices of four decimals. A seed whose averages ever tie is left out, so
that the rounding of a peer's moving average cannot change a signal.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

CASES = {"single": (1, 1_000_000), "multi": (50, 20_000)}
SEED = 1000
FAST, SLOW = 20, 50
_MINUTE = 60_000_000_000
_START = 1_577_836_800_000_000_000  # 2020-01-01T00:00Z
_STEP, _GAP, _PRICE = 5e-4, 1e-4, 100.0

Columns = dict[str, npt.NDArray[np.float64]]


def standard(case: str, *, symbols: int, bars: int, seed: int) -> bool:
    """Say whether these are the bars that the peers' scripts run on."""
    return (symbols, bars) == CASES[case] and seed == SEED


def folder(case: str, *, symbols: int, bars: int, seed: int) -> Path:
    """Return the folder of a data set's Parquet files in the cache; peers read its parent."""
    root = Path(tempfile.gettempdir()) / "tradeplane-bench"
    peers = standard(case, symbols=symbols, bars=bars, seed=seed)
    return root / ("peers" if peers else f"{symbols}x{bars}-{seed}") / case


def write(target: Path, *, symbols: int, bars: int, seed: int) -> None:
    """Write one file per symbol; the folder appears only when it is complete."""
    import polars as pl  # noqa: PLC0415 - a run that finds its data does not write any

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as made:
        ts = _START + np.arange(bars, dtype=np.int64) * _MINUTE
        for number in range(symbols):
            columns = untied(bars, seed + number)
            stamps = pl.Series("ts", ts).cast(pl.Datetime("ns", "UTC"))
            pl.DataFrame({"ts": stamps, **columns}).write_parquet(Path(made) / f"S{number:03d}.parquet")
        try:
            os.rename(made, target)  # noqa: PTH104 - refuses a folder that another process has made meanwhile
        except OSError:
            if not target.is_dir():
                raise
        else:
            Path(made).mkdir()  # for the context, which removes it


def untied(bars: int, seed: int) -> Columns:
    """Return the columns of the first seed, in steps of 10,000, whose averages never tie."""
    while True:
        columns = walk(bars, seed)
        sums = np.concatenate(([0], np.cumsum(np.rint(columns["close"] * 1e4).astype(np.int64))))
        fast = (sums[FAST:] - sums[:-FAST])[SLOW - FAST :]
        if not (fast * SLOW == (sums[SLOW:] - sums[:-SLOW]) * FAST).any():
            return columns
        seed += 10_000


def walk(bars: int, seed: int) -> Columns:
    """Return one symbol's columns."""
    source = np.random.default_rng(seed)
    steps = source.normal(0.0, _STEP, bars)
    gaps = source.normal(0.0, _GAP, bars)
    gaps[0] = 0.0
    logs = np.log(_PRICE) + np.cumsum(steps + gaps)
    close, open_ = np.round(np.exp(logs), 4), np.round(np.exp(logs - steps), 4)
    up, down = (np.abs(source.normal(0.0, _STEP / 2, bars)) for _ in range(2))
    return {
        "open": open_,
        "high": np.round(np.maximum(open_, close) * (1 + up), 4),
        "low": np.round(np.minimum(open_, close) * (1 - down), 4),
        "close": close,
        "volume": source.integers(50_000, 500_000, bars).astype(np.float64),
    }
