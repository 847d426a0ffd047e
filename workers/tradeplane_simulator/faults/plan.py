"""The plan: which faults are on, what each one meets, and the record of those that acted.

A fault meets requests or frames. Which of them, is a matter of its own count and of a draw that depends on the seed,
the fault and that count alone: the same scenario and traffic give the same faults, whatever else happens.
"""

import fnmatch
import json
import pathlib
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, TypeVar

import pydantic

from tradeplane_engine.domain import times
from tradeplane_simulator import errors, metrics

_MOST = 1000  # faults at once
_KEPT = 10_000  # lines of the record
_Count = Annotated[int, pydantic.Field(ge=0, le=1_000_000)]
_Seconds = Annotated[Decimal, pydantic.Field(ge=0, le=3600)]


class _Fault(pydantic.BaseModel):
    """What every fault says.

    skip, count : how many matches pass before the first that it meets, and how many it meets; 0 for every one
    share : of its matches, drawn by the seed
    since, until : of the venue's clock, RFC 3339; empty for any time
    account : whose; empty for anybody's
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    skip: _Count = 0
    count: _Count = 1
    share: Annotated[Decimal, pydantic.Field(gt=0, le=1)] = Decimal(1)
    since: str = ""
    until: str = ""
    account: str = ""

    @pydantic.field_validator("since", "until")
    @classmethod
    def _is_instant(cls, text: str) -> str:
        if text:
            times.instant(text, field="since or until")
        return text

    def is_on(self, clock: times.Nanos) -> bool:
        """Say whether its time has come, and has not passed."""
        after = not self.since or clock >= times.instant(self.since, field="since")
        return after and (not self.until or clock < times.instant(self.until, field="until"))


class RequestFault(_Fault):
    """What goes wrong with a request.

    fault : ``delay`` (``seconds``), ``hang`` (for ``seconds``, then the connection is gone), ``drop`` (the connection,
        unanswered), ``answer`` (``status`` with Alpaca's error, or ``body``), ``html`` (``status`` with a page of some
        proxy), ``truncate`` (half of the answer), ``twice`` (processed as if it had come twice), ``edit``
        (``body`` is laid over each object of the answer that has all of ``having``), ``hide`` (objects that have all of
        ``having`` are left out of the answer; where it is one of them, it is not found)
    processed : whether ``hang``, ``drop``, ``answer`` and ``html`` come after the request was processed
    method, path : glob patterns, ``POST`` and ``/v2/orders*``
    """

    on: Literal["request"] = "request"
    fault: Literal["delay", "hang", "drop", "answer", "html", "truncate", "twice", "edit", "hide"]
    method: str = "*"
    path: str = "*"
    processed: bool = False
    seconds: _Seconds = Decimal(1)
    status: Annotated[int, pydantic.Field(ge=200, le=599)] = 504
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = {}
    having: Mapping[str, Any] = {}


class FrameFault(_Fault):
    """What goes wrong with a frame of a stream, or with the stream when it comes.

    fault : ``drop``, ``twice``, ``late`` (by ``seconds``), ``swap`` (it comes after the next), ``mute`` (this and all
        that follow are kept from the client), ``close`` (with ``code`` instead of it), ``replace`` (by ``body``),
        ``insert`` (``body`` follows it), ``refuse`` (the next handshake, with ``status``)
    stream : ``trading`` or ``data``
    event : of a trade update, a glob pattern; what answers the client's own messages has none
    """

    on: Literal["frame"]
    fault: Literal["drop", "twice", "late", "swap", "mute", "close", "replace", "insert", "refuse"]
    stream: Literal["trading", "data"] = "trading"
    event: str = "?*"
    seconds: _Seconds = Decimal(1)
    code: Annotated[int, pydantic.Field(ge=1000, le=4999)] = 1011
    status: Annotated[int, pydantic.Field(ge=400, le=599)] = 429
    body: Any = None


def _of_requests(found: Any) -> Any:
    return {"on": "request", **found} if isinstance(found, dict) else found


Fault = Annotated[RequestFault | FrameFault, pydantic.Field(discriminator="on"), pydantic.BeforeValidator(_of_requests)]
_ADAPTER: pydantic.TypeAdapter[RequestFault | FrameFault] = pydantic.TypeAdapter(Fault)


class Scenario(pydantic.BaseModel):
    """A scenario file: a seed and the faults of a run."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    seed: Annotated[int, pydantic.Field(ge=0)] = 0
    faults: Annotated[tuple[Fault, ...], pydantic.Field(max_length=_MOST)] = ()

    @classmethod
    def read(cls, path: pathlib.Path) -> Self:
        """Read a JSON file; raises StateRefused naming what does not fit."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except pydantic.ValidationError as error:
            raise errors.StateRefused(f"scenario {path}: {_first(error)}") from error
        except OSError as error:
            raise errors.StateRefused(f"scenario {path}: {error}") from error


_Kind = TypeVar("_Kind", RequestFault, FrameFault)


class Plan:
    """The faults that are on.

    Parameters
    ----------
    scenario : that a run begins with
    clock : the venue's
    """

    def __init__(self, scenario: Scenario, *, clock: Callable[[], times.Nanos]) -> None:
        self.seed = scenario.seed
        self._clock = clock
        self._faults: dict[int, RequestFault | FrameFault] = {}
        self._matched: dict[int, int] = {}
        self._met: dict[int, int] = {}
        self._record: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._recorded = 0
        self._number = 0
        for fault in scenario.faults:
            self._add(fault)

    @property
    def is_idle(self) -> bool:
        """Whether no fault is on."""
        return not self._faults

    def add(self, found: Any) -> int:
        """Turn a fault on and return its number; raises Refused."""
        if len(self._faults) >= _MOST:
            raise errors.Refused(errors.malformed(f"faults must be at most {_MOST}"))
        try:
            fault = _ADAPTER.validate_python(found)
        except pydantic.ValidationError as error:
            raise errors.Refused(errors.malformed(_first(error))) from error
        return self._add(fault)

    def remove(self, number: int) -> bool:
        """Turn a fault off; whether it was on."""
        return self._faults.pop(number, None) is not None

    def clear(self) -> None:
        """Turn all faults off."""
        self._faults.clear()

    def shown(self) -> dict[str, Any]:
        """Return the seed, every fault with how often it matched and met, and the record of what was met."""
        faults = [
            {"number": number, "matched": self._matched[number], "met": self._met[number], **_plain(fault)}
            for number, fault in self._faults.items()
        ]
        return {"seed": self.seed, "faults": faults, "record": list(self._record)}

    def of_request(self, method: str, path: str, account: str) -> RequestFault | None:
        """Return what goes wrong with a request, if anything."""
        return self._meeting(
            RequestFault, lambda fault: _is_of(fault, method, path, account), f"{method} {path}", account
        )

    def of_frame(self, stream: str, event: str, account: str) -> FrameFault | None:
        """Return what goes wrong with a frame, if anything."""
        return self._meeting(
            FrameFault, lambda fault: _is_event(fault, stream, event, account), f"{stream} {event}", account
        )

    def of_handshake(self, stream: str) -> FrameFault | None:
        """Return why a stream's next client is turned away, if it is."""
        return self._meeting(
            FrameFault,
            lambda fault: fault.fault == "refuse" and fault.stream == stream,
            f"{stream} handshake",
            "",
        )

    def _meeting(self, kind: type[_Kind], fits: Callable[[_Kind], bool], what: str, account: str) -> _Kind | None:
        for number, fault in self._faults.items():
            if isinstance(fault, kind) and fits(fault) and self._meets(number, fault, what, account):
                return fault
        return None

    def _add(self, fault: RequestFault | FrameFault) -> int:
        self._number += 1
        self._faults[self._number] = fault
        self._matched[self._number] = self._met[self._number] = 0
        return self._number

    def _meets(self, number: int, fault: RequestFault | FrameFault, what: str, account: str) -> bool:
        clock = self._clock()
        if not fault.is_on(clock) or (fault.count and self._met[number] >= fault.count):
            return False
        self._matched[number] += 1
        count = self._matched[number]
        # Each draw of its own, so that no fault's draws depend on another's traffic.
        drawn = random.Random(f"{self.seed} {number} {count}").random()  # noqa: S311 - repeatable on purpose
        if count <= fault.skip or drawn >= fault.share:
            return False
        self._met[number] += 1
        metrics.FAULTS.labels(fault.on, fault.fault).inc()
        self._recorded += 1
        self._record.append(
            {
                "number": self._recorded,
                "clock": times.text(clock),
                "by": number,
                "fault": fault.fault,
                "on": what,
                "account": account,
            }
        )
        return True


def _is_of(fault: RequestFault, method: str, path: str, account: str) -> bool:
    named = fnmatch.fnmatchcase(method, fault.method) and fnmatch.fnmatchcase(path, fault.path)
    return named and fault.account in {"", account}


def _is_event(fault: FrameFault, stream: str, event: str, account: str) -> bool:
    named = fault.stream == stream and fnmatch.fnmatchcase(event, fault.event)
    return fault.fault != "refuse" and named and fault.account in {"", account}


def _plain(fault: RequestFault | FrameFault) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fault.model_dump_json(exclude_defaults=True))
    return {"on": fault.on, **found}


def _first(error: pydantic.ValidationError) -> str:
    first: Iterable[Any] = error.errors()[:1]
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}, got {one['input']!r:.100}" for one in first)
