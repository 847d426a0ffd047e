"""The HTTP side of market data, and the provider's REST client, against scripted answers."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support import data_provider
from tradeplane_engine.domain import times
from tradeplane_workers import messages
from tradeplane_workers.market_data import api, figures, history, provider, sessions

CALENDAR = sessions.Calendar("XNYS")
LABELS = [f"2012-03-0{day}T05:00:00Z" for day in (1, 2, 5, 6)]
ENDS = [f"2012-03-0{day}T21:00:00Z" for day in (1, 2, 5, 6)]


class Provider:
    """Has the first ``known`` sessions of IBM."""

    def __init__(self, known: int = 3, *, error: Exception | None = None) -> None:
        self.known = known
        self.error = error

    async def bars(
        self, symbols: Sequence[str], first: sessions.Session, last: sessions.Session | None
    ) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Return what is known, more than asked for: the reader must not rely on being protected."""
        if self.error is not None:
            raise self.error
        del first, last
        return [("IBM", data_provider.row(label, o=1, h=1, l=1, c=1)) for label in LABELS[: self.known] if symbols]

    async def newest_bar(self, symbol: str, first: sessions.Session) -> Mapping[str, Any] | None:
        """Return the last one."""
        del first
        return data_provider.row(LABELS[self.known - 1], o=1, h=1, l=1, c=1) if symbol == "IBM" else None

    async def actions(self, symbols: Sequence[str], first: date, last: date) -> Mapping[str, Any]:
        """Return a dividend of the second session and one far away."""
        del symbols, first, last
        days = ("2012-03-02", "2012-08-01")
        return {"cash_dividends": [{"symbol": "IBM", "ex_date": day, "rate": "0.5"} for day in days]}


def ask(source: history.Provider, *, now: str = "2026-01-01T00:00:00Z", ready: bool = True) -> Callable[..., Any]:
    """Return a client of the application over ``source``."""
    counted = figures.Figures()
    reader = history.Reader(source, CALENDAR, counted, lambda: times.instant(now))
    app = api.application({"1d": reader}, ready=lambda: ready, counted=counted)

    async def get(path: str, **query: Any) -> httpx2.Response:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://market-data") as client:
            return await client.get(path, params=query)

    return get


def span(**changed: Any) -> dict[str, Any]:
    """Return a question about IBM."""
    return {"symbols": "IBM", "timeframe": "1d", "start": ENDS[0]} | changed


@pytest.mark.parametrize(
    "query, ends",
    [
        (span(end=ENDS[2]), ENDS[:3]),
        (span(end=ENDS[1]), ENDS[:2]),
        (span(start=ENDS[1], end=ENDS[1]), ENDS[1:2]),
        (span(), ENDS[:3]),
        ({"symbols": "IBM", "timeframe": "1d", "last": 2}, ENDS[1:3]),
        ({"symbols": "FB", "timeframe": "1d", "last": 2}, []),
        (span(start="2012-03-03T00:00:00Z", end="2012-03-04T00:00:00Z"), []),
    ],
)
async def test_history_is_exactly_what_was_asked_for(query: dict[str, Any], ends: list[str]) -> None:
    """Ends in [start, end], or the newest N, and nothing else the provider said."""
    answer = await ask(Provider())("/v1/history", **query)
    assert answer.status_code == 200
    assert [bar.end for bar in messages.History.model_validate_json(answer.content).bars] == ends


async def test_actions_belong_to_the_span() -> None:
    """Only actions whose session is asked for."""
    answer = await ask(Provider())("/v1/history", **span(end=ENDS[2]))
    expected = [{"symbol": "IBM", "ex_start": "2012-03-02T14:30:00Z", "split": "1/1", "dividend": "0.5"}]
    assert answer.json()["actions"] == expected


@pytest.mark.parametrize(
    "end, now",
    [
        (ENDS[3], "2026-01-01T00:00:00Z"),
        (ENDS[2], "2012-03-05T21:00:00Z"),
        ("2030-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ],
)
async def test_a_range_that_is_not_known_yet_is_refused(end: str, now: str) -> None:
    """By the provider's newest bar, and by the machine's clock."""
    answer = await ask(Provider(), now=now)("/v1/history", **span(end=end))
    assert (answer.status_code, answer.json()["reason"]) == (409, "not-known-yet")
    assert end in answer.json()["detail"]


@pytest.mark.parametrize(
    "query, field",
    [
        (span(timeframe="2m"), "timeframe"),
        (span(session="extended"), "session"),
        (span(session="night"), "session"),
        (span(symbols="ibm"), "symbols"),
        (span(symbols=""), "symbols"),
        (span(start="2012-03-02"), "start"),
        (span(start="2012-03-02T00:00:00"), "start"),
        (span(end="soon"), "end"),
        (span(end="2012-01-01T00:00:00Z"), "end"),
        (span(last=3), "start, end, last"),
        ({"symbols": "IBM", "timeframe": "1d"}, "start, end, last"),
        ({"symbols": "IBM", "timeframe": "1d", "last": 0}, "last"),
        ({"symbols": "IBM", "timeframe": "1d", "last": 100000}, "last"),
    ],
)
async def test_a_bad_question_is_refused_by_name(query: dict[str, Any], field: str) -> None:
    """Field, limit and value are in the answer."""
    answer = await ask(Provider())("/v1/history", **query)
    assert (answer.status_code, answer.json()["reason"]) == (422, "refused")
    assert answer.json()["detail"].startswith(f"{field}:")


async def test_a_provider_without_an_answer_is_asked_again_later() -> None:
    """503 with Retry-After, not an empty history."""
    answer = await ask(Provider(error=provider.ProviderFailedError("down")))("/v1/history", **span())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize("ready, status", [(True, 200), (False, 503)])
async def test_health_is_readiness(ready: bool, status: int) -> None:
    """The supervisor sees whether bars come in and go out."""
    assert (await ask(Provider(), ready=ready)("/healthz")).status_code == status


def rest(tmp_path: Path, handler: Callable[[httpx2.Request], httpx2.Response]) -> provider.RestProvider:
    """Return a client of a scripted provider."""
    settings = provider.RestSettings(url="http://provider", key_file=data_provider.key_file(tmp_path), attempts=3)
    return provider.RestProvider(settings, transport=httpx2.MockTransport(handler))


async def test_pages_are_joined(tmp_path: Path) -> None:
    """Every page is read, in order, with the same filters."""
    asked = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        asked.append(dict(request.url.params))
        page = int(request.url.params.get("page_token", "0"))
        following = str(page + 1) if page < 2 else None
        return httpx2.Response(200, json={"bars": {"IBM": [{"t": str(page)}]}, "next_page_token": following})

    found = await rest(tmp_path, handle).bars(["IBM"], CALENDAR.first, None)
    assert [row["t"] for _, row in found] == ["0", "1", "2"]
    assert {query["adjustment"] for query in asked} == {"raw"}
    assert {query["feed"] for query in asked} == {"iex"}


async def test_a_page_that_repeats_itself_is_an_error(tmp_path: Path) -> None:
    """A token that does not move on would be asked for ever."""
    client = rest(tmp_path, lambda _request: httpx2.Response(200, json={"bars": {}, "next_page_token": "x"}))
    with pytest.raises(provider.ProviderFailedError, match="does not move on"):
        await client.bars(["IBM"], CALENDAR.first, None)


@pytest.mark.parametrize("status, requests", [(500, 3), (429, 3), (401, 1), (422, 1)])
async def test_only_what_may_pass_is_asked_again(tmp_path: Path, status: int, requests: int) -> None:
    """Server errors and rate limits are repeated, refusals are not."""
    asked = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(status)

    with pytest.raises(provider.ProviderFailedError):
        await rest(tmp_path, handle).bars(["IBM"], CALENDAR.first, None)
    assert len(asked) == requests


async def test_a_failing_provider_never_names_the_secret(tmp_path: Path) -> None:
    """Neither the error nor the key's own text holds it."""
    client = rest(tmp_path, lambda _request: httpx2.Response(403))
    with pytest.raises(provider.ProviderFailedError) as failed:
        await client.bars(["IBM"], CALENDAR.first, None)
    key = provider.read_key(tmp_path / "data-key.json")
    assert key.secret_key not in str(failed.value) + repr(key)


async def test_a_missing_key_is_an_error_that_passes(tmp_path: Path) -> None:
    """A key file that is being rotated makes the provider unusable, not the process."""
    client = rest(tmp_path, lambda _request: httpx2.Response(200, json={}))
    (tmp_path / "data-key.json").write_text("{")
    with pytest.raises(provider.ProviderFailedError, match="TRADEPLANE_DATA_KEY_FILE"):
        await client.bars(["IBM"], CALENDAR.first, None)
