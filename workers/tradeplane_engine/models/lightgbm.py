"""LightGBM: training that repeats to the byte, and a predictor that answers to the bit.

1. keep only what was known at ``end``; build rows whose label interval has ended by then;
2. fit on the first 80 % of the timestamps, purged against the rest, and measure the rank IC on the rest;
3. fit the artifact on all rows with the same parameters; its text is the artifact, the sha256 of it the digest.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np

from tradeplane_engine import errors
from tradeplane_engine.domain import bars, times
from tradeplane_engine.features import registry
from tradeplane_engine.models import predictor, ranking, samples

VALIDATION_FRACTION = 0.2
LEAST_ROWS = 50  # below this neither a fit nor its validation says anything
_MAGIC = b"tree\n"
_FIXED: Mapping[str, Any] = {
    "objective": "regression",
    "boosting": "gbdt",
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


@dataclass(frozen=True, slots=True)
class _Range:
    kind: Callable[[str], int | float]
    low: float
    high: float

    def read(self, name: str, text: str) -> int | float:
        try:
            value = self.kind(text)
        except (ValueError, ZeroDivisionError):
            raise errors.ValueRefused(f"parameters.{name}", self._words(), text) from None
        if not self.low <= value <= self.high:
            raise errors.ValueRefused(f"parameters.{name}", self._words(), text)
        return value

    def _words(self) -> str:
        noun = "a whole number" if self.kind is int else "a decimal"
        return f"{noun} from {self.low:g} to {self.high:g}"


def _decimal(text: str) -> float:
    return float(Fraction(text))  # refuses nan and inf, which float() would accept


PARAMETERS: Mapping[str, _Range] = {
    "num_iterations": _Range(int, 1, 10_000),
    "num_leaves": _Range(int, 2, 4096),
    "max_depth": _Range(int, -1, 64),
    "learning_rate": _Range(_decimal, 1e-6, 1.0),
    "min_data_in_leaf": _Range(int, 1, 1_000_000),
    "min_sum_hessian_in_leaf": _Range(_decimal, 0.0, 1e6),
    "min_gain_to_split": _Range(_decimal, 0.0, 1e6),
    "lambda_l1": _Range(_decimal, 0.0, 1e6),
    "lambda_l2": _Range(_decimal, 0.0, 1e6),
    "feature_fraction": _Range(_decimal, 0.01, 1.0),
    "bagging_fraction": _Range(_decimal, 0.01, 1.0),
    "bagging_freq": _Range(int, 0, 10_000),
    "max_bin": _Range(int, 2, 65_535),
}


@dataclass(frozen=True, slots=True)
class Training:
    """What to train.

    start, end : bars must end at or after ``start``; nothing that became known after ``end`` is used
    horizon : bars from the opening fill to the end of the label
    parameters : LightGBM's names with values as text; see ``PARAMETERS``
    """

    symbols: tuple[str, ...]
    features: registry.FeatureSet
    horizon: int
    start: times.Nanos
    end: times.Nanos
    seed: int
    parameters: Mapping[str, str]

    def __post_init__(self) -> None:
        """Refuse settings that cannot be trained, naming field, limit and value."""
        if not 1 <= self.horizon <= 60:  # noqa: PLR2004 - longer than the feature window is another kind of model
            raise errors.ValueRefused("label.horizon", "a whole number from 1 to 60", self.horizon)
        if self.start >= self.end:
            raise errors.ValueRefused("training.start", f"before {times.text(self.end)}", times.text(self.start))
        if not 0 <= self.seed < 2**31:
            raise errors.ValueRefused("training.seed", "a whole number from 0 to 2147483647", self.seed)
        _parameters(self)


@dataclass(frozen=True, slots=True)
class Trained:
    """The artifact and what it saw; ``validation_*`` are of the first fit, on rows that fit never saw."""

    artifact: bytes
    digest: str
    rows: int
    trials: int
    first_bar: times.Nanos
    last_bar_available_at: times.Nanos
    last_label_end: times.Nanos
    validation_rows: int
    validation_sessions: int
    validation_rank_ic: float
    validation_rank_ic_se: float


def train(training: Training, slices: Sequence[bars.BarSlice]) -> Trained:
    """Train on the slices of the training's symbols, oldest first; raises ModelRefused when too little is left."""
    known = samples.known_at(slices, training.end)
    found = samples.build(known, symbols=training.symbols, features=training.features, horizon=training.horizon)
    found = samples.before(found.where(found.bar_ends >= training.start), training.end)
    if len(found) < LEAST_ROWS:
        raise errors.ModelRefused(
            f"training: at least {LEAST_ROWS} labelled rows needed between {times.text(training.start)} and "
            f"{times.text(training.end)}, got {len(found)}"
        )
    fitted_on, validation = samples.purged_split(found, fraction=VALIDATION_FRACTION)
    if not len(fitted_on) or not len(validation):
        raise errors.ModelRefused(f"training: {len(found)} rows are too few sessions to validate on")
    trial = LightGbmPredictor(_fit(training, fitted_on))
    scores = np.array(trial.predict(training.features.columns, validation.rows).scores)
    correlations = ranking.rank_ic(scores, validation.labels, validation.bar_ends, least=2)
    artifact = _fit(training, found)
    count = len(correlations)
    return Trained(
        artifact=artifact,
        digest=digest(artifact),
        rows=len(found),
        trials=1,
        first_bar=times.Nanos(int(found.bar_ends.min())),
        last_bar_available_at=max(samples.newest_availability(known).values()),
        last_label_end=times.Nanos(int(found.label_ends.max())),
        validation_rows=len(validation),
        validation_sessions=count,
        validation_rank_ic=float(correlations.mean()) if count else math.nan,
        validation_rank_ic_se=float(correlations.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan,
    )


class LightGbmPredictor:
    """Scores rows with one artifact in this process, on one thread; raises ModelRefused for what is no artifact."""

    def __init__(self, artifact: bytes) -> None:
        if not artifact.startswith(_MAGIC):
            raise errors.ModelRefused(f"artifact: must be LightGBM text, got {artifact[:16]!r}")
        library = _library()
        try:
            self._booster = library.Booster(model_str=artifact.decode("utf-8"))
        except (library.basic.LightGBMError, UnicodeDecodeError) as error:
            raise errors.ModelRefused(f"artifact: not readable as LightGBM text ({error})") from error
        self.digest = digest(artifact)
        self.names: tuple[str, ...] = tuple(self._booster.feature_name())

    def predict(self, names: Sequence[str], rows: predictor.FloatArray) -> predictor.Prediction:
        """Score rows whose columns are the artifact's, in its order; one row alone scores as inside a batch."""
        if tuple(names) != self.names:
            difference = next(
                (
                    f"column {at}: {ours!r} and {theirs!r}"
                    for at, (ours, theirs) in enumerate(zip(self.names, names, strict=False))
                    if ours != theirs
                ),
                f"{len(self.names)} and {len(names)} columns",
            )
            raise errors.PredictionFailed("failed", f"the model's features are not those of the request: {difference}")
        if rows.ndim != 2 or rows.shape[1] != len(self.names):  # noqa: PLR2004 - rows and columns
            raise errors.PredictionFailed("failed", f"rows must have {len(self.names)} columns, got {rows.shape}")
        if not len(rows):
            return predictor.Prediction(self.digest, ())
        scores = self._booster.predict(np.ascontiguousarray(rows), raw_score=True, num_threads=1)
        return predictor.Prediction(self.digest, tuple(scores.tolist()))


def load(artifact: bytes, *, expected: str = "") -> LightGbmPredictor:
    """Load an artifact; raises ModelRefused when its digest is not the ``expected`` one."""
    found = digest(artifact)
    if expected and found != expected:
        raise errors.ModelRefused(f"artifact: digest must be {expected}, got {found}")
    return LightGbmPredictor(artifact)


def digest(artifact: bytes) -> str:
    """Return ``sha256:`` and the hex digest of the artifact."""
    return f"sha256:{hashlib.sha256(artifact).hexdigest()}"


def _fit(training: Training, found: samples.Samples) -> bytes:
    library = _library()
    names = list(training.features.columns)
    data = library.Dataset(found.rows, label=found.labels, feature_name=names, free_raw_data=True)
    booster = library.train({**_FIXED, **_parameters(training), "seed": training.seed}, data)
    text: str = booster.model_to_string()
    return text.encode()


def _parameters(training: Training) -> dict[str, int | float]:
    found = {}
    for name, text in training.parameters.items():
        if name not in PARAMETERS:
            raise errors.ValueRefused(f"parameters.{name}", f"one of {sorted(PARAMETERS)}", text)
        found[name] = PARAMETERS[name].read(name, text)
    return found


def _library() -> ModuleType:
    """Import LightGBM where it is used: it costs a second and 200 MB that most processes can do without."""
    import lightgbm  # noqa: PLC0415 - lazily, see above

    module: ModuleType = lightgbm
    return module
