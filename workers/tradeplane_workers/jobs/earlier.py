"""A run of the same id that was done before."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from tradeplane_engine import errors
from tradeplane_workers import artifacts, messages

log = structlog.get_logger(__name__)

_R = TypeVar("_R", messages.TrainingResult, messages.BacktestResult)


def success(submission_id: str, read: Callable[[str], _R | None], store: artifacts.ArtifactStore) -> _R | None:
    """Return an earlier success whose document or artifact is still whole; failures are tried again.

    ``read`` is the store's reader of what became of a run.
    """
    earlier = read(submission_id)
    if earlier is None or earlier.error:
        return None
    try:
        store.get(earlier.digest)
    except errors.ModelRefused as error:
        log.warning("what an earlier run left is gone", submission_id=submission_id, error=str(error))
        return None
    return earlier
