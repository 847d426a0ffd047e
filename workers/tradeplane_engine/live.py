"""A strategy live: one object between bars that come and a venue that answers, a class or what a manifest declares.

Per slice of bars, in this order: what the venue has said since the last one is booked and told; splits act; the bars
are taken in; timers ring; hooks see the bars; what they want becomes the slice's one decision; the venue's verdicts are
told. Strategy process and replay run this same code.

Between two slices each word of the venue is booked and told, and timers ring. What a hook wants then leaves at once, as
the next part of the last slice's decision. Each decision says up to which word all that was wanted is in it or before
it, so that another attempt hears everything later, and answers it.

History is taken in without being shown: it fills indicators, features and ``ctx.history``. What a strategy keeps in
itself begins with the first bar that it is shown, and ends with the process.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import Any, Protocol

from tradeplane_engine import clock, errors, settings, strategy
from tradeplane_engine.core import context, live
from tradeplane_engine.core import order as core_orders
from tradeplane_engine.domain import bars, numbers, orders, timeframes, times

_MOST = 10_000  # what market data gives at once
_NOTHING, _NO_PRICE, _FREE = numbers.Quantity(0), numbers.Price(0), numbers.Money(0)
_SPARE = (
    10  # slices of a warm-up in which a symbol may have no bar; of shorter bars than a day's as many again as it needs
)
_AVAILABLE = attrgetter("available_at")
_ENDS = {"canceled": core_orders.CANCELED, "expired": core_orders.EXPIRED, "rejected": core_orders.REJECTED}


class Happened(StrEnum):
    """What a venue says of an order."""

    SENT = "sent"
    FILL = "fill"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One step of an order of this strategy, in the sequence of the ledger.

    quantity : of the order; executed, price, fee : of this fill
    trigger : of the decision that wanted the order
    at : when it happened
    status, reason : of an end: canceled, expired or rejected
    """

    sequence: int
    event: Happened
    client_order_id: str
    symbol: str
    side: orders.Side
    quantity: numbers.Quantity
    trigger: times.Nanos
    at: times.Nanos
    executed: numbers.Quantity = _NOTHING
    price: numbers.Price = _NO_PRICE
    fee: numbers.Money = _FREE
    status: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one intent at the gate; ``reason`` is empty when it may be sent.

    quantity : how much of it may be sent; None for all that was wanted
    """

    client_order_id: str
    reason: str = ""
    detail: str = ""
    quantity: numbers.Quantity | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where the decisions of earlier attempts ended: with a part of a trigger's.

    heard : last order event that it may be an answer to; None if nobody knows
    """

    trigger: times.Nanos
    part: int = 0
    heard: int | None = None


class Venue(Protocol):
    """Where decisions go, and where the word about orders comes from."""

    def submit(self, decision: orders.Decision) -> Sequence[Verdict] | None:
        """Hand over a decision or a part of one; a verdict per intent, None where another decision stands."""
        ...

    def order_events(self, after: int) -> Sequence[OrderEvent]:
        """Return what happened to this strategy's orders behind a place in the ledger's sequence."""
        ...


class Features(Protocol):
    """What a declared strategy asks for its rows: it takes in every slice before the strategy is shown it."""

    @property
    def window(self) -> int:
        """Slices that a row is made of."""
        ...

    def observe(self, one: bars.BarSlice) -> None:
        """Take in the next slice, oldest first."""
        ...


def terms(order: core_orders.Order) -> orders.Terms:
    """Return how an order of the core is worked, as it was wanted; what a trailing stop has seen is not in it."""
    trails = order.kind == core_orders.TRAILING_STOP
    return orders.Terms(
        type=core_orders.KINDS[order.kind],
        time_in_force=core_orders.TIMES_IN_FORCE[order.time_in_force],
        limit_price=numbers.Price(order.limit),
        stop_price=numbers.Price(0 if trails else order.stop),
        trail_price=numbers.Price(order.trail),
        trail_bps=order.trail_bps,
        extended_hours=order.extended_hours,
    )


def want(ctx: context.Context, intent: orders.Intent) -> core_orders.Order:
    """Want in a run what an intent says."""
    how = intent.terms
    return ctx.order(
        intent.symbol,
        intent.side.value,
        Decimal(intent.quantity) / numbers.ONE_SHARE,
        how.type,
        how.time_in_force,
        limit=how.limit_price,
        stop=how.stop_price,
        trail=how.trail_price,
        trail_bps=how.trail_bps,
        extended_hours=how.extended_hours,
    )


class Host:
    """Runs one attempt of a strategy.

    Parameters
    ----------
    told : the generation's settings
    hosted : the object whose hooks are called
    venue : takes decisions, tells of orders
    now : trading time; bars of the future are refused
    digest : of the strategy's code, recorded with each decision; without one a decision has its signals' model
    features : that ``hosted`` reads, where it reads any
    """

    def __init__(
        self,
        told: settings.Generation,
        hosted: strategy.Strategy,
        venue: Venue,
        now: clock.Clock,
        digest: str = "",
        features: Features | None = None,
    ) -> None:
        self._told = told
        self._venue = venue
        self._clock = now
        self._digest = digest
        self._features = features
        self._symbols = tuple(sorted(told.symbols))
        self._ids = {symbol: number for number, symbol in enumerate(self._symbols)}
        length = times.DAY if told.timeframe == timeframes.DAY else timeframes.span(told.timeframe)
        self._core = live.Live(told.name, hosted, self._symbols, told.capital, numbers.PRICE_DIGITS, length)
        self._orders: dict[str, Any] = {}
        self._names: dict[int, str] = {}  # by the order's number
        self._withdrawn: list[Any] = []
        self._place: Place | None = None
        self._ahead: deque[OrderEvent] = deque()  # read and not yet booked
        self._read = 0  # of the ledger's sequence, as the next two
        self._sequence = 0
        self._answered = 0
        self._rung = times.Nanos(0)
        self._last = times.Nanos(0)
        self._now = times.Nanos(0)
        self._wanted: list[Any] = []
        self._core.start()
        if self.warm_up > _MOST:
            raise errors.ValueRefused("bars before the first decision", f"at most {_MOST}", self.warm_up)

    @property
    def warm_up(self) -> int:
        """Slices of history that it wants, and of longer histories the last ones."""
        needed = self._core.reach if self._features is None else max(self._core.reach, self._features.window)
        return needed + (_SPARE if self._told.timeframe == timeframes.DAY else max(_SPARE, needed))

    def warm(self, history: Iterable[bars.BarSlice], last: Place | None = None) -> None:
        """Take in slices of the past without deciding, up to where an earlier attempt's decisions ended.

        What had happened to orders, as far as it was heard, is booked and not told; what came later waits to be told.
        """
        slices = list(history)[-self.warm_up :]
        self._place = last
        self._listen()
        known = last.heard if last is not None and last.heard is not None else self._read
        events = [event for event in self._ahead if event.sequence <= known]
        self._ahead = deque(event for event in self._ahead if event.sequence > known)
        for one in slices:
            self._check(one)
            self._act(one, events, tell=False)
            self._take(one)
        self._apply(events, tell=False)
        self._sequence = self._answered = max(self._sequence, known)

    def step(self, one: bars.BarSlice) -> orders.Decision:
        """Decide on one slice and submit the decision, and what is wanted when its verdicts are told."""
        decision = self.decide(one)
        self.settle(self._venue.submit(decision))
        if self._core.wants():
            self.idle()
        return decision

    def decide(self, one: bars.BarSlice) -> orders.Decision:
        """Decide on one slice; whoever submits the decision must settle it before the next."""
        self._check(one)
        self._hear(one)
        rows = self._take(one)
        self._now = max(map(_AVAILABLE, one.bars.values()), default=one.end)
        self._core.ring(self._now)
        seen = self._core.show(self._now, rows)
        self._collect()
        self._place = Place(one.end)
        return self._decision(self._place, seen=seen)

    def between(self, until: times.Nanos) -> orders.Decision | None:
        """Go on between bars up to the next wish: return that part, to be settled before going on; None without one.

        until : timers ring up to here, when everything that the venue has said is told
        """
        self._listen()
        while True:
            found = self._part()
            if found is not None:
                return found
            if self._ahead:
                self._apply([self._ahead.popleft()], tell=True)
            elif not self._ring_next(until):
                return None

    def catch_up(self, until: times.Nanos) -> None:
        """Tell what the venue has said, and let timers ring that had rung up to here before the next bar."""
        if until > self._rung:
            self._listen()
            self._apply(self._events(), tell=True)
            while self._ring_next(until):
                pass

    def settle(self, verdicts: Sequence[Verdict] | None) -> None:
        """Tell what became of the wishes of the last decision."""
        wanted, self._wanted = self._wanted, []
        withdrawn, self._withdrawn = self._withdrawn, []
        if verdicts is None:
            for order in withdrawn:
                self._core.keep(order)
            for order in wanted:
                self._core.refuse(order, self._now, "decided-before", "an earlier attempt decided this trigger")
            return
        for order, verdict in zip(wanted, verdicts, strict=True):
            if verdict.reason:
                self._core.refuse(order, self._now, verdict.reason, verdict.detail)
            else:
                if verdict.quantity is not None:
                    order.cut(verdict.quantity)
                self._accept(order, verdict.client_order_id, self._now)

    def missed(self, trigger: times.Nanos, *, detail: str, one: bars.BarSlice | None = None) -> orders.Decision:
        """Record that a trigger passed without a decision; its slice, where it came after all, is not shown."""
        if one is not None:
            self._check(one)
            self._hear(one)
            self._take(one)
        self._place = Place(trigger)
        decision = orders.Decision(
            trigger=trigger,
            outcome=orders.Outcome.MISSED,
            detail=detail,
            model_digest=self._digest,
            heard=self._heard(),
            rung=self._rung,
        )
        self._venue.submit(decision)
        return decision

    def idle(self) -> None:
        """Between bars: tell what the venue has said, let timers ring, and submit what is wanted then, part by part."""
        while (part := self.between(self._clock.now())) is not None:
            self.settle(self._venue.submit(part))

    def stop(self) -> None:
        """Tell the strategy that it is over; raises ValueRefused for what it wants then, as no decision follows."""
        self._core.stop()
        lost = [*self._core.wanted(), *self._core.withdrawn()]
        if lost:
            allowed = "live without orders and cancels, for no decision follows"
            raise errors.ValueRefused("on_stop", allowed, str(lost[0]))

    @property
    def equity(self) -> numbers.Money:
        """Equity of the sub-ledger at the last closes."""
        return numbers.Money(self._core.context.equity)

    def _check(self, one: bars.BarSlice) -> None:
        if one.end <= self._last:
            raise errors.DataRefused("out-of-order", f"{times.text(one.end)} after {times.text(self._last)}")
        if one.timeframe != self._told.timeframe:
            raise errors.DataRefused("wrong-timeframe", f"must be {self._told.timeframe}, got {one.timeframe}")
        now = self._clock.now()
        latest = max(one.bars.values(), key=_AVAILABLE, default=None)
        if latest is not None and latest.available_at > now:
            raise errors.DataRefused(
                "not-yet-available",
                f"{latest.symbol}: known from {times.text(latest.available_at)}, now {times.text(now)}",
            )
        self._last = one.end

    def _hear(self, one: bars.BarSlice) -> None:
        """Book and tell everything up to now, splits of this slice in their place."""
        self._listen()
        events = self._events()
        self._act(one, events, tell=True)
        self._apply(events, tell=True)

    def _listen(self) -> None:
        """Read what the venue has said since."""
        self._ahead.extend(self._venue.order_events(self._read))
        if self._ahead:
            self._read = self._ahead[-1].sequence

    def _events(self) -> list[OrderEvent]:
        """Return what was read, to be booked now."""
        events = list(self._ahead)
        self._ahead.clear()
        return events

    def _heard(self) -> int:
        """Return the last order event up to which nothing that is wanted waits for a later decision."""
        if not self._core.wants():
            self._answered = self._sequence
        return self._answered

    def _ring_next(self, until: times.Nanos) -> bool:
        at = self._core.ring_next(until)
        if at:
            self._rung = times.Nanos(at)
            self._now = max(self._now, self._rung)
        return bool(at)

    def _collect(self) -> None:
        self._wanted = self._core.wanted()
        self._withdrawn = self._core.withdrawn()

    def _part(self) -> orders.Decision | None:
        """Return what is wanted as the next part; without a decision before it, or room for a part, it waits."""
        place = self._place
        if place is None or place.part == orders.MOST_PARTS or not self._core.wants():
            return None
        self._collect()
        if not self._wanted and not self._withdrawn:
            return None
        self._place = Place(place.trigger, place.part + 1)
        return self._decision(self._place, seen=True)

    def _act(self, one: bars.BarSlice, events: list[OrderEvent], *, tell: bool) -> None:
        """Let the slice's splits act between what was traded before and after them; takes those events away."""
        for action in sorted(one.actions, key=lambda action: (action.ex_start, action.symbol)):
            new, old = action.split
            if new == old or action.symbol not in self._ids:
                continue
            before = [event for event in events if event.at < action.ex_start]
            self._apply(before, tell=tell)
            events[:] = [event for event in events if event.at >= action.ex_start]
            self._core.split(self._ids[action.symbol], new, old, action.ex_start)

    def _take(self, one: bars.BarSlice) -> list[int]:
        if self._features is not None:
            self._features.observe(one)
        rows = []
        for symbol in sorted(one.bars):
            bar = one.bars[symbol]
            row = (bar.start, bar.end, bar.available_at, bar.open, bar.high, bar.low, bar.close, bar.volume)
            rows.append(self._core.take(self._ids[symbol], row))
        return rows

    def _decision(self, place: Place, *, seen: bool) -> orders.Decision:
        trigger = place.trigger
        heard, rung = self._heard(), self._rung
        said = self._core.context.explanations
        told = said[-1] if said else orders.Explanation(trigger)
        said.clear()
        cancels = tuple(self._names[order.id] for order in self._withdrawn)
        if not seen and not self._wanted and not cancels:
            detail = f"warming-up: no symbol has {self._core.warmup + 1} bars yet"
            return orders.Decision(
                trigger=trigger,
                outcome=orders.Outcome.NO_SIGNAL,
                detail=detail,
                model_digest=self._digest,
                heard=heard,
                rung=rung,
            )
        counted: Counter[int] = Counter()
        intents = []
        for order in self._wanted:
            intents.append(
                orders.Intent(
                    symbol=self._symbols[order.symbol],
                    side=orders.Side.BUY if order.side > 0 else orders.Side.SELL,
                    quantity=numbers.Quantity(order.quantity),
                    terms=terms(order),
                    number=counted[order.symbol],
                )
            )
            counted[order.symbol] += 1
        found = told.decision(trigger, intents)
        outcome = orders.Outcome.TRADED if intents else found.outcome
        return replace(
            found,
            outcome=outcome,
            model_digest=self._digest or found.model_digest,
            cancels=cancels,
            part=place.part,
            heard=heard,
            rung=rung,
        )

    def _apply(self, events: Iterable[OrderEvent], *, tell: bool) -> None:
        for event in events:
            self._sequence = max(self._sequence, event.sequence)
            order = self._orders.get(event.client_order_id)
            if order is None:
                order = self._adopt(event)
            if order is None or event.event is Happened.SENT:
                continue
            self._now = max(self._now, event.at)
            if event.event is Happened.FILL:
                self._core.fill(order, event.executed, event.price, event.fee, event.at, tell=tell)
            else:
                self._core.end(order, _ENDS[event.status], event.reason, event.at, tell=tell)

    def _adopt(self, event: OrderEvent) -> Any:
        """Make an order that an earlier attempt wanted; None for a symbol that has left the universe."""
        symbol = self._ids.get(event.symbol)
        if symbol is None:
            return None
        order = core_orders.Order(0, symbol, event.side.sign, event.quantity)
        self._accept(order, event.client_order_id, event.trigger, tell=False)
        return order

    def _accept(self, order: Any, client_order_id: str, at: times.Nanos, *, tell: bool = True) -> None:
        """Know an order from now on by its client order id."""
        self._orders[client_order_id] = order
        self._core.accept(order, at, tell=tell)
        self._names[order.id] = client_order_id
