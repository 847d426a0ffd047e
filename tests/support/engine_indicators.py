"""Bars for the indicators' tests, from integer arithmetic alone: the same on every machine and numpy."""

import numpy as np

from tradeplane_engine import indicators

_MULTIPLIER, _INCREMENT, _MODULUS = 6364136223846793005, 1442695040888963407, 2**64


class Source:
    """A linear congruential generator."""

    def __init__(self, seed: int) -> None:
        self._state = (seed * 2 + 1) % _MODULUS

    def below(self, limit: int) -> int:
        """Return the next number from 0 to ``limit - 1``."""
        self._state = (self._state * _MULTIPLIER + _INCREMENT) % _MODULUS
        return (self._state >> 33) % limit


def columns(rows: int, seed: int = 1, *, flat: int = 0) -> indicators.Columns:
    """Random walk in units of 1e-4 USD; of 10 bars about ``flat`` do not move and have no range and no volume."""
    source, close = Source(seed), 1_000_000
    found = []
    for _ in range(rows):
        if source.below(10) < flat:
            found.append((close, close, close, close, 0))
            continue
        opened = close + source.below(3001) - 1500
        close = max(10_000, opened + source.below(6001) - 3000)
        high, low = max(opened, close) + source.below(2500), min(opened, close) - source.below(2500)
        found.append((opened, high, low, close, 1000 + source.below(90_000)))
    table = np.array(found, dtype=np.int64).reshape(rows, 5).T
    return indicators.Columns(4, *(np.ascontiguousarray(field) for field in table))


def part(history: indicators.Columns, start: int, end: int) -> indicators.Columns:
    """Rows ``start`` to ``end - 1`` of a history."""
    return indicators.Columns(history.digits, *(history.integers(field)[start:end] for field in indicators.FIELDS))


def bars(history: indicators.Columns) -> list[tuple[int, int, int, int, int]]:
    """Rows of a history as Python integers."""
    return list(zip(*(history.integers(field).tolist() for field in indicators.FIELDS), strict=True))
