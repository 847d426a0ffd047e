"""Which parameters are tried: the values of each are a list, and a search picks combinations of them."""

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tradeplane_engine import errors, sweep

Batches = Generator[list[sweep.Parameters], list[float], None]
Values = Mapping[str, Sequence[Any]]

_BATCH = 8  # suggestions made before one of them is known; the same however many processes run them


class Search(Protocol):
    """Yields parameter sets batch by batch, and is sent the score of each set of the batch (NaN: none)."""

    @property
    def count(self) -> int:
        """Sets at most."""

    def batches(self) -> Batches:
        """Begin the search."""

    def describe(self) -> dict[str, Any]:
        """What was searched and how, for the result."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Every combination of values."""

    values: Values

    def __post_init__(self) -> None:
        """Refuse values that are none."""
        sweep.grid(**self.values)

    @property
    def count(self) -> int:
        """Combinations."""
        return math.prod(map(len, self.values.values()))

    def batches(self) -> Batches:
        """Yield all at once."""
        yield sweep.grid(**self.values)

    def describe(self) -> dict[str, Any]:
        """Name the values."""
        return {"kind": "grid", "values": _listed(self.values)}


@dataclass(frozen=True, slots=True)
class Random:
    """A seeded choice of different combinations."""

    values: Values
    count: int
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse more combinations than there are."""
        sweep.sample(self.count, seed=self.seed, **self.values)

    def batches(self) -> Batches:
        """Yield all at once."""
        yield sweep.sample(self.count, seed=self.seed, **self.values)

    def describe(self) -> dict[str, Any]:
        """Name the values, the number and the seed."""
        return {"kind": "random", "values": _listed(self.values), "count": self.count, "seed": self.seed}


@dataclass(frozen=True, slots=True)
class Optuna:
    """What Optuna's tree-structured Parzen estimator suggests; needs the extra ``tradeplane[optuna]``.

    Numbers are suggested by their place in the sorted list, so that near values are near; other values by choice.
    """

    values: Values
    count: int
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values that are none, and a number of trials that is none."""
        sweep.grid(**{name: values[:1] for name, values in self.values.items()})
        if self.count < 1:
            raise errors.ValueRefused("count", "1 or more", self.count)

    def batches(self) -> Batches:
        """Suggest, hear the scores, suggest again; a set that was suggested before is not tried again."""
        try:
            import optuna  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise errors.ValueRefused(
                "search", "one whose library is installed (tradeplane[optuna])", "optuna"
            ) from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=self.seed))
        scores: dict[tuple[Any, ...], float] = {}
        asked = 0
        while asked < self.count:
            size = min(_BATCH, self.count - asked)
            trials = [study.ask() for _ in range(size)]
            sets = [{name: self._suggested(trial, name) for name in self.values} for trial in trials]
            asked += size
            new = [each for number, each in enumerate(sets) if _key(each) not in scores and each not in sets[:number]]
            if new:
                scores.update(zip(map(_key, new), (yield new), strict=True))
            for trial, each in zip(trials, sets, strict=True):
                score = scores[_key(each)]
                if math.isnan(score):
                    study.tell(trial, state=optuna.trial.TrialState.FAIL)
                else:
                    study.tell(trial, score)

    def describe(self) -> dict[str, Any]:
        """Name the values, the number and the seed."""
        return {"kind": "optuna", "values": _listed(self.values), "count": self.count, "seed": self.seed}

    def _suggested(self, trial: Any, name: str) -> Any:
        values = list(self.values[name])
        if all(isinstance(one, int | float) and not isinstance(one, bool) for one in values):
            ordered = sorted(values)
            return ordered[trial.suggest_int(name, 0, len(ordered) - 1)]
        return values[trial.suggest_categorical(name, list(range(len(values))))]


def _key(parameters: sweep.Parameters) -> tuple[Any, ...]:
    return tuple(parameters.values())


def _listed(values: Values) -> dict[str, list[Any]]:
    return {name: list(each) for name, each in values.items()}
