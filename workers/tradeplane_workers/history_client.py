"""Client of the market data process's history, for the processes that need bars of the past."""

from collections.abc import Sequence
from typing import Final, Protocol

import httpx2
import pydantic
import stamina

from tradeplane_engine.data import dataset
from tradeplane_engine.domain import bars, timeframes, times
from tradeplane_workers import bar_messages, messages

_REFUSED: Final = (409, 422)
_OK: Final = 200


class HistoryRefusedError(Exception):
    """The request itself cannot be answered, such as a range that is not known yet; asking again does not help now."""


class HistoryUnavailableError(Exception):
    """No answer at the moment; ask again later."""


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


class HistoryClient:
    """Asks for bars and actions, as slices.

    Parameters
    ----------
    url : base URL of the market data process
    timeout_s : for connecting and for each read; a long history takes a moment
    patience_s : how long one call tries again while there is no answer; 0 for callers that do so themselves
    transport : another HTTP transport, for tests
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 30.0,
        patience_s: float = 60.0,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._client = httpx2.Client(base_url=url.rstrip("/"), timeout=timeout_s, transport=transport, trust_env=False)
        self._patience_s = patience_s

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    def slices(
        self,
        symbols: Sequence[str],
        *,
        timeframe: str,
        start: times.Nanos,
        end: times.Nanos | None,
        session: str = timeframes.REGULAR,
    ) -> tuple[bars.BarSlice, ...]:
        """Return the slices that end in [start, end], oldest first; without ``end`` up to the newest known one.

        Raises HistoryRefusedError, or HistoryUnavailableError when patience is over.
        """
        query = {"start": times.text(start)} | ({} if end is None else {"end": times.text(end)})
        return self._slices(symbols, timeframe, query | _of(session))

    def newest(
        self, symbols: Sequence[str], *, timeframe: str, last: int, session: str = timeframes.REGULAR
    ) -> tuple[bars.BarSlice, ...]:
        """Return the slices of the newest ``last`` intervals, whole sessions or buckets; raises as :meth:`slices`."""
        return self._slices(symbols, timeframe, {"last": str(last)} | _of(session))

    def _slices(self, symbols: Sequence[str], timeframe: str, span: dict[str, str]) -> tuple[bars.BarSlice, ...]:
        query = {"symbols": ",".join(sorted(symbols)), "timeframe": timeframe} | span
        for attempt in stamina.retry_context(
            on=HistoryUnavailableError,
            attempts=None if self._patience_s else 1,
            timeout=self._patience_s or None,
            wait_initial=0.1,
            wait_max=2.0,
        ):
            with attempt:
                answer = self._ask(query)
        found = [bar_messages.bar(entry) for entry in answer.bars]
        actions = [bar_messages.action(entry) for entry in answer.actions]
        return dataset.slices(found, actions, timeframe=timeframe)

    def _ask(self, query: dict[str, str]) -> messages.History:
        try:
            answer = self._client.get("/v1/history", params=query)
        except httpx2.HTTPError as error:
            raise HistoryUnavailableError(f"market data: {type(error).__name__}: {error}") from error
        if answer.status_code in _REFUSED:
            raise HistoryRefusedError(f"market data: {answer.text[:500]}")
        if answer.status_code != _OK:
            raise HistoryUnavailableError(f"market data: HTTP {answer.status_code}: {answer.text[:200]}")
        try:
            return messages.History.model_validate_json(answer.content)
        except pydantic.ValidationError as error:
            raise HistoryUnavailableError(f"market data: not a history: {error.error_count()} errors") from error


def _of(session: str) -> dict[str, str]:
    return {} if session == timeframes.REGULAR else {"session": session}
