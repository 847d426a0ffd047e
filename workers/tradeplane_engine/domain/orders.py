"""Decisions, intents and orders: what a strategy wants and what became of it.

A strategy answers each trigger with exactly one :class:`Decision`, its part 0; what it wants between this bar and the
next are further parts, in their order. Each :class:`Intent` becomes at most one order at the broker, under a client
order id that can be read and rebuilt (:func:`client_order_id`).
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, times

_NO_PRICE = numbers.Price(0)
_ID_MAX = 128
MOST_PARTS = 99
"""Parts that may follow a bar's own decision before the next one's."""
_MOST_OF_A_PART = 1000  # intents of one symbol and role
_PART = re.compile(r"[A-Za-z0-9_]+")
_WHOLE = re.compile(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+){7}")


class Side(StrEnum):
    """Direction of an order; a short sale is a sell."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1


class Outcome(StrEnum):
    """What a trigger led to; the last two say that no signal could be used."""

    TRADED = "traded"
    NO_SIGNAL = "no-signal"
    MISSED = "missed"
    PREDICTION_LATE = "prediction-late"


class State(StrEnum):
    """How much may leave, from most to least; the strictest cause wins."""

    ENABLED = "enabled"
    REDUCE_ONLY = "reduce-only"
    FLATTEN = "flatten"
    HALTED = "halted"


class Role(StrEnum):
    """Why an order exists; part of its client order id."""

    ORDER = "order"


@dataclass(frozen=True, slots=True)
class Signal:
    """What speaks for a position in one symbol; raises ValueRefused naming a field that is none.

    score : its strength, finite, in the unit of whatever gave it
    features : the row that it was computed from (NaN where a feature is undefined)
    direction : 1 long, -1 short, 0 neither
    confidence : probability that the direction is right; None where nobody knows one
    horizon : for how long it speaks, ns; None where nobody says so
    model : digest of the artifact that gave it
    """

    symbol: str
    score: float
    features: tuple[float, ...] = ()
    direction: int = 0
    confidence: float | None = None
    horizon: int | None = None
    model: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be ranked, and directions and probabilities that are none."""
        if not math.isfinite(self.score):
            raise errors.ValueRefused(f"signal of {self.symbol}, strength", "finite", self.score)
        if self.direction not in {-1, 0, 1}:
            raise errors.ValueRefused(f"signal of {self.symbol}, direction", "-1, 0 or 1", self.direction)
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise errors.ValueRefused(f"signal of {self.symbol}, confidence", "from 0 to 1", self.confidence)
        if self.horizon is not None and self.horizon <= 0:
            raise errors.ValueRefused(f"signal of {self.symbol}, horizon", "above 0 ns", self.horizon)


@dataclass(slots=True)
class Explanation:
    """What a strategy says about its decision of one instant; without an outcome it is ``traded``."""

    at: times.Nanos
    outcome: Outcome = Outcome.TRADED
    detail: str = ""
    signals: list[Signal] = field(default_factory=list)

    def decision(self, trigger: times.Nanos, intents: Iterable["Intent"]) -> "Decision":
        """Return the decision that it explains; the model is that of its signals, which have one."""
        return Decision(
            trigger=trigger,
            outcome=self.outcome,
            intents=tuple(intents),
            signals=tuple(self.signals),
            model_digest=self.signals[0].model if self.signals else "",
            detail=self.detail,
        )


@dataclass(frozen=True, slots=True)
class Terms:
    """How an order is worked, in the broker's words; prices are 0 where its type has none.

    trail_price, trail_bps : distance of a trailing stop, one of both
    """

    type: str = "market"
    time_in_force: str = "day"
    limit_price: numbers.Price = _NO_PRICE
    stop_price: numbers.Price = _NO_PRICE
    trail_price: numbers.Price = _NO_PRICE
    trail_bps: int = 0
    extended_hours: bool = False


AT_MARKET = Terms()


@dataclass(frozen=True, slots=True)
class Intent:
    """A wanted order; ``quantity`` is positive; ``number`` counts intents of one symbol and role in a part."""

    symbol: str
    side: Side
    quantity: numbers.Quantity
    terms: Terms = AT_MARKET
    role: Role = Role.ORDER
    number: int = 0

    @property
    def signed(self) -> numbers.Quantity:
        """Change of the position when filled."""
        return numbers.Quantity(self.side.sign * self.quantity)


@dataclass(frozen=True, slots=True)
class Decision:
    """A strategy's answer to one trigger, the end of the bar, or to what it heard since: (trigger, part) is the key.

    cancels : client order ids of orders that it wants no more
    part : 0 of the bar's own, from 1 on of those between it and the next bar
    heard : last order event in the ledger's sequence that everything wanted so far may be an answer to; None if unknown
    rung : last timer that had rung between bars, 0 for none
    """

    trigger: times.Nanos
    outcome: Outcome
    intents: tuple[Intent, ...] = ()
    signals: tuple[Signal, ...] = ()
    model_digest: str = ""
    detail: str = ""
    cancels: tuple[str, ...] = ()
    part: int = 0
    heard: int | None = None
    rung: times.Nanos = times.Nanos(0)  # noqa: RUF009 - an int


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the broker knows it; ``bar_end`` is the trigger of the decision that wanted it."""

    client_order_id: str
    bar_end: times.Nanos
    symbol: str
    side: Side
    quantity: numbers.Quantity
    terms: Terms = AT_MARKET

    @property
    def signed(self) -> numbers.Quantity:
        """Change of the position when filled."""
        return numbers.Quantity(self.side.sign * self.quantity)


@dataclass(frozen=True, slots=True)
class Fill:
    """An execution of (part of) an order; ``quantity`` is positive, ``session`` the New York day, ``2012-03-05``."""

    client_order_id: str
    symbol: str
    side: Side
    quantity: numbers.Quantity
    price: numbers.Price
    at: times.Nanos
    session: str


@dataclass(frozen=True, slots=True)
class OrderKey:
    """The parts of a client order id. ``uid`` is the Strategy's UID without dashes, ``number`` a :func:`number`."""

    ledger: str
    uid: str
    trigger: times.Nanos
    symbol: str
    role: Role = Role.ORDER
    number: int = 0
    replacement: int = 0
    attempt: int = 1


def number(part: int, count: int) -> int:
    """Return the number of an order: of all of its symbol and role between two bars; raises ValueRefused."""
    if not 0 <= part <= MOST_PARTS:
        raise errors.ValueRefused("part", f"from 0 to {MOST_PARTS}", part)
    if not 0 <= count < _MOST_OF_A_PART:
        raise errors.ValueRefused("intents, number", f"from 0 to {_MOST_OF_A_PART - 1}", count)
    return part * _MOST_OF_A_PART + count


def client_order_id(key: OrderKey) -> str:
    """Return ``ledger-uid-trigger-symbol-role-number-replacement-attempt``; raises ValueRefused past 128 characters."""
    parts = (
        key.ledger,
        key.uid.replace("-", ""),
        times.compact(key.trigger),
        key.symbol.replace(".", "_"),
        key.role.value,
        str(key.number),
        str(key.replacement),
        str(key.attempt),
    )
    text = "-".join(parts)
    if not _WHOLE.fullmatch(text):
        part = next((part for part in parts if not _PART.fullmatch(part)), text)
        raise errors.ValueRefused("client_order_id", "built from parts of [A-Za-z0-9_]", part)
    if len(text) > _ID_MAX:
        raise errors.ValueRefused("client_order_id", f"at most {_ID_MAX} characters", text)
    return text


def parse_client_order_id(text: str) -> OrderKey:
    """Invert :func:`client_order_id`; raises ValueRefused for an id that is not ours."""
    parts = text.split("-")
    try:
        ledger, uid, trigger, symbol, role, number, replacement, attempt = parts
        return OrderKey(
            ledger=ledger,
            uid=uid,
            trigger=times.from_compact(trigger),
            symbol=symbol.replace("_", "."),
            role=Role(role),
            number=int(number),
            replacement=int(replacement),
            attempt=int(attempt),
        )
    except ValueError:
        raise errors.ValueRefused("client_order_id", "one of this ledger's ids", text) from None
