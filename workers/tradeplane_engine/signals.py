"""Signals: one finite score per symbol, with the feature row behind it."""

import math
from collections.abc import Sequence

from tradeplane_engine import errors
from tradeplane_engine.domain import orders
from tradeplane_engine.models import predictor


def combine(
    symbols: Sequence[str], rows: predictor.FloatArray, prediction: predictor.Prediction
) -> tuple[orders.Signal, ...]:
    """Pair each symbol's score with its row; raises PredictionFailed for an answer that cannot be ranked."""
    scores = prediction.scores
    if len(scores) != len(symbols):
        raise errors.PredictionFailed("failed", f"{len(symbols)} scores asked for, got {len(scores)}")
    if not all(map(math.isfinite, scores)):
        raise errors.PredictionFailed("failed", f"scores must be finite, got {list(scores)}")
    # Plain map: this runs for every bar, and a generator costs as much again.
    return tuple(map(orders.Signal, symbols, scores, map(tuple, rows.tolist())))
