"""The stream of market data, on one path per feed: ``/v2/iex``, ``/v2/sip``, ``/v2/delayed_sip``, ``/v2/test``."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]  # published without type information
import orjson
from starlette import websockets

from tradeplane_simulator import connection, credentials, feeds, render
from tradeplane_simulator.faults import plan as plans

# The client refuses frames above 1 MiB; 500 messages are about 75 KiB.
_ROWS_PER_FRAME = 500
CHANNELS: Final = (
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
# These come with the trades and cannot be asked for alone.
_WITH_TRADES: Final = ("corrections", "cancelErrors")
# The plan's limit is on these; bars have none.
_LIMITED: Final = ("trades", "quotes")


class Client(connection.Connection):
    """One client of a feed: it logs in, then subscribes to symbols of channels.

    Parameters
    ----------
    socket : an accepted WebSocket
    keys : who may subscribe
    feed : which one it has connected to
    offered : the channels that there is anything to send on
    admits : whether one more connection of an account may be on this feed
    """

    def __init__(
        self,
        socket: websockets.WebSocket,
        keys: credentials.Keys,
        *,
        feed: feeds.Feed,
        offered: Sequence[str],
        admits: Callable[[str], bool],
        plan: plans.Plan | None = None,
    ) -> None:
        super().__init__(socket, stream="data", plan=plan)
        self._keys = keys
        self.feed = feed
        self._offered = offered
        self._admits = admits
        self._most: int | None = None
        self._symbols: dict[str, set[str]] = defaultdict(set)

    @property
    def receives(self) -> bool:
        """Whether it has subscribed to any symbol."""
        return any(self._symbols.values())

    def symbols(self, channel: str) -> set[str]:
        """Return what it has subscribed to on a channel."""
        return self._symbols[channel]

    def welcome(self) -> bool:
        """Greet it, and log it in where the handshake had its key; False ends the connection."""
        self._tell({"T": "success", "msg": "connected"})
        caller = self._keys.of_request(self._socket.headers)
        return caller is None or self._authenticate(caller)

    def send(self, messages: Sequence[feeds.Message]) -> None:
        """Send those messages that it has subscribed to."""
        form = render.MESSAGE_PACK if self.message_pack else render.JSON
        rows = [message.row(form) for message in messages if self._wants(message)]
        for first in range(0, len(rows), _ROWS_PER_FRAME):
            self.put(self._frame(rows[first : first + _ROWS_PER_FRAME]), event="data")

    def answer(self, message: Any) -> bool:
        """Answer one of the three actions."""
        action = message.get("action") if isinstance(message, dict) else None
        match action:
            case "auth" if self.account:
                self._fail(403, "already authenticated")
            case "auth":
                caller = self._keys.caller(str(message.get("key", "")), str(message.get("secret", "")))
                if caller is not None:
                    return self._authenticate(caller)
                self._refuse(402, "auth failed")
                return False
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

    def farewell(self) -> connection.Frame:
        """Say why a client that does not read is closed."""
        return self._frame([{"T": "error", "code": 407, "msg": "slow client"}])

    def _authenticate(self, caller: credentials.Caller) -> bool:
        if self.feed is feeds.Feed.SIP and not caller.has_sip:
            self._refuse(409, "insufficient subscription")
            return False
        if not self._admits(caller.account):
            self._refuse(406, "connection limit exceeded")
            return False
        self._most = caller.most_symbols
        self.log_in(caller)
        self._tell({"T": "success", "msg": "authenticated"})
        return True

    def _subscribe(self, message: dict[str, Any], *, adding: bool) -> None:
        wanted = {name: message[name] for name in message if name != "action" and message[name]}
        for name, symbols in wanted.items():
            if name not in CHANNELS or not isinstance(symbols, list) or not all(isinstance(s, str) for s in symbols):
                self._fail(400, "invalid syntax")
                return
            if name not in self._offered:
                # A half subscription would look like a quiet market.
                only = ", ".join(self._offered)
                self._fail(410, f"invalid subscribe action for this feed: only {only} is offered, got {name}")
                return
        after = {name: self._symbols[name] | set(wanted.get(name, ())) for name in CHANNELS}
        if not adding:
            after = {name: self._symbols[name] - set(wanted.get(name, ())) for name in CHANNELS}
        for name in _WITH_TRADES:
            after[name] = after["trades"]
        limited = set[str]().union(*(after[name] for name in _LIMITED))
        if adding and self._most is not None and (len(limited) > self._most or feeds.ALL in limited):
            self._fail(405, "symbol limit exceeded")
            return
        self._symbols.update(after)
        self._tell({"T": "subscription", **{name: sorted(self._symbols[name]) for name in CHANNELS}})

    def _wants(self, message: feeds.Message) -> bool:
        symbols = self._symbols[message.channel]
        return message.symbol in symbols or feeds.ALL in symbols

    def _tell(self, message: dict[str, Any]) -> None:
        self.put(self._frame([message]))

    def _fail(self, code: int, message: str) -> None:
        self._tell({"T": "error", "code": code, "msg": message})

    def _refuse(self, code: int, message: str) -> None:
        self.refuse_login(message)
        self._fail(code, message)

    def _frame(self, rows: Sequence[dict[str, Any]]) -> connection.Frame:
        return bytes(msgpack.packb(rows)) if self.message_pack else orjson.dumps(rows).decode()
