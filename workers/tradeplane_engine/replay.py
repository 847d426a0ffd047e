"""Replay: a session record, bars and artifacts give the session's orders again. Needs no address of anything.

1. control events (state, policies, strategies, cancellations) act where they stand in the ledger's sequence;
2. a ``decision`` event first moves the market to its trigger: every session in between opens, fills and closes;
3. the strategy's own loop then decides on that bar, from history and artifact, and the gate judges with the books as of
   that instant. What the record says about orders is never read, except that one was stopped or cancelled.

Decisions that gave no signal in the session (missed, late, failed predictions) are facts of that day's machines, not of
the strategy: they are taken from the record, without intents.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradeplane_engine import backtest, desk, errors, loop, record, settings
from tradeplane_engine.core import gate, limits
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import bars, orders, timeframes, times
from tradeplane_engine.features import sources
from tradeplane_engine.models import predictor
from tradeplane_engine.venue import profile

Translate = Callable[[Mapping[str, Any]], settings.StrategySettings]


def run(
    session: record.Record,
    data: dataset.Dataset,
    *,
    predictors: Mapping[str, predictor.Predictor],
    translate: Translate,
    until: times.Nanos | None = None,
) -> backtest.Result:
    """Rebuild a session.

    Parameters
    ----------
    predictors : by digest, for every model digest that the strategies name
    translate : a StrategyConfig as recorded to engine settings
    until : after the last event, go on to open and close the sessions that end by then
    """
    replay = Replay(session, data, predictors=predictors, translate=translate)
    for event in session.sequence:
        replay.act(event)
    if until is not None:
        replay.advance(until)
    return replay.result()


@dataclass(slots=True)
class _Running:
    """One generation of a strategy: its loop, and its own slices that the loop has not seen yet, newest first."""

    settings: settings.StrategySettings
    loop: loop.Loop
    ahead: list[bars.BarSlice]


class Replay:
    """Walks one record; see the module's steps."""

    def __init__(
        self,
        session: record.Record,
        data: dataset.Dataset,
        *,
        predictors: Mapping[str, predictor.Predictor],
        translate: Translate,
    ) -> None:
        self._data = data
        self._predictors = predictors
        self._translate = translate
        self._ahead = list(reversed(data.slices()))
        self._clock = backtest.SessionClock()
        self._desk = _new_desk(session, days=data.trading())
        self._running: dict[str, _Running] = {}
        self._unmatched: list[str] = []

    def act(self, event: record.Event) -> None:
        """Let one event of the sequence act."""
        match event:
            case record.EnvironmentEvent():
                self._desk.bind_account(event.policy_name, _limits(event.policy_spec))
            case record.StateEvent():
                self._desk.state = event.state
            case record.PolicyEvent():
                self._desk.bind(event.name, _limits(event.spec) if event.hash else None)
            case record.StrategyEvent():
                self._declare(self._translate(event.config))
            case record.DecisionEvent():
                self._decide(event)
            case record.NotSentEvent():
                self._match(event.client_order_id, found=self._desk.forget(event.client_order_id))
            case record.CancelledEvent():
                self._match(event.client_order_id, found=self._desk.cancel(event.client_order_id))

    def advance(self, until: times.Nanos) -> None:
        """Open and close every session that ends by ``until``."""
        while self._ahead and self._ahead[-1].end <= until:
            one = self._ahead.pop()
            self._desk.open_session(one)
            self._clock.close(one)

    def result(self) -> backtest.Result:
        """Collect the outcome; raises LedgerBroken when it does not add up."""
        return backtest.result(self._desk, unmatched=tuple(self._unmatched))

    def _declare(self, strategy: settings.StrategySettings) -> None:
        """Start a generation as a new process would: with a new loop and the history up to its first trigger."""
        model = self._predictors.get(strategy.model_digest)
        if model is None:
            raise errors.ModelRefused(f"predictors: none has the digest {strategy.model_digest}")
        self._desk.declare(strategy)
        ports = loop.Ports(
            features=sources.LastBars(strategy.features, strategy.symbols),
            predictor=model,
            venue=backtest.StrategyVenue(self._desk, strategy.uid),
            clock=self._clock,
        )
        slices = self._data.triggers(strategy.symbols, timeframe=strategy.timeframe, session=strategy.session)
        ahead = list(reversed(slices))
        self._running[strategy.uid] = _Running(strategy, loop.Loop(strategy, ports), ahead)

    def _decide(self, event: record.DecisionEvent) -> None:
        running = self._running.get(event.uid)
        if running is None:
            raise errors.ValueRefused("sequence", "a strategy event before its decisions", event.uid)
        self._move_to(event)
        past = []
        while running.ahead and running.ahead[-1].end < event.trigger:
            past.append(running.ahead.pop())
        running.loop.warm(past[-running.settings.features.window :])
        if not running.ahead or running.ahead[-1].end != event.trigger:
            raise self._no_bar(event)
        one = running.ahead.pop()
        self._desk.quote(one)
        self._clock.close(one)
        if event.outcome is orders.Outcome.TRADED:
            running.loop.step(one)
            return
        running.loop.warm([one])
        self._desk.decide(event.uid, orders.Decision(trigger=event.trigger, outcome=event.outcome))

    def _move_to(self, event: record.DecisionEvent) -> None:
        if not self._desk.decided:  # nothing can have traded before the session's first decision
            while len(self._ahead) > 1 and self._ahead[-2].end <= event.trigger:
                self._ahead.pop()
        self.advance(event.trigger)

    def _no_bar(self, event: record.DecisionEvent) -> errors.ValueRefused:
        limit = f"the end of a bar of dataset {self._data.name}"
        return errors.ValueRefused(f"sequence, decision {event.seq}", limit, times.text(event.trigger))

    def _match(self, client_order_id: str, *, found: bool) -> None:
        if not found:
            self._unmatched.append(client_order_id)


def _limits(spec: Mapping[str, Any]) -> limits.Limits | None:
    """Read a policy as the gateway did; one that it refused let nothing leave."""
    try:
        return gate.limits_of(spec)
    except errors.ValueRefused:
        return None


def _new_desk(session: record.Record, *, days: Sequence[timeframes.Hours]) -> desk.Desk:
    for event in session.sequence:
        if isinstance(event, record.EnvironmentEvent):
            account = desk.Account(
                ledger=session.ledger,
                cash=session.starting_cash,
                costs=profile.named(session.venue_profile),
                policy=event.policy_name,
                limits=_limits(event.policy_spec),
            )
            return desk.Desk(account, days=days)
    raise errors.ValueRefused("sequence", "at least one environment event", "none")
