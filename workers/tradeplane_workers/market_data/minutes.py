"""Minutes that were heard and are not published yet, by symbol. Pure state."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from tradeplane_engine.domain import bars, times
from tradeplane_workers.market_data import grid


class Taken(StrEnum):
    """What became of a minute."""

    KEPT = "kept"
    SAME = "same"
    REVISED = "revised"
    DUPLICATE = "duplicate"


class Minutes:
    """Bars of minutes; the newest version of each, and which rows were refused."""

    def __init__(self) -> None:
        self._bars: dict[str, dict[times.Nanos, bars.Bar]] = {}
        self._broken: set[tuple[str, times.Nanos]] = set()

    def add(self, bar: bars.Bar, *, revises: bool) -> Taken:
        """Keep a minute; a second one of the same start replaces the first only as the provider's own revision."""
        of_symbol = self._bars.setdefault(bar.symbol, {})
        before = of_symbol.get(bar.start)
        if before is not None and not revises:
            return Taken.SAME if before == bar else Taken.DUPLICATE
        of_symbol[bar.start] = bar
        self._broken.discard((bar.symbol, bar.start))
        return Taken.KEPT if before is None else Taken.REVISED

    def break_at(self, symbol: str, start: times.Nanos) -> None:
        """Take note of a minute that must not be traded, though an older version could; a newer good one mends that."""
        self._broken.add((symbol, start))

    def fill(self, found: Iterable[bars.Bar], broken: Iterable[tuple[str, times.Nanos]], *, until: times.Nanos) -> None:
        """Take what REST has: what was not heard, and before ``until`` all, because a revision may not have been."""
        for bar in found:
            is_lacking = bar.start not in self._bars.get(bar.symbol, {}) or (bar.symbol, bar.start) in self._broken
            if is_lacking or bar.start < until:
                self.add(bar, revises=True)
        for symbol, start in broken:
            self.break_at(symbol, start)

    def at(self, symbol: str, start: times.Nanos) -> bars.Bar | None:
        """Return one minute, or nothing."""
        return self._bars.get(symbol, {}).get(start)

    def of(self, symbol: str, bucket: grid.Bucket) -> Sequence[bars.Bar]:
        """Return a symbol's minutes of one bucket, oldest first."""
        of_symbol = self._bars.get(symbol, {})
        return [of_symbol[start] for start in sorted(of_symbol) if bucket.start <= start < bucket.end]

    def is_whole(self, symbol: str, bucket: grid.Bucket) -> bool:
        """Say whether every minute of a bucket is there."""
        of_symbol = self._bars.get(symbol, {})
        return all(start in of_symbol for start in bucket.minutes)

    def is_broken(self, symbol: str, bucket: grid.Bucket) -> bool:
        """Say whether a minute of a bucket is there and must not be traded."""
        return any(one == symbol and bucket.start <= start < bucket.end for one, start in self._broken)

    def drop_until(self, end: times.Nanos) -> None:
        """Forget what ended by ``end``."""
        for of_symbol in self._bars.values():
            for start in [start for start in of_symbol if start < end]:
                del of_symbol[start]
        self._broken = {(symbol, start) for symbol, start in self._broken if start >= end}
