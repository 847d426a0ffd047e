"""What an examination found: who knew too much, and the first bar that proves it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from tradeplane_engine.data import series


@dataclass(frozen=True, slots=True)
class Finding:
    """One proof.

    Parameters
    ----------
    detector : that found it
    strategy : name; ``account`` where no strategy is to blame
    symbol, index, end : the first bar that proves it, by its place in the symbol's series and its end (ns UTC); index
        is -1 and end 0 where the symbol had no bar yet
    sentence : what happened, for people
    """

    detector: str
    strategy: str
    symbol: str
    index: int
    end: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Findings:
    """The answer of an examination.

    Parameters
    ----------
    found : at most one finding per detector, strategy and symbol, the earliest first
    seconds : what each detector took; zeros where no clock was given
    notes : what could not be examined, and why
    audited : whether the whole run was repeated too, as evidence for a promotion must be
    """

    found: tuple[Finding, ...]
    seconds: Mapping[str, float]
    notes: tuple[str, ...] = ()
    audited: bool = False

    @property
    def detectors_s(self) -> float:
        """Seconds of all detectors together."""
        return sum(self.seconds.values())

    @property
    def honest(self) -> bool:
        """Whether nothing was found."""
        return not self.found


def proof(detector: str, strategy: str, one: series.Series, instant: int, sentence: str) -> Finding:
    """Return a finding whose bar is the last one that was known at an instant (ns UTC)."""
    index = int(np.searchsorted(one.available_at, instant, side="right")) - 1
    return at_bar(detector, strategy, one, index, sentence)


def at_bar(detector: str, strategy: str, one: series.Series, index: int, sentence: str) -> Finding:
    """Return a finding at a bar of a series; -1 for none."""
    end = int(one.end[index]) if index >= 0 else 0
    where = (
        f"bar {index} of {one.symbol}, ended {instant_text(end)}" if index >= 0 else f"before any bar of {one.symbol}"
    )
    return Finding(detector, strategy, one.symbol, index, end, f"{strategy}, {where}: {sentence}")


def instant_text(instant: int) -> str:
    """Return an instant (ns UTC) for people."""
    return f"{np.datetime64(instant, 'ns').astype('datetime64[s]')}Z"


def earliest(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Keep the earliest finding of each detector, strategy and symbol."""
    kept: dict[tuple[str, str, str], Finding] = {}
    for one in found:
        key = (one.detector, one.strategy, one.symbol)
        if key not in kept or one.end < kept[key].end:
            kept[key] = one
    ordered = sorted(kept.values(), key=lambda one: (one.end, one.detector, one.strategy, one.symbol))
    return tuple(ordered)
