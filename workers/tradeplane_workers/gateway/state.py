"""What may leave right now: every cause that halts, the strictest wins, and the answer is asked at the last instant.

:class:`Guard` is the one place that knows the switch, the halts, the strategies, the epoch and whether the broker's
events are heard. It reads no network and never waits: :meth:`Guard.permit` runs between an order and its first byte.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from tradeplane_engine.domain import orders
from tradeplane_workers.gateway import machine, switch

HALTED = "halted"
NO_EPOCH = "epoch"
NOT_READY = "not-ready"


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason for a state; ``since`` is wall time."""

    kind: str
    state: orders.State
    message: str
    since: str = ""


@dataclass(frozen=True, slots=True)
class Strategy:
    """What the Strategy object says about trading; ``halted`` is empty when it may trade."""

    uid: str
    name: str
    halted: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """The state at an instant."""

    state: orders.State
    causes: tuple[Cause, ...]

    @property
    def message(self) -> str:
        """All causes in one line."""
        return "; ".join(cause.message for cause in self.causes)


@dataclass(slots=True)
class Inputs:
    """What is known apart from the switch; written by the loops that learn it.

    strategies : by uid, None until the first complete list
    halts : the gateway's own, by id
    environment : why the Environment or its policy forbids trading, empty when it does not
    is_hearing : whether the broker's stream listens and everything before it was reconciled
    """

    strategies: dict[str, Strategy] | None = None
    halts: dict[str, str] = field(default_factory=dict)
    environment: str = "the Environment has not been read"
    is_hearing: bool = False


class Guard:
    """The state, and who is told when it changes.

    Parameters
    ----------
    clock : the machine's clocks
    has_epoch : whether this gateway leads, asked at the last instant
    window_s : of the switch
    """

    def __init__(self, *, clock: machine.Clock, has_epoch: Callable[[], bool], window_s: float) -> None:
        self.clock = clock
        self.switch = switch.Switch(window_s=window_s)
        self.inputs = Inputs()
        self.bell = machine.Bell()
        self._has_epoch = has_epoch
        self._since: dict[tuple[str, str], str] = {}
        self._last: State | None = None
        self.changed_at = clock().text

    def state(self) -> State:
        """Return the state of trading as a whole."""
        at = self.clock()
        view = self.switch.view(at)
        found: list[tuple[str, str]] = []
        if view.refusal:
            found.append(("stale" if view.is_stale else "switch", view.refusal))
        elif self.switch.has_lapsed:
            found.append(("stale", "a stale period ends with a clean reconciliation, which is not done yet"))
        found += [("halt", f"{name}: {message}") for name, message in sorted(self.inputs.halts.items())]
        if self.inputs.environment:
            found.append(("environment", self.inputs.environment))
        if self.inputs.strategies is None:
            found.append(("strategies", "the Strategies have not been listed"))
        return self._settled(found, at)

    def strategy(self, uid: str) -> str:
        """Return why one strategy is halted by itself, or nothing; a Strategy that the API does not have is."""
        known = (self.inputs.strategies or {}).get(uid)
        return "the Strategy is absent" if known is None else known.halted

    def permit(self, uid: str) -> str:
        """Return why an order of a strategy must not leave at this instant, or nothing."""
        if self.state().state is not orders.State.ENABLED or self.strategy(uid):
            return HALTED
        if not self._has_epoch():
            return NO_EPOCH
        if not self.inputs.is_hearing:
            return NOT_READY
        return ""

    def recovered(self) -> None:
        """A clean reconciliation was made: the end of a stale period, if the switch is fresh."""
        if self.switch.has_lapsed and not self.switch.view(self.clock()).is_stale:
            self.switch.has_lapsed = False
            self.bell.ring()

    def _settled(self, found: list[tuple[str, str]], at: machine.Instant) -> State:
        # The age inside a message changes by itself; a cause is the same one as long as its kind stays.
        keys = {(kind, "" if kind == "stale" else message) for kind, message in found}
        self._since = {key: self._since.get(key, at.text) for key in keys}
        causes = tuple(
            Cause(kind, orders.State.HALTED, message, self._since[kind, "" if kind == "stale" else message])
            for kind, message in found
        )
        current = State(orders.State.HALTED if causes else orders.State.ENABLED, causes)
        if self._last is None or self._last.state is not current.state:
            self.changed_at = at.text
        self._last = current
        return current
