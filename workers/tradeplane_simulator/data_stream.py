"""The stream of market data: ``/v2/iex``."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgpack  # type: ignore[import-untyped]  # published without type information
import orjson
from starlette import websockets

from tradeplane_engine.domain import bars, numbers, times
from tradeplane_simulator import connection, credentials, render, sessions

# The client refuses frames above 1 MiB; 500 bars are about 60 KiB.
_BARS_PER_FRAME = 500
_CHANNELS = (
    "trades",
    "quotes",
    "bars",
    "updatedBars",
    "dailyBars",
    "statuses",
    "lulds",
    "corrections",
    "cancelErrors",
)


class Client(connection.Connection):
    """One client of the data stream: it logs in, then subscribes to symbols of channels.

    Parameters
    ----------
    socket : an accepted WebSocket
    keys : who may subscribe
    offered : the channels that there is anything to send on
    """

    def __init__(self, socket: websockets.WebSocket, keys: credentials.Keys, *, offered: Sequence[str]) -> None:
        super().__init__(socket, stream="data")
        self._keys = keys
        self._offered = offered
        self._symbols: dict[str, set[str]] = defaultdict(set)

    @property
    def receives(self) -> bool:
        """Whether it has subscribed to any symbol."""
        return any(self._symbols.values())

    def welcome(self) -> None:
        """Greet it, and log it in where the handshake had its key."""
        self._tell({"T": "success", "msg": "connected"})
        caller = self._keys.of_request(self._socket.headers)
        if caller is not None:
            self._authenticate(caller)

    def bars(self, published: Sequence[bars.Bar], channel: str, *, kind: str) -> None:
        """Send those bars of a channel that it has subscribed to."""
        symbols = self._symbols[channel]
        wanted = [bar for bar in published if symbols & {bar.symbol, "*"}]
        for first in range(0, len(wanted), _BARS_PER_FRAME):
            self.put(_bars_frame(wanted[first : first + _BARS_PER_FRAME], kind=kind, message_pack=self.message_pack))

    def answer(self, message: Any) -> bool:
        """Answer one of the three actions."""
        action = message.get("action") if isinstance(message, dict) else None
        match action:
            case "auth":
                caller = self._keys.caller(str(message.get("key", "")), str(message.get("secret", "")))
                if self.account:
                    self._fail(403, "already authenticated")
                elif caller is None:
                    self.refuse_login()
                    self._fail(402, "auth failed")
                    return False
                else:
                    self._authenticate(caller)
            case "subscribe" | "unsubscribe" if not self.account:
                self._fail(401, "not authenticated")
            case "subscribe" | "unsubscribe":
                self._subscribe(message, adding=action == "subscribe")
            case _:
                self._fail(400, "invalid syntax")
        return True

    def refuse_late_login(self) -> None:
        """Tell it with Alpaca's code."""
        self._fail(404, "auth timeout")

    def _authenticate(self, caller: credentials.Caller) -> None:
        self.log_in(caller)
        self._tell({"T": "success", "msg": "authenticated"})

    def _subscribe(self, message: dict[str, Any], *, adding: bool) -> None:
        wanted = {name: message[name] for name in message if name != "action" and message[name]}
        for name, symbols in wanted.items():
            if name not in _CHANNELS or not isinstance(symbols, list) or not all(isinstance(s, str) for s in symbols):
                self._fail(400, "invalid syntax")
                return
            if name not in self._offered:
                # A half subscription would look like a quiet market.
                only = ", ".join(self._offered)
                self._fail(410, f"invalid subscribe action for this feed: only {only} is offered, got {name}")
                return
        for name, symbols in wanted.items():
            known = self._symbols[name]
            self._symbols[name] = known | set(symbols) if adding else known - set(symbols)
        self._tell({"T": "subscription", **{name: sorted(self._symbols[name]) for name in _CHANNELS}})

    def _tell(self, message: dict[str, Any]) -> None:
        self.put(msgpack.packb([message]) if self.message_pack else orjson.dumps([message]).decode())

    def _fail(self, code: int, message: str) -> None:
        self._tell({"T": "error", "code": code, "msg": message})


def _bars_frame(published: Sequence[bars.Bar], *, kind: str, message_pack: bool) -> connection.Frame:
    labels = [_label(bar, kind) for bar in published]
    rows = [
        {"T": kind, "S": bar.symbol, **render.bar(bar, label)} for bar, label in zip(published, labels, strict=True)
    ]
    if not message_pack:
        return orjson.dumps(rows).decode()
    # MessagePack has no decimals: prices become the nearest doubles here, whose shortest text is the price again.
    for row, bar, label in zip(rows, published, labels, strict=True):
        row["t"] = msgpack.Timestamp(label // times.SECOND)
        prices = {"o": bar.open, "h": bar.high, "l": bar.low, "c": bar.close}
        row.update({name: float(numbers.price_text(price)) for name, price in prices.items()})
    return bytes(msgpack.packb(rows))


def _label(bar: bars.Bar, kind: str) -> times.Nanos:
    return sessions.midnight(sessions.new_york_date(bar.start)) if kind == "d" else bar.start
