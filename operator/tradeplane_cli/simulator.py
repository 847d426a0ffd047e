"""``tradeplane simulator``: a broker and data server like Alpaca's, on recorded data, until Ctrl-C.

Nothing else of Tradeplane runs. Its folder keeps the keys and the state, so that the next start goes on where this one
ended; ``docs/how-to/use-the-simulator.md`` says how clients are pointed at it.
"""

import argparse
import asyncio
import json
import signal
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from tradeplane_cli.local import demo_data, environment, pki, processes, up
from tradeplane_engine import errors as engine_errors
from tradeplane_engine.domain import times
from tradeplane_engine.venue import profile
from tradeplane_simulator import __main__ as command_line
from tradeplane_simulator import credentials, errors, logs, server

HOME: Final = environment.CHECKOUT / ".tradeplane" / "simulator"
ACCOUNT: Final = "paper"
_HOST: Final = "127.0.0.1"
# Alpaca's own: requests a minute, and connections to one feed.
_RATE: Final = {"requests": 200, "seconds": 60}
_PLANS: Final = (("PK", "trading", "algo_trader_plus"), ("PB", "trading", "basic"))


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--data", type=Path, help="folder of bars or ticks to serve (default: the demo's bars, from March 2012 on)"
    )
    parser.add_argument(
        "--home", type=Path, default=HOME, help="folder of the keys and the state (default .tradeplane/simulator)"
    )
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument(
        "--speed",
        type=command_line.speed,
        default=Fraction(1),
        help="how many times as fast as the machine's the clock runs (default %(default)s)",
    )
    pace.add_argument("--stepped", action="store_true", help="a clock that only the control port moves")
    parser.add_argument("--clock", help="where a new clock starts, RFC 3339 (default: before the first open)")
    parser.add_argument("--cash", default="100000", help="a new account's cash in USD (default %(default)s)")
    parser.add_argument("--profile", default="paper", help="venue profile (default %(default)s)")
    parser.add_argument("--scenario", type=Path, help="JSON file of what goes wrong, and its seed")
    parser.add_argument("--port", type=int, default=8765, help="of trading and data (default %(default)s; 0: any)")
    parser.add_argument("--control-port", type=int, default=0, help="of the clock's control (default: any)")


def run(options: argparse.Namespace) -> int:
    """Make the folder, say what to export, and serve."""
    logs.configure(sys.stderr)
    try:
        chosen = settings(options)
        keys = json.loads(chosen.accounts.read_bytes())[0]["keys"]
        asyncio.run(_serve(chosen, keys))
    except (processes.LocalError, errors.StateRefused, engine_errors.EngineError, OSError) as error:
        sys.stderr.write(f"tradeplane simulator: {error}\n")
        return 1
    return 0


def settings(options: argparse.Namespace) -> server.Settings:
    """Return what the server is told, after writing what the folder lacks; raises LocalError and EngineError."""
    options.home.mkdir(parents=True, exist_ok=True)
    clock = None if options.clock is None else times.instant(options.clock, field="--clock")
    data = options.data
    if data is None:
        data = options.home / "dataset"
        demo_data.write(data)
        # The demo's first years are there so that a strategy has a past.
        clock = times.instant(up.CLOCK) if clock is None else clock
    accounts = options.home / "accounts.json"
    if not accounts.exists():
        pki.write_private(accounts, json.dumps([_account(options.cash)]).encode())
    credentials.read(accounts)
    return server.Settings(
        data=data,
        state=options.home / "state.sqlite",
        accounts=accounts,
        listen=(_HOST, options.port),
        control=(_HOST, options.control_port),
        clock=clock,
        profile=profile.named(options.profile),
        trading_streams=1,
        speed=None if options.stepped else options.speed,
        scenario=options.scenario,
    )


def _account(cash: str) -> dict[str, Any]:
    keys = [{**environment.random_key(prefix), "scope": scope, "plan": plan} for prefix, scope, plan in _PLANS]
    return {"name": ACCOUNT, "cash": cash, "rate": _RATE, "data_streams": 1, "keys": keys}


async def _serve(chosen: server.Settings, keys: list[dict[str, str]]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await server.serve(chosen, stop=stop, listening=lambda where: _say(where, keys))


def _say(where: server.Addresses, keys: list[dict[str, str]]) -> None:
    full, free = keys[:2]
    lines = [
        f"export APCA_API_KEY_ID={full['key_id']}",
        f"export APCA_API_SECRET_KEY={full['secret_key']}",
        f"export APCA_API_BASE_URL=http://{where.listen}",
        f"export APCA_API_DATA_URL=http://{where.listen}",
        f"export APCA_API_STREAM_URL=ws://{where.listen}/stream",
        f"export APCA_API_DATA_STREAM_URL=ws://{where.listen}/v2/sip",
        f"# a key of the free plan: {free['key_id']} {free['secret_key']}",
        f"# the clock shows {where.clock}; control: http://{where.control}",
    ]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
