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
UNREAD = "the Environment has not been read"
NOT_READY = "not-ready"
STARTING = "starting"


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
    def is_starting(self) -> bool:
        """Whether nothing forbids trading except that this process has not read everything yet."""
        return bool(self.causes) and all(cause.kind == STARTING for cause in self.causes)

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
    environment: str = UNREAD
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
        self._started_s = clock().boot_s
        self._since: dict[tuple[str, str], str] = {}
        self._last: State | None = None
        self.changed_at = clock().text

    def state(self) -> State:
        """Return the state of trading as a whole."""
        at = self.clock()
        view = self.switch.view(at)
        # Nothing leaves before the first reads; but to cancel what works, not knowing yet is no reason.
        is_young = at.boot_s - self._started_s < self.switch.window_s
        found: list[tuple[str, str]] = []
        if view.refusal:
            found.append((_kind(view, is_young=is_young), view.refusal))
        elif self.switch.has_lapsed:
            found.append(("stale", "a stale period ends with a clean reconciliation, which is not done yet"))
        found += [("halt", f"{name}: {message}") for name, message in sorted(self.inputs.halts.items())]
        if self.inputs.environment:
            is_unread = is_young and self.inputs.environment == UNREAD
            found.append((STARTING if is_unread else "environment", self.inputs.environment))
        if self.inputs.strategies is None:
            found.append((STARTING if is_young else "strategies", "the Strategies have not been listed"))
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

    def is_recovering(self) -> bool:
        """Whether only a clean reconciliation is missing for the end of a stale period."""
        return self.switch.has_lapsed and not self.switch.view(self.clock()).is_stale

    def recovered(self) -> None:
        """A clean reconciliation was made: the end of a stale period, if the switch is fresh."""
        if self.is_recovering():
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


def _kind(view: switch.View, *, is_young: bool) -> str:
    if not view.is_stale:
        return "switch"
    return STARTING if is_young and not view.uid else "stale"
