"""Start the venue: ``python -m tradeplane_simulator --data FOLDER --state FILE --accounts FILE ...``."""

import argparse
import asyncio
import pathlib
import signal
import sys
from collections.abc import Sequence
from fractions import Fraction

import structlog

from tradeplane_engine import errors as engine_errors
from tradeplane_engine.domain import times
from tradeplane_engine.venue import profile
from tradeplane_simulator import errors, logs, server

_LOG = structlog.get_logger()
# A whole session in a fraction of a second: nobody could follow anything faster.
_SPEED_MAX = 100_000


def settings(arguments: Sequence[str]) -> server.Settings:
    """Read the command line; ends the process with a message for a wrong one."""
    parser = argparse.ArgumentParser(
        prog="tradeplane_simulator", description="Broker and data server on a replayed clock."
    )
    parser.add_argument("--data", type=pathlib.Path, required=True, help="dataset folder")
    parser.add_argument("--state", type=pathlib.Path, required=True, help="SQLite state file; created when absent")
    parser.add_argument("--accounts", type=pathlib.Path, required=True, help="JSON file of accounts and keys")
    parser.add_argument("--listen", type=_address, required=True, help="HOST:PORT for trading and data")
    parser.add_argument("--control", type=_address, required=True, help="HOST:PORT for the replay driver")
    parser.add_argument(
        "--clock", type=_instant, help="RFC 3339 start of a new venue's clock; five minutes before the first open"
    )
    parser.add_argument(
        "--speed", type=speed, help="how many times as fast as the machine's the clock runs; without, it stands"
    )
    parser.add_argument("--profile", type=profile.named, required=True, help="name of the venue profile")
    parser.add_argument("--assets", type=pathlib.Path, help="JSON file of what may not be done with which symbol")
    parser.add_argument("--text-frames", action="store_true", help="send trade updates as text, as Alpaca's live host")
    parser.add_argument(
        "--trading-streams", type=_natural, help="how many clients may listen to trade updates at once; any number"
    )
    parser.add_argument("--latency", type=_duration, default=0, help="how long a cancel or replacement takes, as 5s")
    parser.add_argument(
        "--partial-fills", type=_share, default=Fraction(0), help="share of bars that fill a part alone, such as 0.1"
    )
    parser.add_argument("--seed", type=_natural, default=0, help="of what is drawn")
    parser.add_argument(
        "--iex-share", type=_share, help="share of a bar's volume that the iex feed has, such as 0.025; all of it"
    )
    parser.add_argument("--scenario", type=pathlib.Path, help="JSON file of what goes wrong, and its seed")
    return server.Settings(**vars(parser.parse_args(arguments)))


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; returns the exit status."""
    logs.configure()
    chosen = settings(arguments)
    try:
        asyncio.run(_run(chosen))
    except (errors.StateRefused, engine_errors.EngineError, OSError) as error:
        _LOG.error("cannot start", reason=str(error))
        return 1
    return 0


async def _run(chosen: server.Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await server.serve(chosen, stop=stop, listening=_announce)


def _announce(where: server.Addresses) -> None:
    _LOG.info("listening", listen=where.listen, control=where.control, clock=where.clock)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:  # noqa: PLR2004 - the largest port
        raise argparse.ArgumentTypeError(f"must be HOST:PORT, got {text!r}")
    return host, int(port)


def _duration(text: str) -> times.Nanos:
    try:
        return times.duration(text, field="--latency")
    except engine_errors.ValueRefused as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _share(text: str) -> Fraction:
    try:
        found = Fraction(text)
    except (ValueError, ZeroDivisionError):
        found = Fraction(-1)
    if not 0 <= found <= 1:
        raise argparse.ArgumentTypeError(f"must be a share from 0 to 1, got {text!r}")
    return found


def speed(text: str) -> Fraction:
    """Read how fast a clock runs; raises ArgumentTypeError."""
    try:
        found = Fraction(text)
    except (ValueError, ZeroDivisionError):
        found = Fraction(0)
    if not 0 < found <= _SPEED_MAX:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most {_SPEED_MAX}, got {text!r}")
    return found


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"must be a number of 0 or more, got {text!r}")
    return int(text)


def _instant(text: str) -> times.Nanos:
    try:
        return times.instant(text, field="--clock")
    except engine_errors.ValueRefused as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
