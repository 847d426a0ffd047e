"""Breadth-first search of a model: the shortest trace to what must not be, or to where nothing leads to rest."""

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Step(Generic[S]):
    """One thing that may happen next; only ``is_progress`` steps happen by themselves in the end."""

    label: str
    after: S
    is_progress: bool = True


@dataclass(frozen=True, slots=True)
class Counterexample:
    """The shortest way to a violation."""

    violated: str
    trace: tuple[str, ...]

    def __str__(self) -> str:
        """Number the steps and name the violation."""
        steps = "\n".join(f"  {number:2}. {label}" for number, label in enumerate(self.trace, 1))
        return f"{self.violated}:\n{steps}"


@dataclass(frozen=True, slots=True)
class Explored:
    """How many states there are, and the first violation, if there is one."""

    states: int
    counterexample: Counterexample | None


def explore(
    start: S,
    steps: Callable[[S], Iterator[Step[S]]],
    *,
    violated: Callable[[S], str],
    is_settled: Callable[[S], bool],
    never_settles: str,
) -> Explored:
    """Visit every state that can be reached.

    Parameters
    ----------
    violated : what a state violates, or an empty text; such a state has no next one
    is_settled : whether nothing is left to be done
    never_settles : the name of the violation that no steps of progress lead from a state to a settled one
    """
    number = {start: 0}
    cause: list[tuple[int, str]] = [(-1, "")]
    before: list[list[int]] = [[]]  # by which steps of progress a state is reached
    settled: list[int] = []
    queue = deque([start])
    while queue:
        state = queue.popleft()
        here = number[state]
        broken = violated(state)
        if broken:
            return Explored(len(number), Counterexample(broken, _trace(cause, here)))
        if is_settled(state):
            settled.append(here)
        for step in steps(state):
            place = number.setdefault(step.after, len(cause))
            if place == len(cause):
                cause.append((here, step.label))
                before.append([])
                queue.append(step.after)
            if step.is_progress:
                before[place].append(here)
    reached = set(settled)
    while settled:
        fresh = [place for place in before[settled.pop()] if place not in reached]
        reached.update(fresh)
        settled += fresh
    stuck = next((place for place in range(len(cause)) if place not in reached), None)
    return Explored(len(cause), None if stuck is None else Counterexample(never_settles, _trace(cause, stuck)))


def _trace(cause: list[tuple[int, str]], place: int) -> tuple[str, ...]:
    labels: list[str] = []
    while place > 0:
        place, label = cause[place]
        labels.append(label)
    return tuple(reversed(labels))
