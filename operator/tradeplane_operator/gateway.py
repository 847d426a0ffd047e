"""What the gateway says about trading: read once a second, shared by all reconcilers, unknown when it is old."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import httpx2
import pydantic

_TIMEOUT = httpx2.Timeout(2.0)
# Older answers say nothing about now.
FRESH_S = 5.0
STRICTNESS = ("enabled", "reduce-only", "flatten", "halted")


class _Answer(pydantic.BaseModel):
    # Open on purpose: an operator must understand a gateway that has learnt to say more.
    model_config = pydantic.ConfigDict(frozen=True, extra="ignore")


class Cause(_Answer):
    """Why trading is not enabled."""

    kind: str
    state: str = "halted"
    message: str = ""


class Breach(_Answer):
    """A limit that refused an intent of the last decision."""

    reason: str
    limit: str = ""
    value: str = ""
    trigger: str = ""


class Reconciliation(_Answer):
    """Whether the ledger and the broker agree."""

    clean: bool = False
    differences: tuple[Any, ...] = ()


class Epoch(_Answer):
    """Who leads; number 0 while nobody ever did, not valid while the answering gateway does not."""

    number: int = 0
    valid: bool = True


class Counts(_Answer):
    """Of the whole account."""

    open_orders: int = 0


class StrategyView(_Answer):
    """One strategy as the gateway sees it."""

    name: str
    uid: str
    generation: int
    attempt: int
    running: bool = False
    open_orders: int | None = None
    last_trigger: str | None = None
    state: str = "halted"
    causes: tuple[Cause, ...] = ()
    breach: Breach | None = None


class State(_Answer):
    """Answer of ``GET /v1/state``, as far as the operator reacts to it."""

    state: str
    causes: tuple[Cause, ...] = ()
    epoch: Epoch | None = None
    reconciliation: Reconciliation | None = None
    counts: Counts = Counts()
    strategies: tuple[StrategyView, ...] = ()
    ledger_readable: bool = True

    @property
    def leading(self) -> bool:
        """A gateway holds the epoch."""
        return self.epoch is not None and self.epoch.number > 0 and self.epoch.valid

    @property
    def clean(self) -> bool:
        """The ledger agrees with the broker."""
        return self.reconciliation is not None and self.reconciliation.clean

    def strategy(self, uid: str) -> StrategyView | None:
        """The strategy with this uid."""
        return next((view for view in self.strategies if view.uid == uid), None)

    def open_orders(self, uid: str) -> int | None:
        """Open orders of one strategy; the whole account's where the gateway does not tell them apart.

        None while the gateway shows what it read before it lost its ledger.
        """
        if not self.ledger_readable:
            return None
        view = self.strategy(uid)
        if view is None or view.open_orders is None:
            return self.counts.open_orders
        return view.open_orders

    def trading(self, uid: str) -> tuple[str, tuple[Cause, ...]]:
        """State of one strategy and its causes: the strictest of its own and the account's."""
        view = self.strategy(uid)
        if view is None or strictness(view.state) <= strictness(self.state):
            return _known(self.state), self.causes
        return _known(view.state), view.causes


def strictness(state: str) -> int:
    """Place in the order of states; an unknown word is the strictest."""
    return STRICTNESS.index(state) if state in STRICTNESS else len(STRICTNESS)


def _known(state: str) -> str:
    return state if state in STRICTNESS else STRICTNESS[-1]


@dataclass(slots=True)
class Gateway:
    """The last answer and its age.

    Parameters
    ----------
    url : base URL
    monotonic : seconds of a clock that only goes forward
    """

    url: str
    monotonic: Callable[[], float]
    _http: httpx2.AsyncClient = field(default_factory=lambda: httpx2.AsyncClient(timeout=_TIMEOUT, trust_env=False))
    _state: State | None = None
    _read_at_s: float = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def read(self) -> bool:
        """Ask once; say whether anything that a reconciler looks at has changed."""
        before = self.current()
        await self.ask()
        return bool(_signature(before) != _signature(self.current()))

    async def ask(self) -> State | None:
        """Ask now; None when there was no usable answer. For proofs, which an older answer cannot give."""
        asked_at_s = self.monotonic()
        try:
            answer = await self._http.get(f"{self.url}/v1/state")
            answer.raise_for_status()
            state = State.model_validate(answer.json())
        except (httpx2.HTTPError, OSError, ValueError):
            return None
        self._state, self._read_at_s = state, asked_at_s
        return state

    def current(self) -> State | None:
        """The last answer while it is fresh, otherwise None."""
        if self._state is None or self.monotonic() - self._read_at_s > FRESH_S:
            return None
        return self._state


def _signature(state: State | None) -> Any:
    """Everything but what moves with each bar."""
    if state is None:
        return None
    return state.model_dump(exclude={"strategies": {"__all__": {"last_trigger"}}})
