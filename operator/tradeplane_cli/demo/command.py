"""``tradeplane demo``: the main job, ended by Ctrl-C without leaving a process behind."""

import argparse
import sys
from pathlib import Path

from tradeplane_cli.demo import run as job
from tradeplane_cli.local import environment, supervisor


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--home", type=Path, default=environment.CHECKOUT / ".tradeplane" / "demo", help="where everything is written"
    )
    parser.add_argument("--examples", type=Path, default=environment.CHECKOUT / "examples", help="manifests to apply")


def run(options: argparse.Namespace) -> int:
    """Run the main job."""
    try:
        with supervisor.terminable():
            return job.main(options.home.absolute(), options.examples.absolute())
    except KeyboardInterrupt:
        sys.stderr.write("tradeplane demo: interrupted; every process was ended\n")
        return 130
