"""What the demo saw, as values: the ledger, the broker, the journal, the bars, and the session run again as a backtest.

Everything here is data; :mod:`tradeplane_cli.demo.gather` fills it and :mod:`tradeplane_cli.demo.checks` judges it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradeplane_engine.domain import numbers


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision of the ledger."""

    seq: int
    trigger: str
    outcome: str
    generation: int
    model_digest: str


@dataclass(frozen=True, slots=True)
class Signal:
    """One stored feature row with the score that was served for it."""

    trigger: str
    symbol: str
    score: float
    features: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """One intent of the ledger; ``sent`` when a byte of it left, ``reason`` when it was refused."""

    seq: int
    client_order_id: str
    trigger: str
    symbol: str
    side: str
    quantity: numbers.Quantity
    sent: bool
    state: str
    reason: str
    canonical: str


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution, from the ledger or from the broker; ``quantity`` is positive."""

    client_order_id: str
    symbol: str
    side: str
    quantity: numbers.Quantity
    price: numbers.Price
    day: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger at the end of the session."""

    decisions: Sequence[Decision]
    signals: Sequence[Signal]
    orders: Sequence[Order]
    fills: Sequence[Fill]
    positions: Mapping[str, numbers.Quantity]
    cash: numbers.Money
    fees: numbers.Money
    starting_cash: numbers.Money


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """One order as the broker lists it."""

    client_order_id: str
    symbol: str
    side: str
    quantity: numbers.Quantity
    status: str


@dataclass(frozen=True, slots=True)
class Broker:
    """The broker's own books at the end, read through its public protocol."""

    orders: Sequence[BrokerOrder]
    fills: Sequence[Fill]
    positions: Mapping[str, numbers.Quantity]
    cash: numbers.Money
    fees: numbers.Money
    equity: numbers.Money


@dataclass(frozen=True, slots=True)
class Received:
    """One order as it arrived at the broker: CLOCK_MONOTONIC of this machine, nanoseconds."""

    client_order_id: str
    received_ns: int
    answered_ns: int


@dataclass(frozen=True, slots=True)
class Halt:
    """The halt as the person and the gateway saw it; times are CLOCK_MONOTONIC of this machine, nanoseconds.

    first_trigger, last_trigger : first and last bar decided while halted
    """

    answered_ns: int
    lift_sent_ns: int
    first_trigger: str
    last_trigger: str
    proof: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Edit:
    """The edit of the Strategy: the last bar decided before it, and the first one after it."""

    held_trigger: str
    next_trigger: str


@dataclass(frozen=True, slots=True)
class Replays:
    """Canonical orders of three backtests made from the session record alone."""

    same: Sequence[str]
    without_halt: Sequence[str]
    without_edit: Sequence[str]


@dataclass(frozen=True, slots=True)
class Training:
    """The training run as its manifest tells it, and the cut that the Model declares."""

    end: str
    last_bar_available_at: str
    last_label_end: str
    trials: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the checks and the report are made from.

    sessions : ends of the traded sessions, in order; the keys of ``closes``, ``forward_returns`` and ``released_ns``
    closes : closing price by session and symbol
    forward_returns : total return from the next open to the one after it, by session and symbol; what a score predicts
    released_ns : CLOCK_MONOTONIC when the session's bars were released, nanoseconds
    resources : conditions by ``Kind/name`` after `kubectl apply` and before the first session
    recomputed_scores : the artifact's own score by (trigger, symbol), computed outside Ray from the stored rows
    """

    sessions: Sequence[str]
    closes: Mapping[str, Mapping[str, numbers.Price]]
    released_ns: Mapping[str, int]
    forward_returns: Mapping[str, Mapping[str, float]]
    unpaid_dividends: numbers.Money
    resources: Mapping[str, Mapping[str, str]]
    ledger: Ledger
    broker: Broker
    received: Sequence[Received]
    halt: Halt
    edit: Edit
    replays: Replays
    training: Training
    recomputed_scores: Mapping[tuple[str, str], float]
