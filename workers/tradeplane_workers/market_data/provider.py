"""REST client of the provider of bars: bars of any timeframe and corporate actions, paged, retried, exact.

Only GET requests leave from here, so every one of them may be repeated.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx2
import stamina

from tradeplane_engine import errors
from tradeplane_engine.domain import times
from tradeplane_workers.market_data import sessions, wire

_PAGE_ROWS = 10_000
_PAGE_ACTIONS = 1000
_PAGES_MAX = 1000
_SERVER_ERROR = 500
_TOO_MANY_REQUESTS = 429


class ProviderFailedError(Exception):
    """The provider gave no usable answer; look again later."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key that may only read data; the secret stays out of the repr."""

    key_id: str
    secret_key: str

    def __repr__(self) -> str:
        return f"Key(key_id={self.key_id!r})"


def read_key(path: Path) -> Key:
    """Read ``{"key_id", "secret_key"}``; read again at every use, so that a rotated key is taken."""
    try:
        content = json.loads(path.read_text())
        return Key(key_id=str(content["key_id"]), secret_key=str(content["secret_key"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProviderFailedError(f"TRADEPLANE_DATA_KEY_FILE: cannot be read: {type(error).__name__}") from error


@dataclass(frozen=True, slots=True)
class RestSettings:
    """How the provider is asked.

    url : base URL without a trailing slash
    key_file : JSON file with a key that may only read data
    feed : which of the provider's feeds the bars come from; the same as the stream's
    timeout_s : for connecting and for each read; short, because a retry is cheap
    attempts : in all, with growing jittered waits in between
    """

    url: str
    key_file: Path
    feed: str = "iex"
    timeout_s: float = 5.0
    attempts: int = 4


class RestProvider:
    """Asks the provider over HTTP.

    Parameters
    ----------
    settings : address, key, patience
    transport : another HTTP transport, for tests
    """

    def __init__(self, settings: RestSettings, *, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._client = httpx2.AsyncClient(
            base_url=settings.url.rstrip("/"), timeout=settings.timeout_s, transport=transport, trust_env=False
        )

    async def close(self) -> None:
        """Close idle connections."""
        await self._client.aclose()

    async def bars(
        self, symbols: Sequence[str], first: sessions.Session, last: sessions.Session | None
    ) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """Return (symbol, row) of daily bars labelled from ``first`` to ``last`` (to the newest one if None)."""
        query = self._bars_query(symbols, "1Day", first.label)
        if last is not None:
            query["end"] = times.text(last.label)
        return await self._rows(query)

    async def bars_inside(
        self, symbols: Sequence[str], word: str, first: times.Nanos, last: times.Nanos
    ) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """Return (symbol, row) of the bars that start in [first, last]; the last one may still be growing.

        ``word`` is what the provider calls their timeframe.
        """
        return await self._rows(self._bars_query(symbols, word, first) | {"end": times.text(last)})

    async def latest(self, symbols: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return the newest minute's row of each symbol that has any."""
        query = {"symbols": ",".join(symbols), "feed": self._settings.feed}
        found: Mapping[str, Mapping[str, Any]] = (await self._get("/v2/stocks/bars/latest", query)).get("bars") or {}
        return found

    async def newest_bar(self, symbol: str, first: sessions.Session) -> Mapping[str, Any] | None:
        """Return the newest daily bar row of ``symbol`` that is not before ``first``, or nothing."""
        query = self._bars_query([symbol], "1Day", first.label) | {"limit": "1", "sort": "desc"}
        page = await self._get("/v2/stocks/bars", query)
        rows: Sequence[Mapping[str, Any]] = (page.get("bars") or {}).get(symbol) or ()
        return rows[0] if rows else None

    async def actions(self, symbols: Sequence[str], first: date, last: date) -> Mapping[str, Any]:
        """Return the provider's lists of corporate actions whose process date is in [first, last], pages merged."""
        query = {
            "symbols": ",".join(symbols),
            "types": ",".join(wire.ACTION_TYPES.values()),
            "start": first.isoformat(),
            "end": last.isoformat(),
            "limit": str(_PAGE_ACTIONS),
        }
        merged: dict[str, list[Any]] = {}
        async for page in self._pages("/v1/corporate-actions", query):
            for kind, rows in (page.get("corporate_actions") or {}).items():
                merged.setdefault(kind, []).extend(rows)
        return merged

    async def _rows(self, query: Mapping[str, str]) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        rows: list[tuple[str, Mapping[str, Any]]] = []
        async for page in self._pages("/v2/stocks/bars", query):
            found = page.get("bars") or {}
            rows.extend((symbol, row) for symbol, of_symbol in found.items() for row in of_symbol)
        return tuple(rows)

    def _bars_query(self, symbols: Sequence[str], word: str, first: times.Nanos) -> dict[str, str]:
        return {
            "symbols": ",".join(symbols),
            "timeframe": word,
            "start": times.text(first),
            "limit": str(_PAGE_ROWS),
            "adjustment": "raw",
            "feed": self._settings.feed,
            "sort": "asc",
        }

    async def _pages(self, path: str, query: Mapping[str, str]) -> Any:
        token: str | None = None
        for _ in range(_PAGES_MAX):
            page = await self._get(path, {**query, "page_token": token} if token else query)
            yield page
            following = page.get("next_page_token")
            if not following:
                return
            if following == token:
                raise ProviderFailedError(f"{path}: the page token does not move on")
            token = str(following)
        raise ProviderFailedError(f"{path}: more than {_PAGES_MAX} pages")

    async def _get(self, path: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            async for attempt in stamina.retry_context(
                on=_may_pass, attempts=self._settings.attempts, timeout=None, wait_initial=0.1, wait_max=2.0
            ):
                with attempt:
                    return await self._get_once(path, query)
        except httpx2.HTTPError as error:
            raise ProviderFailedError(f"{path}: {type(error).__name__}: {error}") from error
        raise ProviderFailedError(f"{path}: no attempt was made")

    async def _get_once(self, path: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        key = read_key(self._settings.key_file)
        headers = {"APCA-API-KEY-ID": key.key_id, "APCA-API-SECRET-KEY": key.secret_key}
        answer = await self._client.get(path, params=dict(query), headers=headers)
        answer.raise_for_status()
        try:
            content = wire.loads(answer.content)
        except ValueError as error:
            raise ProviderFailedError(f"{path}: the answer is not JSON") from error
        if not isinstance(content, dict):
            raise ProviderFailedError(f"{path}: the answer is not an object")
        return content


def _may_pass(error: Exception) -> bool:
    """Say whether asking again may help: transport failures, 429 and 5xx."""
    if isinstance(error, httpx2.HTTPStatusError):
        status = error.response.status_code
        return status == _TOO_MANY_REQUESTS or status >= _SERVER_ERROR
    return isinstance(error, httpx2.TransportError)


def feed_of(stream_url: str) -> str:
    """Return the feed that a stream URL ends with (``…/v2/iex`` gives ``iex``), so that REST asks for the same."""
    feed = stream_url.rstrip("/").rpartition("/")[2]
    if not feed.isalnum():
        raise errors.ValueRefused("broker.urls.dataStream", "a URL that ends with the feed's name", stream_url)
    return feed
