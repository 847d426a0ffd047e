"""The loop of the live process: one decision of the declared strategy per slice of bars, handed to the gateway.

What is decided is :class:`tradeplane_engine.declarative.Declarative`'s, as in a backtest; here the position is what the
gateway says, and each slice gives exactly one decision.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Protocol

from tradeplane_engine import clock, declarative, errors, execution, settings
from tradeplane_engine.domain import bars, numbers, orders, timeframes, times
from tradeplane_engine.features import sources
from tradeplane_engine.models import predictor

# A session in which none of our symbols traded is no slice.
_SPARE_SESSIONS = 10
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

    def rows_at(self, end: times.Nanos) -> sources.Scorable:
        """Return the symbols with a complete window at the bars that end then, and a row for each."""
        ...


class Venue(Protocol):
    """Where decisions go: the gateway, or the market of a backtest behind the same gate."""

    def book(self) -> Mapping[str, execution.Holding]:
        """Return position and working orders per symbol of this strategy's sub-ledger."""
        ...

    def submit(self, decision: orders.Decision) -> object:
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
        self._declared = declarative.Declarative(strategy, features=ports.features, model=ports.predictor)
        self._last = times.Nanos(0)

    @property
    def warm_up(self) -> int:
        """Slices that surely hold a whole window, but for symbols that seldom trade."""
        window = self._strategy.features.window
        is_daily = self._strategy.timeframe == timeframes.DAY
        return window + (_SPARE_SESSIONS if is_daily else max(window, _SPARE_SESSIONS))

    def idle(self) -> None:
        """Between bars there is nothing to do."""

    def stop(self) -> None:
        """Nothing is told of the end."""

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
        turn = _Turn(orders.Explanation(one.end))
        self._declared.on_bars(turn, tuple(one.bars.values()))
        said = turn.said
        intents: tuple[orders.Intent, ...] = ()
        if turn.targets:
            intents = execution.market_orders(turn.targets, self._ports.venue.book())
        return said.decision(one.end, intents)


@dataclass(slots=True)
class _Turn:
    """The context of one decision: what the strategy says and wants."""

    said: orders.Explanation
    targets: dict[str, numbers.Quantity] = field(default_factory=dict)

    def target(self, symbol: str, *, shares: int) -> None:
        """Want a position of so many shares."""
        self.targets[symbol] = numbers.Quantity(shares * numbers.ONE_SHARE)

    def signal(self, symbol: str, strength: float, *, direction: int, model: str, features: tuple[float, ...]) -> None:
        """Record what speaks for a position."""
        self.said.signals.append(orders.Signal(symbol, strength, features, direction, model=model))

    def outcome(self, outcome: orders.Outcome, detail: str) -> None:
        """Record what the turn led to."""
        self.said.outcome = outcome
        self.said.detail = detail
