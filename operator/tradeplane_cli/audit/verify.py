"""``tradeplane audit verify``: walk the trail, compare it with heads that were kept elsewhere and with the ledger.

The exit status is 0 when everything agrees, 1 when something does not, 2 when something could not be read.
"""

import argparse
import asyncio
import dataclasses
import sys
from pathlib import Path

import asyncpg
import orjson

from tradeplane_cli import running
from tradeplane_cli.local import processes
from tradeplane_engine import errors
from tradeplane_workers.audit import chain, heads, trail


@dataclasses.dataclass
class Report:
    """What was found.

    broken : number of the first entry that is not as it should be, 0 where all are
    how : what is wrong with it
    heads : how many heads agree; None where none was given
    rows : how many rows of the ledger were compared; None for an export
    """

    ledger: str
    entries: int = 0
    head: str = chain.GENESIS
    broken: int = 0
    how: str = ""
    heads: int | None = None
    rows: int | None = None
    differences: list[str] = dataclasses.field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.broken and not self.differences


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--database", metavar="URL", help="of the ledger")
    source.add_argument("--export", metavar="FILE", type=Path, help="a trail that `audit export` wrote")
    parser.add_argument("--head", metavar="NUMBER:HASH", action="append", default=[], help="a head that was noted")
    parser.add_argument("--log", metavar="FILE", type=Path, action="append", default=[], help="a log of a gateway")
    parser.add_argument("--artifacts", metavar="URL", help="the store that the gateway kept heads in")
    parser.add_argument("-o", dest="output", choices=("table", "json"), default="table", help="default %(default)s")


def run(options: argparse.Namespace) -> int:
    """Verify, and print what was found; without a source, that of the running environment with all its heads."""
    try:
        if options.database is None and options.export is None:
            options.database = running.fact("database", "--database or --export")
            options.artifacts = options.artifacts or running.fact("artifacts", "--artifacts")
            log = Path(running.fact("logs", "--log")) / "gateway.log"
            options.log += [log] if log.exists() else []
        report = _of_export(options) if options.export is not None else asyncio.run(_of_database(options))
    except (
        processes.LocalError,
        errors.EngineError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        OSError,
        ValueError,
    ) as error:
        sys.stderr.write(f"tradeplane audit verify: {error}\n")
        return 2
    sys.stdout.write(_json(report) if options.output == "json" else _table(report))
    return 0 if report.is_whole else 1


def _of_export(options: argparse.Namespace) -> Report:
    ledger = trail.ledger_of(trail.exported(options.export))
    walk, report = _begin(options, ledger)
    try:
        for one in trail.exported(options.export):
            walk.take(one)
        walk.end()
    except chain.Broken as broken:
        report.broken, report.how = broken.number, broken.how
    return _ended(report, walk)


async def _of_database(options: argparse.Namespace) -> Report:
    connection = await trail.connect(options.database)
    try:
        ledger = await connection.fetchval("select id from ledger") or ""
        # Heads first: what is read of the trail afterwards is at least as long.
        walk, report = _begin(options, ledger)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            try:
                async for one in trail.entries(connection):
                    walk.take(one)
                walk.end()
            except chain.Broken as broken:
                report.broken, report.how = broken.number, broken.how
            if not report.broken:  # else it is no witness
                found, report.rows = await trail.differences(connection)
                report.differences += found
    finally:
        await connection.close()
    return _ended(report, walk)


def _begin(options: argparse.Namespace, ledger: str) -> tuple[chain.Walk, Report]:
    """Collect the heads of a ledger; raises what reading them raises."""
    found = [heads.given(text, ledger) for text in options.head]
    for log in options.log:
        found += heads.logged(log)
    if options.artifacts and ledger:
        found += heads.stored(options.artifacts, ledger)
    own = [head for head in found if head.ledger == ledger]
    report = Report(ledger, heads=len(own) if found else None)
    if found and not own:
        report.differences.append(f"none of {len(found)} heads is of ledger {ledger or 'without a name'}")
    return chain.Walk(own), report


def _ended(report: Report, walk: chain.Walk) -> Report:
    report.entries, report.head = walk.number, walk.hash
    report.heads = None if report.heads is None else walk.agreed
    return report


def _json(report: Report) -> str:
    return orjson.dumps({"whole": report.is_whole, **dataclasses.asdict(report)}).decode() + "\n"


def _table(report: Report) -> str:
    lines = [
        ("ledger", report.ledger or "none"),
        ("entries", f"{report.entries:,}, the last one {report.entries}:{report.head}"),
        ("chain", f"broken at entry {report.broken}, which {report.how}" if report.broken else "whole"),
        ("heads", "none was given: an end that was cut off is not seen" if report.heads is None else _agreed(report)),
    ]
    if report.rows is not None:
        lines.append(("rows", f"{report.rows:,} rows of the ledger compared, {len(report.differences)} differences"))
    lines += [("difference", text) for text in report.differences]
    return "".join(f"{name:<11} {text}\n" for name, text in lines)


def _agreed(report: Report) -> str:
    return f"{report.heads:,} agree"
