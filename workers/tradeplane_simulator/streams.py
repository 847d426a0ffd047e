"""All clients of the two streams, trade updates and market data. Nothing is kept for one that is not connected."""

import asyncio
from collections.abc import Sequence

from starlette import websockets
from starlette.responses import Response

from tradeplane_engine.domain import bars
from tradeplane_simulator import book, connection, credentials, data_stream, metrics, trading_stream


class Hub:
    """All connected clients; implements the simulator's Audience.

    Parameters
    ----------
    keys : who may listen
    has_minutes : whether there are minutes to send, and not only days
    text_frames : whether trade updates come as text, as from Alpaca's live host, and not in binary frames
    most_trading : how many clients may listen to trade updates at once; None for any number
    """

    def __init__(
        self,
        keys: credentials.Keys,
        *,
        has_minutes: bool = False,
        text_frames: bool = False,
        most_trading: int | None = None,
    ) -> None:
        self._keys = keys
        self._offered = ("bars", "updatedBars", "dailyBars") if has_minutes else ("dailyBars",)
        self._trading: set[trading_stream.Client] = set()
        self._data: set[data_stream.Client] = set()
        self._text_frames = text_frames
        self._most_trading = most_trading

    def trade_updates(self, account: str, updates: Sequence[book.Update]) -> None:
        """Send an account's updates to those who listen to it."""
        clients = [found for found in self._trading if found.listening and found.account == account]
        for update in updates:
            for client in clients:
                client.update(update)

    def daily_bars(self, published: Sequence[bars.Bar]) -> None:
        """Send new days to those who subscribed to their symbols."""
        for client in self._data:
            client.bars(published, "dailyBars", kind="d")

    def minute_bars(self, published: Sequence[bars.Bar]) -> None:
        """Send new minutes to those who subscribed to their symbols; none is ever revised here."""
        for client in self._data:
            client.bars(published, "bars", kind="b")

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
        await socket.accept()
        client = trading_stream.Client(socket, self._keys, text_frames=self._text_frames)
        self._trading.add(client)
        try:
            await client.serve()
        finally:
            self._trading.discard(client)

    async def serve_data(self, socket: websockets.WebSocket) -> None:
        """Serve ``/v2/iex``: MessagePack for clients that ask for it, else JSON text."""
        await socket.accept()
        client = data_stream.Client(socket, self._keys, offered=self._offered)
        self._data.add(client)
        client.welcome()
        try:
            await client.serve()
        finally:
            self._data.discard(client)
