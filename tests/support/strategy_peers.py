"""What a strategy process talks to over HTTP, in one server that a test scripts: gateway, history, model."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import server
from typing import Any
from urllib import parse

from tradeplane_engine.domain import bars, times
from tradeplane_workers import bar_messages, messages
from tradeplane_workers.model import core

TOKEN = "the-token"


@dataclass
class Peers:
    """State of gateway, provider and model.

    served : answers predictions
    market : all slices; the first ``known`` are known
    trouble : paths (their last part) to answers to give first: a status, or "cut" for a lost connection
    """

    served: core.Core
    market: Sequence[bars.BarSlice]
    known: int
    last_trigger: str = ""
    token: str = TOKEN
    decisions: dict[str, messages.DecisionMessage] = field(default_factory=dict)
    posts: list[messages.DecisionMessage] = field(default_factory=list)
    fences: list[messages.StrategyConfig] = field(default_factory=list)
    trouble: dict[str, list[Any]] = field(default_factory=dict)
    model_delay_s: float = 0.0
    changed: threading.Condition = field(default_factory=threading.Condition)
    url: str = ""

    def await_decisions(self, count: int, *, timeout_s: float = 20.0) -> list[messages.DecisionMessage]:
        """Return all decisions once there are ``count``."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.decisions) >= count, timeout_s):
                raise AssertionError(f"{len(self.decisions)} decisions, expected {count}")
            return list(self.decisions.values())

    def await_fence(self, count: int = 1) -> None:
        """Return once the fence was asked for ``count`` times."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.fences) >= count, 20)

    def handle(self, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        """Answer one request with status and JSON content."""
        match method, path.rstrip("/").rpartition("/")[2]:
            case "POST", "fence":
                return self._fence(messages.FenceRequest.model_validate_json(body))
            case "GET", "book" | "order-events" as path:
                return self._nothing(query, path)
            case "POST", "decisions":
                return self._decide(messages.DecisionMessage.model_validate_json(body))
            case "GET", "history":
                return 200, self._history(query)
            case "POST", "predict":
                return self._predict(body)
        return 404, {"reason": "not-found"}

    def _fence(self, request: messages.FenceRequest) -> tuple[int, Any]:
        with self.changed:
            self.fences.append(request.config)
            self.changed.notify_all()
        return 200, {"token": self.token, "last_trigger": self.last_trigger}

    def _nothing(self, query: dict[str, str], path: str) -> tuple[int, Any]:
        """Nothing is held, and nothing has happened to any order."""
        if query.get("token") != self.token:
            return 403, {"reason": "fenced"}
        return 200, {"symbols": {}} if path == "book" else {"events": []}

    def _decide(self, message: messages.DecisionMessage) -> tuple[int, Any]:
        if message.token != self.token:
            return 403, {"reason": "fenced"}
        with self.changed:
            self.posts.append(message)
            repeated = message.trigger in self.decisions
            self.decisions.setdefault(message.trigger, message)
            self.last_trigger = message.trigger
            self.changed.notify_all()
        verdicts = [{"client_order_id": intent.symbol} for intent in message.intents]
        return 200, {"sequence": len(self.posts), "repeated": repeated, "verdicts": verdicts}

    def _history(self, query: dict[str, str]) -> Any:
        found: Sequence[bars.BarSlice] = self.market[: self.known]
        if "last" in query:
            found = found[-int(query["last"]) :]
        else:
            start = times.instant(query["start"])
            found = [one for one in found if one.end >= start]
        symbols = set(query["symbols"].split(","))
        return messages.History(
            bars=tuple(
                bar_messages.bar_message(bar) for one in found for bar in one.bars.values() if bar.symbol in symbols
            ),
            actions=tuple(bar_messages.action_message(action) for one in found for action in one.actions),
        ).model_dump()

    def _predict(self, body: bytes) -> tuple[int, Any]:
        time.sleep(self.model_delay_s)
        (answer,) = self.served.answer([messages.PredictRequest.model_validate_json(body)])
        if isinstance(answer, core.Refused):
            return 422, {"detail": answer.message}
        return 200, answer.model_dump()


@contextmanager
def serving(peers: Peers) -> Iterator[Peers]:
    """Serve on a free port of loopback."""

    class Handler(server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def log_message(self, *_arguments: object) -> None:
            """Stay silent."""

        def _answer(self, method: str) -> None:
            url = parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            waiting = peers.trouble.get(url.path.rpartition("/")[2], [])
            problem = waiting.pop(0) if waiting else None
            if problem == "cut":
                self.close_connection = True
                return
            if problem is not None:
                status, content = problem, {"reason": "trouble"}
            else:
                status, content = peers.handle(method, url.path, dict(parse.parse_qsl(url.query)), body)
            payload = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

    httpd = server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    peers.url = f"http://127.0.0.1:{httpd.server_port}"
    try:
        yield peers
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
