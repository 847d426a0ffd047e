"""Thin a long series for a picture: lowest and highest value of each bucket, so that no spike is lost."""

from dataclasses import dataclass

import numpy as np

from tradeplane_engine.measures import inputs

MOST_POINTS = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A series as drawn.

    Parameters
    ----------
    at : ns UTC of the kept samples
    rows : their numbers in the whole series
    values : NaN lifts the pen
    samples : length of the whole series
    """

    at: inputs.IntArray
    rows: inputs.IntArray
    values: inputs.FloatArray
    samples: int

    @property
    def thinned(self) -> bool:
        """Whether samples were left out."""
        return self.rows.size < self.samples


def line(at: inputs.IntArray, values: inputs.FloatArray, *, most: int = MOST_POINTS) -> Line:
    """Return the series with at most ``most`` samples; the first and the last are always among them."""
    rows = kept(values, most=most)
    return Line(at[rows], rows, values[rows], values.size)


def kept(values: inputs.FloatArray, *, most: int) -> inputs.IntArray:
    """Row numbers to draw: first, last, and each bucket's lowest and highest; a bucket without a value keeps a gap."""
    size = values.size
    if size <= most:
        return np.arange(size)
    buckets = max(1, (most - 2) // 2)
    edges = np.linspace(0, size, buckets + 1).astype(np.int64)
    found = [0, size - 1]
    for first, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = values[first:stop]
        if np.isnan(part).all():
            found.append(first)
        else:
            found += [first + int(np.nanargmin(part)), first + int(np.nanargmax(part))]
    return np.unique(np.array(found, dtype=np.int64))


def ticks(at: inputs.IntArray, *, most: int = 10) -> tuple[tuple[int, str], ...]:
    """Rows where a calendar unit begins, with its label; the finest unit that needs at most ``most`` labels."""
    if at.size == 0:
        return ()
    stamps = at.astype("datetime64[ns]")
    for unit, step, length in _UNITS:
        codes = stamps.astype(f"datetime64[{unit}]").astype(np.int64) // step
        begins = np.flatnonzero(codes[1:] != codes[:-1]) + 1
        if 1 < begins.size <= most:
            # The unit that is under way at the start is named too where its label has room.
            begins = np.concatenate(([0], begins)) if begins[0] > _ROOM * at.size else begins
            return tuple((int(row), _label(stamps[row], unit, length)) for row in begins)
    return ((0, _label(stamps[0], "D", 10)), (at.size - 1, _label(stamps[-1], "D", 10)))


_ROOM = 0.09
_UNITS = (
    ("m", 1, 16),
    ("m", 5, 16),
    ("m", 30, 16),
    ("h", 1, 16),
    ("h", 6, 16),
    ("D", 1, 10),
    ("D", 7, 10),
    ("M", 1, 7),
    ("M", 3, 7),
    ("M", 6, 7),
    ("Y", 1, 4),
    ("Y", 2, 4),
    ("Y", 5, 4),
    ("Y", 10, 4),
)


def _label(stamp: np.datetime64, unit: str, length: int) -> str:
    """Date of the unit that begins here; minutes and hours without the year."""
    text = str(stamp)[:length].replace("T", " ")
    return text[5:] if unit in "mh" else text
