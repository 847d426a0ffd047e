"""A provider of bars that a test scripts: REST and WebSocket over real sockets, misbehaving on request."""

import asyncio
import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastapi
import uvicorn
from fastapi import responses

KEY = {"key_id": "DATA", "secret_key": "data-secret"}


def row(label: str, close: str = "100", **changed: Any) -> dict[str, Any]:
    """Return a daily bar row around ``close``, with fields replaced by ``changed``."""
    price = float(close)
    made = {"t": label, "o": price, "h": price + 1, "l": price - 1, "c": price, "v": 1000, "n": 1, "vw": price}
    return made | changed


def key_file(folder: Path) -> Path:
    """Write the key that the provider accepts."""
    path = folder / "data-key.json"
    path.write_text(json.dumps(KEY))
    return path


@dataclass
class DataProvider:
    """What the provider has, and how it behaves; ``rows`` of days and ``minutes`` are oldest first."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    minutes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    actions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    failures: list[int] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    sockets: dict[fastapi.WebSocket, set[str]] = field(default_factory=dict)
    minute_sockets: dict[fastapi.WebSocket, set[str]] = field(default_factory=dict)
    subscribed: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    _server: uvicorn.Server | None = None
    _task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Base URL of REST."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def stream_url(self) -> str:
        """URL of the stream."""
        return f"ws://127.0.0.1:{self.port}/v2/iex"

    def add(self, label: str, symbols: Iterable[str], close: str = "100") -> list[dict[str, Any]]:
        """Let REST know a session's bars; returns them in the stream's form."""
        frames = []
        for symbol in symbols:
            made = row(label, close)
            self.rows.setdefault(symbol, []).append(made)
            frames.append({"T": "d", "S": symbol, **made})
        return frames

    def add_minute(
        self, label: str, symbols: Iterable[str], close: str = "100", **changed: Any
    ) -> list[dict[str, Any]]:
        """Let REST know a minute's bars, in place of those it had; returns them in the stream's form."""
        frames = []
        for symbol in symbols:
            made = row(label, close, **changed)
            of_symbol = self.minutes.setdefault(symbol, [])
            of_symbol[:] = sorted([*(one for one in of_symbol if one["t"] != label), made], key=lambda one: one["t"])
            frames.append({"T": "b", "S": symbol, **made})
        return frames

    async def send(self, frames: list[dict[str, Any]]) -> None:
        """Send one frame of messages to every socket."""
        for socket_ in self.sockets:
            await socket_.send_text(json.dumps(frames))

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(self._app(), log_level="error", ws="websockets-sansio", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Close everything, as a crash would."""
        if self._server is None or self._task is None:
            return
        for connection in list(self.sockets):
            await connection.close(1001)
        self.sockets.clear()
        self.minute_sockets.clear()
        self.subscribed.clear()
        self._server.should_exit = True
        await self._task
        self._server = self._task = None

    def _app(self) -> fastapi.FastAPI:
        app = fastapi.FastAPI()

        @app.get("/v2/stocks/bars")
        async def bars(request: fastapi.Request) -> responses.JSONResponse:
            return self._answer(request, self._bars)

        @app.get("/v2/stocks/bars/latest")
        async def latest(request: fastapi.Request) -> responses.JSONResponse:
            return self._answer(request, self._latest)

        @app.get("/v1/corporate-actions")
        async def actions(request: fastapi.Request) -> responses.JSONResponse:
            return self._answer(request, lambda _query: {"corporate_actions": self.actions, "next_page_token": None})

        @app.websocket("/v2/iex")
        async def stream(connection: fastapi.WebSocket) -> None:
            await self._serve_socket(connection)

        return app

    def _answer(self, request: fastapi.Request, body: Any) -> responses.JSONResponse:
        self.requests.append(f"{request.url.path}?{request.url.query}")
        if self.failures:
            return responses.JSONResponse({"message": "failed"}, status_code=self.failures.pop(0))
        if request.headers.get("APCA-API-SECRET-KEY") != KEY["secret_key"]:
            return responses.JSONResponse({"message": "forbidden"}, status_code=401)
        return responses.JSONResponse(body(request.query_params))

    def _bars(self, query: Mapping[str, str]) -> dict[str, Any]:
        chosen = []
        for symbol in sorted(query["symbols"].split(",")):
            known = [
                entry
                for entry in self._of(symbol, query["timeframe"])
                if query["start"] <= entry["t"] and ("end" not in query or entry["t"] <= query["end"])
            ]
            chosen += [(symbol, entry) for entry in (known[::-1] if query.get("sort") == "desc" else known)]
        first = int(query.get("page_token", "0"))
        last = first + int(query["limit"])
        page: dict[str, list[dict[str, Any]]] = {}
        for symbol, entry in chosen[first:last]:
            page.setdefault(symbol, []).append(entry)
        return {"bars": page, "next_page_token": str(last) if last < len(chosen) else None}

    def _of(self, symbol: str, timeframe: str) -> list[dict[str, Any]]:
        if timeframe == "1Day":
            return self.rows.get(symbol, [])
        length = int(timeframe.removesuffix("Min"))
        made: dict[str, dict[str, Any]] = {}
        for one in self.minutes.get(symbol, []):
            label = f"{one['t'][:14]}{int(one['t'][14:16]) // length * length:02d}:00Z"
            before = made.get(label)
            if before is None:
                made[label] = {**one, "t": label}
            else:
                before.update(h=max(before["h"], one["h"]), l=min(before["l"], one["l"]), c=one["c"])
                before["v"] += one["v"]
        return list(made.values())

    def _latest(self, query: Mapping[str, str]) -> dict[str, Any]:
        newest = {symbol: self.minutes.get(symbol, [])[-1:] for symbol in query["symbols"].split(",")}
        return {"bars": {symbol: found[0] for symbol, found in newest.items() if found}}

    async def _serve_socket(self, connection: fastapi.WebSocket) -> None:
        await connection.accept()
        await connection.send_text(json.dumps([{"T": "success", "msg": "connected"}]))
        login = json.loads(await connection.receive_text())
        if (login.get("key"), login.get("secret")) != (KEY["key_id"], KEY["secret_key"]):
            await connection.send_text(json.dumps([{"T": "error", "code": 402, "msg": "auth failed"}]))
            await connection.close()
            return
        await connection.send_text(json.dumps([{"T": "success", "msg": "authenticated"}]))
        self.sockets[connection] = set()
        self.minute_sockets[connection] = set()
        try:
            while True:
                wanted = json.loads(await connection.receive_text())
                self.sockets[connection].update(wanted.get("dailyBars", ()))
                self.minute_sockets[connection].update(wanted.get("bars", ()))
                days, minutes = sorted(self.sockets[connection]), sorted(self.minute_sockets[connection])
                complete = {"T": "subscription", "dailyBars": days, "bars": minutes, "updatedBars": minutes}
                await connection.send_text(json.dumps([complete]))
                self.subscribed.set()
        except (fastapi.WebSocketDisconnect, RuntimeError, KeyError):
            self.sockets.pop(connection, None)
            self.minute_sockets.pop(connection, None)
