"""Replay: a session record, bars and artifacts give the session's orders again. Needs no address of anything.

1. control events (state, policies, strategies, cancellations) act where they stand in the ledger's sequence;
2. a ``decision`` event first moves the kernel to its trigger: every session in between opens, fills and closes;
3. the strategy then decides on that bar, from history and artifact, and the risk chain judges with the books as of that
   instant. What the record says about orders is never read, except that one was stopped or cancelled.

Decisions that gave no signal in the session (missed, late, failed predictions) are facts of that day's machines, not of
the strategy: they are taken from the record, without intents.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tradeplane_engine import backtest, declarative, desk, entrypoint, errors, journal, live, record, settings
from tradeplane_engine.core import context, gate, limits
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import bars, orders, times
from tradeplane_engine.features import sources
from tradeplane_engine.models import predictor
from tradeplane_engine.venue import profile

Translate = Callable[[Mapping[str, Any]], settings.Generation]


def run(
    session: record.Record,
    data: dataset.Dataset,
    *,
    predictors: Mapping[str, predictor.Predictor],
    translate: Translate,
) -> backtest.Result:
    """Rebuild a session.

    Parameters
    ----------
    predictors : by digest, for every model digest that the strategies name
    translate : a StrategyConfig as recorded to engine settings; classes that they name are imported
    """
    replay = Replay(session, data, predictors=predictors, translate=translate)
    for event in session.sequence:
        replay.act(event)
    return replay.result()


@dataclass(slots=True)
class _Running:
    """One generation of a strategy: its features, and its own slices that it has not seen yet, newest first."""

    strategy: declarative.Declarative
    features: sources.LastBars
    window: int
    ahead: list[bars.BarSlice]


@dataclass(slots=True)
class _Code:
    """One attempt of a class: its host, and its own slices that it has not seen yet, newest first."""

    host: live.Host
    ahead: list[bars.BarSlice]


@dataclass(frozen=True, slots=True)
class _Venue:
    """The desk as a class's venue: it tells of orders; decisions are taken from the host and judged in its turn."""

    recorder: journal.Recorder

    def submit(self, decision: orders.Decision) -> None:
        """Leave it to the desk, which records it."""

    def order_events(self, after: int) -> list[live.OrderEvent]:
        """Return what happened since."""
        return self.recorder.events[after:]


@dataclass(frozen=True, slots=True)
class _Always:
    """The bars of a dataset are past."""

    def now(self) -> times.Nanos:
        """Return an instant after all of them."""
        return times.Nanos(2**63 - 1)


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
        self._desk = desk.Desk(_account(session), _traded(session, data), days=data.trading())
        self._running: dict[str, _Running | _Code] = {}
        self._unmatched: list[str] = []

    def act(self, event: record.Event) -> None:
        """Let one event of the sequence act."""
        match event:
            case record.EnvironmentEvent():
                self._desk.bind_account(event.policy_name, _limits(event.policy_spec))
            case record.StateEvent():
                self._desk.enter(event.state)
            case record.PolicyEvent():
                self._desk.bind(event.name, _limits(event.spec) if event.hash else None)
            case record.StrategyEvent():
                self._declare(self._translate(event.config))
            case record.DecisionEvent():
                self._decide(event)
            case record.StandingEvent():
                self._desk.stand(event.scope, event.standing)
            case record.NotSentEvent():
                self._match(event.client_order_id, found=self._desk.forget(event.client_order_id))
            case record.CancelledEvent(status="expired"):
                pass  # it expires here by itself, when its time has come, and the strategy hears that word
            case record.CancelledEvent():
                self._match(event.client_order_id, found=self._desk.cancel(event.client_order_id))

    def result(self) -> backtest.Result:
        """Collect the outcome; raises LedgerBroken when it does not add up."""
        return backtest.result(self._desk, unmatched=tuple(self._unmatched))

    def _declare(self, declared: settings.Generation) -> None:
        """Start a generation as a new process would: with the history up to its first trigger."""
        if isinstance(declared, settings.CodeSettings):
            self._desk.declare(declared)
            hosted = entrypoint.load(declared.entrypoint, declared.parameters)
            host = live.Host(declared, hosted, _Venue(self._desk.recorder(declared.uid)), _Always())
            self._running[declared.uid] = _Code(host, self._slices(declared))
            return
        model = self._predictors.get(declared.model_digest)
        if model is None:
            raise errors.ModelRefused(f"predictors: none has the digest {declared.model_digest}")
        self._desk.declare(declared)
        features = sources.LastBars(declared.features, declared.symbols)
        self._running[declared.uid] = _Running(
            strategy=declarative.Declarative(declared, features=features, model=model),
            features=features,
            window=declared.features.window,
            ahead=self._slices(declared),
        )

    def _slices(self, declared: settings.Trader) -> list[bars.BarSlice]:
        """Return a strategy's slices, newest first."""
        found = self._data.triggers(declared.symbols, timeframe=declared.timeframe, session=declared.session)
        return list(reversed(found))

    def _decide(self, event: record.DecisionEvent) -> None:
        running = self._running.get(event.uid)
        if running is None:
            raise errors.ValueRefused("sequence", "a strategy event before its decisions", event.uid)
        past = []
        while running.ahead and running.ahead[-1].end < event.trigger:
            past.append(running.ahead.pop())
        if not running.ahead or running.ahead[-1].end != event.trigger:
            limit = f"the end of a bar of dataset {self._data.name}"
            raise errors.ValueRefused(f"sequence, decision {event.seq}", limit, times.text(event.trigger))
        one = running.ahead.pop()
        if isinstance(running, _Code):
            self._decide_code(event, running.host, past, one)
            return
        for each in (*past[-running.window :], one):
            running.features.observe(each)
        if event.outcome is orders.Outcome.TRADED:
            self._desk.decide(event.uid, one, running.strategy.shown(one.bars.values()))
        else:
            self._desk.decide(event.uid, one, lambda ctx: ctx.outcome(event.outcome))

    def _decide_code(
        self, event: record.DecisionEvent, host: live.Host, past: list[bars.BarSlice], one: bars.BarSlice
    ) -> None:
        """Let a class decide, as its process did; a missed trigger's bars are taken in and not shown."""
        if past:
            host.warm(past)

        def act(ctx: context.Context) -> None:
            if event.outcome is orders.Outcome.MISSED:
                host.missed(event.trigger, detail="", one=one)
                ctx.outcome(event.outcome)
                return
            decision = host.decide(one)
            ctx.outcome(decision.outcome, decision.detail)
            for intent in decision.intents:
                live.want(ctx, intent)

        self._desk.decide(event.uid, one, act)
        if event.outcome is not orders.Outcome.MISSED:
            host.settle(self._desk.recorder(event.uid).verdicts)

    def _match(self, client_order_id: str, *, found: bool) -> None:
        if not found:
            self._unmatched.append(client_order_id)


def _limits(spec: Mapping[str, Any]) -> limits.Limits | None:
    """Read a policy as the gateway did; one that it refused let nothing leave."""
    try:
        return gate.limits_of(spec)
    except errors.ValueRefused:
        return None


def _account(session: record.Record) -> desk.Account:
    for event in session.sequence:
        if isinstance(event, record.EnvironmentEvent):
            return desk.Account(
                ledger=session.ledger,
                cash=session.starting_cash,
                costs=profile.named(session.venue_profile),
                policy=event.policy_name,
                limits=_limits(event.policy_spec),
            )
    raise errors.ValueRefused("sequence", "at least one environment event", "none")


def _traded(session: record.Record, data: dataset.Dataset) -> tuple[bars.BarSlice, ...]:
    """Return the slices from the first decision's on: nothing can have traded before it."""
    first = next((event.trigger for event in session.sequence if isinstance(event, record.DecisionEvent)), None)
    slices = data.slices()
    if first is None:
        return ()
    until = sum(one.end <= first for one in slices)
    return slices[max(until - 1, 0) :]
