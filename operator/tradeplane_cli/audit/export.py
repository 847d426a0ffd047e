"""``tradeplane audit export``: the whole trail as a file, one entry as JSON on each line.

The exit status is 0 when all of it was written, 2 when it could not be read or written.
"""

import argparse
import asyncio
import sys
from pathlib import Path

import asyncpg

from tradeplane_cli import running
from tradeplane_cli.local import processes
from tradeplane_workers.audit import trail


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", metavar="FILE", type=Path, help="file to write")
    parser.add_argument("--database", metavar="URL", help="of the ledger (default: that of the running environment)")


def run(options: argparse.Namespace) -> int:
    """Write the file."""
    try:
        count = asyncio.run(_write(options.database or running.fact("database", "--database"), options.file))
    except (processes.LocalError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        sys.stderr.write(f"tradeplane audit export: {error}\n")
        return 2
    sys.stdout.write(f"{count:,} entries in {options.file}\n")
    return 0


async def _write(url: str, path: Path) -> int:
    connection = await trail.connect(url)
    count = 0
    try:
        with path.open("wb") as file:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                async for one in trail.entries(connection):
                    file.write(trail.line(one))
                    count += 1
    finally:
        await connection.close()
    return count
