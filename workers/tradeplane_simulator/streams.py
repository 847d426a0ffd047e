"""All clients of the two streams, trade updates and market data. Nothing is kept for one that is not connected."""

import asyncio
import itertools
from collections.abc import Sequence

from starlette import websockets
from starlette.responses import Response

from tradeplane_engine.domain import times
from tradeplane_simulator import book, connection, credentials, data_stream, feeds, metrics, trading_stream
from tradeplane_simulator.faults import plan as plans

# Before a part is written, nothing of the next one is made.
_MESSAGES = 2_000
_OF_MINUTES = ("bars", "updatedBars")


class Hub:
    """All connected clients; implements the simulator's Audience.

    Parameters
    ----------
    keys : who may listen
    recording : what the feeds of market data are made of; None for none
    text_frames : whether trade updates come as text, as from Alpaca's live host, and not in binary frames
    most_trading : how many clients may listen to trade updates at once; None for any number

    Attributes
    ----------
    plan : the faults that clients may meet; set when there is a venue, whose clock it goes by
    """

    def __init__(
        self,
        keys: credentials.Keys,
        *,
        recording: feeds.Recording | None = None,
        text_frames: bool = False,
        most_trading: int | None = None,
    ) -> None:
        self._keys = keys
        self._recording = recording
        self._trading: set[trading_stream.Client] = set()
        self._data: set[data_stream.Client] = set()
        self._text_frames = text_frames
        self._most_trading = most_trading
        self.plan: plans.Plan | None = None

    def trade_updates(self, account: str, updates: Sequence[book.Update]) -> None:
        """Send an account's updates to those who listen to it."""
        clients = [found for found in self._trading if found.listening and found.account == account]
        for update in updates:
            for client in clients:
                client.update(update)

    async def market_data(self, after: times.Nanos, until: times.Nanos) -> None:
        """Send what the feeds tell in (after, until] to those who subscribed to it, each feed in the order of time.

        Written in parts, so that a jump of the clock over a whole day needs no memory for all of it.
        """
        if self._recording is None:
            return
        for feed in feeds.Feed:
            clients = [client for client in self._data if client.feed is feed and client.receives]
            if clients:
                wanted = {
                    name: set[str]().union(*(one.symbols(name) for one in clients)) for name in data_stream.CHANNELS
                }
                told = self._recording.messages(feed, after, until, wanted)
                while part := list(itertools.islice(told, _MESSAGES)):
                    for client in clients:
                        client.send(part)
                    await self.flush()

    async def flush(self) -> None:
        """Return when every connected client has what was sent, or was given up."""
        clients: list[connection.Connection] = [*self._trading, *self._data]
        if clients:
            await asyncio.gather(*(client.drained() for client in clients))

    async def serve_trading(self, socket: websockets.WebSocket) -> None:
        """Serve ``/stream``: MessagePack for clients that ask for it, else JSON."""
        # Whose it is nobody knows at the handshake: the official client logs in after it.
        busy = sum(bool(client.account) for client in self._trading)
        if self._most_trading is not None and busy >= self._most_trading:
            metrics.REFUSALS.labels("trading").inc()
            await socket.send_denial_response(Response(status_code=429))
            return
        if await self._refused(socket, "trading"):
            return
        await socket.accept()
        client = trading_stream.Client(socket, self._keys, text_frames=self._text_frames, plan=self.plan)
        self._trading.add(client)
        try:
            await client.serve()
        finally:
            self._trading.discard(client)

    async def serve_data(self, socket: websockets.WebSocket, feed: feeds.Feed) -> None:
        """Serve a feed: MessagePack for clients that ask for it, else JSON text."""
        if await self._refused(socket, "data"):
            return
        await socket.accept()
        client = data_stream.Client(
            socket,
            self._keys,
            feed=feed,
            offered=self._offered,
            admits=lambda account: self._admits(account, feed),
            plan=self.plan,
        )
        goes_on = client.welcome()
        self._data.add(client)
        try:
            await client.serve(goes_on=goes_on)
        finally:
            self._data.discard(client)

    async def _refused(self, socket: websockets.WebSocket, stream: str) -> bool:
        fault = None if self.plan is None else self.plan.of_handshake(stream)
        if fault is not None:
            await socket.send_denial_response(Response(status_code=fault.status))
        return fault is not None

    @property
    def _offered(self) -> Sequence[str]:
        # Days have no minutes, and would look like a quiet market to whoever waits for some.
        has_minutes = self._recording is not None and not self._recording.sip.is_daily
        return [name for name in data_stream.CHANNELS if has_minutes or name not in _OF_MINUTES]

    def _admits(self, account: str, feed: feeds.Feed) -> bool:
        most = self._keys.data_streams(account)
        return most is None or sum(one.feed is feed and one.account == account for one in self._data) < most
