"""Replay: a session record, bars and artifacts give the session's orders again. Needs no address of anything.

1. control events (state, policies, strategies, cancellations) act where they stand in the ledger's sequence;
2. a ``decision`` event first moves the kernel to its trigger: every session in between opens, fills and closes;
3. the strategy then decides on that bar, from history and artifact, and the risk chain judges with the books as of that
   instant. What the record says about orders is never read, except that one was stopped or cancelled;
4. a further part of a decision moves the kernel until as many fills and ends have happened as the strategy had heard,
   which are told; what its hooks want then is that part, at the venue when the broker had it.

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

_NEVER = times.Nanos(2**63 - 1)
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
    """One attempt of a class: its host, and its own slices that it has not seen yet, newest first.

    seen : its last slice; None before its first decision
    """

    host: live.Host
    venue: "_Venue"
    ahead: list[bars.BarSlice]
    seen: bars.BarSlice | None = None


@dataclass(slots=True)
class _Venue:
    """The desk as a class's venue: it tells of orders; decisions are taken from the host and judged in its turn.

    heard : how many fills and ends it tells of; None for all there are
    """

    recorder: journal.Recorder
    heard: int | None = None

    def submit(self, decision: orders.Decision) -> None:
        """Leave it to the desk, which records it."""

    def order_events(self, after: int) -> list[live.OrderEvent]:
        """Return what happened since."""
        return self.recorder.events[after : self.recorder.up_to(self.heard)]


@dataclass(frozen=True, slots=True)
class _Always:
    """The bars of a dataset are past."""

    def now(self) -> times.Nanos:
        """Return an instant after all of them."""
        return _NEVER


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
        self._places: dict[str, record.DecisionEvent] = {}
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
            venue = _Venue(self._desk.recorder(declared.uid))
            host = live.Host(declared, hosted, venue, _Always())
            self._running[declared.uid] = _Code(host, venue, self._slices(declared))
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
        if event.part:
            self._answer(event, running)
            return
        past = []
        while running.ahead and running.ahead[-1].end < event.trigger:
            past.append(running.ahead.pop())
        if not running.ahead or running.ahead[-1].end != event.trigger:
            limit = f"the end of a bar of dataset {self._data.name}"
            raise errors.ValueRefused(f"sequence, decision {event.seq}", limit, times.text(event.trigger))
        one = running.ahead.pop()
        if isinstance(running, _Code):
            self._decide_code(event, running, past, one)
            return
        for each in (*past[-running.window :], one):
            running.features.observe(each)
        if event.outcome is orders.Outcome.TRADED:
            self._desk.decide(event.uid, one, running.strategy.shown(one.bars.values()))
        else:
            self._desk.decide(event.uid, one, lambda ctx: ctx.outcome(event.outcome))

    def _decide_code(
        self, event: record.DecisionEvent, running: _Code, past: list[bars.BarSlice], one: bars.BarSlice
    ) -> None:
        """Let a class decide, as its process did; a missed trigger's bars are taken in and not shown."""
        host = running.host
        running.venue.heard = event.heard
        if past or running.seen is None:
            self._warm(event.uid, running, past)
        running.seen = one
        self._places[event.uid] = event

        def act(ctx: context.Context) -> None:
            host.catch_up(event.rung)
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

    def _answer(self, event: record.DecisionEvent, running: _Running | _Code) -> None:
        """Let a class answer what it heard between two bars, as its process did."""
        where = f"decision {event.seq}, part {event.part} of {times.text(event.trigger)}"
        if event.uid not in self._places or not isinstance(running, _Code):
            raise errors.ValueRefused("sequence", "parts that follow a decision, of strategies with code", where)
        if running.seen is None:  # another attempt, whose first word this is
            running.venue.heard = event.heard
            past = []
            while running.ahead and running.ahead[-1].end <= event.trigger:
                past.append(running.ahead.pop())
            self._warm(event.uid, running, past)
            running.seen = past[-1] if past and past[-1].end == event.trigger else None
        if running.seen is None:
            limit = f"the end of a bar of dataset {self._data.name}"
            raise errors.ValueRefused(f"sequence, {where}", limit, times.text(event.trigger))
        running.venue.heard = event.heard
        until = max(bar.available_at for bar in running.ahead[-1].bars.values()) if running.ahead else _NEVER
        if event.heard is not None:
            self._desk.listen(event.uid, event.heard, until)
        self._places[event.uid] = event
        decision = running.host.between(event.rung)
        if decision is None:
            self._unmatched.append(where)
            return
        wanted = decision.intents

        def act(ctx: context.Context) -> None:
            for intent in wanted:
                live.want(ctx, intent)

        self._desk.answer(event.uid, running.seen, event.part, act, sent_at=event.at)
        running.host.settle(self._desk.recorder(event.uid).verdicts)

    def _warm(self, uid: str, running: _Code, past: list[bars.BarSlice]) -> None:
        """Begin as a process does, where the decisions of the attempt before it ended."""
        last = self._places.get(uid)
        if last is None:
            running.host.warm(past)
            return
        heard = None if last.heard is None else running.venue.recorder.up_to(last.heard)
        running.host.warm(past, live.Place(last.trigger, last.part, heard))

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
