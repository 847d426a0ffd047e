"""The switch as the gateway sees it: what it says, how old that is, and what can never be believed.

1. Only a ConfigMap that is there, is not being deleted, is not immutable, has none but the known keys and says exactly
   ``enabled`` enables. Everything else acts as ``halted`` and says why.
2. Only a GET can loosen, and only one that was started after everything seen so far: a watch event makes stricter, and
   the answer of a GET that is older than a watch event is ignored.
3. The same object at a lower resourceVersion than before the read began was restored from a backup: halted.
4. A read's age counts from its start, on a clock that runs while the machine sleeps; a wall clock that moved
   differently by more than the window makes it stale as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tradeplane_api import names
from tradeplane_workers.gateway import machine

ENABLED = names.State.ENABLED.value
_WORDS = frozenset(state.value for state in names.State)
_KEYS = frozenset({names.SWITCH_KEY, "lift", "reason", "by"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What one sight of the object said; ``refusal`` is empty when it enables."""

    uid: str
    resource_version: int
    refusal: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """The start of a GET: when, the highest revisions known then, and how many refusals the watch had shown."""

    at: machine.Instant
    floor: Mapping[str, int]
    refusals: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """The switch at an instant; ``refusal`` is empty when it enables; ``is_stale`` when no read is young enough."""

    refusal: str
    is_stale: bool
    age_s: float | None
    uid: str
    resource_version: int


def read(manifest: Mapping[str, Any] | None) -> Reading:
    """Say what the object means, the strict way."""
    if manifest is None:
        return Reading("", 0, f"the switch ({names.KILL_SWITCH}) is absent")
    metadata = manifest.get("metadata") or {}
    uid = str(metadata.get("uid") or "")
    version = str(metadata.get("resourceVersion") or "")
    if not uid or not version.isdecimal():
        return Reading(uid, 0, f"the switch has uid {uid!r} and resourceVersion {version!r}")
    return Reading(uid, int(version), _refusal(manifest, metadata))


def _refusal(manifest: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    data = manifest.get("data") or {}
    if metadata.get("deletionTimestamp"):
        return "the switch is being deleted"
    if manifest.get("immutable"):
        return "the switch is immutable"
    unknown = sorted({*data, *(manifest.get("binaryData") or {})} - _KEYS)
    if unknown:
        return f"the switch has the unknown key {unknown[0]!r}; known are {sorted(_KEYS)}"
    return _refusal_of_word(data)


def _refusal_of_word(data: Mapping[str, Any]) -> str:
    word = data.get(names.SWITCH_KEY)
    if word == ENABLED:
        return ""
    if word == names.State.HALTED.value:
        by = f" by {data['by']}" if data.get("by") else ""
        reason = f": {data['reason']}" if data.get("reason") else ""
        return f"the switch is halted{by}{reason}"[:500]
    if word in _WORDS:
        return f"the switch is {word}, which acts as halted in this version"
    return f"the switch must say one of {sorted(_WORDS)}, got {word!r}"[:500]


class Switch:
    """All that was seen of the switch.

    Parameters
    ----------
    window_s : age of the last good read above which nothing is enabled
    """

    def __init__(self, *, window_s: float) -> None:
        self.window_s = window_s
        self.highest: dict[str, int] = {}
        self.has_lapsed = False
        """A stale period began; whoever made a clean reconciliation afterwards takes this back."""
        self._reading: Reading | None = None
        self._read_at: machine.Instant | None = None
        self._refusals = 0

    def remember(self, highest: Mapping[str, int]) -> None:
        """Take over the highest revisions that earlier processes saw; a restored object shows by them."""
        for uid, version in highest.items():
            self.highest[uid] = max(version, self.highest.get(uid, 0))
        if self._reading is not None and self._reading.resource_version < self.highest.get(self._reading.uid, 0):
            self._reading = _restored(self._reading, self.highest[self._reading.uid])

    def begin(self, at: machine.Instant) -> Ticket:
        """Start a GET."""
        return Ticket(at, dict(self.highest), self._refusals)

    def finish(self, ticket: Ticket, manifest: Mapping[str, Any] | None) -> bool:
        """Take the answer of a GET; returns whether its revision is new."""
        reading = read(manifest)
        floor = ticket.floor.get(reading.uid, 0)
        known = self.highest.get(reading.uid, 0)
        if reading.uid and floor <= reading.resource_version < known:
            return False  # a watch event overtook it; the next GET is a second away
        if not reading.refusal and ticket.refusals != self._refusals:
            return False  # so did one of another object: revisions of two objects do not say which is the present one
        if reading.uid and reading.resource_version < floor:
            reading = _restored(reading, floor)
        if self._read_at is not None and _is_stale(self._read_at, ticket.at, self.window_s):
            self.has_lapsed = True  # nobody may have looked meanwhile: a frozen process reads first
        self._reading = reading
        self._read_at = ticket.at
        return self._raise_to(reading)

    def watched(self, kind: str, manifest: Mapping[str, Any]) -> bool:
        """Take a watch event, which can only make stricter; returns whether its revision is new."""
        reading = read(manifest)
        if kind == "DELETED":
            reading = Reading(reading.uid, reading.resource_version, f"the switch ({names.KILL_SWITCH}) was deleted")
        is_old = reading.uid != "" and reading.resource_version < self.highest.get(reading.uid, 0)
        if is_old:
            return False
        if reading.refusal:
            self._reading = reading
            self._refusals += 1
        return self._raise_to(reading)

    def view(self, at: machine.Instant) -> View:
        """Say what the switch means at this instant."""
        if self._reading is None:
            return View("the switch has never been read", is_stale=True, age_s=None, uid="", resource_version=0)
        refusal, is_stale, age_s = self._reading.refusal, False, None
        if self._read_at is None:
            is_stale, refusal = True, refusal or "the switch has never been read"
        else:
            age_s = at.boot_s - self._read_at.boot_s
            staleness = _is_stale(self._read_at, at, self.window_s)
            if staleness:
                is_stale, refusal = True, refusal or staleness
                self.has_lapsed = True
        return View(refusal, is_stale, age_s, self._reading.uid, self._reading.resource_version)

    def _raise_to(self, reading: Reading) -> bool:
        if not reading.uid or reading.resource_version <= self.highest.get(reading.uid, 0):
            return False
        self.highest[reading.uid] = reading.resource_version
        return True


def _is_stale(read_at: machine.Instant, at: machine.Instant, window_s: float) -> str:
    age_s = at.boot_s - read_at.boot_s
    jump_s = abs(at.wall_s - read_at.wall_s - age_s)
    if age_s > window_s:
        return f"the switch was last read {age_s:.1f} s ago, over {window_s:g} s"
    if jump_s > window_s:
        return f"the clock jumped by {jump_s:.1f} s, over {window_s:g} s"
    return ""


def _restored(reading: Reading, highest: int) -> Reading:
    message = (
        f"the switch was restored: resourceVersion {reading.resource_version} after {highest}; "
        f"delete it (kubectl delete configmap {names.KILL_SWITCH}) and enable the new one"
    )
    return Reading(reading.uid, reading.resource_version, message)
