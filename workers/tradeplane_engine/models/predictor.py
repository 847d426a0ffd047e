"""The predict port: an artifact in a backtest, HTTP in live."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Prediction:
    """One score per row, and the digest of the artifact that gave them."""

    digest: str
    scores: tuple[float, ...]


class Predictor(Protocol):
    """Anything that scores feature rows."""

    def predict(self, names: Sequence[str], rows: FloatArray) -> Prediction:
        """Score ``rows`` (n_rows, n_features), NaN allowed, columns as in ``names``; raises PredictionFailed."""
        ...
