"""The venue as a server: state file, dataset, the trading and data port and the control port on one event loop."""

import asyncio
import contextlib
import pathlib
import socket
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NoReturn

import uvicorn
from starlette.types import ASGIApp

from tradeplane_engine.domain import times
from tradeplane_engine.venue import profile
from tradeplane_simulator import (
    app,
    assets,
    control,
    credentials,
    feeds,
    journal,
    limits,
    pace,
    simulator,
    store,
    streams,
    working,
)
from tradeplane_simulator.faults import plan as plans
from tradeplane_simulator.faults import requests

_STOP_S = 2
_EARLY = times.Nanos(5 * times.MINUTE)
_BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class Settings:
    """The command line.

    data : dataset folder
    state : SQLite file; it wins over ``clock`` when it exists
    accounts : JSON file of accounts and keys
    listen, control : ``HOST:PORT`` of the trading and data port and of the control port; port 0 takes a free one
    clock : where a new venue starts; None for five minutes before the first session's open
    profile : name of the venue profile
    assets : JSON file of assets with which not everything may be done, if there is one
    latency : how long cancels and replacements take, ns of the venue's time
    partial_fills, seed : share of bars that fill a random part of an order alone, and the seed of the draws
    text_frames : whether the trading stream sends text, as Alpaca's live host does
    trading_streams : how many clients may listen to trade updates at once
    iex_share : share of a bar's volume that the iex feed has; None for all of it
    scenario : what goes wrong from the start, a JSON file; None for nothing
    speed : how many times as fast as the machine's the clock runs; None for one that only the control port moves
    """

    data: pathlib.Path
    state: pathlib.Path
    accounts: pathlib.Path
    listen: tuple[str, int]
    control: tuple[str, int]
    clock: times.Nanos | None
    profile: profile.VenueProfile
    assets: pathlib.Path | None = None
    text_frames: bool = False
    trading_streams: int | None = None
    latency: int = 0
    partial_fills: Fraction = Fraction(0)
    seed: int = 0
    iex_share: Fraction | None = None
    speed: Fraction | None = None
    scenario: pathlib.Path | None = None


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a server listens, and what its clock shows."""

    listen: str
    control: str
    clock: str


class _Server(uvicorn.Server):
    """A server that leaves signals to the process, which has two of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def serve(chosen: Settings, *, stop: asyncio.Event, listening: Callable[[Addresses], None]) -> None:
    """Serve until ``stop`` is set; ``listening`` is told once clients can connect."""
    entries = credentials.read(chosen.accounts)
    keys = credentials.Keys(entries)
    state = store.Store(chosen.state)
    try:
        recording = feeds.read(chosen.data, chosen.profile, iex_share=chosen.iex_share)
        hub = streams.Hub(
            keys,
            recording=recording,
            text_frames=chosen.text_frames,
            most_trading=chosen.trading_streams,
        )
        venue = simulator.Simulator(
            simulator.Setup(
                data=recording.sip,
                profile=chosen.profile,
                state=state,
                audience=hub,
                assets=assets.read(chosen.assets),
                latency=chosen.latency,
                partials=working.Partials(chosen.partial_fills, chosen.seed) if chosen.partial_fills else None,
            ),
            clock=_start(chosen, recording),
        )
        scenario = plans.Scenario() if chosen.scenario is None else plans.Scenario.read(chosen.scenario)
        plan = hub.plan = plans.Plan(scenario, clock=lambda: venue.clock)
        for entry in entries:
            venue.open_account(entry.name, entry.starting_cash)
        rates = {one.name: limits.Rate(**one.rate.model_dump()) for one in entries if one.rate is not None}
        application = app.build(venue, recording=recording, keys=keys, hub=hub, rates=rates)
        trading = journal.Journal(
            application,
            state=state,
            venue_time=lambda: times.text(venue.clock),
        )
        faulty = requests.Layer(trading, plan, account=lambda headers: _account(keys, headers))
        ports = [_port(chosen.listen, faulty), _port(chosen.control, control.build(venue, plan))]
        try:
            listen, control_port = (_name(opened) for _, opened in ports)
            listening(Addresses(listen=listen, control=control_port, clock=times.text(venue.clock)))
            await _until(stop, ports, None if chosen.speed is None else pace.run(venue, chosen.speed))
        finally:
            for _, opened in ports:
                opened.close()
    finally:
        state.close()


def _account(keys: credentials.Keys, headers: Mapping[str, str]) -> str:
    caller = keys.of_request(headers)
    return "" if caller is None else caller.account


def _start(chosen: Settings, recording: feeds.Recording) -> times.Nanos:
    return times.Nanos(recording.sip.sessions.days[0].open - _EARLY) if chosen.clock is None else chosen.clock


async def _until(
    stop: asyncio.Event, ports: list[tuple[_Server, socket.socket]], moving: Coroutine[Any, Any, NoReturn] | None
) -> None:
    running = asyncio.gather(*(server.serve(sockets=[opened]) for server, opened in ports))
    clock = [] if moving is None else [asyncio.ensure_future(moving)]
    others: list[asyncio.Future[Any]] = [asyncio.ensure_future(stop.wait()), *clock]
    try:
        await asyncio.wait([running, *others], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for other in others:
            other.cancel()
        for server, _ in ports:
            server.should_exit = True
        await running
    for done in clock:
        if not done.cancelled():
            await done


def _port(address: tuple[str, int], application: ASGIApp) -> tuple[_Server, socket.socket]:
    host, port = address
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=_STOP_S,
    )
    return _Server(config), _listening(host, port)


def _listening(host: str, port: int) -> socket.socket:
    # Listening before anyone is told, so that whoever reads the address can connect at once. The protocol is named
    # because asyncio switches Nagle's algorithm off only then; with it on, every answer waits 40 ms.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind((host.strip("[]"), port))
    opened.listen(_BACKLOG)
    opened.settimeout(0)
    return opened


def _name(opened: socket.socket) -> str:
    host, port = opened.getsockname()[:2]
    return f"{host}:{port}"
