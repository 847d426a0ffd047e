"""A stand-in of the gateway's ``GET /v1/state``: a real HTTP server that says what a test tells it to."""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


class GatewayStandIn:
    """What the gateway would say; change the attributes while it serves."""

    def __init__(self) -> None:
        self.state = "halted"
        self.causes: list[Json] = [{"kind": "switch", "state": "halted", "message": "trading is halted"}]
        self.clean = True
        self.down = False
        self.open_orders: dict[str, int] = {}
        self.breaches: dict[str, Json] = {}
        self.running: dict[str, Json] = {}

    def enable(self) -> None:
        """Permit trading."""
        self.state = "enabled"
        self.causes = [{"kind": "switch", "state": "enabled", "message": ""}]

    def fence(self, config: Json) -> None:
        """Let a strategy job take its fence."""
        self.running[config["uid"]] = {
            "name": config["name"],
            "uid": config["uid"],
            "generation": config["generation"],
            "attempt": config["attempt"],
            "running": True,
            "last_trigger": None,
        }

    def answer(self) -> Json:
        """The body."""
        strategies = [
            {
                **each,
                "state": self.state,
                "causes": self.causes,
                "open_orders": self.open_orders.get(uid, 0),
                "breach": self.breaches.get(uid),
            }
            for uid, each in self.running.items()
        ]
        return {
            "environment": "demo",
            "ledger": "k3j9x2ab",
            "state": self.state,
            "causes": self.causes,
            "epoch": {"number": 1, "holder": "stand-in"},
            "reconciliation": {"clean": self.clean, "at": "2026-01-01T00:00:00Z", "differences": []},
            "counts": {"open_orders": sum(self.open_orders.values())},
            "strategies": strategies,
        }

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Yield the URL at which it answers."""
        stand_in = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(stand_in.answer()).encode()
                self.send_response(503 if stand_in.down else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Stay silent."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join(5)
