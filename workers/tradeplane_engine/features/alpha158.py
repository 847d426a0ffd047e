"""Alpha158 without VWAP0: 157 features of the last 61 bars, in Qlib's order.

9 bar shapes, 3 prices, 29 families over windows of 5, 10, 20, 30 and 60 bars.
Production marks a window as flat where its standard deviation is at most 2e-5 of its mean, so that the unit of prices
does not matter; ``qlib_compat`` uses Qlib's absolute 2e-5 and exists to be compared with Qlib's own output.
"""

from collections.abc import Sequence

import numpy as np

from tradeplane_engine.domain import logarithms
from tradeplane_engine.features import history, rolling

FloatArray = rolling.FloatArray

WINDOW = 61  # the longest rolling window over differences of neighbouring bars
_TINY = 1e-12
_CHUNK = 1024  # windows computed at once; bounds memory, changes no bit
_SHAPES = ("KMID", "KLEN", "KMID2", "KUP", "KUP2", "KLOW", "KLOW2", "KSFT", "KSFT2", "OPEN0", "HIGH0", "LOW0")
_FAMILIES = (
    *("ROC", "MA", "STD", "BETA", "RSQR", "RESI", "MAX", "MIN", "QTLU", "QTLD", "RANK", "RSV", "IMAX", "IMIN", "IMXD"),
    *("CORR", "CORD", "CNTP", "CNTN", "CNTD", "SUMP", "SUMN", "SUMD"),
    *("VMA", "VSTD", "WVMA", "VSUMP", "VSUMN", "VSUMD"),
)
COLUMNS: tuple[str, ...] = (
    *_SHAPES,
    *(f"{family}{window}" for family in _FAMILIES for window in rolling.WINDOWS),
)


def feature_rows(windows: history.Windows, *, qlib_compat: bool = False) -> FloatArray:
    """Compute one row per window.

    Returns
    -------
    shape (n, 157), float64, columns as in ``COLUMNS``; NaN where a feature is undefined. Callers score only windows
    that are ``complete``.
    """
    with np.errstate(all="ignore"):
        found = {**_shapes(windows), **_price_families(windows, relative=not qlib_compat)}
        found.update(_volume_families(windows, relative=not qlib_compat))
    stacked = [found[name][None] for name in _SHAPES] + [found[name] for name in _FAMILIES]
    return np.ascontiguousarray(np.concatenate(stacked).T)


def batch(rows: FloatArray, *, qlib_compat: bool = False) -> tuple[FloatArray, rolling.BoolArray]:
    """Compute the row of every bar of one symbol's history (shape (n, 6)), and which of them are complete."""
    parts, complete = [np.empty((0, len(COLUMNS)))], [np.empty(0, dtype=np.bool_)]
    for start in range(0, len(rows), _CHUNK):
        newest = np.arange(start, min(start + _CHUNK, len(rows)))
        windows = history.windows_at(rows, newest, length=WINDOW)
        parts.append(feature_rows(windows, qlib_compat=qlib_compat))
        complete.append(windows.complete)
    return np.concatenate(parts), np.concatenate(complete)


def newest(found: Sequence[FloatArray]) -> tuple[FloatArray, rolling.BoolArray]:
    """Compute the newest row of several symbols from their last 61 rows, and which of them are complete."""
    windows = history.newest_windows(found, length=WINDOW)
    return feature_rows(windows), windows.complete


def _shapes(w: history.Windows) -> dict[str, FloatArray]:
    o, h, low, c = w.open[0], w.high[0], w.low[0], w.close[0]
    span = h - low + _TINY
    top, bottom = np.maximum(o, c), np.minimum(o, c)
    shift = 2 * c - h - low
    return {
        "KMID": (c - o) / o,
        "KLEN": (h - low) / o,
        "KMID2": (c - o) / span,
        "KUP": (h - top) / o,
        "KUP2": (h - top) / span,
        "KLOW": (bottom - low) / o,
        "KLOW2": (bottom - low) / span,
        "KSFT": shift / o,
        "KSFT2": shift / span,
        "OPEN0": o / c,
        "HIGH0": h / c,
        "LOW0": low / c,
    }


def _price_families(w: history.Windows, *, relative: bool) -> dict[str, FloatArray]:
    c = w.close[0]
    close = rolling.Series(w.close)
    line = rolling.trend(close)
    high, low = rolling.highest(w.high), rolling.lowest(w.low)
    upper, lower = rolling.quantiles(close, (0.8, 0.2))
    place_high = rolling.place_of_highest(w.high, w.present)
    place_low = rolling.place_of_lowest(w.low, w.present)
    return {
        "ROC": np.stack([w.close[window] / c for window in rolling.WINDOWS]),
        "MA": close.mean / c,
        "STD": close.std / c,
        "BETA": line.slope / c,
        "RSQR": np.where(close.flat(relative=relative), np.nan, line.rsquare),
        "RESI": line.residual / c,
        "MAX": high / c,
        "MIN": low / c,
        "QTLU": upper / c,
        "QTLD": lower / c,
        "RANK": rolling.rank(close),
        "RSV": (c - low) / (high - low + _TINY),
        "IMAX": place_high,
        "IMIN": place_low,
        "IMXD": place_high - place_low,
        **_counts(w),
        **_gains(w.close, ("SUMP", "SUMN", "SUMD")),
    }


def _volume_families(w: history.Windows, *, relative: bool) -> dict[str, FloatArray]:
    volume = rolling.Series(w.volume)
    close_growth, volume_growth = w.close[:-1] / w.close[1:], w.volume[:-1] / w.volume[1:]
    logs = rolling.Series(logarithms.log(w.volume + 1))
    log_growth = rolling.Series(logarithms.log(volume_growth + 1))
    moved = rolling.Series(np.abs(close_growth - 1) * w.volume[:-1])
    return {
        "CORR": rolling.correlation(rolling.Series(w.close), logs, relative=relative),
        "CORD": rolling.correlation(rolling.Series(close_growth), log_growth, relative=relative),
        "VMA": volume.mean / (w.volume[0] + _TINY),
        "VSTD": volume.std / (w.volume[0] + _TINY),
        "WVMA": moved.std / (moved.mean + _TINY),
        **_gains(w.volume, ("VSUMP", "VSUMN", "VSUMD")),
    }


def _counts(w: history.Windows) -> dict[str, FloatArray]:
    rows = rolling.rows_in_window(w.present)
    up = rolling.sums((w.close[:-1] > w.close[1:]).astype(np.float64)) / rows
    down = rolling.sums((w.close[:-1] < w.close[1:]).astype(np.float64)) / rows
    return {"CNTP": up, "CNTN": down, "CNTD": up - down}


def _gains(values: FloatArray, names: tuple[str, str, str]) -> dict[str, FloatArray]:
    change = values[:-1] - values[1:]
    rises = rolling.Series(np.maximum(change, 0)).sum
    falls = rolling.Series(np.maximum(-change, 0)).sum
    moves = rolling.Series(np.abs(change)).sum + _TINY
    return dict(zip(names, (rises / moves, falls / moves, (rises - falls) / moves), strict=True))
