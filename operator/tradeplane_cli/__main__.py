"""The ``tradeplane`` command.

A subcommand is a module with ``arguments(parser)`` and ``run(options) -> exit status``; only the chosen one is
imported, so that ``tradeplane status`` answers without loading what a backtest needs. Its name has one word or two.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Command:
    """One subcommand: its name, the module that does it, and its line in the help."""

    name: str
    module: str
    summary: str


COMMANDS: Final = (
    Command("demo", "tradeplane_cli.demo.command", "run the main job on real parts and report"),
    Command("backtest", "tradeplane_cli.backtest", "run manifests, or a session record, on bars, without any server"),
    Command("backtest diff", "tradeplane_cli.difference", "name the first event in which two saved runs differ"),
    Command("sweep", "tradeplane_cli.sweep", "try many parameters of a strategy on bars, and weigh the best result"),
    Command("orders", "tradeplane_cli.orders", "show the orders of a running environment that may still fill, or all"),
    Command("positions", "tradeplane_cli.positions", "show what each strategy of a running environment holds"),
    Command("fills", "tradeplane_cli.fills", "show the executions of a running environment"),
    Command("cancel", "tradeplane_cli.cancel", "end orders of a running environment"),
    Command(
        "why", "tradeplane_cli.why", "tell the whole story of one order: who wanted it, why, and what became of it"
    ),
    Command(
        "audit verify", "tradeplane_cli.audit.verify", "walk the audit trail and name the first entry that is broken"
    ),
    Command("audit export", "tradeplane_cli.audit.export", "write the audit trail to a file that verify reads"),
    Command("simulator", "tradeplane_cli.simulator", "run a broker like Alpaca's on recorded data until Ctrl-C"),
    Command("up", "tradeplane_cli.local.up", "start the embedded environment and keep it running until Ctrl-C"),
    Command("down", "tradeplane_cli.local.down", "end environments of this checkout, also ones left behind"),
    Command("status", "tradeplane_cli.local.status", "show what runs in this checkout, and where"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="tradeplane", description="The control plane for systematic trading.")
    choices = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    if " ".join(words[:2]) in {command.name for command in COMMANDS}:
        words[:2] = [" ".join(words[:2])]
    chosen = words[0] if words else None
    for command in COMMANDS:
        subparser = choices.add_parser(command.name, help=command.summary, description=f"{command.summary}.")
        if command.name == chosen:
            module = importlib.import_module(command.module)
            module.arguments(subparser)
            subparser.set_defaults(run=module.run)
    options = parser.parse_args(words)
    status: int = options.run(options)
    return status


if __name__ == "__main__":
    sys.exit(main())
