"""The loop: one decision per slice of bars. Strategy process and backtest run this same code.

For each slice: features -> predict port -> signals -> targets -> execution -> exactly one decision -> the venue.

- Without usable predictions, or with fewer scores than the portfolio needs, the decision holds no intents: positions
  stay (outcome ``prediction-late`` or ``no-signal``, with the reason in ``detail``).
- A held symbol without a score gets the target zero, if the slice has its bar; without a bar nothing can be said.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tradeplane_engine import clock, errors, execution, portfolio, settings, signals
from tradeplane_engine.domain import bars, numbers, orders, times
from tradeplane_engine.models import predictor

_AVAILABLE = attrgetter("available_at")


class Feed(Protocol):
    """Slices as they become available, oldest first."""

    def __iter__(self) -> Iterator[bars.BarSlice]:
        """Yield the next slice."""
        ...


class Features(Protocol):
    """The newest feature rows."""

    def observe(self, one: bars.BarSlice) -> None:
        """Take in the next slice."""
        ...

    def rows(self) -> tuple[tuple[str, ...], npt.NDArray[np.float64]]:
        """Return the symbols with a complete window and a row for each."""
        ...


class Venue(Protocol):
    """Where decisions go: the gateway, or the market of a backtest behind the same gate."""

    def book(self) -> Mapping[str, execution.Holding]:
        """Return position and working orders per symbol of this strategy's sub-ledger."""
        ...

    def submit(self, decision: orders.Decision) -> None:
        """Hand over the one decision of a trigger."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What differs between backtest, paper and live."""

    features: Features
    predictor: predictor.Predictor
    venue: Venue
    clock: clock.Clock


class Loop:
    """Runs one generation of a strategy."""

    def __init__(self, strategy: settings.StrategySettings, ports: Ports) -> None:
        self._strategy = strategy
        self._ports = ports
        self._last = times.Nanos(0)

    def run(self, feed: Feed) -> None:
        """Decide on every slice of the feed."""
        for one in feed:
            self.step(one)

    def warm(self, history: Iterable[bars.BarSlice]) -> None:
        """Take in slices of the past without deciding."""
        for one in history:
            self._observe(one)

    def step(self, one: bars.BarSlice) -> orders.Decision:
        """Decide on one slice and submit the decision."""
        self._observe(one)
        decision = self._decide(one)
        self._ports.venue.submit(decision)
        return decision

    def missed(self, trigger: times.Nanos, *, detail: str, one: bars.BarSlice | None = None) -> orders.Decision:
        """Record that a trigger passed without a decision; its slice, where it came after all, is taken in."""
        if one is not None:
            self._observe(one)
        decision = orders.Decision(trigger=trigger, outcome=orders.Outcome.MISSED, detail=detail)
        self._ports.venue.submit(decision)
        return decision

    def _observe(self, one: bars.BarSlice) -> None:
        if one.end <= self._last:
            raise errors.DataRefused("out-of-order", f"{times.text(one.end)} after {times.text(self._last)}")
        if one.timeframe != self._strategy.timeframe:
            raise errors.DataRefused("wrong-timeframe", f"must be {self._strategy.timeframe}, got {one.timeframe}")
        now = self._ports.clock.now()
        if one.bars and (latest := max(one.bars.values(), key=_AVAILABLE)).available_at > now:
            raise errors.DataRefused(
                "not-yet-available",
                f"{latest.symbol}: known from {times.text(latest.available_at)}, now {times.text(now)}",
            )
        self._last = one.end
        self._ports.features.observe(one)

    def _decide(self, one: bars.BarSlice) -> orders.Decision:
        strategy = self._strategy
        try:
            found, digest = self._signals()
        except errors.PredictionFailed as failure:
            late = failure.reason == "late"
            outcome = orders.Outcome.PREDICTION_LATE if late else orders.Outcome.NO_SIGNAL
            return orders.Decision(trigger=one.end, outcome=outcome, detail=str(failure))
        closes = {symbol: bar.close for symbol, bar in one.bars.items()}
        targets = portfolio.targets(found, construct=strategy.portfolio, closes=closes)
        if not targets:
            detail = f"too-few-scores: at least {strategy.portfolio.needed} needed, got {len(found)}"
            return orders.Decision(
                trigger=one.end,
                outcome=orders.Outcome.NO_SIGNAL,
                signals=found,
                model_digest=digest,
                detail=detail,
            )
        book = self._ports.venue.book()
        for symbol in book:
            if symbol not in targets and symbol in one.bars:
                targets[symbol] = numbers.Quantity(0)
        return orders.Decision(
            trigger=one.end,
            outcome=orders.Outcome.TRADED,
            intents=execution.market_orders(targets, book),
            signals=found,
            model_digest=digest,
        )

    def _signals(self) -> tuple[tuple[orders.Signal, ...], str]:
        symbols, rows = self._ports.features.rows()
        if not symbols:
            return (), ""
        prediction = self._ports.predictor.predict(self._strategy.features.columns, rows)
        if prediction.digest != self._strategy.model_digest:
            raise errors.PredictionFailed(
                "wrong-digest", f"expected {self._strategy.model_digest}, got {prediction.digest}"
            )
        return signals.combine(symbols, rows, prediction), prediction.digest
