"""What jobs share: where past bars come from, and a run of the same id that was done before."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import structlog

from tradeplane_engine import errors
from tradeplane_engine.domain import bars, times
from tradeplane_workers import artifacts, messages

log = structlog.get_logger(__name__)

_R = TypeVar("_R", messages.TrainingResult, messages.BacktestResult)


class History(Protocol):
    """Where past bars come from."""

    def slices(
        self,
        symbols: Sequence[str],
        *,
        timeframe: str,
        start: times.Nanos,
        end: times.Nanos | None,
        session: str,
    ) -> tuple[bars.BarSlice, ...]:
        """Return the slices that end in [start, end], oldest first."""
        ...


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
