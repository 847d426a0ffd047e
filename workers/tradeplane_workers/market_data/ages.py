"""How old each symbol's newest published bar is: as a metric, and in the marker of a bar that is missing."""

from collections.abc import Collection, Mapping
from typing import Literal

from tradeplane_engine.domain import bars, times
from tradeplane_workers import messages
from tradeplane_workers.market_data import figures

Reason = Literal["no-trade", "unknown"]


class Ages:
    """Ends of the newest published bars of one channel.

    Parameters
    ----------
    counted : gauges and counters
    channel : such as ``1d`` or ``5m:extended``
    """

    def __init__(self, counted: figures.Figures, channel: str) -> None:
        self._counted = counted
        self._channel = channel
        self._ends: dict[str, times.Nanos] = {}

    def markers(self, absent: Mapping[str, Reason], *, start: times.Nanos) -> tuple[messages.MissingBar, ...]:
        """Return the markers of the symbols that have no bar in the slice that begins at ``start``."""
        return tuple(
            messages.MissingBar(
                symbol=symbol,
                start=times.text(start),
                reason=reason,
                last_end=times.text(self._ends[symbol]) if symbol in self._ends else "",
            )
            for symbol, reason in sorted(absent.items())
        )

    def published(self, end: times.Nanos, found: Collection[bars.Bar], absent: Mapping[str, Reason]) -> None:
        """Take note of a slice that is in the stream."""
        for bar in found:
            self._ends[bar.symbol] = bar.end
            self._counted.last_bar.labels(self._channel, bar.symbol).set(bar.end / times.SECOND)
        for reason in absent.values():
            self._counted.missing.labels(self._channel, reason).inc()
        for symbol, last in self._ends.items():
            self._counted.bar_age.labels(self._channel, symbol).set((end - last) / times.SECOND)
