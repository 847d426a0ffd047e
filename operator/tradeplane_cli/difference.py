"""``tradeplane backtest diff``: what differs between two runs that were saved with ``--out``.

The exit status is that of ``diff``: 0 when the runs are the same, 1 when they differ, 2 when one cannot be read.
"""

import argparse
import sys
from pathlib import Path

from tradeplane_engine import errors
from tradeplane_engine.results import difference, saved


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("a", metavar="A", type=Path, help="folder of a saved run")
    parser.add_argument("b", metavar="B", type=Path, help="folder of another one")


def run(options: argparse.Namespace) -> int:
    """Print every setting and every symbol's bars that differ, then the first event that does."""
    try:
        one, other = saved.read(options.a), saved.read(options.b)
    except errors.EngineError as error:
        sys.stderr.write(f"tradeplane backtest diff: {error}\n")
        return 2
    found = difference.between(one, other)
    for each in found:
        sys.stdout.write(f"{each.subject} {each.sentence}\n")
        sys.stdout.writelines(f"  {event}\n" for event in each.events if event)
    if not any(each.subject == "event" for each in found):
        sys.stdout.write(f"all {len(one.rows):,} events are the same\n")
    return 1 if found else 0
