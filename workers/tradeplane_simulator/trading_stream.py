"""The stream of trade updates: ``/stream``."""

from typing import Any

import msgpack  # type: ignore[import-untyped]  # published without type information
import orjson
from starlette import websockets

from tradeplane_simulator import book, connection, credentials, render
from tradeplane_simulator.faults import plan as plans


class Client(connection.Connection):
    """One client of ``/stream``: it logs in, then listens to the updates of its account.

    Parameters
    ----------
    socket : an accepted WebSocket
    keys : who may listen
    text_frames : whether frames are text, as from Alpaca's live host, and not binary
    """

    def __init__(
        self,
        socket: websockets.WebSocket,
        keys: credentials.Keys,
        *,
        text_frames: bool,
        plan: plans.Plan | None = None,
    ) -> None:
        super().__init__(socket, stream="trading", plan=plan)
        self._keys = keys
        self._text_frames = text_frames
        self.listening = False

    @property
    def receives(self) -> bool:
        """Whether it listens."""
        return self.listening

    def update(self, update: book.Update) -> None:
        """Send an update of the account."""
        told = render.update(update)
        self._say(told, event=str(told["data"]["event"]))

    def answer(self, message: Any) -> bool:
        """Answer one of the two actions, a login in either of its forms."""
        action = message.get("action") if isinstance(message, dict) else None
        data = message.get("data") if isinstance(message, dict) else None
        data = data if isinstance(data, dict) else {}
        match action:
            case "authenticate" | "auth":
                return self._authenticate(data if action == "authenticate" else message)
            case "listen" if not self.account:
                self._answer("authorization", status="unauthorized", action="listen")
                return True
            case "listen":
                wanted = data.get("streams")
                self.listening = isinstance(wanted, list) and "trade_updates" in wanted
                self._answer("listening", streams=["trade_updates"] if self.listening else [])
                return True
            case _:
                self._say({"action": "error", "data": {"error_message": "invalid action"}})
                return False

    def refuse_late_login(self) -> None:
        """Tell it in the form of every error here."""
        self._say({"action": "error", "data": {"error_message": "auth timeout"}})

    def _authenticate(self, source: dict[str, Any]) -> bool:
        key_id = str(source.get("key_id", source.get("key", "")))
        secret = str(source.get("secret_key", source.get("secret", "")))
        caller = self._keys.caller(key_id, secret)
        if caller is not None and caller.may_trade:
            self.log_in(caller)
            self._answer("authorization", status="authorized", action="authenticate")
            return True
        self.refuse_login()
        self._answer("authorization", status="unauthorized", action="authenticate")
        return False

    def _answer(self, stream: str, **data: Any) -> None:
        self._say({"stream": stream, "data": data})

    def _say(self, message: dict[str, Any], *, event: str = "") -> None:
        frame: bytes = msgpack.packb(message) if self.message_pack else orjson.dumps(message)
        self.put(frame.decode() if self._text_frames and not self.message_pack else frame, event=event)
