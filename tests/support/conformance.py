"""What the conformance checks share: a venue on minutes whose prices the check chooses, and orders in few words."""

import asyncio
import contextlib
import datetime as dt
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import httpx2
import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.stream import TradingStream

from support import minute_data, simulator
from tradeplane_engine.domain import bars, times

PATIENCE_S = 10
DAY = "2012-03-02"
NEXT_DAY = "2012-03-05"


def client_of(venue: simulator.Venue) -> TradingClient:
    """The official client with a trading key."""
    return TradingClient(venue.key_id, venue.secret_key, url_override=venue.url)


def moment(text: str, day: str = DAY) -> str:
    """Return an instant of a day, given in New York's winter time as ``09:30`` or ``09:30:15``."""
    local = dt.datetime.fromisoformat(f"{day}T{text}-05:00")
    return local.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def path(
    symbol: str, prices: Sequence[str], *, start: str = "09:30", day: str = DAY, volume: int = 100_000
) -> list[bars.Bar]:
    """Minutes from ``start`` on: each goes from one price to the next, so there is one less of them."""
    first = times.instant(moment(start, day))
    return [
        minute_data.minute(
            symbol, times.Nanos(first + number * times.MINUTE), price, close=prices[number + 1], volume=volume
        )
        for number, price in enumerate(prices[:-1])
    ]


def flat(
    symbol: str, price: str, minutes: int, *, start: str = "09:30", day: str = DAY, volume: int = 100_000
) -> list[bars.Bar]:
    """So many minutes at one price."""
    return path(symbol, [price] * (minutes + 1), start=start, day=day, volume=volume)


def wanted(symbol: str = "AAPL", quantity: Any = 10, side: str = "buy", kind: str = "market", **more: Any) -> Any:
    """Body of an order for the day; a ``quantity`` of None is left out."""
    body = {"symbol": symbol, "side": side, "type": kind, "time_in_force": "day", **more}
    return body if quantity is None else {**body, "qty": quantity}


def send(client: TradingClient, *given: Any, **more: Any) -> Any:
    """Send an order and return the answer, as text of the broker."""
    return client.post("/orders", wanted(*given, **more))


def refusal(act: Callable[[], object]) -> APIError:
    """Return the client's error."""
    with pytest.raises(APIError) as caught:
        act()
    return caught.value


def order(client: TradingClient, found: Mapping[str, Any]) -> Any:
    """Return an order as it is now, with its legs."""
    return client.get(f"/orders/{found['id']}", {"nested": True})


def legs(client: TradingClient, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return an order's legs by their type."""
    return {leg["type"]: leg for leg in order(client, found)["legs"]}


class Updates:
    """What a stream of trade updates told, as the broker sent it."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Any] = asyncio.Queue()

    async def put(self, message: Any) -> None:
        """Take a message."""
        await self._queue.put(message["data"])

    async def take(self, count: int) -> list[Any]:
        """Wait for so many."""
        return [await asyncio.wait_for(self._queue.get(), PATIENCE_S) for _ in range(count)]

    async def events(self, count: int) -> list[str]:
        """Wait for so many, and return the names of their events."""
        return [message["event"] for message in await self.take(count)]

    @property
    def waiting(self) -> int:
        """How many nobody has taken."""
        return self._queue.qsize()


@contextlib.asynccontextmanager
async def listening(venue: simulator.Venue, url: str = "") -> AsyncIterator[Updates]:
    """Listen with the official stream client, in its raw mode, at the venue or at an address that leads there."""
    found = Updates()
    stream = TradingStream(venue.key_id, venue.secret_key, raw_data=True, url_override=url or venue.stream_url)
    stream.subscribe_trade_updates(found.put)
    task = asyncio.ensure_future(stream._run_forever())
    try:
        await asyncio.to_thread(venue.wait_for_stream, "trading")
        yield found
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await stream.close()


def replayed(venue: simulator.Venue, **query: str) -> list[Any]:
    """Read server-sent trade updates to the end that the query names."""
    headers = {"APCA-API-KEY-ID": venue.key_id, "APCA-API-SECRET-KEY": venue.secret_key}
    with httpx2.stream(
        "GET", f"{venue.url}/v2/events/trades", params=query, headers=headers, timeout=PATIENCE_S, trust_env=False
    ) as answer:
        answer.raise_for_status()
        return [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
