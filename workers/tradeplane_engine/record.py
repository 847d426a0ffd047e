"""The session record: the ledger sequence's control events, from which a backtest rebuilds the session's orders.

``docs/reference/interfaces.md`` shows the document. :func:`parse` validates it, :func:`without_halts` and
:func:`without_edits` give the counterfactual ones, :func:`canonical_order` the bytes that are compared.
"""

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from tradeplane_engine import errors
from tradeplane_engine.core import standing
from tradeplane_engine.domain import numbers, orders, times

VERSION = 1
_E = TypeVar("_E")


@dataclass(frozen=True, slots=True)
class EnvironmentEvent:
    """The Environment's spec, and the policy that judges the account from here on."""

    seq: int
    spec: Mapping[str, Any]
    policy_name: str
    policy_hash: str
    policy_spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StateEvent:
    """The trading state from here on."""

    seq: int
    state: orders.State
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StrategyEvent:
    """A new Strategy or a new generation of one: the job's whole configuration."""

    seq: int
    uid: str
    generation: int
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PolicyEvent:
    """A RiskPolicy changed; acts on the next decision. Without a hash it is absent, and nothing may leave under it."""

    seq: int
    name: str
    hash: str
    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DecisionEvent:
    """A strategy answered a trigger, or what it heard between it and the next.

    part : 0 of the bar's own decision
    heard : how many fills and ends of its orders it had heard then; None in records of before, and for all there are
    rung : last timer that had rung between bars, 0 for none
    at : when the broker had the first order of a part; None where it had none
    """

    seq: int
    uid: str
    trigger: times.Nanos
    outcome: orders.Outcome
    part: int = 0
    heard: int | None = None
    rung: times.Nanos = times.Nanos(0)  # noqa: RUF009 - an int
    at: times.Nanos | None = None


@dataclass(frozen=True, slots=True)
class StandingEvent:
    """What the limits on losses of a scope (``account``, or a Strategy's UID) are measured from, from here on."""

    seq: int
    scope: str
    standing: standing.Standing


@dataclass(frozen=True, slots=True)
class NotSentEvent:
    """An intent that passed the gate and never became an order at the broker."""

    seq: int
    client_order_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class CancelledEvent:
    """An order that ended at the broker without the strategy's doing; ``status`` is empty in records of before it."""

    seq: int
    client_order_id: str
    status: str = ""


Event = (
    EnvironmentEvent
    | StateEvent
    | StrategyEvent
    | PolicyEvent
    | StandingEvent
    | DecisionEvent
    | NotSentEvent
    | CancelledEvent
)
_OF_THE_SESSION = (StandingEvent, CancelledEvent, NotSentEvent)  # of what happened in it, whatever was told to it


@dataclass(frozen=True, slots=True)
class Record:
    """One session of one Environment."""

    environment: str
    mode: str
    ledger: str
    venue_profile: str
    starting_cash: numbers.Money
    sequence: tuple[Event, ...]


def parse(document: Mapping[str, Any]) -> Record:
    """Validate a session record; raises ValueRefused naming what is wrong and where."""
    if document.get("version") != VERSION:
        raise errors.ValueRefused("version", str(VERSION), document.get("version"))
    events = tuple(_event(item, index) for index, item in enumerate(_get(document, "sequence", list, "record")))
    for before, after in itertools.pairwise(events):
        if after.seq <= before.seq:
            raise errors.ValueRefused("sequence", f"above {before.seq}", after.seq)
    return Record(
        environment=_get(document, "environment", str, "record"),
        mode=_get(document, "mode", str, "record"),
        ledger=_get(document, "ledger", str, "record"),
        venue_profile=_get(document, "venue_profile", str, "record"),
        starting_cash=numbers.money(_get(document, "starting_cash", str, "record"), field="starting_cash"),
        sequence=events,
    )


def without_halts(record: Record) -> Record:
    """Return the record as if nobody had halted after trading was first enabled, with nothing stopped or cancelled."""
    kept: list[Event] = []
    enabled = False
    for event in record.sequence:
        if isinstance(event, StateEvent):
            enabled = enabled or event.state is orders.State.ENABLED
            if enabled and event.state is not orders.State.ENABLED:
                continue
        elif isinstance(event, _OF_THE_SESSION):
            continue
        kept.append(_all_heard(event))
    return replace(record, sequence=tuple(kept))


def without_edits(record: Record) -> Record:
    """Return the record as if no Strategy had been edited: only the first configuration of each UID, no standings."""
    seen: set[str] = set()
    kept: list[Event] = []
    for event in record.sequence:
        if isinstance(event, StrategyEvent):
            if event.uid in seen:
                continue
            seen.add(event.uid)
        elif isinstance(event, StandingEvent):
            continue
        kept.append(_all_heard(event))
    return replace(record, sequence=tuple(kept))


def _all_heard(event: Event) -> Event:
    """Let a bar's decision hear all there is: of other orders there are other fills. Parts stay where they were."""
    return replace(event, heard=None) if isinstance(event, DecisionEvent) and not event.part else event


def canonical_order(order: orders.Order) -> bytes:
    """Return the canonical JSON bytes by which the ledger's and the backtest's orders are compared."""
    return json.dumps(
        {
            "client_order_id": order.client_order_id,
            "bar_end": times.text(order.bar_end),
            "symbol": order.symbol,
            "side": order.side.value,
            "quantity": numbers.quantity_text(order.quantity),
            **described(order.terms),
        },
        sort_keys=True,
        separators=(",", ":"),
    ).encode()


def described(terms: orders.Terms) -> dict[str, Any]:
    """Return how an order is worked as JSON values; what its type has not is left out."""
    prices = {name: getattr(terms, name) for name in ("limit_price", "stop_price", "trail_price")}
    found: dict[str, Any] = {name: numbers.price_text(price) for name, price in prices.items() if price}
    if terms.trail_bps:
        found["trail_bps"] = terms.trail_bps
    if terms.extended_hours:
        found["extended_hours"] = True
    return {"type": terms.type, "time_in_force": terms.time_in_force, **found}


def terms(shown: Mapping[str, Any]) -> orders.Terms:
    """Read what :func:`described` gave; raises ValueRefused for a price that is none."""
    limit, stop, trail = (
        numbers.price(shown[name], field=name) if shown.get(name) else numbers.Price(0)
        for name in ("limit_price", "stop_price", "trail_price")
    )
    words = shown["type"], shown["time_in_force"]
    return orders.Terms(*words, limit, stop, trail, shown.get("trail_bps", 0), shown.get("extended_hours", False))


def _environment(item: Mapping[str, Any], seq: int, where: str) -> Event:
    policy = _get(item, "policy", dict, where)
    return EnvironmentEvent(
        seq=seq,
        spec=_get(item, "spec", dict, where),
        policy_name=_get(policy, "name", str, where),
        policy_hash=_get(policy, "hash", str, where),
        policy_spec=_get(policy, "spec", dict, where),
    )


def _state(item: Mapping[str, Any], seq: int, where: str) -> Event:
    causes = tuple(str(cause) for cause in item.get("causes", ()))
    return StateEvent(seq, _word(orders.State, _get(item, "state", str, where), f"{where}.state"), causes)


def _strategy(item: Mapping[str, Any], seq: int, where: str) -> Event:
    config = _get(item, "config", dict, where)
    return StrategyEvent(seq, _get(config, "uid", str, where), _get(config, "generation", int, where), config)


def _policy(item: Mapping[str, Any], seq: int, where: str) -> Event:
    name, digest = _get(item, "name", str, where), _get(item, "hash", str, where)
    return PolicyEvent(seq, name, digest, _get(item, "spec", dict, where))


def _decision(item: Mapping[str, Any], seq: int, where: str) -> Event:
    return DecisionEvent(
        seq=seq,
        uid=_get(item, "uid", str, where),
        trigger=times.instant(_get(item, "trigger", str, where), field=f"{where}.trigger"),
        outcome=_word(orders.Outcome, _get(item, "outcome", str, where), f"{where}.outcome"),
        part=_get(item, "part", int, where) if "part" in item else 0,
        heard=_get(item, "heard", int, where) if "heard" in item else None,
        rung=_instant(item, "rung", where) or times.Nanos(0),
        at=_instant(item, "at", where),
    )


def _instant(item: Mapping[str, Any], key: str, where: str) -> times.Nanos | None:
    return times.instant(_get(item, key, str, where), field=f"{where}.{key}") if key in item else None


def _standing(item: Mapping[str, Any], seq: int, where: str) -> Event:
    capital, equity, session_equity, peak = (
        numbers.money(_get(item, name, str, where), field=f"{where}.{name}")
        for name in ("capital", "equity", "session_equity", "peak")
    )
    at = times.instant(_get(item, "at", str, where), field=f"{where}.at")
    found = standing.Standing(at, capital, equity, session_equity, peak, _get(item, "losses", int, where))
    return StandingEvent(seq, _get(item, "scope", str, where), found)


def _not_sent(item: Mapping[str, Any], seq: int, where: str) -> Event:
    return NotSentEvent(seq, _get(item, "client_order_id", str, where), _get(item, "reason", str, where))


def _cancelled(item: Mapping[str, Any], seq: int, where: str) -> Event:
    return CancelledEvent(seq, _get(item, "client_order_id", str, where), str(item.get("status", "")))


_PARSERS: dict[str, Callable[[Mapping[str, Any], int, str], Event]] = {
    "environment": _environment,
    "state": _state,
    "strategy": _strategy,
    "policy": _policy,
    "standing": _standing,
    "decision": _decision,
    "not-sent": _not_sent,
    "cancelled": _cancelled,
}


def _event(item: Any, index: int) -> Event:
    where = f"sequence[{index}]"
    if not isinstance(item, dict):
        raise errors.ValueRefused(where, "an object", item)
    kind = _get(item, "type", str, where)
    parser = _PARSERS.get(kind)
    if parser is None:  # an event that replay does not understand may have stopped orders
        raise errors.ValueRefused(f"{where}.type", f"one of {sorted(_PARSERS)}", kind)
    return parser(item, _get(item, "seq", int, where), where)


def _get(item: Mapping[str, Any], key: str, kind: type[_E], where: str) -> _E:
    value = item.get(key)
    if not isinstance(value, kind):
        raise errors.ValueRefused(f"{where}.{key}", f"a {kind.__name__}", value)
    return value


def _word(words: type[_E], text: str, field: str) -> _E:
    try:
        return words(text)  # type: ignore[call-arg]  # an enum is called with its value
    except ValueError:
        raise errors.ValueRefused(field, f"one of {[str(word) for word in words]}", text) from None  # type: ignore[attr-defined]  # as above
