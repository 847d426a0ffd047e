"""The examination of a run: every detector in turn, each named, and together at most a quarter of the run's own time.

Their sizes are counted in rows, so that the same run is examined in the same places on every machine.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors
from tradeplane_engine.core import kernel, log
from tradeplane_engine.data import series
from tradeplane_engine.detectors import cuts, echoes, fills, findings, instants, outside, recomputed, replays

REPLAYED, ORDERED, LAST_BAR, FUTURE = "replayed", "symbol-order", "last-bar", "future"
_Found = list[findings.Finding]


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What an examination should know beside the run.

    Parameters
    ----------
    computed : features and signals that the run read and that no strategy declared
    same_close : whether the run may fill an order at the close that decided it
    clock : seconds that only grow; without it the findings' ``seconds`` are zeros
    start : instant before which strategies saw nothing, ns UTC
    """

    computed: Sequence[recomputed.Computed] = ()
    same_close: bool = False
    clock: Callable[[], float] | None = None
    start: int = 0


PLAIN = Options()


@dataclasses.dataclass(frozen=True, slots=True)
class _Case:
    """A run to examine, and what it was made of."""

    factory: replays.Factory
    data: Sequence[series.Series]
    run: kernel.Kernel
    closes: npt.NDArray[np.int64]
    start: int
    seed: int
    notes: list[str]

    def rng(self, number: int) -> np.random.Generator:
        """Return the randomness of one detector, which does not depend on the others."""
        return np.random.default_rng((self.seed, number))


def examine(
    factory: replays.Factory,
    data: Sequence[series.Series],
    run: kernel.Kernel,
    *,
    seed: int,
    audit: bool = False,
    options: Options = PLAIN,
) -> findings.Findings:
    """Examine a run that is over.

    Parameters
    ----------
    factory : makes a kernel with fresh strategies that has not run, from bars of the same symbols in any order; bars
        may be fewer, none of a symbol, or other ones
    data : bars of the run, in the order of its symbols' ids; series of longer timeframes after each symbol's shortest
    run : the kernel after its run
    seed : of the points; the same seed examines the same points
    audit : also replay everything but the last bar, and the whole run with a changed future
    options : what the run was and how it is timed

    Raises
    ------
    errors.ValueRefused where the data are not those of the run.
    """
    names = tuple(one.symbol for one in data[: len(run.table.symbols)])
    if names != run.table.symbols or cuts.rows(data) != run.table.rows:
        raise errors.ValueRefused("data", "the bars of the run, in the order of its symbols", len(data))
    closes = run.equity_at[: run.instants]
    closes = closes[int(np.searchsorted(closes, options.start, side="right")) :]
    case = _Case(factory, data, run, closes, options.start, seed, [])
    clock = options.clock or _stopped
    tasks: dict[str, Callable[[], _Found]] = {
        fills.DETECTOR: lambda: fills.examine(run, data, same_close=options.same_close)
    }
    if len(closes) > 1:
        tasks |= {
            recomputed.DETECTOR: lambda: _recomputed(case, options.computed, audit=audit),
            REPLAYED: lambda: _replayed(case),
            ORDERED: lambda: _reversed(case),
            # A strategy that remembers what it was shown still remembers the real bars here; after this no longer.
            echoes.DETECTOR: lambda: echoes.examine(factory, _early(case), case.rng(5)),
            outside.DETECTOR: lambda: outside.examine(factory, _early(case), case.rng(3)),
        }
        if audit:
            tasks |= {LAST_BAR: lambda: _last_bar(case), FUTURE: lambda: _future(case)}
    found: _Found = []
    seconds: dict[str, float] = {}
    for name, task in tasks.items():
        began = clock()
        found += task()
        seconds[name] = clock() - began
    return findings.Findings(findings.earliest(found), seconds, tuple(case.notes), audit)


def _recomputed(case: _Case, computed: Sequence[recomputed.Computed], *, audit: bool) -> _Found:
    rng = case.rng(1)
    subjects = [*recomputed.declared(case.run), *computed]
    return [found for one in subjects for found in recomputed.examine(one, case.data, rng, audit=audit)]


def _replayed(case: _Case) -> _Found:
    """Replay early cuts; the earliest that differs is enough, as later ones are longer."""
    run_rows = replays.rows(case.run)
    chosen = instants.early(case.run, case.data, case.closes, case.rng(2))
    if not (run_rows[:, 1] <= max(chosen, default=0)).any():
        case.notes.append("no strategy did anything in the early part that is replayed: only an audit examines it")
    found = []
    for instant in chosen:
        proof = _cut(case, REPLAYED, instant, run_rows)
        if proof is not None:
            found.append(proof)
            if len(case.run.slots) == 1:
                break
    return found


def _cut(case: _Case, detector: str, instant: int, run_rows: replays.Rows) -> findings.Finding | None:
    cut, horizon = cuts.known(case.data, instant)
    replay = replays.run(case.factory, cut)
    if replay is None or not replay.began:
        case.notes.append(f"{detector}: no run on bars up to {findings.instant_text(instant)}")
        return None
    return replays.difference(detector, case.data, run_rows, replay, horizon)


def _reversed(case: _Case) -> _Found:
    """Give the symbols of an early cut in the opposite order: nothing that was filled may change."""
    if len(case.data) < 2:  # noqa: PLR2004 - one symbol has one order
        return []
    cut, _ = cuts.known(case.data, instants.share(case.closes, 0.005, 500 // len(case.data) + 1))
    both = [replays.run(case.factory, one) for one in (cut, cut[::-1])]
    filled = [_fills(one.kernel) for one in both if one is not None and one.failure is None]
    if len(filled) < len(both) or filled[0] == filled[1]:
        return []
    at, strategy, symbol = min(set(filled[0]) ^ set(filled[1]) or set(filled[0]))[:3]
    one = next(one for one in case.data if one.symbol == symbol)
    sentence = "what is filled depends on the order in which the symbols are given"
    return [findings.proof(ORDERED, strategy, one, at, sentence)]


def _fills(run: kernel.Kernel) -> list[tuple[int, str, str, int, int]]:
    # Without the fees: what a day's sum is rounded by falls on the fill that comes last.
    return sorted(
        (at, run.slots[strategy].name, run.table.symbols[symbol], quantity, price)
        for kind, at, strategy, symbol, _, quantity, price, _ in replays.rows(run).tolist()
        if kind == log.FILL
    )


def _early(case: _Case) -> list[series.Series]:
    """Return the early bars that are replaced by other ones, of those that strategies were shown."""
    floor = outside.LEAST // len(case.data) + 1
    early, _ = cuts.known(case.data, instants.share(case.closes, outside.SHARE, floor))
    return [cuts.part(one, int(np.searchsorted(one.start, case.start)), len(one)) for one in early]


def _last_bar(case: _Case) -> _Found:
    proof = _cut(case, LAST_BAR, int(case.closes[-2]), replays.rows(case.run))
    return [] if proof is None else [proof]


def _future(case: _Case) -> _Found:
    """Run to the end with another future after an early instant: what was done before may not change."""
    instant = instants.telling(case.run, case.closes, case.rng(4))
    data, horizon = cuts.mirrored(case.data, instant)
    replay = replays.run(case.factory, data)
    if replay is None or not replay.began:
        case.notes.append(f"{FUTURE}: no run on other bars after {findings.instant_text(instant)}")
        return []
    proof = replays.difference(FUTURE, case.data, replays.rows(case.run), replay, horizon)
    return [] if proof is None else [proof]


def _stopped() -> float:
    return 0.0
