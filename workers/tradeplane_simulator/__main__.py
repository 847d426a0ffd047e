"""Start the venue: ``python -m tradeplane_simulator --data FOLDER --state FILE --accounts FILE ...``."""

import argparse
import asyncio
import contextlib
import json
import pathlib
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import structlog
import uvicorn
from starlette.types import ASGIApp

from tradeplane_engine import errors as engine_errors
from tradeplane_engine.domain import times
from tradeplane_engine.venue import profile
from tradeplane_simulator import app, control, credentials, dataset, errors, journal, logs, simulator, store, streams

_LOG = structlog.get_logger()
_STOP_S = 2


@dataclass(frozen=True, slots=True)
class Settings:
    """The command line.

    data : dataset folder
    state : SQLite file; it wins over ``clock`` when it exists
    accounts : JSON file of accounts and keys
    listen, control : ``HOST:PORT`` of the trading and data port and of the control port; port 0 takes a free one
    clock : where a new venue starts
    profile : name of the venue profile
    """

    data: pathlib.Path
    state: pathlib.Path
    accounts: pathlib.Path
    listen: tuple[str, int]
    control: tuple[str, int]
    clock: times.Nanos
    profile: profile.VenueProfile


class _Server(uvicorn.Server):
    """A server that leaves signals to the process, which has two of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def settings(arguments: Sequence[str]) -> Settings:
    """Read the command line; ends the process with a message for a wrong one."""
    parser = argparse.ArgumentParser(
        prog="tradeplane_simulator", description="Broker and data server on a replayed clock."
    )
    parser.add_argument("--data", type=pathlib.Path, required=True, help="dataset folder")
    parser.add_argument("--state", type=pathlib.Path, required=True, help="SQLite state file; created when absent")
    parser.add_argument("--accounts", type=pathlib.Path, required=True, help="JSON file of accounts and keys")
    parser.add_argument("--listen", type=_address, required=True, help="HOST:PORT for trading and data")
    parser.add_argument("--control", type=_address, required=True, help="HOST:PORT for the replay driver")
    parser.add_argument("--clock", type=_instant, required=True, help="RFC 3339 start of a new venue's clock")
    parser.add_argument("--profile", type=profile.named, required=True, help="name of the venue profile")
    return Settings(**vars(parser.parse_args(arguments)))


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; returns the exit status."""
    logs.configure()
    chosen = settings(arguments)
    try:
        asyncio.run(_run(chosen))
    except (errors.StateRefused, engine_errors.EngineError, OSError, json.JSONDecodeError) as error:
        _LOG.error("cannot start", reason=str(error))
        return 1
    return 0


async def _run(chosen: Settings) -> None:
    entries = credentials.read(chosen.accounts)
    keys = credentials.Keys(entries)
    hub = streams.Hub(keys)
    state = store.Store(chosen.state)
    try:
        venue = simulator.Simulator(
            simulator.Setup(data=dataset.read(chosen.data), profile=chosen.profile, state=state, audience=hub),
            clock=chosen.clock,
        )
        for entry in entries:
            venue.open_account(entry.name, entry.starting_cash)
        trading = journal.Journal(
            app.build(venue, keys=keys, hub=hub), state=state, venue_time=lambda: times.text(venue.clock)
        )
        applications: list[tuple[tuple[str, int], ASGIApp]] = [
            (chosen.listen, trading),
            (chosen.control, control.build(venue)),
        ]
        await _serve(applications, clock=venue.clock)
    finally:
        state.close()


async def _serve(applications: Sequence[tuple[tuple[str, int], ASGIApp]], *, clock: times.Nanos) -> None:
    servers: list[_Server] = []
    sockets: list[socket.socket] = []
    for (host, port), application in applications:
        config = uvicorn.Config(
            application,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=_STOP_S,
        )
        servers.append(_Server(config))
        sockets.append(_listener(host, port))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, servers)
    listen, control_port = (":".join(map(str, found.getsockname()[:2])) for found in sockets)
    _LOG.info("listening", listen=listen, control=control_port, clock=times.text(clock))
    await asyncio.gather(*(server.serve(sockets=[found]) for server, found in zip(servers, sockets, strict=True)))


def _listener(host: str, port: int) -> socket.socket:
    # Listening before the line in the log, so that whoever reads it can connect at once.
    found = socket.create_server((host, port), backlog=2048)
    found.settimeout(0)
    return found


def _stop(servers: Sequence[uvicorn.Server]) -> None:
    for server in servers:
        server.should_exit = True


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:  # noqa: PLR2004 - the largest port
        raise argparse.ArgumentTypeError(f"must be HOST:PORT, got {text!r}")
    return host, int(port)


def _instant(text: str) -> times.Nanos:
    try:
        return times.instant(text, field="--clock")
    except engine_errors.ValueRefused as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
