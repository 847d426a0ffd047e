"""What the processes say to each other: HTTP bodies and Redis entries, validated at the border.

Decimals are strings, times are RFC 3339 UTC strings, unknown fields are refused. ``docs/reference/interfaces.md`` lists
the endpoints that carry these.
"""

from typing import Annotated, Any, Literal, Self

import pydantic

DecimalText = Annotated[str, pydantic.StringConstraints(pattern=r"^-?[0-9]{1,18}(\.[0-9]{1,9})?$")]
TimeText = Annotated[
    str, pydantic.StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$")
]
Symbol = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Z][A-Z0-9.]{0,11}$")]


class Message(pydantic.BaseModel):
    """Base: frozen, and closed against unknown fields."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


# --- operator -> worker: the configuration of a job -----------------------------------------------------------------


class ModelReference(Message):
    """The Model a strategy calls: by URL, within a deadline, expecting one digest."""

    name: str
    uid: str
    generation: int
    url: str
    digest: str
    artifact: str
    features: dict[str, Any]
    deadline: str


class PolicyReference(Message):
    """A RiskPolicy as bound: its spec verbatim and the sha256 of that spec's canonical JSON."""

    name: str
    hash: str
    spec: dict[str, Any]


class StrategyConfig(Message):
    """Everything a strategy job is told: the spec verbatim plus resolved references; no model where code decides.

    owner, git_revision : as the manifest's annotations say, empty where they do not; they change nothing
    """

    environment: str
    name: str
    uid: str
    generation: int
    attempt: int
    spec: dict[str, Any]
    policy: PolicyReference
    model: ModelReference | None = None
    owner: str = ""
    git_revision: str = ""


class TrainingConfig(Message):
    """Everything a training job is told; the result goes to ``runs/<submission_id>.json`` of the artifact store."""

    submission_id: str
    name: str
    uid: str
    generation: int
    spec: dict[str, Any]
    symbols: tuple[Symbol, ...]


class TrainingResult(Message):
    """What a training run leaves behind; ``error`` is empty on success."""

    submission_id: str
    artifact: str = ""
    digest: str = ""
    error: str = ""
    rows: int = 0
    trials: int = 0
    first_bar: str = ""
    last_bar_available_at: str = ""
    last_label_end: str = ""
    metrics: dict[str, float] = {}


class StrategySource(Message):
    """The Strategy that a backtest runs, its spec verbatim."""

    name: str
    uid: str
    generation: int
    spec: dict[str, Any]


class BacktestConfig(Message):
    """Everything a backtest job is told; the outcome goes to ``runs/<submission_id>.json`` of the artifact store.

    trials : configurations that were tried to get here, as the Model's version counts them
    """

    submission_id: str
    name: str
    uid: str
    generation: int
    spec: dict[str, Any]
    strategy: StrategySource
    policy: PolicyReference
    model: ModelReference | None = None
    trials: int = 1


class BacktestResult(Message):
    """What a backtest's run leaves behind; ``error`` is empty on success.

    refused : the same again would give the same error
    artifact, digest : where the whole result is, and the sha256 of its bytes
    hash, data : of its events, and of the bars and actions that were read
    audit, accusation : whether the run depends on what it could not know, and the proof that it does
    """

    submission_id: str
    artifact: str = ""
    digest: str = ""
    hash: str = ""
    data: str = ""
    error: str = ""
    refused: bool = False
    trials: int = 1
    audit: Literal["Passed", "Failed", "NotRun"] = "NotRun"
    accusation: str = ""
    measures: dict[str, DecimalText] = {}


# --- gateway -> artifact store ----------------------------------------------------------------------------------------


class AuditHead(Message):
    """The last entry of a ledger's audit trail at some time; who keeps it can prove that the trail went that far."""

    ledger: str
    number: int
    hash: Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9a-f]{64}$")]


# --- strategy -> gateway ---------------------------------------------------------------------------------------------


class FenceRequest(Message):
    """A strategy process takes its fence; an equal or lower (generation, attempt) of a live holder is refused."""

    config: StrategyConfig


class FenceGranted(Message):
    """The token that every decision must carry, and the last decided trigger (empty when there is none).

    ``last_part`` and ``last_heard`` are those of the last decision: whoever continues hears what came after that.
    """

    token: str
    last_trigger: str = ""
    last_part: int = 0
    last_heard: int | None = None


class SignalMessage(Message):
    """What speaks for a position in one symbol, and its feature row; null where a feature is undefined.

    ``direction`` is 1 long, -1 short, 0 neither; ``confidence`` the probability that it is right, null where unknown;
    ``horizon_ns`` for how long it speaks, null where nobody says so.
    """

    symbol: Symbol
    score: float
    features: tuple[float | None, ...]
    direction: int = 0
    confidence: float | None = None
    horizon_ns: int | None = None
    model_digest: str = ""


class IntentMessage(Message):
    """A wanted order; ``quantity`` is positive. Prices are empty where its type has none, ``trail_bps`` is 0 then."""

    symbol: Symbol
    side: Literal["buy", "sell"]
    quantity: DecimalText
    type: Literal["market", "limit", "stop", "stop_limit", "trailing_stop"] = "market"
    time_in_force: Literal["day", "gtc", "opg", "cls", "ioc", "fok"] = "day"
    limit_price: DecimalText | Literal[""] = ""
    stop_price: DecimalText | Literal[""] = ""
    trail_price: DecimalText | Literal[""] = ""
    trail_bps: int = 0
    extended_hours: bool = False
    role: Literal["order"] = "order"
    number: int = 0


class DecisionMessage(Message):
    """Exactly one per trigger and part; a second, different one under the same key is refused, the first returned.

    ``part`` is 0 of the bar's own decision; those that follow it before the next bar count from 1. ``heard`` is the
    place in the sequence of the last order event that they may be an answer to, ``rung`` the last timer between bars.
    """

    uid: str
    generation: int
    attempt: int
    token: str
    trigger: TimeText
    outcome: Literal["traded", "no-signal", "missed", "prediction-late"]
    detail: str = ""
    model_digest: str = ""
    signals: tuple[SignalMessage, ...] = ()
    intents: tuple[IntentMessage, ...] = ()
    cancels: tuple[str, ...] = ()
    part: int = 0
    heard: int | None = None
    rung: TimeText | Literal[""] = ""


class Verdict(Message):
    """What became of one intent at the gate: a reason why it may not be sent, or how much of it may be."""

    client_order_id: str
    reason: str = ""
    detail: str = ""
    quantity: DecimalText | Literal[""] = ""


class DecisionReceipt(Message):
    """The recorded decision: its place in the ledger sequence and one verdict per intent.

    ``dry_run``: what it would have been; nothing is recorded or sent, and the place is 0.
    """

    sequence: int
    repeated: bool
    verdicts: tuple[Verdict, ...]
    dry_run: bool = False


class SymbolBook(Message):
    """Position and working orders of one symbol in a strategy's sub-ledger, in shares; working ones are unsigned."""

    position: DecimalText
    working_buy: DecimalText = "0"
    working_sell: DecimalText = "0"


class Book(Message):
    """What a strategy holds and what works for it, by symbol."""

    last_trigger: str = ""
    symbols: dict[str, SymbolBook] = {}


class OrderEventMessage(Message):
    """One step of one order of a strategy, at its place in the ledger's sequence.

    ``quantity`` is the order's; ``executed``, ``price`` and ``fee`` (what it adds to the exact sum) are a fill's;
    ``status`` and ``reason`` are an end's. ``at`` is the venue's instant of a fill, else that of the ledger.
    """

    sequence: int
    event: Literal["sent", "fill", "ended"]
    client_order_id: str
    symbol: Symbol
    side: Literal["buy", "sell"]
    quantity: DecimalText
    trigger: TimeText
    at: TimeText
    executed: DecimalText = "0"
    price: DecimalText = "0"
    fee: DecimalText = "0"
    status: Literal["", "canceled", "expired", "rejected"] = ""
    reason: str = ""


class OrderEvents(Message):
    """What happened to a strategy's orders behind a place in the sequence; ``more`` says that there is a next page."""

    events: tuple[OrderEventMessage, ...] = ()
    more: bool = False


# --- person -> gateway -----------------------------------------------------------------------------------------------


class CancelRequest(Message):
    """Orders that a person wants ended: some by their client order ids, all of a strategy, or all there are.

    ``by`` and ``reason`` say who wants it and why; both are recorded.
    """

    orders: tuple[str, ...] = ()
    strategy: str = ""
    everything: bool = False
    by: Annotated[str, pydantic.StringConstraints(min_length=1, max_length=200)]
    reason: Annotated[str, pydantic.StringConstraints(min_length=1, max_length=500)]

    @pydantic.model_validator(mode="after")
    def says_which(self) -> Self:
        """Refuse a request that names no orders, or names them twice."""
        if bool(self.orders) + bool(self.strategy) + self.everything != 1:
            raise ValueError("one of orders, strategy and everything")
        return self


class CancelReceipt(Message):
    """The recorded wish: its place in the sequence, and the orders that the broker will be asked to end."""

    sequence: int
    orders: tuple[str, ...]


# --- market data -----------------------------------------------------------------------------------------------------


class BarMessage(Message):
    """One unadjusted bar."""

    symbol: Symbol
    start: TimeText
    end: TimeText
    available_at: TimeText
    open: DecimalText
    high: DecimalText
    low: DecimalText
    close: DecimalText
    volume: int


class ActionMessage(Message):
    """A split (``2/1``) or cash dividend (USD per share) that takes effect before the open at ``ex_start``."""

    symbol: Symbol
    ex_start: TimeText
    split: Annotated[str, pydantic.StringConstraints(pattern=r"^[1-9][0-9]{0,5}/[1-9][0-9]{0,5}$")] = "1/1"
    dividend: DecimalText = "0"


class MissingBar(Message):
    """The marker of a symbol without a bar in a slice.

    ``no-trade``: the provider, asked after the interval's end, has no bar either. ``unknown``: it gave no answer, or
    one that must not be traded, so that nothing may be concluded. ``last_end`` is the end of the symbol's newest bar in
    the stream, empty where there is none; what is between the two is its age.
    """

    symbol: Symbol
    start: TimeText
    reason: Literal["no-trade", "unknown"]
    last_end: TimeText | Literal[""] = ""


class SliceMessage(Message):
    """All bars that end together; a subscribed symbol without a bar is named in ``absent``, and in ``missing`` why.

    ``backfilled``: the stream may be behind history, which is asked instead. ``repaired``: the provider's stream was
    interrupted before or in it, so that REST was asked for all of it.
    """

    kind: Literal["slice"] = "slice"
    timeframe: str
    session: str = "regular"
    end: TimeText
    bars: tuple[BarMessage, ...]
    absent: tuple[Symbol, ...] = ()
    missing: tuple[MissingBar, ...] = ()
    actions: tuple[ActionMessage, ...] = ()
    backfilled: bool = False
    repaired: bool = False


class GapMessage(Message):
    """Between these instants the provider's stream was not connected; back-filled slices follow."""

    kind: Literal["gap"] = "gap"
    timeframe: str
    session: str = "regular"
    since: TimeText
    until: TimeText


class RevisionMessage(Message):
    """A minute that came, or came otherwise, after the slice that ends at ``end`` was published; that slice stays."""

    kind: Literal["revision"] = "revision"
    timeframe: str
    session: str = "regular"
    end: TimeText
    reason: Literal["late", "revised"]
    minute: BarMessage


StreamEntry = Annotated[SliceMessage | GapMessage | RevisionMessage, pydantic.Field(discriminator="kind")]


class History(Message):
    """Answer of the market data process's REST interface, oldest first."""

    bars: tuple[BarMessage, ...]
    actions: tuple[ActionMessage, ...]


# --- strategy -> model -----------------------------------------------------------------------------------------------


class PredictRequest(Message):
    """Feature rows of shape (n_rows, n_features); null for NaN; ``features`` names the columns in order."""

    features: tuple[str, ...]
    rows: tuple[tuple[float | None, ...], ...]


class PredictResponse(Message):
    """One score per row, and the sha256 of the artifact that gave them."""

    model: str
    digest: str
    scores: tuple[float, ...]
